package ownership

// What nodes do with layouts. Each event reports whether it can happen.

// commit lets an operator commit a layout at a node, perhaps a greater one than it holds:
// one that hangs on a voter who will never come back is replaced by one that says so.
func (b *bounds) commit(w *world, at, l int) bool {
	n := &w.nodes[at]
	if l >= len(b.layouts) || w.proposed.has(l) || int(n.tip) != b.layouts[l].parent || l <= int(n.vote) {
		return false
	}
	if !b.voters(int8(l)).has(at) || !w.present(at) {
		return false
	}
	if b.layouts[l].settled && !b.settled(w, n.tip) {
		return false
	}
	w.proposed = w.proposed.with(l)
	b.hold(w, at, int8(l))
	return true
}

func (b *bounds) hold(w *world, at int, l int8) {
	n := &w.nodes[at]
	n.vote = l
	w.votes[l] = w.votes[l].with(at)
	if n.step > both {
		w.far[l] = w.far[l].with(at)
	}
}

// take lets a node hold a successor that it hears of, if that is greater than the one it
// holds, which it promises not to use then. That a smaller one has removed it does not
// keep it from holding a greater one.
func (b *bounds) take(w *world, at, l int) bool {
	n := &w.nodes[at]
	if l >= len(b.layouts) || l <= int(n.vote) || !w.proposed.has(l) || int(n.tip) != b.layouts[l].parent || !b.voters(int8(l)).has(at) || n.dead || l <= int(n.told) {
		return false
	}
	b.hold(w, at, int8(l))
	return true
}

// adopt lets a node work by a formed layout.
func (b *bounds) adopt(w *world, at, l int) bool {
	n := &w.nodes[at]
	if l >= len(b.layouts) || n.dead || int8(l) == n.told || !b.formed(w, int8(l)) {
		return false
	}
	rival := int8(l) > n.tip && b.layouts[l].members.has(at)
	if !b.descends(int8(l), n.tip) && !rival || b.gone(int8(l)).has(at) || b.promised(w, at, int8(l)) {
		return false
	}
	n.tip, n.base, n.step, n.vote = int8(l), b.base(w, int8(l)), both, 0
	if n.tip > n.told {
		n.told = 0 // otherwise it only goes on far enough to hold what is greater
	}
	n.complete = false
	if b.owners(n.tip).has(at) {
		n.dropped = false // it begins anew
	}
	b.reach(w, at)
	b.fenceIn(w, at)
	return true
}

// promised reports whether a node has promised not to use a layout: it holds another one,
// which may still be formed. That one never will be once a voter of it is known to work by
// the first without having held it.
func (b *bounds) promised(w *world, at int, l int8) bool {
	vote := w.nodes[at].vote
	if vote == 0 || vote == l || b.layouts[vote].parent != b.layouts[l].parent || b.rules.noPromise {
		return false
	}
	return w.reached[l][both]&b.voters(vote)&^w.votes[vote] == 0
}

// reach announces the step of a node.
func (b *bounds) reach(w *world, at int) {
	n := &w.nodes[at]
	for s := both; s <= n.step; s++ {
		w.reached[n.tip][s] = w.reached[n.tip][s].with(at)
	}
}

// fenceIn notes what an old owner has when it begins to refuse what is older. One that
// has lost its disk has nothing to say until it has caught up.
func (b *bounds) fenceIn(w *world, at int) {
	n := &w.nodes[at]
	if !b.owners(n.base).has(at) || n.dropped || n.wiped || n.step == alone {
		return
	}
	w.fenced[n.tip] = w.fenced[n.tip].with(at)
	w.fence[n.tip][at] = n.dots
}

// tell lets a removed node hear that it was removed.
func (b *bounds) tell(w *world, at, l int) bool {
	n := &w.nodes[at]
	if l == 0 || l >= len(b.layouts) || n.dead || !b.formed(w, int8(l)) || int8(l) <= max(n.tip, n.told) {
		return false
	}
	own := n.tip > 0 && !b.descends(int8(l), n.tip)
	if !b.gone(int8(l)).has(at) && (!own || b.layouts[l].members.has(at)) {
		return false
	}
	n.told = int8(l)
	if b.rules.dropUnasked {
		n.dropped, n.dots = true, 0
	}
	return true
}

// finish lets a new owner find that it has all that was acknowledged before: what each
// old owner had when it began to refuse. Owners that are gone are made up for by so
// many others that every acknowledged write was at one of them.
func (b *bounds) finish(w *world, at, _ int) bool {
	n := &w.nodes[at]
	if n.complete || n.step == alone || !b.owners(n.tip).has(at) || !w.present(at) || n.dropped {
		return false
	}
	if n.wiped && !b.rules.wipedComplete || !b.hasAll(w, at) {
		return false
	}
	n.complete, n.wiped = true, false
	w.complete[n.tip] = w.complete[n.tip].with(at)
	if b.rules.wipedComplete {
		b.fenceIn(w, at)
	}
	return true
}

func (b *bounds) hasAll(w *world, at int) bool {
	n := &w.nodes[at]
	old := b.owners(n.base)
	if b.rules.newOnly && old.has(at) {
		return true
	}
	var held set
	for i := range b.nodes {
		switch {
		case !old.has(i):
		case i == at:
			held = held.with(i)
		case b.rules.noFence && n.dots.covers(w.nodes[i].dots) && !w.nodes[i].wiped:
			held = held.with(i)
		case w.fenced[n.tip].has(i) && n.dots.covers(w.fence[n.tip][i]):
			held = held.with(i)
		}
	}
	_, need := b.quorum(old.count())
	if b.rules.oneSource {
		return held&^of(at) != 0 || old == of(at)
	}
	return held.covers(old&^b.gone(n.tip)) && (b.rules.countGone || held.count() >= need)
}

// advance lets a node take the next step. It asks ahead when every owner that counts
// refuses what is older than both, and every new one is complete; alone, when nobody
// asks the old owners any more.
func (b *bounds) advance(w *world, at, _ int) bool {
	n := &w.nodes[at]
	if n.step == alone || !w.present(at) && !b.awaited(w, at) || n.step == both && b.frozen(w, at) {
		return false
	}
	here := b.active(n.base, n.tip, both) &^ b.gone(n.tip)
	switch {
	case n.step == ahead && b.rules.earlyAlone:
	case !w.reached[n.tip][n.step].covers(here):
		return false
	case n.step == both && !b.rules.readIncomplete && !w.complete[n.tip].covers(b.owners(n.tip)&^b.gone(n.tip)):
		return false
	}
	n.step++
	n.met = 0 // others may be asked for now
	b.reach(w, at)
	if n.vote != 0 {
		w.far[n.vote] = w.far[n.vote].with(at)
	}
	return true
}

// awaited reports whether a node, though removed, is waited for: it holds a successor that
// is formed only when all its voters are ahead.
func (b *bounds) awaited(w *world, at int) bool {
	n := &w.nodes[at]
	return !n.dead && n.step == both && n.vote != 0
}

// frozen reports whether a node has to stay where it asks the old owners: it holds a
// successor, and no voter of that is ahead. Otherwise the voters all have to be.
func (b *bounds) frozen(w *world, at int) bool {
	vote := w.nodes[at].vote
	return vote != 0 && w.far[vote]&b.voters(vote) == 0 && !b.rules.noFreeze
}

// present reports whether a node does anything at all.
func (w *world) present(at int) bool { return !w.nodes[at].dead && w.nodes[at].told == 0 }
