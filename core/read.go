package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// readOp is a get or an inspection that this node coordinates. It asks as many homes
// as it needs, or all where that seems not to be enough, answers when R have spoken,
// and mends with what comes until all that were asked have.
type readOp struct {
	request
	get *replica.Get
	// at is the phase that it goes by, layout the one whose homes are asked.
	at     ring.Progress
	layout *ring.Layout
	views  map[string]kindred.ReplicaView
	// spare are the homes that are asked only if others fail, or are slow.
	spare []string
	// answered: the client has its answer. Lingers: more is waited for.
	answered, lingers bool
	// sloppy: guests are asked too, those that were are in guests. Silent are the
	// nodes that have not answered in good time.
	sloppy         bool
	guests, silent []string
	// then takes the place of the answer, for a delete that reads first.
	then func(s *Shard, now time.Time, get *replica.Get)
}

func (s *Shard) startRead(now time.Time, base request, homes []string, quorum kindred.Quorum) {
	o := &readOp{request: base}
	if base.req.Op == kindred.OpInspect {
		o.views = map[string]kindred.ReplicaView{}
		quorum.R, quorum.Sloppy = len(homes), false
	} else if err := s.unreadable(&base, homes, quorum); err != nil {
		s.refuse(base.ask, err)
		return
	}
	o.sloppy = quorum.Sloppy
	if o.views != nil {
		quorum.Sloppy = true // guests are asked what they keep, and nobody is turned to
		o.guests = s.noHomes(homes)
	}
	o.get = replica.NewGet(homes, quorum)
	for _, g := range o.guests {
		o.get.Invite(g)
	}
	s.read(now, o, homes)
	o.inspectGuests(s, now)
}

// noHomes are the nodes of the layout that are not among the homes: any of them may
// keep hints for these.
func (s *Shard) noHomes(homes []string) (names []string) {
	for _, n := range s.phase.Members() {
		if !slices.Contains(homes, n) {
			names = append(names, n)
		}
	}
	return names
}

// unreadable refuses a read that cannot meet its quorum now.
func (s *Shard) unreadable(base *request, homes []string, quorum kindred.Quorum) *kindred.Error {
	layout, _ := s.readersOf(base.head)
	return s.unavailable(base, layout, homes, quorum.Sloppy, quorum.R, quorum.PR)
}

// inspectGuests asks what an inspection invited besides the homes.
func (o *readOp) inspectGuests(s *Shard, now time.Time) {
	if len(o.guests) == 0 {
		return
	}
	ask := o.question(s)
	ask.Guest = true
	for _, g := range o.guests {
		switch {
		case o.views == nil:
			return // those that a get turned to were asked then
		case g == s.cfg.Node:
			s.serveHint(ask, func(now time.Time, m *wire.ReadReply) { o.heard(s, now, s.cfg.Node, m) })
		case s.linked[g]:
			s.send(g, ask, false)
		default:
			o.fail(s, now, g, "unreachable")
		}
	}
}

// readThenDelete gives a delete without a context the context of a quorum read:
// it removes what that read sees, as somebody who deletes by name expects.
func (s *Shard) readThenDelete(now time.Time, base request, homes []string, quorum kindred.Quorum) {
	_, readers := s.readersOf(base.head)
	needs, err := kindred.Resolve(len(readers), base.req.R, base.req.W, base.req.PR, base.req.PW)
	needs.Sloppy = quorum.Sloppy
	if err == nil {
		err = s.unreadable(&base, readers, needs)
	}
	if err != nil {
		s.refuse(base.ask, err)
		return
	}
	at := s.phase.Progress()
	o := &readOp{request: base, get: replica.NewGet(readers, needs), sloppy: needs.Sloppy}
	o.then = func(s *Shard, now time.Time, get *replica.Get) {
		w := &writeOp{request: base, homes: homes, quorum: quorum, seen: get.Merged().Seen()}
		if at != s.phase.Progress() { // the homes may be others now
			s.startAgain(now, &base)
			return
		}
		s.coordinate(now, w)
	}
	s.read(now, o, readers)
}

func (s *Shard) read(now time.Time, o *readOp, homes []string) {
	o.at = s.phase.Progress()
	o.layout, _ = s.readersOf(o.head)
	if o.sloppy {
		o.nudged = s.nudgeAfter(now, &o.request)
	}
	if need := o.get.Need(); need < len(homes) && s.allWell(homes) {
		self := s.cfg.Node
		if id := replica.ID(o.head); s.Rebuilding(id) || !s.trusted(id) {
			self = "" // asking itself would be in vain
			s.hedge.avoid(now, s.cfg.Node)
		}
		order := s.hedge.first(now, homes, self, s.seq)
		homes, o.spare = order[:need], order[need:]
		s.hedge.asks(now, homes)
		if at := now.Add(s.hedge.after); o.nudged.IsZero() || at.Before(o.nudged) {
			o.nudged = at
		}
	}
	s.register(o)
	s.stats.Reads++
	o.turn(s, now)
	o.askHomes(s, now, homes)
}

// allWell reports whether nothing speaks against asking only some of the homes.
func (s *Shard) allWell(homes []string) bool {
	return !slices.ContainsFunc(homes, func(h string) bool { return !s.reachable(h) || s.silences.silent[h] })
}

// askSpare asks the homes that were not asked at first.
func (o *readOp) askSpare(s *Shard, now time.Time) {
	spare := o.spare
	o.spare = nil
	s.stats.Hedges++
	o.askHomes(s, now, spare)
}

func (o *readOp) askHomes(s *Shard, now time.Time, homes []string) {
	ask := o.question(s)
	for _, h := range homes {
		switch {
		case h == s.cfg.Node:
			s.serveRead(&readStep{ask: ask, asker: o})
		case s.linked[h]:
			s.send(h, ask, false)
		default:
			o.unlinked(s, now, h)
		}
	}
}

// unlinked notes a node that no question reaches.
func (o *readOp) unlinked(s *Shard, now time.Time, node string) {
	o.get.Unlinked(node)
	o.fail(s, now, node, "unreachable")
}

func (o *readOp) question(s *Shard) *wire.Read {
	ask := &wire.Read{Head: o.head, Op: s.opID(o.seq), Bucket: o.req.Bucket, Key: o.req.Key, Inspect: o.views != nil}
	if !ask.Inspect { // which looks at what is there, whoever counts
		ask.At = o.at
	}
	return ask
}

// readStep reads an object at this replica and gives the filled reply (R5).
type readStep struct {
	ask     *wire.Read
	replica *replica.Replica
	// asker is the operation of this node that hears it, or else from the peer.
	asker hearer
	from  string
}

func (s *Shard) serveRead(x *readStep) {
	x.replica = s.replicas[replica.ID{Partition: x.ask.Partition, N: x.ask.N}]
	s.enterStep(x.replica, x.ask.Bucket, x.ask.Key, x)
}

// act implements step.
func (x *readStep) act(s *Shard, now time.Time, k *replica.Key, err error) {
	r := x.replica
	m := &wire.ReadReply{Head: x.ask.Head, Op: x.ask.Op}
	switch {
	case err != nil:
		m.Failed = err.Error()
	case !x.ask.Inspect && r.Rebuilding():
		m.Failed = beingRebuilt
	case !x.ask.Inspect && r.Retired():
		m.Failed = notHome
	case !x.ask.Inspect && !s.trusted(r.ID()):
		m.Failed = catchingUp
	case !s.readable(r.ID(), x.ask.At):
		m.Failed = notComplete
	case k.Damaged():
		m.Failed = isDamaged
	default:
		m.Object = k.Filled()
		m.Rounds, m.Void = s.vouched(r.ID(), &m.Object)
		if x.ask.Inspect {
			m.Context, m.Clock = k.Object().Context.String(), r.Clock().String()
		}
	}
	if x.asker != nil {
		x.asker.heard(s, now, s.cfg.Node, m)
	} else {
		s.sendRead(x.from, m)
	}
}

func (o *readOp) heard(s *Shard, now time.Time, node string, m *wire.ReadReply) {
	switch {
	case s.operations[o.seq] == nil:
		return // this node's own reply came after the end
	case m.Failed != "" && m.At.Step != 0 && !o.answered:
		o.differs(s, now, node, m.Failed)
		return
	case m.Failed != "":
		o.fail(s, now, node, m.Failed)
		return
	}
	for _, v := range m.Object.Versions {
		s.hold(&o.request, len(v.Value.Value))
	}
	o.get.Add(node, m.Object)
	o.get.Promised(node, m.Rounds, m.Void)
	if o.views != nil {
		o.views[node] = viewOf(node, m)
	}
	o.proceed(s, now)
}

// differs puts the read off until the node and this one work by the same layout,
// unless others answer.
func (o *readOp) differs(s *Shard, now time.Time, node, why string) {
	if len(o.spare) > 0 {
		s.hedge.avoid(now, node)
		o.askSpare(s, now)
	}
	s.putOff(now, o, o.at, node, why)
}

func (o *readOp) fail(s *Shard, now time.Time, node, reason string) {
	o.get.Fail(node, reason)
	if o.views != nil {
		if _, ok := o.views[node]; !ok {
			o.views[node] = kindred.ReplicaView{Node: node, Err: reason}
		}
	}
	if len(o.spare) > 0 {
		s.hedge.avoid(now, node)
		o.askSpare(s, now)
	}
	o.proceed(s, now)
}

// proceed answers when it can and ends when everybody has spoken.
func (o *readOp) proceed(s *Shard, now time.Time) {
	if _, running := s.operations[o.seq]; !running {
		return
	}
	over := o.get.Over()
	if over && !o.answered && !o.get.Enough() && o.turn(s, now) {
		return
	}
	if len(o.spare) > 0 && o.get.Enough() { // nobody else was asked
		over = true
		s.hedge.enough(o.get.Replied())
	}
	if !o.answered && (over || o.get.Enough() && o.views == nil) {
		o.reply(s, now, over)
	}
	if over || o.answered && s.crowded() {
		o.end(s)
	}
}

// crowded reports whether answered reads must not wait for their last replicas.
func (s *Shard) crowded() bool {
	return s.late > s.cfg.Limits.LateReads || s.bytes > s.cfg.Limits.OperationBytes/2
}

func (o *readOp) reply(s *Shard, now time.Time, over bool) {
	o.answered = true
	if !over {
		o.lingers = true
		s.late++
		o.deadline = now.Add(s.cfg.Limits.RepairWait)
		s.deadlines.add(o.deadline, o.seq)
	}
	switch {
	case o.views != nil:
		s.answer(o.ask, &kindred.Response{Replicas: o.replicaViews(), Replied: o.get.Replied()})
	case !o.get.Enough():
		s.refuse(o.ask, o.get.Timeout(o.req.Op))
	case o.then != nil:
		o.then(s, now, o.get)
	default:
		s.answer(o.ask, o.response(s.wall(now)))
	}
}

func (o *readOp) response(now int64) *kindred.Response {
	resp := &kindred.Response{Replied: o.get.Replied(), Guests: o.get.Guests()}
	siblings := o.get.Siblings(now)
	if o.lastWins() {
		siblings = o.get.Last(now)
	}
	for _, v := range siblings {
		resp.Siblings = append(resp.Siblings, kindred.Sibling{
			Dot: v.Dot.String(), Value: v.Value.Value, ContentType: v.Value.ContentType,
			WrittenAt: v.Value.Time(), Node: v.Value.Node, Causes: v.Value.Causes, ExpiresAt: v.Value.ExpiresAt.Time(),
		})
	}
	if seen := o.get.Merged().Seen(); !seen.IsEmpty() {
		resp.Context = replica.EncodeContext(o.req.Bucket, o.req.Key, seen)
	}
	return resp
}

// end sends the repairs and forgets the operation.
func (o *readOp) end(s *Shard) {
	s.finish(o)
	if o.lingers {
		s.late--
	}
	if !o.answered || !o.get.Enough() || o.views != nil {
		return
	}
	for _, r := range o.get.Repairs() {
		if s.RefuseDots(replica.ID(o.head), r.Delta.Dots, r.Rounds) != nil {
			continue // who gets it may have lost the promise that keeps it out (R14)
		}
		s.stats.Repairs++
		m := &wire.Write{Head: o.head, Durability: kindred.Batch, Bucket: o.req.Bucket, Key: o.req.Key, Delta: r.Delta, Rounds: r.Rounds, Void: r.Void}
		if r.Node == s.cfg.Node {
			s.join(m, func(bool, string) {})
		} else {
			s.send(r.Node, m, len(m.Rounds) > 0)
		}
	}
}

func (o *readOp) expire(s *Shard, now time.Time) {
	if !o.answered {
		for _, f := range o.differing {
			o.get.Fail(f.Node, f.Reason)
		}
		o.get.Late()
		o.reply(s, now, true)
	}
	o.end(s)
}

func viewOf(node string, m *wire.ReadReply) kindred.ReplicaView {
	view := kindred.ReplicaView{Node: node, Context: m.Context, Clock: m.Clock}
	for _, v := range m.Object.Versions {
		view.Siblings = append(view.Siblings, kindred.SiblingView{
			Dot: v.Dot.String(), Bytes: len(v.Value.Value), ContentType: v.Value.ContentType,
			WrittenAt: v.Value.Time(), Node: v.Value.Node, Causes: v.Value.Causes, ExpiresAt: v.Value.ExpiresAt.Time(),
		})
	}
	return view
}

// replicaViews lists the views in the order of the homes, and then those of guests
// that keep something; who has not spoken is reported as such.
func (o *readOp) replicaViews() []kindred.ReplicaView {
	var views []kindred.ReplicaView
	for _, h := range o.get.Homes() {
		v, ok := o.views[h]
		if !ok {
			v = kindred.ReplicaView{Node: h, Err: "did not answer"}
		}
		views = append(views, v)
	}
	for _, g := range o.guests {
		v, ok := o.views[g]
		switch {
		case !ok:
			v = kindred.ReplicaView{Node: g, Err: "did not answer"}
		case v.Err == "" && v.Context == "":
			continue // it keeps nothing of the key
		}
		v.Guest = true
		views = append(views, v)
	}
	return views
}
