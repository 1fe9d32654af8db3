package explore

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Bounds are how often those events may happen that would otherwise make the
// number of states endless.
type Bounds struct {
	// Homes of the partition, Guests beside them, and Keys.
	Homes, Guests, Keys int
	// Filled: every home has every key from the beginning, as the first has written
	// them, and only the last home is wiped.
	Filled bool
	// Writes of clients, Reads that send repairs, Crashes of homes and guests.
	Writes, Reads, Crashes int
	// Pulls by which one home asks another for all that it lacks. Tells are the
	// advertisements of the exchanges of package antientropy, which then decide
	// what is pulled, pruned and trusted.
	Pulls, Tells int
	// Prunes: homes remove from their logs what is safe everywhere. Strips: they
	// strip keys by themselves. Closes: dead incarnations are closed.
	Prunes, Strips, Closes bool
	// Keeps are writes of homes that a guest keeps, Handovers the hints it delivers.
	Keeps, Handovers int
	// Wipes of homes, and Pages by which wiped homes are rebuilt.
	Wipes, Pages int
}

// Partition are the bounds of a partition of three homes and two keys, of which
// those may happen.
func Partition(writes, reads, crashes int) Bounds {
	return Bounds{Homes: 3, Keys: 2, Writes: writes, Reads: reads, Crashes: crashes, Strips: true}
}

// Result is what a search has found.
type Result struct {
	// States visited, and Transitions between them. Complete says that there are
	// no others within the bounds.
	States, Transitions int
	Complete            bool
	// Longest is the largest number of events from the beginning to a state, on
	// the way that the search took.
	Longest int
	// Finding is the first demand that was not met, and Path how it came to it.
	Finding error
	Path    []string
}

// All visits every state within the bounds, but no more than limit; zero means
// no limit. It stops at the first finding.
func All(bounds Bounds, limit int) *Result {
	s := &search{bounds: bounds, limit: limit, visited: map[[sha256.Size]byte]bool{}, result: &Result{Complete: true}}
	w, err := newWorld(&s.bounds)
	if err == nil {
		err = s.visit(w)
	}
	s.result.Finding = err
	slices.Reverse(s.result.Path)
	s.result.States = len(s.visited)
	return s.result
}

type search struct {
	bounds  Bounds
	limit   int
	visited map[[sha256.Size]byte]bool
	depth   int
	scratch []byte
	result  *Result
}

// move is something that can happen next.
type move struct {
	what string
	// at is the site that it changes, or -1.
	at int
	// crash: the site may forget what it had not synced.
	crash bool
	// forgets: the site loses all it had.
	forgets bool
	do      func(w *world) error
}

// visit judges a state and goes on to all that can follow, unless it has been
// here before.
func (s *search) visit(w *world) error {
	s.scratch = w.appendTo(s.scratch[:0])
	state := sha256.Sum256(s.scratch)
	if s.visited[state] {
		return nil
	}
	if s.limit > 0 && len(s.visited) >= s.limit {
		s.result.Complete = false
		return nil
	}
	s.visited[state] = true
	s.result.Longest = max(s.result.Longest, s.depth)
	if err := w.judgeCalm(); err != nil {
		return err
	}
	s.depth++
	defer func() { s.depth-- }()
	for _, m := range s.moves(w) {
		s.result.Transitions++
		if err := s.follow(w, m); err != nil {
			s.result.Path = append(s.result.Path, m.what)
			return err
		}
	}
	return nil
}

func (s *search) follow(w *world, m move) error {
	next := w.clone()
	if err := m.do(next); err != nil {
		return err
	}
	if m.at >= 0 {
		before := w.sites[m.at]
		if m.crash {
			before = site{replica: next.sites[m.at].replica, stored: w.sites[m.at].saved}
		}
		if err := next.judgeMemory(m.at, &before); err != nil && !m.forgets {
			return err
		}
		if err := next.judge(m.at); err != nil {
			return err
		}
	}
	if err := next.judgeGuests(); err != nil {
		return err
	}
	if err := next.judgeTalk(); err != nil {
		return err
	}
	return s.visit(next)
}

// moves lists all that can happen next. Sites to which nothing has happened are
// alike, so only the first of them moves.
func (s *search) moves(w *world) []move {
	var moves []move
	for at := range w.sites {
		if at > 0 && w.untouched(at) && w.untouched(at-1) && len(w.talk.with) == 0 {
			break
		}
		for key := range w.bounds.Keys {
			moves = s.appendKey(moves, w, at, key)
		}
		if w.canLose() && !w.untouched(at) {
			moves = append(moves, move{what: "sync " + siteNames[at], at: -1, do: func(w *world) error { w.sync(at); return nil }})
		}
		if int(w.spent.crashes) < s.bounds.Crashes && !w.untouched(at) {
			moves = append(moves, move{what: "crash " + siteNames[at], at: at, crash: true, do: func(w *world) error { return w.crash(at) }})
		}
		moves = s.rebuildMoves(s.exchangeMoves(moves, w, at), w, at)
	}
	for at := range w.guests {
		moves = s.guestMoves(moves, w, at)
	}
	moves = s.closeMoves(s.pageMoves(s.adMoves(moves, w), w), w)
	for _, l := range w.letters {
		what := fmt.Sprintf("deliver to %s: %s live%v dots%v context%v", siteNames[l.to], keyNames[l.key], l.delta.Siblings.Dots(), l.delta.Dots, l.delta.Context)
		moves = append(moves, move{what: what, at: l.to, do: func(w *world) error { return w.deliver(l) }})
	}
	return moves
}

func (s *search) appendKey(moves []move, w *world, at, key int) []move {
	name := siteNames[at] + " " + keyNames[key]
	if w.bounds.Strips {
		moves = append(moves, move{what: "strip " + name, at: at, do: func(w *world) error { return w.strip(at, key) }})
	}
	for other := range at {
		if int(w.spent.reads) < s.bounds.Reads {
			moves = append(moves, move{what: "read " + name + " and " + siteNames[other], at: -1, do: func(w *world) error {
				w.spent.reads++
				return w.read(key, []int{at, other})
			}})
		}
	}
	if w.clientWrites() < s.bounds.Writes {
		moves = w.appendWrites(moves, at, key, name)
	}
	return moves
}

// clientWrites counts the writes that are bounded.
func (w *world) clientWrites() (n int) {
	for _, e := range w.writes {
		if !e.touch && !e.given {
			n++
		}
	}
	return n
}

// appendWrites lists the writes at a site: blind, or with the context of what
// somebody shows.
func (w *world) appendWrites(moves []move, at, key int, name string) []move {
	write := func(w *world, put bool, seen vclock.DotSet) error { return w.write(at, key, put, seen) }
	moves = append(moves, move{what: "put blind " + name, at: at, do: func(w *world) error { return write(w, true, vclock.DotSet{}) }})
	return w.appendSeen(moves, at, key, name, write)
}

// appendSeen lists the writes with the context of what a site or a guest shows.
func (w *world) appendSeen(moves []move, at, key int, name string, write func(w *world, put bool, seen vclock.DotSet) error) []move {
	add := func(who string, shown func(w *world) (wire.Object, error)) {
		as := name + " as seen at " + who
		for _, put := range []bool{true, false} {
			what := "delete " + as
			if put {
				what = "put " + as
			}
			moves = append(moves, move{what: what, at: at, do: func(w *world) error {
				object, err := shown(w)
				if err != nil {
					return err
				}
				seen, err := context(who, object)
				if err != nil {
					return err
				}
				return write(w, put, seen)
			}})
		}
	}
	for from := range w.sites {
		if !w.untouched(from) { // or its context is empty
			add(siteNames[from], func(w *world) (wire.Object, error) { return w.filled(from, key) })
		}
	}
	for from := range w.guests {
		if len(w.guests[from].stored) > 0 {
			add(guestNames[from], func(w *world) (wire.Object, error) { return w.guests[from].shown(key) })
		}
	}
	return moves
}

// context is what a client passes on that was shown an object.
func context(who string, object wire.Object) (vclock.DotSet, error) {
	seen := object.Seen()
	if !seen.Covers(object.Dots()) {
		return seen, fmt.Errorf("R8: the context %v of what %s shows does not cover it", seen, who)
	}
	return seen, nil
}

// judgeCalm demands that the homes become the same in each way that is open to
// them.
func (w *world) judgeCalm() error {
	for i := range w.sites {
		if w.sites[i].wiped {
			return w.judgeRebuilt()
		}
	}
	if err := w.judgeMended(); err != nil {
		return err
	}
	b := w.bounds
	// The effect of a delete may leak by a repair and its dot be lost (C8): only a
	// close cures that.
	if (b.Pulls+b.Tells > 0 || b.Closes) && (b.Reads == 0 || b.Closes && len(w.dead()) == 0) {
		return w.judgePulled()
	}
	return nil
}

// String lists the bounds that are not zero.
func (b Bounds) String() string {
	var parts []string
	for _, p := range []struct {
		name string
		n    int
	}{
		{"homes", b.Homes}, {"guests", b.Guests}, {"keys", b.Keys}, {"writes", b.Writes}, {"repairing reads", b.Reads},
		{"crashes", b.Crashes}, {"pulls", b.Pulls}, {"advertisements", b.Tells}, {"writes kept by guests", b.Keeps},
		{"handovers", b.Handovers}, {"wipes", b.Wipes}, {"pages", b.Pages},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.name))
		}
	}
	for _, p := range []struct {
		name string
		on   bool
	}{{"filled", b.Filled}, {"prunes", b.Prunes}, {"strips", b.Strips}, {"closes", b.Closes}} {
		if p.on {
			parts = append(parts, p.name)
		}
	}
	return strings.Join(parts, ", ")
}
