package node

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// TestAnOperatorShrinksANodeToNothing: it is staged at one node and committed at another;
// each order is answered when it is durable.
func TestAnOperatorShrinksANodeToNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	nodes, _ := three(t)
	empty := kindred.NodeChange{Node: "n3", Intent: kindred.IntentOwn, Zone: "z3"}
	require.Nil(t, nodes[0].Stage(ctx, []kindred.NodeChange{empty}))
	known := func(n *Node) kindred.Changes {
		c, bad := n.Changes(ctx)
		require.Nil(t, bad)
		return c
	}
	require.Eventually(t, func() bool { return len(known(nodes[1]).Staged) == 1 }, patience, 10*time.Millisecond)
	plan, bad := nodes[1].Plan(ctx)
	require.Nil(t, bad)
	require.Equal(t, "n2", plan.Node)
	require.Zero(t, plan.Nodes[2].After)
	require.Empty(t, plan.Refusals)
	require.Equal(t, kindred.CodeUnsafe, nodes[1].Commit(ctx, plan.From, false).Code)
	require.Nil(t, nodes[1].Commit(ctx, plan.Version, false))
	require.Eventually(t, func() bool { return known(nodes[2]).Progress.Tip == plan.Version }, patience, 10*time.Millisecond)
	require.Equal(t, plan.Version, nodes[2].Cluster().LayoutVersion, "one name for what was planned and what is used")

	gone, stop := context.WithCancel(ctx)
	stop()
	lost := nodes[0].Stage(gone, nil)
	require.NotNil(t, lost)
	require.Equal(t, kindred.Unknown, lost.Outcome)
}
