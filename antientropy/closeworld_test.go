package antientropy

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// This file is a partition of one key in which an incarnation is dead: some homes,
// perhaps a guest with a hint, and every message that was ever sent. The machines
// are the real ones, the objects those of package vclock; only their owner is
// played here.

var (
	dead = vclock.Actor{Disk: 9, Nonce: 9}
	kept = vclock.Actor{Disk: 8, Nonce: 8} // an actor that everybody has heard out
)

// rules are what a broken implementation does otherwise.
type rules struct {
	homesOnly, volatilePromise, early, once, refuseAll, noClose, noTouch, reportAnew bool
}

// world is one state of everything.
type world struct {
	rules   rules
	members []member
	// letters are all messages that were ever sent. They may arrive any number of
	// times, in any order, or never.
	letters []closeLetter
	// attempts, crashes and wipes are how many have happened.
	attempts, crashes, wipes int
	// wiped forgives what was held at one member only.
	wiped bool
}

type member struct {
	name string
	home bool
	// layout is the version that it works by; a joiner has none at first.
	layout   uint64
	clock    vclock.DotSet
	object   vclock.Siblings[string]
	promises *Promises
	// hint is what a guest owes, and to whom still.
	hint  vclock.Delta[string]
	owed  []string
	touch uint64
	// attempt is that of a proposer; it dies with its process.
	attempt    *Close
	process    uint64
	seq, round uint64
}

type closeLetter struct {
	to, from string
	ask      *wire.CloseAsk
	reply    *wire.CloseReply
	tell     *wire.CloseTell
	delta    *vclock.Delta[string]
	rounds   wire.Rounds
	paid     bool
	// key is equal for equal letters.
	key string
}

func (l closeLetter) words() string {
	s := l.from + ">" + l.to
	switch {
	case l.ask != nil:
		return fmt.Sprintf("%s ask %v %v %v", s, l.ask.Op, l.ask.Layout, l.ask.Round)
	case l.reply != nil:
		return fmt.Sprintf("%s reply %v %q %v", s, l.reply.Op, l.reply.Refused, l.reply.Reports)
	case l.tell != nil:
		return fmt.Sprintf("%s tell %v", s, l.tell.Records)
	case l.paid:
		return s + " paid"
	}
	return fmt.Sprintf("%s delta %v %v %v %v", s, l.delta.Siblings, l.delta.Dots, l.rounds, l.paid)
}

func (w *world) clone() *world {
	next := *w
	next.members, next.letters = slices.Clone(w.members), slices.Clone(w.letters)
	for i := range next.members {
		m := &next.members[i]
		m.clock, m.object, m.promises = m.clock.Clone(), m.object.Clone(), m.promises.Clone()
		m.owed = slices.Clone(m.owed)
		if m.attempt != nil {
			c := *m.attempt
			c.answers = map[string][]wire.CloseReport{}
			for k, v := range m.attempt.answers {
				c.answers[k] = v
			}
			m.attempt = &c
		}
	}
	return &next
}

// hash is equal for worlds with an equal future.
func (w *world) hash() [sha256.Size]byte {
	var b strings.Builder
	for i := range w.members {
		m := &w.members[i]
		fmt.Fprintf(&b, "%s %d %v %v %v %v %v %d %d %d|", m.name, m.layout, m.clock, m.object, m.promises.records, m.hint, m.owed, m.touch, m.process, m.round)
		if c := m.attempt; c != nil {
			fmt.Fprintf(&b, "%v %v %v %v %v;", c.actors, c.round, c.layout, c.over, c.seq)
			for _, n := range c.members {
				if r, ok := c.answers[n]; ok {
					fmt.Fprintf(&b, "%s %v,", n, r)
				}
			}
		}
	}
	for _, l := range w.letters {
		b.WriteString(l.key)
	}
	fmt.Fprintf(&b, "%d %d %d", w.attempts, w.crashes, w.wipes)
	return sha256.Sum256([]byte(b.String()))
}

func (w *world) at(name string) *member {
	for i := range w.members {
		if w.members[i].name == name {
			return &w.members[i]
		}
	}
	return nil
}

func (w *world) post(l closeLetter) {
	l.key = l.words()
	at, found := slices.BinarySearchFunc(w.letters, l.key, func(l closeLetter, key string) int { return strings.Compare(l.key, key) })
	if !found {
		w.letters = slices.Insert(w.letters, at, l)
	}
}

// names are the members of the layout that m works by.
func (w *world) names(version uint64) (names []string) {
	for _, m := range w.members {
		joined := uint64(1)
		if strings.HasPrefix(m.name, "j") {
			joined = 2
		}
		if joined <= version && (m.home || !w.rules.homesOnly) {
			names = append(names, m.name)
		}
	}
	return names
}

// held are the dots of the dead actor that a member really has.
func (m *member) held() vclock.DotSet {
	held := only(m.clock, dead).Minus(m.promises.Of(dead).Void)
	held.Union(only(m.hint.Dots, dead))
	return held
}

func (m *member) rounds() wire.Rounds {
	var all vclock.DotSet
	all.Close(dead)
	return m.promises.Rounds(all)
}

// join is R3 with R14. It reports whether the delta may be acknowledged.
func (w *world) join(m *member, d vclock.Delta[string], rounds wire.Rounds) bool {
	unknown := d.Dots.Minus(m.clock)
	if w.rules.refuseAll {
		rounds = nil
	}
	if m.promises.Refuse(unknown, rounds) != nil {
		return false
	}
	m.object.Merge(&m.clock, d)
	return true
}

// whole is the filled object of a home with more dots.
func (m *member) whole(dots ...vclock.Dot) vclock.Delta[string] {
	d := vclock.Delta[string]{Siblings: m.object.Fill(m.clock)}
	d.Dots = d.Siblings.Dots()
	for _, dot := range dots {
		d.Dots.Add(dot)
	}
	return d
}

// learn takes in an outcome, touches what had leaked, and strips.
func (w *world) learn(m *member, c wire.CloseRecord) {
	fresh, changed := m.promises.Learn(c)
	if !changed || !m.home {
		return
	}
	leaked := !m.object.Context.Intersect(m.promises.Of(dead).Void).IsEmpty()
	m.clock.Union(fresh)
	m.object.Drop(fresh)
	if leaked && !w.rules.noTouch {
		m.touch++
		d := vclock.Dot{Actor: vclock.Actor{Disk: 1, Nonce: uint64(m.name[1])}, Counter: m.touch}
		m.clock.Add(d)
		delta := m.whole(d)
		for _, other := range w.members {
			if other.home && other.name != m.name {
				w.post(closeLetter{to: other.name, from: m.name, delta: &delta, rounds: m.rounds()})
			}
		}
	}
	m.object.Strip(m.clock)
}

func (w *world) answer(m *member, ask *wire.CloseAsk) *wire.CloseReply {
	reply := &wire.CloseReply{Op: ask.Op}
	if m.layout != ask.Layout.Counter {
		reply.Refused = "another layout"
		return reply
	}
	for _, a := range ask.Actors {
		report, _ := m.promises.Report(a, ask.Round, a != dead, m.held())
		reply.Reports = append(reply.Reports, report)
		for i := range m.promises.records {
			if w.rules.reportAnew {
				m.promises.records[i].Reported = vclock.DotSet{}
			}
		}
	}
	return reply
}

func (w *world) propose(m *member) {
	w.attempts++
	m.seq++
	m.attempt = NewClose(m.process, m.seq, ring.Version{Counter: m.layout}, w.names(m.layout), []vclock.Actor{dead})
	w.ask(m)
}

func (w *world) ask(m *member) {
	ask := m.attempt.Ask(wire.Head{})
	for _, to := range m.attempt.Waiting() {
		if to != m.name {
			w.post(closeLetter{to: to, from: m.name, ask: ask})
		}
	}
	w.heard(m, m.name, w.answer(m, ask))
}

func (w *world) heard(m *member, from string, reply *wire.CloseReply) {
	if m.attempt == nil {
		return
	}
	complete := m.attempt.Add(from, reply)
	if w.rules.early && m.attempt.Promising() && len(m.attempt.answers) > 0 && !m.attempt.over {
		for _, name := range m.attempt.Waiting() {
			m.attempt.answers[name] = []wire.CloseReport{{Actor: dead, Promised: m.attempt.round}}
		}
		complete = true
	}
	switch {
	case m.attempt.Over():
		m.attempt = nil
	case complete && m.attempt.Promising():
		records := m.attempt.Records()
		m.attempt = nil
		w.spread(m, records)
	case complete:
		for _, v := range m.attempt.Verdicts() {
			if !v.Closed.IsZero() {
				w.spread(m, []wire.CloseRecord{v.Record()})
			}
		}
		if round := m.attempt.Promise(m.round, func(v Verdict) bool { return !w.rules.once || v.Closed.IsZero() }); round.IsZero() {
			m.attempt = nil
		} else {
			m.round = round.Number
			w.ask(m)
		}
	}
}

func (w *world) spread(m *member, records []wire.CloseRecord) {
	if len(records) == 0 {
		return
	}
	for _, c := range records {
		w.learn(m, c)
	}
	for _, other := range w.members {
		if other.name != m.name {
			w.post(closeLetter{to: other.name, from: m.name, tell: &wire.CloseTell{Records: records}})
		}
	}
}

func (w *world) deliver(l closeLetter) {
	m := w.at(l.to)
	switch {
	case l.ask != nil:
		w.post(closeLetter{to: l.from, from: l.to, reply: w.answer(m, l.ask)})
	case l.reply != nil:
		w.heard(m, l.from, l.reply)
	case l.tell != nil:
		for _, c := range l.tell.Records {
			w.learn(m, c)
		}
	case l.paid:
		m.pay(l.from)
	default:
		if w.join(m, *l.delta, l.rounds) && !w.at(l.from).home {
			w.post(closeLetter{to: l.from, from: l.to, paid: true})
		}
	}
}

// pay notes that a home has the hint, durably.
func (m *member) pay(home string) {
	m.owed = slices.DeleteFunc(m.owed, func(o string) bool { return o == home })
	if len(m.owed) == 0 {
		m.hint = vclock.Delta[string]{}
	}
}

func (w *world) sendHint(m *member, to string) {
	delta := m.hint
	w.post(closeLetter{to: to, from: m.name, delta: &delta, rounds: m.rounds()})
}

// crash ends a process. What it had told anybody is durable.
func (w *world) crash(m *member) {
	w.crashes++
	m.process += 100
	m.attempt = nil
	if w.rules.volatilePromise {
		for i := range m.promises.records {
			if r := &m.promises.records[i]; r.Closed.IsZero() {
				r.Promised = wire.Round{}
			}
		}
	}
}

// wipe loses a home's disk; it is rebuilt from another one at once.
func (w *world) wipe(m, from *member) {
	w.wipes++
	w.wiped = true
	m.process += 100
	m.attempt, m.promises = nil, from.promises.Clone()
	m.clock, m.object = from.clock.Clone(), from.object.Clone()
}
