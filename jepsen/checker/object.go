package checker

import (
	"fmt"
	"slices"
	"time"

	kindred "github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
)

// write is a put or delete of an object, in the graph of who had seen whom.
// The graph has no cycles: seen leads to writes of smaller order.
type write struct {
	op    *history.Op
	at    int // position in the history
	order int // position among the ops of the object, by time
	// seen are the writes that were visible to its context, seers the writes
	// to whose context it was visible.
	seen, seers []*write
	// dots are the names under which the store showed it.
	dots []string
	// echoed is set once it has been counted as an echo.
	echoed bool
	// surfaced is set if a read found it.
	surfaced bool
}

func (w *write) isPut() bool   { return w.op.Kind == history.Put }
func (w *write) acked() bool   { return w.op.Outcome == kindred.Applied }
func (w *write) refused() bool { return w.op.Outcome == kindred.NotApplied }

// echoes reports whether the store minted two events for the one request,
// which retries may do (I10).
func (w *write) echoes() bool { return w.op.Attempts != 1 && len(w.dots) > 1 }

func (w *write) String() string { return fmt.Sprintf("w%d", w.op.Write) }

// read is an answered get.
type read struct {
	op    *history.Op
	at    int
	order int
	// found are the writes of its siblings, without those that are not writes
	// of this object.
	found []*write
}

// object is everything about one key.
type object struct {
	id     history.ID
	writes []*write // by order
	reads  []*read  // by order
	byID   map[history.WriteID]*write
	// finals are the final reads, answered or not.
	finals []*history.Op
}

// newObject builds the graph. It fails if A4 does.
func newObject(h *history.History, id history.ID, ops []int) (*object, error) {
	o := &object{id: id, byID: map[history.WriteID]*write{}}
	for order, at := range ops {
		op := &h.Ops[at]
		if op.IsWrite() {
			w := &write{op: op, at: at, order: order}
			o.writes = append(o.writes, w)
			o.byID[op.Write] = w
			continue
		}
		if op.Final {
			o.finals = append(o.finals, op)
		}
		if op.Outcome == kindred.Applied {
			o.reads = append(o.reads, &read{op: op, at: at, order: order})
		}
	}
	if err := o.linkWrites(); err != nil {
		return nil, err
	}
	for _, r := range o.reads {
		o.linkRead(r)
	}
	return o, nil
}

// linkWrites connects each write with what it had seen (A4).
func (o *object) linkWrites() error {
	shown := o.firstShown()
	for _, w := range o.writes {
		w.name(w.op.Dot)
		for _, id := range w.op.Seen {
			s := o.byID[id]
			if s == nil || s.order >= w.order {
				if at, ok := shown[id]; ok && at <= w.op.Invoke {
					continue // the store's fault, and a finding where it was shown
				}
				return fmt.Errorf("A4: %s/%s: w%d has seen w%d, which is no earlier write of this object", o.id.Bucket, o.id.Key, w.op.Write, id)
			}
			if !slices.Contains(w.seen, s) {
				w.seen = append(w.seen, s)
				s.seers = append(s.seers, w)
			}
		}
	}
	return nil
}

// firstShown is when each id was first found by a read.
func (o *object) firstShown() map[history.WriteID]time.Duration {
	shown := map[history.WriteID]time.Duration{}
	for _, r := range o.reads {
		for _, s := range r.op.Siblings {
			if at, ok := shown[s.Write]; !ok || r.op.Complete < at {
				shown[s.Write] = r.op.Complete
			}
		}
	}
	return shown
}

func (o *object) linkRead(r *read) {
	for _, s := range r.op.Siblings {
		if w := o.byID[s.Write]; w != nil && w.isPut() {
			w.surfaced = true
			w.name(s.Dot)
			r.found = append(r.found, w)
		}
	}
}

func (w *write) name(dot string) {
	if dot != "" && !slices.Contains(w.dots, dot) {
		w.dots = append(w.dots, dot)
	}
}
