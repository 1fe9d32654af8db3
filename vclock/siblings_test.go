package vclock

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// write is the delta of one put, as R6 sends it.
func write(d Dot, v string, seen DotSet) Delta[string] {
	return Delta[string]{Siblings: New(d, v, seen), Dots: NewDotSet(d)}
}

// deletion is the delta of one delete: a dot, a context, no value.
func deletion(d Dot, seen DotSet) Delta[string] {
	return Delta[string]{Siblings: Siblings[string]{Context: seen.Clone()}, Dots: NewDotSet(d)}
}

func TestConcurrentPutsBecomeSiblingsAndAWriteThatSawThemReplacesThem(t *testing.T) {
	var clock DotSet
	var cart Siblings[string]
	cart.Merge(&clock, write(dotA(1), "milk", DotSet{}))
	cart.Merge(&clock, write(dotB(1), "eggs", DotSet{}))
	require.Equal(t, []string{"milk", "eggs"}, cart.Values())

	seen := cart.Fill(clock).Seen()
	cart.Merge(&clock, write(dotC(1), "milk and eggs", seen))
	require.Equal(t, []string{"milk and eggs"}, cart.Values())
	require.True(t, cart.Context.IsEmpty(), "the clock has no gaps, so the key keeps only its one dot")
}

func TestDeleteLeavesNothingBehindAndNothingComesBack(t *testing.T) {
	var clock DotSet
	var cart Siblings[string]
	first := write(dotA(1), "milk", DotSet{})
	cart.Merge(&clock, first)
	cart.Merge(&clock, deletion(dotA(2), cart.Fill(clock).Seen()))
	require.True(t, cart.IsGone(), "no version, no context: the record can be removed")

	cart.Merge(&clock, first)
	require.True(t, cart.IsGone(), "a late copy of the old write is recognised by the clock alone")
}

func TestDeleteThatOvertakesItsPutIsRememberedUntilTheBaseCoversIt(t *testing.T) {
	var clock DotSet
	var cart Siblings[string]
	cart.Merge(&clock, deletion(dotB(1), NewDotSet(dotA(1))))
	require.Empty(t, cart.Versions)
	require.False(t, cart.IsGone(), "A:1 has not arrived, so the key itself must remember it")
	require.False(t, clock.Contains(dotA(1)), "the clock must not: its effect is not here")

	cart.Merge(&clock, write(dotA(1), "milk", DotSet{}))
	require.True(t, cart.IsGone(), "it arrived dead, and now the clock answers for it")
}

func TestPutAtAHomeReplicaKeepsWhatItsClientHadNotSeen(t *testing.T) {
	clock := NewDotSet(dotA(1), dotB(1))
	cart := Siblings[string]{Versions: []Version[string]{{dotA(1), "milk"}, {dotB(1), "eggs"}}}

	cart.Discard(NewDotSet(dotA(1)))
	cart.Add(dotA(2), "oat milk")
	cart.Add(dotA(2), "oat milk")
	clock.Add(dotA(2))
	cart.Strip(clock)

	require.Equal(t, []string{"oat milk", "eggs"}, cart.Values())
	require.Equal(t, NewDotSet(dotA(2), dotB(1)), cart.Dots())
	require.True(t, cart.Has(dotA(2)))
	require.False(t, cart.Has(dotA(1)))
	require.Equal(t, DotSet{}, cart.Context)
}

func TestStripGoesByTheBaseNotByTheMaximum(t *testing.T) {
	clock := NewDotSet(dotA(1), dotA(2), dotA(5), dotB(1))
	cart := Siblings[string]{Context: NewDotSet(dotA(1), dotA(2), dotA(4), dotA(5), dotB(1), dotC(1))}
	cart.Strip(clock)
	require.Equal(t, NewDotSet(dotA(4), dotA(5), dotC(1)), cart.Context)

	clock.Close(actorA)
	cart.Strip(clock)
	require.Equal(t, NewDotSet(dotC(1)), cart.Context)
}

func TestDropForgetsAVersionWithoutATrace(t *testing.T) {
	cart := New(dotA(4), "void", DotSet{})
	cart.Drop(NewDotSet(dotA(4)))
	require.True(t, cart.IsGone())
}

func TestReadOfTwoReplicasShowsWhatNeitherHasSeenSuperseded(t *testing.T) {
	var clockA, clockB DotSet
	var atA, atB Siblings[string]
	milk, eggs := write(dotA(1), "milk", DotSet{}), write(dotB(1), "eggs", DotSet{})
	atA.Merge(&clockA, milk)
	atB.Merge(&clockB, milk)
	atB.Merge(&clockB, eggs)
	require.Equal(t, Before, Compare(atA.Fill(clockA), atB.Fill(clockB)))

	atA.Merge(&clockA, write(dotA(2), "oat milk", atA.Fill(clockA).Seen()))
	require.Equal(t, Concurrent, Compare(atA.Fill(clockA), atB.Fill(clockB)))

	read := Join(atA.Fill(clockA), atB.Fill(clockB))
	require.Equal(t, []string{"oat milk", "eggs"}, read.Values())
	require.Equal(t, read, Join(atB.Fill(clockB), atA.Fill(clockA)))
	require.Equal(t, After, Compare(read, atA.Fill(clockA)))
	require.Equal(t, Equal, Compare(read, read.Clone()))
}

func TestOneDotWithTwoValuesIsFoundByThoseWhoAsk(t *testing.T) {
	same := func(a, b string) bool { return a == b }
	a, b := New(dotA(1), "milk", DotSet{}), New(dotA(1), "eggs", DotSet{})
	require.NoError(t, CheckSameValues(a, a, same))
	var conflict *ConflictError
	require.ErrorAs(t, CheckSameValues(a, b, same), &conflict)
	require.Equal(t, dotA(1), conflict.Dot)
	require.ErrorContains(t, conflict, "two different values")
	require.Equal(t, []string{"milk"}, Join(a, b).Values(), "the join keeps one and stays a join")
}

func TestCheckOfSiblingsAndDeltasNamesTheInvariant(t *testing.T) {
	sound := New(dotA(2), "v", NewDotSet(dotA(1)))
	require.NoError(t, sound.Check())
	require.NoError(t, Delta[string]{sound, NewDotSet(dotA(2))}.Check())

	unsound := DotSet{[]run{{actorA, Span{3, 2}}}}
	v := func(d Dot) Version[string] { return Version[string]{d, "v"} }
	for name, broken := range map[string]struct {
		err    error
		of     string
		number int
	}{
		"order":   {Siblings[string]{Versions: []Version[string]{v(dotB(1)), v(dotA(1))}}.Check(), "siblings", 1},
		"twice":   {Siblings[string]{Versions: []Version[string]{v(dotB(1)), v(dotB(1))}}.Check(), "siblings", 1},
		"dot":     {Siblings[string]{Versions: []Version[string]{v(dotB(0))}}.Check(), "siblings", 2},
		"context": {Siblings[string]{Context: unsound}.Check(), "siblings", 3},
		"parts":   {Delta[string]{Siblings: Siblings[string]{Context: unsound}}.Check(), "delta", 1},
		"dots":    {Delta[string]{Dots: unsound}.Check(), "delta", 2},
		"live":    {Delta[string]{Siblings: sound, Dots: NewDotSet(dotA(1))}.Check(), "delta", 3},
	} {
		t.Run(name, func(t *testing.T) {
			var err *InvariantError
			require.ErrorAs(t, broken.err, &err)
			require.Equal(t, broken.of, err.Of)
			require.Equal(t, broken.number, err.Number, err)
		})
	}
}

// Riak's first vector clocks grew siblings without any fault: two clients that
// read and write in turns made each write a sibling of the last (riak_kv#746).
func TestLesson01_InterleavedClientsDoNotGrowSiblings(t *testing.T) {
	const rounds, writers = 10_000, 2
	var clock DotSet
	var key Siblings[int]
	var seen [writers]DotSet
	most := 0
	for round := range rounds {
		writer := round % writers
		// Put with what this client read two turns ago: stale by the one write
		// that the other client made in between.
		d := Dot{actorA, uint64(round + 1)}
		key.Discard(seen[writer])
		key.Add(d, round)
		clock.Add(d)
		key.Strip(clock)

		seen[writer] = key.Fill(clock).Seen()
		most = max(most, len(key.Versions))
		require.LessOrEqual(t, len(key.Versions), writers, "round %d", round)
		require.True(t, key.Context.IsEmpty(), "round %d", round)
	}
	require.Equal(t, writers, most, "the clients were concurrent, or the test shows nothing")
}

// anyDelta draws a delta that keeps the rules which Delta.Check can see, and
// nothing more.
func anyDelta(t *rapid.T, label string) Delta[string] {
	dots := anySet(t, label+" dots").Minus(closedSet())
	d := Delta[string]{Dots: dots}
	d.Context = anySet(t, label+" context")
	for dot := range dots.Dots() {
		if rapid.Bool().Draw(t, label+" live") {
			d.Add(dot, dot.String())
		}
	}
	return d
}

func closedSet() DotSet {
	var s DotSet
	for _, a := range actors {
		s.AddSpan(a, Span{twinTop + 1, noEnd})
	}
	return s
}

// The definition of R3 in the words of the rule, on maps.
func TestMergeIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local, δ := anyDelta(t, "local"), anyDelta(t, "delta")
		clock := unionOf(local.Dots, anySet(t, "clock"))
		key := local.Siblings
		D, V, C := dumb(key.Dots()), dumb(key.Context), dumb(clock)
		δD, δV, δdots := dumb(δ.Siblings.Dots()), dumb(δ.Context), dumb(δ.Dots)
		δBefore := Delta[string]{δ.Clone(), δ.Dots.Clone()}

		wantD := D.filter(func(d Dot) bool { return δD[d] }).
			union(D.filter(func(d Dot) bool { return !δV[d] && !δdots[d] })).
			union(δD.filter(func(d Dot) bool { return !V[d] && !C[d] }))
		wantC := C.union(δdots)
		wantV := V.union(δV).filter(func(d Dot) bool { return d.Counter > wantC.base(d.Actor) })

		key.Merge(&clock, δ)
		require.Equal(t, wantD, dumb(key.Dots()))
		require.Equal(t, wantC, dumb(clock))
		require.Equal(t, wantV, dumb(key.Context))
		require.NoError(t, key.Check())
		require.NoError(t, clock.Check())
		for _, v := range key.Versions {
			require.Equal(t, v.Dot.String(), v.Value)
		}

		ruin(&clock)
		ruin(&key.Context)
		clear(key.Versions)
		require.Equal(t, δBefore, δ, "Merge keeps no memory of the delta")
	})
}

// R5 and R8 in the words of the rules, on maps.
func TestFillAndSeenAreTheirDefinitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := anyDelta(t, "key").Siblings
		clock := anySet(t, "clock")
		base := dumb(clock)
		base = base.filter(func(d Dot) bool { return d.Counter <= base.base(d.Actor) })
		D, V := dumb(key.Dots()), dumb(key.Context)

		filled := key.Fill(clock)
		require.Equal(t, key.Versions, filled.Versions)
		require.Equal(t, V.union(base).union(D), dumb(filled.Context))
		require.Equal(t, V.union(D), dumb(key.Seen()))
		require.Equal(t, dumb(filled.Context), dumb(filled.Seen()))
	})
}

func TestNewKeepsNothingOfTheContextItIsGiven(t *testing.T) {
	seen := NewDotSet(dotA(1), dotB(1))
	object := New(dotA(2), "milk", seen)
	ruin(&seen)
	require.Equal(t, NewDotSet(dotA(1), dotB(1)), object.Context)
	require.Equal(t, NewDotSet(dotA(1), dotA(2), dotB(1)), object.Seen())
}

func TestRemovedVersionsLetGoOfTheirValues(t *testing.T) {
	key := Siblings[[]byte]{Versions: []Version[[]byte]{{dotA(1), make([]byte, 9)}, {dotB(1), make([]byte, 9)}}}
	key.Drop(NewDotSet(dotA(1)))
	require.Equal(t, Version[[]byte]{}, key.Versions[:2][1], "a large value must not live on behind the slice's end")
}

func TestFillJoinAndCloneShareNoMemory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyDelta(t, "a"), anyDelta(t, "b")
		clock := anySet(t, "clock")
		wantA, wantB, wantClock := a.Clone(), b.Clone(), clock.Clone()
		both := JoinDeltas(a, b)
		seen := a.Seen()
		dots := a.Siblings.Dots()
		ruin(&seen)
		ruin(&dots)
		ruin(&both.Dots)
		for _, s := range []Siblings[string]{both.Siblings, a.Clone(), a.Fill(clock), Join(a.Siblings, b.Siblings)} {
			require.NoError(t, s.Check())
			ruin(&s.Context)
			clear(s.Versions)
		}
		require.Equal(t, wantA, a.Siblings)
		require.Equal(t, wantB, b.Siblings)
		require.Equal(t, wantClock, clock)
	})
}
