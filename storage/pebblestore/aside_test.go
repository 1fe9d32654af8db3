package pebblestore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// A store that cannot be opened is kept, and the folder serves again: empty, and
// as another disk.
func TestSetAside(t *testing.T) {
	l := newLibrary(t, 200)
	fs := l.copy()
	s, err := Open("node", small(fs))
	require.NoError(t, err)
	before := s.DiskID()
	require.NoError(t, s.Close())
	for i := range asideMax {
		truncate(t, fs, (&library{t: t, fs: fs}).newest(".sst"))
		_, err = Open("node", small(fs))
		var damaged *storage.DamagedError
		require.ErrorAs(t, err, &damaged)
		to, err := SetAside("node", small(fs))
		require.NoError(t, err)
		names, err := fs.List(fs.PathJoin(to, dbName))
		require.NoError(t, err)
		require.NotEmpty(t, names, "what was there is kept")

		s, err = Open("node", small(fs))
		require.NoError(t, err)
		require.NotEqual(t, before, s.DiskID(), "time %d", i)
		require.Equal(t, reading{absent: 200}, l.read(s))
		before = s.DiskID()
		put(t, s, 0, 100)
		require.NoError(t, s.db.Flush())
		require.NoError(t, s.Close())
	}
	_, err = SetAside("node", small(fs))
	require.ErrorContains(t, err, "replace the disk")
}
