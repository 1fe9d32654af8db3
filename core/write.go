package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/hintedhandoff"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// writeOp is a put or delete that this node coordinates, as a home replica or as a
// guest.
type writeOp struct {
	request
	// at is the phase that the write goes by, homes and base are those of its layouts
	// that count, each with the quorum that it needs; base is mostly nil.
	at                 ring.Progress
	homes, base        []string
	quorum, baseQuorum kindred.Quorum
	seen               vclock.DotSet
	// put is nil until the dot is minted: so long nothing has been applied.
	put   *replica.Put
	write *wire.Write
	// hints are the fallbacks that were asked, and for which slots; silent are the
	// nodes that have not answered in good time.
	hints  map[string]wire.Slots
	silent []string
	// whole: the write carries the whole object, with effects of other events.
	whole bool
	// unread: what the write had seen is not known here (see context).
	unread bool
	// renewed: it goes on by another layout than that by which it was made.
	renewed bool
}

func (s *Shard) startWrite(now time.Time, base request, homes []string, quorum kindred.Quorum) {
	r := s.replicas[replica.ID(base.head)]
	if r == nil || r.Retired() || !slices.Contains(homes, s.cfg.Node) && !slices.Contains(s.baseOf(base.head), s.cfg.Node) {
		s.startForward(now, base, homes, quorum)
		return
	}
	if err := s.admitWrite(&base, homes, quorum); err != nil {
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
	s.coordinate(now, &writeOp{request: base, homes: homes, quorum: quorum, seen: seen})
}

// admitWrite refuses what cannot succeed before a dot exists for it.
func (s *Shard) admitWrite(base *request, homes []string, quorum kindred.Quorum) *kindred.Error {
	if s.full != nil {
		return s.full
	}
	return s.unwritable(base, homes, quorum)
}

// unwritable refuses a write that cannot meet its quorum among the homes of each layout
// that counts.
func (s *Shard) unwritable(base *request, homes []string, quorum kindred.Quorum) *kindred.Error {
	old, needs, err := s.baseQuorum(base, quorum.Sloppy)
	if err == nil {
		err = s.unavailable(base, s.guestsBy(base.head), homes, quorum.Sloppy, quorum.W, quorum.PW)
	}
	if err == nil && old != nil {
		err = s.unavailable(base, s.phase.Base(), old, quorum.Sloppy, needs.W, needs.PW)
	}
	return err
}

// baseQuorum is what a request needs of the homes by the layout before, if these count.
func (s *Shard) baseQuorum(base *request, sloppy bool) (homes []string, quorum kindred.Quorum, err *kindred.Error) {
	if homes = s.baseOf(base.head); homes == nil {
		return nil, quorum, nil
	}
	quorum, err = kindred.Resolve(len(homes), base.req.R, base.req.W, base.req.PR, base.req.PW)
	quorum.Sloppy = sloppy
	return homes, quorum, err
}

// aim finds out whose quorums the write needs now.
func (o *writeOp) aim(s *Shard) (err *kindred.Error) {
	sloppy := o.quorum.Sloppy
	o.at, o.homes = s.phase.Progress(), s.homesOf(o.head)
	if o.quorum, err = kindred.Resolve(len(o.homes), o.req.R, o.req.W, o.req.PR, o.req.PW); err != nil {
		return err
	}
	o.quorum.Sloppy = sloppy
	o.base, o.baseQuorum, err = s.baseQuorum(&o.request, sloppy)
	return err
}

func (s *Shard) coordinate(now time.Time, o *writeOp) {
	o.at = s.phase.Progress()
	o.base, o.baseQuorum, _ = s.baseQuorum(&o.request, o.quorum.Sloppy)
	if o.quorum.Sloppy {
		o.nudged = s.nudgeAfter(now, &o.request)
	}
	s.register(o)
	s.stats.Writes++
	if o.guest {
		s.enterHint(o.head, o.req.Bucket, o.req.Key, func(now time.Time, h *hintedhandoff.Hint, err error) {
			o.mintAsGuest(s, now, h, err)
		})
		return
	}
	r := s.replicas[replica.ID(o.head)]
	s.enterStep(r, o.req.Bucket, o.req.Key, o)
}

// act is the step at this replica: it makes the write event, once, and sends it
// to the other homes.
func (o *writeOp) act(s *Shard, now time.Time, k *replica.Key, err error) {
	if _, waiting := s.operations[o.seq]; !waiting {
		return
	}
	if o.at != s.phase.Progress() {
		s.restart(now, o)
		return
	}
	if err != nil {
		o.refuse(s, o.unreadable(s, err))
		return
	}
	dot, delta, refused := o.apply(s, now, k)
	if refused != nil {
		o.refuse(s, refused)
		return
	}
	o.minted(s, dot, delta, o.requestIDs(dot, delta))
}

func (o *writeOp) unreadable(s *Shard, err error) *kindred.Error {
	return &kindred.Error{
		Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied, Need: o.quorum.W,
		Failed:  []kindred.NodeFailure{{Node: s.cfg.Node, Reason: err.Error()}},
		Message: o.req.Op.String() + ": the coordinator cannot read the object; nothing was done",
	}
}

// requestIDs names the request of a dot that the delta does not name.
func (o *writeOp) requestIDs(dot vclock.Dot, delta wire.Delta) []wire.DotRequest {
	id := o.requestID()
	if id.IsZero() || delta.Has(dot) {
		return nil
	}
	return []wire.DotRequest{{Dot: dot, ID: id}}
}

// minted sends what the step at this node has made to everybody else, and waits.
func (o *writeOp) minted(s *Shard, dot vclock.Dot, delta wire.Delta, ids []wire.DotRequest) {
	o.write = &wire.Write{
		Head: o.head, Op: s.opID(o.seq), Durability: o.durability(),
		Bucket: o.req.Bucket, Key: o.req.Key, Delta: delta, RequestIDs: ids,
		Rounds: s.Promised(replica.ID(o.head), delta.Dots), At: o.at,
	}
	o.spread(s, dot)
}

// spread sends the write to those whose quorums count now, and waits.
func (o *writeOp) spread(s *Shard, dot vclock.Dot) {
	o.put = replica.NewPut(o.homes, o.quorum, dot)
	if o.base != nil {
		o.put.SetBase(o.base, o.baseQuorum)
	}
	for _, h := range o.homes {
		if h != s.cfg.Node { // also to one that may not be able to answer
			s.send(h, o.write, o.whole)
		}
	}
	for _, h := range o.base {
		if h != s.cfg.Node && !slices.Contains(o.homes, h) {
			s.send(h, o.write, o.whole)
		}
	}
	if o.guest && s.standsIn(s.guestsBy(o.head)) {
		o.put.Invite(s.cfg.Node)
	}
	if o.guest && s.standsIn(s.phase.Base()) {
		o.put.InviteBase(s.cfg.Node)
	}
	o.turn(s)
	if !o.holds(s, dot) {
		return
	}
	if o.durability() == kindred.Sync {
		s.out.Syncs = append(s.out.Syncs, o.seq)
		return
	}
	o.ack(s, s.cfg.Node)
}

// holds reports whether this node has the write event, as it has when it has just
// minted it: as a guest it may have delivered it since, and as a home given up its
// replica. A guest that has become a home meanwhile counts as one, and holds what its
// replica has.
func (o *writeOp) holds(s *Shard, dot vclock.Dot) bool {
	home := slices.Contains(o.homes, s.cfg.Node) || slices.Contains(o.base, s.cfg.Node)
	switch {
	case !o.renewed:
		return true
	case o.guest && !home:
		return s.debts.ledger.Held(o.head).Contains(dot)
	}
	r := s.replicas[replica.ID(o.head)]
	return r != nil && r.Clock().Contains(dot)
}

// apply changes the object, unless the request has been served before (R19).
func (o *writeOp) apply(s *Shard, now time.Time, k *replica.Key) (vclock.Dot, wire.Delta, *kindred.Error) {
	if k.Damaged() {
		return vclock.Dot{}, wire.Delta{}, &kindred.Error{
			Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied, Need: o.quorum.W,
			Failed:  []kindred.NodeFailure{{Node: s.cfg.Node, Reason: isDamaged}},
			Message: o.req.Op.String() + ": the coordinator has lost something near the object and is being restored; nothing was done",
		}
	}
	if dot, ok := k.Served(o.requestID()); ok {
		o.serveAgain(s)
		return dot, k.Again(dot, &s.out.Rows), nil
	}
	if o.req.Op == kindred.OpDelete {
		dot, delta := k.Delete(o.seen, o.requestID(), &s.out.Rows)
		return dot, delta, nil
	}
	held := k.Object().Versions
	if o.lastWins() {
		// As if the client had read what this replica holds in this very step.
		o.overrule(s, held, k.Filled().Seen())
	}
	rec, err := o.record(s, s.wall(now), held)
	if err == nil {
		err = k.CheckRoom(o.seen, o.isBlind(), rec)
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

// serveAgain notes that the write was made before (R19). What a delete without a
// context had read then is not what this attempt has read, and a put where the last
// writer wins had seen what its coordinator held.
func (o *writeOp) serveAgain(s *Shard) {
	s.stats.Retries++
	byName := o.req.Op == kindred.OpDelete && len(o.req.Context) == 0
	o.unread = byName || o.req.Op == kindred.OpPut && o.lastWins()
	o.whole = true // it leaves durable: nothing of it can be lost here and stay there (C8)
}

// record is what a put stores beside those versions.
func (o *writeOp) record(s *Shard, wall int64, beside []vclock.Version[wire.Record]) (wire.Record, *kindred.Error) {
	expires, err := expiry(o.req, wall)
	written := wall
	if o.lastWins() {
		written = replica.Later(wall, beside)
	}
	return wire.Record{
		RequestID: o.requestID(), Node: s.cfg.Node, WrittenAt: written, Causes: o.causes(s, wall, beside),
		ExpiresAt: expires, ContentType: o.req.ContentType, Value: o.req.Value,
	}, err
}

// causes are the circumstances of a put, as its coordinator knows them.
func (o *writeOp) causes(s *Shard, wall int64, beside []vclock.Version[wire.Record]) (c kindred.Causes) {
	replaced := 0
	for _, v := range beside {
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
		{o.guest, kindred.CauseGuest},
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
	o.look(s)
}

// look answers if the quorums are met.
func (o *writeOp) look(s *Shard) {
	if !o.put.Enough() {
		o.giveUp(s)
		return
	}
	s.finish(o)
	s.answer(o.ask, &kindred.Response{
		Context: o.context(),
		Receipt: kindred.Receipt{
			Dot: o.put.Dot().String(), Stage: kindred.Replicated, Durability: o.durability(),
			Acked: o.put.Acked(), Guests: o.put.Guests(), ExpiresAt: o.expiry(),
		},
	})
}

// expiry is that of the value which was written, zero if there is none.
func (o *writeOp) expiry() time.Time {
	for _, v := range o.write.Delta.Versions {
		if v.Dot == o.put.Dot() {
			return v.Value.ExpiresAt.Time()
		}
	}
	return time.Time{}
}

// context is what the client has seen now. Some writes have seen more than their
// client, and a replica that serves one again does not know what: a context with the
// dot and without its causal past would break R2 in the next write, and one with more
// than that would let the client delete it unseen. So there is none: the client goes
// on as somebody who has seen nothing.
func (o *writeOp) context() []byte {
	if o.unread {
		return nil
	}
	after := o.seen.Clone()
	after.Add(o.put.Dot())
	return replica.EncodeContext(o.req.Bucket, o.req.Key, after)
}

func (o *writeOp) fail(s *Shard, node, reason string) {
	o.put.Fail(node, reason)
	o.turn(s)
	o.giveUp(s)
}

// giveUp answers as soon as everybody has spoken and the quorum is not met.
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
	if (slices.Contains(o.homes, peer) || slices.Contains(o.base, peer)) && slices.Contains(o.put.Waiting(), peer) {
		s.stats.Resends++
		s.send(peer, o.write, o.whole)
	}
	if slots := o.hints[peer]; slots != 0 && slices.Contains(o.put.Waiting(), peer) {
		s.stats.Resends++
		s.sendHint(peer, o.write, slots, o.whole)
	}
}

func (o *writeOp) refuse(s *Shard, err *kindred.Error) {
	s.finish(o)
	s.refuse(o.ask, err)
}

func (o *writeOp) expire(s *Shard, _ time.Time) {
	if o.put != nil {
		for _, f := range o.differing {
			o.put.Fail(f.Node, f.Reason)
		}
		o.refuse(s, o.put.Timeout(o.req.Op))
		return
	}
	o.refuse(s, &kindred.Error{
		Code: kindred.CodeTimeout, Outcome: kindred.NotApplied, Need: o.quorum.W,
		Message: o.req.Op.String() + ": the coordinator did not get to read the object in time; nothing was done",
	})
}
