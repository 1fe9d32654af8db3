package client

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
)

// known makes routes over five nodes that were never dialled, in given ranks.
func known(t *testing.T, ranks map[string]rank) *routes {
	t.Helper()
	var members []ring.Node
	var nodes []*node
	for _, name := range []string{"n1", "n2", "n3", "n4", "n5"} {
		members = append(members, ring.Node{Name: name, Capacity: 1})
		n := &node{name: name, small: newPipeline(1, nil)}
		n.small.up.Store(ranks[name] == healthy)
		n.met.Store(ranks[name] == doubted)
		nodes = append(nodes, n)
	}
	layout, err := ring.New([16]byte{1}, 64, 3, members)
	require.NoError(t, err)
	return newRoutes("c", layout, 3, nodes)
}

// asHomes gives the homes of key k one rank and the strangers another.
func asHomes(t *testing.T, home, stranger rank) (r *routes, homes []string) {
	t.Helper()
	homes = known(t, nil).homes("b", "k")
	ranks := map[string]rank{}
	for _, name := range []string{"n1", "n2", "n3", "n4", "n5"} {
		ranks[name] = stranger
		if slices.Contains(homes, name) {
			ranks[name] = home
		}
	}
	return known(t, ranks), homes
}

// picked names the nodes picked over many turns.
func picked(r *routes, asked ...*node) (names []string) {
	for turn := range uint32(60) {
		names = append(names, r.pick("b", "k", turn, asked).name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

func TestHomesTakeTurns(t *testing.T) {
	for _, both := range []rank{healthy, unmet, doubted} {
		r, homes := asHomes(t, both, both)
		for _, name := range homes {
			r.byName[name].load.Store(7) // busy, but strangers would only ask them
		}
		require.Equal(t, sorted(homes), picked(r), "rank %d", both)
	}
}

func TestAHealthyStrangerIsBetterThanADoubtedHome(t *testing.T) {
	r, homes := asHomes(t, doubted, healthy)
	require.Len(t, picked(r), 2)
	for _, name := range picked(r) {
		require.NotContains(t, homes, name)
	}
}

// A node that the layout does not name may have become one of another cluster since it
// was heard of: it would take a write, and nobody here would ever see that again.
func TestWhoIsNotInTheLayoutIsAskedByNobody(t *testing.T) {
	r, _ := asHomes(t, doubted, doubted)
	n9 := &node{name: "n9", small: newPipeline(1, nil)}
	n9.small.up.Store(true)
	r = newRoutes("c", r.layout, 3, append(slices.Clone(r.nodes), n9))
	require.Equal(t, healthy, n9.rank())
	require.NotContains(t, picked(r), "n9")
	require.NotContains(t, picked(r, r.nodes[:5]...), "n9", "though all others were asked before")
	require.Equal(t, []string{"n9"}, picked(newRoutes("c", r.layout, 3, []*node{n9})), "unless nobody else is known")
}

func TestANodeThatWasNotAskedYetComesFirst(t *testing.T) {
	r, homes := asHomes(t, healthy, healthy)
	asked := []*node{r.byName[homes[0]], r.byName[homes[1]]}
	require.Equal(t, []string{homes[2]}, picked(r, asked...))
	asked = append(asked, r.byName[homes[2]])
	require.Len(t, picked(r, asked...), 2, "then the strangers")
	asked = append(asked, r.nodes...)
	require.Len(t, picked(r, asked...), 2, "and then those that were asked least")
}

func TestTheLeastBusyHomeIsPicked(t *testing.T) {
	r, homes := asHomes(t, healthy, healthy)
	for i, name := range homes {
		r.byName[name].load.Store(int64(10 - i))
	}
	require.Equal(t, []string{homes[2]}, picked(r))
}

func TestWithoutALayoutEveryNodeTakesTurns(t *testing.T) {
	r := known(t, nil)
	require.Len(t, picked(newRoutes("c", nil, 0, r.nodes)), 5)
	require.Nil(t, newRoutes("c", nil, 0, nil).pick("b", "k", 0, nil))
}

func TestGossipCountsUntilWeKnowBetter(t *testing.T) {
	n := &node{small: newPipeline(1, nil), epoch: time.Now().Add(-time.Hour)}
	require.Equal(t, unmet, n.rank())
	n.gone.Store(true)
	require.Equal(t, doubted, n.rank())
	n.small.up.Store(true)
	require.Equal(t, healthy, n.rank(), "our own connection knows better than gossip")
	n.stops(time.Now().Add(-stoppingFor))
	require.Equal(t, healthy, n.rank(), "it may have been taken back by now")
	n.stops(time.Now())
	require.Equal(t, doubted, n.rank(), "it said that it stops")
	n.stopping.Store(0)
	n.silent.Store(true)
	require.Equal(t, doubted, n.rank())
}
