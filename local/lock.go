package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience is how long a change waits for another program's change: long
// enough for a kill, shorter than a person's.
const lockPatience = 15 * time.Second

// LockedError says that another program is changing the cluster.
type LockedError struct {
	Dir, Holder string
	// Err is why the caller waited no longer; nil if it has waited long enough.
	Err error
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("the cluster in %s is being changed by another program (process %s): wait for it to finish, or end it", e.Dir, e.Holder)
}

func (e *LockedError) Unwrap() error { return e.Err }

// lock keeps other programs, and other goroutines of this one, from changing
// the cluster. The kernel lets go of it when the program dies.
func lock(ctx context.Context, dir string, patience time.Duration) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			noteHolder(f)
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
		select {
		case <-ctx.Done():
			defer f.Close()
			return nil, &LockedError{Dir: dir, Holder: holder(f), Err: ctx.Err()}
		case <-late.C:
			defer f.Close()
			return nil, &LockedError{Dir: dir, Holder: holder(f)}
		case <-tick.C:
		}
	}
}

// noteHolder is for the error message alone, so its failure does not matter.
func noteHolder(f *os.File) {
	if f.Truncate(0) == nil {
		f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
}

func holder(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if s := strings.TrimSpace(string(b)); err == nil && s != "" {
		return s
	}
	return "unknown"
}
