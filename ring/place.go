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
// members, in their slots; none where the node is gone or owns nothing now.
func survivors(next, old *Layout) [][]int {
	moved := make([]int, len(old.members))
	for i, m := range old.members {
		moved[i] = none
		if j, ok := next.members.find(m.Name); ok && next.members[j].Capacity > 0 {
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
	partitions int
	edges      []edgeOf
}

// edgeOf says which copy an edge of the network stands for.
type edgeOf struct{ edge, partition, node int }

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
	zones := l.members.zones()
	n := &placement{members: l.members, zones: zones, partitions: l.Partitions()}
	pairs := n.partitions * l.members.owning()
	n.network = newNetwork(n.part(n.partitions, 0), pairs+n.partitions*(1+2*len(zones))+2*len(l.members)+1)
	rule := spread(sizes(zones), l.copies)
	for p := range n.partitions {
		n.addPartition(p, rule, kept[p])
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
	for _, e := range n.edges {
		if n.used(e.edge) {
			sets[e.partition] = append(sets[e.partition], e.node)
		}
	}
	return sets
}

// addPartition adds the edges of one partition. Zones and nodes are tried in an
// order drawn for each partition, which mixes who shares partitions with whom,
// so that many nodes take over from one that fails.
func (n *placement) addPartition(p int, rule zoneRule, kept []int) {
	draws := make([]draw, len(n.members))
	for i, m := range n.members {
		draws[i] = newDraw(mix(uint64(p), saltPlacement), m.id, m.Capacity)
	}
	byDraw := func(i, j int) int {
		switch {
		case draws[i].before(draws[j]):
			return -1
		case draws[j].before(draws[i]):
			return 1
		}
		return cmp.Compare(i, j)
	}
	if rule.extra > 0 {
		n.edge(source, n.partition(p), rule.extra, 0)
	}
	var nodes []int
	for _, zone := range n.zones {
		nodes = append(nodes, zone...)
	}
	slices.SortFunc(nodes, byDraw)
	seen := make([]bool, len(n.zones))
	for _, i := range nodes {
		z := n.members[i].zone
		if !seen[z] {
			seen[z] = true
			n.addPart(p, z, rule)
		}
		cost := 1
		if slices.Contains(kept, i) {
			cost = 0
		}
		n.edges = append(n.edges, edgeOf{n.edge(n.part(p, z), n.node(i), 1, cost), p, i})
	}
}

func (n *placement) addPart(p, z int, rule zoneRule) {
	if rule.least[z] > 0 {
		n.edge(source, n.part(p, z), rule.least[z], 0)
	}
	if rule.most[z] > rule.least[z] {
		n.edge(n.partition(p), n.part(p, z), rule.most[z]-rule.least[z], 0)
	}
}

// bound is how much a node takes: floor ≤ taken ≤ ceil.
type bound struct{ floor, ceil int }

// drain lets nodes, the vertices from firstNode on, take total within bounds.
func (g *network) drain(bounds []bound, total int) {
	rest := total
	for i, b := range bounds {
		g.edge(firstNode+i, sink, b.floor, 0)
		g.edge(firstNode+i, spare, b.ceil-b.floor, 0)
		rest -= b.floor
	}
	g.edge(spare, sink, rest, 0)
}
