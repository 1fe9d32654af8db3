package sim

import (
	"bytes"
	"time"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/wire"
)

// cut is a set of ordered pairs of nodes between which nothing arrives.
type cut map[[2]int]bool

func (r *run) blocked(from, to int) bool {
	for _, c := range r.cuts {
		if c[[2]int{from, to}] {
			return true
		}
	}
	return false
}

// send puts a message on the network. It may be lost, late, repeated or
// overtaken, as a hash of what it is says.
func (r *run) send(from *node, s core.Send) {
	to := r.byName[s.To]
	r.scratch = wire.Append(r.scratch[:0], s.Msg)
	raw := bytes.Clone(r.scratch)
	id := hashMessage(raw)
	r.trace.note(line{what: "send", from: from.name, to: to.name, msg: s.Msg}, id)
	r.oracle.sent(from, s.Msg)
	kind := wire.KindOf(s.Msg)
	fate := r.draw(0xFA7E, uint64(from.index), uint64(to.index), uint64(kind), id)
	net := &r.cfg.Net
	if r.stillborn(from, s.Msg) {
		if fate.with(11).happens(r.cfg.Fault.Belated) && r.occurs(IncidentBelated) {
			r.deliver(from, to, raw, id, fate.with(12).about(belatedBy))
		}
		return
	}
	if r.fades(from, s.Msg) || !r.calm && fate.with(1).happens(net.Loss) && r.occurs(IncidentLost) {
		return
	}
	if !r.calm && fate.with(7).happens(net.Forge) {
		r.forge(from, to, s.Msg, fate.with(8))
	}
	if !r.calm && fate.with(9).happens(net.Mangle) {
		r.mangle(raw, fate.with(10))
	}
	if !r.calm && fate.with(13).happens(net.Later) {
		r.foresee(from, to, raw, fate.with(14))
	}
	r.interruptAudit(from, to, s.Msg)
	r.deliver(from, to, raw, id, r.delay(fate.with(2)))
	// A peer link never repeats a frame by itself. A forwarded request would not
	// bear it: the second copy may be taken after the first was refused.
	if r.calm || kind == wire.KindForward {
		return
	}
	if fate.with(3).happens(net.Repeat) && r.occurs(IncidentRepeated) {
		r.deliver(from, to, raw, id, r.delay(fate.with(4)))
	}
	if fate.with(5).happens(net.Late) && r.occurs(IncidentLate) {
		r.hits.add(LateRepeat)
		r.deliver(from, to, raw, id, time.Duration(fate.with(6).unit()*float64(net.LateBy)))
	}
}

func (r *run) delay(fate chance) time.Duration {
	net := &r.cfg.Net
	d := net.Delay + fate.with(1).about(net.Jitter)
	if !r.calm && fate.with(2).happens(net.Tail) && r.occurs(IncidentTail) {
		d *= 100
	}
	return d
}

// deliver hands the message to whoever runs on that node when it arrives, unless that
// is on another disk: a connection ends with its process (R14). Who has lost nothing
// gets what an earlier life was sent, which is harsher than connections are.
func (r *run) deliver(from, to *node, raw []byte, id uint64, d time.Duration) {
	r.flying++
	disks := to.disks
	r.agenda.after(d, func() {
		r.flying--
		if !to.up || to.disks != disks || r.blocked(from.index, to.index) {
			return
		}
		to.act(func() {
			r.trace.note(line{what: "arrive", from: from.name, to: to.name}, id)
			to.keepEarly(letter{from, raw, id})
			to.receive(from.name, raw)
		})
	})
}

// letter is a message on its way.
type letter struct {
	from *node
	raw  []byte
	id   uint64
}

// earlyMax is how many of the first messages of a life are kept to be replayed
// in the next one. Those are the ones whose numbers the next life uses again.
const earlyMax = 100

func (n *node) keepEarly(l letter) {
	if kind, _, err := wire.Peek(l.raw); err == nil && kind != wire.KindForward && len(n.early) < earlyMax {
		n.early = append(n.early, l)
	}
}

// replay delivers messages of an earlier life to a node that has just started.
func (r *run) replay(n *node) {
	early := n.early
	n.early = nil
	if r.calm || !r.draw(0x4E91, uint64(n.index)).happens(r.cfg.Net.Replay) || !r.occurs(IncidentReplay) {
		return
	}
	for _, l := range early {
		r.hits.add(ReplayedToNextLife)
		r.deliver(l.from, n, l.raw, l.id, r.draw(0x4E92, l.id).about(r.cfg.Net.Notice+100*time.Millisecond))
	}
}

// linksChanged lets every node notice, some time later, what it can send to now.
func (r *run) linksChanged() {
	for _, a := range r.nodes {
		for _, b := range r.nodes {
			if a != b && a.up {
				r.notice(a, b)
			}
		}
	}
}

func (r *run) notice(a, b *node) {
	if a.noticed[b.name] == r.linked(a, b) {
		return
	}
	draw := r.draw(0x11F0, uint64(a.index), uint64(b.index))
	a.later(draw.about(r.cfg.Net.Notice), func() {
		up := r.linked(a, b)
		if a.noticed[b.name] == up || !up && !r.calm && draw.with(1).happens(r.cfg.Net.Unnoticed) && r.occurs(IncidentUnnoticed) {
			return
		}
		a.link(b, up)
	})
}

// linked says what a link between a and b is worth now. A link is a connection:
// it needs both directions.
func (r *run) linked(a, b *node) bool {
	return b.up && !r.blocked(a.index, b.index) && !r.blocked(b.index, a.index)
}
