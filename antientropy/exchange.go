package antientropy

import (
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

const (
	// AdvertiseEvery is the least time between two advertisements of changes to
	// one peer. Raising it saves messages under load and delays exchange.
	AdvertiseEvery = time.Second
	// DigestEvery is the time after which a peer is told that nothing has
	// changed, so that a lost message is noticed.
	DigestEvery = 30 * time.Second
	// PullWait is how long an answer to a pull is waited for.
	PullWait = 4 * time.Second
	// wholeWait is how long a peer that asks for everything is taken not to have got
	// yet what it was sent.
	wholeWait = 200 * time.Millisecond
	// retryAfter is how long a peer that could not answer is left alone.
	retryAfter = time.Second
	// refusedFor is how long dots are left alone that could not be taken. Raising it
	// delays them once they can be, lowering it brings them in vain more often.
	refusedFor = 3 * time.Second
)

// Config is what an Exchange is made of.
type Config struct {
	// Self is this node, Owners are all home replicas of the partition.
	Self   string
	Owners Owners
	Head   wire.Head
	// Actor is the replica's incarnation, Process the nonce of the node's start.
	Actor   vclock.Actor
	Process uint64
	// Clock is the replica's clock as its store had it at the start: durable.
	Clock vclock.DotSet
	// Clean says that the replica's last life ended in good order, so that it has
	// lost nothing.
	Clean bool
}

// Exchange is one home replica's knowledge of the others.
type Exchange struct {
	cfg    Config
	owners Owners
	peers  []*peer
	// former: this node is no home any more, or retired: it only hands on what it has,
	// whatever the layout says.
	former, retired bool
	// captured is the clock as it was last advertised, durable what of it is known
	// to be durable here. Both are never changed, only replaced.
	captured, durable vclock.DotSet
	// common is durable at every home now; announced is all that ever was.
	common, announced vclock.DotSet
	// seq numbers advertisements, ops pulls.
	seq, ops uint64
	clean    bool
	trusted  bool
	// earned: it was trusted by what homes have vouched for or were caught up with,
	// before the owners changed. Complete is of the present tip.
	earned, complete bool
	// missing was lacking at the last look, wanted at the one before as well.
	missing, wanted vclock.DotSet
	// refused are dots that were brought and could not be taken, left alone until
	// then.
	refused      vclock.DotSet
	refusedUntil time.Time
	// unpagedUntil: so long no home gives pages of what its log does not name.
	unpagedUntil time.Time
	// hurry: everything that is missing is wanted at the next look.
	hurry bool
	out   []Send
}

// Send is a message for a peer. Durable messages leave when everything applied
// so far is durable.
type Send struct {
	To      string
	Msg     wire.Message
	Durable bool
}

// NewExchange begins with no knowledge of anybody.
func NewExchange(cfg Config) *Exchange {
	clock := cfg.Clock.Clone()
	e := &Exchange{cfg: cfg, captured: clock, durable: clock, clean: cfg.Clean}
	e.SetOwners(cfg.Owners, clock)
	return e
}

func (e *Exchange) peer(name string) *peer {
	for _, p := range e.peers {
		if p.name == name {
			return p
		}
	}
	return nil
}

// SetLink notes whether a peer can be reached. One that can is greeted.
func (e *Exchange) SetLink(now time.Time, name string, up bool, clock vclock.DotSet) {
	p := e.peer(name)
	if p == nil || p.linked == up {
		return
	}
	p.linked, p.retryAt = up, time.Time{}
	if up {
		p.told, p.wholeAt, p.urgent = state{}, time.Time{}, true
		e.greet(now, p, clock)
	} else if p.pull != nil && !p.pull.joining {
		p.pull = nil
	}
	e.consider(clock)
}

// Heard takes an advertisement of a peer.
func (e *Exchange) Heard(now time.Time, name string, m *wire.Clock, clock vclock.DotSet) {
	p := e.peer(name)
	if p == nil {
		if p = e.welcome(now, name, m); p == nil {
			return
		}
	}
	known := m.EchoActor == e.cfg.Actor
	if m.Actor != p.actor {
		if !known || !p.mayBecome(m) {
			e.meet(now, p, m, clock)
			return
		}
		p.accept(m.Actor)
	}
	if !known { // it has not heard of this incarnation, whatever it was told
		p.heardSeq = max(p.heardSeq, m.Seq)
		e.reply(now, p, clock)
		return
	}
	if m.EchoSeq >= p.challenge {
		p.candidate = vclock.Actor{} // whoever that was is dead
	}
	p.learn(m)
	p.heardAt = now
	e.fence(p, m)
	if m.Lost {
		e.doubt()
	}
	e.recount()
	e.consider(clock)
	if m.Ask || !p.complete {
		e.reply(now, p, clock)
	}
	if p.urgent && p.complete {
		p.urgent = false
		lacking := finite(p.durable.Minus(clock))
		e.missing.Union(lacking)
		e.wanted.Union(lacking)
	}
}

// mayBecome reports whether a peer that speaks as another incarnation than the
// known one is alive as that: it echoes what was said after it was met.
func (p *peer) mayBecome(m *wire.Clock) bool {
	return p.actor.IsZero() || m.Actor == p.candidate && m.EchoSeq >= p.challenge
}

// meet challenges a peer who speaks as an incarnation that is not the known one.
func (e *Exchange) meet(now time.Time, p *peer, m *wire.Clock, clock vclock.DotSet) {
	if p.candidate != m.Actor {
		p.candidate, p.challenge = m.Actor, e.seq+1
	}
	if p.replies++; p.linked && p.replies <= repliesMax {
		greeting := e.greet(now, p, clock)
		greeting.EchoActor, greeting.EchoSeq = m.Actor, m.Seq
	}
}

// reply tells a peer everything at once, unless that is on its way already.
func (e *Exchange) reply(now time.Time, p *peer, clock vclock.DotSet) {
	if p.replies++; p.replies > repliesMax {
		return // the next tick will
	}
	if since := now.Sub(p.wholeAt); since < 0 || since >= wholeWait {
		p.told, p.wholeAt = state{}, now
	}
	e.advertise(now, p, clock, !p.complete || e.clean && !p.vouched)
}

// advertise tells a peer what was added since it was last told.
func (e *Exchange) advertise(now time.Time, p *peer, clock vclock.DotSet, ask bool) {
	if !p.linked {
		return
	}
	m := e.greeting(p, clock)
	m.Ask = ask
	mine := state{e.captured, e.announced}
	added := mine.minus(p.told)
	if mine.spans() <= added.spans() {
		added = mine
	}
	m.Durable, m.Common = added.durable, added.common
	p.told, p.toldAt = mine, now
	_, volatile := e.Captured()
	e.out = append(e.out, Send{To: p.name, Msg: m, Durable: volatile})
}

// greet says who speaks, and nothing of what it has: a peer in an incarnation that
// has not heard of this one could not use it.
func (e *Exchange) greet(now time.Time, p *peer, clock vclock.DotSet) *wire.Clock {
	m := e.greeting(p, clock)
	m.Ask = true
	p.toldAt = now
	_, volatile := e.Captured()
	e.out = append(e.out, Send{To: p.name, Msg: m, Durable: volatile})
	return m
}

// greeting is an advertisement without its content.
func (e *Exchange) greeting(p *peer, clock vclock.DotSet) *wire.Clock {
	if clock.Compare(e.captured) != vclock.Equal {
		e.captured = clock.Clone()
	}
	e.seq++
	return &wire.Clock{
		Head: e.cfg.Head, Actor: e.cfg.Actor, Seq: e.seq, EchoActor: p.actor, EchoSeq: p.heardSeq,
		Lost: p.lost, Vouch: p.complete && !p.lost, Digest: digest(e.captured, e.announced),
		At: e.owners.At, Trusted: e.trusted, Former: e.former,
	}
}

// Captured is the clock that the last advertisement holds, for Synced. Needed
// says whether it is not known to be durable yet.
func (e *Exchange) Captured() (clock vclock.DotSet, needed bool) {
	return e.captured, e.captured.Compare(e.durable) != vclock.Equal
}

// Synced says that a clock which was captured is durable now.
func (e *Exchange) Synced(clock vclock.DotSet) {
	if !e.durable.Covers(clock) {
		e.durable = clock
		e.recount()
		e.contain()
	}
}

// recount finds out what every home holds for certain.
func (e *Exchange) recount() {
	common := e.durable
	for _, p := range e.peers {
		if !p.former {
			common = common.Intersect(p.durable)
		}
	}
	e.common = common
	if !e.announced.Covers(common) {
		announced := e.announced.Clone()
		announced.Union(common)
		e.announced = announced
	}
}

// Tick lets a second pass: it advertises what has changed, forgets what was not
// answered, and looks what is missing.
func (e *Exchange) Tick(now time.Time, clock vclock.DotSet) {
	if clock.Compare(e.captured) != vclock.Equal {
		e.captured = clock.Clone()
	}
	if !now.Before(e.refusedUntil) {
		e.refused = vclock.DotSet{}
	}
	mine := state{e.captured, e.announced}
	e.part(now)
	for _, p := range e.peers {
		p.replies = 0
		if p.pull != nil && now.After(p.pull.until) {
			p.pull, p.retryAt = nil, now.Add(retryAfter)
		}
		since := now.Sub(p.toldAt)
		switch recent := since >= 0 && since < AdvertiseEvery; {
		case !p.linked || recent:
		case !p.complete && p.actor.IsZero():
			e.greet(now, p, clock)
		case !p.complete:
			p.told = state{}
			e.advertise(now, p, clock, true)
		case e.unfenced(p):
			e.advertise(now, p, clock, true)
		case since < 0 || since >= DigestEvery || !p.told.equal(mine):
			e.advertise(now, p, clock, false)
		}
	}
	e.look(clock)
	e.consider(clock)
}

// look finds what is missing, and wants what was missing at the last look too.
func (e *Exchange) look(clock vclock.DotSet) {
	var missing vclock.DotSet
	for _, p := range e.peers {
		if !e.former && !clock.Covers(p.durable) {
			missing.Union(finite(p.durable.Minus(clock)))
		}
	}
	switch {
	case missing.IsEmpty():
		e.wanted = vclock.DotSet{}
	case e.hurry || !e.trusted:
		e.wanted = missing.Clone()
	default:
		e.wanted = missing.Intersect(e.missing)
	}
	e.missing, e.hurry = missing, false
}

// Hurry wants everything that is missing without a second look.
func (e *Exchange) Hurry() { e.hurry = true }

// Lag counts the dots that other homes are known to hold for certain and that
// this one lacks.
func (e *Exchange) Lag(clock vclock.DotSet) uint64 {
	var missing vclock.DotSet
	for _, p := range e.peers {
		if !e.former {
			missing.Union(finite(p.durable.Minus(clock)))
		}
	}
	return Count(missing)
}

// Common are the dots that are durable at every home. The caller must not
// change it.
func (e *Exchange) Common() vclock.DotSet { return e.common }

// Others are the dots that are durable at every other home, as far as is known here.
// The caller must not change it.
func (e *Exchange) Others() (others vclock.DotSet) {
	first := true
	for _, p := range e.peers {
		switch {
		case p.former:
		case first:
			others, first = p.durable, false
		default:
			others = others.Intersect(p.durable)
		}
	}
	return others
}

// Durable are the dots that are known to be durable here.
func (e *Exchange) Durable() vclock.DotSet { return e.durable }

// Stage is how far a write event has travelled, as far as it is known here.
func (e *Exchange) Stage(d vclock.Dot, clock vclock.DotSet) kindred.Stage {
	switch {
	case !clock.Contains(d):
		return kindred.StageNone
	case !e.announced.Contains(d):
		return kindred.Accepted
	}
	for _, p := range e.peers {
		if !p.former && !p.common.Contains(d) {
			return kindred.Propagated
		}
	}
	return kindred.Settled
}

// Take returns what is to be sent and forgets it.
func (e *Exchange) Take() []Send {
	out := e.out
	e.out = nil
	return out
}
