package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const deployDir = "../../deploy/"

func deployed(t *testing.T, name string) string {
	b, err := os.ReadFile(deployDir + name)
	require.NoError(t, err)
	return string(b)
}

// unitValue is the one value of a key of the unit.
func unitValue(t *testing.T, unit, key string) string {
	m := regexp.MustCompile(`(?m)^`+key+`=(.*)$`).FindAllStringSubmatch(unit, -1)
	require.Len(t, m, 1, key)
	return m[0][1]
}

// The unit starts the program with settings that it takes, keeps data where these
// say, and gives it the time to drain.
func TestTheUnitFitsTheProgram(t *testing.T) {
	unit := deployed(t, "kvnode.service")
	start := strings.Fields(unitValue(t, unit, "ExecStart"))
	require.Equal(t, "kvnode", filepath.Base(start[0]))
	require.Equal(t, []string{"--config", "/etc/kindred/kvnode.toml"}, start[1:])
	require.Equal(t, start[0]+" config check /etc/kindred/kvnode.toml", unitValue(t, unit, "ExecStartPre"))

	s, err := load([]string{"--config", deployDir + "kvnode.toml"}, nil)
	require.NoError(t, err)
	require.True(t, s.node.Production)
	require.Equal(t, "/var/lib/"+unitValue(t, unit, "StateDirectory"), s.node.DataDir)
	seconds, err := time.ParseDuration(unitValue(t, unit, "TimeoutStopSec") + "s")
	require.NoError(t, err)
	require.Greater(t, seconds, drainMax)
	require.Contains(t, unitValue(t, unit, "ExecReload"), "-HUP")
}

func TestSystemdAcceptsTheUnit(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze on this machine: the unit is read by TestTheUnitFitsTheProgram only")
	}
	self, err := os.Executable() // a program that exists stands for one that is installed
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "kvnode.service")
	unit := strings.ReplaceAll(deployed(t, "kvnode.service"), "/usr/local/bin/kvnode", self)
	require.NoError(t, os.WriteFile(path, []byte(unit), 0o600))
	out, err := exec.Command(tool, "verify", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "kvnode.service", "systemd has something to say about it")
}

// composeFile is what the test reads of compose.yaml.
type composeFile struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Ports       []string
		Volumes     []string
		Grace       string `yaml:"stop_grace_period"`
	}
	Volumes map[string]any
}

// Every service starts a node that could start, finds the others, and keeps its data.
func TestTheComposeFileFitsTheProgram(t *testing.T) {
	var file composeFile
	require.NoError(t, yaml.Unmarshal([]byte(deployed(t, "compose.yaml")), &file))
	require.Len(t, file.Services, 3)
	zones := map[string]bool{}
	for name, service := range file.Services {
		var env []string
		for k, v := range service.Environment {
			env = append(env, k+"="+v)
		}
		s, err := load(service.Command, env)
		require.NoError(t, err, name)
		require.Empty(t, s.unknownEnv, name)
		c := s.node
		require.Equal(t, []string{name, name}, []string{c.Name, c.Advertise}, "the name of the service is the host that others dial")
		require.Equal(t, len(file.Services), c.Expect)
		require.True(t, c.Production, name)
		for other := range file.Services {
			require.Contains(t, c.Join, other+c.GossipAddr)
		}
		zones[c.Zone] = true
		require.Contains(t, service.Volumes, name+":"+c.DataDir)
		require.Contains(t, file.Volumes, name)
		for _, key := range []string{c.Security.Cert, c.Security.Key, c.Security.CA, c.Security.GossipKeys} {
			require.Equal(t, "/keys", filepath.Dir(key))
		}
		for _, p := range service.Ports {
			require.Regexp(t, `^127\.0\.0\.1:[0-9]+(`+c.ClientAddr+`|`+c.HTTPAddr+`)$`, p, "only doors of clients, only on this machine")
		}
		grace, err := time.ParseDuration(service.Grace)
		require.NoError(t, err)
		require.Greater(t, grace, drainMax)
	}
	require.Len(t, zones, 3)
}

// The container file builds what exists with the Go of go.mod, and opens the ports of
// the defaults. No linter of such files is asked for: none is common.
func TestTheContainerFileFitsTheRepository(t *testing.T) {
	text := deployed(t, "Containerfile")
	mod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	require.Contains(t, text, "FROM golang:"+string(version[1])+" AS build\n")
	packages := regexp.MustCompile(`\./cmd/\w+`).FindAllString(text, -1)
	require.NotEmpty(t, packages)
	for _, dir := range packages {
		require.FileExists(t, filepath.Join("../..", dir, "main.go"))
	}
	for _, line := range regexp.MustCompile(`(?m)^COPY ([^-].*) \./$`).FindAllStringSubmatch(text, -1) {
		for _, file := range strings.Fields(line[1]) {
			require.FileExists(t, filepath.Join("../..", file))
		}
	}
	for line := range strings.Lines(text) {
		require.Regexp(t, `^(#.*|FROM|WORKDIR|COPY|RUN|USER|VOLUME|EXPOSE|STOPSIGNAL|ENTRYPOINT|CMD|\n)`, line)
	}
	s := newSettings()
	for _, addr := range []string{s.node.ClientAddr, s.node.PeerAddr, s.node.GossipAddr, s.node.HTTPAddr} {
		_, port, _ := strings.Cut(addr, ":")
		require.Regexp(t, `(?m)^EXPOSE .*\b`+port+`/tcp`, text)
	}
	require.Contains(t, text, "USER 65532:65532\n", "not root")
	require.Contains(t, deployed(t, "compose.yaml"), "chown -R 65532 ")
}

// The rules are what Prometheus reads; with promtool, it says so itself. Which metrics
// they ask for is checked beside the metrics, in package node.
func TestTheAlertsAreRules(t *testing.T) {
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(deployed(t, "alerts.yaml")), &file))
	require.Len(t, file.Groups, 1)
	names := map[string]bool{}
	for _, r := range file.Groups[0].Rules {
		require.False(t, names[r.Alert], "%s twice", r.Alert)
		names[r.Alert] = true
		require.NotEmpty(t, r.Expr, r.Alert)
		require.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
	}
	require.NotEmpty(t, names)
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("no promtool on this machine: the form of the rules is checked, their expressions are not")
		return
	}
	out, err := exec.Command(tool, "check", "rules", deployDir+"alerts.yaml").CombinedOutput()
	require.NoError(t, err, "%s", out)
}
