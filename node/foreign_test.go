package node

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// A peer may dial as soon as there is a listener, and a hello that names no cluster is one
// that everybody accepts: a node whose disk is of another cluster would be a peer for as
// long as the link stays. So nobody is greeted before it is known what the disk says.
func TestNobodyIsGreetedBeforeTheClusterIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newControl(nil)
		said := make(chan [16]byte, 2)
		go func() { said <- c.clusterID() }()
		synctest.Wait()
		require.Empty(t, said)
		c.know([16]byte{7})
		require.Equal(t, [16]byte{7}, <-said)
		c.know([16]byte{8})
		require.Equal(t, [16]byte{8}, c.clusterID())

		failed := newControl(nil)
		go func() { said <- failed.clusterID() }()
		close(failed.done)
		require.Zero(t, <-said, "nobody waits for a start that has failed")
	})
}
