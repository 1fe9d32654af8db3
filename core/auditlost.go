package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// A damaged replica is told what it has lost by a home that has applied all that
// it had itself. There may be none: one home was down for the write, another is
// down now, or the only copy beside the lost one is a hint. To believe a home that
// lacks a dot means to say that its effect was seen and superseded, and whoever
// hears that and still holds the value drops it. So a dot is lost only if every
// member of the layout has been asked what it holds, homes and possible guests,
// and none holds it. As long as one cannot be asked, the leaf stays silent.

// inquest asks all other members what they hold of the incarnations whose dots are
// lacking, twice: a hint may be on its way from one who has not answered yet to one
// who has.
type inquest struct {
	ask *antientropy.Close
	// held is what was held at the first asking, if there was one.
	held   vclock.DotSet
	second bool
}

// lacks is what a peer with that clock has not applied and this replica had, but
// for what nobody holds.
func (a *audit) lacks(clock vclock.DotSet) vclock.DotSet {
	return a.since.Minus(clock).Minus(a.r.Voided()).Minus(a.status.lost)
}

// damage are the damaged leaves of which the present peer may know something.
func (a *audit) damage() hashtree.Set {
	damage := a.r.Damage()
	for leaf := range a.stuck.Leaves() {
		damage.Remove(leaf)
	}
	return damage
}

// blocked goes on after a round in which the peer could say nothing of any leaf.
func (a *audit) blocked(s *Shard, now time.Time) {
	for leaf := range a.leaves.Leaves() {
		a.stuck.Add(leaf)
	}
	if damage := a.damage(); !damage.IsEmpty() {
		a.next(s, now)
		return
	}
	if a.status.stumped == nil {
		a.status.stumped = map[string]bool{}
	}
	a.status.stumped[a.peers[0]] = true
	a.status.blocked++
	patient := a.status.blocked < auditBlocked || !s.allReachable()
	if doubted := a.r.Doubted(); !patient && !doubted.IsEmpty() && a.noneKnows(s) {
		a.r.Mend(doubted, &s.out.Rows)
		s.stats.MendedLeaves += uint64(doubted.Len())
		a.stuck, a.lacked, a.status.blocked, a.status.stumped = hashtree.Set{}, vclock.DotSet{}, 0, nil
		a.next(s, now)
		return
	}
	if patient || a.lacked.IsEmpty() {
		a.nextPeer(s, now, "cannot say yet what was lost")
		return
	}
	a.inquest = &inquest{}
	a.inquire(s, now)
}

// noneKnows reports whether no other home could say anything of the leaves that are
// left. If nothing that lives is lost in one of them, what is stored there stands: it
// has what this home alone has taken, and there is nobody to ask.
func (a *audit) noneKnows(s *Shard) bool {
	for _, home := range s.others(a.r.ID()) {
		if !a.status.stumped[home] {
			return false
		}
	}
	return true
}

// allReachable reports whether everybody can be asked who may hold something: as long as
// owners change, those that leave too.
func (s *Shard) allReachable() bool {
	return !slices.ContainsFunc(s.phase.Members(), func(n string) bool { return !s.reachable(n) })
}

// inquire begins an asking. Nothing is promised: the round is none.
func (a *audit) inquire(s *Shard, now time.Time) {
	var members []string
	for _, n := range s.phase.Members() {
		if n != s.cfg.Node {
			members = append(members, n)
		}
	}
	var actors []vclock.Actor
	for actor := range a.lacked.Spans() {
		actors = append(actors, actor)
	}
	s.closer.seq++
	a.inquest.ask = antientropy.NewClose(s.cfg.Start.Nonce, s.closer.seq, s.layout.Version(), members, actors)
	a.until = now.Add(auditPatience)
	for _, member := range members {
		s.send(member, a.inquest.ask.Ask(headOf(a.r)), false)
	}
}

// testified takes the answer of a member. It reports false if it is to another
// question.
func (a *auditor) testified(s *Shard, now time.Time, from string, m *wire.CloseReply) bool {
	run := a.run
	if run == nil || run.inquest == nil || m.Op != run.inquest.ask.Ask(headOf(run.r)).Op {
		return false
	}
	complete := run.inquest.ask.Add(from, m)
	switch {
	case run.inquest.ask.Over():
		run.nextPeer(s, now, "cannot say yet what was lost: "+m.Refused)
	case complete:
		run.conclude(s, now)
	}
	a.wake(now)
	return true
}

// conclude goes on when all members have answered.
func (a *audit) conclude(s *Shard, now time.Time) {
	q := a.inquest
	lost := vclock.DotSet{}
	for _, v := range q.ask.Verdicts() {
		q.held.Union(v.Held)
		if !v.Live { // who lives holds what it has made
			lost.Union(only(a.lacked, v.Actor))
		}
	}
	lost = lost.Minus(q.held).Minus(s.debts.ledger.Held(headOf(a.r))) // a hint of this node's own, for itself
	switch {
	case lost.IsEmpty():
		a.nextPeer(s, now, "cannot say yet what was lost, other members hold it")
	case !q.second:
		q.second = true
		a.inquire(s, now)
	default:
		a.inquest, a.until = nil, time.Time{}
		s.giveUp(a, lost)
	}
}

// giveUp declares dots lost, and goes on. The requests that they served are taken
// from them: a retry that was made elsewhere lives (R19).
func (s *Shard) giveUp(a *audit, lost vclock.DotSet) {
	s.lookAt(a.r.ID(), func() Reading {
		return func(store storageSnapshot) func(time.Time) {
			disowned, err := replica.Disown(store, a.r.ID(), lost)
			return func(now time.Time) {
				if s.auditor.run != a {
					return
				}
				if err != nil {
					a.end(s, now, err.Error())
					return
				}
				a.r.Disown(disowned, lost, &s.out.Rows)
				a.status.lost.Union(lost)
				s.stats.LostDots += antientropy.Count(lost)
				a.stuck, a.status.blocked, a.lacked = hashtree.Set{}, 0, vclock.DotSet{}
				a.next(s, now)
				s.auditor.wake(now)
			}
		}
	})
}
