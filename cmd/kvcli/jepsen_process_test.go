package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/local/netns"
)

// kvcli runs a command line as a shell does: no cluster and no folder are named.
func kvcli(ctx context.Context, args ...string) outcome {
	var out, errOut bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, errOut: &errOut, getenv: func(string) string { return "" }, dial: dialCluster}
	exit := a.run(ctx, args)
	return outcome{out.String(), errOut.String(), exit}
}

// TestJepsen makes two runs. In the first the only copy of everything is lost, which
// is over budget: the promise is broken, the exit code says so, and the report shows
// which write is gone. The second is made on a cluster that runs already, and holds;
// somebody has had enough of one that was to take an hour. The list has both.
func TestJepsen(t *testing.T) {
	t.Parallel()
	runs := filepath.Join(t.TempDir(), "runs")
	o := kvcli(t.Context(), "jepsen", "run", "--workload", "blind", "--nemesis", "wipe", "--nodes", "1", "--time", "3s", "--longest", "1s",
		"--seed", "7", "--clients", "2", "--keys", "30", "--out", runs, "--kvnode", program(t, "kvnode"), "-o", "json")
	require.Equal(t, exitError, o.exit, "%s", o)
	require.Contains(t, o.stderr, "nemesis wipe takes a disk, and with w=1 of n=1 what was acknowledged may be nowhere else")
	require.NoDirExists(t, runs)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	o = kvcli(t.Context(), "jepsen", "run", "--out", filepath.Join(file, "runs"), "--kvnode", program(t, "kvnode"))
	require.Equal(t, exitError, o.exit)
	require.Contains(t, o.stderr, "--out: nothing can be saved in "+file, "before a run, not after it")

	o = kvcli(t.Context(), "jepsen", "run", "--workload", "blind", "--nemesis", "wipe", "--nodes", "1", "--time", "3s", "--longest", "1s", "--over-budget",
		"--seed", "7", "--clients", "2", "--keys", "30", "--out", runs, "--kvnode", program(t, "kvnode"), "-o", "json")
	require.Equal(t, exitBroken, o.exit, "%s", o)
	require.Contains(t, o.stderr, `"code":"promise_broken"`)
	var doc jepsenDoc
	require.NoError(t, decode(o.stdout, &doc))
	require.Equal(t, "broken", doc.Verdict)
	require.Equal(t, "kvcli jepsen run --workload blind --nemesis wipe --time 3s --seed 7 --nodes 1 --clients 2 --keys 30 --longest 1s --over-budget", doc.Command)
	require.Equal(t, doc.Operations, doc.Answered+doc.Refused+doc.Unknown)
	require.Positive(t, doc.Anomalies)
	require.Contains(t, doc.Checks, jepsenCheckDoc{"blind", "C1", "violated", checkedOf(&doc, "C1"), foundOf(&doc, "C1")})
	page, err := os.ReadFile(doc.Report)
	require.NoError(t, err)
	require.Contains(t, string(page), "was acknowledged, nothing had seen it, and it is gone")
	require.Contains(t, string(page), "This run was over budget")
	for _, path := range append(doc.Histories, doc.Document) {
		require.FileExists(t, path)
	}

	dir := filepath.Join(t.TempDir(), "cluster")
	l := live{t, dir}
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	d := doors{t, freePorts(t, 3)}
	l.ok("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(d.base), "--kvnode", program(t, "kvnode"))
	ctx, enough := context.WithTimeout(t.Context(), commandMax)
	defer enough()
	go d.afterWrites(ctx, 500, enough)
	o = kvcli(ctx, "jepsen", "run", "--dir", dir, "--workload", "register,sessions", "--nemesis", "pause", "--time", "1h", "--longest", "500ms", "--out", runs)
	require.ErrorIs(t, ctx.Err(), context.Canceled, "there were enough writes before the time was over")
	require.Zero(t, o.exit, "%s", o)
	require.Contains(t, o.stdout, "C1 acknowledged writes are kept          ok        ok\n")
	require.Contains(t, o.stdout, "Every promise held.\nReport: "+runs)
	require.Contains(t, o.stdout, "Somebody ended it early")
	require.Contains(t, o.stderr, "Interrupted: healing")
	for _, n := range l.status("local", "status").Nodes {
		require.Equal(t, local.Running, n.State, n.Name)
	}
	l.ok("local", "cut", "1/2,3")
	o = kvcli(t.Context(), "jepsen", "run", "--dir", dir, "--out", runs)
	require.Equal(t, exitError, o.exit)
	require.Contains(t, o.stderr, "is not whole: n1 is running")

	o = kvcli(t.Context(), "jepsen", "list", "--out", runs, "-o", "json")
	require.Zero(t, o.exit, "%s", o)
	var list jepsenListDoc
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &list))
	require.Len(t, list.Runs, 2)
	require.Equal(t, doc.Dir, list.Runs[0].Dir)
	require.Equal(t, []string{"broken", "held"}, []string{list.Runs[0].Verdict, list.Runs[1].Verdict})
	require.Equal(t, "cut", list.Nemeses[0].Name)
	o = kvcli(t.Context(), "jepsen", "list", "--out", runs)
	require.Contains(t, o.stdout, doc.Command)
}

// afterWrites calls enough when the first node has coordinated so many writes.
func (d doors) afterWrites(ctx context.Context, writes int, enough func()) {
	counted := regexp.MustCompile(`(?m)^kindred_coordinated_writes_total (\d+)$`)
	for ctx.Err() == nil {
		if res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", d.base+3)); err == nil {
			page, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if m := counted.FindSubmatch(page); m != nil {
				if n, _ := strconv.Atoi(string(m[1])); n >= writes {
					enough()
				}
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// TestJepsenRecords: the only copy of some keys is lost. What the nodes were given is in
// the folder of the run; each anomaly names the home of its key, and the commands that
// it comes with show what that node did with the key before its disk was lost.
func TestJepsenRecords(t *testing.T) {
	t.Parallel()
	runs := filepath.Join(t.TempDir(), "runs")
	run := func(args ...string) outcome {
		return kvcli(t.Context(), append([]string{"jepsen", "run", "--workload", "blind", "--nemesis", "wipe", "--nodes", "3", "--n", "1", "--time", "3s",
			"--longest", "1s", "--over-budget", "--seed", "7", "--clients", "2", "--keys", "30", "--out", runs, "--kvnode", program(t, "kvnode")}, args...)...)
	}
	o := run("--record", "--record-bytes", "400000000", "-o", "json")
	require.Equal(t, exitBroken, o.exit, "%s", o)
	var doc jepsenDoc
	require.NoError(t, decode(o.stdout, &doc))
	require.Contains(t, doc.Command, " --record-bytes 400000000 --record")
	require.Len(t, doc.Recordings, 3)
	there, err := os.ReadDir(runs)
	require.NoError(t, err)
	require.Len(t, there, 1, "recordings are in the folder of the run and nowhere else")

	b, err := os.ReadFile(doc.Document)
	require.NoError(t, err)
	var whole struct {
		Recordings []struct {
			Node, Dir string
			Files     int
			Starts    []struct {
				Began    float64 `json:"began_seconds"`
				Headless bool
			}
		}
		Faults    []struct{ What string }
		Workloads []struct {
			Checks []struct {
				Anomalies []struct {
					Key           string
					Nodes, Replay []string
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(b, &whole))
	wiped, starts := map[string]int{}, map[string]int{}
	for _, f := range whole.Faults {
		wiped[strings.Fields(f.What)[0]]++
	}
	for i, r := range whole.Recordings {
		require.Equal(t, doc.Recordings[i], r.Dir)
		require.NotZero(t, r.Files)
		require.Negative(t, r.Starts[0].Began, "nodes are started before the run begins")
		starts[r.Node] = len(r.Starts)
	}
	for node, times := range wiped {
		require.Equal(t, 1+times, starts[node], "the recordings of before outlive the disk")
	}

	page, err := os.ReadFile(doc.Report)
	require.NoError(t, err)
	checked := 0
	for _, c := range whole.Workloads[0].Checks {
		for _, a := range c.Anomalies {
			require.NotEmpty(t, a.Nodes)
			require.Len(t, a.Replay, len(a.Nodes))
			shown := ""
			for i, command := range a.Replay {
				require.Equal(t, "kvcli jepsen replay "+filepath.Join(doc.Dir, "recordings", a.Nodes[i])+" --key "+a.Key, command)
				require.Contains(t, doc.Replay, command)
				if checked > 0 {
					continue // the page shows a few; the others are alike, and each plays everything
				}
				require.True(t, strings.Contains(string(page), command))
				o := kvcli(t.Context(), append(strings.Fields(command)[1:], "-o", "json")...)
				require.Zero(t, o.exit, "%s", o)
				var played replayDoc
				require.NoError(t, decode(o.stdout, &played))
				for _, r := range played.Recordings {
					require.Equal(t, "exact", r.Verdict, r.Problem)
					shown += fmt.Sprint(r.Shown)
				}
			}
			if checked == 0 {
				require.Contains(t, shown, "writes object blind/\""+a.Key+"\"")
			}
			checked++
		}
	}
	require.NotZero(t, checked)

	o = run("--record", "--time", "2s", "--clients", "1")
	require.Equal(t, exitBroken, o.exit, "%s", o)
	require.Contains(t, o.stdout, "\n  kvcli jepsen replay "+runs)
	require.Contains(t, o.stdout, "Nodes:  "+runs)
}

// TestJepsenInASandbox: packets and disks of its own, and nothing of that is left. The
// exit code is that of the program in the sandbox. Where there are no namespaces, the
// command says what is missing.
func TestJepsenInASandbox(t *testing.T) {
	t.Parallel()
	runs := filepath.Join(t.TempDir(), "runs")
	run := exec.CommandContext(t.Context(), program(t, "kvcli"), "jepsen", "run", "--netns", "--nodes", "3", "--workload", "set",
		"--nemesis", "wire-loss,power", "--time", "4s", "--longest", "1s", "--seed", "1", "--out", runs, "-o", "json")
	var out, said bytes.Buffer
	run.Stdout, run.Stderr = &out, &said
	err := run.Run()
	if missing := errors.Join(netns.Missing(), netns.DisksMissing()); missing != nil {
		require.Error(t, err)
		require.NotEmpty(t, said.String())
		t.Logf("not run: %v", missing)
		return
	}
	require.NoError(t, err, said.String())
	var doc jepsenDoc
	require.NoError(t, decode(out.String(), &doc))
	require.Equal(t, "held", doc.Verdict)
	require.Positive(t, doc.Faults)
	require.Contains(t, doc.Command, " --netns")
	mounts, err := os.ReadFile("/proc/mounts")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), "kindred-jepsen-")
}

func checkedOf(d *jepsenDoc, property string) int { return checkOf(d, property).Checked }
func foundOf(d *jepsenDoc, property string) int   { return checkOf(d, property).Found }

func checkOf(d *jepsenDoc, property string) jepsenCheckDoc {
	for _, c := range d.Checks {
		if c.Property == property {
			return c
		}
	}
	return jepsenCheckDoc{}
}

// TestJepsenListShowsWhatCanBeRead: the report of one run that broke off keeps nobody
// from the others, nor from what there is to run.
func TestJepsenListShowsWhatCanBeRead(t *testing.T) {
	runs := t.TempDir()
	for name, doc := range map[string]string{"good": `{"kindred_jepsen":1,"verdict":"held","seed":7}`, "torn": `{"kindred_jep`} {
		require.NoError(t, os.Mkdir(filepath.Join(runs, name), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(runs, name, "report.json"), []byte(doc), 0o600))
	}
	o := kvcli(t.Context(), "jepsen", "list", "--out", runs)
	require.Equal(t, exitError, o.exit)
	require.Contains(t, o.stderr, filepath.Join(runs, "torn", "report.json")+": unexpected end of JSON input")
	require.Contains(t, o.stdout, filepath.Join(runs, "good")+"  held")
	require.Contains(t, o.stdout, "NEMESIS")
}

// TestJepsenRefusesWhatItCannotDo, in the words of the command line, before anything is
// started.
func TestJepsenRefusesWhatItCannotDo(t *testing.T) {
	for args, want := range map[string]string{
		"--workload bank":                 `--workload: "bank" is not a workload`,
		"--nemesis meteor":                `--nemesis: "meteor" is not a nemesis: use cut, `,
		"--nodes 0":                       "--nodes 0: use at least 1",
		"--nodes 65":                      "a local cluster of 65 nodes: use 1 to 64",
		"--r 4":                           "r of 4 with 3 copies: use 1 to 3",
		"--time 0s":                       "a time of 0s: use a time above 0",
		"--w 1 --nemesis kill":            "nemesis kill takes what was not synced, and with w=1 of n=3",
		"--nodes 1 --nemesis cut":         "nemesis cut takes at least 2 nodes, and there are 1",
		"--cluster localhost:1":           "--cluster: faults happen to processes on this machine",
		"--seed x":                        "invalid syntax",
		"--record-bytes 5":                "--record-bytes: say --record as well",
		"--dir " + t.TempDir() + "/empty": "no local cluster in ",
	} {
		o := kvcli(t.Context(), append([]string{"jepsen", "run", "--kvnode", "/bin/true"}, strings.Fields(args)...)...)
		require.NotZero(t, o.exit, args)
		require.Contains(t, o.stderr, want, args)
		require.Empty(t, o.stdout, args)
	}
}

// A verdict is told, and is the exit code, whatever becomes of saving the run and of
// its cluster.
func TestAVerdictSurvivesThatItsRunCannotBeSaved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	var f jepsenFlags
	saved := f.save(&report.Run{}, file)
	require.ErrorContains(t, saved, "not all of the run could be saved in "+file)
	doc := describe(errors.Join(&result{exit: exitBroken, code: "promise_broken", message: "C1"}, saved))
	require.Equal(t, exitBroken, doc.Exit)
	require.Contains(t, doc.Message, file)
}
