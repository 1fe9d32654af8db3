package node

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// Whatever operators ask a node, the answer comes when it is durable there.
func TestAChangeIsStagedAndCommittedThroughTheNode(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	defer cancel()
	nodes, _ := three(t)
	n1, n2 := nodes[0], nodes[1]
	changes := func(n *Node) (all kindred.Changes) {
		require.NoError(t, n.control.do(ctx, func(time.Time) error {
			all = n.control.core.Changes()
			return nil
		}))
		return all
	}
	stage := func(n *Node) {
		require.NoError(t, n.control.do(ctx, func(now time.Time) error {
			return n.control.core.Stage(now, ring.Node{Name: "n2", Zone: "z2", Capacity: 2}, ring.Own)
		}))
	}
	plan := func(n *Node) (d *ring.Decision) {
		require.NoError(t, n.control.do(ctx, func(now time.Time) error {
			plan, planned, err := n.control.core.Plan(now, false, nil)
			d = planned
			require.Empty(t, plan.Refusals)
			return err
		}))
		return d
	}
	commit := func(n *Node, d *ring.Decision) error {
		return n.control.do(ctx, func(now time.Time) error { return n.control.core.Commit(now, d.Version(), false) })
	}
	stage(n1)
	staged := func(n *Node) bool { return len(changes(n).Staged) == 1 }
	require.True(t, staged(n1))
	require.Eventually(t, func() bool { return staged(n2) }, patience, 10*time.Millisecond)

	old := plan(n2)
	require.NoError(t, n2.control.do(ctx, n2.control.core.Clear))
	var refused *ring.CommitError
	require.ErrorAs(t, commit(n2, old), &refused)

	stage(n2)
	d := plan(n2)
	require.NoError(t, commit(n2, d))
	require.Eventually(t, func() bool { return changes(n1).Progress.Tip == d.Version().String() }, patience, 10*time.Millisecond)
	require.True(t, n1.Local().Ready, n1.Local().Reason)
}

// A change that waits for a node which is away grows old, so that somebody can be called.
func TestAChangeThatHangsHasAnAge(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	defer cancel()
	nodes, _ := three(t)
	n1 := nodes[0]
	require.NoError(t, nodes[2].Stop(ctx))
	n1.control.put(func(time.Time) { n1.checkChange() })
	require.Zero(t, n1.changeAge())
	require.Nil(t, n1.Stage(ctx, []kindred.NodeChange{{Node: "n2", Intent: kindred.IntentOwn, Zone: "z2", Capacity: 2}}))
	plan, bad := n1.Plan(ctx)
	require.Nil(t, bad)
	require.Nil(t, n1.Commit(ctx, plan.Version, false))
	require.Eventually(t, func() bool { return n1.changeAge() > 0 }, patience, 10*time.Millisecond)
	before := n1.changeAge()
	require.Eventually(t, func() bool { return n1.changeAge() > before+time.Second }, patience, 100*time.Millisecond)
}
