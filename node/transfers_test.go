package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
)

func version(counter uint64) ring.Version { return ring.Version{Counter: counter, Hash: counter} }

func TestWhatComesIsCountedOnceATipGivesIt(t *testing.T) {
	now := time.Unix(1e9, 0)
	taken := transfers{tip: version(2), coming: map[ring.Partition]bool{3: true, 4: true}, copies: 2}
	taken.count(now, 3, 100)
	taken.count(now.Add(time.Second), 7, 1000) // one that it had before
	taken.count(now.Add(4*time.Second), 4, 300)
	copies, got := taken.of(version(2))
	require.Equal(t, 2, copies)
	require.EqualValues(t, 400, got.bytes)
	require.Equal(t, 4*time.Second, got.took())
	copies, none := taken.of(version(1))
	require.Zero(t, copies, "that of another tip is not known any more")
	require.Zero(t, none)

	rate, left := got.pace(now.Add(8*time.Second), 1000)
	require.EqualValues(t, 50, rate)
	require.Equal(t, 12*time.Second, left)
	_, left = got.pace(now.Add(8*time.Second), 0)
	require.Zero(t, left, "nobody can tell")

	_, news := taken.news(version(1))
	require.False(t, news)
	told, news := taken.news(version(2))
	require.True(t, news)
	require.Equal(t, got, told)
	_, news = taken.news(version(2))
	require.False(t, news, "it is told once")
	taken.count(now.Add(5*time.Second), 4, 1)
	_, news = taken.news(version(2))
	require.True(t, news, "there was more")
}

// A node joins: what the plan says that it will be sent is what it is sent, no faster than
// the others may send it, and all know both afterwards.
func TestAPlanSaysWhatWillBeSent(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	defer cancel()
	nodes, seed := three(t)
	value := strings.Repeat("v", 2000)
	for i := range 1000 {
		require.Nil(t, do(t, nodes[0], put(fmt.Sprint("key", i), value)).Err)
	}
	cfg := config(t, "n4")
	cfg.Expect, cfg.Zone, cfg.Join = 0, "z4", []string{seed}
	joined := start(t, cfg)
	require.Eventually(t, func() bool {
		return nodes[0].Stage(ctx, []kindred.NodeChange{{Node: "n4", Intent: kindred.IntentOwn, Zone: "z4", Capacity: 100}}) == nil
	}, patience, 50*time.Millisecond)
	plan, bad := nodes[0].Plan(ctx)
	require.Nil(t, bad)
	require.Equal(t, 12, plan.Copies, "the fourth of 48, and no copy more")
	require.Greater(t, plan.Expected, besides)
	for _, n := range nodes {
		n.throttle.mu.Lock()
		n.throttle.most, n.throttle.limit = transferFloor, transferFloor
		n.throttle.mu.Unlock()
	}
	require.Nil(t, nodes[0].Commit(ctx, plan.Version, false))
	past := func(n *Node) kindred.PastChange {
		known, bad := n.Changes(ctx)
		require.Nil(t, bad)
		require.Len(t, known.History, 1)
		return known.History[0]
	}
	for _, n := range append(nodes, joined) {
		require.Eventually(t, func() bool { return past(n).Outcome == "settled" && past(n).Moved > 0 }, 3*patience, 50*time.Millisecond)
		p := past(n)
		require.Equal(t, plan.Bytes, p.Bytes)
		require.InEpsilon(t, p.Bytes, p.Moved, 0.1, "predicted and sent")
	}
	copies, got := joined.taken.of(joined.taken.tip)
	require.Equal(t, 12, copies)
	require.Greater(t, got.took(), time.Second, "three may send 0.5 MB each, 256 KiB a second")
	require.Zero(t, joined.weigh(canceled()).mean, "one that has no time knows nothing")
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// What is too large to be read in time is taken for as large as its share of the disk
// says.
func TestACopyIsWeighedByAPartOfIt(t *testing.T) {
	cfg := config(t, "alone")
	cfg.Partitions = 1
	n := start(t, cfg)
	awaitReady(t, n)
	value := strings.Repeat("v", 1000)
	for i := range 3000 {
		require.Nil(t, do(t, n, put(fmt.Sprintf("key%06d", i), value)).Err)
	}
	require.NoError(t, n.Stop(t.Context()))
	n = start(t, cfg) // what was in memory only goes to tables
	snapshot, err := n.store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	id := replica.ID{Partition: 0, N: 3}
	whole, end, err := weighOne(snapshot, id, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Nil(t, end)
	require.EqualValues(t, 3000, whole.keys)
	require.InEpsilon(t, 3000*1000, whole.bytes, 0.1)

	part, end, err := weighOne(snapshot, id, time.Now())
	require.NoError(t, err)
	require.NotNil(t, end)
	require.EqualValues(t, weighRows, part.keys)
	require.InEpsilon(t, whole.bytes, n.extrapolate(id, part, end).bytes, 0.3)
}
