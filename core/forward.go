package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// forwardOp is a write that another node coordinates, because this one is no
// home of the key. The request goes one hop, and the dot is minted there.
//
// A sloppy write goes on to the next home when one says that it has done nothing,
// and to a guest when there is no other home. It does not go on when one stays
// silent: the write may have been made there, and a second one would be a twin that
// no client asked for. Who wants that retries with the request's id (R19).
type forwardOp struct {
	request
	homes  []string
	at     ring.Progress
	quorum kindred.Quorum
	// to has been asked last, "" if it is certain that nobody has the write.
	to    string
	tried []string
	// last is the latest refusal.
	last *kindred.Error
}

func (s *Shard) startForward(now time.Time, base request, homes []string, quorum kindred.Quorum) {
	switch {
	case base.ask.peer != "" && base.ask.guest && quorum.Sloppy:
		s.startGuest(now, base, homes, quorum)
		return
	case base.ask.peer != "":
		s.refuse(base.ask, s.wrongRing("is not a home of the key"))
		return
	}
	o := &forwardOp{request: base, homes: s.holdersOf(base.head), at: s.phase.Progress(), quorum: quorum}
	// A home turns to its fallbacks before that.
	o.nudged = now.Add(2 * s.cfg.Limits.GuestAfter)
	s.register(o)
	if !o.next(s, now) {
		o.giveUp(s)
	}
}

// next sends the write to who has not been tried: homes first, then whoever stands
// in for them, and silent homes at last. It reports false if there is nobody.
func (o *forwardOp) next(s *Shard, now time.Time) bool {
	untried := func(node string) bool { return s.reachable(node) && !slices.Contains(o.tried, node) }
	speaking := func(node string) bool { return untried(node) && !s.silences.silent[node] }
	return o.nextHome(s, now, speaking) || o.quorum.Sloppy && o.nextGuest(s, now, untried) || o.nextHome(s, now, untried)
}

func (o *forwardOp) nextHome(s *Shard, now time.Time, can func(node string) bool) bool {
	for _, h := range o.homes {
		if can(h) {
			o.send(s, now, h, false)
			return true
		}
	}
	return false
}

func (o *forwardOp) nextGuest(s *Shard, now time.Time, can func(node string) bool) bool {
	layout, homes := s.readersOf(o.head)
	places := s.standIns(layout, o.head, homes, func(node string) bool {
		return can(node) && (node != s.cfg.Node || !s.leaves())
	})
	for _, p := range places {
		if p.Node == s.cfg.Node {
			s.finish(o)
			s.startGuest(now, o.request, s.homesOf(o.head), o.quorum)
			return true
		}
	}
	if len(places) == 0 {
		return false
	}
	o.send(s, now, places[0].Node, true)
	return true
}

// nudge notes a node that says nothing, for the sake of later writes.
func (o *forwardOp) nudge(s *Shard, now time.Time) (again time.Time) {
	s.silences.waited(now, []string{o.to}, 2*s.cfg.Limits.GuestAfter)
	return time.Time{}
}

func (o *forwardOp) send(s *Shard, now time.Time, to string, guest bool) {
	o.to, o.tried = to, append(o.tried, to)
	s.stats.Forwards++
	forwarded := *o.req
	// The home knows more about a failure than this node: let it answer first.
	forwarded.Timeout = o.deadline.Sub(now) * 9 / 10
	s.send(to, &wire.Forward{Head: o.head, Op: s.opID(o.seq), Request: forwarded, Guest: guest, At: o.at}, false)
}

// giveUp answers when nobody is left to be tried.
func (o *forwardOp) giveUp(s *Shard) {
	s.finish(o)
	if o.last != nil {
		s.refuse(o.ask, o.last)
		return
	}
	e := &kindred.Error{
		Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied, Need: 1,
		Message: o.req.Op.String() + ": no home replica of the key can be reached from " + s.cfg.Node + "; nothing was done",
	}
	for _, h := range o.homes {
		e.Failed = append(e.Failed, kindred.NodeFailure{Node: h, Reason: "unreachable"})
	}
	s.refuse(o.ask, e)
}

// wrongRing is the answer to a forwarded request that came by another layout.
func (s *Shard) wrongRing(why string) *kindred.Error {
	return &kindred.Error{
		Code: kindred.CodeWrongRing, Outcome: kindred.NotApplied,
		Message: s.cfg.Node + " got a request and " + why + " by layout " + s.phase.Progress().Tip.String() + ": read the layout again",
	}
}

func (s *Shard) onForward(now time.Time, from string, m *wire.Forward) {
	if why, own := s.refusal(from, m.At); why != "" {
		s.send(from, &wire.ForwardReply{Head: m.Head, Op: m.Op, Response: kindred.Response{Err: s.wrongRing(why)}, At: own}, false)
		return
	}
	s.start(now, asker{peer: from, op: m.Op, head: m.Head, guest: m.Guest}, &m.Request)
}

// heard passes an answer on, unless it is a refusal that another node may not give.
func (o *forwardOp) heard(s *Shard, now time.Time, from string, m *wire.ForwardReply) {
	err := m.Response.Err
	switch {
	case from != o.to:
		s.stats.Stray++
	case m.At.Step != 0 && err != nil:
		o.last, o.to = err, ""
		s.putOff(now, o, o.at, from, err.Message)
	case err != nil && o.quorum.Sloppy && elsewhere(err):
		if o.last = err; !o.next(s, now) {
			o.giveUp(s)
		}
	default:
		s.finish(o)
		s.answer(o.ask, &m.Response)
	}
}

// elsewhere reports whether a refusal is one of the node and not of the request.
func elsewhere(err *kindred.Error) bool {
	if err.Outcome != kindred.NotApplied {
		return false
	}
	switch err.Code {
	case kindred.CodeUnavailable, kindred.CodeOverloaded, kindred.CodeDiskFull, kindred.CodeStopping,
		kindred.CodeWrongRing, kindred.CodeNoLayout, kindred.CodeTimeout:
		return true
	}
	return false
}

// expire answers for a home that did not: the write may have been made there.
func (o *forwardOp) expire(s *Shard, _ time.Time) {
	if o.to == "" {
		o.giveUp(s)
		return
	}
	s.finish(o)
	outcome := kindred.Unknown
	if o.req.Op == kindred.OpStage {
		outcome = kindred.NotApplied // a question changes nothing
	}
	s.refuse(o.ask, &kindred.Error{
		Code: kindred.CodeTimeout, Outcome: outcome, Need: 1,
		Failed:  []kindred.NodeFailure{{Node: o.to, Reason: "did not answer"}},
		Message: o.req.Op.String() + ": the home replica it was forwarded to did not answer",
	})
}
