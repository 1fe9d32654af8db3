package vclock

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// noEnd is the Hi of a span that holds every counter from Lo on, for ever.
const noEnd = math.MaxUint64

// Span is an inclusive range of counters of one actor. A Hi of math.MaxUint64
// means that the span has no end.
type Span struct{ Lo, Hi uint64 }

// touches reports whether a span that ends at hi leaves no gap before lo.
func touches(hi, lo uint64) bool { return hi == noEnd || hi+1 >= lo }

// run is one span of one actor.
type run struct {
	actor Actor
	Span
}

// beginsAfter reports whether r begins behind dot (a, c).
func (r run) beginsAfter(a Actor, c uint64) bool {
	if r.actor.Disk != a.Disk {
		return r.actor.Disk > a.Disk
	}
	if r.actor.Nonce != a.Nonce {
		return r.actor.Nonce > a.Nonce
	}
	return r.Lo > c
}

// DotSet is a set of dots: a replica's clock, a reader's context, the dots of
// a delta. The zero value is the empty set.
//
// Per actor it keeps sorted, disjoint spans with gaps between them. The one
// that begins at 1 is the actor's base, the others are exceptions; a closed
// actor is a base without end and needs no special case. All spans lie in one
// slice sorted by actor, because clocks are small, mostly bases, and mostly
// scanned; the price is that a new actor shifts those behind it.
//
// See "Sharing memory" in the package documentation before copying one.
type DotSet struct{ runs []run }

// NewDotSet makes the set of the given dots.
func NewDotSet(dots ...Dot) DotSet {
	var s DotSet
	for _, d := range dots {
		s.Add(d)
	}
	return s
}

// after gives the index of the first run that begins behind dot (a, c).
func (s DotSet) after(a Actor, c uint64) int { return s.search(0, len(s.runs), a, c) }

// search is after for a caller who knows that the answer is within lo and hi.
func (s DotSet) search(lo, hi int, a Actor, c uint64) int {
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if s.runs[mid].beginsAfter(a, c) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// gallop is after for a caller who goes through another set in order and knows
// that the answer is at from or behind it. Sets that meet are mostly alike, so
// it is mostly the next run; and if it is not, the search widens in doubling
// steps.
func (s DotSet) gallop(from int, a Actor, c uint64) int {
	probe := from
	for step := 1; probe < len(s.runs) && !s.runs[probe].beginsAfter(a, c); step *= 2 {
		from = probe + 1
		probe += step
	}
	return s.search(from, min(probe, len(s.runs)), a, c)
}

// Contains reports whether d is in the set.
func (s DotSet) Contains(d Dot) bool {
	i := s.after(d.Actor, d.Counter) - 1
	return i >= 0 && s.runs[i].actor == d.Actor && s.runs[i].Hi >= d.Counter
}

// Base gives the top of a's gap-free prefix: every dot of a from 1 to it is in
// the set. It is 0 when dot 1 is not, and math.MaxUint64 when a is closed.
func (s DotSet) Base(a Actor) uint64 {
	i := s.after(a, 1) - 1
	if i < 0 || s.runs[i].actor != a {
		return 0
	}
	return s.runs[i].Hi
}

// Max gives the highest counter of a in the set, gaps or not; 0 if none. It
// says nothing about the dots below: that is what Base is for.
func (s DotSet) Max(a Actor) uint64 {
	i := s.after(a, noEnd) - 1
	if i < 0 || s.runs[i].actor != a {
		return 0
	}
	return s.runs[i].Hi
}

// IsEmpty reports whether the set has no dot.
func (s DotSet) IsEmpty() bool { return len(s.runs) == 0 }

// Actors counts the actors that have a dot in the set.
func (s DotSet) Actors() int {
	count := 0
	for i := range s.runs {
		if i == 0 || s.runs[i].actor != s.runs[i-1].actor {
			count++
		}
	}
	return count
}

// Exceptions counts the spans that are not bases: what gaps cost.
func (s DotSet) Exceptions() int {
	count := 0
	for i := range s.runs {
		if s.runs[i].Lo != 1 {
			count++
		}
	}
	return count
}

// Clone gives a set that shares no memory with s.
func (s DotSet) Clone() DotSet { return DotSet{slices.Clone(s.runs)} }

// Add puts d into the set and reports whether it was new. It panics for a dot
// that no replica can mint.
func (s *DotSet) Add(d Dot) bool {
	d.mustBeMintable()
	return s.widen(d.Actor, Span{d.Counter, d.Counter})
}

// AddSpan puts all dots of a in span into the set. It panics for an empty span
// and for the zero actor.
func (s *DotSet) AddSpan(a Actor, span Span) {
	if a.IsZero() || span.Lo == 0 || span.Lo > span.Hi {
		panic(fmt.Sprintf("vclock: actor %s with span %d to %d cannot be in a dot set", a, span.Lo, span.Hi))
	}
	s.widen(a, span)
}

// Close puts every dot that a ever had or could have into the set.
func (s *DotSet) Close(a Actor) { s.AddSpan(a, Span{1, noEnd}) }

// widen adds a sound span, joins it with the runs that it touches, and reports
// whether the set grew.
func (s *DotSet) widen(a Actor, span Span) bool {
	from := s.after(a, span.Lo)
	if from > 0 && s.runs[from-1].actor == a && touches(s.runs[from-1].Hi, span.Lo) {
		from--
	}
	to, joined := from, span
	for to < len(s.runs) && s.runs[to].actor == a && touches(span.Hi, s.runs[to].Lo) {
		joined.Lo = min(joined.Lo, s.runs[to].Lo)
		joined.Hi = max(joined.Hi, s.runs[to].Hi)
		to++
	}
	if from == to {
		s.runs = slices.Insert(s.runs, from, run{a, span})
		return true
	}
	if to == from+1 && s.runs[from].Span == joined {
		return false
	}
	s.runs[from].Span = joined
	s.runs = slices.Delete(s.runs, from+1, to)
	return true
}

// Spans goes through the set by actor, then counter.
func (s DotSet) Spans() iter.Seq2[Actor, Span] {
	return func(yield func(Actor, Span) bool) {
		for _, r := range s.runs {
			if !yield(r.actor, r.Span) {
				return
			}
		}
	}
}

// Dots goes through the set dot by dot, by actor, then counter. It is for sets
// known to be small and finite, such as the dots of a delta: at a span without
// end, as closed actors have, it panics.
func (s DotSet) Dots() iter.Seq[Dot] {
	return func(yield func(Dot) bool) {
		for _, r := range s.runs {
			if r.Hi == noEnd {
				panic("vclock: cannot go through the dots of actor " + r.actor.String() + ": they have no end")
			}
			for c := r.Lo; c <= r.Hi; c++ {
				if !yield(Dot{r.actor, c}) {
					return
				}
			}
		}
	}
}

// String is for people: "{actor:1-5,8 actor:1-}". A span without end has
// nothing behind its dash.
func (s DotSet) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, r := range s.runs {
		if i > 0 && s.runs[i-1].actor == r.actor {
			b.WriteByte(',')
		} else {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(r.actor.String() + ":")
		}
		b.WriteString(r.Span.String())
	}
	b.WriteByte('}')
	return b.String()
}

// String gives "5", "5-8", or "5-" for a span without end.
func (p Span) String() string {
	lo := strconv.FormatUint(p.Lo, 10)
	switch p.Hi {
	case p.Lo:
		return lo
	case noEnd:
		return lo + "-"
	default:
		return lo + "-" + strconv.FormatUint(p.Hi, 10)
	}
}

// Check verifies the numbered invariants of the package documentation. The
// error is an *InvariantError.
func (s DotSet) Check() error {
	for i, r := range s.runs {
		broken := func(number int, detail string) error {
			return &InvariantError{Of: "dot set", Number: number, Detail: fmt.Sprintf("span %d, %s of %s, %s", i, r.Span, r.actor, detail)}
		}
		if r.Lo == 0 || r.Lo > r.Hi {
			return broken(2, "is empty or holds counter 0")
		}
		if r.actor.IsZero() {
			return broken(4, "belongs to the zero actor")
		}
		if i == 0 {
			continue
		}
		before := s.runs[i-1]
		if !r.beginsAfter(before.actor, before.Lo) {
			return broken(1, "is out of order")
		}
		if before.actor == r.actor && touches(before.Hi, r.Lo) {
			return broken(3, "overlaps or touches the span before it")
		}
	}
	return nil
}
