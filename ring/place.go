package ring

import (
	"cmp"
	"slices"
)

// Placement. Which nodes own a partition is a flow of copies through a network:
//
//	source ─least→ (partition, zone) ─1→ node ─floor→ sink
//	source ─extra→ partition ─most−least→ (partition, zone)
//	                                     node ─1→ spare ─→ sink
//
// Filling every edge from the source spreads each partition over zones as its
// zoneRule says. A node passes on its fair share rounded down, and one copy more
// through the spare vertex, which has just enough room for all that rounding
// left over; so when all copies arrive, every node has its share rounded down or
// up. Such a flow exists: giving each node an equal part of every partition is
// one in fractions, and a network with whole capacities then has a whole one.
//
// A copy that stays where it is costs nothing, any other costs 1: the cheapest
// flow moves the fewest copies.

// arrange returns the owners of all partitions of next, in order, keeping what
// can be kept of old.
func arrange(next, old *Layout) []uint16 {
	kept := survivors(next, old)
	sets := place(next, kept)
	return order(next, sets, kept)
}

// survivors returns old's owners of each partition as indexes of next's
// members, in their slots; none where the node is gone.
func survivors(next, old *Layout) [][]int {
	moved := make([]int, len(old.members))
	for i, m := range old.members {
		moved[i] = none
		if j, ok := next.members.find(m.Name); ok {
			moved[i] = j
		}
	}
	kept := make([][]int, next.Partitions())
	for p := range kept {
		for _, o := range old.ownersOf(p) {
			kept[p] = append(kept[p], moved[o])
		}
	}
	return kept
}

// placement is the network and where its parts are.
type placement struct {
	*network
	members    members
	zones      [][]int
	rule       zoneRule
	partitions int
}

const (
	source = iota
	sink
	spare
	firstNode
)

func (n *placement) node(i int) int      { return firstNode + i }
func (n *placement) partition(p int) int { return firstNode + len(n.members) + p }
func (n *placement) part(p, zone int) int {
	return n.partition(n.partitions) + p*len(n.zones) + zone
}

// place returns the set of owners of each partition, as indexes of members.
func place(l *Layout, kept [][]int) [][]int {
	n := newPlacement(l.members, l.Partitions(), l.copies)
	for _, p := range shuffled(n.partitions, l.version.Counter) {
		n.addPartition(p, kept[p])
	}
	shares := fairShares(l.members, n.partitions, l.copies)
	bounds := make([]bound, len(shares))
	for i, s := range shares {
		bounds[i] = bound{s.floor(), s.ceil()}
	}
	n.drain(bounds, n.partitions*l.copies)
	if got := n.maximize(source, sink); got != n.partitions*l.copies {
		panic("ring: the fair shares cannot be placed, which contradicts the proof in place.go")
	}
	sets := make([][]int, n.partitions)
	for p := range sets {
		sets[p] = n.owners(p)
	}
	return sets
}

// shuffled returns the partitions in an order that is different for every
// version. Those that come last are the ones whose owners give copies away; were
// they always the same ones, slots would be given away unevenly.
func shuffled(partitions int, version uint64) []int {
	order := make([]int, partitions)
	for p := range order {
		order[p] = p
	}
	seed := mix(version, saltPlacement)
	slices.SortFunc(order, func(p, q int) int { return cmp.Compare(mix(seed, uint64(p)), mix(seed, uint64(q))) })
	return order
}

func newPlacement(m members, partitions, copies int) *placement {
	zones := m.zones()
	n := &placement{members: m, zones: zones, rule: spread(sizes(zones), copies), partitions: partitions}
	edges := partitions*(m.owning()+2*len(zones)+1) + 2*len(m) + 1
	n.network = newNetwork(n.part(partitions, 0), edges)
	return n
}

// addPartition adds the edges of one partition. Zones and nodes are tried in an
// order drawn for each partition, which mixes who shares partitions with whom,
// so that many nodes take over from one that fails.
func (n *placement) addPartition(p int, kept []int) {
	if n.rule.extra > 0 {
		n.edge(source, n.partition(p), n.rule.extra, 0)
	}
	seen := make([]bool, len(n.zones))
	for _, i := range n.drawn(p) {
		z := n.members[i].zone
		if !seen[z] {
			seen[z] = true
			n.addPart(p, z)
		}
		cost := 1
		if slices.Contains(kept, i) {
			cost = 0
		}
		n.edge(n.part(p, z), n.node(i), 1, cost)
	}
}

// drawn returns the members with a capacity in the order of a partition's
// lottery.
func (n *placement) drawn(p int) []int {
	draws := make([]draw, len(n.members))
	order := make([]int, 0, len(n.members))
	for i, m := range n.members {
		if m.Capacity > 0 {
			draws[i] = newDraw(mix(uint64(p), saltPlacement), m.id, m.Capacity)
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case draws[i].before(draws[j]):
			return -1
		case draws[j].before(draws[i]):
			return 1
		}
		return cmp.Compare(i, j)
	})
	return order
}

func (n *placement) addPart(p, z int) {
	if n.rule.least[z] > 0 {
		n.edge(source, n.part(p, z), n.rule.least[z], 0)
	}
	if n.rule.most[z] > n.rule.least[z] {
		n.edge(n.partition(p), n.part(p, z), n.rule.most[z]-n.rule.least[z], 0)
	}
}

// owners returns the nodes that a partition's copies flow to.
func (n *placement) owners(p int) []int {
	var owners []int
	for z := range n.zones {
		owners = n.appendUsed(owners, n.part(p, z))
	}
	for i := range owners {
		owners[i] -= firstNode
	}
	return owners
}

// bound is how much a node takes: floor ≤ taken ≤ ceil.
type bound struct{ floor, ceil int }

// drain lets nodes, the vertices from firstNode on, take total within bounds. All
// of it arrives only if every node takes its floor.
func (g *network) drain(bounds []bound, total int) {
	rest := total
	for i, b := range bounds {
		g.edge(firstNode+i, sink, b.floor, 0)
		g.edge(firstNode+i, spare, b.ceil-b.floor, 0)
		rest -= b.floor
	}
	g.edge(spare, sink, max(0, rest), 0)
}
