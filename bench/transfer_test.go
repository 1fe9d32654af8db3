//go:build !race

package bench

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

const (
	// TransferRateMin is the least rate of the copies for a node that joins, without the
	// throttle, as a share of the rate at which the engine alone takes batches of the same
	// rows in their order, which is the order in which they come.
	TransferRateMin = 0.25
	// TransferSlowdownMax is how many times their p99 requests may take while nodes join,
	// with the throttle, in an open loop at TransferLoad of the peak.
	TransferSlowdownMax = 2.0
	TransferLoad        = 0.20
	// transferSize is the size of the values that move.
	transferSize = 1000
	// othersMax is how many processors other programs may take while it is measured: with
	// more nothing is judged.
	othersMax = 0.15
)

var transferReport = flag.String("transfers", "", "write what transfers come to into this file")

// transferHead begins the report of both tests.
const transferHead = `# What transfers come to

Written by ` + "`make bench-transfer UPDATE=1`" + `, not by hand. Three nodes on one machine become more; single figures depend on the machine, ratios much less.
`

// transferRig is a cluster of three nodes of one zone with something to move.
type transferRig struct {
	cluster *local.Cluster
	kv      *client.Client
	base    int
}

func newTransferRig(t *testing.T, keys int64, args ...string) *transferRig {
	base, err := local.FreeBasePort(5, 17400)
	require.NoError(t, err)
	ctx := context.Background()
	c, _, err := local.Start(ctx, local.Options{
		Dir: t.TempDir(), KVNode: kvnode, Args: args, Shape: local.Shape{Nodes: 3, Zones: 1, BasePort: base},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := c.Stop(ctx, 10*time.Second)
		require.NoError(t, err)
	})
	r := &transferRig{cluster: c, kv: dial(t, c), base: base}
	value := bytes.Repeat([]byte("v"), transferSize)
	each(t, keys, func(n int64) error {
		_, err := r.kv.Bucket("moved").Put(ctx, keyOf(1, n), value)
		return err
	})
	return r
}

// moved is one change: what was predicted, what came, and how long the copies took.
type moved struct {
	kindred.PastChange
	took, copying time.Duration
}

func (m moved) String() string {
	return fmt.Sprintf("%d copies; %.1f MB predicted, %.1f MB sent (%.3f); %.1f s predicted, took %.1f s (%.2f), the copies %.1f s at %.1f MB/s",
		m.Copies, megabytes(m.Bytes), megabytes(m.Moved), float64(m.Moved)/float64(m.Bytes),
		m.Expected.Seconds(), m.took.Seconds(), m.took.Seconds()/m.Expected.Seconds(), m.copying.Seconds(), m.rate()/1e6)
}

func megabytes(bytes uint64) float64 { return float64(bytes) / 1e6 }

// rate is in bytes a second.
func (m moved) rate() float64 { return float64(m.Moved) / m.copying.Seconds() }

// added starts another node, which owns nothing.
func (r *transferRig) added(t *testing.T) (name string) {
	nodes, err := r.cluster.Add(context.Background(), 1, local.AddOptions{})
	require.NoError(t, err)
	return nodes[0].Name
}

// join lets a node own as much as the others, and waits until that is settled.
func (r *transferRig) join(t *testing.T, name string) (m moved) {
	ctx := context.Background()
	node, err := r.cluster.Node(name)
	require.NoError(t, err)
	asked, err := client.Dial(ctx, []string{node.Client})
	require.NoError(t, err)
	defer asked.Close()
	change := kindred.NodeChange{Node: name, Intent: kindred.IntentOwn, Zone: "z1", Capacity: 100}
	for try := 0; ; try++ { // gossip may still have to spread
		_, err := r.kv.Stage(ctx, "n1", change)
		if err == nil {
			break
		}
		require.Less(t, try, 100, err)
		<-time.After(100 * time.Millisecond)
	}
	plan, err := r.kv.Plan(ctx, "n1")
	require.NoError(t, err)
	_, err = r.kv.Commit(ctx, "n1", plan.Version, false)
	require.NoError(t, err)
	began, every, came := time.Now(), 20*time.Millisecond, uint64(0)
	var first, last time.Time
	for m.Outcome != "settled" || m.Moved == 0 {
		require.Less(t, time.Since(began), 2*time.Minute)
		<-time.After(every) // a process can only be asked again
		known, err := asked.Changes(ctx, name)
		require.NoError(t, err)
		if got := known.Progress.Transfer.Bytes; got > came {
			if last = time.Now(); came == 0 {
				first = last.Add(-every)
			}
			came = got
		}
		m.PastChange = known.History[0]
	}
	m.took, m.copying = m.Ended.Sub(m.Committed), last.Sub(first)
	t.Logf("%s joins: %v", name, m)
	return m
}

// TestATransferKeepsUpWithTheEngine lets a node join without the throttle.
func TestATransferKeepsUpWithTheEngine(t *testing.T) {
	keys := int64(10_000)
	if *million {
		keys = 150_000
	}
	r := newTransferRig(t, keys, "--transfer-bytes", "0", "--transfer-slowdown", "0")
	name := r.added(t)
	alone := newOthers(t, r.cluster)
	m := r.join(t, name)
	rows := int(m.Moved / transferSize)
	inOrder, arriving := engineCost(t, rows, transferSize, true), engineCost(t, rows, transferSize, false)
	took := alone.cores(t, r.cluster)
	share := m.rate() / inOrder.byteRate()
	t.Logf("the engine alone takes %.1f MB/s of such rows in order (%.0f %%), %.1f MB/s as clients put them (%.0f %%); other programs took %.2f processors",
		inOrder.byteRate()/1e6, 100*share, arriving.byteRate()/1e6, 100*m.rate()/arriving.byteRate(), took)
	if *million {
		judge(t, took, func() { require.GreaterOrEqual(t, share, TransferRateMin) })
		report(t, *transferReport, transferHead, "keeps up", fmt.Sprintf(`## A node joins without the throttle

%d keys with values of %d bytes on three nodes, no clients, `+"`--transfer-bytes 0 --transfer-slowdown 0`"+`. Both ends of every copy, the commits of three replicas and the engine share the processors.

| | |
| --- | --- |
| the copies for the node that joins | %.1f MB/s |
| the engine alone, the same rows in order, batches of 256 KiB | %.1f MB/s |
| the engine alone, in the order in which clients put them | %.1f MB/s |
| **share of the engine in order** (bar: ≥ %.0f %%) | **%.0f %%** |
| bytes sent / predicted (bars: ≤ 1.15, within 10 %%) | %.1f MB / %.1f MB = %.3f |
| copies moved / fewest that make shares even | %d / %d |
| seconds from commit to settled, predicted | %.1f, %.1f |
| processors that other programs took meanwhile | %.2f |
`, keys, transferSize, m.rate()/1e6, inOrder.byteRate()/1e6, arriving.byteRate()/1e6, 100*TransferRateMin, 100*share,
			megabytes(m.Moved), megabytes(m.Bytes), float64(m.Moved)/float64(m.Bytes), m.Copies, 256*3/4, m.took.Seconds(), m.Expected.Seconds(), took))
	}
}

// TestATransferHardlyDisturbsClients lets nodes join one after another under an open loop
// of requests, each between two quiet windows: see TestHintsAreDeliveredUnderLoad.
func TestATransferHardlyDisturbsClients(t *testing.T) {
	keys, asked, quietFor, rounds := int64(5_000), 5_000, time.Second, 1
	if *million {
		keys, asked, quietFor, rounds = 40_000, 50_000, 12*time.Second, 2
	}
	r := newTransferRig(t, keys)
	mix := newRewrites(r.kv.Bucket("asked"), bytes.Repeat([]byte("v"), 100))
	mix.seen = mix.seen[:asked]
	each(t, int64(len(mix.seen)), func(i int64) error { return mix.put(context.Background(), i-1) })
	peak := load(t, r.cluster, mix.op)
	rate := TransferLoad * peak.rate()
	t.Logf("peak %.0f op/s; %.0f op/s while it is measured", peak.rate(), rate)
	name := r.added(t)
	alone := newOthers(t, r.cluster)
	window := func() []request {
		w := openLoop(t, rate, mix.op, func(since time.Duration) bool { return since < quietFor })
		t.Logf("quiet: %v", summary(w))
		return w
	}
	quiet, busy, changes := window(), []request(nil), []moved(nil)
	for round := range rounds {
		if round > 0 {
			name = r.added(t)
		}
		ended := make(chan moved, 1)
		go func() { ended <- r.join(t, name) }()
		during := openLoop(t, rate, mix.op, func(time.Duration) bool { return len(ended) == 0 })
		t.Logf("while %s joins: %v", name, summary(during))
		changes, busy = append(changes, <-ended), append(busy, during...)
		quiet = append(quiet, window()...)
	}
	atRest, meanwhile, took := summary(quiet), summary(busy), alone.cores(t, r.cluster)
	slowdown := float64(meanwhile.p99) / float64(atRest.p99)
	t.Logf("quiet, all: %v", atRest)
	t.Logf("while nodes join, all: %v, %.2f times the quiet p99; other programs took %.2f processors", meanwhile, slowdown, took)
	if *million {
		judge(t, took, func() { require.LessOrEqual(t, slowdown, TransferSlowdownMax) })
		report(t, *transferReport, transferHead, "hardly disturbs", disturbance(keys, rate, atRest, meanwhile, changes, took))
	}
}

// judge demands what is to be shown where nothing else was going on.
func judge(t *testing.T, others float64, demand func()) {
	if others > othersMax {
		t.Logf("not judged: other programs took %.2f processors", others)
		return
	}
	demand()
}

func disturbance(keys int64, rate float64, quiet, busy latencies, changes []moved, others float64) string {
	text := fmt.Sprintf(`## Nodes join under load, with the throttle

%d keys with values of %d bytes move beside an open loop of puts and gets of 50,000 other keys, %.0f a second, %.0f %% of what the cluster did at its peak. Default settings. Quiet windows lie before, between and after.

| | p50 | p99 | p99.9 |
| --- | --: | --: | --: |
| quiet | %v | %v | %v |
| while nodes join | %v | %v | %v |

**p99 while nodes join / quiet: %.2f** (bar: ≤ %.0f). Processors that other programs took meanwhile: %.2f.

| node that joins | copies | MB predicted | MB sent | ratio | seconds predicted | seconds | MB/s |
| --- | --: | --: | --: | --: | --: | --: | --: |
`, keys, transferSize, rate, 100*TransferLoad, quiet.p50, quiet.p99, quiet.p999, busy.p50, busy.p99, busy.p999,
		float64(busy.p99)/float64(quiet.p99), TransferSlowdownMax, others)
	for i, m := range changes {
		text += fmt.Sprintf("| n%d | %d | %.1f | %.1f | %.3f | %.1f | %.1f | %.1f |\n", i+4, m.Copies, megabytes(m.Bytes), megabytes(m.Moved),
			float64(m.Moved)/float64(m.Bytes), m.Expected.Seconds(), m.took.Seconds(), m.rate()/1e6)
	}
	return text
}
