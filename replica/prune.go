package replica

import (
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
)

// rangeFrom is the length from which a span of the log is removed by one range
// instead of row by row: ranges are dear to read over until they are compacted.
const rangeFrom = 16

// Floor are the dots of the clock that are not in the log any more. The caller
// must not change it.
func (r *Replica) Floor() vclock.DotSet { return r.floor }

// Voided are the dots that nobody has: they were never in the log.
func (r *Replica) Voided() vclock.DotSet { return r.closing.void }

// Logged are the dots that are in the log.
func (r *Replica) Logged() vclock.DotSet { return r.clock.Minus(r.floor) }

// Prune removes dots from the log and raises the floor (R12), in one batch with
// the clock: what is not in the log is found again in the checkpoint only.
func (r *Replica) Prune(dots vclock.DotSet, rows *storage.Batch) {
	gone := dots.Intersect(r.Logged())
	if gone.IsEmpty() {
		return
	}
	for actor, span := range gone.Spans() {
		r.prune(actor, span, rows)
	}
	r.floor.Union(gone)
	if r.Retired() {
		r.closing.nameless.Union(gone.Intersect(r.closing.void))
	}
	r.saveClock(rows)
}

func (r *Replica) prune(actor vclock.Actor, span vclock.Span, rows *storage.Batch) {
	id, raw := r.id, actorBytes(actor)
	if span.Hi-span.Lo+1 >= rangeFrom {
		rows.DeleteRange(storage.LogActorRange(id.Partition, id.N, raw, span.Lo, span.Hi))
		return
	}
	for c := span.Lo; c <= span.Hi; c++ {
		rows.Delete(storage.LogKey(nil, id.Partition, id.N, raw, c))
	}
}
