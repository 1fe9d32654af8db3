package netns_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local/netns"
)

// write writes a file, and sees to it that it is on the disk.
func write(path string, content []byte, synced bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil || !synced {
		return err
	}
	return f.Sync()
}

// TestDisksFail: they run full, break, lose what was not synced, and are slow.
func TestDisksFail(t *testing.T) {
	if err := netns.DisksMissing(); err != nil {
		t.Skip(err)
	}
	if !sandboxed(t) {
		return
	}
	n, err := netns.New(1) // makes the mounts private
	require.NoError(t, err)
	defer n.Close()
	dir := t.TempDir()
	d := netns.Disk{Image: filepath.Join(dir, "disk.img"), Folder: filepath.Join(dir, "data")}
	require.NoError(t, d.Make(t.Context()))
	defer func() { require.NoError(t, d.Remove()) }()
	in := func(name string) string { return filepath.Join(d.Folder, name) }
	left, err := os.ReadDir(d.Folder)
	require.NoError(t, err)
	require.Empty(t, left, "it is as empty as a folder")

	t.Log("full")
	for _, leave := range []int64{0, 10 << 20} {
		giveBack, err := d.Fill(leave)
		require.NoError(t, err)
		content := make([]byte, 1<<20)
		if leave > 0 {
			require.NoError(t, write(in("fits"), content, true))
			content = make([]byte, leave)
		}
		require.ErrorIs(t, write(in("does-not-fit"), content, true), syscall.ENOSPC)
		require.NoError(t, giveBack())
		require.NoError(t, write(in("does-not-fit"), content, true), "there is room again")
	}

	t.Log("broken, and without power")
	require.NoError(t, write(in("synced"), []byte("v"), true))
	require.NoError(t, write(in("unsynced"), []byte("v"), false))
	require.NoError(t, d.Fail())
	require.ErrorIs(t, write(in("more"), []byte("v"), true), syscall.EIO)
	require.NoError(t, d.Remount(t.Context()))
	there, err := os.ReadFile(in("synced"))
	require.NoError(t, err)
	require.Equal(t, "v", string(there))
	gone, _ := os.ReadFile(in("unsynced"))
	require.Empty(t, gone)
	require.NoError(t, write(in("more"), []byte("v"), true), "well again")

	t.Log("slow")
	if err := netns.SlowMissing(); err != nil {
		t.Log(err)
		return
	}
	// A process of its own: this one is to stay quick.
	sync := exec.Command("sh", "-c", `read go; for i in 1 2 3 4 5; do echo x >>"$0"; sync "$0"; done`, in("file"))
	begin, err := sync.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, sync.Start())
	quick, err := d.Slow(sync.Process.Pid, 20)
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, begin.Close())
	require.NoError(t, sync.Wait())
	require.Greater(t, time.Since(began), 150*time.Millisecond, "five syncs of a disk of 20 accesses in a second")
	require.NoError(t, quick())
	groups, err := filepath.Glob("/sys/fs/cgroup/blkio/kindred-*")
	require.NoError(t, err)
	require.Empty(t, groups)
}
