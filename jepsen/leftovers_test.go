package jepsen

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatIsNotLeftIsNotRemoved: what a run that goes on is using, what was kept, what
// has just been begun, and what somebody else may have put there.
func TestWhatIsNotLeftIsNotRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	goesOn, release, err := ownFolder(t.Context())
	require.NoError(t, err)
	kept, released, err := ownFolder(t.Context())
	require.NoError(t, err)
	require.NoError(t, released())
	made := func(name string, mode os.FileMode, files ...string) string {
		dir := filepath.Join(os.TempDir(), ownFolders+name)
		require.NoError(t, os.Mkdir(dir, 0o700))
		for _, f := range files {
			require.NoError(t, os.WriteFile(filepath.Join(dir, f), nil, 0o600))
		}
		require.NoError(t, os.Chmod(dir, mode))
		return dir
	}
	begun, open := made("begun", 0o700), made("open", 0o777, claimName)
	unreadable := made("unreadable", 0o700, claimName, "cluster.json")
	left := made("left", 0o700, claimName)
	sweep(t.Context())
	require.NoDirExists(t, left)
	for _, dir := range []string{goesOn, kept, begun, open, unreadable} {
		require.DirExists(t, dir)
	}
	require.NoError(t, os.RemoveAll(goesOn))
	require.NoError(t, release(), "its folder is gone by then")
}
