package explore

import (
	"fmt"
	"slices"
	"time"

	"github.com/kindredkv/kindred/hintedhandoff"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

var (
	guestNames = []string{"guest 1", "guest 2"}
	head       = wire.Head(partition)
)

// guest is a node that is no home: what it mints with, and its hints.
type guest struct {
	mint          hintedhandoff.Guest
	stored, saved rows
	lives         uint64
	// handover is the hint that is on its way to a home, if any.
	handover handover
}

// handover is a hint as it was when it was read: what of it the home of a slot is
// to take. It ends with the durable acknowledgement of that home.
type handover struct {
	open      bool
	slot, key int
	pieces    []wire.Delta
	dots      vclock.DotSet
}

func (g *guest) start(number int) {
	g.lives++
	node := vclock.Actor{Disk: uint64(10 + number), Nonce: g.lives}
	g.mint, g.handover = *hintedhandoff.NewGuest(replica.GuestIncarnation(partition, node)), handover{}
}

func (g *guest) hint(key int) (hintedhandoff.Hint, error) {
	return hintedhandoff.Load(g.stored, head, bucket, keyNames[key])
}

// shown is what the guest answers to a read of a key.
func (g *guest) shown(key int) (wire.Object, error) {
	h, err := g.hint(key)
	return h.Object(), err
}

// change lets do act on the hint of a key.
func (g *guest) change(key int, do func(h *hintedhandoff.Hint)) error {
	h, err := g.hint(key)
	if err != nil {
		return err
	}
	do(&h)
	var batch storage.Batch
	h.Save(head, bucket, keyNames[key], &batch)
	if batch.Len() > 0 {
		g.stored = g.stored.with(&batch)
	}
	return nil
}

// owe keeps a delta for slots.
func (g *guest) owe(key int, slots wire.Slots, delta wire.Delta) error {
	return g.change(key, func(h *hintedhandoff.Hint) {
		h.Owe(slots, wire.Delta{Siblings: delta.Siblings.Clone(), Dots: delta.Dots.Clone()}, nil, time.UnixMilli(0))
	})
}

// guestWrite coordinates a write at a guest (R7): it is kept for all homes, and
// sent to those that may yet hear it.
func (w *world) guestWrite(at, key int, put bool, seen vclock.DotSet) error {
	g := &w.guests[at]
	d := g.mint.Mint()
	delta := wire.Delta{Siblings: wire.Object{Context: seen.Clone()}, Dots: vclock.NewDotSet(d)}
	if put {
		delta.Siblings = vclock.New(d, wire.Record{Value: []byte{byte(len(w.writes))}}, seen)
	}
	if err := g.owe(key, wire.AllSlots(len(w.sites)), delta); err != nil {
		return err
	}
	return w.minted(write{dot: d, key: key, put: put, past: seen.Clone()}, -1, delta)
}

// keep gives a write that was on its way to a home to a guest.
func (w *world) keep(at int, l letter) error {
	w.spent.keeps++
	return w.guests[at].owe(l.key, wire.Slots(0).With(l.to), l.delta)
}

// begin reads a hint and sends it to the home of a slot.
func (w *world) begin(at, key, slot int) error {
	w.spent.handovers++
	g := &w.guests[at]
	h, err := g.hint(key)
	if err != nil {
		return err
	}
	g.handover = handover{open: true, slot: slot, key: key, pieces: h.Pieces(), dots: h.Dots()}
	for _, piece := range g.handover.pieces {
		for d := range piece.Dots.Dots() {
			w.post(letter{to: slot, key: key, dot: d, delta: piece})
			break // one of its dots is enough to say that it is no repair
		}
	}
	return nil
}

// end lets the home take the hint, for sure, and the guest take its word.
func (w *world) end(at int) error {
	g := &w.guests[at]
	h := g.handover
	g.handover = handover{}
	if held := w.sites[h.slot].replica.Clock(); !held.Covers(h.dots) {
		for _, piece := range h.pieces {
			for d := range piece.Dots.Dots() {
				if err := w.deliver(letter{to: h.slot, key: h.key, dot: d, delta: piece}); err != nil {
					return err
				}
				break
			}
		}
	}
	w.sync(h.slot) // the acknowledgement leaves after it
	return g.change(h.key, func(hint *hintedhandoff.Hint) { hint.Pay(h.slot, h.dots) })
}

// syncGuest makes what the guest owes sure.
func (w *world) syncGuest(at int) error {
	g := &w.guests[at]
	g.saved = g.stored
	for key := range w.bounds.Keys {
		h, err := g.hint(key)
		if err != nil {
			return err
		}
		for i := range w.writes {
			if e := &w.writes[i]; h.Dots().Contains(e.dot) {
				e.firm |= h.Slots()
			}
		}
	}
	return nil
}

func (w *world) crashGuest(at int) {
	w.spent.crashes++
	g := &w.guests[at]
	g.stored = g.saved
	g.start(at)
}

func (g *guest) appendTo(b []byte) []byte {
	b = g.saved.appendTo(g.stored.appendTo(append(b, byte(g.lives))))
	if g.handover.open {
		b = g.handover.dots.AppendTo(append(b, byte(g.handover.slot), byte(g.handover.key)))
	}
	return append(b, 0)
}

// guestMoves lists what can happen to a guest.
func (s *search) guestMoves(moves []move, w *world, at int) []move {
	g := &w.guests[at]
	for key := range w.bounds.Keys {
		moves = s.guestKeyMoves(moves, w, at, key)
	}
	if g.handover.open {
		to := g.handover.slot
		moves = append(moves, move{what: guestNames[at] + " hands over to " + siteNames[to], at: to, do: func(w *world) error { return w.end(at) }})
	}
	if !slices.Equal(g.saved, g.stored) {
		moves = append(moves, move{what: "sync " + guestNames[at], at: -1, do: func(w *world) error { return w.syncGuest(at) }})
	}
	if int(w.spent.crashes) < w.bounds.Crashes {
		moves = append(moves, move{what: "crash " + guestNames[at], at: -1, do: func(w *world) error { w.crashGuest(at); return nil }})
	}
	for _, l := range w.letters {
		if int(w.spent.keeps) < w.bounds.Keeps && !l.dot.IsZero() {
			moves = append(moves, move{what: fmt.Sprintf("%s keeps %v for %s", guestNames[at], l.dot, siteNames[l.to]), at: -1, do: func(w *world) error { return w.keep(at, l) }})
		}
	}
	return moves
}

func (s *search) guestKeyMoves(moves []move, w *world, at, key int) []move {
	name := guestNames[at] + " " + keyNames[key]
	h, err := w.guests[at].hint(key)
	if err != nil {
		return append(moves, move{what: "look at " + name, at: -1, do: func(*world) error { return err }})
	}
	for slot := range w.sites {
		if h.Slots().Has(slot) && !w.guests[at].handover.open && int(w.spent.handovers) < w.bounds.Handovers {
			moves = append(moves, move{what: fmt.Sprintf("%s offers to %s", name, siteNames[slot]), at: -1, do: func(w *world) error { return w.begin(at, key, slot) }})
		}
		if int(w.spent.reads) < w.bounds.Reads {
			moves = append(moves, move{what: "read " + name + " and " + siteNames[slot], at: -1, do: func(w *world) error {
				w.spent.reads++
				return w.read(key, []int{slot}, at)
			}})
		}
	}
	if w.clientWrites() >= w.bounds.Writes {
		return moves
	}
	write := func(w *world, put bool, seen vclock.DotSet) error { return w.guestWrite(at, key, put, seen) }
	moves = append(moves, move{what: "put blind " + name, at: -1, do: func(w *world) error { return write(w, true, vclock.DotSet{}) }})
	return w.appendSeen(moves, -1, key, name, write)
}

// judgeGuests demands of the guests what is demanded of replicas, and that nothing
// gets lost that is owed for sure (I7).
func (w *world) judgeGuests() error {
	for at := range w.guests {
		for key := range w.bounds.Keys {
			shown, err := w.guests[at].shown(key)
			if err != nil {
				return err
			}
			// A guest has only the dots that it owes: it shows what they leave alive.
			h, err := w.guests[at].hint(key)
			if err != nil {
				return err
			}
			if err := w.judgeKey(guestNames[at], key, shown, h.Dots()); err != nil {
				return err
			}
		}
	}
	for _, e := range w.writes {
		for slot := range w.sites {
			if e.firm.Has(slot) && !w.sites[slot].synced.Contains(e.dot) && !w.owes(e, slot) {
				return fmt.Errorf("I7: %v was owed to %s, which does not have it for sure", e.dot, siteNames[slot])
			}
		}
	}
	return nil
}

// owes reports whether a guest owes a write to a slot for sure.
func (w *world) owes(e write, slot int) bool {
	return slices.ContainsFunc(w.guests, func(g guest) bool {
		h, err := hintedhandoff.Load(g.saved, head, bucket, keyNames[e.key])
		return err == nil && h.Slots().Has(slot) && h.Dots().Contains(e.dot)
	})
}
