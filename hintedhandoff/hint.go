package hintedhandoff

import (
	"fmt"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

const (
	// RequestsMax is the number of request ids that a hint remembers beyond those
	// of its live versions: R19 is best effort (see forget).
	RequestsMax = 64
	// PieceDotsMax bounds the dots of one write that delivers a hint.
	PieceDotsMax = 1024
	// HintBytesMax bounds the row of one hint. A key that many clients write
	// through a guest for hours gathers contexts that a guest cannot strip.
	HintBytesMax = kindred.ObjectBytesMax
)

// Hint is what a guest owes of one key. The zero Hint owes nothing.
type Hint struct {
	row wire.StoredHint
	// bytes is the size of the row as it is stored; dirty says that it differs.
	bytes int
	dirty bool
}

// Reader is what loading a hint needs of the store.
type Reader interface {
	Get(key []byte) ([]byte, error)
}

// Load reads the hint of a key. An absent one owes nothing.
func Load(store Reader, head wire.Head, bucket, key string) (Hint, error) {
	value, err := store.Get(storage.HintKey(nil, head.Partition, head.N, bucket, key))
	if err == storage.ErrNotFound {
		return Hint{}, nil
	}
	if err != nil {
		return Hint{}, err
	}
	return parse(head, bucket, key, value)
}

func parse(head wire.Head, bucket, key string, value []byte) (Hint, error) {
	row, err := wire.DecodeStoredHint(value)
	if err != nil {
		return Hint{}, fmt.Errorf("hint of %s/%q of %v is damaged: %w", bucket, key, head, err)
	}
	return Hint{row: row, bytes: len(value)}, nil
}

// Save writes or removes the row, if a step changed the hint.
func (h *Hint) Save(head wire.Head, bucket, key string, rows *storage.Batch) {
	if !h.dirty {
		return
	}
	h.dirty = false
	row := storage.HintKey(nil, head.Partition, head.N, bucket, key)
	if h.IsPaid() {
		h.bytes = 0
		rows.Delete(row)
		return
	}
	value := wire.AppendStoredHint(nil, &h.row)
	h.bytes = len(value)
	rows.Set(row, value)
}

// IsPaid reports whether nothing is owed to anybody.
func (h *Hint) IsPaid() bool { return h.row.Slots == 0 }

// Slots are those that are owed something.
func (h *Hint) Slots() wire.Slots { return h.row.Slots }

// Since is when the oldest debt was made.
func (h *Hint) Since() time.Time { return time.UnixMilli(h.row.Since) }

// Dots are the write events that are owed.
func (h *Hint) Dots() vclock.DotSet { return h.row.Delta.Dots }

// Object is what a reader is shown: the join of what the guest holds, filled with
// no clock (C2).
func (h *Hint) Object() wire.Object {
	o := h.row.Delta.Siblings.Clone()
	o.Context.Union(h.row.Delta.Dots)
	return o
}

// Versions are the live versions.
func (h *Hint) Versions() []vclock.Version[wire.Record] { return h.row.Delta.Versions }

// Owe adds a delta that is owed to those slots. What the hint held before is owed
// to them from then on as well: that is harmless, and it is offered first.
func (h *Hint) Owe(slots wire.Slots, delta wire.Delta, ids []wire.DotRequest, now time.Time) {
	if h.IsPaid() {
		h.row = wire.StoredHint{Since: now.UnixMilli()}
	}
	h.dirty = true
	before := h.row.Delta.Versions
	h.row.Slots |= slots
	h.row.Delta = vclock.JoinDeltas(h.row.Delta, delta)
	for _, v := range before {
		h.remember(v.Dot, v.Value.RequestID)
	}
	for _, v := range delta.Versions {
		h.remember(v.Dot, v.Value.RequestID)
	}
	for _, dr := range ids {
		h.remember(dr.Dot, dr.ID)
	}
}

// Widen owes what the hint holds to more slots: they may lack it, and who is owed it
// cannot take it now. It reports whether that is news.
func (h *Hint) Widen(slots wire.Slots) bool {
	if h.IsPaid() || h.row.Slots|slots == h.row.Slots {
		return false
	}
	h.dirty = true
	h.row.Slots |= slots
	return true
}

// remember keeps the request of a dot that no live version names (R19).
func (h *Hint) remember(d vclock.Dot, id kindred.RequestID) {
	if id.IsZero() || h.row.Delta.Has(d) || slices.ContainsFunc(h.row.RequestIDs, func(dr wire.DotRequest) bool { return dr.Dot == d }) {
		return
	}
	h.row.RequestIDs = append(h.row.RequestIDs, wire.DotRequest{Dot: d, ID: id})
	if len(h.row.RequestIDs) > RequestsMax {
		h.forget()
	}
}

// forget drops a request: of the actor that has most of them the oldest. When one
// came here says nothing about its age, because another guest may bring a list of
// old ones at any time; it must not push out what this guest has just minted for,
// which is what a client may yet send again. So the latest of up to RequestsMax
// actors stay, and guests that have heard of the same requests remember the same, in
// whatever order.
func (h *Hint) forget() {
	ids := h.row.RequestIDs
	slices.SortFunc(ids, func(a, b wire.DotRequest) int { return a.Dot.Compare(b.Dot) })
	first, most, start := 0, 0, 0
	for i := range ids {
		if ids[i].Dot.Actor != ids[start].Dot.Actor {
			start = i
		}
		if n := i - start + 1; n > most {
			first, most = start, n
		}
	}
	h.row.RequestIDs = slices.Delete(ids, first, first+1)
}

// Served finds the dot of a request that the guest has seen before (R19).
func (h *Hint) Served(id kindred.RequestID) (vclock.Dot, bool) {
	if id.IsZero() {
		return vclock.Dot{}, false
	}
	for _, v := range h.row.Delta.Versions {
		if v.Value.RequestID == id {
			return v.Dot, true
		}
	}
	for _, dr := range h.row.RequestIDs {
		if dr.ID == id {
			return dr.Dot, true
		}
	}
	return vclock.Dot{}, false
}

// Whole is the delta of all that is owed, and the requests behind it.
func (h *Hint) Whole() (wire.Delta, []wire.DotRequest) {
	delta := wire.Delta{Siblings: h.row.Delta.Siblings.Clone(), Dots: h.row.Delta.Dots.Clone()}
	return delta, slices.Clone(h.row.RequestIDs)
}

// Pay notes that the home of a slot holds those dots durably. The slot is paid if
// the hint has no other dot; it reports whether it was.
func (h *Hint) Pay(slot int, durable vclock.DotSet) bool {
	if !h.row.Slots.Has(slot) || !durable.Covers(h.row.Delta.Dots) {
		return false
	}
	h.dirty = true
	h.row.Slots = h.row.Slots.Without(slot)
	if h.IsPaid() {
		h.row = wire.StoredHint{}
	}
	return true
}

// Pieces are writes that together bring the whole hint, each with a bounded number
// of dots. A piece has the live versions among its dots; its context has every dot
// that the hint knows and that is not live, so that a piece alone drops whatever
// its dots have seen (R2).
func (h *Hint) Pieces() []wire.Delta { return piecesOf(h, PieceDotsMax) }

func piecesOf(h *Hint, dotsMax int) []wire.Delta {
	all := h.row.Delta
	parts := split(all.Dots, dotsMax)
	if len(parts) == 1 {
		delta, _ := h.Whole()
		return []wire.Delta{delta}
	}
	gone := all.Context.Clone()
	gone.Union(all.Dots)
	gone = gone.Minus(all.Siblings.Dots())
	pieces := make([]wire.Delta, len(parts))
	for i, dots := range parts {
		pieces[i] = wire.Delta{Siblings: wire.Object{Context: gone.Clone()}, Dots: dots}
		for _, v := range all.Versions {
			if dots.Contains(v.Dot) {
				pieces[i].Siblings.Add(v.Dot, v.Value)
			}
		}
	}
	return pieces
}

// split cuts a set into sets of at most so many dots.
func split(dots vclock.DotSet, most int) []vclock.DotSet {
	var parts []vclock.DotSet
	var part vclock.DotSet
	n := 0
	for d := range dots.Dots() {
		if n == most {
			parts, part, n = append(parts, part), vclock.DotSet{}, 0
		}
		part.Add(d)
		n++
	}
	return append(parts, part)
}

// CheckRoom refuses what would make the hint larger than a row may be. It is asked
// before a dot is minted, when value is still beside the delta, and before another
// guest's delta is taken.
func (h *Hint) CheckRoom(delta wire.Delta, value int) *kindred.Error {
	size := weigh(h.row.Delta) + weigh(delta) + value
	if size <= HintBytesMax {
		return nil
	}
	return kindred.TooLarge("hint", HintBytesMax, size, "the home replicas of the key cannot be reached; write it again when one of them can")
}

// weigh is about what a delta takes in a row.
func weigh(d wire.Delta) int {
	size := 0
	for _, v := range d.Versions {
		size += 64 + len(v.Value.Value)
	}
	for range d.Context.Spans() {
		size += spanBytes
	}
	for range d.Dots.Spans() {
		size += spanBytes
	}
	return size
}

// spanBytes is about what a span of a dot set takes in a row.
const spanBytes = 12
