package ownership

// compatible reports whether a node takes requests of that step of that layout. What is
// older than its own is refused, and its sender told. One that is newer makes the node
// catch up first, unless it is only one step ahead.
func (b *bounds) compatible(w *world, at int, tip int8, s step) bool {
	n := &w.nodes[at]
	if b.rules.noRefusal && n.tip >= tip {
		return true
	}
	return n.tip == tip && s >= n.step && s-n.step <= 1
}

// write lets a node coordinate a write.
func (b *bounds) write(w *world, at, _ int) bool {
	n := &w.nodes[at]
	if int(w.minted) >= b.writes || !w.present(at) || n.dropped {
		return false
	}
	if b.writers != 0 && !b.writers.has(at) {
		return false
	}
	guest := b.guest != 0 && at == b.guest
	if !guest && !b.active(n.base, n.tip, n.step).has(at) {
		return false
	}
	d := int(w.minted)
	e := write{by: int8(at), tip: n.tip, step: n.step, sloppy: guest}
	w.minted++
	if w.closed.has(at) {
		w.void = w.void.with(d)
	}
	if guest {
		n.hints, e.acked = n.hints.with(d), true
	} else {
		n.dots, e.acks = n.dots.with(d), of(at)
	}
	w.writes[d] = e
	b.count(w, d)
	return true
}

// deliver lets a node take a write, however late, and acknowledge it.
func (b *bounds) deliver(w *world, at, d int) bool {
	if d >= int(w.minted) || w.writes[d].sloppy || w.void.has(d) {
		return false
	}
	e, n := &w.writes[d], &w.nodes[at]
	if !b.active(b.base(w, e.tip), e.tip, e.step).has(at) || !w.present(at) || n.dropped || n.dots.has(d) && e.acks.has(at) {
		return false
	}
	if !b.compatible(w, at, e.tip, e.step) {
		return false
	}
	n.dots, e.acks = n.dots.with(d), e.acks.with(at)
	b.count(w, d)
	return true
}

// again lets a coordinator that has learned more go on with a write under that. Under
// another layout all are asked again: who has given up its replica since, and begins
// anew, has nothing of what it acknowledged.
func (b *bounds) again(w *world, at, d int) bool {
	if d >= int(w.minted) || int(w.writes[d].by) != at || w.writes[d].acked || !w.present(at) {
		return false
	}
	e, n := &w.writes[d], &w.nodes[at]
	if e.tip == n.tip && e.step == n.step {
		return false
	}
	if e.tip != n.tip && !b.rules.carryAcks {
		e.acks = 0
		if n.dots.has(d) {
			e.acks = of(at)
		}
	}
	e.tip, e.step = n.tip, n.step
	b.count(w, d)
	return true
}

// count acknowledges a write that has its quorum.
func (b *bounds) count(w *world, d int) {
	e := &w.writes[d]
	enough := func(l int8) bool {
		need, _ := b.quorum(b.owners(l).count())
		return (e.acks & b.owners(l)).count() >= need
	}
	base := b.base(w, e.tip)
	switch {
	case e.step == alone || b.rules.newQuorum:
		e.acked = e.acked || enough(e.tip)
	case b.rules.oldQuorum:
		e.acked = e.acked || enough(base)
	default:
		e.acked = e.acked || enough(base) && enough(e.tip)
	}
}

// pull gives a replica what another one has, or what a removed node was asked to return.
func (b *bounds) pull(w *world, at, from int) bool {
	n, source := &w.nodes[at], &w.nodes[from]
	if at == from || n.dropped || source.dropped || source.dead || source.told != 0 && !source.returned || !w.present(at) {
		return false
	}
	if !b.active(n.base, n.tip, n.step).has(at) || source.told == 0 && !b.holds(w, from) || b.gone(n.tip).has(from) && !source.returned {
		return false
	}
	if n.dots.covers(source.dots &^ w.void) {
		return false
	}
	n.dots |= source.dots &^ w.void
	return true
}

// holds reports whether a node has a replica: it owns the partition, or has not given
// it up.
func (b *bounds) holds(w *world, at int) bool {
	n := &w.nodes[at]
	return b.active(n.base, n.tip, n.step).has(at) || n.dots != 0
}

// pay lets a guest deliver what it owes. Only the word of every present owner frees it.
func (b *bounds) pay(w *world, at, to int) bool {
	g, n := &w.nodes[at], &w.nodes[to]
	if g.hints == 0 || !w.present(at) || !w.present(to) || n.dropped || !b.active(g.base, g.tip, g.step).has(to) {
		return false
	}
	if !b.compatible(w, to, g.tip, g.step) || n.dots.covers(g.hints) && !b.allHave(w, g.tip, g.hints) {
		return false
	}
	n.dots |= g.hints
	if b.allHave(w, g.tip, g.hints) {
		g.hints = 0
	}
	return true
}

// forget lets a guest drop what it owes to somebody who is gone. No rule allows it.
func (b *bounds) forget(w *world, at, _ int) bool {
	n := &w.nodes[at]
	if !b.rules.hintOfGone || n.hints == 0 || b.gone(n.tip)&b.owners(n.base) == 0 {
		return false
	}
	n.hints = 0
	return true
}

// drop lets a node that owns nothing any more give up its replica: when the layout is
// settled everywhere, and every owner has what it has.
func (b *bounds) drop(w *world, at, _ int) bool {
	n := &w.nodes[at]
	if n.dropped || n.dead || n.told != 0 && !n.returned || n.dots == 0 {
		return false
	}
	tip := n.tip
	if n.told != 0 {
		tip = b.newest(w)
	}
	if b.owners(tip).has(at) || n.told == 0 && n.step != alone {
		return false
	}
	if !b.settled(w, tip) {
		return false
	}
	if !b.rules.dropUncontained && !b.allHave(w, tip, n.dots&^w.void) {
		return false
	}
	n.dropped, n.dots = true, 0
	return true
}

// allHave reports whether every owner of a layout has some writes.
func (b *bounds) allHave(w *world, l int8, dots set) bool {
	for i := range b.nodes {
		if b.owners(l).has(i) && !b.gone(l).has(i) && !w.nodes[i].dots.covers(dots) {
			return false
		}
	}
	return true
}

// newest is the greatest layout that is in use.
func (b *bounds) newest(w *world) (tip int8) {
	for l := range b.layouts {
		if b.formed(w, int8(l)) {
			tip = int8(l)
		}
	}
	return tip
}

// giveBack lets an operator ask a removed node for what it has.
func (b *bounds) giveBack(w *world, at, _ int) bool {
	n := &w.nodes[at]
	if !b.returns || n.told == 0 || n.returned || n.dead {
		return false
	}
	n.returned = true
	return true
}

// closeGone closes the incarnations of a node that is gone: every member that may hold
// some of its writes is asked, and what nobody holds is void (R15). Not during a move.
func (b *bounds) closeGone(w *world, at, gone int) bool {
	n := &w.nodes[at]
	if !b.closes || w.closed.has(gone) || !b.gone(n.tip).has(gone) || !w.present(at) {
		return false
	}
	asked := b.owners(n.tip)
	if !b.rules.closeInMove {
		asked = (b.layouts[n.tip].members | b.owners(b.base(w, n.tip))) &^ b.gone(n.tip)
		if !w.reached[n.tip][alone].covers(asked) {
			return false
		}
	}
	var held set
	for i := range b.nodes {
		if asked.has(i) && !w.nodes[i].dead {
			held |= w.nodes[i].dots | w.nodes[i].hints
		}
	}
	w.closed = w.closed.with(gone)
	for i := range int(w.minted) {
		if int(w.writes[i].by) == gone && !held.has(i) {
			w.void = w.void.with(i)
		}
	}
	return true
}
