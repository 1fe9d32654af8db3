package explore

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/kindredkv/kindred/vclock"
)

// Bounds are how often those events may happen that would otherwise make the
// number of states endless.
type Bounds struct {
	// Writes of clients, Reads that send repairs, Crashes.
	Writes, Reads, Crashes int
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
	w, err := newWorld()
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
	do    func(w *world) error
}

// visit judges a state and goes on to all that can follow, unless it has been
// here before.
func (s *search) visit(w *world) error {
	s.scratch = w.appendTo(s.scratch[:0], s.bounds.Crashes)
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
	if err := w.judgeMended(); err != nil {
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
		if err := next.judgeMemory(m.at, &before); err != nil {
			return err
		}
		if err := next.judge(m.at); err != nil {
			return err
		}
	}
	return s.visit(next)
}

// moves lists all that can happen next. Sites to which nothing has happened are
// alike, so only the first of them moves.
func (s *search) moves(w *world) []move {
	var moves []move
	for at := range w.sites {
		if at > 0 && w.untouched(at) && w.untouched(at-1) {
			break
		}
		for key := range keyNames {
			moves = s.appendKey(moves, w, at, key)
		}
		if w.crashes < s.bounds.Crashes && !w.untouched(at) {
			moves = append(moves,
				move{what: "sync " + siteNames[at], at: -1, do: func(w *world) error { w.sync(at); return nil }},
				move{what: "crash " + siteNames[at], at: at, crash: true, do: func(w *world) error { return w.crash(at) }})
		}
	}
	for _, l := range w.letters {
		what := fmt.Sprintf("deliver to %s: %s live%v dots%v context%v", siteNames[l.to], keyNames[l.key], l.delta.Siblings.Dots(), l.delta.Dots, l.delta.Context)
		moves = append(moves, move{what: what, at: l.to, do: func(w *world) error { return w.deliver(l) }})
	}
	return moves
}

func (s *search) appendKey(moves []move, w *world, at, key int) []move {
	name := siteNames[at] + " " + keyNames[key]
	moves = append(moves, move{what: "strip " + name, at: at, do: func(w *world) error { return w.strip(at, key) }})
	for other := range at {
		if w.reads < s.bounds.Reads {
			moves = append(moves, move{what: "read " + name + " and " + siteNames[other], at: -1, do: func(w *world) error {
				w.reads++
				return w.read(key, at, other)
			}})
		}
	}
	if len(w.writes) < s.bounds.Writes {
		moves = appendWrites(moves, w, at, key, name)
	}
	return moves
}

// appendWrites lists the writes at a site: blind, or with the context of what
// some site shows.
func appendWrites(moves []move, w *world, at, key int, name string) []move {
	moves = append(moves, move{what: "put blind " + name, at: at, do: func(w *world) error {
		return w.write(at, key, true, vclock.DotSet{})
	}})
	for from := range w.sites {
		if w.untouched(from) {
			continue // its context is empty
		}
		as := name + " as seen at " + siteNames[from]
		moves = append(moves,
			move{what: "put " + as, at: at, do: func(w *world) error { return w.writeSeen(at, key, true, from) }},
			move{what: "delete " + as, at: at, do: func(w *world) error { return w.writeSeen(at, key, false, from) }})
	}
	return moves
}
