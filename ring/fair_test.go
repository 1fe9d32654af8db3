package ring

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestFairSharesFollowCapacityWithinWhatRulesAllow(t *testing.T) {
	for _, c := range []struct {
		story  string
		copies int
		nodes  []Node
		want   []float64 // of 100 partitions
	}{
		{story: "equal nodes share equally", copies: 3,
			nodes: []Node{{"a", "x", 1}, {"b", "x", 1}, {"c", "x", 1}, {"d", "x", 1}},
			want:  []float64{75, 75, 75, 75}},
		{story: "twice the capacity, twice the share", copies: 1,
			nodes: []Node{{"a", "x", 2}, {"b", "x", 1}, {"c", "x", 1}},
			want:  []float64{50, 25, 25}},
		{story: "no node can own more than one copy of each partition", copies: 2,
			nodes: []Node{{"a", "x", 8}, {"b", "x", 2}, {"c", "x", 1}, {"d", "x", 1}},
			want:  []float64{100, 50, 25, 25}},
		{story: "three zones for three copies: a third each, whatever they hold", copies: 3,
			nodes: []Node{{"a", "x", 1}, {"b", "y", 1}, {"c", "y", 3}, {"d", "z", 9}},
			want:  []float64{100, 25, 75, 100}},
		{story: "a zone can own one copy of each partition, the others share the rest", copies: 2,
			nodes: []Node{{"a", "x", 3}, {"b", "x", 3}, {"c", "y", 2}, {"d", "z", 1}, {"e", "w", 1}},
			want:  []float64{50, 50, 50, 25, 25}},
		{story: "two zones for three copies: one each at least, two at most", copies: 3,
			nodes: []Node{{"a", "x", 9}, {"b", "x", 9}, {"c", "y", 1}, {"d", "y", 1}},
			want:  []float64{100, 100, 50, 50}},
		{story: "a zone too small for its part leaves it to the others", copies: 4,
			nodes: []Node{{"a", "x", 1}, {"b", "y", 1}, {"c", "y", 1}, {"d", "y", 1}, {"e", "y", 1}},
			want:  []float64{100, 75, 75, 75, 75}},
		{story: "no capacity, no share", copies: 2,
			nodes: []Node{{"a", "x", 0}, {"b", "x", 1}, {"c", "x", 1}, {"d", "x", 2}},
			want:  []float64{0, 50, 50, 100}},
	} {
		m, err := newMembers(c.nodes)
		require.NoError(t, err)
		for i, q := range fairShares(m, 100, c.copies) {
			require.InDelta(t, c.want[i], q.float(), 1e-9, "%s: node %s", c.story, m[i].Name)
		}
	}
}

func TestFairSharesMatchTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawNodes(t, 1, len(nodeNames))
		replicas := rapid.IntRange(1, 6).Draw(t, "replicas")
		l := mustNew(t, 64, replicas, nodes)
		w := newLaw(64, replicas, nodes)
		fair := fairShares(l.members, 64, l.copies)
		sum := 0.0
		for i, n := range w.nodes {
			m, ok := l.members.find(n.Name)
			require.True(t, ok)
			require.InDelta(t, w.fair[i], fair[m].float(), 1e-6, n.Name)
			sum += w.fair[i]
		}
		require.InDelta(t, 64*l.copies, sum, 1e-6)
	})
}

// Sums of squares measure how even a spread is; the rule allows exactly the most
// even ones.
func TestSpreadAllowsTheMostEvenSpreadsAndNoOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 5).Draw(t, "zone sizes")
		total := 0
		for _, s := range sizes {
			total += s
		}
		k := rapid.IntRange(0, total).Draw(t, "copies")
		rule := spread(sizes, k)
		best, lawful := math.MaxInt, map[int]bool{}
		spreads(sizes, k, nil, func(counts []int) {
			squares, ok := 0, true
			for z, c := range counts {
				squares += c * c
				ok = ok && rule.least[z] <= c && c <= rule.most[z]
			}
			best = min(best, squares)
			lawful[squares] = lawful[squares] || ok
		})
		for squares, ok := range lawful {
			require.Equal(t, squares == best, ok, "sum of squares %d, the least is %d, rule %v", squares, best, rule)
		}
	})
}

// spreads calls f with every way to put k copies into zones.
func spreads(sizes []int, k int, counts []int, f func([]int)) {
	if len(counts) == len(sizes) {
		if k == 0 {
			f(counts)
		}
		return
	}
	for c := range min(k, sizes[len(counts)]) + 1 {
		spreads(sizes, k-c, append(slices.Clone(counts), c), f)
	}
}

func TestSharesCompareOwnedWithFair(t *testing.T) {
	l := mustNew(t, 256, 3, []Node{{"a", "x", 2}, {"b", "x", 1}, {"c", "x", 1}, {"d", "x", 2}, {"e", "x", 0}})
	require.Equal(t, []Share{{"a", 256, 256}, {"b", 128, 128}, {"c", 128, 128}, {"d", 256, 256}, {"e", 0, 0}}, l.Shares(3))
	for _, s := range l.Shares(1) {
		require.InDelta(t, s.Fair, s.Owned, 1, s.Node)
	}
	require.Equal(t, l.Shares(3), l.Shares(9), "no more than Replicas are counted")
}

// The largest numbers a layout can hold do not overflow on their way to a share.
func TestFairSharesOfTheLargestCluster(t *testing.T) {
	nodes := make([]Node, NodesMax)
	for i := range nodes {
		nodes[i] = Node{Name: fmt.Sprintf("n%03d", i), Zone: fmt.Sprintf("z%d", i%20), Capacity: math.MaxUint32}
	}
	nodes[7].Capacity, nodes[8].Zone = 1, "alone"
	m, err := newMembers(nodes)
	require.NoError(t, err)
	sum := 0.0
	for _, q := range fairShares(m, PartitionsMax, ReplicasMax) {
		require.LessOrEqual(t, q.float(), float64(PartitionsMax))
		sum += q.float()
	}
	require.InEpsilon(t, PartitionsMax*ReplicasMax, sum, 1e-9)
}
