package vclock

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// The world is one partition with three home replicas, a guest at a fallback,
// clients, and a network that forgets nothing: every message ever sent can be
// delivered to anyone, at any time, any number of times, or never.
//
// Beside what this package keeps, every replica has a twin: the plain set of
// the events whose effect it has applied. Each event knows all events it saw,
// so the twin needs no clock, no context and no stripping to say what is live.
const (
	homes  = 3
	guest  = homes // the guest's number among the actors
	minted = homes + 1
	keys   = 2
	// countersMax keeps all events of a world within the bits of a history.
	countersMax = 16
)

// history is a set of events: bit actor*countersMax + counter-1. The slow and
// obviously right thing that dot sets are measured against.
type history uint64

type eventID int

func (h history) has(e eventID) bool     { return h&(1<<e) != 0 }
func (h history) plus(e eventID) history { return h | 1<<e }

func (h history) each(visit func(e eventID)) {
	for ; h != 0; h &= h - 1 {
		visit(eventID(bits.TrailingZeros64(uint64(h))))
	}
}

// event is one put or delete. saw is its whole causal past, not only what the
// writer last read.
type event struct {
	id  eventID
	dot Dot
	key int
	put bool
	saw history
}

// home is a home replica: the real thing, and its twin.
type home struct {
	clock   DotSet
	store   [keys]Siblings[eventID]
	applied [keys]history
}

// message is a delta on its way, and what it means to the twin.
type message struct {
	key   int
	delta Delta[eventID]
	past  history
}

// reading is what a client remembers of a read.
type reading struct {
	context DotSet
	past    history
}

// world is the whole of it. Messages and events, once made, never change, so a
// clone shares them.
type world struct {
	rules    rules
	events   [minted * countersMax]event
	counters [minted]uint64
	homes    [homes]home
	hints    [keys]message // what the guest owes, joined per key
	messages []message
	readings [keys][]reading
	clocks   []DotSet // clocks that were sent to start an exchange
	badRead  error    // the first read that did not show what it should
}

// rules are the points at which a mutant can go wrong. sound has none.
type rules struct {
	name  string
	merge func(key *Siblings[eventID], clock *DotSet, d Delta[eventID])
	strip func(key *Siblings[eventID], clock DotSet)
	fill  func(key Siblings[eventID], clock DotSet) Siblings[eventID]
	seen  func(read Siblings[eventID]) DotSet
	// guestFills adds to the context of what the guest shows to readers.
	guestFills func(counter uint64) DotSet
	// guestDots gives the dots that the guest sends with its write d.
	guestDots func(d Dot) DotSet
}

func sound() rules {
	return rules{
		name:       "sound",
		merge:      (*Siblings[eventID]).Merge,
		strip:      (*Siblings[eventID]).Strip,
		fill:       Siblings[eventID].Fill,
		seen:       Siblings[eventID].Seen,
		guestFills: func(uint64) DotSet { return DotSet{} },
		guestDots:  func(d Dot) DotSet { return NewDotSet(d) },
	}
}

func newWorld(r rules) *world { return &world{rules: r} }

func actorNumber(n int) Actor { return Actor{Disk: uint64(n + 1), Nonce: 7} }

// mint makes the next event of an actor.
func (w *world) mint(actor, key int, put bool, saw history) event {
	w.counters[actor]++
	id := eventID(actor*countersMax + int(w.counters[actor]) - 1)
	e := event{id: id, dot: Dot{actorNumber(actor), w.counters[actor]}, key: key, put: put, saw: saw}
	w.events[id] = e
	return e
}

// eventOf gives the event behind a dot.
func (w *world) eventOf(d Dot) event {
	return w.events[int(d.Actor.Disk-1)*countersMax+int(d.Counter-1)]
}

// A move is one step of a schedule. It says what happens, where, to which key,
// and with which of the things lying around: a reading, a message, a clock.
type move struct {
	do        action
	home, key int
	item      int
}

type action int

const (
	readOne action = iota
	readTwo        // from item and home, with read repair
	readGuest
	putBlind
	putSeen
	deleteSeen
	guestPut // item -1: blind
	guestDelete
	guestSends
	guestForgets // every home has the hint
	deliver
	sendWhole
	openExchange // home's clock is sent
	sendPieces   // home answers the clock that is item
	strip
)

func (w *world) apply(m move) {
	switch m.do {
	case readOne:
		w.remember(m.key, w.filled(m.home, m.key), w.homes[m.home].applied[m.key])
	case readTwo:
		w.readWithRepair(m.home, m.item, m.key)
	case readGuest:
		w.readHomeAndGuest(m.home, m.key)
	case putBlind:
		w.write(m.home, m.key, true, reading{})
	case putSeen:
		w.write(m.home, m.key, true, w.readings[m.key][m.item])
	case deleteSeen:
		w.write(m.home, m.key, false, w.readings[m.key][m.item])
	case guestPut, guestDelete:
		seen := reading{}
		if m.item >= 0 {
			seen = w.readings[m.key][m.item]
		}
		w.guestWrite(m.key, m.do == guestPut, seen)
	case guestSends:
		w.send(w.hints[m.key])
	case guestForgets:
		for at := range w.homes {
			w.receive(at, w.hints[m.key])
		}
		w.hints[m.key] = message{key: m.key}
	case deliver:
		w.receive(m.home, w.messages[m.item])
	case sendWhole:
		filled := w.filled(m.home, m.key)
		w.send(message{m.key, Delta[eventID]{filled, filled.Dots()}, w.homes[m.home].applied[m.key]})
	case openExchange:
		w.clocks = append(w.clocks, w.homes[m.home].clock.Clone())
	case sendPieces:
		w.answer(m.home, w.clocks[m.item])
	case strip:
		h := &w.homes[m.home]
		w.rules.strip(&h.store[m.key], h.clock)
	}
}

func (w *world) filled(home, key int) Siblings[eventID] {
	h := &w.homes[home]
	return w.rules.fill(h.store[key], h.clock)
}

// send puts m on the network, which needs no second copy to deliver it twice.
func (w *world) send(m message) {
	if !slices.ContainsFunc(w.messages, m.equal) {
		w.messages = append(slices.Clip(w.messages), m)
	}
}

func (m message) equal(o message) bool {
	return m.key == o.key && m.past == o.past && slices.Equal(m.delta.Versions, o.delta.Versions) &&
		m.delta.Context.Compare(o.delta.Context) == Equal && m.delta.Dots.Compare(o.delta.Dots) == Equal
}

// remember ends a read: the client was shown object, and it should be what the
// events in past leave alive.
func (w *world) remember(key int, object Siblings[eventID], past history) {
	if shown, want := historyOf(object), w.live(past); shown != want && w.badRead == nil {
		w.badRead = fmt.Errorf("a read of key %d shows events %b, the twin says %b", key, shown, want)
	}
	w.readings[key] = append(slices.Clip(w.readings[key]), reading{w.rules.seen(object), past})
}

// readWithRepair is R8: the client gets the join, the replicas get the repair.
func (w *world) readWithRepair(a, b, key int) {
	object := Join(w.filled(a, key), w.filled(b, key))
	past := w.homes[a].applied[key] | w.homes[b].applied[key]
	w.remember(key, object, past)
	w.send(message{key, Delta[eventID]{object, object.Dots()}, past})
}

// readHomeAndGuest joins a home's reply with the guest's, which is no more than
// the join of its hints (R7).
func (w *world) readHomeAndGuest(home, key int) {
	hint := w.hints[key]
	object := hint.delta.Clone()
	object.Context.Union(hint.delta.Dots)
	object.Context.Union(w.rules.guestFills(w.counters[guest]))
	w.remember(key, Join(w.filled(home, key), object), w.homes[home].applied[key]|hint.past)
}

// write is R6 at a home replica. The small delta goes out; sendWhole is the
// other way to send it.
func (w *world) write(at, key int, put bool, seen reading) {
	h := &w.homes[at]
	e := w.mint(at, key, put, seen.past)
	object := &h.store[key]
	object.Discard(seen.context)
	if put {
		object.Add(e.dot, e.id)
	}
	h.clock.Add(e.dot)
	w.rules.strip(object, h.clock)
	h.applied[key] |= e.saw.plus(e.id)
	w.send(message{key, deltaOf(e, seen.context, NewDotSet(e.dot)), e.saw.plus(e.id)})
}

// guestWrite is R7: the guest keeps what it wrote as a hint and fills nothing.
func (w *world) guestWrite(key int, put bool, seen reading) {
	e := w.mint(guest, key, put, seen.past)
	delta := deltaOf(e, seen.context, w.rules.guestDots(e.dot))
	past := e.saw.plus(e.id)
	w.hints[key] = message{key, JoinDeltas(w.hints[key].delta, delta), w.hints[key].past | past}
	w.send(message{key, delta, past})
}

func deltaOf(e event, seen, dots DotSet) Delta[eventID] {
	delta := Delta[eventID]{Siblings: Siblings[eventID]{Context: seen.Clone()}, Dots: dots}
	if e.put {
		delta.Add(e.dot, e.id)
	}
	return delta
}

func (w *world) receive(at int, m message) {
	h := &w.homes[at]
	w.rules.merge(&h.store[m.key], &h.clock, m.delta)
	h.applied[m.key] |= m.past
}

// answer is R9: one piece for each key that has a dot the asker lacks. The log
// is asked of the events themselves.
func (w *world) answer(from int, asker DotSet) {
	h := &w.homes[from]
	var missing [keys]DotSet
	for d := range h.clock.Minus(asker).Dots() {
		missing[w.eventOf(d).key].Add(d)
	}
	for key, dots := range missing {
		if dots.IsEmpty() {
			continue
		}
		filled := w.filled(from, key)
		dots.Union(filled.Dots())
		w.send(message{key, Delta[eventID]{filled, dots}, h.applied[key]})
	}
}

// verify compares every replica, and every read so far, with its twin.
func (w *world) verify() error {
	if w.badRead != nil {
		return w.badRead
	}
	for at := range w.homes {
		for key := range keys {
			if err := w.verifyKey(at, key); err != nil {
				return fmt.Errorf("home %d, key %d: %w", at, key, err)
			}
		}
	}
	return nil
}

func (w *world) verifyKey(at, key int) error {
	h := &w.homes[at]
	object := h.store[key]
	if err := object.Check(); err != nil {
		return err
	}
	if err := h.clock.Check(); err != nil {
		return err
	}
	for _, v := range object.Versions {
		if e := w.eventOf(v.Dot); e.id != v.Value || e.key != key {
			return fmt.Errorf("dot %s shows the value of event %d", v.Dot, v.Value)
		}
	}
	if live, want := historyOf(object), w.live(h.applied[key]); live != want {
		return fmt.Errorf("live are events %b, the twin says %b", live, want)
	}
	return w.verifyKnowledge(at, key)
}

// historyOf is the set of the events whose values are live in s.
func historyOf(s Siblings[eventID]) history {
	var h history
	for _, v := range s.Versions {
		h = h.plus(v.Value)
	}
	return h
}

// live is the twin's whole algorithm: puts that no other applied event saw.
func (w *world) live(applied history) history {
	var live, superseded history
	applied.each(func(e eventID) {
		superseded |= w.events[e].saw
		if w.events[e].put {
			live = live.plus(e)
		}
	})
	return live &^ superseded
}

// verifyKnowledge checks E_k = V ∪ C against the applied past, and that the
// clock tells the truth (I4). Of puts E_k is exact. A delete is an event that
// can reach a replica by its effect alone, so of deletes it may know fewer.
func (w *world) verifyKnowledge(at, key int) error {
	h := &w.homes[at]
	for _, e := range w.events {
		if e.dot.IsZero() || e.key != key {
			continue
		}
		inClock := h.clock.Contains(e.dot)
		known := inClock || h.store[key].Context.Contains(e.dot)
		applied := h.applied[key].has(e.id)
		if known && !applied {
			return fmt.Errorf("%s is claimed to be known (in the clock: %v) and was never applied", e.dot, inClock)
		}
		if e.put && applied && !known {
			return fmt.Errorf("%s was applied and is forgotten", e.dot)
		}
	}
	return nil
}

// calm ends the storm: hints are delivered, then home asks home until all have
// everything. It reports how the homes differ after that, if they do.
func (w *world) calm() error {
	for key := range keys {
		for at := range w.homes {
			w.receive(at, w.hints[key])
		}
	}
	for range 2 {
		for from := range w.homes {
			for to := range w.homes {
				w.messages = nil
				w.answer(from, w.homes[to].clock)
				for _, m := range w.messages {
					w.receive(to, m)
				}
			}
		}
	}
	for key := range keys {
		for at := range w.homes {
			h := &w.homes[at]
			w.rules.strip(&h.store[key], h.clock)
		}
	}
	if err := w.verify(); err != nil {
		return err
	}
	return w.verifyEqual()
}

func (w *world) verifyEqual() error {
	first := w.homes[0]
	for at, h := range w.homes {
		if !slices.Equal(h.clock.runs, first.clock.runs) {
			return fmt.Errorf("home %d has clock %s, home 0 has %s", at, h.clock, first.clock)
		}
		for key := range keys {
			if !slices.Equal(h.store[key].Versions, first.store[key].Versions) {
				return fmt.Errorf("key %d differs between homes 0 and %d", key, at)
			}
			if !h.store[key].Context.IsEmpty() {
				return fmt.Errorf("home %d has every dot and still keeps context %s for key %d", at, h.store[key].Context, key)
			}
		}
	}
	return nil
}

func (w *world) clone() *world {
	c := *w
	for at := range c.homes {
		h := &c.homes[at]
		h.clock = h.clock.Clone()
		for key := range keys {
			h.store[key] = h.store[key].Clone()
		}
	}
	return &c
}

// fingerprint is equal for worlds that can do the same from here on: the same
// replicas, readings and messages, in whatever order they came about.
func (w *world) fingerprint() [sha256.Size]byte {
	var b []byte
	for at := range w.homes {
		h := &w.homes[at]
		b = h.clock.AppendTo(b)
		for key := range keys {
			b = AppendSiblings(b, h.store[key], appendEventID)
			b = binary.BigEndian.AppendUint64(b, uint64(h.applied[key]))
		}
	}
	var parts []string
	for _, m := range w.messages {
		part := AppendSiblings([]byte{byte(m.key)}, m.delta.Siblings, appendEventID)
		part = binary.BigEndian.AppendUint64(m.delta.Dots.AppendTo(part), uint64(m.past))
		parts = append(parts, string(part))
	}
	for key := range keys {
		for _, r := range w.readings[key] {
			part := binary.BigEndian.AppendUint64(r.context.AppendTo([]byte{byte(keys + key)}), uint64(r.past))
			parts = append(parts, string(part))
		}
	}
	slices.Sort(parts)
	for _, part := range parts {
		b = append(b, part...)
	}
	return sha256.Sum256(b)
}

func appendEventID(b []byte, e eventID) []byte { return append(b, byte(e)) }
