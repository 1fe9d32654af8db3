package node

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// TestAClusterIsMadeOnRequest: two nodes that expect nobody wait until one of them is
// told to make the layout, and both then serve. It is made once.
func TestAClusterIsMadeOnRequest(t *testing.T) {
	first, second := config(t, "n1"), config(t, "n2")
	first.Expect, second.Expect, second.Join = 0, 0, []string{first.GossipAddr}
	nodes := []*Node{start(t, first), start(t, second)}
	c, err := client.Dial(t.Context(), []string{first.ClientAddr})
	require.NoError(t, err)
	defer c.Close()
	require.Eventually(t, func() bool {
		members := nodes[0].Cluster().Members
		return len(members) == 2 && members[1].State == kindred.Alive && members[1].Linked
	}, patience, 10*time.Millisecond)
	require.False(t, nodes[0].Local().Ready)

	require.NoError(t, c.Init(t.Context(), "n1"))
	awaitReady(t, nodes...)
	require.Equal(t, nodes[0].Cluster().LayoutVersion, nodes[1].Cluster().LayoutVersion)
	err = c.Init(t.Context(), "n1")
	require.True(t, kindred.HasCode(err, kindred.CodeInvalid), "%v", err)
	require.ErrorContains(t, err, "cannot make the first layout: this node is in cluster")
	require.ErrorContains(t, c.Init(t.Context(), "n9"), `no node is called "n9"`)

	require.NoError(t, nodes[0].Stop(context.Background()))
	require.Equal(t, kindred.CodeStopping, nodes[0].Init(context.Background()).Code)
}
