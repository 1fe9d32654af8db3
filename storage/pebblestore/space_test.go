package pebblestore

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// meteredFS is a disk in memory with a size. What is written counts, what is
// removed is given back, and what does not fit is ENOSPC.
type meteredFS struct {
	*vfs.MemFS
	free *atomic.Int64
}

func newMeteredFS(free int64) *meteredFS {
	m := &meteredFS{MemFS: vfs.NewMem(), free: new(atomic.Int64)}
	m.free.Store(free)
	return m
}

func (m *meteredFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: uint64(max(m.free.Load(), 0)), TotalBytes: 1 << 40}, nil
}

func (m *meteredFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := m.MemFS.Create(name, category)
	if err != nil {
		return nil, err
	}
	return &meteredFile{File: file, free: m.free}, nil
}

func (m *meteredFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := m.MemFS.ReuseForWrite(old, name, category)
	if err != nil {
		return nil, err
	}
	return &meteredFile{File: file, free: m.free}, nil
}

func (m *meteredFS) Remove(name string) error {
	info, err := m.Stat(name)
	if err == nil {
		m.free.Add(info.Size())
	}
	return errors.Join(err, m.MemFS.Remove(name))
}

type meteredFile struct {
	vfs.File
	free *atomic.Int64
}

func (f *meteredFile) Write(p []byte) (int, error) {
	if f.free.Add(-int64(len(p))) < 0 {
		f.free.Add(int64(len(p)))
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

const mebi = 1 << 20

// metered are options whose floor is 8 MiB and whose ballast is 2 MiB.
func metered(fs vfs.FS) Options {
	return Options{
		FS: fs, CacheBytes: mebi, MemTableBytes: mebi,
		SpaceFloorBytes: 8 * mebi, BallastBytes: 2 * mebi,
	}
}

func oneRow(key string) *storage.Batch {
	var b storage.Batch
	b.Set([]byte(key), []byte("value"))
	return &b
}

func TestSpace_BelowTheFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newMeteredFS(100 * mebi)
		s, err := Open("node", metered(fs))
		require.NoError(t, err)
		require.True(t, s.Metrics().BallastHeld)
		require.NoError(t, s.Apply(oneRow("kept")))
		synctest.Wait() // until the log has it

		fs.free.Store(7 * mebi)
		time.Sleep(spaceCheckInterval)
		var full *storage.FullError
		require.ErrorAs(t, s.Apply(oneRow("refused")), &full)
		require.Equal(t, uint64(7*mebi), full.FreeBytes)
		require.ErrorContains(t, full, "the disk of node is full: 7 MiB free, 9 MiB needed: free space on it")
		require.Equal(t, uint64(1), s.Metrics().RefusedBatches)

		_, err = s.Get([]byte("kept"))
		require.NoError(t, err, "reads go on")
		require.NoError(t, s.Sync(), "and so does Sync")
		essential := oneRow("incarnation")
		essential.MarkEssential()
		require.NoError(t, s.Apply(essential))
		var deletes storage.Batch
		deletes.Delete([]byte("kept"))
		require.NoError(t, s.Apply(&deletes), "deletes make room")

		fs.free.Store(1 * mebi)
		time.Sleep(spaceCheckInterval)
		require.ErrorAs(t, s.Apply(essential), &full, "the last quarter is Pebble's")
		require.ErrorAs(t, s.Apply(&deletes), &full)

		fs.free.Store(100 * mebi)
		time.Sleep(spaceCheckInterval)
		require.NoError(t, s.Apply(oneRow("again")), "writes resume by themselves")
		_, err = s.Get([]byte("refused"))
		require.ErrorIs(t, err, storage.ErrNotFound)
		require.NoError(t, s.Close())
	})
}

// The guard measures after a mebibyte, not only after a second: a fast writer
// does not outrun it.
func TestSpace_FastWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newMeteredFS(24 * mebi)
		s, err := Open("node", metered(fs))
		require.NoError(t, err)
		var full *storage.FullError
		var b storage.Batch
		for i := 0; ; i++ {
			b.Reset()
			b.Set(fmt.Appendf(nil, "%06d", i), make([]byte, 64<<10))
			if err := s.Apply(&b); err != nil {
				require.ErrorAs(t, err, &full)
				break
			}
		}
		require.Greater(t, fs.free.Load(), int64(3*mebi))
		require.NoError(t, s.Failed())
		require.NoError(t, s.Close())
	})
}

// A disk that others fill between two looks: the ballast is given back, and what
// was under way ends well. Pebble alone would end the process here.
func TestSpace_BallastIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newMeteredFS(100 * mebi)
		s, err := Open("node", metered(fs))
		require.NoError(t, err)
		require.NoError(t, s.Apply(oneRow("before")))
		fs.free.Store(0)
		require.NoError(t, s.Apply(oneRow("unlooked")))
		require.NoError(t, s.Sync())
		require.False(t, s.Metrics().BallastHeld)
		time.Sleep(spaceCheckInterval)
		var full *storage.FullError
		require.ErrorAs(t, s.Apply(oneRow("refused")), &full)
		_, err = s.Get([]byte("unlooked"))
		require.NoError(t, err)

		fs.free.Store(100 * mebi)
		time.Sleep(spaceCheckInterval)
		require.NoError(t, s.Apply(oneRow("after")))
		require.True(t, s.Metrics().BallastHeld, "taken again")
		require.NoError(t, s.Close())
	})
}

// No ballast is left and the log cannot grow: the store fails, the process lives.
func TestSpace_NothingLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newMeteredFS(100 * mebi)
		options := metered(fs)
		options.BallastBytes = -1
		var fatal *storage.FailedError
		options.OnFatal = func(err *storage.FailedError) { fatal = err }
		s, err := Open("node", options)
		require.NoError(t, err)
		require.NoError(t, s.Apply(oneRow("before")))
		require.NoError(t, s.Sync())
		fs.free.Store(0)
		require.NoError(t, s.Apply(oneRow("unlooked")))
		var failed *storage.FailedError
		require.ErrorAs(t, s.Sync(), &failed)
		require.ErrorIs(t, failed, syscall.ENOSPC)
		require.Same(t, failed, fatal)
		fs.free.Store(100 * mebi)
		require.ErrorIs(t, s.Sync(), failed, "S4: it never succeeds again")
		require.ErrorIs(t, s.Apply(oneRow("later")), failed)
		_, err = s.Get([]byte("before"))
		require.NoError(t, err, "reads go on")
		require.ErrorIs(t, s.Close(), failed)
	})
}

// Pebble's Open on a full disk never returns; ours does not begin.
func TestSpace_OpenOnAFullDisk(t *testing.T) {
	fs := newMeteredFS(100 * mebi)
	s, err := Open("node", metered(fs))
	require.NoError(t, err)
	require.NoError(t, s.Apply(oneRow("kept")))
	require.NoError(t, s.Close())

	fs.free.Store(openBytes - 3*mebi)
	_, err = Open("node", metered(fs))
	var full *storage.FullError
	require.ErrorAs(t, err, &full)
	require.Equal(t, "node", full.Dir)
	require.ErrorContains(t, err, "MiB needed: free space on it")

	fs.free.Store(openBytes + mebi)
	s, err = Open("node", metered(fs))
	require.NoError(t, err)
	_, err = s.Get([]byte("kept"))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestSpace_OpenGivesTheBallastBack(t *testing.T) {
	fs := newMeteredFS(100 * mebi)
	s, err := Open("node", metered(fs))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	fs.free.Store(openBytes - mebi)
	s, err = Open("node", metered(fs))
	require.NoError(t, err)
	require.False(t, s.Metrics().BallastHeld)
	require.NoError(t, s.Close())
}

// The same on a file system of the kernel, which has its own ideas of when a disk
// is full.
func TestSpace_RealDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("kindred", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("mounting a small tmpfs needs root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	options := metered(nil)
	s, err := Open(dir, options)
	require.NoError(t, err)
	require.NoError(t, s.Apply(oneRow("kept")))

	// Somebody else takes the whole disk between two looks.
	filler := dir + "/filler"
	fill(t, filler)
	require.NoError(t, s.Apply(oneRow("unlooked")))
	require.NoError(t, s.Sync(), "the ballast made room")
	fill(t, filler)
	var full *storage.FullError
	require.Eventually(t, func() bool { return errors.As(s.Apply(oneRow("x")), &full) }, 20*time.Second, 10*time.Millisecond)
	_, err = s.Get([]byte("unlooked"))
	require.NoError(t, err)
	closing := s.Close()
	t.Logf("closing on a full disk: %v", closing)

	_, err = Open(dir, options)
	require.ErrorAs(t, err, &full, "Open refuses and returns")
	require.NoError(t, os.Remove(filler))
	s, err = Open(dir, options)
	require.NoError(t, err)
	_, err = s.Get([]byte("unlooked"))
	require.NoError(t, err)
	require.NoError(t, s.Apply(oneRow("again")))
	require.NoError(t, s.Close())
}

// fill writes to the file until the disk has no space.
func fill(t *testing.T, name string) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	chunk := make([]byte, 64<<10)
	for size := len(chunk); size > 0; {
		if _, err = file.Write(chunk[:size]); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			size /= 2
		}
	}
	require.NoError(t, file.Close())
}
