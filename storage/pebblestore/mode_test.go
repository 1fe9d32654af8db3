package pebblestore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage/pebblestore"
)

// TestOthersOnTheMachineDoNotReadTheData: files in the folder are as open as the
// engine makes them, so the folder is what is closed.
func TestOthersOnTheMachineDoNotReadTheData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1", "data")
	s, err := pebblestore.Open(dir, pebblestore.Options{})
	require.NoError(t, err)
	defer s.Close()
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}
