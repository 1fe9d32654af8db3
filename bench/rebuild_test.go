//go:build !race

package bench

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/pebblestore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// RebuildShareMin is the least rate of a rebuild, both of its ends counted in CPU
// time, as a share of that of the engine alone, which only fills a memtable here. It
// guards against a rebuild that became much dearer; the rate of a real cluster is
// that of TestAWipedNodeIsRebuilt.
const RebuildShareMin = 0.10

// shardRig is a shard on a real store whose shell is the benchmark: reading,
// writing, encoding and syncing are all there, sockets and goroutines are not.
type shardRig struct {
	t     *testing.T
	name  string
	shard *core.Shard
	store *pebblestore.Store
	inbox []shardLetter
}

type shardLetter struct {
	from string
	raw  []byte
}

func newShardRig(t *testing.T, name string, nonce uint64, layout *ring.Layout) *shardRig {
	store, err := pebblestore.Open(t.TempDir(), pebblestore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	r := &shardRig{t: t, name: name, store: store}
	r.shard = core.New(core.Config{Node: name, Start: vclock.Actor{Disk: nonce, Nonce: nonce}, Limits: core.DefaultLimits()})
	snapshot, err := store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	var recovered []*replica.Replica
	for _, p := range layout.Owned(name, layout.Replicas()) {
		one, err := r.shard.Recover(replica.ID{Partition: uint32(p), N: uint8(layout.Replicas())}, snapshot)
		require.NoError(t, err)
		recovered = append(recovered, one)
	}
	r.shard.SetPhase(ring.Steady(layout), recovered)
	return r
}

// perform does what the shard wants and hands messages over as bytes.
func (r *shardRig) perform(peers map[string]*shardRig) bool {
	out := r.shard.Effects()
	if out.Empty() {
		return false
	}
	if out.Rows.Len() > 0 {
		require.NoError(r.t, r.store.Apply(&out.Rows))
	}
	for _, s := range out.Sends {
		if to := peers[s.To]; to != nil {
			to.inbox = append(to.inbox, shardLetter{r.name, wire.Append(nil, s.Msg)})
		}
	}
	loads, looks, syncs := append([]core.Load(nil), out.Loads...), append([]core.Look(nil), out.Looks...), append([]uint64(nil), out.Syncs...)
	out.Reset()
	now := time.Now()
	for _, l := range loads {
		object, err := replica.Load(r.store, l.Replica, l.Bucket, l.Key)
		r.shard.Loaded(now, l.Row, object, err)
	}
	for _, look := range looks {
		snapshot, err := r.store.Snapshot()
		require.NoError(r.t, err)
		look.Begin()(snapshot)(now)
		require.NoError(r.t, snapshot.Close())
	}
	r.shard.Synced(syncs)
	return true
}

func (r *shardRig) receive() bool {
	letters := r.inbox
	r.inbox = nil
	for _, l := range letters {
		m, err := wire.Decode(l.raw)
		require.NoError(r.t, err)
		r.shard.Message(time.Now(), l.from, m)
	}
	return len(letters) > 0
}

// TestARebuildKeepsUpWithTheEngine measures, on one core, how fast a replica is
// rebuilt from another one, both ends counted, against the engine alone.
func TestARebuildKeepsUpWithTheEngine(t *testing.T) {
	keys := 100_000
	if *million {
		keys = 1_000_000
	}
	layout, err := ring.New([16]byte{1}, 16, 2, []ring.Node{{Name: "n1", Zone: "a", Capacity: 1}, {Name: "n2", Zone: "b", Capacity: 1}})
	require.NoError(t, err)
	source := newShardRig(t, "n1", 1, layout)
	value := bytes.Repeat([]byte("v"), 100)
	began := time.Now()
	for i := range keys {
		source.shard.Request(time.Now(), uint64(i), &kindred.Request{Op: kindred.OpPut, Bucket: "bench", Key: keyOf(0, int64(i)), Value: value, W: 1})
		if i%256 == 0 {
			for source.perform(nil) {
			}
		}
	}
	for source.perform(nil) {
	}
	t.Logf("%d keys put by one replica in %v", keys, time.Since(began).Round(time.Millisecond))

	engine := engineCost(t, keys, 100, true)
	target := newShardRig(t, "n2", 2, layout)
	peers := map[string]*shardRig{"n1": source, "n2": target}
	source.shard.SetLink(time.Now(), "n2", true)
	target.shard.SetLink(time.Now(), "n1", true)
	began, cpu := time.Now(), usage(t, nil)
	for _, id := range target.shard.Replicas() {
		target.shard.Rebuild(began, id, "n1")
	}
	for moved := true; moved; {
		moved = false
		for _, r := range peers {
			moved = r.receive() || moved
			moved = r.perform(peers) || moved
		}
	}
	took := cost{ops: int64(keys), wall: time.Since(began), cpu: usage(t, nil) - cpu}
	stats := target.shard.RebuildStats()
	require.EqualValues(t, keys, stats.Keys)
	require.EqualValues(t, 16, stats.Finished)
	for _, id := range target.shard.Replicas() {
		require.Equal(t, vclock.Equal, target.shard.Clock(id).Compare(source.shard.Clock(id)))
	}
	share := engine.perOp() / took.perOp()
	t.Logf("engine  %v", engine)
	t.Logf("rebuild %v, both ends in one process; %.0f %% of the engine by CPU time; %d pages", took, 100*share, stats.Pages)
	require.GreaterOrEqual(t, share, RebuildShareMin)
}

// engineCost is what it costs the engine to take rows like those of the keys, in
// batches as large as a page. In order of rows nothing overlaps, so it never compacts;
// in the order in which clients put keys, every batch is spread over all partitions.
func engineCost(t *testing.T, keys, size int, inOrder bool) cost {
	store, err := pebblestore.Open(t.TempDir(), pebblestore.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	object := wire.Object{}
	object.Add(vclock.Dot{Actor: vclock.Actor{Disk: 1, Nonce: 1}, Counter: 1 << 20}, wire.Record{Node: "n1", WrittenAt: time.Now().UnixMilli(), Value: bytes.Repeat([]byte("v"), size)})
	row := vclock.AppendSiblings(nil, object, wire.AppendRecord)
	var rows storage.Batch
	var key []byte
	var moved int64
	began, cpu := time.Now(), usage(t, nil)
	for i := range keys {
		partition := uint32(i * 256 / keys)
		if !inOrder {
			partition = uint32(uint64(i) * 0x9e3779b97f4a7c15 >> 56)
		}
		key = storage.ObjectKey(key[:0], partition, 2, "bench", fmt.Sprintf("%012d", i))
		rows.Set(key, row)
		if rows.Bytes() >= core.DefaultLimits().RebuildPageBytes {
			moved += int64(rows.Bytes())
			require.NoError(t, store.Apply(&rows))
			rows.Reset()
		}
	}
	moved += int64(rows.Bytes())
	require.NoError(t, store.Apply(&rows))
	require.NoError(t, store.Sync())
	return cost{ops: int64(keys), bytes: moved, wall: time.Since(began), cpu: usage(t, nil) - cpu}
}
