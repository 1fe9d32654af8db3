package checker

// demand is what a read is measured by: which writes it must have known, and
// which it may have.
type demand struct {
	// live are the puts that must be known and that no write which must be
	// known has seen.
	live []*write
	// dead gives a write which must be known and which had seen w, directly or
	// through others; nil if there is none.
	dead func(w *write) *write
	// must and may say whether w must, or may, be known. What must may.
	must, may func(w *write) bool
}

// superseded is a value that was found although a write that had to be known
// had seen it.
type superseded struct{ value, by *write }

// judge compares what was found with the demand: V2 and V3 of the package
// documentation. Both results are empty if and only if the read is allowed,
// given that V1 holds and that no value found had seen another one found.
func (d *demand) judge(found []*write) (back []superseded, lost []*write) {
	j := judgement{demand: d, found: map[*write]bool{}, possible: map[*write]bool{}, spoiled: map[*write]bool{}}
	for _, w := range found {
		j.found[w] = true
		if by := d.dead(w); by != nil {
			back = append(back, superseded{w, by})
		}
	}
	j.oldest = oldest(found)
	for _, w := range d.live {
		if !j.found[w] && !j.hasPossibleSeer(w) {
			lost = append(lost, w)
		}
	}
	return back, lost
}

// judgement is the work on one read.
type judgement struct {
	*demand
	found map[*write]bool
	// oldest is the smallest order among the values found; older writes cannot
	// have seen any of them.
	oldest int
	// possible and spoiled remember answers.
	possible, spoiled map[*write]bool
}

// hasPossibleSeer reports whether something may have superseded w.
func (j *judgement) hasPossibleSeer(w *write) bool {
	for _, s := range w.seers {
		if j.isPossible(s) {
			return true
		}
	}
	return false
}

// isPossible is V4. The recursion ends because a seer is younger than what it
// saw.
func (j *judgement) isPossible(w *write) bool {
	answer, known := j.possible[w]
	if !known {
		answer = j.may(w) && !j.isSpoiled(w) && (!w.isPut() || j.found[w] || j.hasPossibleSeer(w))
		j.possible[w] = answer
	}
	return answer
}

// isSpoiled reports whether w had seen something that was found. A request that is
// two events spoils nothing by itself: w had seen one of them, and the other may be
// what was found. Behind a write that must be known it need not look: what that one
// had seen is dead, and has been reported if it was found.
func (j *judgement) isSpoiled(w *write) bool {
	answer, known := j.spoiled[w]
	if known {
		return answer
	}
	for _, s := range w.seen {
		if j.found[s] && !s.echoes() || s.order > j.oldest && !j.must(s) && j.isSpoiled(s) {
			answer = true
			break
		}
	}
	j.spoiled[w] = answer
	return answer
}

// oldest is the smallest order of some writes, or beyond all.
func oldest(writes []*write) int {
	least := int(^uint(0) >> 1)
	for _, w := range writes {
		least = min(least, w.order)
	}
	return least
}

// besides finds the values that stand beside one which had seen them, directly
// or through others. It looks no further back than the oldest of them.
func besides(found []*write) []superseded {
	if len(found) < 2 {
		return nil
	}
	limit := oldest(found)
	by := map[*write]*write{} // from an older write to the value found that had seen it
	isFound := map[*write]bool{}
	for _, w := range found {
		isFound[w] = true
	}
	var out []superseded
	var walk func(w, from *write)
	walk = func(w, from *write) {
		for _, s := range w.seen {
			if s.order < limit || by[s] != nil {
				continue
			}
			by[s] = from
			if isFound[s] {
				out = append(out, superseded{s, from})
			}
			walk(s, from)
		}
	}
	for _, w := range found {
		walk(w, w)
	}
	return out
}

// knowledge is a set of writes that only grows: what a session, or the world,
// has to know. The zero value is not usable; see newKnowledge.
type knowledge struct {
	known map[*write]bool
	// killer gives, for everything that a known write had seen, that write.
	killer map[*write]*write
	live   []*write
}

func newKnowledge() *knowledge {
	return &knowledge{known: map[*write]bool{}, killer: map[*write]*write{}}
}

// learn adds w, and with it that everything it had seen is superseded.
func (k *knowledge) learn(w *write) {
	if k.known[w] {
		return
	}
	k.known[w] = true
	if w.isPut() && k.killer[w] == nil {
		k.live = append(k.live, w)
	}
	todo := []*write{w}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, s := range next.seen {
			if k.killer[s] == nil {
				k.kill(s, w)
				todo = append(todo, s)
			}
		}
	}
}

// kill notes that w has been superseded.
func (k *knowledge) kill(w, by *write) {
	k.killer[w] = by
	for i, l := range k.live {
		if l == w {
			k.live = append(k.live[:i], k.live[i+1:]...)
			return
		}
	}
}

// demand is this knowledge as the measure of a read.
func (k *knowledge) demand(may func(*write) bool) *demand {
	return &demand{
		live: k.live,
		dead: func(w *write) *write { return k.killer[w] },
		must: func(w *write) bool { return k.known[w] },
		may:  may,
	}
}
