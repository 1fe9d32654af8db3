package pebblestore

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// faulty is a disk whose operations of one kind, on files of one kind, fail while
// on is set. It counts what it injected, because every fault must be seen.
type faulty struct {
	on       atomic.Bool
	injected atomic.Int64
	kinds    []errorfs.OpKind
	suffix   string
}

func (f *faulty) over(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !f.on.Load() || !strings.HasSuffix(op.Path, f.suffix) {
			return nil
		}
		for _, kind := range f.kinds {
			if op.Kind == kind {
				f.injected.Add(1)
				return syscall.EIO
			}
		}
		return nil
	}))
}

var syncs = []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}

// A sync that failed may have lost what it was to keep, and the next one would not
// notice. So no Sync succeeds after it (S4), and the node is told, once.
func TestFailure_Sync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := &faulty{kinds: syncs, suffix: ".log"}
		var told []*storage.FailedError
		options := small(faults.over(vfs.NewMem()))
		options.OnFatal = func(err *storage.FailedError) { told = append(told, err) }
		s, err := Open("node", options)
		require.NoError(t, err)
		require.NoError(t, s.Apply(oneRow("synced")))
		require.NoError(t, s.Sync())
		require.NoError(t, s.Apply(oneRow("lost")))

		faults.on.Store(true)
		var failed *storage.FailedError
		require.ErrorAs(t, s.Sync(), &failed)
		require.ErrorIs(t, failed, syscall.EIO)
		require.ErrorContains(t, failed, "check the disk, then restart the node")
		require.Positive(t, faults.injected.Load())
		faults.on.Store(false)
		require.ErrorIs(t, s.Sync(), failed)
		require.ErrorIs(t, s.Apply(oneRow("later")), failed)
		_, err = s.Get([]byte("synced"))
		require.NoError(t, err, "reads go on")
		require.ErrorIs(t, s.Close(), failed)
		require.Equal(t, []*storage.FailedError{failed}, told)
	})
}

// An error in the log between two syncs is not kept for later.
func TestFailure_LogWriteInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := &faulty{kinds: []errorfs.OpKind{errorfs.OpFileWrite}, suffix: ".log"}
		s, err := Open("node", small(faults.over(vfs.NewMem())))
		require.NoError(t, err)
		faults.on.Store(true)
		var b storage.Batch
		b.Set([]byte("large"), make([]byte, 1<<20))
		var failed *storage.FailedError
		for range 10 {
			if err = s.Apply(&b); err != nil {
				break
			}
			synctest.Wait()
		}
		require.ErrorAs(t, err, &failed)
		require.ErrorIs(t, failed, syscall.EIO)
		require.ErrorIs(t, s.Close(), failed)
	})
}

// A table that cannot be written is tried again, but not without a pause, and the
// store goes on.
func TestFailure_FlushIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := &faulty{kinds: []errorfs.OpKind{errorfs.OpCreate, errorfs.OpFileWrite}, suffix: ".sst"}
		s, err := Open("node", small(faults.over(vfs.NewMem())))
		require.NoError(t, err)
		require.NoError(t, s.Apply(oneRow("a")))
		faults.on.Store(true)
		done, err := s.db.AsyncFlush()
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Positive(t, faults.injected.Load())
		require.LessOrEqual(t, faults.injected.Load(), int64(time.Minute/tableErrorPause)+1)
		require.NotZero(t, s.Metrics().BackgroundErrors)
		faults.on.Store(false)
		<-done
		require.NoError(t, s.Failed())
		require.NoError(t, s.Apply(oneRow("b")))
		require.NoError(t, s.Close())
	})
}

// An I/O error while opening is the operating system's, not damage: nobody should
// throw the folder away for a loose cable.
func TestFailure_OpenSaysWhatTheSystemSays(t *testing.T) {
	mem := vfs.NewMem()
	faults := &faulty{kinds: []errorfs.OpKind{errorfs.OpFileRead, errorfs.OpFileReadAt}}
	s, err := Open("node", small(mem))
	require.NoError(t, err)
	require.NoError(t, s.Apply(oneRow("a")))
	require.NoError(t, s.Close())
	for _, suffix := range []string{"FORMAT", "MANIFEST-000001"} {
		faults.suffix = suffix
		faults.on.Store(true)
		_, err = Open("node", small(faults.over(mem)))
		require.ErrorIs(t, err, syscall.EIO)
		var damaged *storage.DamagedError
		require.NotErrorAs(t, err, &damaged)
		faults.on.Store(false)
	}
	s, err = Open("node", small(faults.over(mem)))
	require.NoError(t, err, "a refused Open gives the lock back")
	require.NoError(t, s.Close())
}

// A fault at any place in a life of the store: each operation of the disk fails, in
// turn, once or from there on. The process lives, no call hangs, and what a Sync has
// confirmed is there at the next start.
func TestFailure_AnyOperation(t *testing.T) {
	const stride = 4 // each run tries a quarter of the places
	for name, forGood := range map[string]bool{"once": false, "for good": true} {
		t.Run(name, func(t *testing.T) {
			index := rand.Int64N(stride)
			t.Logf("every %dth operation from %d on", stride, index)
			for failAt(t, index, forGood) {
				index += stride
			}
			require.Greater(t, index, int64(100))
		})
	}
}

// failAt reports whether the operation came at all.
func failAt(t *testing.T, index int64, forGood bool) bool {
	var operations atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		confirmed := liveThrough(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if at := operations.Add(1) - 1; at == index || at > index && forGood {
				return syscall.EIO
			}
			return nil
		})))
		s, err := Open("node", small(mem))
		require.NoError(t, err, "operation %d", index)
		for i := range confirmed {
			value, err := s.Get(rowKey(i))
			require.NoError(t, err, "operation %d, row %d of %d", index, i, confirmed)
			require.Equal(t, rowValue(i), value)
		}
		require.NoError(t, s.Close())
	})
	return operations.Load() > index
}

// liveThrough opens, writes, flushes, closes and opens again, until something
// fails. It returns how many rows were confirmed by a Sync.
func liveThrough(fs vfs.FS) (confirmed int) {
	for life := range 2 {
		s, err := Open("node", small(fs))
		if err != nil {
			return confirmed
		}
		for i := 100 * life; i < 100*(life+1); i++ {
			var b storage.Batch
			b.Set(rowKey(i), rowValue(i))
			if s.Apply(&b) == nil && i%10 == 9 && s.Sync() == nil {
				confirmed = i + 1
			}
			if i%40 == 39 && s.Failed() == nil {
				_, _ = s.db.AsyncFlush()
				time.Sleep(time.Second)
			}
		}
		if s.Close() != nil {
			return confirmed
		}
	}
	return confirmed
}

// Callers that come together share a sync: many fewer syncs than callers.
func TestSync_IsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var diskSyncs atomic.Int64
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			for _, kind := range syncs {
				if op.Kind == kind && strings.HasSuffix(op.Path, ".log") {
					diskSyncs.Add(1)
					time.Sleep(10 * time.Millisecond)
				}
			}
			return nil
		}))
		s, err := Open("node", small(fs))
		require.NoError(t, err)
		before, start := diskSyncs.Load(), time.Now()
		const callers = 64
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				assert.NoError(t, s.Apply(oneRow(fmt.Sprintf("%02d", i))))
				assert.NoError(t, s.Sync())
			})
		}
		all.Wait()
		require.LessOrEqual(t, diskSyncs.Load()-before, int64(4))
		require.LessOrEqual(t, time.Since(start), 50*time.Millisecond)

		synced := diskSyncs.Load()
		require.NoError(t, s.Sync())
		require.Equal(t, synced, diskSyncs.Load(), "nothing is new: the disk is not asked")
		require.NoError(t, s.Close())
	})
}
