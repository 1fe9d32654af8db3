package hintedhandoff

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Line is one slot of one partition: what is owed to it goes to one node.
type Line struct {
	Head wire.Head
	Slot int
}

// Debt is what is owed on a line. A hint for several slots counts on each.
type Debt struct {
	Hints int
	Bytes int64
	// Since is when the oldest of it was made, or earlier.
	Since time.Time
}

// Ledger sums up the hints of a shard.
type Ledger struct {
	hints, hintsMax int
	bytes, bytesMax int64
	lines           map[Line]Debt
	// held are the dots of all hints of a partition and gone those of them that were
	// paid since they were last taken out.
	held, gone map[wire.Head]vclock.DotSet
	// order is the lines with debts in order, or nil when it has to be found out.
	order   []Line
	refused uint64
	damaged int
}

// NewLedger allows that many hints, and that many bytes of rows.
func NewLedger(hints int, bytes int64) *Ledger {
	return &Ledger{hintsMax: hints, bytesMax: bytes, lines: map[Line]Debt{}, held: map[wire.Head]vclock.DotSet{}, gone: map[wire.Head]vclock.DotSet{}}
}

// Hold notes the dots of a hint that Change has taken in.
func (l *Ledger) Hold(head wire.Head, dots vclock.DotSet) {
	if !dots.IsEmpty() {
		if gone := l.gone[head]; !gone.Intersect(dots).IsEmpty() {
			l.takeOut(head)
		}
		held := l.held[head]
		held.Union(dots)
		l.held[head] = held
	}
}

// Damaged is what Recover could not read: single rows, and blocks of rows.
func (l *Ledger) Damaged() int { return l.damaged }

// Held covers the dots of all hints of a partition: what closing an incarnation
// must not take for lost (R15), and an audit not for lost either (R20): whoever says
// that he holds what he does not keeps both waiting. The caller must not change it.
func (l *Ledger) Held(head wire.Head) vclock.DotSet {
	l.takeOut(head)
	return l.held[head]
}

// Release notes the dots of a hint that Change has taken out. They are taken out
// together, when somebody asks.
func (l *Ledger) Release(head wire.Head, dots vclock.DotSet) {
	if _, holds := l.held[head]; holds {
		gone := l.gone[head]
		gone.Union(dots)
		l.gone[head] = gone
	}
}

func (l *Ledger) takeOut(head wire.Head) {
	if gone, some := l.gone[head]; some {
		l.held[head] = l.held[head].Minus(gone)
		delete(l.gone, head)
	}
}

// Entry is what the ledger knows of one row: zero for a row that is not there.
type Entry struct {
	Slots wire.Slots
	Bytes int
	Since time.Time
}

// Entry is what the ledger knows of a hint whose row is saved.
func (h *Hint) Entry() Entry {
	if h.IsPaid() {
		return Entry{}
	}
	return Entry{Slots: h.Slots(), Bytes: h.bytes, Since: h.Since()}
}

// Change notes that a row went from before to after.
func (l *Ledger) Change(head wire.Head, before, after Entry) {
	l.bytes += int64(after.Bytes - before.Bytes)
	switch was, is := before.Slots != 0, after.Slots != 0; {
	case is && !was:
		l.hints++
	case was && !is:
		l.hints--
	}
	owing := false
	for slot := range kindred.ReplicasMax {
		line := Line{head, slot}
		l.move(line, before, after)
		owing = owing || l.lines[line].Hints > 0
	}
	if !owing {
		delete(l.held, head)
		delete(l.gone, head)
	}
}

func (l *Ledger) move(line Line, before, after Entry) {
	was, is := before.Slots.Has(line.Slot), after.Slots.Has(line.Slot)
	if !was && !is {
		return
	}
	d, known := l.lines[line]
	if !known {
		l.order = nil
	}
	if was {
		d.Hints--
		d.Bytes -= int64(before.Bytes)
	}
	if is {
		if d.Hints == 0 || after.Since.Before(d.Since) {
			d.Since = after.Since
		}
		d.Hints++
		d.Bytes += int64(after.Bytes)
	}
	if d.Hints == 0 {
		delete(l.lines, line)
		l.order = nil
		return
	}
	l.lines[line] = d
}

// Aged replaces what is known of the oldest debt of a line, after all of its rows
// were looked at.
func (l *Ledger) Aged(line Line, since time.Time) {
	if d, ok := l.lines[line]; ok {
		d.Since = since
		l.lines[line] = d
	}
}

// CheckRoom refuses one more hint when the limits are reached. A node that has no
// room for hints is no help to a cut: the refusal is counted.
func (l *Ledger) CheckRoom() *kindred.Error {
	switch {
	case l.hints >= l.hintsMax:
		l.refused++
		return full("hints", int64(l.hintsMax))
	case l.bytes >= l.bytesMax:
		l.refused++
		return full("bytes of hints", l.bytesMax)
	}
	return nil
}

func full(what string, limit int64) *kindred.Error {
	return &kindred.Error{
		Code: kindred.CodeOverloaded, Outcome: kindred.NotApplied, Field: what, Limit: limit,
		Message: "the limit of " + what + " for nodes that cannot be reached is met: bring them back, or raise the limit",
	}
}

// Hints is the number of rows, Bytes their size.
func (l *Ledger) Hints() int { return l.hints }

// Bytes is the size of all rows.
func (l *Ledger) Bytes() int64 { return l.bytes }

// Refused counts what had no room.
func (l *Ledger) Refused() uint64 { return l.refused }

// Owed is what is owed on a line.
func (l *Ledger) Owed(line Line) Debt { return l.lines[line] }

// Lines lists the lines with debts, in order. The list is shared: do not change it.
func (l *Ledger) Lines() []Line {
	if l.order == nil {
		l.order = slices.SortedFunc(maps.Keys(l.lines), compareLines)
	}
	return l.order
}

func compareLines(a, b Line) int {
	return cmp.Or(
		cmp.Compare(a.Head.Partition, b.Head.Partition), cmp.Compare(a.Head.N, b.Head.N), cmp.Compare(a.Slot, b.Slot),
	)
}
