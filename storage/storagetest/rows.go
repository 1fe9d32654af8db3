package storagetest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

func batchIsAppliedWholly(t *testing.T, b *bench) {
	b.apply("a=1", "b=2", "c=3")
	require.Equal(t, []string{"a=1", "b=2", "c=3"}, b.rows())
	b.apply()
	require.Equal(t, []string{"a=1", "b=2", "c=3"}, b.rows(), "an empty batch changes nothing")
}

func changesTakeEffectInOrder(t *testing.T, b *bench) {
	b.apply("a=1", "a=2", "b=1", "-b", "-c", "c=1")
	require.Equal(t, []string{"a=2", "c=1"}, b.rows())
}

func deleteRangeIsHalfOpen(t *testing.T, b *bench) {
	b.apply("a=1", "b=1", "c=1", "d=1", "da=1")
	b.apply("-b:d")
	require.Equal(t, []string{"a=1", "d=1", "da=1"}, b.rows())
	b.apply("-d:a", "-d:d")
	require.Equal(t, []string{"a=1", "d=1", "da=1"}, b.rows(), "an empty range deletes nothing")
	b.reopen()
	require.Equal(t, []string{"a=1", "d=1", "da=1"}, b.rows())
}

func deleteRangeSparesLaterChanges(t *testing.T, b *bench) {
	b.apply("b=old", "c=old")
	b.apply("b=doomed", "-a:z", "c=new")
	require.Equal(t, []string{"c=new"}, b.rows())
	_, err := b.engine.Get([]byte("b"))
	require.ErrorIs(t, err, storage.ErrNotFound)
}

func limitsAreRefusedWholly(t *testing.T, b *bench) {
	var batch storage.Batch
	batch.Set([]byte("fits"), nil)
	batch.Set(make([]byte, storage.KeyBytesMax+1), nil)
	var limit *storage.LimitError
	require.ErrorAs(t, b.engine.Apply(&batch), &limit)
	require.Equal(t, "key", limit.What)
	require.Empty(t, b.rows())

	batch.Reset()
	batch.Set(make([]byte, storage.KeyBytesMax), nil)
	require.NoError(t, b.engine.Apply(&batch), "the limit itself is allowed")
}

func emptyKeysAreRefused(t *testing.T, b *bench) {
	for _, change := range []string{"=value", "-", "-:b"} {
		var empty *storage.RowError
		require.ErrorAs(t, b.engine.Apply(batchOf("a=1", change)), &empty, "change %q", change)
	}
	require.Empty(t, b.rows())
	_, err := b.engine.Get(nil)
	require.ErrorIs(t, err, storage.ErrNotFound)
}

func emptyValues(t *testing.T, b *bench) {
	b.apply("a=", "b=1")
	check := func() {
		value, err := b.engine.Get([]byte("a"))
		require.NoError(t, err)
		require.NotNil(t, value, "an empty value is there, it is not nil")
		require.Empty(t, value)
		require.Equal(t, []string{"a=", "b=1"}, b.rows())
	}
	check()
	b.reopen()
	check()
}

func largeValues(t *testing.T, b *bench) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 8<<20/16)
	var batch storage.Batch
	batch.Set([]byte("small"), []byte("1"))
	batch.Set([]byte("large"), large)
	require.NoError(t, b.engine.Apply(&batch))
	check := func() {
		value, err := b.engine.Get([]byte("large"))
		require.NoError(t, err)
		require.True(t, bytes.Equal(large, value))
	}
	check()
	b.apply("next=1")
	b.reopen()
	check()
}

func callerOwnsValues(t *testing.T, b *bench) {
	b.apply("a=abc")
	value, err := b.engine.Get([]byte("a"))
	require.NoError(t, err)
	copy(value, "xyz")
	again, err := b.engine.Get([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, "abc", string(again))
}

func batchIsReused(t *testing.T, b *bench) {
	var batch storage.Batch
	batch.Set([]byte("a"), []byte("first"))
	require.NoError(t, b.engine.Apply(&batch))
	batch.Reset()
	batch.Set([]byte("z"), []byte("other"))
	require.NoError(t, b.engine.Apply(&batch))
	require.Equal(t, []string{"a=first", "z=other"}, b.rows(), "the engine kept a slice of the batch")
}

func scanOrderAndBounds(t *testing.T, b *bench) {
	b.apply("b=2", "\xff\xff=9", "a=1", "ab=1", "\x00=0", "c=3")
	all := []string{"\x00=0", "a=1", "ab=1", "b=2", "c=3", "\xff\xff=9"}
	snapshot := b.snapshot()
	for _, test := range []struct {
		lo, hi string
		want   []string
	}{
		{"", "", all},
		{"a", "", all[1:]},
		{"", "b", all[:3]},
		{"a", "b", all[1:3]},
		{"aa", "bb", all[2:4]},
		{"a", "a", nil},
		{"c", "a", nil},
		{"d", "e", nil},
	} {
		require.ElementsMatch(t, test.want, scan(t, snapshot, test.lo, test.hi), "from %q to %q", test.lo, test.hi)
	}
	require.Equal(t, all, scan(t, snapshot, "", ""), "in order")
}

func scanStops(t *testing.T, b *bench) {
	b.apply("a=1", "b=2", "c=3")
	var visited []string
	err := b.snapshot().Scan(nil, nil, func(key, _ []byte) bool {
		visited = append(visited, string(key))
		return len(visited) < 2
	})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, visited)
}

func scanOfRowsOfEveryTable(t *testing.T, b *bench) {
	var batch storage.Batch
	for _, partition := range []uint32{7, 8, 256} {
		batch.Set(storage.ObjectKey(nil, partition, 3, "carts", "ann"), []byte("object"))
		batch.Set(storage.LogKey(nil, partition, 3, [16]byte{1}, 1), []byte("log"))
		batch.Set(storage.ValueKey(nil, partition, 3, [16]byte{1}, 1), []byte("value"))
		batch.Set(storage.ClockKey(nil, partition, 3), []byte("clock"))
		batch.Set(storage.ExpiryKey(nil, partition, 3, 7, "carts", "ann"), nil)
	}
	require.NoError(t, b.engine.Apply(&batch))
	batch.Reset()
	for _, r := range storage.ReplicaRanges(8, 3) {
		batch.DeleteRange(r.Low, r.High)
	}
	require.NoError(t, b.engine.Apply(&batch))
	left := map[uint32]int{}
	require.NoError(t, b.snapshot().Scan(nil, nil, func(key, _ []byte) bool {
		_, partition, _, ok := storage.ParseReplica(key)
		require.True(t, ok)
		left[partition]++
		return true
	}))
	require.Equal(t, map[uint32]int{7: 5, 256: 5}, left)
}

func absentIsNotFound(t *testing.T, b *bench) {
	b.apply("a=1", "b=1")
	b.apply("-a")
	snapshot := b.snapshot()
	for _, key := range []string{"a", "", "c"} {
		_, err := b.engine.Get([]byte(key))
		require.ErrorIs(t, err, storage.ErrNotFound)
		_, err = snapshot.Get([]byte(key))
		require.ErrorIs(t, err, storage.ErrNotFound)
	}
}

func closedIsClosed(t *testing.T, b *bench) {
	b.apply("a=1")
	open, closed := b.snapshot(), b.snapshot()
	require.NoError(t, closed.Close())
	require.NoError(t, closed.Close(), "the second close of a snapshot does nothing")
	everything := func(key, value []byte) bool { return true }
	_, err := closed.Get([]byte("a"))
	require.ErrorIs(t, err, storage.ErrClosed)
	require.ErrorIs(t, closed.Scan(nil, nil, everything), storage.ErrClosed)

	require.NoError(t, b.engine.Close(), "an open snapshot does not keep the engine open")
	_, getErr := b.engine.Get([]byte("a"))
	_, snapshotErr := b.engine.Snapshot()
	_, openErr := open.Get([]byte("a"))
	for i, err := range []error{
		getErr, snapshotErr, openErr, open.Scan(nil, nil, everything),
		b.engine.Apply(batchOf("b=1")), b.engine.Sync(), b.engine.Close(),
	} {
		require.ErrorIs(t, err, storage.ErrClosed, "call %d", i)
		require.False(t, errors.Is(err, storage.ErrNotFound))
	}
	require.NoError(t, open.Close())
	b.open()
	require.Equal(t, []string{"a=1"}, b.rows())
}
