package antientropy

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

var closeStates = flag.Int("close-states", 1_000, "how many states of each scenario of closing are visited; 0 is all of them, which takes many minutes")

// closeSearch visits every state that a scenario can reach, once.
type closeSearch struct {
	bounds  closeBounds
	limit   int
	visited map[[sha256.Size]byte]bool
	moves   int
	path    []string
}

type closeBounds struct{ attempts, crashes, wipes int }

type move struct {
	what string
	do   func(w *world)
}

func (s *closeSearch) visit(w *world) error {
	state := w.hash()
	if s.visited[state] || s.limit > 0 && len(s.visited) >= s.limit {
		return nil
	}
	s.visited[state] = true
	if err := w.judge(); err != nil {
		return err
	}
	for _, m := range s.next(w) {
		s.moves++
		after := w.clone()
		m.do(after)
		if err := s.visit(after); err != nil {
			s.path = append(s.path, m.what)
			return err
		}
	}
	return nil
}

// next lists all that can happen.
func (s *closeSearch) next(w *world) (moves []move) {
	for i := range w.members {
		m := &w.members[i]
		name := m.name
		if m.home && m.attempt == nil && w.attempts < s.bounds.attempts && m.layout > 0 && !w.rules.noClose {
			moves = append(moves, move{name + " proposes", func(w *world) { w.propose(w.at(name)) }})
		}
		if w.crashes < s.bounds.crashes && (m.attempt != nil || len(m.promises.records) > 0) {
			moves = append(moves, move{name + " crashes", func(w *world) { w.crash(w.at(name)) }})
		}
		if m.home && w.wipes < s.bounds.wipes && name == "h0" {
			moves = append(moves, move{name + " is wiped and rebuilt", func(w *world) { w.wipe(w.at(name), w.at("h1")) }})
		}
		if m.layout == 1 && w.at("j0") != nil {
			moves = append(moves, move{name + " learns the next layout", func(w *world) { w.at(name).layout = 2 }})
		}
		for _, to := range m.owed {
			moves = append(moves, move{name + " sends its hint to " + to, func(w *world) { w.sendHint(w.at(name), to) }})
		}
		if m.layout == 2 && !m.home && len(m.owed) > 0 && w.at("j0") != nil { // a slot is the joiner's by now
			moves = append(moves, move{name + " sends its hint to j0", func(w *world) { w.sendHint(w.at(name), "j0") }})
		}
	}
	for _, l := range w.letters {
		moves = append(moves, move{"arrives " + l.key, func(w *world) { w.deliver(l) }})
	}
	return moves
}

// judge demands what has to hold in every state.
func (w *world) judge() error {
	var held, void vclock.DotSet
	for i := range w.members {
		m := &w.members[i]
		held.Union(m.held())
		void.Union(m.promises.Of(dead).Void)
		if err := m.object.Check(); err != nil {
			return err
		}
	}
	if lost := held.Intersect(void); !lost.IsEmpty() {
		return fmt.Errorf("R15: %v is void and held", lost)
	}
	if err := w.judgeKept(held); err != nil {
		return err
	}
	if err := w.clone().judgeCalm(); err != nil {
		return err
	}
	return w.clone().judgeAway()
}

// judgeKept demands that what a guest held in the beginning is somewhere (I1).
func (w *world) judgeKept(held vclock.DotSet) error {
	hinted := slices.ContainsFunc(w.members, func(m member) bool { return !m.home && m.name[0] == 'g' })
	if hinted && !held.Contains(vclock.Dot{Actor: dead, Counter: 1}) {
		return fmt.Errorf("I1: an acknowledged write is held by nobody")
	}
	return nil
}

// judgeCalm demands that everything ends well once nothing goes wrong any more:
// the homes are equal, no gap and no context is left.
func (w *world) judgeCalm() error {
	for i := range w.members {
		if m := &w.members[i]; m.layout > 0 || m.name[0] == 'j' {
			m.layout = 1
			if w.at("j0") != nil {
				m.layout = 2
			}
		}
	}
	for range 6 {
		w.calmRound(func(*member) bool { return true })
	}
	var first *member
	for i := range w.members {
		m := &w.members[i]
		switch {
		case !m.home:
			continue
		case m.clock.Exceptions() > 0 || !m.object.Context.IsEmpty():
			return fmt.Errorf("R15: in the end %s has a gap or a context: %v, %v", m.name, m.clock, m.object)
		case first == nil:
			first = m
		case m.clock.Compare(first.clock) != vclock.Equal || m.object.Dots().Compare(first.object.Dots()) != vclock.Equal:
			return fmt.Errorf("I9: in the end %s has %v %v, %s has %v %v", first.name, first.clock, first.object, m.name, m.clock, m.object)
		}
	}
	return nil
}

// judgeAway demands that homes exchange all that they hold of the actor while the
// guest is away (C11).
func (w *world) judgeAway() error {
	if w.at("g0") == nil || w.at("j0") != nil {
		return nil
	}
	here := func(m *member) bool { return m.home }
	for range 6 {
		w.calmRound(here)
	}
	if a, b := w.at("h0").held(), w.at("h1").held(); a.Compare(b) != vclock.Equal {
		return fmt.Errorf("C11: while a member is away h0 holds %v, h1 holds %v", a, b)
	}
	return nil
}

// calmRound lets everything that is owed between those who are here arrive, and
// then closes.
func (w *world) calmRound(here func(m *member) bool) {
	all := true
	for i := range w.members {
		g := &w.members[i]
		if all = all && here(g); !here(g) {
			continue
		}
		for _, to := range slices.Clone(g.owed) {
			if w.join(w.at(to), g.hint, g.rounds()) {
				g.pay(to)
			}
		}
	}
	w.exchange(here)
	for _, l := range slices.Clone(w.letters) {
		if m := w.at(l.to); l.delta != nil && here(m) && w.at(l.from).home {
			w.join(m, *l.delta, l.rounds)
		}
	}
	for i := range w.members {
		if m := &w.members[i]; m.home {
			w.closeNow(m, here, all)
			m.object.Strip(m.clock)
		}
	}
}

// exchange gives every home the dots that another one holds (R9).
func (w *world) exchange(here func(m *member) bool) {
	for i := range w.members {
		for j := range w.members {
			from, to := &w.members[i], &w.members[j]
			if i == j || !from.home || !to.home || !here(from) || !here(to) {
				continue
			}
			for d := range from.clock.Minus(from.promises.Of(dead).Void).Minus(to.clock).Dots() {
				w.join(to, from.whole(d), from.rounds())
			}
		}
	}
}

// closeNow is a home that sees a reason to propose, as package core does it.
func (w *world) closeNow(m *member, here func(m *member) bool, all bool) {
	lacking := m.object.Context.Minus(m.clock)
	for a, span := range m.clock.Spans() {
		if span.Lo > 1 {
			lacking.AddSpan(a, vclock.Span{Lo: 1, Hi: span.Lo - 1})
		}
	}
	lacking = lacking.Minus(m.clock)
	record := m.promises.Of(dead)
	left := record.Promised.Compare(record.Closed) > 0
	if w.rules.noClose || lacking.IsEmpty() && !left || !all && !left {
		return
	}
	m.seq++
	c := NewClose(m.process+50, m.seq, ring.Version{Counter: m.layout}, w.names(m.layout), []vclock.Actor{dead})
	if !all {
		m.round = c.Again(max(m.round, record.Promised.Number), true).Number
	}
	for !c.Over() {
		complete := false
		ask := c.Ask(wire.Head{})
		for _, name := range c.Waiting() {
			if other := w.at(name); here(other) {
				complete = c.Add(name, w.answer(other, ask))
			}
		}
		switch {
		case !complete:
			return
		case c.Promising():
			w.tell(c.Records(), here)
			return
		}
		for _, v := range c.Verdicts() {
			w.tell([]wire.CloseRecord{v.Record()}, here)
		}
		m.round = c.Promise(m.round, func(v Verdict) bool {
			return (!w.rules.once || v.Closed.IsZero()) && (v.Unfinished() || !lacking.Minus(v.Held).Minus(v.Void).IsEmpty())
		}).Number
	}
}

func (w *world) tell(records []wire.CloseRecord, here func(m *member) bool) {
	for _, c := range records {
		for i := range w.members {
			if here(&w.members[i]) {
				w.learn(&w.members[i], c)
			}
		}
	}
}

func homeMember(name string, process uint64) member {
	m := member{name: name, home: true, layout: 1, promises: &Promises{}, process: process}
	m.object = vclock.New(vclock.Dot{Actor: kept, Counter: 1}, "v", vclock.DotSet{})
	m.clock.Add(vclock.Dot{Actor: kept, Counter: 1})
	return m
}

// guest holds the only copy of the dead actor's first dot, for some homes.
func guestMember(homes ...string) member {
	d := vclock.Dot{Actor: dead, Counter: 1}
	return member{
		name: "g0", layout: 1, promises: &Promises{}, process: 7, owed: homes,
		hint: vclock.Delta[string]{Siblings: vclock.New(d, "hinted", vclock.DotSet{}), Dots: vclock.NewDotSet(d)},
	}
}

// scenarios are small worlds, and how much may happen in them.
func scenarios(r rules) map[string]struct {
	w *world
	b closeBounds
} {
	second := vclock.Delta[string]{Dots: vclock.NewDotSet(vclock.Dot{Actor: dead, Counter: 2})}
	gap := func(ms ...member) *world {
		w := &world{rules: r, members: ms}
		w.join(&w.members[0], second, nil)
		return w
	}
	// h0 shows the effect of the lost delete dead:1, and nobody else does (C8).
	leak := &world{rules: r, members: []member{homeMember("h0", 1), homeMember("h1", 2), homeMember("h2", 3)}}
	leak.members[0].object.Discard(vclock.NewDotSet(vclock.Dot{Actor: kept, Counter: 1}, vclock.Dot{Actor: dead, Counter: 1}))
	leak.members[0].object.Strip(leak.members[0].clock)

	lone := &world{rules: r, members: []member{homeMember("h0", 1), homeMember("h1", 2), homeMember("h2", 3)}}
	first := vclock.Delta[string]{Dots: vclock.NewDotSet(vclock.Dot{Actor: dead, Counter: 1})}
	lone.join(&lone.members[0], first, nil)
	lone.join(&lone.members[1], second, nil)

	joiner := homeMember("j0", 4)
	joiner.layout = 2
	return map[string]struct {
		w *world
		b closeBounds
	}{
		"a hint, two proposers, a crash":    {gap(homeMember("h0", 1), homeMember("h1", 2), guestMember("h0", "h1")), closeBounds{attempts: 2, crashes: 1}},
		"a hint, one proposer, a crash":     {gap(homeMember("h0", 1), homeMember("h1", 2), guestMember("h1")), closeBounds{attempts: 1, crashes: 1}},
		"a leak, two proposers":             {leak, closeBounds{attempts: 2}},
		"a holder wiped after a close":      {lone, closeBounds{attempts: 1, wipes: 1}},
		"a member joins while closing goes": {gap(homeMember("h0", 1), homeMember("h1", 2), guestMember("h1"), joiner), closeBounds{attempts: 1}},
	}
}

func exploreCloses(r rules, limit int) (states, moves int, err error) {
	all := scenarios(r)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s := &closeSearch{bounds: all[name].b, limit: limit, visited: map[[sha256.Size]byte]bool{}}
		err = s.visit(all[name].w)
		states, moves = states+len(s.visited), moves+s.moves
		if err != nil {
			slices.Reverse(s.path)
			return states, moves, fmt.Errorf("%s: %w\nafter %q", name, err, s.path)
		}
	}
	return states, moves, nil
}

// otherwise runs a test without the race detector, which makes these searches ten
// times slower and has nothing to find in one goroutine.
func otherwise(t *testing.T) (done bool) {
	if raced {
		out, err := exec.Command("go", "test", "-count=1", "-vet=off", "-v", "-run", "^"+t.Name()+"$", ".").CombinedOutput()
		require.NoError(t, err, "%s", out)
		t.Logf("%s", out)
	}
	return raced
}

// R14, R15: two proposers, three or four members, messages lost, doubled and out of
// order, a crash, a wiped disk, a member that joins: nothing held is ever void,
// nothing acknowledged is lost, and everything ends closed and equal.
func TestEveryOrderOfClosingIsSafe(t *testing.T) {
	if otherwise(t) {
		return
	}
	states, moves, err := exploreCloses(rules{}, *closeStates)
	t.Logf("%d states, %d moves", states, moves)
	require.NoError(t, err)
}

// Each rule of closing is needed: without it some order of events goes wrong.
func TestClosingOtherwiseGoesWrong(t *testing.T) {
	if otherwise(t) {
		return
	}
	for name, r := range map[string]rules{
		"ask homes only":                        {homesOnly: true},
		"promise not durable":                   {volatilePromise: true},
		"void computed before all answered":     {early: true},
		"close once and for all":                {once: true},
		"refuse every unknown dot during close": {refuseAll: true},
		"no close":                              {noClose: true},
		"no touch":                              {noTouch: true},
		// The first design did this; the search found it after some 27,000 states: a
		// guest answers twice, and hands on its hint in between.
		"answer anew when asked again": {reportAnew: true},
	} {
		limit := 3_000
		if r.reportAnew {
			if *closeStates != 0 {
				continue // it takes half a minute; TestR15_PromisesOnlyRise is the short form
			}
			limit = 30_000
		}
		states, _, err := exploreCloses(r, limit)
		require.Error(t, err, name)
		t.Logf("%s: after %d states: %.400s", name, states, err.Error())
	}
}
