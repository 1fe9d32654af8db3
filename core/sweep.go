package core

import (
	"time"

	"github.com/kindredkv/kindred/replica"
)

// sweeper strips objects in the background (R4). An object is saved with a
// context if the replica's clock had a gap where the context reached, most often
// because a write of another key was still on its way. Once the gap is closed
// the context says nothing any more, and an object that was deleted is gone
// altogether; without the sweep it would wait for the next write of its key.
//
// Objects beyond its limit, those whose gap stays, and those that a rebuild has
// brought are not remembered one by one. Their replica is walked through once its
// clock lacks nothing, as it is after every start.
type sweeper struct {
	waiting []unstripped
	known   map[string]bool
	at      time.Time
	// forgotten are the replicas that such objects are of.
	forgotten map[replica.ID]bool
}

// unstripped is an object that had a context when it was last saved.
type unstripped struct {
	row         string
	replica     *replica.Replica
	bucket, key string
	// tries counts the sweeps that found the gap still open.
	tries int
	next  time.Time
}

const (
	// sweepAfter is the time after which an object is looked at; it doubles with
	// each time that nothing could be stripped, sweepTries times.
	sweepAfter = time.Second
	sweepTries = 9
	// sweepsPerTick bounds the objects of one tick, so that a sweep is not felt.
	sweepsPerTick = 64
)

// remember queues an object that was saved with a context.
func (w *sweeper) remember(now time.Time, u unstripped, limit int) {
	if w.known == nil {
		w.known = map[string]bool{}
	}
	switch {
	case w.known[u.row]:
		return
	case len(w.waiting) >= limit || u.tries >= sweepTries:
		w.forget(u.replica.ID())
		return
	}
	w.known[u.row] = true
	u.next = now.Add(sweepAfter << u.tries)
	w.waiting = append(w.waiting, u)
	if w.at.IsZero() || u.next.Before(w.at) {
		w.at = u.next
	}
}

// forget notes that a replica has objects with contexts that are not remembered.
func (w *sweeper) forget(id replica.ID) {
	if w.forgotten == nil {
		w.forgotten = map[replica.ID]bool{}
	}
	w.forgotten[id] = true
}

// due takes the objects whose time has come, up to the bound of one tick, and
// says when to look again.
func (w *sweeper) due(now time.Time) (due []unstripped) {
	if w.at.IsZero() || w.at.After(now) {
		return nil
	}
	rest := w.waiting[:0]
	w.at = time.Time{}
	for _, u := range w.waiting {
		if !u.next.After(now) && len(due) < sweepsPerTick {
			due = append(due, u)
			delete(w.known, u.row)
			continue
		}
		rest = append(rest, u)
		if w.at.IsZero() || u.next.Before(w.at) {
			w.at = u.next
		}
	}
	clear(w.waiting[len(rest):])
	w.waiting = rest
	return due
}

// postpone looks again later, so that a shard which may not write does not ask to
// be woken all the time.
func (w *sweeper) postpone(now time.Time) {
	if !w.at.IsZero() && !w.at.After(now) {
		w.at = now.Add(sweepAfter)
	}
}

// recall has a replica walked through of which objects were forgotten, as soon as its
// clock says all that they remember.
func (s *Shard) recall(now time.Time, r *replica.Replica) {
	if s.sweeper.forgotten[r.ID()] && !r.Rebuilding() && s.closer.lacking(s.closer.place(r.ID())).IsEmpty() {
		delete(s.sweeper.forgotten, r.ID())
		s.closer.now = now
		s.closer.startSweep(r)
	}
}

// sweep strips what is due. An object whose gap is still open is remembered
// again by Loaded, with one more try.
func (s *Shard) sweep(now time.Time) {
	if s.full != nil {
		s.sweeper.postpone(now)
		return
	}
	for _, u := range s.sweeper.due(now) {
		s.stats.Sweeps++
		s.enter(u.replica, u.bucket, u.key, func(_ time.Time, k *replica.Key, err error) {
			if err == nil {
				k.Strip()
			}
		})
		s.open[u.row].tries = u.tries + 1
	}
}
