package core

import (
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/hintedhandoff"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

// debtor is the guest side of a shard: what it holds for homes that could not be
// reached, and its delivery (deliver.go).
type debtor struct {
	// guests mint for the partitions that this node coordinates as a guest.
	guests map[replica.ID]*hintedhandoff.Guest
	// open are the hints that are being read, by their rows: the latch of each.
	open    map[string]*openHint
	ledger  *hintedhandoff.Ledger
	courier *hintedhandoff.Courier
	// sessions are the pages on their way, by the number of their offer; parcels
	// the writes of them that were not acknowledged yet, by their own.
	sessions map[uint64]*session
	parcels  map[uint64]parcel
	// at is when to look for the next delivery; zero if nothing can be delivered.
	at        time.Time
	recovered bool
}

func newDebtor(l Limits) debtor {
	return debtor{
		guests: map[replica.ID]*hintedhandoff.Guest{}, open: map[string]*openHint{},
		ledger:   hintedhandoff.NewLedger(l.Hints, l.HintBytes),
		courier:  hintedhandoff.NewCourier(l.HintPace),
		sessions: map[uint64]*session{}, parcels: map[uint64]parcel{},
	}
}

// openHint is the hint of a key that is being read, and the steps that wait for it,
// as openKey is for objects.
type openHint struct {
	head        wire.Head
	bucket, key string
	steps       []hintStep
}

// hintStep acts on an opened hint; err says why it could not be read.
type hintStep func(now time.Time, h *hintedhandoff.Hint, err error)

// enterHint queues a step on the hint of a key.
func (s *Shard) enterHint(head wire.Head, bucket, key string, do hintStep) {
	s.steps++
	row := string(storage.HintKey(nil, head.Partition, head.N, bucket, key))
	if o, ok := s.debts.open[row]; ok {
		o.steps = append(o.steps, do)
		return
	}
	s.debts.open[row] = &openHint{head: head, bucket: bucket, key: key, steps: []hintStep{do}}
	s.look(func() Reading {
		return func(store storage.Snapshot) func(time.Time) {
			h, err := hintedhandoff.Load(store, head, bucket, key)
			return func(now time.Time) { s.hintLoaded(now, row, h, err) }
		}
	})
}

// hintLoaded lets the steps that gathered act, and leaves one row.
func (s *Shard) hintLoaded(now time.Time, row string, h hintedhandoff.Hint, err error) {
	o := s.debts.open[row]
	delete(s.debts.open, row)
	s.steps -= len(o.steps)
	if err != nil {
		for _, do := range o.steps {
			do(now, nil, err)
		}
		return
	}
	before, had := h.Entry(), h.Dots().Clone()
	for _, do := range o.steps {
		do(now, &h, nil)
	}
	h.Save(o.head, o.bucket, o.key, &s.out.Rows)
	after := h.Entry()
	if after == before {
		s.debts.ledger.Hold(o.head, h.Dots())
		return
	}
	s.debts.ledger.Change(o.head, before, after)
	if h.IsPaid() {
		s.debts.ledger.Release(o.head, had)
	}
	s.debts.ledger.Hold(o.head, h.Dots())
	s.debtsChanged(now, o.head, before.Slots|after.Slots)
}

// onHint keeps a delta for homes that the sender cannot reach.
func (s *Shard) onHint(from string, m *wire.Hint) {
	ack := func(sync bool, refused string) {
		s.send(from, &wire.WriteAck{Head: m.Head, Op: m.Op, Refused: refused}, sync)
	}
	if why, own := s.refusal(from, m.At); why != "" {
		s.send(from, &wire.WriteAck{Head: m.Head, Op: m.Op, Refused: why, At: own}, false)
		return
	}
	w := &wire.Write{Bucket: m.Bucket, Key: m.Key, Delta: m.Delta}
	if why := s.refuseStep(w); why != "" {
		ack(false, why)
		return
	}
	if why := s.refuseHint(m); why != "" {
		s.stats.HintsRefused++
		ack(false, why)
		return
	}
	weight := weigh(w)
	s.stepBytes += weight
	s.enterHint(m.Head, m.Bucket, m.Key, func(now time.Time, h *hintedhandoff.Hint, err error) {
		s.stepBytes -= weight
		if err == nil {
			if full := h.CheckRoom(m.Delta, 0); full != nil {
				err = full
			} else {
				err = s.RefuseDots(replica.ID(m.Head), m.Delta.Dots.Minus(h.Dots()), m.Rounds)
			}
		}
		if err != nil {
			s.stats.HintsRefused++
			ack(false, err.Error())
			return
		}
		s.stats.HintsKept++
		h.Owe(m.Slots, m.Delta, m.RequestIDs, now)
		ack(m.Durability == kindred.Sync, "")
	})
}

// refuseHint says why a hint is not taken: it is no honest peer's, or it has no
// room. Nothing has been acknowledged then (invariant 4 of package hintedhandoff).
func (s *Shard) refuseHint(m *wire.Hint) string {
	switch {
	case s.layout == nil:
		return NoLayout(s.cfg.Node).Message
	case s.full != nil:
		return s.full.Message
	case s.leaves():
		return "leaves the cluster"
	}
	homes := max(len(s.homesOf(m.Head)), len(s.baseOf(m.Head)))
	if homes == 0 || m.Slots > wire.AllSlots(homes) {
		return "names slots that the partition does not have by layout " + s.layout.Version().String()
	}
	if err := replica.CheckDelta(m.Delta); err != nil {
		return err.Error()
	}
	if g := s.guestOf(m.Head); g.Forges(m.Delta.Dots) || g.Forges(m.Delta.Context) {
		return "speaks of dots that this very guest has not minted"
	}
	if err := s.debts.ledger.CheckRoom(); err != nil {
		return err.Message
	}
	return ""
}

// serveHint answers a read with what this node holds as a guest: the join of its
// hints, filled with no clock (R7, C2).
func (s *Shard) serveHint(ask *wire.Read, reply func(now time.Time, m *wire.ReadReply)) {
	s.stats.GuestReads++
	s.enterHint(ask.Head, ask.Bucket, ask.Key, func(now time.Time, h *hintedhandoff.Hint, err error) {
		m := &wire.ReadReply{Head: ask.Head, Op: ask.Op}
		if err != nil {
			m.Failed = err.Error()
		} else {
			m.Object = h.Object()
			m.Rounds, m.Void = s.Promised(replica.ID(ask.Head), m.Object.Dots()), s.voidDigest(replica.ID(ask.Head))
			if ask.Inspect && !h.IsPaid() {
				m.Context = m.Object.Context.String()
			}
		}
		reply(now, m)
	})
}

// pageOfHints reads a page of the keys that this node holds hints of.
func (s *Shard) pageOfHints(ask *wire.ScanRead) {
	s.look(func() Reading {
		return func(store storage.Snapshot) func(time.Time) {
			page := hintedhandoff.ScanPage(store, ask)
			return func(now time.Time) { s.Paged(now, ask, page) }
		}
	})
}

// RecoverHints counts the hints that the store holds for the partitions that are
// this shard's, once.
func (s *Shard) RecoverHints(store storage.Snapshot, mine func(partition uint32) bool) error {
	if s.debts.recovered {
		return nil
	}
	s.debts.recovered = true
	return s.debts.ledger.Recover(store, mine)
}

// HintDebt is what this node owes to another.
type HintDebt struct {
	Target string
	Hints  int
	Bytes  int64
	// Since is when the oldest of it was made, or earlier.
	Since time.Time
}

// HintStatus is what a shard holds as a guest. A hint for several homes counts
// once here, and on each of their debts.
type HintStatus struct {
	Hints int
	Bytes int64
	// Damaged is what could not be read at the start, and is not delivered.
	Damaged int
	Debts   []HintDebt
}

// Hints is what this node owes now, by target in the order of the lines.
func (s *Shard) Hints() HintStatus {
	st := HintStatus{Hints: s.debts.ledger.Hints(), Bytes: s.debts.ledger.Bytes(), Damaged: s.debts.ledger.Damaged()}
	at := map[string]int{}
	for _, line := range s.debts.ledger.Lines() {
		target, owed := s.targetOf(line), s.debts.ledger.Owed(line)
		i, known := at[target]
		if !known {
			i = len(st.Debts)
			at[target] = i
			st.Debts = append(st.Debts, HintDebt{Target: target, Since: owed.Since})
		}
		d := &st.Debts[i]
		d.Hints += owed.Hints
		d.Bytes += owed.Bytes
		if owed.Since.Before(d.Since) {
			d.Since = owed.Since
		}
	}
	return st
}
