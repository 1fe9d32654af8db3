package ownership

// die takes a node for ever.
func (b *bounds) die(w *world, at, _ int) bool {
	if !b.mortal.has(at) || w.nodes[at].dead {
		return false
	}
	w.nodes[at] = node{dead: true, tip: w.nodes[at].tip, base: w.nodes[at].base, step: w.nodes[at].step}
	return true
}

// wipe takes the disk of a node, which begins anew with what a peer knows of layouts.
func (b *bounds) wipe(w *world, at, peer int) bool {
	if int(w.wipes) >= b.wipes || !b.fragile.has(at) || at == peer || !w.present(at) || !w.present(peer) || w.nodes[at].dropped {
		return false
	}
	for l := range b.layouts {
		if w.votes[l].has(at) && !b.formed(w, int8(l)) {
			return false // a vote is lost: beyond what is promised
		}
	}
	w.wipes++
	p := w.nodes[peer]
	n := node{tip: p.tip, base: p.base, step: both, wiped: true}
	if p.step == alone {
		n.step = alone
	}
	if b.rules.keepComplete {
		n.complete, n.wiped = w.nodes[at].complete, false
	}
	w.nodes[at] = n
	b.reach(w, at)
	for i := range int(w.minted) {
		if e := &w.writes[i]; !e.acked {
			e.acks &^= of(at) // links break, and with them what was said on them
		}
	}
	return true
}

// meet lets a node that has lost its disk find that it has all that another home has,
// which may be asked by readers. It counts again when that is so of enough homes of its
// layout, and of the one from which that takes over as long as it is not alone (R17):
// what it had announced before is not known to it any more, and others go by that.
func (b *bounds) meet(w *world, at, other int) bool {
	n, o := &w.nodes[at], &w.nodes[other]
	homes := b.active(n.base, n.tip, n.step)
	if !n.wiped || at == other || n.met.has(other) || !homes.has(other) || !w.present(at) || o.dropped || o.wiped || !w.present(other) {
		return false
	}
	if n.step == alone && !o.complete || !n.dots.covers(o.dots) || b.gone(n.tip).has(other) {
		return false
	}
	n.met = n.met.with(other)
	enough := func(l int8) bool {
		_, need := b.quorum(b.owners(l).count())
		return (n.met & b.owners(l)).count() >= need
	}
	trusted := enough(n.tip) && (n.step == alone || enough(n.base))
	if b.rules.trustOld && n.step == both {
		trusted = enough(n.base)
	}
	if trusted {
		n.wiped, n.met = false, 0
		n.complete = n.complete || n.step == alone
		b.fenceIn(w, at)
	}
	return true
}
