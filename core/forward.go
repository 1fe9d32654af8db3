package core

import (
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/wire"
)

// forwardOp is a write that another node coordinates, because this one is no
// home of the key. The request goes one hop, and the dot is minted there.
type forwardOp struct {
	request
	to string
}

func (s *Shard) startForward(base request, homes []string) {
	if base.ask.peer != "" {
		s.refuse(base.ask, s.wrongRing("is not a home of the key"))
		return
	}
	for _, h := range homes {
		if !s.linked[h] {
			continue
		}
		o := &forwardOp{request: base, to: h}
		s.register(o)
		s.stats.Forwards++
		forwarded := *base.req
		// The home knows more about a failure than this node: let it answer first.
		forwarded.Timeout = s.timeout(base.req) * 9 / 10
		s.send(h, &wire.Forward{Head: base.head, Op: s.opID(o.seq), Request: forwarded}, false)
		return
	}
	e := &kindred.Error{
		Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied, Need: 1,
		Message: base.req.Op.String() + ": no home replica of the key can be reached from " + s.cfg.Node + "; nothing was done",
	}
	for _, h := range homes {
		e.Failed = append(e.Failed, kindred.NodeFailure{Node: h, Reason: "unreachable"})
	}
	s.refuse(base.ask, e)
}

// wrongRing is the answer to a forwarded request that came by another layout.
func (s *Shard) wrongRing(why string) *kindred.Error {
	return &kindred.Error{
		Code: kindred.CodeWrongRing, Outcome: kindred.NotApplied,
		Message: s.cfg.Node + " got a forwarded request and " + why + " by layout " + s.layout.Version().String() + ": read the layout again",
	}
}

func (s *Shard) onForward(now time.Time, from string, m *wire.Forward) {
	s.start(now, asker{peer: from, op: m.Op, head: m.Head}, &m.Request)
}

func (o *forwardOp) heard(s *Shard, m *wire.ForwardReply) {
	s.finish(o)
	s.answer(o.ask, &m.Response)
}

// expire answers for a home that did not: the write may have been made there.
func (o *forwardOp) expire(s *Shard, _ time.Time) {
	s.finish(o)
	s.refuse(o.ask, &kindred.Error{
		Code: kindred.CodeTimeout, Outcome: kindred.Unknown, Need: 1,
		Failed:  []kindred.NodeFailure{{Node: o.to, Reason: "did not answer"}},
		Message: o.req.Op.String() + ": the home replica it was forwarded to did not answer",
	})
}
