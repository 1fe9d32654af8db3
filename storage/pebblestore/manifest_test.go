package pebblestore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// withManifest is a store of 30 rows whose manifest was written to at three starts.
func withManifest(t *testing.T) (dir, name string, whole []byte) {
	dir = t.TempDir()
	for start := range 3 {
		s, err := Open(dir, Options{SpaceFloorBytes: -1})
		require.NoError(t, err)
		for i := range 10 {
			var b storage.Batch
			b.Set(fmt.Appendf(nil, "\x05row-%03d", 10*start+i), []byte("v"))
			require.NoError(t, s.Apply(&b))
		}
		require.NoError(t, s.Sync())
		require.NoError(t, s.Close())
	}
	names, err := filepath.Glob(filepath.Join(dir, dbName, "MANIFEST-*"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	name = filepath.Base(names[len(names)-1])
	whole, err = os.ReadFile(filepath.Join(dir, dbName, name))
	require.NoError(t, err)
	return dir, name, whole
}

// opened is a copy of a store with another manifest: how many rows it has, or why it
// does not open.
func opened(t *testing.T, dir, name string, content []byte) (rows int, err error) {
	other := filepath.Join(t.TempDir(), "s")
	require.NoError(t, os.CopyFS(other, os.DirFS(dir)))
	require.NoError(t, os.WriteFile(filepath.Join(other, dbName, name), content, 0o600))
	s, err := Open(other, Options{SpaceFloorBytes: -1})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for i := range 30 {
		if _, err := s.Get(fmt.Appendf(nil, "\x05row-%03d", i)); err == nil {
			rows++
		}
	}
	return rows, nil
}

// C12: a manifest without its end is one that is whole to Pebble, and the rows of the
// tables that it does not name any more would be gone without a word.
func TestDamage_AManifestThatHasLostItsEnd(t *testing.T) {
	dir, name, whole := withManifest(t)
	rows, err := opened(t, dir, name, whole)
	require.NoError(t, err)
	require.Equal(t, 30, rows)
	for cut := 0; cut < len(whole); cut += 7 {
		zeroed := append(append([]byte(nil), whole[:cut]...), make([]byte, len(whole)-cut)...)
		for what, content := range map[string][]byte{"cut": whole[:cut], "zeroed": zeroed} {
			rows, err := opened(t, dir, name, content)
			var damaged *storage.DamagedError
			require.ErrorAs(t, err, &damaged, "%s from byte %d of %d on: opened with %d rows", what, cut, len(whole), rows)
		}
	}
}

// A note of before, or of which a loss of power has left nothing, accuses nobody.
func TestAnOldNoteOfAManifestAccusesNobody(t *testing.T) {
	dir, name, whole := withManifest(t)
	path := filepath.Join(dir, dbName, manifestNote)
	note, err := os.ReadFile(path)
	require.NoError(t, err)
	older, rotten := manifest{}, bytes.Clone(note)
	older.wrote(whole[:20])
	rotten[len(name)+1] ^= 1
	for _, text := range [][]byte{nil, note[:len(note)-1], rotten, noteOf("MANIFEST-999999", 1000, 0), noteOf(name, older.size, older.sum)} {
		require.NoError(t, os.WriteFile(path, text, 0o600))
		rows, err := opened(t, dir, name, whole)
		require.NoError(t, err, "%q", text)
		require.Equal(t, 30, rows, "%q", text)
	}
}
