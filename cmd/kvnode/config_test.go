package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// pageRow is what docs/configuration.md says of a setting.
type pageRow struct{ value, unit, meaning, up, down string }

// TestThePageShowsEverySetting holds docs/configuration.md to the flags, both ways.
func TestThePageShowsEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	page := map[string]pageRow{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|(.*)\\|$").FindAllStringSubmatch(string(text), -1) {
		cells := strings.Split(m[2], "|")
		require.Len(t, cells, 5, m[1])
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		require.NotContains(t, page, m[1], "twice on the page")
		page[m[1]] = pageRow{cells[0], cells[1], cells[2], cells[3], cells[4]}
	}
	s := newSettings()
	for _, name := range s.names() {
		f, row := s.flags.Lookup(name), page[name]
		delete(page, name)
		want := "`" + f.DefValue + "`"
		switch {
		case name == "shards": // depends on the machine
			want = "one per core, at most 16"
		case f.DefValue == "" || f.DefValue == "[]":
			want = "–"
		}
		require.Equal(t, want, row.value, "default of %s", name)
		require.Equal(t, f.Usage, row.meaning, name)
		require.NotEmpty(t, row.unit, "unit of %s", name)
		require.NotEmpty(t, row.up, "what raising %s costs", name)
	}
	require.Empty(t, page, "these are no settings")
	s.flags.VisitAll(func(f *pflag.Flag) {
		if onlyFlags[f.Name] {
			require.Contains(t, string(text), fmt.Sprintf("`%s` (%s)", f.Name, f.Usage))
		}
	})
}

// kvnodeConfig is "kvnode config …".
func kvnodeConfig(env []string, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = run(append([]string{"config"}, args...), env, nil, &out, &errOut)
	return code, out.String(), errOut.String()
}

func TestConfigPrintSaysWhoSetWhat(t *testing.T) {
	path := write(t, "name = 'a'\nzone = 'file'\njoin = ['a:1', 'b:2']\n")
	code, out, said := kvnodeConfig([]string{"KINDRED_CAPACITY=7", "KINDRED_ZONE=env"},
		"print", "--config", path, "--data-dir", "x", "-o", "json")
	require.Zero(t, code, said)
	var doc struct {
		Settings []struct {
			Name, From string
			Value      any
		}
		Problem string
	}
	require.NoError(t, json.Unmarshal([]byte(out), &doc))
	require.Empty(t, doc.Problem)
	got := map[string]string{}
	for _, s := range doc.Settings {
		got[s.Name] = fmt.Sprintf("%v from %s", s.Value, s.From)
	}
	require.Len(t, got, len(newSettings().names()))
	for name, want := range map[string]string{
		"name": "a from " + path + " line 1", "zone": "env from environment variable KINDRED_ZONE",
		"join": "[a:1 b:2] from " + path + " line 3", "capacity": "7 from environment variable KINDRED_CAPACITY",
		"data-dir": "x from flag", "production": "false from default",
	} {
		require.Equal(t, want, got[name], name)
	}
}

// What cannot start is shown all the same, with the reason.
func TestConfigPrintShowsWhatCannotStart(t *testing.T) {
	code, out, said := kvnodeConfig([]string{"KINDRED_REPLICAS=99"}, "print", "--name", "a", "--data-dir", "x")
	require.Equal(t, 1, code)
	require.Regexp(t, `(?m)^replicas +99 +environment variable KINDRED_REPLICAS$`, out)
	require.Equal(t, "kvnode: environment variable KINDRED_REPLICAS: --replicas: 99: use 1 to 16\n", said)
}

func TestConfigCheckNamesEveryMistake(t *testing.T) {
	path := write(t, "name = 'a'\nexpct = 3\n\nreplicas = 'three'\n")
	code, out, said := kvnodeConfig(nil, "check", path)
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Equal(t, "kvnode: "+path+" line 2: unknown setting \"expct\"; did you mean expect?\n"+
		"kvnode: "+path+" line 4: replicas: \"three\": use a whole number\n", said)

	path = write(t, "name = 'a'\ndata-dir = 'x'\nreplicas = 99\npartitions = 100\nhttp-addr = 'here'\n")
	_, _, said = kvnodeConfig(nil, "check", path, "--pprof-addr", "127.0.0.1:7400")
	require.Equal(t, []string{
		"kvnode: " + path + " line 4: --partitions: 100: use a power of two from 1 to 65536",
		"kvnode: " + path + " line 3: --replicas: 99: use 1 to 16",
		"kvnode: " + path + ` line 5: --http-addr: "here" is not host:port, such as 127.0.0.1:7403`,
		"kvnode: --pprof-addr: 127.0.0.1:7400 is the --client-addr too: give each a port of its own",
	}, strings.Split(strings.TrimSpace(said), "\n"))

	path = write(t, "partitions = 100\n")
	_, _, said = kvnodeConfig(nil, "check", path)
	require.Contains(t, said, "--name: the node needs a name")
	_, _, said = kvnodeConfig(nil, "check", path, "--name", "a", "--data-dir", "x")
	require.Equal(t, "kvnode: "+path+" line 1: --partitions: 100: use a power of two from 1 to 65536\n", said)
	code, out, said = kvnodeConfig(nil, "check", path, "--name", "a", "--data-dir", "x", "--partitions", "64")
	require.Zero(t, code, said)
	require.Equal(t, path+": 1 settings, no mistake found\n", out)
}

// The check opens the files that the settings name.
func TestConfigCheckReadsTheSecurityFiles(t *testing.T) {
	path := write(t, "name = 'a'\ndata-dir = 'x'\ngossip-key = '/no/such/keys'\n")
	code, _, said := kvnodeConfig(nil, "check", path)
	require.Equal(t, 1, code)
	require.Contains(t, said, path+" line 3: ")
	require.Contains(t, said, "--gossip-key /no/such/keys")
}

func TestConfigIsUsedWrongly(t *testing.T) {
	for want, args := range map[string][]string{
		"want print or check":         {},
		"config check needs a FILE":   {"check", "--name", "a"},
		"use table or json":           {"print", "--name", "a", "--data-dir", "x", "-o", "xml"},
		`unexpected argument "a.tom"`: {"print", "a.tom"},
		"did you mean --zone?":        {"print", "--zoen", "a"},
	} {
		code, _, said := kvnodeConfig(nil, args...)
		require.Equal(t, 1, code, want)
		require.Contains(t, said, want)
	}
	code, out, _ := kvnodeConfig(nil, "check", "--help")
	require.Zero(t, code)
	require.Contains(t, out, "Examples:\n  kvnode config print")
}

func TestProfilesStayOnThisMachine(t *testing.T) {
	for _, addr := range []string{":6060", "0.0.0.0:6060", "10.0.0.1:6060", "n1:6060"} {
		_, err := load([]string{"--name", "n1", "--data-dir", "x", "--insecure", "--pprof-addr", addr}, nil)
		require.ErrorContains(t, err, "--pprof-addr: "+addr+" may be reachable from other machines")
	}
	addr := freeAddr(t)
	args := alone(t, t.TempDir())
	p := launch(t, append(args, "--pprof-addr", addr)...)
	p.ready()
	resp, err := http.Get("http://" + addr + "/debug/pprof/goroutine?debug=1")
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(b), "goroutine profile: total")
	rebound, err := http.NewRequest(http.MethodGet, "http://"+addr+"/debug/pprof/goroutine?debug=1", nil)
	require.NoError(t, err)
	rebound.Host = "evil.example"
	resp, err = http.DefaultClient.Do(rebound)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusForbidden, resp.StatusCode, "not for a page whose name was made to lead here")
	resp, err = http.Get("http://" + args[len(args)-1] + "/debug/pprof/")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusNotFound, resp.StatusCode, "not where clients come in")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	code, said := p.exit()
	require.Zero(t, code, said)

	busy, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	defer busy.Close()
	code, said = launch(t, append(args, "--pprof-addr", addr)...).exit()
	require.Equal(t, 1, code)
	require.Contains(t, said, "--pprof-addr: cannot listen on "+addr)
}
