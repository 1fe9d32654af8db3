package merges

import (
	"slices"

	"github.com/kindredkv/kindred/vclock"
)

// version is one written value. A retry has the same op, as its request id says.
type version[V any] struct {
	op      int
	value   V
	expires bool
}

// delta is what replicas tell one another.
type delta[V any] = vclock.Delta[version[V]]

// replica holds one key of one partition.
type replica[V any] struct {
	actor  vclock.Actor
	minted uint64
	clock  vclock.DotSet
	key    vclock.Siblings[version[V]]
}

// world is the replicas and what travels between them.
type world[V any] struct {
	replicas [replicas]replica[V]
	ops      map[vclock.Dot]int // the request that made the event
	writes   map[int][]delta[V] // by the id of the step
}

func newWorld[V any]() *world[V] {
	w := &world[V]{ops: map[vclock.Dot]int{}, writes: map[int][]delta[V]{}}
	for i := range w.replicas {
		w.replicas[i].actor = vclock.Actor{Disk: uint64(i) + 1, Nonce: 1}
	}
	return w
}

// read is what a client gets of a replica: siblings, each request once, and a
// context that covers them all.
func (w *world[V]) read(at int) ([]version[V], vclock.DotSet) {
	filled := w.replicas[at].key.Fill(w.replicas[at].clock)
	var shown []version[V]
	for _, v := range filled.Values() {
		if !slices.ContainsFunc(shown, func(s version[V]) bool { return s.op == v.op }) {
			shown = append(shown, v)
		}
	}
	return shown, filled.Seen()
}

// served reports whether the replica knows of a request (R19).
func (w *world[V]) served(at, op int) bool {
	for d := range w.replicas[at].clock.Dots() {
		if w.ops[d] == op {
			return true
		}
	}
	return false
}

// write is an event at a replica (R6): a put, or a delete if v is nil.
func (w *world[V]) write(step, at, op int, seen vclock.DotSet, v *version[V]) {
	r := &w.replicas[at]
	r.minted++
	d := vclock.Dot{Actor: r.actor, Counter: r.minted}
	w.ops[d] = op
	event := delta[V]{Siblings: vclock.Siblings[version[V]]{Context: seen.Clone()}, Dots: vclock.NewDotSet(d)}
	if v != nil {
		event.Siblings = vclock.New(d, *v, seen)
	}
	w.writes[step] = append(w.writes[step], event)
	w.learn(at, event)
}

// learn merges what a replica is told (R3), and drops a retry of what has been
// superseded already (R19).
func (w *world[V]) learn(at int, event delta[V]) {
	r := &w.replicas[at]
	r.key.Merge(&r.clock, event)
	var late vclock.DotSet
	for _, v := range r.key.Versions {
		for d := range r.clock.Dots() {
			if d != v.Dot && w.ops[d] == v.Value.op && !r.key.Has(d) {
				late.Add(v.Dot)
			}
		}
	}
	if !late.IsEmpty() {
		r.key.Discard(late)
		r.key.Strip(r.clock)
	}
}

// sync lets one replica tell another all it has (R9), and reports whether that
// was news.
func (w *world[V]) sync(from, to int) bool {
	a, b := &w.replicas[from], &w.replicas[to]
	if b.clock.Covers(a.clock) {
		return false
	}
	event := delta[V]{Siblings: a.key.Fill(a.clock), Dots: a.clock.Minus(b.clock)}
	for d := range event.Siblings.Dots().Dots() {
		event.Dots.Add(d)
	}
	w.learn(to, event)
	return true
}

// heal lets every replica hear everything.
func (w *world[V]) heal() {
	for range 2 { // what the last has heard, the first has not
		for from := range replicas {
			for to := range replicas {
				w.sync(from, to)
			}
		}
	}
}

// expired is what expires at a replica, and what the event that ends it has seen:
// all that is known there but what stays.
func (w *world[V]) expired(at int) (over []version[V], seen vclock.DotSet) {
	r := &w.replicas[at]
	seen = r.key.Fill(r.clock).Seen()
	var stays vclock.DotSet
	for _, v := range r.key.Versions {
		if v.Value.expires {
			over = append(over, v.Value)
		} else {
			stays.Add(v.Dot)
		}
	}
	return over, seen.Minus(stays)
}
