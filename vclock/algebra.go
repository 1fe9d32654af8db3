package vclock

import "slices"

// fewRuns is up to how many spans Union adds one by one. Each costs a search
// and a shift of what lies behind it; above a handful one linear pass over
// both sets is cheaper and never quadratic. Most unions are with one dot.
const fewRuns = 8

// Union adds every dot of o to s. It keeps no memory of o.
func (s *DotSet) Union(o DotSet) {
	if len(o.runs) == 0 {
		return
	}
	if len(s.runs) == 0 {
		s.runs = slices.Clone(o.runs)
		return
	}
	if len(o.runs) <= fewRuns {
		for _, r := range o.runs {
			s.widen(r.actor, r.Span)
		}
		return
	}
	if s.Covers(o) {
		return
	}
	s.runs = uniteRuns(s.runs, o.runs)
}

// uniteRuns merges two sorted lists into a new one.
func uniteRuns(a, b []run) []run {
	united := make([]run, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var next run
		if len(b) == 0 || len(a) > 0 && !a[0].beginsAfter(b[0].actor, b[0].Lo) {
			next, a = a[0], a[1:]
		} else {
			next, b = b[0], b[1:]
		}
		if n := len(united); n > 0 && united[n-1].actor == next.actor && touches(united[n-1].Hi, next.Lo) {
			united[n-1].Hi = max(united[n-1].Hi, next.Hi)
		} else {
			united = append(united, next)
		}
	}
	return united
}

// Minus gives the dots of s that are not in o.
func (s DotSet) Minus(o DotSet) DotSet {
	var left DotSet
	for _, r := range s.runs {
		left.runs = o.appendGaps(left.runs, r)
	}
	return left
}

// appendGaps appends the parts of r that are not in s.
func (s DotSet) appendGaps(to []run, r run) []run {
	for {
		held, found := s.firstFrom(r.actor, r.Span)
		if !found {
			return append(to, r)
		}
		if held.Lo > r.Lo {
			to = append(to, run{r.actor, Span{r.Lo, held.Lo - 1}})
		}
		if held.Hi >= r.Hi {
			return to
		}
		r.Lo = held.Hi + 1
	}
}

// Intersect gives the dots that are in both s and o.
func (s DotSet) Intersect(o DotSet) DotSet {
	var both DotSet
	for _, r := range s.runs {
		both.runs = o.appendShared(both.runs, r)
	}
	return both
}

// appendShared appends the parts of r that are in s.
func (s DotSet) appendShared(to []run, r run) []run {
	for {
		held, found := s.firstFrom(r.actor, r.Span)
		if !found {
			return to
		}
		to = append(to, run{r.actor, Span{max(held.Lo, r.Lo), min(held.Hi, r.Hi)}})
		if held.Hi >= r.Hi {
			return to
		}
		r.Lo = held.Hi + 1
	}
}

// firstFrom gives the first span of a in s that has a counter within p.
func (s DotSet) firstFrom(a Actor, p Span) (Span, bool) {
	i := s.after(a, p.Lo)
	if i > 0 && s.runs[i-1].actor == a && s.runs[i-1].Hi >= p.Lo {
		i--
	}
	if i == len(s.runs) || s.runs[i].actor != a || s.runs[i].Lo > p.Hi {
		return Span{}, false
	}
	return s.runs[i].Span, true
}

// Covers reports whether every dot of o is in s.
func (s DotSet) Covers(o DotSet) bool {
	at := 0
	for _, r := range o.runs {
		at = s.gallop(at, r.actor, r.Lo)
		if at == 0 || s.runs[at-1].actor != r.actor || s.runs[at-1].Hi < r.Hi {
			return false
		}
	}
	return true
}

// Compare orders s and o by inclusion.
func (s DotSet) Compare(o DotSet) Order {
	switch {
	case slices.Equal(s.runs, o.runs):
		return Equal
	case o.Covers(s):
		return Before
	case s.Covers(o):
		return After
	default:
		return Concurrent
	}
}

// Bases gives the gap-free prefixes of s and nothing above them: base(S) of
// rules R4 and R5.
func (s DotSet) Bases() DotSet {
	count := len(s.runs) - s.Exceptions()
	if count == 0 {
		return DotSet{}
	}
	bases := make([]run, 0, count)
	for _, r := range s.runs {
		if r.Lo == 1 {
			bases = append(bases, r)
		}
	}
	return DotSet{bases}
}

// removeBases takes the bases of clock out of s, in place.
func (s *DotSet) removeBases(clock DotSet) {
	bases := baseReader{clock: clock}
	kept := s.runs[:0]
	for _, r := range s.runs {
		if span, ok := bases.above(r); ok {
			kept = append(kept, run{r.actor, span})
		}
	}
	s.setRuns(kept)
}

// unionAboveBases adds those dots of o that the bases of clock do not hold. It
// is Union followed by removeBases for what o brings, without the memory that
// the usual case, where nothing of o remains, would waste.
func (s *DotSet) unionAboveBases(o, clock DotSet) {
	bases := baseReader{clock: clock}
	var few [fewRuns]run
	remaining := 0
	for _, r := range o.runs {
		span, ok := bases.above(r)
		if !ok {
			continue
		}
		if remaining == fewRuns {
			rest := o.Clone()
			rest.removeBases(clock)
			s.Union(rest)
			return
		}
		few[remaining] = run{r.actor, span}
		remaining++
	}
	s.Union(DotSet{few[:remaining]})
}

// baseReader looks up the bases of a clock for the runs of another set, in the
// order of that set.
type baseReader struct {
	clock DotSet
	at    int
}

// above gives the part of r that lies above its actor's base.
func (b *baseReader) above(r run) (Span, bool) {
	b.at = b.clock.gallop(b.at, r.actor, 1)
	base := uint64(0)
	if b.at > 0 && b.clock.runs[b.at-1].actor == r.actor {
		base = b.clock.runs[b.at-1].Hi
	}
	if r.Hi <= base {
		return Span{}, false
	}
	return Span{max(r.Lo, base+1), r.Hi}, true
}

// setRuns makes the empty set always the zero DotSet, so that equal sets are
// equal to reflection too.
func (s *DotSet) setRuns(runs []run) {
	if len(runs) == 0 {
		runs = nil
	}
	s.runs = runs
}
