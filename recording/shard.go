package recording

import (
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/buckets"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Shard is a core.Shard. With a [Tape], all that it is given is written down before
// it is given; without one that costs a comparison for each call.
type Shard struct {
	shard *core.Shard
	tape  *Tape
}

// New is a shard of that configuration, the one of the tape's header if there is one.
func New(cfg core.Config, tape *Tape) *Shard { return &Shard{shard: core.New(cfg), tape: tape} }

// Tape is the recording of one shard while it is made.
type Tape struct {
	write func(events []byte) bool
	began time.Time
	// drift is what the wall clock has gone its own way since, wrong what it is made
	// to be wrong by.
	drift, wrong time.Duration
	// now is the time that events have which come without one.
	now   time.Duration
	off   bool
	buf   []byte
	event []byte
	out   taker
}

// NewTape begins a recording. Write takes whole events in order and must not keep
// them; once it reports false nothing more is recorded.
func NewTape(began time.Time, write func(events []byte) bool) *Tape {
	return &Tape{began: began, write: write}
}

// wallSlack is what the wall clock may drift before the shard is told.
const wallSlack = time.Millisecond

// Now is the time to give with the events of a round, now being what the clock says.
// A shard with a tape is given a time that nobody sets, and what the wall clock is
// ahead of it apart, because a recording cannot hold a time that is both.
func (s *Shard) Now(now time.Time) time.Time {
	t := s.tape
	if t == nil {
		return now
	}
	t.now = now.Sub(t.began)
	steady := t.began.Round(0).Add(t.now)
	if drift := now.Round(0).Sub(steady); (drift - t.drift).Abs() >= wallSlack {
		t.drift = drift
		s.setWall(t.drift + t.wrong)
	}
	return steady
}

func (s *Shard) setWall(ahead time.Duration) {
	s.before(&Event{Kind: Wall, Ahead: ahead})
	s.shard.SetWall(ahead)
	s.after()
}

// SetWall is that of core.Shard.
func (s *Shard) SetWall(ahead time.Duration) {
	if s.tape == nil {
		s.shard.SetWall(ahead)
		return
	}
	s.tape.wrong = ahead
	s.setWall(s.tape.drift + ahead)
}

// note records an event at the time of the round.
func (t *Tape) note(e *Event) {
	if t.off {
		return
	}
	e.At, e.Sum = t.now, t.out.sum
	t.event = e.appendTo(t.event[:0])
	t.buf = appendFrame(t.buf, t.event)
	if cap(t.event) > 1<<20 {
		t.event = nil
	}
}

// Flush hands on what has gathered: after each take, and when the process ends.
func (s *Shard) Flush() {
	if s.tape != nil {
		s.tape.flush()
	}
}

func (t *Tape) flush() {
	if t.off || len(t.buf) == 0 {
		return
	}
	if !t.write(t.buf) {
		t.off = true
	}
	t.buf = t.buf[:0]
	if t.off || cap(t.buf) > 4<<20 {
		t.buf = nil
	}
}

// before records an event that is about to be given, and after adds what came of it.
func (s *Shard) before(e *Event) { s.tape.note(e) }

func (s *Shard) after() {
	if s.tape != nil && !s.tape.off {
		s.tape.out.add(s.shard.Effects(), nil)
	}
}

// Take returns the effects, to be carried out at once and then reset.
func (s *Shard) Take() *core.Effects {
	out := s.shard.Effects()
	if s.tape != nil {
		if !out.Empty() {
			s.before(&Event{Kind: Taken})
			s.tape.out.taken()
		}
		s.tape.flush()
	}
	return out
}

// Settled says that of the loads among the effects only so many are left: the others
// have been answered.
func (s *Shard) Settled(left int) {
	if s.tape != nil {
		s.tape.out.loads = left
	}
}

// log is for a reading at the start; nil without a tape.
func (s *Shard) log() *Log {
	if s.tape == nil {
		return nil
	}
	return NewLog(nil)
}

// Recover is that of core.Shard.
func (s *Shard) Recover(id replica.ID, store storage.Snapshot) (*replica.Replica, error) {
	log := s.log()
	r, err := s.shard.Recover(id, log.Snapshot(store))
	if log != nil {
		s.before(&Event{Kind: Recover, Replicas: []replica.ID{id}, Reads: log.reads})
		s.after()
	}
	return r, err
}

// RecoverHints is that of core.Shard; mine has to be that of the header.
func (s *Shard) RecoverHints(store storage.Snapshot, mine func(partition uint32) bool) error {
	log := s.log()
	err := s.shard.RecoverHints(log.Snapshot(store), mine)
	if log != nil {
		s.before(&Event{Kind: RecoverHints, Reads: log.reads})
		s.after()
	}
	return err
}

// RecoverPromises is that of core.Shard; mine has to be that of the header.
func (s *Shard) RecoverPromises(store storage.Snapshot, mine func(partition uint32) bool) error {
	log := s.log()
	err := s.shard.RecoverPromises(log.Snapshot(store), mine)
	if log != nil {
		s.before(&Event{Kind: RecoverPromises, Reads: log.reads})
		s.after()
	}
	return err
}

// SetPhase is that of core.Shard.
func (s *Shard) SetPhase(phase *ring.Phase, recovered []*replica.Replica) {
	if s.tape != nil {
		e := &Event{Kind: Phase, Bytes: phase.AppendTo(nil)}
		for _, r := range recovered {
			e.Replicas = append(e.Replicas, r.ID())
		}
		s.before(e)
	}
	s.shard.SetPhase(phase, recovered)
	s.after()
}

// SetBuckets is that of core.Shard.
func (s *Shard) SetBuckets(registry *buckets.Registry) {
	if s.tape != nil {
		s.before(&Event{Kind: Buckets, Bytes: registry.Bytes()})
	}
	s.shard.SetBuckets(registry)
	s.after()
}

// SetLink is that of core.Shard.
func (s *Shard) SetLink(now time.Time, peer string, up bool) {
	if s.tape != nil {
		s.before(&Event{Kind: Link, Peer: peer, Up: up})
	}
	s.shard.SetLink(now, peer, up)
	s.after()
}

// SetFull is that of core.Shard.
func (s *Shard) SetFull(err *kindred.Error) {
	if s.tape != nil {
		s.before(&Event{Kind: Full, Full: err})
	}
	s.shard.SetFull(err)
	s.after()
}

// Drain is that of core.Shard.
func (s *Shard) Drain() {
	if s.tape != nil {
		s.before(&Event{Kind: Drain})
	}
	s.shard.Drain()
	s.after()
}

// Resume is that of core.Shard.
func (s *Shard) Resume() {
	if s.tape != nil {
		s.before(&Event{Kind: Resume})
	}
	s.shard.Resume()
	s.after()
}

// Request is that of core.Shard.
func (s *Shard) Request(now time.Time, token uint64, req *kindred.Request) {
	if s.tape != nil {
		s.before(&Event{Kind: Request, Number: token, Request: req})
	}
	s.shard.Request(now, token, req)
	s.after()
}

// Message is that of core.Shard.
func (s *Shard) Message(now time.Time, from string, m wire.Message) {
	if s.tape != nil {
		s.before(&Event{Kind: Message, Peer: from, Message: m})
	}
	s.shard.Message(now, from, m)
	s.after()
}

// Loaded is that of core.Shard; reads are what the object was made of.
func (s *Shard) Loaded(now time.Time, row string, object wire.Object, reads *Log, err error) {
	if s.tape != nil {
		s.before(&Event{Kind: Loaded, Row: row, Absent: reads == nil, Reads: reads.Bytes()})
	}
	s.shard.Loaded(now, row, object, err)
	s.after()
}

// Paged is that of core.Shard; number is that of the page, counted over all takes.
func (s *Shard) Paged(now time.Time, number uint64, ask *wire.ScanRead, page *wire.ScanReply) {
	if s.tape != nil {
		s.before(&Event{Kind: Paged, Number: number, Message: page})
	}
	s.shard.Paged(now, ask, page)
	s.after()
}

// Reads records a part of what a look found, before Seen.
func (s *Shard) Reads(number uint64, reads []byte) {
	if s.tape != nil {
		s.before(&Event{Kind: Read, Number: number, Reads: reads})
	}
}

// Seen gives the shard what a look came to; number is that of the look, counted over
// all takes.
func (s *Shard) Seen(now time.Time, number uint64, reads *Log, seen func(now time.Time)) {
	if s.tape != nil {
		s.before(&Event{Kind: Seen, Number: number, Reads: reads.Bytes()})
	}
	seen(now)
	s.after()
}

// Synced is that of core.Shard.
func (s *Shard) Synced(seqs []uint64) {
	if s.tape != nil {
		s.before(&Event{Kind: Synced, Syncs: seqs})
	}
	s.shard.Synced(seqs)
	s.after()
}

// Tick is that of core.Shard.
func (s *Shard) Tick(now time.Time) {
	if s.tape != nil {
		s.before(&Event{Kind: Tick})
	}
	s.shard.Tick(now)
	s.after()
}

// AuditRange is that of core.Shard.
func (s *Shard) AuditRange(low, high []byte) {
	if s.tape != nil {
		s.before(&Event{Kind: AuditRange, Low: low, High: high})
	}
	s.shard.AuditRange(low, high)
	s.after()
}

// Discarded is that of core.Shard.
func (s *Shard) Discarded() {
	if s.tape != nil {
		s.before(&Event{Kind: Discarded})
	}
	s.shard.Discarded()
	s.after()
}

// Repair is that of core.Shard.
func (s *Shard) Repair(now time.Time, partition int) int {
	if s.tape != nil {
		s.before(&Event{Kind: Repair, Partition: partition})
	}
	n := s.shard.Repair(now, partition)
	s.after()
	return n
}

// Checkpoint is that of core.Shard.
func (s *Shard) Checkpoint() {
	if s.tape != nil {
		s.before(&Event{Kind: Checkpoint})
	}
	s.shard.Checkpoint()
	s.after()
}

// Drop is that of core.Shard.
func (s *Shard) Drop(id replica.ID) bool {
	if s.tape != nil {
		s.before(&Event{Kind: Drop, Replicas: []replica.ID{id}})
	}
	dropped := s.shard.Drop(id)
	s.after()
	return dropped
}

// What follows asks the shard and changes nothing.

// Deadline is that of core.Shard.
func (s *Shard) Deadline() (time.Time, bool) { return s.shard.Deadline() }

// Effects is that of core.Shard, to look at: who carries them out calls Take.
func (s *Shard) Effects() *core.Effects { return s.shard.Effects() }

// Has is that of core.Shard.
func (s *Shard) Has(id replica.ID) bool { return s.shard.Has(id) }

// Complete is that of core.Shard.
func (s *Shard) Complete() (ring.Version, bool) { return s.shard.Complete() }

// Taken is that of core.Shard.
func (s *Shard) Taken() []int { return s.shard.Taken() }

// Incomplete is that of core.Shard.
func (s *Shard) Incomplete() []kindred.IncompleteCopies { return s.shard.Incomplete() }

// Droppable is that of core.Shard.
func (s *Shard) Droppable() []replica.ID { return s.shard.Droppable() }

// Base is that of core.Shard.
func (s *Shard) Base(id replica.ID) (vclock.DotSet, bool) { return s.shard.Base(id) }

// Stats is that of core.Shard.
func (s *Shard) Stats() core.Stats { return s.shard.Stats() }

// Status is that of core.Shard.
func (s *Shard) Status(now time.Time) []kindred.ReplicaStatus { return s.shard.Status(now) }

// HintStatus is that of core.Shard.
func (s *Shard) HintStatus() kindred.HintStatus { return s.shard.HintStatus() }

// Hints is that of core.Shard.
func (s *Shard) Hints() core.HintStatus { return s.shard.Hints() }

// Repairs is that of core.Shard.
func (s *Shard) Repairs() kindred.Repairs { return s.shard.Repairs() }

// Unshared is that of core.Shard.
func (s *Shard) Unshared() []core.Holding { return s.shard.Unshared() }

// Holds is that of core.Shard.
func (s *Shard) Holds(of []core.Holding) []core.Holding { return s.shard.Holds(of) }

// Exposure is that of core.Shard.
func (s *Shard) Exposure() core.Exposure { return s.shard.Exposure() }

// Untrusted is that of core.Shard.
func (s *Shard) Untrusted() []core.ExchangeStatus { return s.shard.Untrusted() }

// Core is the shard itself, for tests that look into it; it must not be given events.
func (s *Shard) Core() *core.Shard { return s.shard }
