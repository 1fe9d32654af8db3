package jepsen

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/local/netns"
)

// A run that is killed (SIGKILL) can stop no node and remove no folder. So each one
// holds a lock on a file in the folder of its cluster, which the kernel takes from it
// when it ends, however it ends; and who finds such a file that nobody holds removes
// what was left.
const (
	ownFolders = "kindred-jepsen-"
	claimName  = "run.lock"
	// inSandbox is what the file says of a run whose nodes were in a sandbox, and have
	// ended with it.
	inSandbox = "sandbox\n"
)

// ownFolder makes a temporary folder for a run, and removes what killed ones have left.
func ownFolder(ctx context.Context) (dir string, release func() error, err error) {
	sweep(ctx)
	if dir, err = os.MkdirTemp("", ownFolders); err != nil {
		return "", nil, err
	}
	if release, err = claim(dir); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, release, nil
}

// claim marks a folder as that of a run which goes on. It is released when the folder
// has been removed, or is to be kept.
func claim(dir string) (release func() error, err error) {
	f, err := os.CreateTemp(dir, claimName)
	if err != nil {
		return nil, err
	}
	// It is held before it can be found.
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && netns.Inside() {
		_, err = f.WriteString(inSandbox)
	}
	path := filepath.Join(dir, claimName)
	if err = errors.Join(err, os.Rename(f.Name(), path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return errors.Join(err, f.Close())
		}
		return f.Close()
	}, nil
}

// sweep stops the nodes and removes the folders that killed runs have left among the
// temporary ones. What it cannot remove stays, and is no reason against a new run.
func sweep(ctx context.Context) {
	claims, _ := filepath.Glob(filepath.Join(os.TempDir(), ownFolders+"*", claimName))
	for _, path := range claims {
		removeLeft(ctx, path)
	}
}

func removeLeft(ctx context.Context, path string) {
	dir := filepath.Dir(path)
	// What a folder calls its processes is believed and ended. Anybody can make one here.
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		return
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return // it is somebody else's, or gone by now
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return // its run goes on
	}
	if said, err := os.ReadFile(path); err != nil || netns.Inside() && string(said) != inSandbox {
		return // its nodes may live, and cannot be seen from in here
	}
	c, err := local.Open(dir)
	if err == nil {
		_, err = c.Stop(ctx, 0)
	}
	if _, none := errors.AsType[*local.NoClusterError](err); err == nil || none {
		_ = os.RemoveAll(dir)
	}
}
