package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// All threads of a node have coarse timers, also that of Go's runtime which is older
// than main. Who starts a node with a slack of their own keeps it.
func TestTimersAreCoarse(t *testing.T) {
	for _, c := range []struct {
		what        string
		given, want int64 // in ns
	}{
		{"as the system gives it", usualSlack.Nanoseconds(), timerSlack.Nanoseconds()},
		{"chosen by somebody", 70_000, 70_000},
	} {
		t.Run(c.what, func(t *testing.T) {
			runtime.LockOSThread() // a child has the slack of the thread that starts it
			require.NoError(t, unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(c.given), 0, 0, 0))
			p := launch(t, alone(t, t.TempDir())...)
			require.NoError(t, unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)) // its own again
			runtime.UnlockOSThread()
			require.Contains(t, p.ready(), "is ready")
			threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", p.cmd.Process.Pid))
			require.NoError(t, err)
			require.Greater(t, len(threads), 2)
			for _, thread := range threads {
				slack, err := os.ReadFile("/proc/" + filepath.Base(thread) + "/timerslack_ns")
				if errors.Is(err, fs.ErrNotExist) {
					continue // it has ended
				}
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintln(c.want), string(slack), thread)
			}
		})
	}
}
