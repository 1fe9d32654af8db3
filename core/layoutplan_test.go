package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// planOf plans changes of a cluster of three nodes, n1 being asked; n2 is down.
func planOf(t *testing.T, changes ...ring.Staged) kindred.LayoutPlan {
	layout, err := ring.New([16]byte{1}, 8, 3, []ring.Node{{Name: "n1", Capacity: 1}, {Name: "n2", Capacity: 1}, {Name: "n3", Capacity: 1}})
	require.NoError(t, err)
	course := ring.NewCourse("n1", ring.First(layout))
	var staging ring.Staging
	for _, c := range changes {
		staging, err = staging.Stage("n1", course.Tip(), c.Node, c.Intent)
		require.NoError(t, err)
	}
	d, err := course.Propose(staging, false)
	require.NoError(t, err)
	p := course.Plan(staging, d, ring.Situation{
		Bytes: func(ring.Partition) uint64 { return 100 }, Up: func(name string) bool { return name != "n2" },
	})
	return DescribePlan("n1", p, d, []kindred.NodeChange{{Node: "n4"}}, 3*time.Second)
}

func TestAPlanSaysWhatMovesAndWhatHoldsMeanwhile(t *testing.T) {
	p := planOf(t, ring.Staged{Node: ring.Node{Name: "n4", Capacity: 1}, Intent: ring.Own})
	require.Equal(t, "n1", p.Node)
	require.Equal(t, "n4", p.Changes[0].Node)
	require.Equal(t, 3*time.Second, p.Expected)
	require.NotEqual(t, p.From, p.Version)
	require.Equal(t, 6, p.Copies, "8 partitions of 3 copies: each of 4 nodes has 6")
	require.EqualValues(t, 600, p.Bytes)
	require.Equal(t, kindred.PlannedNode{Node: "n4", Capacity: 1, After: 6, CopiesIn: 6, BytesIn: 600}, p.Nodes[3])
	require.Empty(t, p.Refusals)
	require.Equal(t, []string{"n2"}, p.Waits)
	require.Equal(t, "unheard", p.Notes[0].Kind)
	require.Equal(t, "few_zones", p.Notes[1].Kind)
	require.Contains(t, fmt.Sprint(p.Guarantees), "among the old owners and among the new ones")
}

func TestAPlanThatIsRefusedSaysWhy(t *testing.T) {
	remove := func(name string) ring.Staged { return ring.Staged{Node: ring.Node{Name: name}, Intent: ring.Remove} }
	p := planOf(t, remove("n2"))
	require.Empty(t, p.Refusals)
	require.Zero(t, p.AtRisk)
	require.Contains(t, fmt.Sprint(p.Guarantees), "nobody waits for n2 any more; a write that a quorum has acknowledged is held by owners who stay")
	require.Zero(t, p.Copies)
	require.NotContains(t, fmt.Sprint(p.Guarantees), "partition that moves")

	p = planOf(t, remove("n2"), remove("n3"))
	require.Equal(t, 8, p.AtRisk)
	require.Equal(t, []string{"still_here", "orphaned"}, []string{p.Refusals[0].Kind, p.Refusals[1].Kind})
	require.False(t, p.RefusedForLoss(), "n3 is up")
	require.NotContains(t, fmt.Sprint(p.Guarantees), "held by owners who stay")
	p.Refusals = p.Refusals[1:]
	require.True(t, p.RefusedForLoss(), "which an operator can accept: %s is the word", kindred.PlanOrphaned)
	p.Refusals = nil
	require.False(t, p.RefusedForLoss())
}
