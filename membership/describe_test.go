package membership

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
)

// TestWhatWasCommittedIsStagedNoMore: while a commit waits for a node that is away, only
// what was staged after it is said to be staged.
func TestWhatWasCommittedIsStagedNoMore(t *testing.T) {
	w := newTown(t, 3)
	w.stop("n3")
	w.stage("n1", own("n2", 2), ring.Own)
	version := w.commit("n1")
	for _, name := range []string{"n1", "n2"} {
		known := w.views[name].Changes()
		require.Equal(t, version.String(), known.Progress.Next, name)
		require.Equal(t, "n3", known.Progress.Waits[0].Node, name)
		require.Empty(t, known.Staged, name)
	}
	w.stage("n2", own("n1", 3), ring.Own)
	staged := w.views["n1"].Changes().Staged
	require.Len(t, staged, 1)
	require.Equal(t, "n1", staged[0].Node)
}
