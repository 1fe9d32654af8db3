package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/hintedhandoff"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// standIns are the fallbacks of the homes that are not up, or silent: for each a
// node, and the slot that it stands in for. A silent fallback is taken where there is
// no other.
func (s *Shard) standIns(layout *ring.Layout, head wire.Head, homes []string, up func(node string) bool) []ring.Place {
	live := func(node string) bool { return up(node) && !s.silences.silent[node] }
	down := 0
	for _, h := range homes {
		if !live(h) {
			down++
		}
	}
	if down == 0 {
		return nil
	}
	places := s.fallbacks(layout, head, live)
	if len(places) < down {
		places = s.fallbacks(layout, head, func(node string) bool {
			return live(node) || up(node) && !slices.Contains(homes, node)
		})
	}
	return places
}

// fallbacks leaves out the homes by the other layout: a node that is asked both to take
// a write and to keep it for somebody says only once that it has done so, and nobody knows
// which.
func (s *Shard) fallbacks(layout *ring.Layout, head wire.Head, up func(node string) bool) []ring.Place {
	can := up
	if s.moves(head) {
		homes, holders := layout.Homes(ring.Partition(head.Partition), int(head.N)), s.holdersOf(head)
		can = func(node string) bool {
			return up(node) && (slices.Contains(homes, node) || !slices.Contains(holders, node))
		}
	}
	places := layout.Preference(ring.Partition(head.Partition), int(head.N), can)
	places = slices.DeleteFunc(places, func(p ring.Place) bool { return p.Home })
	if layout != s.layout && !s.moves(head) { // the same homes in another order: a slot is one of the tip
		was, is := layout.Homes(ring.Partition(head.Partition), int(head.N)), s.homesOf(head)
		for i := range places {
			places[i].For = slices.Index(is, was[places[i].For])
		}
	}
	return places
}

// unavailable refuses what cannot meet its quorum now, before anything is done: need
// nodes of those that count, and primary of them homes.
func (s *Shard) unavailable(base *request, layout *ring.Layout, homes []string, sloppy bool, need, primary int) *kindred.Error {
	if !sloppy {
		return replica.Unavailable(base.req.Op, homes, need, s.reachable)
	}
	nodes := homes
	for _, p := range s.standIns(layout, base.head, homes, s.reachable) {
		nodes = append(nodes[:len(nodes):len(nodes)], p.Node)
	}
	if !slices.Contains(nodes, s.cfg.Node) && base.guest && s.standsIn(layout) {
		nodes = append(nodes[:len(nodes):len(nodes)], s.cfg.Node)
	}
	if err := replica.Unavailable(base.req.Op, nodes, need, s.reachable); err != nil {
		return err
	}
	return replica.Unavailable(base.req.Op, homes, primary, s.reachable)
}

// standsIn reports whether this node may stand in for a home by a layout: one that has a
// place for it, or had one when it was the base. Who is to leave that delivers first what it
// owes (R25).
func (s *Shard) standsIn(layout *ring.Layout) bool {
	for _, l := range []*ring.Layout{layout, s.phase.Base()} {
		if n, member := l.Node(s.cfg.Node); member && n.Capacity > 0 {
			return true
		}
	}
	return false
}

// nudgeAfter is when a sloppy operation stops waiting for silent nodes alone.
func (s *Shard) nudgeAfter(now time.Time, base *request) time.Time {
	return now.Add(min(s.cfg.Limits.GuestAfter, base.deadline.Sub(now)/3))
}

// startGuest coordinates a write at this node, which is no home of the key and
// reaches none that takes it (R7).
func (s *Shard) startGuest(now time.Time, base request, homes []string, quorum kindred.Quorum) {
	base.guest, base.held, base.nudged = true, 0, time.Time{}
	if err := s.admitGuest(&base, homes, quorum); err != nil {
		s.refuse(base.ask, err)
		return
	}
	seen, err := replica.DecodeContext(base.req.Bucket, base.req.Key, base.req.Context)
	if err == nil && s.guestOf(base.head).Forges(seen) {
		err = replica.ForgedContext()
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

// admitGuest refuses what cannot succeed before a dot exists for it.
func (s *Shard) admitGuest(base *request, homes []string, quorum kindred.Quorum) *kindred.Error {
	switch {
	case s.full != nil:
		return s.full
	case s.leaves(): // it may have said that it is complete (R25)
		return &kindred.Error{
			Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied, Need: 1,
			Message: fmt.Sprintf("%s: no home replica of the key can be reached from %s, which leaves the cluster and keeps nothing for others any more; nothing was done", base.req.Op, s.cfg.Node),
		}
	}
	if err := s.debts.ledger.CheckRoom(); err != nil {
		s.stats.HintsRefused++
		return err
	}
	quorum.Sloppy = true
	return s.unwritable(base, homes, quorum)
}

// guestOf is the guest that this node is of a partition.
func (s *Shard) guestOf(head wire.Head) *hintedhandoff.Guest {
	id := replica.ID(head)
	g := s.debts.guests[id]
	if g == nil {
		g = hintedhandoff.NewGuest(s.GuestIncarnation(id))
		s.debts.guests[id] = g
	}
	return g
}

// GuestIncarnation is the actor of the guest that this node is of a partition now.
func (s *Shard) GuestIncarnation(id replica.ID) vclock.Actor {
	return replica.GuestIncarnation(id, replica.StartOf(s.cfg.Start, s.returns))
}

// mintAsGuest is the step at this node: it makes the write event, once, keeps it
// for every home, and sends it to those that may yet hear it.
func (o *writeOp) mintAsGuest(s *Shard, now time.Time, h *hintedhandoff.Hint, err error) {
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
	dot, delta, ids, refused := o.owe(s, now, h)
	if refused != nil {
		o.refuse(s, refused)
		return
	}
	s.stats.GuestWrites++
	o.minted(s, dot, delta, ids)
}

// owe adds the write to what this node keeps for the homes, unless the request has
// been served before (R19). The delta has one dot and no other (R7, C1).
func (o *writeOp) owe(s *Shard, now time.Time, h *hintedhandoff.Hint) (vclock.Dot, wire.Delta, []wire.DotRequest, *kindred.Error) {
	if dot, ok := h.Served(o.requestID()); ok {
		o.serveAgain(s)
		delta, ids := h.Whole()
		return dot, delta, ids, nil
	}
	if o.lastWins() && o.req.Op == kindred.OpPut {
		o.overrule(s, h.Versions(), h.Object().Seen())
	}
	delta := wire.Delta{Siblings: wire.Object{Context: o.seen.Clone()}}
	rec, err := o.record(s, s.wall(now), h.Versions())
	if err == nil && o.req.Op == kindred.OpPut {
		err = replica.CheckRoom(h.Versions(), o.seen, o.isBlind(), rec)
	}
	if err == nil {
		err = h.CheckRoom(delta, len(rec.Value))
	}
	if err != nil {
		return vclock.Dot{}, delta, nil, err
	}
	dot := s.guestOf(o.head).Mint()
	delta.Dots = vclock.NewDotSet(dot)
	if o.req.Op == kindred.OpPut {
		delta.Siblings = vclock.New(dot, rec, o.seen)
	}
	ids := o.requestIDs(dot, delta)
	h.Owe(wire.AllSlots(max(len(o.homes), len(o.base))), delta, ids, now)
	return dot, delta, ids, nil
}

// turn asks the fallbacks of homes that cannot be reached, have refused, or stay
// silent, each to keep the write for the home that it stands in for. Their answers
// count in a sloppy quorum only; a strict one has the hints for its safety.
//
// As long as the homes of two layouts count, each of the two has fallbacks of its own,
// and an answer counts where its sender stands in for somebody.
func (o *writeOp) turn(s *Shard) {
	expects := func(node string) bool { return o.expects(s, node) }
	for _, p := range s.standIns(s.guestsBy(o.head), o.head, o.homes, expects) {
		if p.Node != s.cfg.Node { // a guest that coordinates keeps it for everybody
			o.put.Invite(p.Node)
			o.hint(s, p)
		}
	}
	if o.base == nil {
		return
	}
	for _, p := range s.standIns(s.phase.Base(), o.head, o.base, expects) {
		if p.Node != s.cfg.Node {
			o.put.InviteBase(p.Node)
			o.hint(s, p)
		}
	}
}

// hint asks a fallback to keep the write, once.
func (o *writeOp) hint(s *Shard, p ring.Place) {
	if o.hints[p.Node].Has(p.For) {
		return
	}
	if o.hints == nil {
		o.hints = map[string]wire.Slots{}
	}
	slots := wire.Slots(0).With(p.For)
	o.hints[p.Node] |= slots
	s.sendHint(p.Node, o.write, slots, o.whole)
}

// expects reports whether the node can be expected to take the write, or has done
// so.
func (o *writeOp) expects(s *Shard, node string) bool {
	return s.reachable(node) && !o.put.Failed(node) && !slices.Contains(o.silent, node)
}

// nudge turns to the fallbacks of who stays silent.
func (o *writeOp) nudge(s *Shard, now time.Time) (again time.Time) {
	if o.put == nil {
		return time.Time{}
	}
	o.silent = o.put.Waiting()
	s.silences.waited(now, o.silent, s.cfg.Limits.GuestAfter)
	o.turn(s)
	return s.nudgeAfter(now, &o.request)
}

func (s *Shard) sendHint(to string, w *wire.Write, slots wire.Slots, sync bool) {
	s.stats.HintsAsked++
	s.send(to, &wire.Hint{
		Head: w.Head, Op: w.Op, Durability: w.Durability, Bucket: w.Bucket, Key: w.Key,
		Slots: slots, Delta: w.Delta, RequestIDs: w.RequestIDs, Rounds: w.Rounds, At: w.At,
	}, sync)
}

// turn asks the fallbacks that stand in for homes which cannot be reached, have
// failed, or stay silent. It reports whether there was one that was not asked yet.
func (o *readOp) turn(s *Shard, now time.Time) (asked bool) {
	if !o.sloppy {
		return false
	}
	up := func(node string) bool {
		return s.reachable(node) && !o.get.Failed(node) && !slices.Contains(o.silent, node)
	}
	for _, p := range s.standIns(o.layout, o.head, o.get.Homes(), up) {
		if slices.Contains(o.guests, p.Node) {
			continue
		}
		asked = true
		o.guests = append(o.guests, p.Node)
		o.get.Invite(p.Node)
		ask := o.question(s)
		ask.Guest = true
		if p.Node == s.cfg.Node {
			s.serveHint(ask, func(now time.Time, m *wire.ReadReply) { o.heard(s, now, s.cfg.Node, m) })
		} else {
			s.send(p.Node, ask, false)
		}
	}
	return asked
}

// nudge turns to the fallbacks of who stays silent.
func (o *readOp) nudge(s *Shard, now time.Time) (again time.Time) {
	switch {
	case o.answered:
		return time.Time{}
	case len(o.spare) > 0:
		s.hedge.lagged(now, slices.DeleteFunc(o.get.Waiting(), func(n string) bool { return slices.Contains(o.spare, n) }))
		o.askSpare(s, now)
		if !o.sloppy {
			return time.Time{}
		}
		return s.nudgeAfter(now, &o.request)
	}
	o.silent = o.get.Waiting()
	s.silences.waited(now, o.silent, s.cfg.Limits.GuestAfter)
	o.turn(s, now)
	return s.nudgeAfter(now, &o.request)
}

// turn asks the fallbacks that stand in for homes which cannot be reached.
func (o *scanOp) turn(s *Shard, homes []string) {
	if !o.sloppy {
		return
	}
	layout, _ := s.readersOf(o.head)
	for _, p := range s.standIns(layout, o.head, homes, s.reachable) {
		o.page.Invite(p.Node)
		ask := o.question(s)
		ask.Guest = true
		if p.Node == s.cfg.Node {
			s.pageOfHints(ask)
		} else {
			s.send(p.Node, ask, false)
		}
	}
}
