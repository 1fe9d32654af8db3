package pebblestore

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// TestAbsentObjectsAreFoundAbsentWithoutReadingLargeValues: a table that held
// both made every look for another key decode the value behind them, 8 MiB each
// time. The cache shows what was read.
func TestAbsentObjectsAreFoundAbsentWithoutReadingLargeValues(t *testing.T) {
	const valueBytes = 8 << 20
	s, err := Open("store", Options{FS: vfs.NewMem()})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	actor := [16]byte{1}
	for _, partition := range []uint32{0, 200} {
		var batch storage.Batch
		batch.Set(storage.LogKey(nil, partition, 3, actor, 1), []byte("key"))
		batch.Set(storage.ObjectKey(nil, partition, 3, "films", "key"), []byte("dot"))
		batch.Set(storage.ValueKey(nil, partition, 3, actor, 1), make([]byte, valueBytes))
		require.NoError(t, s.Apply(&batch))
	}
	require.NoError(t, s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false))
	for partition := range uint32(256) {
		row := storage.ObjectKey(nil, partition, 3, "films", fmt.Sprint("another ", partition))
		_, err := s.Get(row)
		require.ErrorIs(t, err, storage.ErrNotFound)
	}
	cache := s.db.Metrics().BlockCache
	require.Less(t, cache.Size, int64(valueBytes), "a large value was read and kept")
	require.Less(t, cache.Misses, int64(64), "a large value was read, and was too large to keep")
	value, err := s.Get(storage.ValueKey(nil, 200, 3, actor, 1))
	require.NoError(t, err)
	require.Len(t, value, valueBytes)
}
