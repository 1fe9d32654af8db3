package replica

import (
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Stained reports whether events that the replica holds are void to everybody else:
// its node was not asked when they were closed. What they had superseded is gone
// here, lives elsewhere, and no clock tells it from what is gone for good.
func (r *Replica) Stained() bool {
	return !r.closing.nameless.IsEmpty() || !r.closing.void.IsEmpty() && !r.closing.void.Intersect(r.Logged()).IsEmpty()
}

// Retire leaves all that is stored as it is, void or not, from now on: the replica
// hands on what others lack, and no effect of what is void (R27).
func (r *Replica) Retire() { r.closing.retired = true }

// Retired reports whether the replica only hands on what it has.
func (r *Replica) Retired() bool { return r.closing.retired }

// stain is what a replica that has retired does not hand on.
type stain struct {
	void vclock.DotSet
	// names are the objects that void events have changed here; any may be one of them
	// if not all of these events have a name.
	names map[name]bool
	any   bool
	base  vclock.DotSet
}

// readStain finds the objects by the log, which keeps the names of void events.
func (m *Moment) readStain(store storage.Snapshot) (*stain, error) {
	s := &stain{void: m.void, names: map[name]bool{}, any: m.nameless, base: baseOf(m.clock, m.beyond)}
	for actor, span := range m.stained.Spans() {
		lo, hi := storage.LogActorRange(m.id.Partition, m.id.N, actorBytes(actor), span.Lo, span.Hi)
		var bad error
		err := store.Scan(lo, hi, func(_, value []byte) bool {
			var e storage.LogEntry
			if e, bad = storage.ParseLogEntry(value); bad == nil {
				s.names[name{string(e.Bucket), string(e.Key)}] = true
			}
			return bad == nil
		})
		if err == nil {
			err = bad
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// temper makes a piece that does no harm. Of an object that void events have changed
// go the versions that are not void, and nothing of what is gone there: nobody can tell
// what is gone because of a void event only. A version that others had superseded stays
// so, since they know; one that was superseded here alone lives on beside what did it.
func (s *stain) temper(p *wire.Piece) {
	if s.any || s.names[name{p.Bucket, p.Key}] || !p.Object.Dots().Intersect(s.void).IsEmpty() {
		p.Object.Drop(s.void)
		p.Object.Context = vclock.DotSet{}
		return
	}
	p.Object.Context.Union(s.base)
}
