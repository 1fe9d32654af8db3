package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Droppable lists the replicas of partitions that this node does not own any more and
// of which every owner has all (R27), in order. It is worth asking now and then, once
// the phase is settled.
func (s *Shard) Droppable() []replica.ID {
	if s.phase == nil || s.removed() {
		return nil
	}
	var ids []replica.ID
	for _, x := range s.exchange.order {
		if x.Former() && s.handedOn(x) && s.unused(x.replica) {
			ids = append(ids, x.replica.ID())
		}
	}
	return ids
}

// unused reports whether nothing that is under way needs a replica.
func (s *Shard) unused(r *replica.Replica) bool {
	id := r.ID()
	job, run, round := s.rebuilds.jobs[id], s.auditor.run, s.expirer.round
	if s.looking[id] > 0 || job != nil && job.state != rebuildSettling || run != nil && run.r == r || round != nil && round.replica == r {
		return false
	}
	for _, o := range s.open {
		if o.replica == r {
			return false
		}
	}
	for ask := range s.pageFor {
		if replica.ID(ask.Head) == id {
			return false
		}
	}
	for _, o := range s.operations {
		if scan, ok := o.(*scanOp); ok && replica.ID(scan.head) == id {
			return false
		}
	}
	return true
}

// Drop gives up a replica that is droppable, and refuses the partition from then on.
// It reports false, and does nothing, if the replica is not droppable now. Otherwise what
// is stored of it is erased with the rows of this take. What this node owes as a guest,
// and what it has promised, stays.
func (s *Shard) Drop(id replica.ID) bool {
	if !slices.Contains(s.Droppable(), id) {
		return false
	}
	delete(s.replicas, id)
	s.given[id]++
	replica.Erase(id, &s.out.Rows)
	delete(s.exchange.of, id)
	s.exchange.order = slices.DeleteFunc(s.exchange.order, func(x *exchange) bool { return x.replica.ID() == id })
	s.exchange.turn = 0
	delete(s.rebuilds.jobs, id)
	s.auditor.forget(id)
	delete(s.expirer.look, id)
	s.sweeper.drop(id)
	p := s.closer.place(id)
	p.missing, p.suspects, p.lookAt = vclock.DotSet{}, map[vclock.Actor]suspect{}, time.Time{}
	p.sweep = closeSweep{}
	s.stats.Dropped++
	if slices.Contains(s.holdersOf(wire.Head(id)), s.cfg.Node) {
		s.beginAnew(id)
	}
	return true
}

// forget leaves a replica alone that is not here any more.
func (a *auditor) forget(id replica.ID) {
	delete(a.due, id)
	delete(a.status, id)
	a.fresh = slices.DeleteFunc(a.fresh, func(other replica.ID) bool { return other == id })
}

func (w *sweeper) drop(id replica.ID) {
	w.waiting = slices.DeleteFunc(w.waiting, func(u unstripped) bool {
		if u.replica.ID() != id {
			return false
		}
		delete(w.known, u.row)
		return true
	})
	delete(w.forgotten, id)
}
