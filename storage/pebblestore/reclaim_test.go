package pebblestore

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// TestReclaim fills a store, deletes nearly everything, and finds the tables
// small again although nothing more is written; what was kept is there.
func TestReclaim(t *testing.T) {
	store, err := Open("store", Options{FS: vfs.NewMem(), MemTableBytes: 4 << 20})
	require.NoError(t, err)
	defer store.Close()
	row := func(i int) []byte { return fmt.Appendf(nil, "o%06d", i) }
	const rows = 4000
	value := make([]byte, 8<<10)
	for i := range rows {
		rand.Read(value)
		apply(t, store, func(b *storage.Batch) { b.Set(row(i), value) })
	}
	kept := append([]byte{}, value...)
	require.Eventually(t, func() bool { return store.Metrics().TableBytes > rows<<13/3 }, 20*time.Second, time.Millisecond)
	for i := range rows - 1 {
		apply(t, store, func(b *storage.Batch) { b.Delete(row(i)) })
	}
	require.Eventually(t, func() bool {
		require.NoError(t, store.Reclaim(context.Background()))
		return store.Metrics().TableBytes < rows<<13/100
	}, 20*time.Second, 20*time.Millisecond, "the tables keep what was deleted")
	got, err := store.Get(row(rows - 1))
	require.NoError(t, err)
	require.Equal(t, kept, got)
}

// TestReclaimOfAClosedStore is refused.
func TestReclaimOfAClosedStore(t *testing.T) {
	store, err := Open("store", Options{FS: vfs.NewMem()})
	require.NoError(t, err)
	require.NoError(t, store.Close())
	require.ErrorIs(t, store.Reclaim(context.Background()), storage.ErrClosed)
}

func apply(t *testing.T, store *Store, change func(*storage.Batch)) {
	t.Helper()
	var b storage.Batch
	change(&b)
	require.NoError(t, store.Apply(&b))
}
