package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/hintedhandoff"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Holding is a set of write events of one partition.
type Holding struct {
	Replica replica.ID
	// Guest: they are hints, owed to homes.
	Guest bool
	// Dots may be the shard's own memory: they are good until the next event.
	Dots vclock.DotSet
	// Since is when the oldest was there at the latest, zero if that is not known.
	Since time.Time
}

// Unshared lists what this node holds and does not know to be on the disk of every
// other home: all that might be missed if it were gone. What it does not know it
// takes for missing, so after a start this is everything for a moment.
func (s *Shard) Unshared() (list []Holding) {
	for _, id := range s.Replicas() {
		h := Holding{Replica: id}
		if x := s.exchange.of[id]; x == nil {
			h.Dots = s.replicas[id].Held()
		} else if h.Dots = x.Unshared(x.clock()); !x.old.Intersect(h.Dots).IsEmpty() {
			h.Since = x.oldSince
		}
		if !h.Dots.IsEmpty() {
			list = append(list, h)
		}
	}
	for _, head := range s.owing() {
		list = append(list, Holding{Replica: replica.ID(head), Guest: true, Dots: s.debts.ledger.Held(head), Since: s.owingSince(head)})
	}
	return list
}

// Holds lists what this node holds of some sets, as a home and as a guest. A home that
// is damaged does not speak for what it may have lost, so it holds nothing here.
func (s *Shard) Holds(of []Holding) (list []Holding) {
	for _, asked := range of {
		if r := s.replicas[asked.Replica]; r != nil && !r.IsDamaged() {
			list = appendHeld(list, Holding{Replica: asked.Replica, Dots: r.Held().Intersect(asked.Dots)})
		}
		held := s.debts.ledger.Held(wire.Head(asked.Replica))
		list = appendHeld(list, Holding{Replica: asked.Replica, Guest: true, Dots: held.Intersect(asked.Dots)})
	}
	return list
}

func appendHeld(list []Holding, h Holding) []Holding {
	if h.Dots.IsEmpty() {
		return list
	}
	return append(list, h)
}

// owing are the partitions of which this node keeps hints, in order.
func (s *Shard) owing() (heads []wire.Head) {
	for _, line := range s.debts.ledger.Lines() {
		if !slices.Contains(heads[max(0, len(heads)-1):], line.Head) { // they are in order
			heads = append(heads, line.Head)
		}
	}
	return heads
}

func (s *Shard) owingSince(head wire.Head) (since time.Time) {
	for slot := range kindred.ReplicasMax {
		owed := s.debts.ledger.Owed(hintedhandoff.Line{Head: head, Slot: slot})
		if owed.Hints > 0 && (since.IsZero() || owed.Since.Before(since)) {
			since = owed.Since
		}
	}
	return since
}

// Exposure counts the write events of the shard that few nodes hold, as far as is
// known here.
type Exposure struct {
	// Alone are on the disk of no other home, Paired on that of one only where there
	// are more.
	Alone, Paired uint64
	// Since is when the oldest was there at the latest, zero if there are none.
	Since time.Time
}

// Exposure adds up all home replicas.
func (s *Shard) Exposure() (sum Exposure) {
	for _, x := range s.exchange.order {
		alone, paired := x.Rare(x.clock())
		sum.Add(Exposure{Alone: antientropy.Count(alone), Paired: antientropy.Count(paired), Since: x.oldSince})
	}
	return sum
}

// Add counts what another replica, or another shard, has.
func (e *Exposure) Add(o Exposure) {
	e.Alone += o.Alone
	e.Paired += o.Paired
	if o.Alone+o.Paired > 0 && !o.Since.IsZero() && (e.Since.IsZero() || o.Since.Before(e.Since)) {
		e.Since = o.Since
	}
}

// noteUnshared keeps since when some of what the replica holds has been waiting for
// other homes. It follows one set of dots until all of it has come everywhere, and
// then takes the next: what is said of the age is never too much, and too little by
// no more than the first set took.
func (x *exchange) noteUnshared(now time.Time) {
	if !x.old.IsEmpty() {
		x.old = x.Unshared(x.old)
	}
	if x.old.IsEmpty() {
		x.old, x.oldSince = x.Unshared(x.clock()), now
	}
}
