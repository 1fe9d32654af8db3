package vclock

// Delta is what travels about a key (R2): live versions and context as in
// Siblings, and Dots, the events whose whole effect on this key it carries. A
// sender owes two things: every live version's dot is in Dots, and Context ∪
// Dots holds the causal past of every dot in Dots.
type Delta[V any] struct {
	Siblings[V]
	Dots DotSet
}

// Merge applies a delta to a key of a replica and to the replica's clock (R3).
// Afterwards the clock holds d.Dots, the key shows what everything merged so
// far leaves alive, and its context is stripped.
//
// The context of d never goes into the clock: the clock promises that the
// effect of a dot is in the store, and a context only says that somebody saw
// it. Where both sides have a version of one dot, the one that is here stays;
// CheckSameValues tells whether they agree.
//
// A delta that is valid (Delta.Check), repeated, late or out of order does no
// harm. Merge keeps no memory of d.
func (s *Siblings[V]) Merge(clock *DotSet, d Delta[V]) {
	s.mergeVersions(*clock, d)
	clock.Union(d.Dots)
	s.Context.unionAboveBases(d.Context, *clock)
	s.Strip(*clock)
}

// mergeVersions is the first line of R3, for a receiver whose clock is clock.
func (s *Siblings[V]) mergeVersions(clock DotSet, d Delta[V]) {
	s.keep(func(v Version[V]) bool {
		seenThere := d.Context.Contains(v.Dot) || d.Dots.Contains(v.Dot)
		return !seenThere || d.Has(v.Dot)
	})
	for _, v := range d.Versions {
		seenHere := s.Context.Contains(v.Dot) || clock.Contains(v.Dot)
		if !seenHere {
			s.Add(v.Dot, v.Value)
		}
	}
	s.normalize()
}

// MergeVersions is the first line of R3 alone, for a replica that knows more of
// this key than its clock and the key's context say: while it is being rebuilt
// it also knows what its source had applied (R13). Clock and context are the
// caller's to care for.
func (s *Siblings[V]) MergeVersions(known DotSet, d Delta[V]) { s.mergeVersions(known, d) }

// Join is the causal join of two filled objects, as a reader makes it of the
// replies it got (R8): a version stays if both have it, or if the other has not
// seen it. The result shares no memory with a or b.
func Join[V any](a, b Siblings[V]) Siblings[V] {
	joined := a.Clone()
	joined.keep(func(v Version[V]) bool { return b.Has(v.Dot) || !b.Context.Contains(v.Dot) })
	for _, v := range b.Versions {
		if !a.Context.Contains(v.Dot) {
			joined.Add(v.Dot, v.Value)
		}
	}
	joined.normalize()
	joined.Context.Union(b.Context)
	return joined
}

// JoinDeltas is the causal join of two deltas of one key, as the holder of
// hints makes it of what it owes (R11). It does to a receiver what both would.
func JoinDeltas[V any](a, b Delta[V]) Delta[V] {
	joined := Delta[V]{Siblings: a.Siblings.Clone(), Dots: a.Dots.Clone()}
	joined.mergeVersions(joined.Dots, b)
	joined.Context.Union(b.Context)
	joined.Dots.Union(b.Dots)
	return joined
}

// Compare orders two filled objects by what they know.
func Compare[V any](a, b Siblings[V]) Order { return a.Seen().Compare(b.Seen()) }

// CheckSameValues reports a dot under which a and b have values that are not
// equal; the error is a *ConflictError. It never happens while dots are unique
// (I2) and bytes are intact, which is why Merge and Join do not ask; tests and
// audits do.
func CheckSameValues[V any](a, b Siblings[V], equal func(V, V) bool) error {
	for _, v := range a.Versions {
		if at, found := b.find(v.Dot); found && !equal(v.Value, b.Versions[at].Value) {
			return &ConflictError{Dot: v.Dot}
		}
	}
	return nil
}

// Check verifies what can be seen of the two things a sender owes, and that the
// parts are sound. The error is an *InvariantError.
func (d Delta[V]) Check() error {
	if err := d.Siblings.Check(); err != nil {
		return &InvariantError{Of: "delta", Number: 1, Detail: err.Error()}
	}
	if err := d.Dots.Check(); err != nil {
		return &InvariantError{Of: "delta", Number: 2, Detail: err.Error()}
	}
	for _, v := range d.Versions {
		if !d.Dots.Contains(v.Dot) {
			return &InvariantError{Of: "delta", Number: 3, Detail: "live version " + v.Dot.String() + " is not among its dots"}
		}
	}
	return nil
}
