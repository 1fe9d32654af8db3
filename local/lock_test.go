package local

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheLockNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(t.Context(), dir, time.Second)
	require.NoError(t, err)
	_, err = lock(t.Context(), dir, 30*time.Millisecond)
	var le *LockedError
	require.ErrorAs(t, err, &le)
	require.Equal(t, strconv.Itoa(os.Getpid()), le.Holder)
	require.NoError(t, le.Err)
	enough, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = lock(enough, dir, time.Minute)
	require.ErrorAs(t, err, &le)
	require.ErrorIs(t, err, context.Canceled, "who has stopped waiting is told so")
	unlock()
	unlock, err = lock(t.Context(), dir, time.Second)
	require.NoError(t, err)
	unlock()
}

func TestProcessStatusLines(t *testing.T) {
	const tail = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20 21"
	for _, name := range []string{"(kvnode)", "(a b) R)", "(x) T 1 2 3"} {
		letter, ticks, err := parseStat([]byte("42 " + name + ")" + tail))
		require.NoError(t, err)
		require.Equal(t, byte('S'), letter)
		require.EqualValues(t, 987654, ticks)
	}
	for _, bad := range []string{"", "42", "42 (kvnode)", "42 (kvnode) S 1 2"} {
		_, _, err := parseStat([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestAProcessIsKnownByItsStart(t *testing.T) {
	self, err := identify(os.Getpid())
	require.NoError(t, err)
	require.Equal(t, Running, self.state())
	other := self
	other.StartTicks++
	require.Equal(t, Stopped, other.state(), "another start is another process")
	there, err := other.signal(0)
	require.NoError(t, err)
	require.False(t, there)
	other = self
	other.Boot = "yesterday"
	require.Equal(t, Stopped, other.state(), "another boot is another process")
	require.NoError(t, other.waitGone(context.Background()))
}
