package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/membership"
	"github.com/kindredkv/kindred/ring"
)

// alone is the control core of a cluster of one node.
func alone(t *testing.T, expect int) (*Control, time.Time) {
	now := time.Unix(1e9, 0)
	c, err := NewControl(membership.Config{
		Self:   membership.Node{Name: "n1", Zone: "z1", Capacity: 100, ReplicaID: [16]byte{1}},
		Expect: expect, Partitions: 8, Replicas: 3, Rates: ring.Rates{In: 100, Out: 100},
	}, Saved{})
	require.NoError(t, err)
	c.Start(now)
	c.Tick(now)
	c.Take()
	return c, now
}

func TestAnOrderIsCarriedOutWholeOrNotAtAll(t *testing.T) {
	c, now := alone(t, 1)
	own := kindred.NodeChange{Node: "n1", Intent: kindred.IntentOwn, Zone: "z2", Capacity: 200}
	bad := c.Order(now, []kindred.NodeChange{own, {Node: "n9", Intent: kindred.IntentLeave}})
	require.Equal(t, kindred.CodeInvalid, bad.Code)
	require.Contains(t, bad.Message, "n9")
	require.Equal(t, kindred.NotApplied, bad.Outcome)
	require.Empty(t, c.Changes().Staged)

	require.Nil(t, c.Order(now, []kindred.NodeChange{own}))
	require.Equal(t, []kindred.NodeChange{own}, c.Changes().Staged)
	require.Nil(t, c.Order(now, nil), "nothing takes back all")
	require.Empty(t, c.Changes().Staged)
}

func TestAPlanIsCommittedUnderItsVersion(t *testing.T) {
	c, now := alone(t, 1)
	own := kindred.NodeChange{Node: "n1", Intent: kindred.IntentOwn, Zone: "z2", Capacity: 200}
	require.Nil(t, c.Order(now, []kindred.NodeChange{own}))
	plan, bad := c.DescribePlan(now, func(ring.Partition) uint64 { return 10 })
	require.Nil(t, bad)
	require.Equal(t, []kindred.NodeChange{own}, plan.Changes)
	require.Empty(t, plan.Refusals)

	for _, version := range []string{"", "2", "2-", "2-xyz", plan.Version + "0", " " + plan.Version} {
		bad = c.CommitPlan(now, version, false)
		require.Equal(t, kindred.CodeInvalid, bad.Code, version)
		require.Equal(t, "version", bad.Field, version)
	}
	bad = c.CommitPlan(now, plan.From, false)
	require.Equal(t, kindred.CodeUnsafe, bad.Code, "that of another plan: %v", bad)
	require.Nil(t, c.CommitPlan(now, plan.Version, false))
	known := c.Changes()
	require.Empty(t, known.Staged, "what was committed is staged no more")
	require.Equal(t, plan.Version, known.History[0].Version)

	again, bad := c.DescribePlan(now, nil)
	require.Nil(t, bad)
	bad = c.CommitPlan(now, again.Version, false)
	require.Equal(t, kindred.CodeUnsafe, bad.Code, "nothing is staged")
}

func TestWithoutALayoutNothingIsOrdered(t *testing.T) {
	c, now := alone(t, 2)
	own := kindred.NodeChange{Node: "n1", Intent: kindred.IntentOwn, Capacity: 1}
	require.Equal(t, kindred.CodeNoLayout, c.Order(now, []kindred.NodeChange{own}).Code)
	_, bad := c.DescribePlan(now, nil)
	require.Equal(t, kindred.CodeNoLayout, bad.Code)
	require.Equal(t, kindred.CodeNoLayout, c.CommitPlan(now, "2-0000000000000000", false).Code)
}
