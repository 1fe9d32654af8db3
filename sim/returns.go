package sim

import (
	"fmt"
	"time"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// Nodes that go for ever, and come back all the same (R27): with their disks, told that
// they were removed, and made members again by an operator, to give back what only they
// have or to own something again. What they have may have become void for the others.

// removing ends a node for ever, and has an operator say so. It counts as a lost disk.
func (r *run) removing(draw chance) *task {
	n := r.someMember(draw.with(1))
	if r.agenda.now < r.quietUntil {
		return nil
	}
	if n == nil || !draw.with(6).happens(r.cfg.Layouts.Back) {
		return r.removal(n, draw)
	}
	r.lastSeen(n, draw.with(7))
	return nil
}

// lastSeen removes a node after a while in which others have heard little of it. It has
// then what they know of and miss, which they close as void.
func (r *run) lastSeen(n *node, draw chance) {
	n.fading = true
	r.agenda.after(draw.with(1).about(r.cfg.Layouts.Soon), func() {
		if !r.calm {
			r.attempt(r.removal(n, draw.with(3)), draw.with(4), nil)
		}
		n.fading = false
	})
}

// fades reports whether what a node says is lost because it is soon to be removed: all
// that tells others what they lack, and every second of its writes, for all of them.
func (r *run) fades(from *node, msg wire.Message) bool {
	if !from.fading || r.calm {
		return false
	}
	switch m := msg.(type) {
	case *wire.Clock, *wire.Pieces, *wire.RebuildPage, *wire.ReadReply:
		return r.occurs(IncidentFaded)
	case *wire.Write:
		for a, span := range m.Delta.Dots.Spans() {
			return (m.Op.IsZero() || chance(r.seed).with(0xFADE, a.Nonce, span.Lo).happens(0.5)) && r.occurs(IncidentFaded)
		}
	}
	return false
}

// cutAway cuts a node off from all others.
func (r *run) cutAway(n *node) cut {
	c := cut{}
	for i := range r.nodes {
		c[[2]int{i, n.index}], c[[2]int{n.index, i}] = true, true
	}
	r.cutOff(c, "one node")
	return c
}

// removal is removing of that node, nil if it may not be lost now.
func (r *run) removal(n *node, draw chance) *task {
	if n == nil || !n.up || !r.mayLose(n) || r.gone != 0 && !r.resting(r.agenda.now) {
		return nil
	}
	r.trace.say(n.name, "dies", "")
	r.oracle.crashesFull(n)
	r.countStats(n)
	n.crash(1)
	n.away = true
	return &task{
		fault: FaultRemove, patient: true,
		stage: func(now time.Time, c *core.Control) error {
			return c.Stage(now, ring.Node{Name: n.name}, ring.Remove)
		},
		over: func(committed bool) {
			switch {
			case !committed:
				n.away = false
				r.restartLater(n, draw.with(2))
			case draw.with(3).happens(r.cfg.Layouts.Return):
				r.agenda.after(draw.with(4).about(5*r.cfg.Layouts.Soon), func() {
					if !r.calm {
						r.comeBack(n)
					}
				})
				r.returnLater(n, draw.with(5))
			}
		},
	}
}

// comeBack starts a node that was removed.
func (r *run) comeBack(n *node) {
	if n.up || !n.away || !r.occurs(IncidentComeBack) {
		return
	}
	n.away = false
	r.hits.add(RemovedCameBack)
	r.trace.say(n.name, "comes back", "")
	r.restart(n)
}

// returnLater has an operator return a removed node, most likely, for whom the others leave
// the layout alone: the removal has to settle first.
func (r *run) returnLater(n *node, draw chance) {
	if !draw.with(1).happens(r.cfg.Layouts.Back) {
		return
	}
	r.quietUntil = r.agenda.now + returnWithin
	r.agenda.after(draw.with(2).about(2*r.cfg.Layouts.Soon), func() {
		if r.gone.has(n) && !r.isMember(n) && !r.calm && r.occurs(IncidentReturn) {
			r.attempt(r.returns(n, draw.with(3)), draw.with(4), nil)
		}
	})
}

// returning has an operator make a member of some node that was removed, or that has left
// and has something left on its disk.
func (r *run) returning(draw chance) *task {
	if n := r.former(draw.with(1)); n != nil {
		return r.returns(n, draw.with(2))
	}
	return nil
}

// returns is what makes a member of that node: one that owns nothing and returns what it
// has, or an owner.
func (r *run) returns(n *node, draw chance) *task {
	fault := FaultRejoin
	if r.gone.has(n) {
		fault = FaultReturn
		r.comeBack(n)
		r.quietUntil = max(r.quietUntil, r.agenda.now+returnWithin/2)
	}
	n.returning = true
	return &task{
		fault: fault, patient: true,
		stage: func(now time.Time, c *core.Control) error {
			if p := c.Changes().Progress; !p.Settled || p.Next != "" {
				return fmt.Errorf("the removal is not settled yet, layout %v %v waits for %v", p.Tip, p.Next, p.Waits)
			}
			return r.own(n, draw.with(3).below(3))(now, c)
		},
		over: func(committed bool) {
			n.returning, r.quietUntil = false, 0
			if committed && draw.with(4).happens(r.cfg.Layouts.Torn) {
				r.agenda.after(draw.with(5).about(r.cfg.Layouts.Soon), func() { r.tear(n, draw.with(6)) })
			}
		},
	}
}

// returnWithin is for how long others leave the layout alone while a node is to return.
const returnWithin = 20 * time.Second

// former draws a node that was a member, is none any more, and may still have something.
func (r *run) former(draw chance) *node {
	first := draw.below(len(r.nodes))
	for i := range r.nodes {
		n := r.nodes[(first+i)%len(r.nodes)]
		if !r.isMember(n) && !n.returning && n.lives > 0 && (r.gone.has(n) || len(n.replicas) > 0) {
			return n
		}
	}
	return nil
}

// tear interrupts a return: the node loses its power, its disk or all its links, or is
// removed once more.
func (r *run) tear(n *node, draw chance) {
	if !n.up || !r.handsOver(n) || !r.occurs(IncidentTorn) {
		return
	}
	switch draw.with(1).below(5) {
	case 0:
		if !r.calm && r.mayLose(n) && !n.voting {
			r.hits.add(ReturnDiskLost)
			r.wipe(n, draw.with(2))
		}
	case 1:
		r.hits.add(ReturnCut)
		r.broke(FaultLinks)
		c := r.cutAway(n)
		r.agenda.after(draw.with(3).about(r.cfg.Fault.CutFor), func() { r.heal(c) })
	case 2:
		if !r.calm {
			r.attempt(r.removal(n, draw.with(4)), draw.with(5), nil)
		}
	default:
		r.hits.add(ReturnCrashed)
		r.kill(n, float64(draw.with(6).below(3))/2, draw.with(7))
	}
}

// homecoming brings back, one after the other, those that are still gone when the
// layout rests and nothing else goes wrong any more: what only they have has to be there
// in the end (R27).
func (r *run) homecoming() {
	for _, n := range r.nodes {
		draw := r.draw(0xB0AE, uint64(n.index))
		if r.oracle.finding != nil || !r.gone.has(n) || r.isMember(n) || r.cfg.Layouts.Back == 0 || !r.occurs(IncidentReturn) {
			continue
		}
		r.comeBack(n)
		if !n.up {
			continue // this part of the run leaves that out
		}
		back := r.returns(n, draw.with(2))
		back.inCalm = true
		r.attempt(back, draw.with(3), nil)
		end := r.agenda.now + settleWithin
		r.until(func() bool { return !n.returning || r.agenda.now > end })
		if !r.isMember(n) {
			r.pass(10 * time.Second)
		}
		r.settleLayouts()
	}
}

// handsOver reports whether a node still has a replica of which it is no home, or one that
// waits to begin anew.
func (r *run) handsOver(n *node) bool {
	for _, id := range n.owned() {
		if s := n.shards[n.shardOf(id.Partition)]; !r.isHome(n, id) || s.shard.Stats().Retired > 0 {
			return true
		}
	}
	return false
}

// readmit ends what is said of nodes that are gone where a layout makes members of them
// again whose operator knew that. A layout that did not know that they were removed, and
// took the place of the one that said so, does not do that: they have not come back.
func (r *run) readmit(before *ring.Layout) {
	for _, n := range r.nodes {
		if !r.gone.has(n) || !r.isMember(n) || !r.wasRemoved(n, r.tip) {
			continue
		}
		r.trace.say(n.name, "returns", "")
		r.hits.add(RemovedReturned)
		r.gone.remove(n)
		r.back.add(n)
		r.oracle.noteStanding(n, before)
	}
}

// wasRemoved reports whether a layout follows on one that says that a node is gone.
func (r *run) wasRemoved(n *node, v ring.Version) bool {
	for d := r.decision(v); d != nil; d = r.decision(d.parent) {
		if d.gone.has(n) {
			return true
		}
	}
	return false
}

func (r *run) decision(v ring.Version) *decided {
	for i := range r.decisions {
		if r.decisions[i].version == v {
			return &r.decisions[i]
		}
	}
	return nil
}
