package core

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
)

// rottenBlock is a disk with a block that cannot be read until it is discarded.
type rottenBlock struct {
	storage.Snapshot
	t    *testing.T
	rows storage.KeyRange
	met  *int
}

func (b rottenBlock) Scan(lo, hi []byte, visit func(row, value []byte) bool) error {
	if bytes.Compare(hi, b.rows.Low) <= 0 || bytes.Compare(lo, b.rows.High) >= 0 {
		return b.Snapshot.Scan(lo, hi, visit)
	}
	at, ended := lo, false
	if bytes.Compare(lo, b.rows.Low) < 0 {
		at = b.rows.Low
		err := b.Snapshot.Scan(lo, at, func(row, value []byte) bool {
			ended = !visit(row, value)
			return !ended
		})
		if err != nil || ended {
			return err
		}
	}
	resume := b.rows.High
	if bytes.Compare(hi, resume) < 0 {
		resume = hi
	}
	*b.met++
	require.Less(b.t, *b.met, 1000, "a loop without an end")
	return &storage.CorruptError{Key: at, Resume: resume, Cause: errors.New("a rotten block")}
}

// A block goes when all replicas that have rows in it have noted what they lose. Until
// then each of them looks at it a few times and lets the others have their turn, and
// nothing is put back; then all is.
func TestABlockOfManyReplicasIsMarkedByAllBeforeAnythingIsPutBack(t *testing.T) {
	limits := DefaultLimits()
	limits.AuditEvery = 0
	r := newRig(t, 3, limits)
	for i := range 60 {
		require.Nil(t, r.do("n1", put(fmt.Sprintf("key-%03d", i), "value")).Err)
	}
	r.pass(time.Second)
	n1 := r.nodes["n1"].shard
	ids := n1.Replicas()
	const within = 5 // replicas that lie in the block
	low, _ := storage.ObjectsRange(ids[1].Partition, ids[1].N)
	_, high := storage.ObjectsRange(ids[within].Partition, ids[within].N)
	met := 0
	r.holdDiscards = true
	r.seen = func(node string, disk storage.Snapshot) storage.Snapshot {
		if node == "n1" {
			return rottenBlock{disk, t, storage.KeyRange{Low: low, High: high}, &met}
		}
		return disk
	}
	n1.AuditRange(low, high)
	for range 100 {
		n1.AuditRange(nil, nil) // each time that the damage is met
		r.pass(100 * time.Millisecond)
	}
	for i, id := range ids {
		require.Equal(t, i >= 1 && i <= within, n1.IsDamaged(id), id)
	}
	require.LessOrEqual(t, met, 5*within, "after 0, 1, 3 and 7 s")
	require.Zero(t, n1.Stats().MendedLeaves)
	require.Zero(t, n1.Stats().Restored)

	r.seen = func(_ string, disk storage.Snapshot) storage.Snapshot { return disk }
	n1.Discarded()
	for range 100 {
		r.pass(100 * time.Millisecond)
	}
	for _, id := range ids {
		require.False(t, n1.IsDamaged(id), "%v: %s", id, n1.Audits()[id].Problem)
	}
	require.Positive(t, n1.Stats().Restored)
	requireSame(t, r, ids)
}

// requireSame demands that all nodes store the same.
func requireSame(t *testing.T, r *rig, ids []replica.ID) {
	for _, id := range ids {
		var roots []uint64
		for _, name := range r.names {
			snapshot, err := r.nodes[name].engine.Snapshot()
			require.NoError(t, err)
			tree, err := replica.Recount(snapshot, id)
			require.NoError(t, err)
			require.NoError(t, snapshot.Close())
			roots = append(roots, tree.Root())
		}
		require.Equal(t, []uint64{roots[0], roots[0], roots[0]}, roots, id)
	}
}
