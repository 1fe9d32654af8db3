package ring

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMovesNameWhoGivesAndWhoTakes(t *testing.T) {
	nodes := []Node{{"a", "", 1}, {"b", "", 1}, {"c", "", 1}, {"d", "", 1}}
	from := handmade(t, 2, nodes, []string{"a", "b"}, []string{"a", "b"}, []string{"a", "b"}, []string{"a", "b"})
	to := handmade(t, 2, nodes, []string{"a", "b"}, []string{"b", "a"}, []string{"c", "b"}, []string{"c", "d"})
	require.Equal(t, []Move{
		{Partition: 2, From: "a", To: "c"},
		{Partition: 3, From: "a", To: "c"},
		{Partition: 3, From: "b", To: "d"},
	}, Moves(from, to), "a new order is no move")
}

func TestMovesPairSlotsFirst(t *testing.T) {
	nodes := []Node{{"a", "", 1}, {"b", "", 1}, {"c", "", 1}, {"d", "", 1}, {"e", "", 1}}
	from := handmade(t, 3, nodes, []string{"a", "b", "c"})
	to := handmade(t, 3, nodes, []string{"c", "d", "e"})
	require.Equal(t, []Move{{0, "b", "d"}, {0, "a", "e"}}, Moves(from, to), "d takes the slot of b")
}

func TestMovesWhenTheNumberOfCopiesChanges(t *testing.T) {
	nodes := []Node{{"a", "", 1}, {"b", "", 1}, {"c", "", 1}}
	two := handmade(t, 3, nodes, []string{"a", "b"})
	three := handmade(t, 3, nodes, []string{"a", "c", "b"})
	require.Equal(t, []Move{{0, "", "c"}}, Moves(two, three))
	require.Equal(t, []Move{{0, "c", ""}}, Moves(three, two))
}

// Carrying out the moves turns the old owners into the new.
func TestMovesLeadFromOneLayoutToTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := mustNew(t, 16, rapid.IntRange(1, 4).Draw(t, "replicas"), drawNodes(t, 1, 8))
		to := mustChange(t, from, drawNodes(t, 1, 8))
		owners := make([][]string, from.Partitions())
		for p := range owners {
			owners[p] = slices.Clone(from.Homes(Partition(p), from.Replicas()))
		}
		for _, m := range Moves(from, to) {
			set := owners[m.Partition]
			if m.From != "" {
				i := slices.Index(set, m.From)
				require.GreaterOrEqual(t, i, 0, "moved from where it is not")
				set = slices.Delete(set, i, i+1)
			}
			if m.To != "" {
				require.NotContains(t, set, m.To, "moved to where it is")
				set = append(set, m.To)
			}
			owners[m.Partition] = set
		}
		for p := range owners {
			require.ElementsMatch(t, to.Homes(Partition(p), from.Replicas()), owners[p])
		}
	})
}
