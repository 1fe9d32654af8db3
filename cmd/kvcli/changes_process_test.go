package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/ring"
)

// changeMax is how long a change may take here.
const changeMax = "2m"

// TestAClusterGrowsAndShrinks follows real nodes: three with data become six, and two of
// the first three leave. All the while a client writes and reads, and nothing it does
// fails; in the end every value is where the new layout says. No copy moves that need not,
// and what a plan predicts is what comes.
func TestAClusterGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 6)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	kvnode := program(t, "kvnode")
	l.status("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(base), "--kvnode", kvnode)
	fill(t, l, 300)
	load := startTraffic(t, base)
	load.ballast(t, 6000, 3000)

	for i := 4; i <= 6; i++ {
		joinNode(t, kvnode, base, i)
	}
	require.Eventually(t, func() bool { return linkedIn(l) == 6 }, time.Minute, 100*time.Millisecond, "six nodes see one another")
	require.Equal(t, map[string]int{"n1": 256, "n2": 256, "n3": 256}, shares(l), "who joins owns nothing before a plan says so")

	var staged stagedDoc
	require.Eventually(t, func() bool { // another node may be asked, which sees them a moment later
		o := l.run("cluster", "join", "n4", "n5", "n6", "-o", "json")
		return o.exit == exitDone && decode(o.stdout, &staged) == nil
	}, time.Minute, 100*time.Millisecond)
	require.Len(t, staged.Staged, 3)
	plan := planned(t, l)
	require.Equal(t, 3*128, plan.Copies)
	require.Equal(t, fewest(plan), plan.Copies, "who joins is given what it is short of, and nobody else anything")
	changed(t, l, plan.Version)
	require.Equal(t, map[string]int{"n1": 128, "n2": 128, "n3": 128, "n4": 128, "n5": 128, "n6": 128}, shares(l))
	all(t, l, 300)

	l.ok("cluster", "leave", "n1", "n2")
	plan = planned(t, l)
	require.Equal(t, fewest(plan), plan.Copies)
	changed(t, l, plan.Version)
	now := shares(l)
	require.Zero(t, now["n1"]+now["n2"], "%v", now)
	require.Equal(t, 3*256, now["n3"]+now["n4"]+now["n5"]+now["n6"])
	all(t, l, 300)
	load.end()

	var past historyDoc
	require.Eventually(t, func() bool {
		require.NoError(t, decode(l.ok("cluster", "history", "-o", "json"), &past))
		return len(past.History) == 2 && asPredicted(past.History[0]) && asPredicted(past.History[1])
	}, 10*time.Second, 200*time.Millisecond, "what came is what was predicted: %+v", &past)
	for _, p := range past.History {
		t.Logf("%s: %d bytes predicted, %d came (%.3f); %.1f s predicted, took %.1f s", p.Version, p.Bytes, p.Moved, float64(p.Moved)/float64(p.Bytes), p.Expected, p.Took)
		require.Equal(t, "settled", p.Outcome)
		require.Positive(t, p.Took)
		require.Positive(t, p.Expected)
	}
	require.Equal(t, exitError, l.run("cluster", "commit").exit, "nothing is staged")
}

// TestARemovedNodeReturnsWhatOnlyItHas kills a node that has writes which nobody else has
// heard of, removes it, and lets it come back: it keeps them and serves nobody, until it
// is asked to return them. What was overwritten meanwhile is not undone by that.
func TestARemovedNodeReturnsWhatOnlyItHas(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 4)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.status("local", "start", "--nodes", "4", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	l.ok("bucket", "create", "alone", "--w", "1", "--durability", "sync")
	l.ok("put", "alone", "both", "old")

	layout := layoutAt(t, base)
	l.ok("local", "cut", "4/1,2,3")
	var keys []string
	for i := 0; len(keys) < 20; i++ {
		key := fmt.Sprintf("key%d", i)
		if slices.Contains(layout.Homes(layout.PartitionOf("alone", key), layout.Replicas()), "n4") {
			putAt(t, fmt.Sprintf("http://127.0.0.1:%d/v1/buckets/alone/keys/%s", base+33, key))
			keys = append(keys, key)
		}
	}
	l.ok("local", "kill", "n4")
	l.ok("local", "heal")
	l.ok("cluster", "remove", "n4", "--yes")
	changed(t, l, planned(t, l).Version)
	l.ok("put", "alone", "both", "new")
	require.Equal(t, keys, missingOf(l, keys), "nobody else has heard of them")

	l.ok("local", "restart", "n4", "--no-wait")
	require.Eventually(t, func() bool { return linkedIn(l) == 4 }, time.Minute, 100*time.Millisecond, "n4 is seen again")
	answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", base+33))
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.Contains(t, string(body), "was removed")
	require.Equal(t, keys, missingOf(l, keys), "it gives nothing before it is asked")

	require.Eventually(t, func() bool { return l.run("cluster", "return", "n4").exit == exitDone }, time.Minute, 100*time.Millisecond)
	changed(t, l, planned(t, l).Version)
	require.Eventually(t, func() bool { return len(missingOf(l, keys)) == 0 }, time.Minute, 100*time.Millisecond)
	require.Equal(t, "new", strings.TrimSpace(l.ok("get", "alone", "both")))
	require.Equal(t, exitError, l.run("cluster", "return", "n4").exit, "it is a member now")
	l.ok("cluster", "leave", "n4")
	changed(t, l, planned(t, l).Version)
	require.Empty(t, missingOf(l, keys))
}

// TestALeaverThatDiesForGoodIsRemoved kills a node while it gives away what it has: it is
// no member of the new layout, and all wait for it.
func TestALeaverThatDiesForGoodIsRemoved(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 4)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.status("local", "start", "--nodes", "4", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	fill(t, l, 100)
	require.Equal(t, exitError, l.run("cluster", "remove", "n7", "--yes").exit, "nobody knows it")

	l.ok("local", "cut", "2/3") // so that n2 never has all of what n3 has
	l.ok("cluster", "leave", "n4")
	version := planned(t, l).Version
	l.ok("cluster", "commit", version)
	stands := func(lacks string) func() bool {
		return func() bool {
			var doc clusterDoc
			require.NoError(t, decode(l.ok("cluster", "status", "-o", "json"), &doc))
			return doc.LayoutVersion == version && !doc.Change.Settled && strings.Contains(strings.Join(doc.Change.lines(), " "), lacks)
		}
	}
	require.Eventually(t, stands("n2"), time.Minute, 50*time.Millisecond)
	require.Equal(t, exitUnsafe, l.run("cluster", "remove", "n4", "--yes").exit, "it is up")
	l.ok("local", "kill", "n4")
	l.ok("local", "heal")
	require.Eventually(t, stands("n4"), time.Minute, 50*time.Millisecond)

	o := l.run("cluster", "remove", "n4", "--yes")
	require.Zero(t, o.exit, "%s", o)
	require.Contains(t, o.stderr, "n4 is giving away what it had")
	changed(t, l, planned(t, l).Version)
	all(t, l, 100)
	require.Equal(t, exitError, l.run("cluster", "remove", "n4", "--yes").exit, "nobody waits for it any more")
}

// TestTheLossOfAZoneIsSurvived kills all nodes of one of three zones, after a change that
// gave it another share: every key keeps two copies, and a client notices nothing.
func TestTheLossOfAZoneIsSurvived(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 6)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.status("local", "start", "--nodes", "6", "--zones", "3", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	fill(t, l, 200)
	l.ok("cluster", "set-capacity", "n4", "50") // n1 and n4 lie in z1
	l.ok("cluster", "leave", "n5")              // n2 is alone in z2
	changed(t, l, planned(t, l).Version)
	require.Equal(t, map[int]int{3: 256}, spreadOf(layoutAt(t, base)), "one copy of each partition in each zone")

	load := startTraffic(t, base)
	before := load.rounds.Load()
	l.ok("local", "kill", "n3")
	l.ok("local", "kill", "n6")
	all(t, l, 200)
	require.Eventually(t, func() bool { return load.rounds.Load() > before+400 }, time.Minute, 10*time.Millisecond)
	load.end()
}

// layoutAt is the layout of now.
func layoutAt(t *testing.T, base int) *ring.Layout {
	c, err := client.Dial(t.Context(), []string{fmt.Sprintf("127.0.0.1:%d", base)})
	require.NoError(t, err)
	defer c.Close()
	info, err := c.Cluster(t.Context())
	require.NoError(t, err)
	layout, err := layoutOf(info)
	require.NoError(t, err)
	return layout
}

// spreadOf counts the partitions by how many zones their copies lie in.
func spreadOf(layout *ring.Layout) map[int]int {
	spread := map[int]int{}
	for p := range layout.Partitions() {
		zones := map[string]bool{}
		for _, home := range layout.Homes(ring.Partition(p), layout.Replicas()) {
			n, _ := layout.Node(home)
			zones[n.Zone] = true
		}
		spread[len(zones)]++
	}
	return spread
}

// TestTwoOperatorsCommitOnTwoSidesOfACut: neither layout is used before the sides hear one
// another, then one is, everywhere, and what the other changes is staged again.
func TestTwoOperatorsCommitOnTwoSidesOfACut(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 5)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.status("local", "start", "--nodes", "5", "--zones", "1", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	fill(t, l, 100)
	c, err := client.Dial(t.Context(), []string{fmt.Sprintf("127.0.0.1:%d", base)})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })

	l.ok("local", "cut", "1,2/3,4,5")
	first := commitAt(t, c, "n1", kindred.NodeChange{Node: "n4", Intent: kindred.IntentLeave})
	second := commitAt(t, c, "n3", kindred.NodeChange{Node: "n1", Intent: kindred.IntentOwn, Zone: "z1", Capacity: 50})
	require.NotEqual(t, first, second)
	for _, node := range []string{"n1", "n3"} {
		known, err := c.Changes(t.Context(), node)
		require.NoError(t, err)
		require.NotContains(t, []string{first, second}, known.Progress.Tip, "neither has heard all who have a say")
	}

	l.ok("local", "heal")
	l.ok("cluster", "wait", "--for", "changed", "--timeout", changeMax)
	tips := map[string]bool{}
	for _, node := range []string{"n1", "n2", "n3", "n4", "n5"} {
		known, err := c.Changes(t.Context(), node)
		require.NoError(t, err)
		tips[known.Progress.Tip] = true
		require.Len(t, known.Staged, 1, "what did not win waits at %s", node)
	}
	require.Len(t, tips, 1)
	require.True(t, tips[first] != tips[second], "%v is one of %s and %s", tips, first, second)
	all(t, l, 100)

	changed(t, l, planned(t, l).Version)
	now := shares(l)
	require.Zero(t, now["n4"])
	require.Less(t, now["n1"], now["n2"]*2/3, "n1 has half the capacity of the others: %v", now)
	all(t, l, 100)
}

// commitAt stages a change at one node and commits it there.
func commitAt(t *testing.T, c *client.Client, node string, change kindred.NodeChange) (version string) {
	t.Helper()
	_, err := c.Stage(t.Context(), node, change)
	require.NoError(t, err)
	plan, err := c.Plan(t.Context(), node)
	require.NoError(t, err)
	_, err = c.Commit(t.Context(), node, plan.Version, false)
	require.NoError(t, err)
	return plan.Version
}

// putAt has one home take a write: a client that knows of more might turn to another.
func putAt(t *testing.T, url string) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader("value"))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Less(t, answer.StatusCode, 300, "%s: %s", url, answer.Status)
}

// missingOf are those of the keys that have no value.
func missingOf(l live, keys []string) (missing []string) {
	for _, key := range keys {
		if l.run("get", "alone", key).exit != 0 {
			missing = append(missing, key)
		}
	}
	return missing
}

const (
	// movedMax is how many times as much as the plan says may be sent, and predictedWithin
	// how far from it that may be: the plan's copies are the fewest, and its bytes theirs.
	movedMax        = 1.15
	predictedWithin = 0.10
)

// fewest is how many copies have to move at least: what each node is to own more.
func fewest(plan planDoc) (copies int) {
	for _, n := range plan.Nodes {
		copies += max(0, n.After-n.Before)
	}
	return copies
}

func asPredicted(p api.PastChangeDoc) bool {
	ratio := float64(p.Moved) / float64(p.Bytes)
	return p.Bytes > 0 && ratio < movedMax && math.Abs(ratio-1) < predictedWithin
}

// joinNode starts a node beside a local cluster, which does not know of it. It ends when
// that is asked for, or with the test.
func joinNode(t *testing.T, kvnode string, base, i int) (kill func()) {
	t.Helper()
	addr := func(offset int) string { return fmt.Sprintf("127.0.0.1:%d", base+10*(i-1)+offset) }
	cmd := exec.Command(kvnode, "--name", fmt.Sprintf("n%d", i), "--zone", fmt.Sprintf("z%d", (i-1)%3+1), "--data-dir", t.TempDir(),
		"--join", fmt.Sprintf("127.0.0.1:%d", base+2),
		"--client-addr", addr(0), "--peer-addr", addr(1), "--gossip-addr", addr(2), "--http-addr", addr(3))
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("n%d said:\n%s", i, b)
		}
	})
	return kill
}

func fill(t *testing.T, l live, keys int) {
	t.Helper()
	var lines strings.Builder
	for i := range keys {
		fmt.Fprintf(&lines, `{"op":"put","key":"key%d","value":"value%d"}`+"\n", i, i)
	}
	o := l.runWith(lines.String(), "batch", "-", "--bucket", "carts", "--quiet")
	require.Zero(t, o.exit, "%s", o)
}

// all reads every key that fill has written.
func all(t *testing.T, l live, keys int) {
	t.Helper()
	lines := 0
	for line := range strings.Lines(l.ok("export", "carts")) {
		var op struct{ Key, Value string }
		require.NoError(t, json.Unmarshal([]byte(line), &op))
		require.Equal(t, strings.Replace(op.Key, "key", "value", 1), op.Value)
		lines++
	}
	require.Equal(t, keys, lines)
}

func members(l live) []api.MemberDoc {
	var doc membersDoc
	if o := l.run("cluster", "members", "-o", "json"); o.exit != 0 || decode(o.stdout, &doc) != nil {
		return nil
	}
	return doc.Members
}

// linkedIn counts the nodes that the one which is asked can send to.
func linkedIn(l live) (n int) {
	for _, m := range members(l) {
		if m.Linked && m.State == string(kindred.Alive) {
			n++
		}
	}
	return n
}

// shares are the partitions of those that own any.
func shares(l live) map[string]int {
	owned := map[string]int{}
	for _, m := range members(l) {
		if m.Partitions > 0 {
			owned[m.Name] = m.Partitions
		}
	}
	return owned
}

func planned(t *testing.T, l live) (plan planDoc) {
	t.Helper()
	require.NoError(t, decode(l.ok("cluster", "plan", "-o", "json"), &plan))
	require.Empty(t, plan.Refusals)
	require.Empty(t, plan.Waits)
	return plan
}

// changed commits what was looked at, and waits until it is settled everywhere.
func changed(t *testing.T, l live, version string) {
	t.Helper()
	var doc commitDoc
	require.NoError(t, decode(l.ok("cluster", "commit", version, "--wait", "--timeout", changeMax, "-o", "json"), &doc))
	require.True(t, doc.Settled)
	require.Equal(t, version, doc.Version)
	l.ok("cluster", "wait", "--for", "changed", "--timeout", changeMax)
	var status clusterDoc
	require.NoError(t, decode(l.ok("cluster", "status", "-o", "json"), &status))
	require.Equal(t, version, status.LayoutVersion)
	require.True(t, status.Change.Settled)
	t.Logf("%s is settled after %.1f s", version, doc.Seconds)
}

// ballast stores keys, so that there is something to move.
func (l *traffic) ballast(t *testing.T, keys, size int) {
	t.Helper()
	value := bytes.Repeat([]byte("v"), size)
	var all sync.WaitGroup
	for part := range 8 {
		all.Go(func() {
			for i := part; i < keys; i += 8 {
				if _, err := l.client.Bucket("ballast").Put(t.Context(), fmt.Sprint("key", i), value); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// traffic is a client that overwrites and reads a few keys, one after another.
type traffic struct {
	t      *testing.T
	client *client.Client
	cancel context.CancelFunc
	ended  chan struct{}
	rounds atomic.Int64
}

func startTraffic(t *testing.T, base int) *traffic {
	c, err := client.Dial(t.Context(), []string{fmt.Sprintf("127.0.0.1:%d", base)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	l := &traffic{t: t, client: c, cancel: cancel, ended: make(chan struct{})}
	t.Cleanup(func() { l.cancel(); <-l.ended; c.Close() })
	go func() {
		defer close(l.ended)
		l.run(ctx, c.Bucket("load"))
	}()
	return l
}

func (l *traffic) run(ctx context.Context, b *client.Bucket) {
	const keys = 40
	seen := make([]client.Context, keys)
	for ; ; l.rounds.Add(1) {
		round := l.rounds.Load()
		i := round % keys
		key, value := fmt.Sprintf("key%d", i), fmt.Sprint(round)
		receipt, err := b.Put(ctx, key, []byte(value), client.Seen(seen[i]))
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.t.Errorf("round %d: a write failed: %v", round, err)
			return
		}
		seen[i] = receipt.Context
		o, err := b.Get(ctx, key, client.Strict())
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.t.Errorf("round %d: a read failed: %v", round, err)
			return
		}
		got, err := o.Value()
		if err != nil || string(got) != value {
			l.t.Errorf("round %d: %s is %q (%v), and %s was acknowledged", round, key, got, err, value)
			return
		}
	}
}

// end stops the load, which has done something.
func (l *traffic) end() {
	l.cancel()
	<-l.ended
	require.Greater(l.t, l.rounds.Load(), int64(100))
	l.t.Logf("%d writes and as many reads went on meanwhile", l.rounds.Load())
}
