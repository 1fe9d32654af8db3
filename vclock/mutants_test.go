package vclock

import "testing"

// flat is s as a plain vector has it: everything up to the maximum.
func flat(s DotSet) DotSet {
	var vector DotSet
	for a, span := range s.Spans() {
		vector.AddSpan(a, Span{1, span.Hi})
	}
	return vector
}

func stripBy(reduce func(clock DotSet) DotSet) func(*Siblings[eventID], DotSet) {
	return func(key *Siblings[eventID], clock DotSet) { key.Context = key.Context.Minus(reduce(clock)) }
}

// mutants are the natural readings of the papers that lose data, each with the
// one thing it gets wrong.
func mutants() []rules {
	byMaximum := sound()
	byMaximum.name = "strips by the maximum of the clock"
	byMaximum.strip = stripBy(flat)
	byMaximum.merge = func(key *Siblings[eventID], clock *DotSet, d Delta[eventID]) {
		key.Merge(clock, d)
		byMaximum.strip(key, *clock)
	}

	byClock := sound()
	byClock.name = "strips by the whole clock, exceptions too"
	byClock.strip = stripBy(DotSet.Clone)
	byClock.merge = func(key *Siblings[eventID], clock *DotSet, d Delta[eventID]) {
		key.Merge(clock, d)
		byClock.strip(key, *clock)
	}

	intoClock := sound()
	intoClock.name = "puts the context into the clock"
	intoClock.merge = func(key *Siblings[eventID], clock *DotSet, d Delta[eventID]) {
		key.Merge(clock, d)
		clock.Union(d.Context)
	}

	vectors := sound()
	vectors.name = "keeps contexts as vectors of maxima (C1)"
	vectors.merge = func(key *Siblings[eventID], clock *DotSet, d Delta[eventID]) {
		vector := d.Context.Clone()
		vector.Union(d.Dots)
		key.Merge(clock, Delta[eventID]{Siblings[eventID]{d.Versions, flat(vector)}, d.Dots})
	}

	neverStrips := sound()
	neverStrips.name = "never strips"
	neverStrips.strip = func(*Siblings[eventID], DotSet) {}
	neverStrips.merge = func(key *Siblings[eventID], clock *DotSet, d Delta[eventID]) {
		var base DotSet // a clock without bases leaves every context whole
		for dot := range clock.Dots() {
			base.Add(dot)
		}
		key.mergeVersions(base, d)
		key.Context.Union(d.Context)
		clock.Union(d.Dots)
	}

	stripped := sound()
	stripped.name = "sends objects without the base of the clock (C6)"
	stripped.fill = func(key Siblings[eventID], _ DotSet) Siblings[eventID] { return key.Fill(DotSet{}) }

	withoutLive := sound()
	withoutLive.name = "gives readers a context without the live dots"
	withoutLive.seen = func(read Siblings[eventID]) DotSet { return read.Context.Minus(read.Dots()) }

	guestFills := sound()
	guestFills.name = "lets a guest fill with its own counter (C2)"
	guestFills.guestFills = func(counter uint64) DotSet {
		var base DotSet
		if counter > 0 {
			base.AddSpan(actorNumber(guest), Span{1, counter})
		}
		return base
	}

	guestRange := sound()
	guestRange.name = "lets a guest send a range of its dots"
	guestRange.guestDots = func(d Dot) DotSet {
		var dots DotSet
		dots.AddSpan(d.Actor, Span{1, d.Counter})
		return dots
	}
	return []rules{byMaximum, byClock, intoClock, vectors, neverStrips, stripped, withoutLive, guestFills, guestRange}
}

// The suite is worth what it catches: each mutant must fall, and soon. The
// rarest of them falls in about one of thirty schedules.
func TestMutantsAreCaughtByTheTwin(t *testing.T) {
	const schedules = 2000
	first := firstSeed(t)
	for _, mutant := range mutants() {
		t.Run(mutant.name, func(t *testing.T) {
			for i := range uint64(schedules) {
				if err := schedule(mutant, first+i); err != nil {
					t.Logf("caught in schedule %d: %v", i+1, err)
					return
				}
			}
			t.Errorf("%d schedules did not notice a package that %s", schedules, mutant.name)
		})
	}
}
