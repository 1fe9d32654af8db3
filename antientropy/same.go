package antientropy

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Clone is an exchange that goes its own way from here, for those who try what
// could happen next.
func (e *Exchange) Clone() *Exchange {
	c := *e
	c.missing, c.wanted, c.refused, c.out = e.missing.Clone(), e.wanted.Clone(), e.refused.Clone(), slices.Clone(e.out)
	c.peers = make([]*peer, len(e.peers))
	for i, p := range e.peers {
		c.peers[i] = p.clone()
	}
	return &c
}

func (p *peer) clone() *peer {
	c := *p
	c.durable, c.common, c.claimed = p.durable.Clone(), p.common.Clone(), p.claimed.Clone()
	c.target, c.absent, c.damaged, c.fence = p.target.Clone(), p.absent.Clone(), p.damaged.Clone(), p.fence.Clone()
	if p.pull != nil {
		asked := *p.pull
		asked.dots = asked.dots.Clone()
		c.pull = &asked
	}
	return &c
}

// AppendTo appends a form that is equal for exchanges with an equal future, if all
// that they wait for by time alone has passed.
func (e *Exchange) AppendTo(b []byte) []byte {
	b = e.announced.AppendTo(e.durable.AppendTo(e.captured.AppendTo(b)))
	b = e.wanted.AppendTo(e.missing.AppendTo(b))
	b = binary.AppendUvarint(binary.AppendUvarint(b, e.seq), e.ops)
	b = fmt.Append(b, e.clean, e.trusted, e.hurry, e.earned, e.complete, e.former)
	for _, p := range e.peers {
		b = p.appendTo(b)
	}
	return b
}

func (p *peer) appendTo(b []byte) []byte {
	b = p.candidate.AppendTo(p.actor.AppendTo(b))
	b = binary.AppendUvarint(binary.AppendUvarint(b, p.heardSeq), p.challenge)
	b = p.claimed.AppendTo(p.common.AppendTo(p.durable.AppendTo(b)))
	b = p.damaged.AppendTo(p.absent.AppendTo(p.target.AppendTo(b)))
	b = p.told.common.AppendTo(p.told.durable.AppendTo(b))
	b = fmt.Append(p.fence.AppendTo(b), p.fenced, p.within, p.former, p.handsOn)
	b = fmt.Append(b, p.linked, p.complete, p.lost, p.answered, p.caught, p.vouched, p.urgent, p.pull != nil)
	if p.pull != nil {
		b = fmt.Append(p.pull.dots.AppendTo(b), p.pull.op.Seq, p.pull.joining)
	}
	return b
}
