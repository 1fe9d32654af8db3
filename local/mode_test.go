package local_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOthersOnTheMachineSeeNoNodes: a node's folder holds its data and its log.
func TestOthersOnTheMachineSeeNoNodes(t *testing.T) {
	o := options(t, 1)
	start(t, o)
	for _, dir := range []string{"n1", "n1/data"} {
		info, err := os.Stat(filepath.Join(o.Dir, dir))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), dir)
	}
}
