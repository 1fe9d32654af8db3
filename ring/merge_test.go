package ring

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Lesson 26: during a cut, operators on both sides each changed the layout, and
// the two results carried one version number; each side then took the other's
// layout for its own.
func TestLesson26_TwoLayoutsWithOneVersionNumber(t *testing.T) {
	before := mustNew(t, 64, 3, cluster(4, 2, equal))
	left := mustChange(t, before, cluster(5, 2, equal))
	right := mustChange(t, before, cluster(3, 2, equal))

	require.Equal(t, left.Version().Counter, right.Version().Counter)
	require.NotEqual(t, left.Version(), right.Version(), "the versions tell them apart")
	require.True(t, left.Version().Rivals(right.Version()))
	require.True(t, right.Version().Rivals(left.Version()))

	onTheLeft, err := Merge(left, right)
	require.NoError(t, err)
	onTheRight, err := Merge(right, left)
	require.NoError(t, err)
	require.Equal(t, onTheLeft.AppendTo(nil), onTheRight.AppendTo(nil), "both sides keep the same one")
	require.Contains(t, []Version{left.Version(), right.Version()}, onTheLeft.Version(), "whole, and not a mixture")

	again := mustChange(t, onTheRight, cluster(5, 2, equal))
	for _, old := range []*Layout{before, left, right} {
		m, err := Merge(old, again)
		require.NoError(t, err)
		require.Equal(t, again.Version(), m.Version(), "the next decision beats both")
		require.False(t, again.Version().Rivals(old.Version()))
	}
}

func TestTheSameDecisionOnBothSidesIsOneDecision(t *testing.T) {
	before := mustNew(t, 64, 3, cluster(4, 2, equal))
	left, right := mustChange(t, before, cluster(5, 2, equal)), mustChange(t, before, cluster(5, 2, equal))
	require.Equal(t, left.Version(), right.Version())
	require.False(t, left.Version().Rivals(right.Version()))
}

func TestVersionsAreOrderedAndPrinted(t *testing.T) {
	v := Version{Counter: 3, Hash: 0x9f2c66d01e6a74b8}
	require.Equal(t, "3-9f2c66d01e6a74b8", v.String())
	require.Equal(t, "1-0000000000000007", Version{1, 7}.String())
	ascending := []Version{{}, {0, 9}, {1, 2}, {1, 3}, {2, 0}}
	for i, a := range ascending {
		for j, b := range ascending {
			require.Equal(t, max(-1, min(1, i-j)), a.Compare(b), "%v %v", a, b)
		}
	}
}

// history draws layouts of one cluster that descend from one another in some
// tree, as cuts and careless operators make them.
func history(t *rapid.T) []*Layout {
	layouts := []*Layout{mustNew(t, 8, 2, drawNodes(t, 1, 4))}
	for range rapid.IntRange(1, 6).Draw(t, "changes") {
		parent := rapid.SampledFrom(layouts).Draw(t, "parent")
		layouts = append(layouts, mustChange(t, parent, drawNodes(t, 1, 4)))
	}
	return layouts
}

func TestMergeIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layouts := history(t)
		draw := func(name string) *Layout { return rapid.SampledFrom(layouts).Draw(t, name) }
		a, b, c := draw("a"), draw("b"), draw("c")
		merge := func(a, b *Layout) *Layout {
			m, err := Merge(a, b)
			require.NoError(t, err)
			return m
		}
		require.Equal(t, merge(a, a).Version(), a.Version(), "idempotent")
		require.Equal(t, merge(a, b).Version(), merge(b, a).Version(), "commutative")
		require.Equal(t, merge(merge(a, b), c).Version(), merge(a, merge(b, c)).Version(), "associative")
		require.GreaterOrEqual(t, merge(a, b).Version().Compare(a.Version()), 0, "never backwards")
	})
}

// Nodes that hear of layouts in any order, some twice and some at first not at
// all, agree as soon as they have heard of the same ones, directly or not.
func TestMergingAgreesWhateverTheNetworkDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layouts := history(t)
		sides := make([]*Layout, rapid.IntRange(2, 5).Draw(t, "sides"))
		for i := range sides {
			sides[i] = layouts[0]
		}
		hear := func(side int, news *Layout) {
			m, err := Merge(sides[side], news)
			require.NoError(t, err)
			require.GreaterOrEqual(t, m.Version().Compare(sides[side].Version()), 0)
			sides[side] = m
		}
		some := func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) }
		for range rapid.IntRange(0, 30).Draw(t, "messages") {
			if rapid.Bool().Draw(t, "from an operator") {
				hear(some("to", len(sides)), layouts[some("layout", len(layouts))])
			} else {
				hear(some("to", len(sides)), sides[some("from", len(sides))])
			}
		}
		heard := map[Version]bool{}
		for _, s := range sides {
			heard[s.Version()] = true
		}
		// The network heals: everyone hears from everyone, in a drawn order.
		order := rapid.Permutation(pairsOf(len(sides))).Draw(t, "order")
		for range 2 {
			for _, p := range order {
				hear(p[0], sides[p[1]])
			}
		}
		for _, s := range sides {
			require.Equal(t, sides[0].Version(), s.Version())
			require.True(t, heard[s.Version()], "no layout out of nowhere")
		}
	})
}

func pairsOf(n int) [][2]int {
	var pairs [][2]int
	for i := range n {
		for j := range n {
			pairs = append(pairs, [2]int{i, j})
		}
	}
	return pairs
}

// The hash has 64 bits and no key, so two layouts may share one.
func TestMergeStaysDeterministicWhenHashesCollide(t *testing.T) {
	a := mustNew(t, 8, 2, cluster(3, 1, equal))
	b := mustNew(t, 8, 2, cluster(4, 1, equal))
	b.version = a.version
	ab, err := Merge(a, b)
	require.NoError(t, err)
	ba, err := Merge(b, a)
	require.NoError(t, err)
	require.Same(t, ab, ba)
}

func TestMergeRefusesLayoutsOfOtherClusters(t *testing.T) {
	nodes := cluster(3, 1, equal)
	a := mustNew(t, 64, 3, nodes)
	for field, other := range map[string]struct {
		id                   [16]byte
		partitions, replicas int
	}{
		"cluster id": {[16]byte{9}, 64, 3},
		"partitions": {testCluster, 128, 3},
		"replicas":   {testCluster, 64, 2},
	} {
		b, err := New(other.id, other.partitions, other.replicas, nodes)
		require.NoError(t, err)
		for _, pair := range [][2]*Layout{{a, b}, {b, a}} {
			_, err = Merge(pair[0], pair[1])
			var refused *MergeError
			require.True(t, errors.As(err, &refused), "%v", err)
			require.Equal(t, field, refused.Field)
			require.Contains(t, err.Error(), field)
		}
		require.Panics(t, func() { Moves(a, b) })
	}
}
