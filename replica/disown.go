package replica

import (
	"slices"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
)

// Disowned are rows of the log of dots whose effect is lost.
type Disowned struct {
	rows []disowned
}

type disowned struct {
	dot   vclock.Dot
	value []byte
}

// Disown reads the log rows of dots whose effect is lost for good, and takes out
// the requests that they served. A dot that is not live would say of its twins, by
// the same request, that somebody has replaced them (R19).
func Disown(store storage.Snapshot, id ID, dots vclock.DotSet) (Disowned, error) {
	var d Disowned
	for actor, span := range dots.Spans() {
		lo, hi := storage.LogActorRange(id.Partition, id.N, actorBytes(actor), span.Lo, min(span.Hi, vclock.CounterMax))
		var bad error
		err := store.Scan(lo, hi, func(row, value []byte) bool {
			var entry storage.LogEntry
			var counter uint64
			if _, _, _, counter, bad = storage.ParseLogKey(row); bad == nil {
				entry, bad = storage.ParseLogEntry(value)
			}
			if bad == nil && entry.RequestID != (kindred.RequestID{}) {
				entry.RequestID = kindred.RequestID{}
				dot := vclock.Dot{Actor: actor, Counter: counter}
				d.rows = append(d.rows, disowned{dot, storage.AppendLogEntry(nil, entry)})
			}
			return bad == nil
		})
		if err == nil {
			err = bad
		}
		if err != nil {
			return Disowned{}, err
		}
	}
	return d, nil
}

// Disown writes the rows that are still in the log, and forgets the requests.
func (r *Replica) Disown(d Disowned, dots vclock.DotSet, rows *storage.Batch) {
	r.recent.forget(dots)
	logged := r.Logged()
	for _, row := range d.rows {
		if logged.Contains(row.dot) {
			rows.Set(storage.LogKey(nil, r.id.Partition, r.id.N, actorBytes(row.dot.Actor), row.dot.Counter), row.value)
		}
	}
}

// forget drops dots: their requests have not been served after all.
func (r *Recent) forget(dots vclock.DotSet) {
	for id, known := range r.served {
		if slices.ContainsFunc(known.dots, dots.Contains) {
			known.dots = slices.DeleteFunc(slices.Clone(known.dots), dots.Contains)
			r.served[id] = known
		}
	}
}
