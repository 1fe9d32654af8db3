package core

import (
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

const notHome = "is not a home of the partition"

// Message takes a message of a peer. One that belongs to no operation of this
// very process is counted and dropped (R10).
func (s *Shard) Message(now time.Time, from string, m wire.Message) {
	s.silences.hear(now, from)
	s.pacing.hear(now, m)
	switch m := m.(type) {
	case *wire.Write:
		s.onWrite(from, m)
	case *wire.Read:
		s.onRead(from, m)
	case *wire.ScanRead:
		s.onScanRead(from, m)
	case *wire.Forward:
		s.onForward(now, from, m)
	case *wire.Clock:
		s.onClock(now, from, m)
	case *wire.Pull:
		s.onPull(now, from, m)
	case *wire.Pieces:
		s.onPieces(now, from, m)
	case *wire.Hint:
		s.onHint(from, m)
	case *wire.HintOffer:
		s.onHintOffer(from, m)
	case *wire.HintLacks:
		s.onHintLacks(now, from, m)
	case *wire.WriteAck:
		if !s.delivered(now, from, m) {
			s.onWriteAck(now, from, m)
		}
	case *wire.ReadReply:
		if o, ok := own[hearer](s, m.Op); ok {
			o.heard(s, now, from, m)
		}
	case *wire.AuditTree:
		s.onAuditTree(from, m)
	case *wire.AuditList:
		s.onAuditList(from, m)
	case *wire.AuditFetch:
		s.onAuditFetch(from, m)
	case *wire.AuditLeaves:
		s.auditor.onLeaves(s, now, from, m)
	case *wire.AuditKeys:
		s.auditor.onKeys(s, now, from, m)
	case *wire.AuditObjects:
		s.auditor.onObjects(s, now, from, m)
	case *wire.ScanReply:
		if o, ok := own[*scanOp](s, m.Op); ok {
			o.heard(s, now, from, m)
		}
	case *wire.ForwardReply:
		if o, ok := own[*forwardOp](s, m.Op); ok {
			o.heard(s, now, from, m)
		}
	case *wire.TimeAsk:
		s.send(from, &wire.TimeTell{Head: m.Head, Op: m.Op, Wall: s.wall(now)}, false)
	case *wire.TimeTell:
		s.expirer.told(s, now, from, m)
	case *wire.RebuildRead:
		s.onRebuildRead(from, m)
	case *wire.RebuildPage:
		s.onRebuildPage(now, from, m)
	case *wire.CloseAsk:
		s.closer.onAsk(now, from, m)
	case *wire.CloseReply:
		if !s.auditor.testified(s, now, from, m) {
			s.closer.onReply(now, from, m)
		}
	case *wire.CloseTell:
		s.closer.onTell(now, m)
	default:
		s.stats.Stray++
	}
}

// hearer is an operation that asks replicas for what they hold.
type hearer interface {
	operation
	heard(s *Shard, now time.Time, node string, m *wire.ReadReply)
}

func (s *Shard) onWriteAck(now time.Time, from string, m *wire.WriteAck) {
	o, ok := own[operation](s, m.Op)
	if !ok {
		return
	}
	switch o := o.(type) {
	case *writeOp:
		switch {
		case o.put == nil:
		case m.Refused != "" && m.At.Step != 0:
			s.putOff(now, o, o.at, from, m.Refused)
		case m.Refused != "":
			o.fail(s, from, m.Refused)
		default:
			o.ack(s, from)
		}
	case *repairOp:
		o.acked(s, now, from, m.Refused)
	}
}

// own finds the operation that a peer answers, if it is this process's.
func own[O operation](s *Shard, id wire.OpID) (o O, ok bool) {
	if id.Process == s.cfg.Start.Nonce {
		o, ok = s.operations[id.Seq].(O)
	}
	if !ok {
		s.stats.Stray++
	}
	return o, ok
}

func (s *Shard) onWrite(from string, m *wire.Write) {
	if why, own := s.refusal(from, m.At); why != "" {
		s.send(from, &wire.WriteAck{Head: m.Head, Op: m.Op, Refused: why, At: own}, false)
		return
	}
	if why := s.refuseStep(m); why != "" {
		s.answerWrite(from, m, false, why)
		return
	}
	x := &joinStep{m: m, from: from, weight: weigh(m)}
	s.stepBytes += x.weight
	s.enterJoin(x)
}

// answerWrite tells a peer what became of its write, if it wants to know.
func (s *Shard) answerWrite(from string, m *wire.Write, sync bool, refused string) {
	if m.Op.IsZero() {
		return
	}
	ack := &wire.WriteAck{Head: m.Head, Op: m.Op, Refused: refused}
	if refused != "" {
		_, ack.At = s.refusal(from, m.At) // the phase may have changed while it waited
	}
	s.send(from, ack, sync)
}

// refuseStep says why a delta of a peer cannot wait for the disk here, if it cannot.
func (s *Shard) refuseStep(m *wire.Write) string {
	switch {
	case s.steps >= s.cfg.Limits.Steps:
		return s.overloaded("steps waiting for the disk", s.cfg.Limits.Steps).Message
	case s.stepBytes > 0 && s.stepBytes+weigh(m) > s.cfg.Limits.StepBytes:
		return s.overloaded("bytes of writes waiting for the disk", s.cfg.Limits.StepBytes).Message
	}
	return ""
}

// spanBytes is the memory of one span of a dot set.
const spanBytes = 32

// weigh is about what a write holds while it waits, and what it will write: a
// small message can name many dots, and each has a row with the key in it.
func weigh(m *wire.Write) int {
	row := 64 + len(m.Bucket) + len(m.Key)
	bytes := row
	for _, v := range m.Delta.Versions {
		bytes += len(v.Value.Value)
	}
	for range m.Delta.Context.Spans() {
		bytes += spanBytes
	}
	for _, span := range m.Delta.Dots.Spans() {
		bytes += row * int(min(span.Hi-span.Lo, replica.DeltaDotsMax))
	}
	return bytes
}

// joinStep merges a write into an object of this replica (R3).
type joinStep struct {
	m *wire.Write
	// from is the peer that is to be answered, weight what its write held meanwhile.
	from   string
	weight int
	// done is told the outcome where no peer is; sync says that this must wait for
	// the disk.
	done func(sync bool, refused string)
}

// join merges a delta into this replica and reports the outcome.
func (s *Shard) join(m *wire.Write, done func(sync bool, refused string)) {
	s.enterJoin(&joinStep{m: m, done: done})
}

func (s *Shard) enterJoin(x *joinStep) {
	r := s.replicas[replica.ID{Partition: x.m.Partition, N: x.m.N}]
	switch {
	case r == nil:
		x.end(s, false, notHome)
	case s.full != nil:
		x.end(s, false, s.full.Message)
	default:
		s.enterStep(r, x.m.Bucket, x.m.Key, x)
	}
}

// act implements step.
//
// What this replica has told others to be its all of before a change must be that
// (R25), so a write that waited for the disk meanwhile comes too late.
func (x *joinStep) act(s *Shard, _ time.Time, k *replica.Key, err error) {
	if why := s.refuseFrom(x.m.At); why != "" {
		x.end(s, false, why)
		return
	}
	if err == nil {
		if err = joinKey(k, x.m, &s.out.Rows); err != nil {
			s.stats.RefusedJoins++
		}
	}
	if err != nil {
		x.end(s, false, err.Error())
		return
	}
	s.stats.Joins++
	x.end(s, x.m.Durability == kindred.Sync, "")
}

func (x *joinStep) end(s *Shard, sync bool, refused string) {
	if x.done != nil {
		x.done(sync, refused)
		return
	}
	s.stepBytes -= x.weight
	s.answerWrite(x.from, x.m, sync, refused)
}

// joinKey merges a write of a peer. One that wants no answer is a read repair.
func joinKey(k *replica.Key, m *wire.Write, rows *storage.Batch) error {
	if m.Op.IsZero() {
		return k.Mend(m.Delta, m.Rounds, m.Void, rows)
	}
	return k.Join(m.Delta, m.RequestIDs, m.Rounds, rows)
}

func (s *Shard) onRead(from string, m *wire.Read) {
	failed, own := s.refusal(from, m.At)
	home := s.isHome(replica.ID(m.Head))
	switch {
	case failed != "":
	case !home && !m.Guest:
		failed = notHome
	case s.steps >= s.cfg.Limits.Steps:
		failed = s.overloaded("steps waiting for the disk", s.cfg.Limits.Steps).Message
	}
	if failed != "" {
		s.send(from, &wire.ReadReply{Head: m.Head, Op: m.Op, Failed: failed, At: own}, false)
		return
	}
	if home {
		s.serveRead(&readStep{ask: m, from: from})
	} else {
		s.serveHint(m, func(_ time.Time, reply *wire.ReadReply) { s.sendRead(from, reply) })
	}
}

// sendRead answers a peer. Promises among what it says have to be durable.
func (s *Shard) sendRead(to string, reply *wire.ReadReply) {
	s.send(to, reply, len(reply.Rounds) > 0)
}
