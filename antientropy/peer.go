package antientropy

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"

	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// peer is another home of the partition.
type peer struct {
	name   string
	linked bool
	// tip and base: it is a home by that layout. Former: by none, and it goes on
	// until the homes have what it has (R27).
	tip, base, former bool

	// actor is its incarnation, heardSeq the last of its advertisements. A
	// candidate has been met and must echo the challenge to become the actor.
	actor, candidate    vclock.Actor
	heardSeq, challenge uint64
	// durable and common are what that incarnation has advertised. Complete says
	// that nothing of it is missing here.
	durable, common vclock.DotSet
	complete        bool
	// claimed is everything that any incarnation of it has advertised as durable.
	// Lost says that the present one began without some of that.
	claimed vclock.DotSet
	lost    bool

	// told is what it has been told, and when. Replies counts the answers to it
	// since the last tick.
	told            state
	toldAt, wholeAt time.Time
	replies         int

	// target is its clock when it first answered this incarnation; caught says
	// that this home has contained it since. Vouched: it knows of nothing that
	// this home has lost.
	target                    vclock.DotSet
	answered, caught, vouched bool

	// fence is a clock of it, if it is fenced, of after it began to refuse what comes
	// by the layout before; within says that this home has contained one (R25).
	fence          vclock.DotSet
	fenced, within bool

	// urgent: what it has is wanted at once when all of its clock is known. HeardAt
	// is when its known incarnation last advertised.
	urgent  bool
	heardAt time.Time
	pull    *pull
	retryAt time.Time
	// absent are dots that it could not give, damaged those that it could not read when
	// it was last asked for them.
	absent, damaged vclock.DotSet
	// handsOn: it says that it is no home any more, or has retired.
	handsOn bool
}

// repliesMax bounds the answers to one peer between two ticks.
const repliesMax = 16

// accept begins anew with another incarnation of the peer. What it claimed once
// is remembered, to be compared with what it has now.
func (p *peer) accept(a vclock.Actor) {
	p.actor, p.candidate = a, vclock.Actor{}
	p.heardSeq = 0
	p.durable, p.common, p.absent, p.damaged = vclock.DotSet{}, vclock.DotSet{}, vclock.DotSet{}, vclock.DotSet{}
	p.complete, p.lost, p.vouched = false, false, false
	p.answered, p.target = false, vclock.DotSet{}
	p.fenced, p.fence = false, vclock.DotSet{} // its disk may be lost, and what it had with it
	p.told, p.wholeAt = state{}, time.Time{}
	p.urgent = true
}

// learn takes in what the peer has advertised.
func (p *peer) learn(m *wire.Clock) {
	p.durable.Union(m.Durable)
	p.common.Union(m.Common)
	if m.Seq < p.heardSeq {
		return // it says nothing about what is missing now
	}
	p.heardSeq, p.handsOn = m.Seq, m.Former
	p.complete = digest(p.durable, p.common) == m.Digest
	if !p.complete {
		return
	}
	if !p.answered {
		p.answered, p.target = true, p.durable.Clone()
		p.lost = true
	}
	p.lost = p.lost && !p.durable.Covers(p.claimed)
	p.claimed.Union(p.durable)
	p.vouched = p.vouched || m.Vouch
}

// state is what a home advertises. Its sets are never changed.
type state struct {
	durable, common vclock.DotSet
}

func (s state) equal(o state) bool {
	return s.durable.Compare(o.durable) == vclock.Equal && s.common.Compare(o.common) == vclock.Equal
}

// spans is about what a state costs on the wire.
func (s state) spans() (n int) {
	for _, set := range [...]vclock.DotSet{s.durable, s.common} {
		n += set.Actors()
		for range set.Spans() {
			n++
		}
	}
	return n
}

// minus is what s has and o has not.
func (s state) minus(o state) state {
	return state{s.durable.Minus(o.durable), s.common.Minus(o.common)}
}

// digest is of two sets; it tells whether two homes speak of the same ones.
func digest(durable, common vclock.DotSet) uint64 {
	sum := sha256.Sum256(common.AppendTo(durable.AppendTo(nil)))
	return binary.BigEndian.Uint64(sum[:])
}

// finite leaves out dots without end: closed actors are not pulled.
func finite(set vclock.DotSet) vclock.DotSet {
	var left vclock.DotSet
	for actor, span := range set.Spans() {
		if span.Hi != math.MaxUint64 {
			left.AddSpan(actor, span)
		}
	}
	return left
}

// Count is the number of dots of a set; those without end are left out.
func Count(set vclock.DotSet) (n uint64) {
	for _, span := range set.Spans() {
		if span.Hi != math.MaxUint64 {
			n += span.Hi - span.Lo + 1
		}
	}
	return n
}

// Oldest are so many of the oldest dots that most remain of a set, and some room
// beside: nothing if there are no more than that.
func Oldest(set vclock.DotSet, most uint64) (oldest vclock.DotSet) {
	total := Count(set)
	if total <= most {
		return oldest
	}
	spare := total - most + most/8
	for actor, span := range finite(set).Spans() {
		if spare == 0 {
			break
		}
		span.Hi = min(span.Hi, span.Lo+spare-1)
		oldest.AddSpan(actor, span)
		spare -= span.Hi - span.Lo + 1
	}
	return oldest
}

// first are the first dots of a finite set, at most that many.
func first(set vclock.DotSet, most uint64) (some vclock.DotSet) {
	for actor, span := range set.Spans() {
		if most == 0 {
			break
		}
		span.Hi = min(span.Hi, span.Lo+most-1)
		some.AddSpan(actor, span)
		most -= span.Hi - span.Lo + 1
	}
	return some
}
