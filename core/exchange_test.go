package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Deletes without grace periods: when everything is deleted and every home knows,
// nothing is left to remember.
func TestC14_NothingIsLeftOfWhatWasDeletedAndIsSettled(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.pass(time.Second)
	for _, key := range []string{"a", "b", "c"} {
		require.Nil(t, r.do("n1", put(key, "v")).Err)
	}
	r.cut("n3") // it learns of the deletes by exchange
	for _, key := range []string{"a", "b", "c"} {
		strict := del(key)
		strict.Sloppy = kindred.Strict
		require.Nil(t, r.do("n2", strict).Err)
	}
	r.heal()
	for range 70 {
		r.pass(time.Second)
	}
	for _, name := range r.names {
		snapshot, err := r.nodes[name].engine.Snapshot()
		require.NoError(t, err)
		for _, table := range []byte{storage.TableObject, storage.TableLog, storage.TableValue} {
			lo, hi := storage.TableRange(table)
			require.NoError(t, snapshot.Scan(lo, hi, func(row, _ []byte) bool {
				require.Fail(t, "a row is left", "%s: %q", name, row)
				return false
			}))
		}
		require.NoError(t, snapshot.Close())
	}
}

// I11: a log that cannot be pruned because a home is away does not grow for ever.
func TestI11_ALogAtItsLimitIsPrunedLoudly(t *testing.T) {
	limits := DefaultLimits()
	limits.LogRows = 40
	r := newRig(t, 3, limits)
	r.cut("n3")
	for range 60 {
		require.Nil(t, r.do("n1", put("k", "v")).Err)
	}
	r.pass(time.Second)
	id := replica.ID{Partition: uint32(r.layout.PartitionOf("b", "k")), N: 3}
	for _, x := range r.nodes["n1"].shard.Exchanges() {
		if x.Replica == id {
			require.LessOrEqual(t, x.LogRows, uint64(40))
		}
	}
	require.NotZero(t, r.nodes["n1"].shard.Stats().PrunedUnshared)
}

// R17: a replica that may have lost data takes writes and is not read.
func TestR17_AReplicaThatCatchesUpIsNotRead(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.pass(time.Second)
	require.Nil(t, r.do("n1", put("k", "v")).Err)
	r.lose = func(from, to string, m wire.Message) bool {
		_, clock := m.(*wire.Clock)
		return clock && (from == "n3" || to == "n3")
	}
	r.boot("n3", 77<<32, DefaultLimits())
	for _, other := range []string{"n1", "n2"} {
		r.nodes["n3"].shard.SetLink(r.now, other, true)
	}
	r.settle()
	all := get("k")
	all.R = kindred.CountAll
	require.ErrorContains(t, r.do("n1", all).Err, "catching up")
	require.Nil(t, r.do("n1", get("k")).Err, "the other two are a quorum")
	one := put("k", "w")
	one.W = kindred.CountAll
	require.Nil(t, r.do("n3", one).Err, "it takes writes")
	r.lose = func(string, string, wire.Message) bool { return false }
	for range 3 {
		r.pass(time.Second)
	}
	require.Nil(t, r.do("n1", all).Err)
}

// C3: the clock of a piece is of the moment of the snapshot. Here a write comes
// between the question and the snapshot; a base taken with the question would lack
// it, and its receiver would take in the write without dropping what it replaced.
func TestC3_PiecesAndTheirBaseAreOfOneMoment(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.pass(time.Second)
	first := r.do("n1", put("k", "v"))
	was, err := vclock.ParseDot(first.Receipt.Dot)
	require.NoError(t, err)
	head := wire.Head{Partition: uint32(r.layout.PartitionOf("b", "k")), N: 3}
	var pieces *wire.Pieces
	r.lose = func(_, _ string, m wire.Message) bool {
		if p, ok := m.(*wire.Pieces); ok {
			pieces = p
		}
		return false
	}

	n := r.nodes["n1"]
	n.shard.Message(r.now, "n2", &wire.Pull{Head: head, Op: wire.OpID{Process: 1, Seq: 1}, Dots: vclock.NewDotSet(was)})
	again := seen(put("k", "w"), first.Context)
	r.token++
	n.shard.Request(r.now, r.token, &again)
	load := n.shard.Effects().Loads[0]
	object, err := replica.Load(n.engine, load.Replica, load.Bucket, load.Key)
	require.NoError(t, err)
	n.shard.Loaded(r.now, load.Row, object, nil)
	r.settle() // one take has it all

	require.NotNil(t, pieces)
	live := pieces.Pieces[0].Object.Dots()
	require.False(t, live.Contains(was), "the snapshot has the second write")
	require.True(t, pieces.Base.Covers(live), "so has the base")
}
