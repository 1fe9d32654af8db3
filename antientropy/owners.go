package antientropy

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Owners are the homes of a partition while its layout may change.
type Owners struct {
	// At is how far this node is (R23).
	At ring.Progress
	// Tip are the homes by the layout that is to hold in the end, Base those by the one
	// before if they count too and are others, otherwise none.
	Tip, Base []string
	// Gone are those of them that will never come back; Loss says that it is accepted
	// that acknowledged writes were with these only.
	Gone []string
	Loss bool
}

// formersMax bounds the former homes that an exchange knows of.
const formersMax = 16

// formerSilence is after how long a former home is forgotten that says nothing: it has
// given up its replica, or will greet again.
const formerSilence = 3 * DigestEvery

// SetOwners takes other homes, or another step. What is known of those that stay is
// kept. Those that are homes no more may still have what the others lack.
func (e *Exchange) SetOwners(o Owners, clock vclock.DotSet) {
	e.earned = e.earned || e.trusted && e.enough(e.sure, 0)
	if o.At.Tip != e.owners.At.Tip {
		e.complete = false
		for _, p := range e.peers {
			p.fenced, p.fence, p.within = false, vclock.DotSet{}, false
		}
	}
	if o.At != e.owners.At {
		e.announce()
	}
	before := e.peers
	e.owners, e.peers = o, nil
	for _, name := range slices.Concat(o.Tip, o.Base) {
		if name == e.cfg.Self || slices.Contains(o.Gone, name) || e.peer(name) != nil {
			continue
		}
		p := &peer{name: name}
		if at := slices.IndexFunc(before, func(p *peer) bool { return p.name == name }); at >= 0 {
			p = before[at]
		}
		p.tip, p.base, p.former = slices.Contains(o.Tip, name), slices.Contains(o.Base, name), false
		e.peers = append(e.peers, p)
	}
	e.former = e.retired || !slices.Contains(o.Tip, e.cfg.Self) && !slices.Contains(o.Base, e.cfg.Self)
	for _, p := range before {
		if e.peer(p.name) == nil && !e.former && !slices.Contains(o.Gone, p.name) {
			p.tip, p.base, p.former = false, false, true
			e.peers = append(e.peers, p)
		}
	}
	e.recount()
	e.consider(clock)
}

// announce has everybody told at the next tick how far this home is.
func (e *Exchange) announce() {
	for _, p := range e.peers {
		p.toldAt = time.Time{}
	}
}

// welcome begins to listen to a former home, which may have what the homes lack and
// wants to know when they have it.
func (e *Exchange) welcome(now time.Time, name string, m *wire.Clock) *peer {
	if !m.Former || e.former || m.At.Tip != e.owners.At.Tip || name == e.cfg.Self || slices.Contains(e.owners.Gone, name) {
		return nil
	}
	formers := 0
	for _, p := range e.peers {
		if p.former {
			formers++
		}
	}
	if formers >= formersMax {
		return nil
	}
	p := &peer{name: name, former: true, linked: true, heardAt: now}
	e.peers = append(e.peers, p)
	return p
}

// Formers are the former homes that have some of these dots. Where no log names them any
// more, and no home that counts can give them, they can.
func (e *Exchange) Formers(dots vclock.DotSet) (names []string) {
	for _, p := range e.peers {
		if p.former && !dots.Intersect(p.durable).IsEmpty() {
			names = append(names, p.name)
		}
	}
	return names
}

// part forgets former homes that say nothing any more.
func (e *Exchange) part(now time.Time) {
	e.peers = slices.DeleteFunc(e.peers, func(p *peer) bool {
		return p.former && p.pull == nil && (!p.linked || now.Sub(p.heardAt) > formerSilence)
	})
}

// fence keeps the clock of a home of the base that works by this tip: it takes nothing
// more by the layout before, so what it has acknowledged there is in this clock. One
// that may have lost something has to have it back first.
func (e *Exchange) fence(p *peer, m *wire.Clock) {
	if !p.base || p.fenced || p.within || !p.complete || m.Seq != p.heardSeq || !m.Trusted || m.At.Tip != e.owners.At.Tip {
		return
	}
	p.fenced, p.fence = true, p.durable.Clone()
	e.contain()
}

// unfenced reports whether a home of the base has to say again that it is fenced: it may
// have said so before this replica had the tip.
func (e *Exchange) unfenced(p *peer) bool { return p.base && !p.fenced && !p.within && !e.complete }

// contain notes whose clocks this home has all of, durably, and whether it is complete
// by that (R25). It is for good, as long as nothing is lost.
func (e *Exchange) contain() {
	if e.complete || len(e.owners.Base) == 0 {
		return
	}
	held, waits := 0, !e.trusted
	if slices.Contains(e.owners.Base, e.cfg.Self) {
		held++
	}
	for _, p := range e.peers {
		if p.fenced && !p.within && e.durable.Covers(p.fence) {
			p.within, p.fence = true, vclock.DotSet{}
		}
		switch {
		case p.base && p.within:
			held++
		case p.base:
			waits = true
		}
	}
	n := len(e.owners.Base)
	e.complete = !waits && (held >= n-n/2 || e.owners.Loss)
}

// Complete reports whether this home has everything that was acknowledged before the
// tip (R25). Where the homes do not change it has if it is trusted.
func (e *Exchange) Complete() bool {
	return e.trusted && !e.retired && (e.complete || len(e.owners.Base) == 0)
}

// Former reports whether this node is no home any more, by any layout that counts.
func (e *Exchange) Former() bool { return e.former }

// Retire has this home only hand on what it has, as one that is no home any more: what it
// has asked others for comes too late. It reports false, and does nothing, where no other
// home counts.
func (e *Exchange) Retire() bool {
	if !slices.ContainsFunc(e.peers, func(p *peer) bool { return !p.former }) {
		return false
	}
	e.retired, e.former = true, true
	e.wanted, e.missing = vclock.DotSet{}, vclock.DotSet{}
	for _, p := range e.peers {
		p.pull, p.absent, p.damaged = nil, vclock.DotSet{}, vclock.DotSet{}
	}
	e.announce()
	return true
}

// HandedOn reports whether every other home that counts, of which there is one at least,
// is known to have all of a clock, durably.
func (e *Exchange) HandedOn(clock vclock.DotSet) bool {
	others := 0
	for _, p := range e.peers {
		if p.former {
			continue
		}
		if others++; !p.complete || !p.durable.Covers(clock) {
			return false
		}
	}
	return others > 0
}

// Contained reports whether every home by the tip is known to have all of a clock,
// durably (R27).
func (e *Exchange) Contained(clock vclock.DotSet) bool {
	for _, p := range e.peers {
		if p.tip && (!p.complete || !p.durable.Covers(clock)) {
			return false
		}
	}
	return true
}
