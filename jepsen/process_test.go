package jepsen

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

var (
	stormFor  = flag.Duration("storm", 12*time.Second, "how long faults happen to real processes")
	stormSeed = flag.Uint64("seed", 0, "seed of the storm; 0 draws one")
	// keepHistory is a folder for the histories of the run.
	keepHistory = flag.String("histories", "", "folder to write the histories to, in EDN too: jepsen/history/README.md")
	bitesOf     = flag.String("bites", "", "nemeses of TestEveryNemesisBites, separated by commas; all if empty")
	kvnode      string
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
	seed := *stormSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d: go test ./jepsen -run TestStorm -seed=%d -storm=%v", seed, seed, *stormFor)
	ctx := context.Background()
	cluster, names, addrs := startCluster(t)
	kv, err := client.Dial(ctx, addrs, client.WithTimeout(20*time.Second))
	require.NoError(t, err)
	defer kv.Close()
	nodes, err := DialNodes(names, addrs, 10*time.Second)
	require.NoError(t, err)
	defer nodes.Close()

	stop := make(chan struct{})
	var runs sync.WaitGroup
	for i, kind := range workload.Kinds() {
		r := Runner{
			Kind: kind, Clients: 4, Seed: seed + uint64(i), Door: Library{kv}, Final: nodes,
			Config: workload.Config{Bucket: string(kind), Keys: 8, Nodes: len(names), SetElements: 200},
			N:      3, R: 2, W: 2, Pause: 5 * time.Millisecond,
		}
		if kind == workload.Sessions {
			r.Door = nodes // a session that changes nodes must not be routed
		}
		runs.Go(func() { judge(t, r, stop) })
	}
	faults := storm(t, cluster, names, rand.New(rand.NewPCG(seed, 99)))
	close(stop)
	runs.Wait()
	t.Logf("faults: %d kills with restart, %d pauses; %v until the slowest restart had caught up", faults.kills, faults.pauses, faults.slowest.Round(time.Millisecond))
	require.NotZero(t, faults.kills, "a storm without a kill proves nothing")
}

// judge runs one workload to its end and checks what its clients were told.
func judge(t *testing.T, r Runner, stop <-chan struct{}) {
	h, tally, err := r.Run(context.Background(), stop)
	if err != nil {
		t.Errorf("%s: %v", r.Kind, err)
		return
	}
	report := checker.Check(&h, checker.Options{})
	t.Logf("%s: %d operations, %d failed, %+v", r.Kind, tally.Operations, tally.Failed, report.Counts)
	for _, v := range report.Verdicts {
		// Without a refused operation nothing can appear that was refused.
		if v.Status == checker.Violated || v.Status == checker.Unknown && v.Property != checker.NotApplied {
			t.Errorf("%s: %v is %v\n%v", r.Kind, v.Property, v.Status, report)
		}
	}
	if *keepHistory != "" {
		if err := save(h, filepath.Join(*keepHistory, string(r.Kind))); err != nil {
			t.Error(err)
		}
	}
	if _, library := r.Door.(Library); library && tally.Failed > 0 {
		for _, op := range h.Ops {
			if op.Error != "" {
				t.Errorf("%s: %d operations failed through the client library, the first: %v: %s", r.Kind, tally.Failed, op.Kind, op.Error)
				break
			}
		}
	}
	if tally.Operations < 100 {
		t.Errorf("%s: only %d operations", r.Kind, tally.Operations)
	}
}

// save keeps a history for this checker and for those of Jepsen.
func save(h history.History, path string) error {
	f, err := os.Create(path + ".jsonl")
	if err != nil {
		return err
	}
	files, err := h.Exports(filepath.Base(path))
	err = errors.Join(h.Write(f), f.Close(), err)
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(filepath.Dir(path), name), text, 0o644))
	}
	return err
}

type faults struct {
	kills, pauses int
	// slowest is how long the slowest restart took until the node was ready, which
	// is when all its replicas count toward reads again.
	slowest time.Duration
}

// storm hurts one node at a time and lets it come back before the next. A kill
// may take the moments before it that only this node had not synced; two at
// once could take both copies of a write, which durability batch does not
// promise to survive. A node that was killed is not read before it has caught up
// with the others, and only then is the next one hurt (R17).
func storm(t *testing.T, c *local.Cluster, names []string, random *rand.Rand) (f faults) {
	ctx := context.Background()
	for end := time.Now().Add(*stormFor); time.Now().Before(end); {
		node := names[random.IntN(len(names))]
		if f.kills == 0 || random.IntN(3) > 0 {
			require.NoError(t, c.Kill(ctx, node))
			<-time.After(time.Duration(random.IntN(1500)) * time.Millisecond)
			begun := time.Now()
			require.NoError(t, c.Restart(ctx, node, local.RestartOptions{})) // waits until it is ready
			f.slowest = max(f.slowest, time.Since(begun))
			f.kills++
		} else {
			require.NoError(t, c.Pause(ctx, node))
			<-time.After(time.Duration(random.IntN(2500)) * time.Millisecond)
			require.NoError(t, c.Resume(ctx, node))
			f.pauses++
		}
		<-time.After(time.Duration(500+random.IntN(1000)) * time.Millisecond)
	}
	return f
}

func startCluster(t *testing.T) (c *local.Cluster, names, addrs []string) { return startNodes(t, 3) }

func startNodes(t *testing.T, nodes int) (c *local.Cluster, names, addrs []string) {
	base, err := local.FreeBasePort(nodes, 18600+100*(os.Getpid()%10))
	require.NoError(t, err)
	ctx := context.Background()
	dir := t.TempDir()
	c, _, err = local.Start(ctx, local.Options{Dir: dir, KVNode: kvnode, Shape: local.Shape{Nodes: nodes, Zones: 3, BasePort: base}})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := c.Stop(ctx, 10*time.Second)
		require.NoError(t, err)
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
