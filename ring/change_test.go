package ring

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Lesson 27: a store's placement put two copies on one node, and its property
// tests had not noticed because they modelled plans that nobody makes. Here
// clusters live through the changes that operators do make, one after another,
// and after each one the placement must be lawful and its moves the fewest.
func TestLesson27_PlacementStaysLawfulThroughAnySequenceOfChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions := 1 << rapid.IntRange(0, 7).Draw(t, "log2 partitions")
		replicas := rapid.IntRange(1, 5).Draw(t, "replicas")
		nodes := drawNodes(t, 1, 8)
		l := mustNew(t, partitions, replicas, nodes)
		requireLawful(t, nil, l, nodes)
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			nodes = drawChange(t, nodes)
			next := mustChange(t, l, nodes)
			requireLawful(t, l, next, nodes)
			l = next
		}
	})
}

// drawChange draws one thing that an operator may do to a cluster.
func drawChange(t *rapid.T, nodes []Node) []Node {
	nodes = slices.Clone(nodes)
	i := rapid.IntRange(0, len(nodes)-1).Draw(t, "which node")
	var free []string
	for _, name := range nodeNames {
		if !slices.ContainsFunc(nodes, func(n Node) bool { return n.Name == name }) {
			free = append(free, name)
		}
	}
	switch what := rapid.SampledFrom([]string{"join", "leave", "replace", "capacity", "zone", "two at once"}).Draw(t, "change"); {
	case what == "join" && len(free) > 0:
		nodes = append(nodes, drawNode(t, free[0]))
	case what == "leave" && len(nodes) > 1:
		nodes = slices.Delete(nodes, i, i+1)
	case what == "replace" && len(free) > 0:
		nodes[i].Name = free[0]
	case what == "capacity":
		nodes[i].Capacity = drawNode(t, nodes[i].Name).Capacity
	case what == "zone":
		nodes[i].Zone = rapid.SampledFrom(zoneNames).Draw(t, "new zone")
	case what == "two at once":
		nodes = drawChange(t, drawChange(t, nodes))
	}
	if !slices.ContainsFunc(nodes, func(n Node) bool { return n.Capacity > 0 }) {
		nodes[0].Capacity = 1
	}
	return nodes
}

// requireLawful asks the twin whether a layout keeps rules 1 to 4, if before is
// nil rules 1 to 3.
func requireLawful(t require.TestingT, before, now *Layout, nodes []Node) {
	w := newLaw(now.Partitions(), now.Replicas(), nodes)
	past := func(int) []string { return nil }
	if before != nil {
		past = ownersIn(before)
	}
	twin := newTwin(w, past, ownersIn(now))
	require.NoError(t, twin.legal())
	for p := range now.Partitions() {
		homes := now.Homes(Partition(p), now.Replicas())
		require.Len(t, homes, w.copies, "a copy for every node while nodes last")
		requireDistinct(t, homes)
		requirePrefixesSpread(t, now, homes)
	}
	for _, problem := range now.Check() {
		require.Contains(t, []Kind{FewNodes, FewZones}, problem.Kind, problem.Text)
	}
	if before != nil {
		moved := twin.moves()
		require.Equal(t, copiesMoved(before, now), moved)
		require.Equal(t, twin.fewest(), moved, "the twin knows a lawful placement with fewer moves")
	}
}

func requireDistinct(t require.TestingT, names []string) {
	sorted := slices.Sorted(slices.Values(names))
	require.Len(t, slices.Compact(sorted), len(names), "two copies on one node: %v", names)
}

// requirePrefixesSpread demands distinct zones from the first owners, as many as
// there are zones.
func requirePrefixesSpread(t require.TestingT, l *Layout, homes []string) {
	all := map[string]bool{}
	for _, n := range l.Nodes() {
		if n.Capacity > 0 {
			all[n.Zone] = true
		}
	}
	seen := map[string]bool{}
	for i, name := range homes {
		n, _ := l.Node(name)
		if i < len(all) {
			require.False(t, seen[n.Zone], "homes %v share zone %q early", homes, n.Zone)
		}
		seen[n.Zone] = true
	}
}

func TestAnIdleChangeMovesNothing(t *testing.T) {
	l := fill(t, 7, 3)
	next := mustChange(t, l, l.Nodes())
	require.Equal(t, uint64(2), next.Version().Counter)
	require.Empty(t, Moves(l, next))
	for p := range l.Partitions() {
		require.Equal(t, l.Homes(Partition(p), 3), next.Homes(Partition(p), 3), "owners keep their slots")
	}
}

func TestLeavingNodesMoveOnlyWhatTheyOwned(t *testing.T) {
	l := fill(t, 10, 5)
	next := mustChange(t, l, slices.Delete(l.Nodes(), 3, 4))
	gone := l.Nodes()[3].Name
	for _, m := range Moves(l, next) {
		require.Equal(t, gone, m.From)
	}
	require.Len(t, Moves(l, next), len(l.Owned(gone, 3)))
}

func TestAReplacementInheritsWhatItReplaces(t *testing.T) {
	l := fill(t, 9, 3)
	nodes := l.Nodes()
	old := nodes[4].Name
	nodes[4].Name = "substitute"
	next := mustChange(t, l, nodes)
	require.Equal(t, l.Owned(old, 3), next.Owned("substitute", 3))
	for n := 1; n <= 3; n++ {
		require.Equal(t, l.Owned(old, n), next.Owned("substitute", n), "in the same slots")
	}
}

func TestDrainingANodeLeavesItAMember(t *testing.T) {
	l := fill(t, 5, 1)
	nodes := l.Nodes()
	nodes[2].Capacity = 0
	next := mustChange(t, l, nodes)
	require.Empty(t, next.Owned(nodes[2].Name, 3))
	_, ok := next.Node(nodes[2].Name)
	require.True(t, ok)
	require.Empty(t, next.Owned(nodes[2].Name, 5), "not even a further home")
}

// A cluster that grows from one node gains copies, and moves none for nothing.
func TestGrowingFromOneNode(t *testing.T) {
	l := mustNew(t, 64, 3, cluster(1, 3, equal))
	for n := 2; n <= 3; n++ {
		next := mustChange(t, l, cluster(n, 3, equal))
		require.Len(t, Moves(l, next), 64)
		for _, m := range Moves(l, next) {
			require.Equal(t, Move{Partition: m.Partition, To: fmt.Sprint("n", n)}, m)
		}
		l = next
	}
}
