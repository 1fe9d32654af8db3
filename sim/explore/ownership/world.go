package ownership

import "math/bits"

const (
	nodesMax  = 4
	plansMax  = 4
	writesMax = 3
)

// set is a set of nodes, of writes or of layouts, by number.
type set uint8

func of(members ...int) (s set) {
	for _, m := range members {
		s |= 1 << m
	}
	return s
}

func (s set) has(i int) bool    { return s>>i&1 == 1 }
func (s set) with(i int) set    { return s | 1<<i }
func (s set) covers(t set) bool { return t&^s == 0 }
func (s set) count() int        { return bits.OnesCount8(uint8(s)) }

// layout is a decision about one partition as an operator commits it. Those of one
// parent are rivals; of rivals the one with the larger number is the greater.
type layout struct {
	parent int
	// owners of the partition; members are all nodes of the layout.
	owners, members set
	// gone are the nodes that the operator says will never come back.
	gone set
	// settled: it can be committed only where its parent is known to be settled. Then the
	// owners before that have no say any more.
	settled bool
}

// step is how far a node has gone with its layout.
type step int8

const (
	// both: writes meet their quorum among the old owners and the new ones; reads ask
	// the old.
	both step = 1 + iota
	// ahead: writes as before; reads ask the new owners.
	ahead
	// alone: the old owners count no more.
	alone
)

// node is what one node knows and holds, all of it durable.
type node struct {
	// tip is the layout that it works by, base the one from which that takes over.
	tip, base int8
	step      step
	// vote is the successor of tip that it holds, 0 for none.
	vote int8
	// dots are the writes that its replica has applied; hints those that it keeps for
	// homes.
	dots, hints set
	// complete: as a new owner it has all that was acknowledged before.
	complete bool
	// wiped: it has lost its disk and counts towards no read; met are the homes with
	// which it has caught up since.
	wiped bool
	met   set
	// dropped: it has given up its replica.
	dropped bool
	// dead for ever; told that a layout has removed it, by number; asked to return what
	// it has.
	dead     bool
	told     int8
	returned bool
}

// write is a write event.
type write struct {
	// by is the node that minted it.
	by int8
	// tip and step are those under which its coordinator counts.
	tip   int8
	step  step
	acks  set
	acked bool
	// sloppy: a guest counts.
	sloppy bool
}

// reading is a read on its way, which collects answers at different times.
type reading struct {
	open     bool
	tip      int8
	step     step
	owed     set // what was acknowledged when it began
	got      set
	answered set
}

// world is one state of everything. It is comparable.
type world struct {
	nodes  [nodesMax]node
	writes [writesMax]write
	minted int8

	// What follows was ever announced, by layout. Whoever acts on it may have heard of
	// it long ago: it only grows, so that to act late is to act on it now.
	proposed set
	votes    [plansMax]set
	far      [plansMax]set // voters that were ahead of both when they voted
	reached  [plansMax][alone + 1]set
	complete [plansMax]set
	// fenced are old owners that refuse what is older than the layout, fence what they
	// had when they began to.
	fenced [plansMax]set
	fence  [plansMax][nodesMax]set

	wipes, reads int8
	// closed are nodes whose incarnations were closed, void their writes that nobody held.
	closed, void set
	read         reading
}

// bounds say which world is played, and what may happen in it.
type bounds struct {
	layouts []layout
	// agreed: every voter holds the first change from the beginning.
	agreed bool
	// moving: every node of it works by that change, and is complete. Nothing was
	// written yet.
	moving bool
	// nodes of the world. Guest is one that keeps writes for homes, if it is not 0.
	nodes, guest int
	// writes that writers coordinate; all nodes do if there are none named.
	writes  int
	writers set
	// one: writes need one replica, reads all of them. Otherwise a majority each.
	one bool
	// mortal nodes may die, each once; as many fragile ones as wipes lose their disk.
	mortal, fragile set
	wipes           int
	// over: more is lost than can be. Then nothing is demanded but that reads do not
	// pass over it.
	over bool
	// reads that collect their answers one after the other. Every state is asked about
	// reads that get all answers at once.
	reads   int
	closes  bool
	returns bool
	rules   rules
}

func (b *bounds) start() world {
	var w world
	w.proposed = of(0)
	first := b.layouts[0]
	for i := range b.nodes {
		w.nodes[i] = node{step: alone, complete: first.owners.has(i)}
		w.votes[0] = w.votes[0].with(i)
	}
	for s := both; s <= alone; s++ {
		w.reached[0][s] = of(0, 1, 2, 3)
	}
	w.complete[0] = first.owners
	if b.agreed || b.moving {
		w.proposed = w.proposed.with(1)
		for i := range b.nodes {
			if b.voters(1).has(i) {
				b.hold(&w, i, 1)
			}
		}
	}
	for at := range b.nodes {
		if b.moving {
			b.adopt(&w, at, 1)
		}
	}
	for at := range b.nodes {
		if b.moving {
			b.finish(&w, at, 0)
		}
	}
	return w
}

// quorum is how many of n owners a write needs, and what a read then needs.
func (b *bounds) quorum(n int) (w, r int) {
	w = n/2 + 1
	if b.one {
		w = 1
	}
	return w, n + 1 - w
}

func (b *bounds) owners(l int8) set { return b.layouts[l].owners }

// gone are all that a layout or one before it says will never come back.
func (b *bounds) gone(l int8) (gone set) {
	for ; l > 0; l = int8(b.layouts[l].parent) {
		gone |= b.layouts[l].gone
	}
	return gone
}

// voters are the nodes that all have to hold a layout before it is used.
func (b *bounds) voters(l int8) set {
	parent := b.layouts[b.layouts[l].parent]
	voters := parent.members
	if !b.layouts[l].settled {
		voters |= b.layouts[parent.parent].owners
	}
	return voters &^ b.gone(l)
}

// settled reports whether nobody goes by anything older than a layout.
func (b *bounds) settled(w *world, l int8) bool {
	here := (b.layouts[l].members | b.owners(b.base(w, l))) &^ b.gone(l)
	return w.reached[l][alone].covers(here)
}

// descends reports whether a layout follows on another.
func (b *bounds) descends(l, from int8) bool {
	for l > from {
		l = int8(b.layouts[l].parent)
		if l == from {
			return true
		}
	}
	return false
}

// formed reports whether a layout may be used.
func (b *bounds) formed(w *world, l int8) bool {
	if b.rules.noVote {
		return w.proposed.has(int(l))
	}
	voters := b.voters(l)
	far := w.far[l] & voters
	return l == 0 || w.votes[l].covers(voters) && (far == 0 || far == voters || b.rules.mixed)
}

// base is the layout from which a formed one takes over: its parent if that was read
// from, otherwise that which the parent was to take over from.
func (b *bounds) base(w *world, l int8) int8 {
	parent := int8(b.layouts[l].parent)
	switch {
	case l == 0:
		return 0
	case b.rules.keepBase && parent != 0:
		return b.base(w, parent)
	case b.rules.takeParent || w.far[l]&b.voters(l) != 0:
		return parent
	}
	return b.base(w, parent)
}

// active are the owners that count at a step of a layout.
func (b *bounds) active(base, tip int8, s step) set {
	if s == alone {
		return b.owners(tip)
	}
	return b.owners(base) | b.owners(tip)
}

// acked are the acknowledged writes; strict leaves out those that guests count for.
func (w *world) acked(strict bool) (acked set) {
	for i := range w.minted {
		if w.writes[i].acked && !(strict && w.writes[i].sloppy) {
			acked = acked.with(int(i))
		}
	}
	return acked
}
