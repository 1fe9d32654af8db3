package explore

import (
	"fmt"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// closes are the incarnations that were closed. That all members answered is one
// event here; how they get there is explored by package antientropy.
type closes struct {
	records []wire.CloseRecord
	// void is what the records say to be held nowhere.
	void vclock.DotSet
}

// member is what a site has promised and learned of dead incarnations. It is
// durable at once. Learned counts the records that it knows.
type member struct {
	promises *antientropy.Promises
	learned  int
}

// recall gives a replica that has just started what its node knows of the dead.
func (s *site) recall() error {
	if s.member.promises == nil {
		s.member.promises = &antientropy.Promises{}
	}
	s.replica.SetFence(s.member.promises)
	var void vclock.DotSet
	for _, r := range s.member.promises.All() {
		void.Union(r.Void)
	}
	if void.IsEmpty() {
		return nil
	}
	if err := s.replica.Void(void); err != nil {
		return err
	}
	s.replica.Swept(void.Minus(s.member.promises.Unswept()))
	return nil
}

// dead lists the incarnations that are over and not closed.
func (w *world) dead() (actors []vclock.Actor) {
	for _, e := range w.writes {
		known := vclock.NewDotSet(vclock.Dot{Actor: e.dot.Actor, Counter: vclock.CounterMax})
		if !w.alive(e.dot.Actor) && !w.closes.closed(known) {
			actors = append(actors, e.dot.Actor)
		}
	}
	return actors
}

func (c *closes) closed(dots vclock.DotSet) bool { return c.void.Covers(dots) }

func (w *world) alive(a vclock.Actor) bool {
	for i := range w.sites {
		if w.sites[i].replica.Actor() == a {
			return true
		}
	}
	for i := range w.guests {
		if w.guests[i].mint.Actor() == a {
			return true
		}
	}
	return false
}

// close asks every member what it holds of a dead incarnation, and makes void
// what nobody has (R15).
func (w *world) close(a vclock.Actor) error {
	round := wire.Round{Number: uint64(len(w.closes.records) + 1), Proposer: 1}
	var void vclock.DotSet
	void.Close(a)
	for i := range w.sites {
		s := &w.sites[i]
		s.fork()
		report, promised := s.member.promises.Report(a, round, false, s.replica.Held())
		if !promised {
			return fmt.Errorf("R15: %s does not promise %v of %v", siteNames[i], round, a)
		}
		void = void.Minus(report.Held)
		w.sync(i)
	}
	w.closes.records = append(w.closes.records[:len(w.closes.records):len(w.closes.records)], wire.CloseRecord{Actor: a, Round: round, Void: void})
	w.closes.void = w.closes.void.Clone()
	w.closes.void.Union(void)
	return nil
}

// fork lets a site change what another world shares.
func (s *site) fork() {
	s.member.promises = s.member.promises.Clone()
	s.replica = s.replica.Clone()
	s.replica.SetFence(s.member.promises)
}

// learn tells a site of the next outcome that it has not heard of, and lets it
// look through its objects.
func (w *world) learn(at int) error {
	s := &w.sites[at]
	s.fork()
	fresh, _ := s.member.promises.Learn(w.closes.records[s.member.learned])
	s.member.learned++
	if err := s.replica.Void(fresh); err != nil {
		return err
	}
	for key := range w.bounds.Keys {
		if err := w.step(at, key, func(k *replica.Key, _ *storage.Batch) error { k.Strip(); return nil }); err != nil {
			return err
		}
	}
	s = &w.sites[at]
	s.replica.Swept(fresh)
	s.member.promises.SetSwept(fresh)
	w.sync(at)
	return nil
}

// learnAll tells every site of all outcomes.
func (w *world) learnAll() error {
	for at := range w.sites {
		for w.sites[at].member.learned < len(w.closes.records) {
			if err := w.learn(at); err != nil {
				return err
			}
		}
	}
	return nil
}

// touched sends what an object shows that has lost its dot.
func (w *world) touched(at, key int, d vclock.Dot, whole wire.Delta) error {
	w.sync(at) // it leaves after that
	seen := whole.Context.Minus(whole.Dots)
	if _, before := w.find(d); before {
		return fmt.Errorf("I2: %v is minted twice", d)
	}
	w.writes = append(w.writes, write{dot: d, key: key, past: seen, touch: true})
	for to := range w.sites {
		if to != at {
			w.post(letter{to: to, key: key, dot: d, delta: whole, rounds: w.sites[at].member.promises.Rounds(whole.Dots)})
		}
	}
	return nil
}

// closeMoves lists what can happen to dead incarnations.
func (s *search) closeMoves(moves []move, w *world) []move {
	if !w.bounds.Closes {
		return moves
	}
	for _, a := range w.dead() {
		moves = append(moves, move{what: "close " + a.String(), at: -1, do: func(w *world) error { return w.close(a) }})
	}
	for at := range w.sites {
		if w.sites[at].member.learned < len(w.closes.records) {
			moves = append(moves, move{what: siteNames[at] + " learns of a close", at: at, do: func(w *world) error { return w.learn(at) }})
		}
	}
	return moves
}

func (c *closes) appendTo(b []byte) []byte {
	for _, r := range c.records {
		b = r.Void.AppendTo(b)
	}
	return b
}

func (m *member) appendTo(b []byte) []byte { return append(b, byte(m.learned)) }
