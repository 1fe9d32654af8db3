package sim

import (
	"slices"
	"time"
)

// specialCut is a cut in which nodes disagree about who is away (F1): a zone against
// the others; a bridge, which alone sees both sides; or a ring, on which each node
// sees a majority and no two the same.
func (r *run) specialCut(draw chance) (cut, Fault) {
	kind := []Fault{FaultZoneCut, FaultBridge, FaultRing}[draw.with(1).below(3)]
	one, n := draw.with(2).below(len(r.nodes)), len(r.nodes)
	c := cut{}
	for i := range r.nodes {
		for j := range r.nodes {
			left := func(k int) bool { return draw.with(3, uint64(k)).happens(0.5) }
			switch kind {
			case FaultZoneCut:
				c[[2]int{i, j}] = (r.zoneOf(i) == r.zoneOf(one)) != (r.zoneOf(j) == r.zoneOf(one))
			case FaultBridge:
				c[[2]int{i, j}] = i != one && j != one && left(i) != left(j)
			default:
				around := (i - j + n) % n
				c[[2]int{i, j}] = min(around, n-around) > (n/2+1)/2
			}
		}
	}
	return c, kind
}

// alone cuts one node off.
func (r *run) alone(i int) cut {
	c := cut{}
	for j := range r.nodes {
		if i != j {
			c[[2]int{i, j}], c[[2]int{j, i}] = true, true
		}
	}
	return c
}

// swizzle cuts off some nodes, one after the other, and brings them back in another
// order (F3).
func (r *run) swizzle(draw chance) {
	r.broke(FaultSwizzle)
	order := r.shuffled(draw.with(1))
	order = order[:1+draw.with(2).below(len(order))]
	back := draw.with(3)
	at := time.Duration(0)
	for step, i := range order {
		c, again := r.alone(i), r.cfg.Fault.CutFor+back.with(uint64(i)).about(r.cfg.Fault.CutFor)
		at += draw.with(4, uint64(step)).about(r.cfg.Fault.CutFor / 4)
		r.agenda.after(at, func() {
			if !r.calm {
				r.cutOff(c, "swizzle")
			}
		})
		r.agenda.after(at+again, func() { r.heal(c) })
	}
}

func (r *run) cutOff(c cut, why string) {
	r.cuts = append(r.cuts, c)
	r.trace.say("", "cut", "%s, %d now", why, len(r.cuts))
	r.linksChanged()
}

// shuffled are the indices of all nodes in some order.
func (r *run) shuffled(draw chance) []int {
	var order []int
	for i := range r.nodes {
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b int) int {
		if draw.with(uint64(a)) < draw.with(uint64(b)) {
			return -1
		}
		return 1
	})
	return order
}

// zoneMates are all nodes of the zone of one.
func (r *run) zoneMates(n *node) []*node {
	return slices.DeleteFunc(slices.Clone(r.nodes), func(m *node) bool { return r.zoneOf(m.index) != r.zoneOf(n.index) })
}
