package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// notCarriedOut are the examples that no test can carry out as they are, and why.
var notCarriedOut = map[string]string{
	"kvcli demo":                                    "takes most of a minute: TestDemo carries it out with fewer records",
	"kvcli demo --dir .kindred-demo":                "takes most of a minute: TestDemo carries it out with fewer records",
	"kvcli demo grow":                               "takes half a minute: TestDemo carries it out with fewer records",
	"kvcli demo grow | cat":                         "takes half a minute: TestDemo carries it out with fewer records",
	"kvcli jepsen run --time 1m":                    "takes a minute: TestJepsen carries out short ones",
	"kvcli jepsen run --nemesis cut,kill --time 1m": "takes a minute: TestJepsen carries out short ones",
	"kvcli jepsen run --workload set,register --nemesis cut,kill --time 10m --seed 7":        "takes ten minutes: TestJepsen carries out short ones",
	"kvcli jepsen run --nemesis pause --nodes 3 --strict --time 30s -o json":                 "takes half a minute: TestJepsen carries out short ones",
	"kvcli jepsen run --dir .kindred --nemesis cut,slow --time 30s":                          "takes half a minute: TestJepsen carries out short ones",
	"kvcli jepsen replay recordings":                                                         "needs recordings: TestReplay makes some",
	"kvcli jepsen replay recordings/n1-000003-5e0f11aa-000-000001.rec --key alice":           "needs recordings: TestReplay makes some",
	"kvcli jepsen replay recordings/n1-000003-5e0f11aa-000-000001.rec --from 1200 --to 1250": "needs recordings: TestReplay makes some",
	"kvcli local logs n2 -f":                                    "goes on until it is interrupted: TestALocalCluster follows a log",
	"kvcli cluster exposure --watch":                            "goes on until it is interrupted",
	"kvcli cluster safe-to-stop n3":                             "a bucket of another example wants all replicas, so that no node may stop: TestARollingRestartByReadinessAlone carries it out",
	"kvcli cluster safe-to-stop n3 -o json | jq -r .safe":       "a bucket of another example wants all replicas, so that no node may stop: TestARollingRestartByReadinessAlone carries it out",
	"kvcli cluster safe-to-stop n3 && systemctl restart kvnode": "a bucket of another example wants all replicas, so that no node may stop: TestARollingRestartByReadinessAlone carries it out",
	"kvcli node drain n3":                                       "a bucket of another example wants all replicas, so that no node may stop: TestARollingRestartByReadinessAlone carries it out",
	"kvcli node drain n3 --stop --timeout 10m":                  "a bucket of another example wants all replicas, so that no node may stop: TestARollingRestartByReadinessAlone carries it out",
	"kvcli node drain n3 --undo":                                "a bucket of another example wants all replicas, so that no node may stop: TestARollingRestartByReadinessAlone carries it out",
}

// prepared is what has to be so before an example of a command makes sense.
var prepared = []struct{ example, command string }{
	{`get carts alice|del carts alice|key (inspect|why|where|repair)|scan carts|export carts`, `kvcli put carts alice '["milk"]'`},
	{`resolve carts alice`, `kvcli put carts alice '["milk"]' && kvcli put carts alice '["bread"]' --blind`},
	{`update carts alice`, `kvcli put carts alice '["bread"]'`},
	{`update notes today`, `echo hello | kvcli put notes today -`},
	{`local (stop|kill|pause|restart|logs|cut|partition|slow)`, `kvcli local start`},
	{`local resume`, `kvcli local start && kvcli local pause 2`},
	{`local wipe`, `kvcli local start && kvcli local kill 2`},
	{`local (add|remove)`, `kvcli local start && kvcli cluster clear`},
	{`export carts carts.jsonl`, `rm -f carts.jsonl`},
	{`bucket create sessions .*4096$`, `kvcli bucket create sessions --siblings lww --ttl 24h --max-value-bytes 4096 --change`},
}

// refused are the examples whose outcome on the cluster of the test is not 0.
var refused = map[string]int{
	"kvcli resolve carts alice":                  exitError,  // nobody is at the terminal to choose
	"kvcli cluster init --cluster 10.0.0.1:7400": exitUnsafe, // there is a layout
	"kvcli cluster init":                         exitUnsafe,
	"kvcli cluster init --expect 5":              exitUnsafe,
	// Nothing is staged when these come, and five nodes are members already.
	"kvcli cluster commit --wait":                             exitError,
	"kvcli cluster commit 2-9f2c66d01e6a74b8":                 exitError,
	"kvcli cluster commit --accept-loss --wait --timeout 10m": exitError,
	"kvcli cluster join n4":                                   exitError,
	"kvcli cluster join n4 n5":                                exitError,
	"kvcli cluster join n4 n5 n6 --zone z2":                   exitError,
	"kvcli cluster join n4 --capacity 200":                    exitError,
	"kvcli cluster replace n2 n6":                             exitError,
	"kvcli cluster replace n2 n6 --yes":                       exitError,
	"kvcli cluster remove n3 --yes":                           exitUnsafe,
	"kvcli cluster return n3":                                 exitError,
}

// TestTheExamplesOfHelp carries out what --help of every command shows, in a shell, on
// one cluster of five real nodes. Measurements are shorter and names of other
// machines are those of this cluster; what is not carried out is logged with the
// reason.
func TestTheExamplesOfHelp(t *testing.T) {
	t.Parallel()
	s := newExampleShell(t)
	done := 0
	for _, example := range examples() {
		if why, ok := notCarriedOut[example]; ok {
			t.Logf("not carried out: %s: %s", example, why)
			continue
		}
		if _, err := exec.LookPath("jq"); err != nil && strings.Contains(example, "jq ") {
			t.Logf("not carried out: %s: there is no jq on PATH", example)
			continue
		}
		s.try(example)
		done++
	}
	require.Greater(t, done, 90, "few examples: was their form changed?")
}

// examples are the lines of all commands, those of local clusters last, and what
// adds and removes nodes, and ends one, at the very end.
func examples() []string {
	a := &app{output: asTable}
	var lines []string
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for line := range strings.SplitSeq(c.Example, "\n") {
			if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(a.rootCommand())
	harm := func(line string) int {
		switch {
		case strings.HasPrefix(line, "kvcli local stop"):
			return 3
		case strings.HasPrefix(line, "kvcli local add"), strings.HasPrefix(line, "kvcli local remove"):
			return 2
		case strings.HasPrefix(line, "kvcli local "):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(lines, func(x, y string) int { return harm(x) - harm(y) })
	return lines
}

// exampleShell is where examples are carried out.
type exampleShell struct {
	t           *testing.T
	dir         string
	first, port string // a node, and where the ports of a second cluster begin
}

func newExampleShell(t *testing.T) *exampleShell {
	base := freePorts(t, 5)
	s := &exampleShell{t, t.TempDir(), fmt.Sprintf("127.0.0.1:%d", base), fmt.Sprint(freePorts(t, 5))}
	t.Cleanup(func() {
		s.run("kvcli local stop --timeout 5s; kvcli local stop --dir second --timeout 5s")
	})
	s.must(fmt.Sprintf("kvcli local start --nodes 5 --base-port %d", base))
	for name, content := range map[string]string{
		"cat.jpg":                             "meow",
		"people.jsonl":                        `{"email":"ada@example.org","name":"Ada"}` + "\n",
		"changes.jsonl":                       `{"op":"put","bucket":"carts","key":"bob","value":"tea"}` + "\n",
		"data/world-cities.csv":               "geonameid,name\n1,Ulm\n2,Bonn\n",
		".config/fish/completions/kvcli.fish": "",
	} {
		path := filepath.Join(s.dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	measure := "kvcli bench --profile ycsb-b --keys 100 --time 100ms --warmup 10ms -o json > "
	for _, name := range []string{"before", "after", "a1", "a2", "a3", "b1", "b2", "b3"} {
		if name == "before" {
			s.must(measure + "before.json")
			continue
		}
		s.must("cp before.json " + name + ".json")
	}
	return s
}

// try carries out an example.
func (s *exampleShell) try(example string) {
	for _, p := range prepared {
		if regexp.MustCompile(p.example).MatchString(example) {
			s.must(p.command)
		}
	}
	out, exit := s.run(s.here(example))
	if exit != refused[example] {
		s.t.Errorf("%s\nended with %d\n%s", example, exit, out)
	}
	if strings.HasPrefix(example, "kvcli local") {
		s.must("kvcli local heal")
		s.must("kvcli local stop --dir second --timeout 5s; true")
	}
}

// here is an example with the places and times of this test.
func (s *exampleShell) here(example string) string {
	context := "$(kvcli get carts alice -o json | grep -o '\"context\": *\"[^\"]*\"' | cut -d '\"' -f 4)"
	dot := "$(kvcli get carts alice -o json | grep -o '[0-9a-f]\\{32\\}:[0-9]*' | head -1)"
	line := strings.NewReplacer(
		"TOKEN", context, "72ce02bc5d95919e2f729b219d8851d1:2", dot,
		"other:7400", s.first, "10.0.0.1:7400", s.first,
		"/tmp/second", "second", "--base-port 7500", "--base-port "+s.port, "${fpath[1]}", ".",
		"--time 30s", "", "--keys 100000", "", "--callers 64", "--callers 4",
	).Replace(example)
	if measured := regexp.MustCompile(`^kvcli bench (--profile|--mix)`); measured.MatchString(line) {
		line = measured.ReplaceAllString(line, "kvcli bench --keys 100 --time 200ms --warmup 10ms $1")
	}
	if strings.HasPrefix(line, "kvcli local start --nodes") { // not the shape of the cluster that runs
		line += " --dir second --base-port " + s.port
	}
	return line
}

// must carries out a line that has to succeed.
func (s *exampleShell) must(line string) {
	out, exit := s.run(line)
	require.Zero(s.t, exit, "%s\n%s", line, out)
}

// run carries out a line with the real programs.
func (s *exampleShell) run(line string) (string, int) {
	ctx, cancel := context.WithTimeout(context.Background(), commandMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", line)
	cmd.Dir = s.dir
	cmd.Env = []string{"HOME=" + s.dir, "TMPDIR=" + s.dir, "PATH=" + filepath.Dir(program(s.t, "kvcli")) + ":" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		require.NoError(s.t, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
