package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

func snapshotStandsStill(t *testing.T, b *bench) {
	b.apply("a=1", "b=1")
	before := b.snapshot()
	b.apply("a=2", "-b", "c=2")
	between := b.snapshot()
	b.apply("-a:z")
	b.sync()

	require.Empty(t, b.rows())
	require.Equal(t, []string{"a=2", "c=2"}, scan(t, between, "", ""))
	require.NoError(t, between.Close())
	require.Equal(t, []string{"a=1", "b=1"}, scan(t, before, "", ""))
	value, err := before.Get([]byte("b"))
	require.NoError(t, err)
	require.Equal(t, "1", string(value))
	_, err = before.Get([]byte("c"))
	require.ErrorIs(t, err, storage.ErrNotFound)
}

// snapshotsUnderWriters has every batch write one number into many rows: a
// reader that sees two numbers saw half a batch.
func snapshotsUnderWriters(t *testing.T, b *bench) {
	const rows, writers, readers, rounds = 20, 3, 3, 30
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			var batch storage.Batch
			for round := range rounds {
				batch.Reset()
				for row := range rows {
					batch.Set(fmt.Appendf(nil, "%02d", row), fmt.Appendf(nil, "%d.%d", w, round))
				}
				assert.NoError(t, b.engine.Apply(&batch))
			}
		})
	}
	for range readers {
		all.Go(func() {
			for range rounds {
				checkOneBatch(t, b.engine, rows)
			}
		})
	}
	all.Wait()
}

func checkOneBatch(t *testing.T, engine storage.Engine, rows int) {
	snapshot, err := engine.Snapshot()
	if !assert.NoError(t, err) {
		return
	}
	var seen []string
	assert.NoError(t, snapshot.Scan(nil, nil, func(_, value []byte) bool {
		seen = append(seen, string(value))
		return true
	}))
	if len(seen) > 0 {
		assert.Len(t, seen, rows)
		assert.Len(t, slices.Compact(seen), 1, "half a batch is visible")
	}
	assert.NoError(t, snapshot.Close())
}

// syncCoversConcurrentCallers has each caller note what it had synced, cuts the
// power while they go on, and looks whether any note is too high.
func syncCoversConcurrentCallers(t *testing.T, b *bench) {
	const callers, rounds = 8, 60
	var all sync.WaitGroup
	synced := make([]int, callers)
	for c := range callers {
		all.Go(func() {
			for round := 1; round <= rounds; round++ {
				assert.NoError(t, b.engine.Apply(batchOf(fmt.Sprintf("%d=%d", c, round))))
				if round%3 == 0 && round < rounds {
					assert.NoError(t, b.engine.Sync())
					synced[c] = round
				}
			}
		})
	}
	all.Wait()
	b.crash(0, seeded(t))
	for c := range callers {
		value, err := b.engine.Get([]byte(strconv.Itoa(c)))
		require.NoError(t, err)
		kept, err := strconv.Atoi(string(value))
		require.NoError(t, err)
		require.GreaterOrEqual(t, kept, synced[c], "caller %d", c)
	}
}

// closeUnderUse closes the engine while others use it: each call ends well or with
// ErrClosed.
func closeUnderUse(t *testing.T, b *bench) {
	b.apply("a=1")
	calls := []func() error{
		func() error { _, err := b.engine.Get([]byte("a")); return err },
		func() error { return b.engine.Apply(batchOf("a=1")) },
		func() error { return b.engine.Sync() },
		func() error { return useSnapshot(b.engine) },
	}
	var ready, all sync.WaitGroup
	for _, call := range calls {
		for range 4 {
			ready.Add(1)
			all.Go(func() {
				err := call()
				ready.Done()
				for err == nil {
					err = call()
				}
				assert.ErrorIs(t, err, storage.ErrClosed)
			})
		}
	}
	ready.Wait()
	require.NoError(t, b.engine.Close())
	all.Wait()
}

func useSnapshot(engine storage.Engine) error {
	snapshot, err := engine.Snapshot()
	if err != nil {
		return err
	}
	_, err = snapshot.Get([]byte("a"))
	return errors.Join(err, snapshot.Scan(nil, nil, func(_, _ []byte) bool { return true }), snapshot.Close())
}
