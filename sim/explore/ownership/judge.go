package ownership

import "fmt"

// readers are the owners that a read of a step asks.
func (b *bounds) readers(w *world, tip int8, s step) set {
	if s == both {
		return b.owners(b.base(w, tip))
	}
	return b.owners(tip)
}

// answers reports whether a node answers a read of that step.
func (b *bounds) answers(w *world, at int, tip int8, s step) bool {
	n := &w.nodes[at]
	if !w.present(at) || n.dropped || n.wiped || !b.compatible(w, at, tip, s) {
		return false
	}
	return s == both || n.complete || b.rules.readIncomplete || b.owners(0) == b.owners(tip) && tip == 0
}

// begin starts a read whose answers come one by one.
func (b *bounds) begin(w *world, at, _ int) bool {
	n := &w.nodes[at]
	if w.read.open || int(w.reads) >= b.reads || !w.present(at) || n.dropped {
		return false
	}
	w.reads++
	w.read = reading{open: true, tip: n.tip, step: n.step, owed: w.acked(true)}
	return true
}

func (b *bounds) answer(w *world, at, _ int) bool {
	r := &w.read
	if !r.open || r.answered.has(at) || !b.readers(w, r.tip, r.step).has(at) || !b.answers(w, at, r.tip, r.step) {
		return false
	}
	r.answered, r.got = r.answered.with(at), r.got|w.nodes[at].dots
	return true
}

// judge says which demand a state does not meet, if any.
func (b *bounds) judge(w *world) error {
	if err := b.judgeLayouts(w); err != nil {
		return err
	}
	if err := b.judgeHeld(w); err != nil && !b.over {
		return err
	}
	if err := b.judgeRead(w); err != nil {
		return err
	}
	for at := range b.nodes {
		if err := b.judgeReads(w, at); err != nil {
			return err
		}
	}
	return nil
}

// judgeLayouts demands that no two nodes that both had a say use rivals. Whoever is
// declared gone by the other's, or came later, may.
func (b *bounds) judgeLayouts(w *world) error {
	for i := range b.nodes {
		for j := range i {
			m, n := &w.nodes[i], &w.nodes[j]
			if b.rivals(m.tip, n.tip) && w.present(i) && w.present(j) && b.voters(n.tip).has(i) && b.voters(m.tip).has(j) {
				return fmt.Errorf("layouts: %s works by %d and %s by %d, and neither follows on the other", names[i], m.tip, names[j], n.tip)
			}
		}
	}
	return nil
}

// judgeHeld demands that every acknowledged write is somewhere (I1).
func (b *bounds) judgeHeld(w *world) error {
	var held set
	for i := range b.nodes {
		if n := &w.nodes[i]; !n.dead {
			held |= n.dots | n.hints
		}
	}
	if lost := w.acked(false) &^ (held &^ w.void); lost != 0 {
		return fmt.Errorf("I1: %s acknowledged and nowhere any more", writeNames(lost))
	}
	return nil
}

// judgeReads demands that a strict read at a node, answered at once by any that answer,
// has every acknowledged write (I1, I8).
func (b *bounds) judgeReads(w *world, at int) error {
	n := &w.nodes[at]
	if !w.present(at) || n.dropped || b.misled(w, at) {
		return nil
	}
	ask := b.readers(w, n.tip, n.step)
	_, need := b.quorum(ask.count())
	for d := range int(w.minted) {
		if e := &w.writes[d]; !e.acked || e.sloppy || b.rivals(e.tip, n.tip) {
			continue
		}
		var without set
		for i := range b.nodes {
			if ask.has(i) && b.answers(w, i, n.tip, n.step) && !w.nodes[i].dots.has(d) {
				without = without.with(i)
			}
		}
		if without.count() >= need {
			return fmt.Errorf("I8: a read at %s (layout %d, %s) may be answered by %s, without %s, which is acknowledged",
				names[at], n.tip, stepNames[n.step], nodeNames(without), writeNames(of(d)))
		}
	}
	return nil
}

// misled reports whether a node was declared gone, is there, and answers reads alone.
// Nobody can keep those fresh but the operator who says who is gone.
func (b *bounds) misled(w *world, at int) bool {
	_, need := b.quorum(b.owners(w.nodes[at].tip).count())
	for l := range b.layouts {
		if b.formed(w, int8(l)) && b.gone(int8(l)).has(at) && need == 1 {
			return true
		}
	}
	return false
}

// rivals reports whether neither of two layouts follows on the other: two sides have
// removed each other, and see one another's writes only when these are returned.
func (b *bounds) rivals(l, m int8) bool {
	return l != m && !b.descends(l, m) && !b.descends(m, l)
}

// judgeRead demands of the read whose answers came one by one what was acknowledged
// when it began.
func (b *bounds) judgeRead(w *world) error {
	r := &w.read
	if !r.open {
		return nil
	}
	_, need := b.quorum(b.readers(w, r.tip, r.step).count())
	if r.answered.count() < need {
		return nil
	}
	if missed := r.owed &^ r.got; missed != 0 {
		return fmt.Errorf("I8: a read of layout %d, %s, was answered by %s, without %s, acknowledged before it began",
			r.tip, stepNames[r.step], nodeNames(r.answered), writeNames(missed))
	}
	w.read = reading{}
	return nil
}

// judgeRest demands of a state in which nothing is left to be done that all is equal,
// and that nobody else has a copy left (I9).
func (b *bounds) judgeRest(w *world) error {
	if b.over || b.hangs(w) {
		return nil
	}
	tip := b.newest(w)
	var held set
	for i := range b.nodes {
		n := &w.nodes[i]
		if n.dead && !b.gone(tip).has(i) && (b.layouts[tip].members | b.owners(b.base(w, tip))).has(i) {
			return nil // it waits for an operator
		}
		if b.owners(tip).has(i) && !b.gone(tip).has(i) {
			held |= n.dots
		}
	}
	for i := range b.nodes {
		n := &w.nodes[i]
		owner := b.owners(tip).has(i) && !b.gone(tip).has(i)
		switch {
		case n.dead || n.told != 0 && !n.returned:
		case n.told == 0 && (n.tip != tip || n.step != alone) && (b.layouts[tip].members.has(i) || b.owners(b.base(w, tip)).has(i)):
			return fmt.Errorf("I9: %s stays at layout %d, %s, and nothing is left to be done", names[i], n.tip, stepNames[n.step])
		case owner && (n.wiped || !held.covers(n.dots) || !n.dots.covers(held)):
			return fmt.Errorf("I9: %s has %s, all owners together have %s, and nothing is left to be done", names[i], writeNames(n.dots), writeNames(held))
		case !owner && n.dots != 0:
			return fmt.Errorf("I9: %s keeps an old copy for ever", names[i])
		case n.hints != 0:
			return fmt.Errorf("I7: %s owes %s for ever", names[i], writeNames(n.hints))
		}
	}
	return b.judgeKept(w, held)
}

// hangs reports whether a layout that was committed waits for a node that is dead, which
// only an operator can end.
func (b *bounds) hangs(w *world) bool {
	for l := range b.layouts {
		for i := range b.nodes {
			if w.proposed.has(l) && !b.formed(w, int8(l)) && b.voters(int8(l)).has(i) && w.nodes[i].dead {
				return true
			}
		}
	}
	return false
}

// judgeKept demands that the owners have what was acknowledged, unless a node that
// nobody has asked yet has it.
func (b *bounds) judgeKept(w *world, held set) error {
	for i := range b.nodes {
		if n := &w.nodes[i]; n.told != 0 && !n.returned && !n.dead {
			held |= n.dots
		}
	}
	if lost := w.acked(false) &^ (held &^ w.void); lost != 0 {
		return fmt.Errorf("I1: %s acknowledged, and no owner has it in the end", writeNames(lost))
	}
	return nil
}
