package ring

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHomesArePrefixesOfTheOwners(t *testing.T) {
	l := fill(t, 6, 3)
	for p := range l.Partitions() {
		all := l.Homes(Partition(p), 3)
		require.Len(t, all, 3)
		require.Equal(t, all[:1], l.Homes(Partition(p), 1))
		require.Equal(t, all[:2], l.Homes(Partition(p), 2))
	}
}

func TestHomesOfNothing(t *testing.T) {
	l := fill(t, 6, 3)
	require.Empty(t, l.Homes(0, 0))
	require.Empty(t, l.Homes(0, -1))
	require.Empty(t, l.Homes(Partition(l.Partitions()), 3), "no such partition")
	require.Empty(t, l.Preference(Partition(l.Partitions()), 3, allUp))
	require.Empty(t, l.Preference(0, 0, allUp))
	require.Empty(t, l.Owned("nobody", 3))
	require.Empty(t, l.Owned("n1", 0))
}

func TestHomesAreSharedButCannotBeAppendedInto(t *testing.T) {
	l := fill(t, 6, 3)
	next := slices.Clone(l.Homes(1, 3))
	_ = append(l.Homes(0, 3), "intruder")
	_ = append(l.Homes(1, 2), "intruder")
	require.Equal(t, next, l.Homes(1, 3))
}

// Buckets may have more copies than the layout has replicas.
func TestFurtherHomesAreDrawnFromOtherZonesFirst(t *testing.T) {
	l := fill(t, 12, 6)
	for p := range l.Partitions() {
		homes := l.Homes(Partition(p), 8)
		require.Len(t, homes, 8)
		require.Equal(t, l.Homes(Partition(p), 3), homes[:3])
		requireDistinct(t, homes)
		requirePrefixesSpread(t, l, homes)
	}
	require.Len(t, l.Homes(0, 100), 12, "every node once")
}

func TestFurtherHomesStayWhenOthersJoin(t *testing.T) {
	l := mustNew(t, 256, 1, cluster(9, 9, equal))
	next := mustChange(t, l, cluster(10, 10, equal))
	changed := 0
	for p := range l.Partitions() {
		was := l.Homes(Partition(p), 3)
		for _, name := range next.Homes(Partition(p), 3) {
			if !slices.Contains(was, name) {
				changed++
			}
		}
	}
	require.Less(t, changed, 256*3*2/10, "a tenth of the copies is due to the newcomer, some may be displaced")
}

func TestOwnedIsTheReverseOfHomes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := mustNew(t, 16, rapid.IntRange(1, 4).Draw(t, "replicas"), drawNodes(t, 1, 7))
		n := rapid.IntRange(0, 8).Draw(t, "n")
		for _, node := range l.Nodes() {
			var want []Partition
			for p := range l.Partitions() {
				if slices.Contains(l.Homes(Partition(p), n), node.Name) {
					want = append(want, Partition(p))
				}
			}
			require.Equal(t, want, l.Owned(node.Name, n))
		}
	})
}

func TestPreferenceIsTheHomesWhileTheyAreUp(t *testing.T) {
	l := fill(t, 6, 3)
	for p := range l.Partitions() {
		var names []string
		for _, place := range l.Preference(Partition(p), 3, allUp) {
			require.True(t, place.Home)
			require.Equal(t, -1, place.For)
			names = append(names, place.Node)
		}
		require.Equal(t, l.Homes(Partition(p), 3), names)
	}
}

// What every preference list promises, in any cluster and whoever is up.
func TestPreferenceListsKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := mustNew(t, 8, rapid.IntRange(1, 4).Draw(t, "replicas"), drawNodes(t, 1, 10))
		n := rapid.IntRange(1, 6).Draw(t, "n")
		down := rapid.SliceOfDistinct(rapid.SampledFrom(nodeNames), rapid.ID[string]).Draw(t, "down")
		up := upBut(down...)
		for p := range l.Partitions() {
			requirePromises(t, l, l.Homes(Partition(p), n), l.Preference(Partition(p), n, up), up)
			require.Equal(t, l.Preference(Partition(p), n, up), l.Preference(Partition(p), n, up))
		}
	})
}

func requirePromises(t require.TestingT, l *Layout, homes []string, places []Place, up func(string) bool) {
	var names []string
	var homesUp, slotsDown, slotsServed []int
	for i, name := range homes {
		if up(name) {
			homesUp = append(homesUp, i)
		} else {
			slotsDown = append(slotsDown, i)
		}
	}
	for i, place := range places {
		names = append(names, place.Node)
		node, ok := l.Node(place.Node)
		require.True(t, ok)
		require.True(t, up(place.Node))
		require.Positive(t, node.Capacity)
		require.Equal(t, i < len(homesUp), place.Home, "homes come first")
		if place.Home {
			require.Equal(t, Place{Node: homes[homesUp[i]], Home: true, For: -1}, place)
		} else {
			require.NotContains(t, homes, place.Node)
			slotsServed = append(slotsServed, place.For)
		}
	}
	requireDistinct(t, names)
	able := 0
	for _, node := range l.Nodes() {
		if node.Capacity > 0 && up(node.Name) {
			able++
		}
	}
	require.Len(t, places, min(len(homes), able), "a place for every home while nodes last")
	require.True(t, slices.Equal(slotsDown[:len(slotsServed)], slotsServed), "one fallback per home that is down, in order")
}

func TestFallbacksTakeAFreeZone(t *testing.T) {
	l := fill(t, 9, 3)
	for p := range l.Partitions() {
		homes := l.Homes(Partition(p), 3)
		for slot, home := range homes {
			places := l.Preference(Partition(p), 3, upBut(home))
			require.Equal(t, slot, places[2].For)
			require.Equal(t, zoneOf(l, home), zoneOf(l, places[2].Node), "the only zone without a copy")
		}
	}
}

func TestFallbacksShareZonesWhenAZoneIsGone(t *testing.T) {
	l := fill(t, 9, 3)
	for p := range l.Partitions() {
		places := l.Preference(Partition(p), 3, func(name string) bool { return zoneOf(l, name) != "z2" })
		require.Len(t, places, 3)
		require.NotEqual(t, "z2", zoneOf(l, places[2].Node))
	}
}

func zoneOf(l *Layout, name string) string {
	n, _ := l.Node(name)
	return n.Zone
}

// A fallback gathers hints; if it changed whenever anything else did, they would
// scatter over the cluster.
func TestAFallbackStaysWhenOtherNodesComeAndGo(t *testing.T) {
	l := fill(t, 20, 5)
	for slot := range 3 {
		kept, total := 0, 0
		for p := range l.Partitions() {
			homes := l.Homes(Partition(p), 3)
			alone := l.Preference(Partition(p), 3, upBut(homes[slot]))[2].Node
			for _, other := range l.Nodes() {
				if other.Name == homes[slot] || other.Name == alone {
					continue
				}
				places := l.Preference(Partition(p), 3, upBut(homes[slot], other.Name))
				i := slices.IndexFunc(places, func(place Place) bool { return place.For == slot })
				total++
				if places[i].Node == alone {
					kept++
				}
			}
		}
		if slot == 0 {
			require.Equal(t, total, kept)
		}
		require.Greater(t, kept, total*97/100, "earlier slots may take the fallback of a later one, but rarely do")
	}
}

// The work of a node that is down spreads over the others.
func TestManyNodesStandInForOne(t *testing.T) {
	l := fill(t, 20, 5)
	standIns := map[string]int{}
	owned := l.Owned("n1", 3)
	for _, p := range owned {
		for _, place := range l.Preference(p, 3, upBut("n1")) {
			if !place.Home {
				standIns[place.Node]++
			}
		}
	}
	require.GreaterOrEqual(t, len(standIns), 17)
	for name, count := range standIns {
		require.LessOrEqual(t, count, len(owned)/5, name)
	}
}

// The owners of what one node owns are many, too: they rebuild it together.
func TestManyNodesShareAPartitionWithOne(t *testing.T) {
	l := fill(t, 20, 5)
	peers := map[string]int{}
	for _, p := range l.Owned("n1", 3) {
		for _, name := range l.Homes(p, 3) {
			peers[name]++
		}
	}
	require.Len(t, peers, 1+16, "itself and all nodes of other zones")
}

func TestHomesDoNotAllocate(t *testing.T) {
	l := fill(t, 9, 3)
	p := l.PartitionOf("carts", "ann")
	require.Zero(t, testing.AllocsPerRun(100, func() { l.Homes(p, 3) }))
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { l.Preference(7, 3, allUp) }), 1.0)
}

func BenchmarkHomes(b *testing.B) {
	l := mustNew(b, 2048, 3, cluster(100, 5, equal))
	b.ReportAllocs()
	for b.Loop() {
		l.Homes(l.PartitionOf("carts", "ann"), 3)
	}
}

func BenchmarkPreference(b *testing.B) {
	l := mustNew(b, 2048, 3, cluster(100, 5, equal))
	for name, up := range map[string]func(string) bool{"up": allUp, "down": upBut(l.Homes(7, 3)[1])} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.Preference(7, 3, up)
			}
		})
	}
}
