package vclock

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Three actors whose names are easy to tell apart in a failure.
var (
	actorA = Actor{Disk: 0xA, Nonce: 1}
	actorB = Actor{Disk: 0xB, Nonce: 1}
	actorC = Actor{Disk: 0xC, Nonce: 1}
	actors = []Actor{actorA, actorB, actorC}
)

func dotA(c uint64) Dot { return Dot{actorA, c} }
func dotB(c uint64) Dot { return Dot{actorB, c} }
func dotC(c uint64) Dot { return Dot{actorC, c} }

func TestClockGrowsItsBaseWhenTheGapCloses(t *testing.T) {
	clock := NewDotSet(dotA(1), dotA(2), dotA(5))
	require.EqualValues(t, 2, clock.Base(actorA))
	require.EqualValues(t, 5, clock.Max(actorA))
	require.Equal(t, 1, clock.Exceptions())

	require.True(t, clock.Add(dotA(4)))
	require.EqualValues(t, 2, clock.Base(actorA), "3 has not arrived")
	require.False(t, clock.Contains(dotA(3)), "and is not claimed either")

	require.True(t, clock.Add(dotA(3)))
	require.EqualValues(t, 5, clock.Base(actorA))
	require.Zero(t, clock.Exceptions())
	require.False(t, clock.Add(dotA(3)), "the second arrival is no news")
}

func TestClosedActorIsABaseWithoutEnd(t *testing.T) {
	clock := NewDotSet(dotA(3), dotA(7), dotB(2))
	clock.Close(actorA)
	require.EqualValues(t, uint64(math.MaxUint64), clock.Base(actorA))
	require.True(t, clock.Contains(dotA(CounterMax)))
	require.False(t, clock.Add(dotA(99)))
	require.Zero(t, clock.Base(actorB))
	require.Equal(t, Before, NewDotSet(dotA(1), dotB(2)).Compare(clock))
	require.NoError(t, clock.Check())

	var closed DotSet
	closed.Close(actorA)
	void := closed.Minus(NewDotSet(dotA(1), dotA(2), dotA(6)))
	require.Equal(t, "{"+actorA.String()+":3-5,7-}", void.String(), "what a close declares void may have holes and no end")
	require.PanicsWithValue(t, "vclock: cannot go through the dots of actor "+actorA.String()+": they have no end", func() {
		for range closed.Dots() {
		}
	})
}

func TestImpossibleDotsAreOurOwnBugs(t *testing.T) {
	var s DotSet
	require.Panics(t, func() { s.Add(dotA(0)) })
	require.Panics(t, func() { s.Add(dotA(math.MaxUint64)) })
	require.Panics(t, func() { s.Add(Dot{Actor{}, 1}) })
	require.Panics(t, func() { s.AddSpan(actorA, Span{0, 4}) })
	require.Panics(t, func() { s.AddSpan(actorA, Span{5, 4}) })
	require.Panics(t, func() { s.AddSpan(Actor{}, Span{1, 4}) })
	require.Panics(t, func() { New(dotA(0), "v", DotSet{}) })
	require.False(t, s.Contains(dotA(0)), "asking about one is harmless")
	require.True(t, s.IsEmpty())
}

func TestCheckNamesTheInvariantThatIsBroken(t *testing.T) {
	for name, broken := range map[string]struct {
		set    DotSet
		number int
	}{
		"actors out of order": {DotSet{[]run{{actorB, Span{1, 1}}, {actorA, Span{1, 1}}}}, 1},
		"spans out of order":  {DotSet{[]run{{actorA, Span{5, 6}}, {actorA, Span{1, 1}}}}, 1},
		"the same span twice": {DotSet{[]run{{actorA, Span{5, 6}}, {actorA, Span{5, 6}}}}, 1},
		"counter 0":           {DotSet{[]run{{actorA, Span{0, 6}}}}, 2},
		"an empty span":       {DotSet{[]run{{actorA, Span{7, 6}}}}, 2},
		"overlapping spans":   {DotSet{[]run{{actorA, Span{1, 6}}, {actorA, Span{3, 9}}}}, 3},
		"touching spans":      {DotSet{[]run{{actorA, Span{1, 6}}, {actorA, Span{7, 9}}}}, 3},
		"spans behind a close": {DotSet{[]run{{actorA, Span{1, math.MaxUint64}},
			{actorA, Span{7, 9}}}}, 3},
		"the zero actor": {DotSet{[]run{{Actor{}, Span{1, 6}}}}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			var err *InvariantError
			require.ErrorAs(t, broken.set.Check(), &err)
			require.Equal(t, broken.number, err.Number, err)
			require.Contains(t, err.Error(), "dot set breaks invariant")
		})
	}
}

// twinTop bounds the counters of the dumb twin below; the twin's actors end
// there, as real ones end at math.MaxUint64.
const twinTop = 12

// dumbSet is a DotSet as anyone would write it first: one entry per dot.
type dumbSet map[Dot]bool

func dumb(s DotSet) dumbSet {
	set := dumbSet{}
	for _, a := range actors {
		for c := uint64(1); c <= twinTop; c++ {
			if s.Contains(Dot{a, c}) {
				set[Dot{a, c}] = true
			}
		}
	}
	return set
}

func (x dumbSet) union(y dumbSet) dumbSet {
	out := dumbSet{}
	for d := range x {
		out[d] = true
	}
	for d := range y {
		out[d] = true
	}
	return out
}

func (x dumbSet) filter(keep func(Dot) bool) dumbSet {
	out := dumbSet{}
	for d := range x {
		if keep(d) {
			out[d] = true
		}
	}
	return out
}

func (x dumbSet) base(a Actor) uint64 {
	c := uint64(0)
	for x[Dot{a, c + 1}] {
		c++
	}
	return c
}

// anySet draws a set over a small universe, so that drawn sets meet often.
func anySet(t *rapid.T, label string) DotSet {
	var s DotSet
	for range rapid.IntRange(0, 14).Draw(t, label+" spans") {
		a := rapid.SampledFrom(actors).Draw(t, label+" actor")
		lo := rapid.Uint64Range(1, twinTop).Draw(t, label+" lo")
		s.AddSpan(a, Span{lo, min(lo+rapid.Uint64Range(0, 2).Draw(t, label+" length"), twinTop)})
	}
	for _, a := range actors {
		if rapid.IntRange(0, 9).Draw(t, label+" close") == 0 {
			s.Close(a)
		}
	}
	return s
}

func TestAlgebraAgreesWithADumbTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anySet(t, "a"), anySet(t, "b")
		x, y := dumb(a), dumb(b)
		beforeA, beforeB := a.Clone(), b.Clone()

		union := a.Clone()
		union.Union(b)
		requireSound(t, union, a.Minus(b), a.Intersect(b), a.Bases())
		require.Equal(t, x.union(y), dumb(union))
		require.Equal(t, x.filter(func(d Dot) bool { return !y[d] }), dumb(a.Minus(b)))
		require.Equal(t, x.filter(func(d Dot) bool { return y[d] }), dumb(a.Intersect(b)))
		require.Equal(t, x.filter(func(d Dot) bool { return d.Counter <= x.base(d.Actor) }), dumb(a.Bases()))

		// The long way of Union, whatever the size of b.
		require.True(t, slices.Equal(union.runs, uniteRuns(a.runs, b.runs)))

		// What the twin cannot see, behind its last counter, follows from algebra.
		require.Equal(t, Equal, a.Compare(unionOf(a.Minus(b), a.Intersect(b))))
		require.True(t, a.Minus(b).Intersect(b).IsEmpty())
		require.Equal(t, union.Minus(b), a.Minus(b))

		require.Equal(t, a.Minus(b).IsEmpty(), b.Covers(a))
		require.Equal(t, map[[2]bool]Order{
			{true, true}: Equal, {true, false}: Before, {false, true}: After, {false, false}: Concurrent,
		}[[2]bool{a.Minus(b).IsEmpty(), b.Minus(a).IsEmpty()}], a.Compare(b))

		// aliasing: the inputs are as they were, whatever happens to the results
		ruin(&union)
		for _, result := range []DotSet{a.Minus(b), a.Intersect(b), a.Bases(), a.Clone()} {
			ruin(&result)
		}
		require.Equal(t, beforeA, a)
		require.Equal(t, beforeB, b)
	})
}

// Large sets take other ways through the code (linear passes, long strides), and
// must come to the same.
func TestLargeSetsObeyTheSameAlgebra(t *testing.T) {
	first := firstSeed(t)
	for i := range uint64(500) {
		random := rand.New(rand.NewPCG(first+i, 3))
		s, o, clock := largeSet(random), largeSet(random), largeSet(random)
		union := s.Clone()
		for a, span := range o.Spans() {
			union.AddSpan(a, span)
		}
		require.Equal(t, union, unionOf(s, o))
		require.Equal(t, o.Minus(s).IsEmpty(), s.Covers(o))
		require.True(t, union.Covers(s))
		require.True(t, union.Covers(s.Intersect(o)))
		require.Equal(t, unionOf(s.Minus(o), s.Intersect(o)), s)

		stripped := o.Clone()
		stripped.removeBases(clock)
		require.Equal(t, o.Minus(clock.Bases()), stripped)
		above := s.Clone()
		above.unionAboveBases(o, clock)
		require.Equal(t, unionOf(s, o.Minus(clock.Bases())), above)
		requireSound(t, union, stripped, above)
	}
}

func largeSet(random *rand.Rand) DotSet {
	var s DotSet
	for range random.IntN(60) {
		a := Actor{Disk: random.Uint64N(12) + 1, Nonce: 1}
		switch lo := random.Uint64N(40) + 1; random.IntN(8) {
		case 0:
			s.Close(a)
		case 1, 2, 3:
			s.AddSpan(a, Span{1, lo})
		default:
			s.AddSpan(a, Span{lo, lo + random.Uint64N(3)})
		}
	}
	return s
}

func TestGoingThroughASetCanStop(t *testing.T) {
	s := NewDotSet(dotA(1), dotA(2), dotB(1), dotC(1))
	for d := range s.Dots() {
		require.Equal(t, dotA(1), d)
		break
	}
	for a, span := range s.Spans() {
		require.Equal(t, actorA, a)
		require.Equal(t, Span{1, 2}, span)
		break
	}
}

func unionOf(sets ...DotSet) DotSet {
	var all DotSet
	for _, s := range sets {
		all.Union(s)
	}
	return all
}

// ruin overwrites all the memory that s holds.
func ruin(s *DotSet) {
	for i := range s.runs {
		s.runs[i] = run{Actor{9, 9}, Span{77, 78}}
	}
	s.AddSpan(Actor{9, 9}, Span{99, 100})
}

func requireSound(t require.TestingT, sets ...DotSet) {
	for _, s := range sets {
		require.NoError(t, s.Check())
	}
}

func TestSetAgreesWithADumbTwinStepByStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s DotSet
		twin := dumbSet{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			d := Dot{rapid.SampledFrom(actors).Draw(t, "actor"), rapid.Uint64Range(1, twinTop).Draw(t, "counter")}
			require.Equal(t, twin[d], s.Contains(d))
			require.Equal(t, !twin[d], s.Add(d))
			twin[d] = true
			requireSound(t, s)
			require.Equal(t, twin, dumb(s))
		}
		for _, a := range actors {
			top := uint64(0)
			for d := range twin {
				if d.Actor == a {
					top = max(top, d.Counter)
				}
			}
			require.Equal(t, top, s.Max(a))
			require.Equal(t, twin.base(a), s.Base(a))
		}
		listed := dumbSet{}
		for d := range s.Dots() {
			listed[d] = true
		}
		require.Equal(t, twin, listed)
		seen := map[Actor]bool{}
		exceptions := 0
		for a, span := range s.Spans() {
			seen[a] = true
			if span.Lo != 1 {
				exceptions++
			}
		}
		require.Equal(t, len(seen), s.Actors())
		require.Equal(t, exceptions, s.Exceptions())
	})
}

func TestEmptySetsAreEqualToReflectionToo(t *testing.T) {
	require.Equal(t, DotSet{}, NewDotSet(dotA(1)).Minus(NewDotSet(dotA(1))))
	require.Equal(t, DotSet{}, NewDotSet(dotA(2)).Bases())
	s := NewDotSet(dotA(1))
	s.removeBases(NewDotSet(dotA(1)))
	require.Equal(t, DotSet{}, s)
}
