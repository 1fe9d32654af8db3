package vclock

import (
	"fmt"
	"slices"
)

// Version is one value of a key under the dot of the write that made it. Equal
// dots have equal values (I2).
type Version[V any] struct {
	Dot   Dot
	Value V
}

// Siblings is one key at one replica, or as a reader sees it: a dotted causal
// container. The zero value is a key that nothing is known about.
//
// As stored, Context is stripped and means something only together with the
// replica's clock; Fill makes an object that stands for itself.
type Siblings[V any] struct {
	Versions []Version[V] // the live versions, D, sorted by dot
	Context  DotSet       // V: dots whose effect on this key is known
}

// New is the object that a single write makes for a reader who had seen seen.
func New[V any](d Dot, v V, seen DotSet) Siblings[V] {
	d.mustBeMintable()
	return Siblings[V]{Versions: []Version[V]{{d, v}}, Context: seen.Clone()}
}

// Values gives the values of the live versions, in the order of their dots.
func (s Siblings[V]) Values() []V {
	values := make([]V, len(s.Versions))
	for i, v := range s.Versions {
		values[i] = v.Value
	}
	return values
}

// Dots gives the dots of the live versions: dots(D).
func (s Siblings[V]) Dots() DotSet {
	var dots DotSet
	s.addDotsTo(&dots)
	return dots
}

// Seen gives the context of a client that has read this filled object (R8): it
// covers all the object knows and the live versions themselves, so that a write
// with it takes their place.
func (s Siblings[V]) Seen() DotSet {
	seen := s.Context.Clone()
	s.addDotsTo(&seen)
	return seen
}

func (s Siblings[V]) addDotsTo(set *DotSet) {
	for _, v := range s.Versions {
		set.Add(v.Dot)
	}
}

// IsGone reports whether nothing is left to remember: no version and an empty
// context. Such a record may be removed; the clock alone answers for the key.
func (s Siblings[V]) IsGone() bool { return len(s.Versions) == 0 && s.Context.IsEmpty() }

// Has reports whether d is the dot of a live version.
func (s Siblings[V]) Has(d Dot) bool {
	_, found := s.find(d)
	return found
}

// find gives the place of d among the versions. The list is short, nearly
// always one, so it is simply walked.
func (s Siblings[V]) find(d Dot) (int, bool) {
	for i := range s.Versions {
		if c := s.Versions[i].Dot.Compare(d); c >= 0 {
			return i, c == 0
		}
	}
	return len(s.Versions), false
}

// SameDots reports whether o has the same live versions, equal dots having equal
// values.
func (s Siblings[V]) SameDots(o Siblings[V]) bool {
	return slices.EqualFunc(s.Versions, o.Versions, func(a, b Version[V]) bool { return a.Dot == b.Dot })
}

// Alike reports whether o is the same: live versions and context.
func (s Siblings[V]) Alike(o Siblings[V]) bool {
	return s.SameDots(o) && slices.Equal(s.Context.runs, o.Context.runs)
}

// Clone gives siblings that share no memory with s, apart from what the values
// refer to.
func (s Siblings[V]) Clone() Siblings[V] {
	return Siblings[V]{Versions: slices.Clone(s.Versions), Context: s.Context.Clone()}
}

// Discard is the first half of a put or delete (R6): what the client has seen
// goes, and the key remembers that it was seen. What the client has not seen
// stays.
func (s *Siblings[V]) Discard(ctx DotSet) {
	s.Drop(ctx)
	s.Context.Union(ctx)
}

// Drop removes the live versions whose dots are in dots, and remembers nothing
// about it.
func (s *Siblings[V]) Drop(dots DotSet) {
	s.keep(func(v Version[V]) bool { return !dots.Contains(v.Dot) })
	s.normalize()
}

// keep removes the versions that wanted says no to, in place. What it leaves
// may need to be normalized: not yet, because a version is often about to be
// added, and the memory will do for it.
func (s *Siblings[V]) keep(wanted func(Version[V]) bool) {
	kept := s.Versions[:0]
	for _, v := range s.Versions {
		if wanted(v) {
			kept = append(kept, v)
		}
	}
	clear(s.Versions[len(kept):]) // let go of what the values refer to
	s.Versions = kept
}

// normalize makes "no versions" always nil, so that equal siblings are equal to
// reflection too.
func (s *Siblings[V]) normalize() {
	if len(s.Versions) == 0 {
		s.Versions = nil
	}
}

// Add makes v live under d. If d is live already, nothing changes: equal dots
// have equal values.
func (s *Siblings[V]) Add(d Dot, v V) {
	d.mustBeMintable()
	if at, found := s.find(d); !found {
		s.Versions = slices.Insert(s.Versions, at, Version[V]{d, v})
	}
}

// Strip takes out of the context what the base of the replica's clock says for
// every key (R4). Only the base: the clock's maximum claims dots that have not
// arrived, and its exceptions are not part of what Fill sends, so a key must
// keep in mind those that concern it.
func (s *Siblings[V]) Strip(clock DotSet) { s.Context.removeBases(clock) }

// Fill gives the object that stands for itself, as it may leave a home replica
// (R5): V ∪ base(C) ∪ dots(D). Object and clock must come from one storage
// snapshot; a newer clock deletes writes its reader never saw, an older one
// leaves replicas divergent for ever (C3). Only home replicas fill (C2).
func (s Siblings[V]) Fill(clock DotSet) Siblings[V] { return s.fill(clock.Bases()) }

// FillWith is Fill for who has been told what is known of every key, as many objects
// of one moment travel with it once.
func (s Siblings[V]) FillWith(base DotSet) Siblings[V] { return s.fill(base.Clone()) }

// fill owns known from here on.
func (s Siblings[V]) fill(known DotSet) Siblings[V] {
	filled := Siblings[V]{Versions: slices.Clone(s.Versions), Context: known}
	filled.Context.Union(s.Context)
	filled.addDotsTo(&filled.Context)
	return filled
}

// Check verifies the numbered invariants of the package documentation. The
// error is an *InvariantError.
func (s Siblings[V]) Check() error {
	for i, v := range s.Versions {
		broken := func(number int, detail string) error {
			return &InvariantError{Of: "siblings", Number: number, Detail: fmt.Sprintf("version %d, %s, %s", i, v.Dot, detail)}
		}
		if i > 0 && s.Versions[i-1].Dot.Compare(v.Dot) >= 0 {
			return broken(1, "is out of order or twice there")
		}
		if flaw := v.Dot.flaw(); flaw != "" {
			return broken(2, flaw)
		}
	}
	if err := s.Context.Check(); err != nil {
		return &InvariantError{Of: "siblings", Number: 3, Detail: err.Error()}
	}
	return nil
}
