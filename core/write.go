package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// writeOp is a put or delete that this node coordinates as a home replica.
type writeOp struct {
	request
	homes  []string
	quorum kindred.Quorum
	seen   vclock.DotSet
	// put is nil until the dot is minted: so long nothing has been applied.
	put   *replica.Put
	write *wire.Write
}

func (s *Shard) startWrite(now time.Time, base request, homes []string, quorum kindred.Quorum) {
	r := s.replicas[replica.ID{Partition: base.head.Partition, N: base.head.N}]
	if r == nil || !slices.Contains(homes, s.cfg.Node) {
		s.startForward(base, homes)
		return
	}
	if err := s.admitWrite(base.req, homes, quorum); err != nil {
		s.refuse(base.ask, err)
		return
	}
	seen, err := replica.DecodeContext(base.req.Bucket, base.req.Key, base.req.Context)
	if err == nil {
		err = r.CheckContext(seen)
	}
	if err != nil {
		s.refuse(base.ask, err)
		return
	}
	if base.req.Op == kindred.OpDelete && len(base.req.Context) == 0 {
		s.readThenDelete(now, base, homes, quorum)
		return
	}
	s.coordinate(&writeOp{request: base, homes: homes, quorum: quorum, seen: seen}, r)
}

// admitWrite refuses what cannot succeed before a dot exists for it.
func (s *Shard) admitWrite(req *kindred.Request, homes []string, quorum kindred.Quorum) *kindred.Error {
	if s.full != nil {
		return s.full
	}
	return replica.Unavailable(req.Op, homes, quorum.W, s.reachable)
}

func (s *Shard) coordinate(o *writeOp, r *replica.Replica) {
	s.register(o)
	s.stats.Writes++
	s.enter(r, o.req.Bucket, o.req.Key, func(now time.Time, k *replica.Key, err error) {
		o.mint(s, now, k, err)
	})
}

// mint is the step at this replica: it makes the write event, once, and sends it
// to the other homes.
func (o *writeOp) mint(s *Shard, now time.Time, k *replica.Key, err error) {
	if _, waiting := s.operations[o.seq]; !waiting {
		return
	}
	if err != nil {
		o.refuse(s, &kindred.Error{
			Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied, Need: o.quorum.W,
			Failed:  []kindred.NodeFailure{{Node: s.cfg.Node, Reason: err.Error()}},
			Message: o.req.Op.String() + ": the coordinator cannot read the object; nothing was done",
		})
		return
	}
	dot, delta, refused := o.apply(s, now, k)
	if refused != nil {
		o.refuse(s, refused)
		return
	}
	o.put = replica.NewPut(o.homes, o.quorum, dot)
	o.write = &wire.Write{
		Head: o.head, Op: s.opID(o.seq), Durability: o.durability(),
		Bucket: o.req.Bucket, Key: o.req.Key, Delta: delta,
	}
	if id := o.requestID(); !id.IsZero() && !delta.Has(dot) {
		o.write.RequestIDs = []wire.DotRequest{{Dot: dot, ID: id}}
	}
	for _, h := range o.homes {
		if h != s.cfg.Node { // also to one that may not be able to answer
			s.send(h, o.write, false)
		}
	}
	if o.durability() == kindred.Sync {
		s.out.Syncs = append(s.out.Syncs, o.seq)
		return
	}
	o.ack(s, s.cfg.Node)
}

// apply changes the object, unless the request has been served before (R19).
func (o *writeOp) apply(s *Shard, now time.Time, k *replica.Key) (vclock.Dot, wire.Delta, *kindred.Error) {
	if dot, ok := k.Served(o.requestID()); ok {
		s.stats.Retries++
		if len(o.req.Context) == 0 {
			// What this attempt has read for a delete is not what the write had
			// seen: a receipt that covers it would let its client delete it unseen.
			o.seen = vclock.DotSet{}
		}
		return dot, k.Whole(dot), nil
	}
	if o.req.Op == kindred.OpDelete {
		dot, delta := k.Delete(o.seen, o.requestID(), &s.out.Rows)
		return dot, delta, nil
	}
	rec, err := o.record(s, s.wall(now), k)
	if err == nil {
		err = k.CheckRoom(o.seen, rec.Causes.Has(kindred.CauseBlind), rec)
	}
	if err != nil {
		return vclock.Dot{}, wire.Delta{}, err
	}
	dot, delta := k.Write(o.seen, rec, &s.out.Rows)
	if len(k.Object().Versions) > kindred.SiblingsWarn {
		s.stats.ManySiblings++
	}
	return dot, delta, nil
}

// record is what a put stores.
func (o *writeOp) record(s *Shard, wall int64, k *replica.Key) (wire.Record, *kindred.Error) {
	expires, err := expiry(o.req, wall)
	return wire.Record{
		RequestID: o.requestID(), Node: s.cfg.Node, WrittenAt: wall, Causes: o.causes(s, wall, k),
		ExpiresAt: expires, ContentType: o.req.ContentType, Value: o.req.Value,
	}, err
}

// causes are the circumstances of a put, as its coordinator knows them.
func (o *writeOp) causes(s *Shard, wall int64, k *replica.Key) (c kindred.Causes) {
	replaced := 0
	for _, v := range k.Object().Versions {
		switch {
		case o.seen.Contains(v.Dot):
			replaced++
		case !v.Value.ExpiresAt.Over(wall):
			c |= kindred.CauseBeside
		}
	}
	for _, f := range [...]struct {
		is    bool
		cause kindred.Causes
	}{
		{len(o.req.Context) == 0, kindred.CauseBlind},
		{replaced > 1, kindred.CauseMerge},
		{o.req.Resent, kindred.CauseRetry},
		{o.ask.peer != "", kindred.CauseForwarded},
		{slices.ContainsFunc(o.homes, func(h string) bool { return !s.reachable(h) }), kindred.CauseCut},
	} {
		if f.is {
			c |= f.cause
		}
	}
	return c
}

// requestID is what replicas file the write under (R19).
func (o *writeOp) requestID() kindred.RequestID {
	if o.req.Op == kindred.OpDelete {
		return o.req.RequestID.ForDelete()
	}
	return o.req.RequestID
}

func (o *writeOp) durability() kindred.Durability {
	if o.req.Durability == kindred.DurabilityDefault {
		return kindred.Batch
	}
	return o.req.Durability
}

// Synced names operations whose rows are durable at this node.
func (s *Shard) Synced(seqs []uint64) {
	for _, seq := range seqs {
		if s.exchange.synced(seq) {
			continue
		}
		if o, ok := s.operations[seq].(*writeOp); ok {
			o.ack(s, s.cfg.Node)
		}
	}
}

func (o *writeOp) ack(s *Shard, node string) {
	o.put.Ack(node)
	if !o.put.Enough() {
		o.giveUp(s)
		return
	}
	s.finish(o)
	after := o.seen.Clone()
	after.Add(o.put.Dot())
	s.answer(o.ask, &kindred.Response{
		Context: replica.EncodeContext(o.req.Bucket, o.req.Key, after),
		Receipt: kindred.Receipt{
			Dot: o.put.Dot().String(), Stage: kindred.Replicated, Durability: o.durability(), Acked: o.put.Acked(),
		},
	})
}

func (o *writeOp) fail(s *Shard, node, reason string) {
	o.put.Fail(node, reason)
	o.giveUp(s)
}

// giveUp answers as soon as every home has spoken and the quorum is not met.
func (o *writeOp) giveUp(s *Shard) {
	if o.put.Hopeless() {
		s.finish(o)
		s.refuse(o.ask, o.put.Timeout(o.req.Op))
	}
}

// resend repeats the write to a peer that came back.
func (o *writeOp) resend(s *Shard, peer string) {
	if o.put == nil {
		return
	}
	for _, h := range o.put.Waiting() {
		if h == peer {
			s.stats.Resends++
			s.send(peer, o.write, false)
		}
	}
}

func (o *writeOp) refuse(s *Shard, err *kindred.Error) {
	s.finish(o)
	s.refuse(o.ask, err)
}

func (o *writeOp) expire(s *Shard, _ time.Time) {
	if o.put != nil {
		o.refuse(s, o.put.Timeout(o.req.Op))
		return
	}
	o.refuse(s, &kindred.Error{
		Code: kindred.CodeTimeout, Outcome: kindred.NotApplied, Need: o.quorum.W,
		Message: o.req.Op.String() + ": the coordinator did not get to read the object in time; nothing was done",
	})
}
