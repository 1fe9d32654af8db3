package jepsen_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/jepsen/nemesis"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

var (
	stormFor  = flag.Duration("storm", 12*time.Second, "how long faults happen to real processes")
	stormSeed = flag.Uint64("seed", 0, "seed of the storm; 0 draws one")
	// keepRuns is a folder for reports and histories.
	keepRuns = flag.String("histories", "", "folder to write reports and histories to, in EDN too: jepsen/history/README.md")
	bitesOf  = flag.String("bites", "", "nemeses of TestEveryNemesisBites, separated by commas; all if empty")
	kvnode   string
)

// kvnodeEnv names the program where this test has started itself.
const kvnodeEnv = "KINDRED_TEST_KVNODE"

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if kvnode = os.Getenv(kvnodeEnv); kvnode != "" {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "kindred-jepsen")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		kvnode = filepath.Join(dir, "kvnode")
		build := exec.Command("go", "build", "-o", kvnode, "github.com/kindredkv/kindred/cmd/kvnode")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building kvnode: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// TestStorm runs every workload against three real processes while one of them
// at a time is killed with -9 and restarted, or frozen and thawed. Nothing that
// was acknowledged may be lost, and those who use the client library may not
// notice at all: no operation of theirs fails.
func TestStorm(t *testing.T) {
	run := storm(t, 3, jepsen.Plan{
		Workloads: workload.Kinds(), Nemeses: kinds(t, "kill", "pause"), Time: *stormFor, Longest: 2500 * time.Millisecond,
		Keys: 8, Pause: 5 * time.Millisecond,
	})
	var slowest time.Duration
	happened := map[string]int{}
	for _, f := range run.Faults {
		happened[f.Kind]++
		slowest = max(slowest, f.Ready-f.End)
	}
	t.Logf("faults: %v; %v until the slowest was ready again", happened, slowest.Round(time.Millisecond))
	require.NotZero(t, happened["kill"], "a storm without a kill proves nothing")
}

func kinds(t *testing.T, names ...string) []nemesis.Kind {
	all, _, err := nemesis.Parse(names)
	require.NoError(t, err)
	return all
}

// storm makes a run on a cluster of its own. It has to hold, and nobody who uses the
// client library may notice.
func storm(t *testing.T, nodes int, p jepsen.Plan) *report.Run {
	if p.Cluster == nil {
		p.Cluster, _, _ = startNodes(t, nodes)
	}
	run := attempt(t, p)
	for i := range run.Parts {
		part := &run.Parts[i]
		t.Logf("%s: %+v, %+v", part.Workload, part.Tally(""), part.Report.Counts)
		for j := range part.History.Ops {
			if op := &part.History.Ops[j]; op.Error != "" && part.Door(op.Process) == jepsen.ByLibrary {
				t.Errorf("%s: an operation failed through the client library: %v: %s", part.Workload, op, op.Error)
				break
			}
		}
		if part.Tally("").Operations < 100 {
			t.Errorf("%s: only %d operations", part.Workload, part.Tally("").Operations)
		}
		if run.Verdict() != report.Held {
			t.Errorf("%s: %s: %v", part.Workload, run.Headline(), &part.Report)
		}
	}
	return run
}

// attempt makes a run, whatever comes of it.
func attempt(t *testing.T, p jepsen.Plan) *report.Run {
	p.N, p.Seed = 3, *stormSeed
	if p.Seed == 0 {
		p.Seed = rand.Uint64()
	}
	t.Logf("seed %d: go test ./jepsen -run %s -seed=%d", p.Seed, t.Name(), p.Seed)
	run, err := jepsen.Run(t.Context(), p)
	require.NoError(t, err)
	if *keepRuns != "" {
		require.NoError(t, jepsen.Save(run, filepath.Join(*keepRuns, t.Name())))
	}
	t.Logf("%s; at rest %v after the last operation", run.Headline(), run.Rest.Took.Round(time.Millisecond))
	return run
}

func startCluster(t *testing.T) (c *local.Cluster, names, addrs []string) { return startNodes(t, 3) }

func startNodes(t *testing.T, nodes int) (c *local.Cluster, names, addrs []string) {
	c, end, err := jepsen.StartCluster(context.Background(), jepsen.ClusterOptions{KVNode: kvnode, Dir: t.TempDir(), Nodes: nodes, Zones: 3, N: 3})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, end(false))
		if t.Failed() {
			keepLogs(t, c)
		}
	})
	status, err := c.Status()
	require.NoError(t, err)
	for _, n := range status.Nodes {
		names, addrs = append(names, n.Name), append(addrs, n.Client)
	}
	return c, names, addrs
}

// keepLogs shows the end of every node's log.
func keepLogs(t *testing.T, c *local.Cluster) {
	status, err := c.Status()
	require.NoError(t, err)
	for _, n := range status.Nodes {
		lines, err := local.TailLines(n.LogFile, 20)
		require.NoError(t, err)
		for _, l := range lines {
			t.Logf("%s | %s", n.Name, l)
		}
	}
}
