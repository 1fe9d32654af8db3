package ring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckFindsNothingInAHealthyLayout(t *testing.T) {
	require.Empty(t, fill(t, 9, 3).Check())
	require.Empty(t, mustNew(t, 256, 1, cluster(1, 1, equal)).Check())
}

func TestCheckSaysWhenThereAreTooFewNodes(t *testing.T) {
	l := mustNew(t, 16, 3, []Node{{"a", "x", 1}, {"b", "y", 1}, {"c", "z", 0}})
	require.Equal(t, []Problem{
		{Kind: FewNodes, Text: "2 copies of 3: only 2 nodes with a capacity, add 1"},
		{Kind: FewZones, Text: "2 zones for 3 copies: copies share zones, the loss of one can take several"},
	}, l.Check())
}

// A cluster in one zone is what most people start with: a note, once.
func TestCheckNotesTooFewZonesOnce(t *testing.T) {
	found := fill(t, 6, 1).Check()
	require.Len(t, found, 1)
	require.Equal(t, FewZones, found[0].Kind)
	for kind := FewNodes; kind <= Imbalance; kind++ {
		require.Equal(t, kind == FewZones, kind.Note(), kind.String())
	}
}

func TestCheckFindsCopiesInOneZone(t *testing.T) {
	nodes := []Node{{"a", "x", 1}, {"b", "x", 1}, {"c", "y", 1}, {"d", "y", 1}}
	l := handmade(t, 2, nodes, []string{"a", "c"}, []string{"a", "b"}, []string{"c", "d"}, []string{"d", "b"})
	require.Equal(t, []Problem{
		{Kind: Crowded, Partition: 1, Text: `partition 1 has 2 of its first 2 copies in zone "x", where 1 to 1 belong`},
		{Kind: Crowded, Partition: 2, Text: `partition 2 has 0 of its first 2 copies in zone "x", where 1 to 1 belong`},
	}, l.Check())
}

// Three copies in two zones are as far apart as they can be, but a bucket with
// two copies has both in one zone.
func TestCheckFindsPrefixesInOneZone(t *testing.T) {
	nodes := []Node{{"a", "x", 1}, {"b", "x", 1}, {"c", "y", 1}}
	l := handmade(t, 3, nodes, []string{"a", "c", "b"}, []string{"a", "b", "c"})
	require.Equal(t, []Problem{
		{Kind: FewZones, Text: "2 zones for 3 copies: copies share zones, the loss of one can take several"},
		{Kind: Crowded, Partition: 1, Text: `partition 1 has 2 of its first 2 copies in zone "x", where 1 to 1 belong`},
	}, l.Check())
}

func TestCheckFindsTwoCopiesOnOneNode(t *testing.T) {
	nodes := []Node{{"a", "x", 1}, {"b", "y", 1}}
	l := handmade(t, 2, nodes, []string{"a", "b"}, []string{"b", "b"})
	require.Contains(t, l.Check(), Problem{Kind: Duplicate, Partition: 1, Node: "b", Text: `partition 1 has two copies on node "b"`})
}

func TestCheckFindsImbalance(t *testing.T) {
	nodes := []Node{{"a", "x", 1}, {"b", "x", 1}, {"c", "x", 0}}
	l := handmade(t, 1, nodes, []string{"a"}, []string{"a"}, []string{"a"}, []string{"b"})
	require.Equal(t, []Problem{
		{Kind: Imbalance, Node: "a", Text: `node "a" owns 3 copies, its fair share is 2.0`},
		{Kind: Imbalance, Node: "b", Text: `node "b" owns 1 copies, its fair share is 2.0`},
	}, l.Check())
}

func TestCheckAllowsRoundingAndATwentieth(t *testing.T) {
	for _, c := range []struct {
		num, den uint64
		lawful   []int
		not      []int
	}{
		{num: 7, den: 2, lawful: []int{3, 4}, not: []int{2, 5}},
		{num: 400, den: 4, lawful: []int{95, 100, 105}, not: []int{94, 106}},
		{num: 0, den: 1, lawful: []int{0}, not: []int{1}},
	} {
		for _, owned := range c.lawful {
			require.False(t, quota{c.num, c.den}.off(owned), "%d of %d/%d", owned, c.num, c.den)
		}
		for _, owned := range c.not {
			require.True(t, quota{c.num, c.den}.off(owned), "%d of %d/%d", owned, c.num, c.den)
		}
	}
}

func TestKindsHaveNames(t *testing.T) {
	require.Equal(t, "few nodes", FewNodes.String())
	require.Equal(t, "few zones", FewZones.String())
	require.Equal(t, "crowded", Crowded.String())
	require.Equal(t, "duplicate", Duplicate.String())
	require.Equal(t, "imbalance", Imbalance.String())
	require.Equal(t, "kind 99", Kind(99).String())
}
