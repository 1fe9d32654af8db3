package pebblestore

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// A call that is under way ends as it should; who comes later is told.
func TestClose_WaitsForCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open("node", small(vfs.NewMem()))
		require.NoError(t, err)
		require.NoError(t, s.Apply(oneRow("a")))
		require.NoError(t, s.Apply(oneRow("b")))
		snapshot, err := s.Snapshot()
		require.NoError(t, err)
		visited, scanned := 0, make(chan error, 1)
		go func() {
			scanned <- snapshot.Scan(nil, nil, func(_, _ []byte) bool {
				time.Sleep(time.Second)
				visited++
				return true
			})
		}()
		synctest.Wait()
		require.NoError(t, s.Close())
		require.NoError(t, <-scanned)
		require.Equal(t, 2, visited)
		_, err = snapshot.Get([]byte("a"))
		require.ErrorIs(t, err, storage.ErrClosed)
		require.NoError(t, snapshot.Close())
	})
}

// The sync of Close is a sync like any other: if it fails, Close says so.
func TestClose_TellsOfAFailedSync(t *testing.T) {
	faults := &faulty{kinds: syncs, suffix: ".log"}
	s, err := Open("node", small(faults.over(vfs.NewMem())))
	require.NoError(t, err)
	require.NoError(t, s.Apply(oneRow("a")))
	faults.on.Store(true)
	var failed *storage.FailedError
	require.ErrorAs(t, s.Close(), &failed)
	require.ErrorIs(t, failed, syscall.EIO)
	require.ErrorIs(t, s.Close(), storage.ErrClosed)
}
