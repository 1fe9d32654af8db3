package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

// binaries builds the real programs once.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "kindred-bin-")
	if err != nil {
		return "", err
	}
	built = dir
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", dir+"/", "../kvnode", ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// built is the folder of the binaries, once there is one.
var built string

func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := binaries()
	require.NoError(t, err)
	return filepath.Join(dir, name)
}

// commandMax is how long a command may take before it is given up: the demo takes
// half a minute on an idle machine.
const commandMax = 5 * time.Minute

// live runs command lines against a real cluster in a folder.
type live struct {
	t   *testing.T
	dir string
}

func (l live) run(args ...string) outcome {
	l.t.Helper()
	return l.runWith("", args...)
}

// runWith is run with something on standard input.
func (l live) runWith(stdin string, args ...string) outcome {
	l.t.Helper()
	var out, errOut bytes.Buffer
	a := &app{
		in: strings.NewReader(stdin), out: &out, errOut: &errOut,
		getenv: func(string) string { return "" }, dial: dialCluster,
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandMax)
	defer cancel()
	exit := a.run(ctx, append(args, "--dir", l.dir))
	return outcome{out.String(), errOut.String(), exit}
}

// clusters counts those that these tests have started.
var clusters atomic.Int32

// freePorts finds ports for a cluster from 10000 to 14000, where the tests of no
// other package look and from which no system takes ports for connections. Tests
// run side by side and nothing keeps the ports, so each call looks elsewhere.
func freePorts(t *testing.T, nodes int) int {
	t.Helper()
	const room, places = 100, 40
	base, err := local.FreeBasePort(nodes, 10000+room*((os.Getpid()+int(clusters.Add(1)))%places))
	require.NoError(t, err)
	return base
}

// ok runs a command line that must succeed and returns its output.
func (l live) ok(args ...string) string {
	l.t.Helper()
	o := l.run(args...)
	require.Zero(l.t, o.exit, "kvcli %s: %s", strings.Join(args, " "), o)
	return o.stdout
}

func (l live) status(args ...string) startDoc {
	l.t.Helper()
	var doc startDoc
	require.NoError(l.t, json.Unmarshal([]byte(l.ok(append(args, "-o", "json")...)), &doc))
	return doc
}

// TestALocalCluster follows one cluster of real nodes through its life.
func TestALocalCluster(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 3)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	doc := l.status("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	require.Equal(t, []string{"n1", "n2", "n3"}, doc.Started)
	require.Len(t, doc.Nodes, 3)

	t.Run("the document of status is complete", func(t *testing.T) {
		var doc struct {
			Dir   string
			Nodes []map[string]any
		}
		require.NoError(t, json.Unmarshal([]byte(l.ok("local", "status", "-o", "json")), &doc))
		n := doc.Nodes[1]
		require.NotZero(t, n["pid"])
		delete(n, "pid")
		require.Equal(t, map[string]any{
			"name": "n2", "state": "running", "zone": "z2",
			"client": fmt.Sprintf("127.0.0.1:%d", base+10), "peer": fmt.Sprintf("127.0.0.1:%d", base+11),
			"gossip": fmt.Sprintf("127.0.0.1:%d", base+12), "http": fmt.Sprintf("127.0.0.1:%d", base+13),
			"data_dir": filepath.Join(l.dir, "n2", "data"), "log_file": filepath.Join(l.dir, "n2", "kvnode.log"),
			"faults": map[string]any{"no_send": []any{}, "no_receive": []any{}, "delay": "0s", "clock": "0s", "pending": false},
		}, n)
	})
	t.Run("keys are written, read and deleted", func(t *testing.T) {
		require.Equal(t, 2, l.run("get", "carts", "alice").exit)
		l.ok("put", "carts", "alice", "milk")
		require.Equal(t, "milk", l.ok("get", "carts", "alice"))
		l.ok("put", "carts", "alice", "bread")
		require.Equal(t, "bread", l.ok("get", "carts", "alice"), "a put replaces what it has read")
		l.ok("put", "carts", "alice", "eggs", "--blind")
		require.Equal(t, 3, l.run("get", "carts", "alice").exit)
		require.Equal(t, "alice\t2 siblings\n", l.ok("scan", "carts", "--conflicts-only"))
		var obj objectDoc
		require.NoError(t, decode(l.run("get", "carts", "alice", "-o", "json").stdout, &obj))
		require.Len(t, obj.Siblings, 2)
		l.ok("put", "carts", "alice", "bread, eggs", "--context", obj.Context)
		require.Equal(t, "bread, eggs", l.ok("get", "carts", "alice"))
		require.Equal(t, 1, l.run("put", "carts", "bob", "x", "--context", obj.Context).exit, "a context of another key")
		l.ok("del", "carts", "alice")
		require.Equal(t, 2, l.run("get", "carts", "alice").exit)
	})
	t.Run("the cluster shows itself", func(t *testing.T) {
		l.ok("put", "b", "k", "v", "--w", "all")
		var where whereDoc
		require.NoError(t, decode(l.ok("key", "where", "b", "k", "-o", "json"), &where))
		require.Len(t, where.Homes, 3)
		var inspected inspectDoc
		require.NoError(t, decode(l.ok("key", "inspect", "b", "k", "-o", "json"), &inspected))
		require.Equal(t, verdictEqual, inspected.Verdict)
		require.Contains(t, l.ok("cluster", "status"), "3 members: 3 alive")
		require.Contains(t, l.ok("cluster", "members"), "n3")
		require.Contains(t, l.ok("cluster", "ring"), "3 replicas of each")
	})
	t.Run("every node sees every other", func(t *testing.T) {
		var doc localStatusDoc
		require.NoError(t, decode(l.ok("local", "status", "-o", "json"), &doc))
		require.Len(t, doc.Views, 3)
		for _, v := range doc.Views {
			require.Empty(t, v.Error)
			require.Len(t, v.Sees, 2)
			require.Equal(t, doc.Views[0].LayoutVersion, v.LayoutVersion)
		}
		require.Regexp(t, `(?m)^n2    yes  -    yes$`, l.ok("local", "status"))
		require.Contains(t, l.ok("local", "status"), "n3    z3    256         "+strings.Repeat("█", ringWidth))
		var logs logsDoc
		require.NoError(t, decode(l.ok("local", "logs", "2", "--tail", "3", "-o", "json"), &logs))
		require.Len(t, logs.Lines, 3)
		require.Equal(t, 1, l.run("local", "logs", "2", "-f", "-o", "json").exit)
	})
	t.Run("a node is killed and comes back", func(t *testing.T) {
		l.ok("local", "kill", "2")
		require.Contains(t, l.ok("local", "status"), "n2 does not say: it is stopped")
		require.Equal(t, local.Stopped, l.status("local", "status").Nodes[1].State)
		require.Equal(t, "v", l.ok("get", "b", "k"))
		o := l.run("key", "inspect", "b", "k")
		require.Equal(t, 6, o.exit, "unknown is not healthy (I12)")
		require.Contains(t, o.stdout, "unknown")
		require.Equal(t, 6, l.run("put", "b", "k", "w", "--blind", "--pw", "all", "--timeout", "1s").exit)
		l.ok("local", "restart", "2")
		require.Equal(t, local.Running, l.status("local", "status").Nodes[1].State)
		require.Contains(t, l.ok("local", "logs", "2", "--tail", "20"), "ready")
	})
	t.Run("start and wipe know what runs", func(t *testing.T) {
		require.Empty(t, l.status("local", "start", "--kvnode", program(t, "kvnode")).Started)
		require.Equal(t, 1, l.run("local", "start", "--nodes", "4", "--kvnode", program(t, "kvnode")).exit)
		require.Equal(t, 5, l.run("local", "wipe", "1").exit)
		require.Equal(t, local.Paused, l.status("local", "pause", "3").Nodes[2].State)
		require.Equal(t, local.Running, l.status("local", "resume", "3").Nodes[2].State)
	})
	t.Run("the network fails on purpose and is healed", func(t *testing.T) {
		require.NotContains(t, l.ok("local", "status"), "FAULTS")
		o := l.run("local", "cut", "1/2", "--one-way")
		require.Zero(t, o.exit, o.stderr)
		require.Contains(t, o.stderr, "n3: on neither side, so still talking to everyone.")
		require.Regexp(t, `n1 .* cannot send to n2\n`, o.stdout)
		require.Regexp(t, `n2 .* cannot hear n1\n`, o.stdout)
		l.ok("local", "partition", "1/2,3")
		l.ok("local", "slow", "3", "20ms")
		faults := l.status("local", "status").Nodes
		require.Equal(t, []string{"n2", "n3"}, faults[0].Faults.NoReceive)
		require.Equal(t, "cut from n1; sends 20ms late", faults[2].Faults.String())
		require.Contains(t, l.ok("cluster", "status"), "is under injected faults: cut from n", "whichever node is asked, all are cut")
		require.Equal(t, "v", l.ok("get", "b", "k"), "two of three replicas meet")
		l.ok("local", "restart", "3", "--no-wait")
		require.Equal(t, "20ms", l.status("local", "status").Nodes[2].Faults.Delay)
		require.NotContains(t, l.ok("local", "heal"), "FAULTS")
		l.ok("put", "b", "k", "v", "--w", "all", "--timeout", "30s")
		require.Equal(t, 1, l.run("local", "cut", "1/9").exit)
		require.Equal(t, 1, l.run("local", "slow", "1", "2h").exit)
	})
	t.Run("it stops and starts again with its data", func(t *testing.T) {
		o := l.run("local", "stop", "-o", "json")
		require.Zero(t, o.exit)
		var doc stopDoc
		require.NoError(t, json.Unmarshal([]byte(o.stdout), &doc))
		require.Equal(t, []stoppedDoc{{"n1", false}, {"n2", false}, {"n3", false}}, doc.Stopped)
		require.Equal(t, 6, l.run("get", "b", "k", "--timeout", "300ms", "--cluster", fmt.Sprintf("127.0.0.1:%d", base)).exit)
		l.ok("local", "wipe", "3")
		l.ok("local", "start", "--kvnode", program(t, "kvnode"))
		require.Equal(t, "v", l.ok("get", "b", "k"))
	})
}
