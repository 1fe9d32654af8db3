package ring

import "slices"

// Order. A bucket with fewer copies than replicas uses the first owners of each
// partition, so every prefix of the owners should be as balanced, and as spread
// over zones, as the whole. Owners are put in order by rounds: every zone has
// one owner in the first round, each zone with a second one has that in the
// second round, and so on. A round is as many slots as it has owners; zoneRule
// makes that the same number for every partition.
//
// First each zone picks which of its owners takes part in the round, then the
// slots of the round are filled one by one. Both are the same question: many
// items choose one node each from a few, such that nodes come close to their
// fair share of the prefix that is done then. It is a flow again:
//
//	source ─1→ item ─1→ node ─floor→ sink
//	                    node ─1→ spare ─→ sink
//	                    node ─more→ sink, at a growing cost
//
// The fair share of a prefix may be out of reach, as the owners are given. Going
// over it costs more the further it goes. Leaving one's slot costs a little too,
// so that owners stay in their slots unless balance suffers.

// ordering is the order of owners in the making.
type ordering struct {
	members members
	kept    [][]int // per partition: the owners it had, in their slots
	rest    [][]int // per partition: owners without a slot yet
	slots   [][]int // per partition: owners with one
	taken   []int   // slots that each node has
	fair    func(prefix int) []quota
}

// order puts the owners of each partition in order.
func order(l *Layout, sets, kept [][]int) []uint16 {
	o := &ordering{
		members: l.members,
		kept:    kept,
		rest:    sets,
		slots:   make([][]int, len(sets)),
		taken:   make([]int, len(l.members)),
		fair:    func(prefix int) []quota { return fairShares(l.members, len(sets), prefix) },
	}
	for slot := 0; slot < l.copies; {
		round := o.round(slot)
		for range len(round[0]) {
			o.fill(round, slot)
			slot++
		}
	}
	owners := make([]uint16, 0, len(sets)*l.copies)
	for _, slots := range o.slots {
		for _, node := range slots {
			owners = append(owners, uint16(node))
		}
	}
	return owners
}

// round takes one owner of each zone out of the rest of every partition. The
// round begins with the given slot.
func (o *ordering) round(slot int) [][]int {
	var items []item
	for p, rest := range o.rest {
		for _, nodes := range o.byZone(rest) {
			items = append(items, item{p, nodes})
		}
	}
	width := len(items) / len(o.rest)
	round := make([][]int, len(o.rest))
	for i, node := range o.choose(items, slot, slot+width) {
		p := items[i].partition
		round[p] = append(round[p], node)
		o.rest[p] = without(o.rest[p], node)
	}
	return round
}

// fill takes the owner for one slot out of the round of every partition.
func (o *ordering) fill(round [][]int, slot int) {
	items := make([]item, len(round))
	for p, nodes := range round {
		items[p] = item{p, nodes}
	}
	for p, node := range o.choose(items, slot, slot+1) {
		o.slots[p] = append(o.slots[p], node)
		o.taken[node]++
		round[p] = without(round[p], node)
	}
}

// item chooses one of the nodes for its partition.
type item struct {
	partition int
	nodes     []int
}

// choose returns the node that each item chose for a slot from begin to end.
func (o *ordering) choose(items []item, begin, end int) []int {
	first := firstNode + len(o.members)
	g := newNetwork(first+len(items), len(items)*(1+len(items[0].nodes))+(2+excessTiers)*len(o.members)+1)
	edges := make([]int, len(items))
	for i, it := range items {
		g.edge(source, first+i, 1, 0)
		edges[i] = len(g.arcs)
		for _, node := range it.nodes {
			g.edge(first+i, firstNode+node, 1, o.cost(it.partition, node, begin, end))
		}
	}
	bounds := o.bounds(end)
	g.drain(bounds, len(items))
	for i, b := range bounds {
		g.drainMore(firstNode+i, b.ceil)
	}
	g.maximize(source, sink)
	chosen := make([]int, len(items))
	for i, it := range items {
		for j, node := range it.nodes {
			if g.used(edges[i] + 2*j) {
				chosen[i] = node
			}
		}
	}
	return chosen
}

// cost prefers the node that had one of the slots, then one that had none, and
// leaves a node with a slot elsewhere for that.
func (o *ordering) cost(p, node, begin, end int) int {
	switch slot := slices.Index(o.kept[p], node); {
	case slot == none:
		return 1
	case begin <= slot && slot < end:
		return 0
	}
	return 2
}

// bounds returns how many items each node should take for a prefix to be fair.
func (o *ordering) bounds(prefix int) []bound {
	shares := o.fair(prefix)
	bounds := make([]bound, len(shares))
	for i, s := range shares {
		floor := max(0, s.floor()-o.taken[i])
		bounds[i] = bound{floor, max(floor, s.ceil()-o.taken[i])}
	}
	return bounds
}

// excessTiers is the number of prices for what a node takes beyond its share:
// the first sixteenth costs 8 a piece, the next two 16, the next four 24, the
// rest 32. To save a piece it is worth moving half as many owners from their
// slots.
const excessTiers = 4

// drainMore lets a node take more than its share.
func (g *network) drainMore(node, share int) {
	for tier := range excessTiers {
		room := max(1, share<<tier/16)
		if tier == excessTiers-1 {
			room = PartitionsMax * ReplicasMax
		}
		g.edge(node, sink, room, 8*(tier+1))
	}
}

// byZone groups nodes by zone.
func (o *ordering) byZone(nodes []int) [][]int {
	var groups [][]int
next:
	for _, node := range nodes {
		for g, group := range groups {
			if o.members[group[0]].zone == o.members[node].zone {
				groups[g] = append(group, node)
				continue next
			}
		}
		groups = append(groups, []int{node})
	}
	return groups
}

// without returns nodes without one of them, keeping nodes as it is.
func without(nodes []int, node int) []int {
	return slices.DeleteFunc(slices.Clone(nodes), func(n int) bool { return n == node })
}
