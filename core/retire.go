package core

import (
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// What a node has of a partition that it did not own for a while (R27). The others may
// have closed incarnations meanwhile without asking it, so that it holds what is void
// to them. A copy with void events in it is no home's: it hands on what is not void, is
// dropped as any old copy, and begins anew where its node owns the partition again.

const (
	unheard   = "may not have heard yet what is void"
	isRetired = "only hands on what it has, some of which is void"
)

// comesBack reports whether this node had no part in what the others did before a phase:
// it was removed, or the phase does not follow on the one by which it works.
func (s *Shard) comesBack(to *ring.Phase) bool {
	if s.phase == nil || to.Removed() {
		return false
	}
	was, tip, base := s.phase, to.Tip().Version(), to.Base().Version()
	follows := tip == was.Tip().Version() || base == was.Tip().Version() || base == was.Base().Version()
	return was.Removed() || !follows
}

// retire has a replica do nothing but hand on what it has, if it is stained and does
// not count: it is a former home's, or one to be that is not complete.
func (s *Shard) retire(id replica.ID) {
	x := s.exchange.of[id]
	if x == nil || x.replica.Retired() || !x.replica.Stained() || !x.Former() && !s.incoming(id) {
		return
	}
	if x.Retire() {
		x.replica.Retire()
		delete(s.rebuilds.jobs, id)
		s.closer.stain(id)
		s.stats.Retired++
	}
}

// mayHandOn reports whether a peer may have anything of a replica: of one that was here
// before, once it is certain that both know the same to be void.
func (s *Shard) mayHandOn(id replica.ID, peer string) bool {
	x := s.exchange.of[id]
	return x == nil || !x.past || s.closer.place(id).alike[peer]
}

// alikeAll reports whether all homes by the layout before are known to know the same to
// be void.
func (s *Shard) alikeAll(id replica.ID) bool {
	for _, h := range s.baseOf(wire.Head(id)) {
		if h != s.cfg.Node && !s.phase.Gone(h) && !s.closer.place(id).alike[h] {
			return false
		}
	}
	return true
}

// hasUnheard reports whether a replica that is to be a home's may not know yet what is
// void. It takes no hints before: who comes back may owe some of that.
func (s *Shard) hasUnheard(id replica.ID) bool { return s.incoming(id) && !s.alikeAll(id) }

// handedOn reports whether all who count have what a replica has that does not. Where
// its node is to be a home again nobody waits for the phase to be settled, which waits
// for the home that begins anew.
func (s *Shard) handedOn(x *exchange) bool {
	if s.owns(x.replica.ID()) {
		return x.HandedOn(x.clock())
	}
	return s.phase.Settled() && x.Contained(x.clock())
}

// renew ends the incarnation of a replica that was nobody's home for a while, or whose node
// comes back: the others may have closed it without asking this node. Nobody may mint in it
// any more, and what is said to be void of it is true.
func (s *Shard) renew(r *replica.Replica) {
	s.given[r.ID()]++
	r.Renew(s.startOf(r.ID()))
	clear(s.closer.place(r.ID()).alike)
}

// beginAnew makes a replica without a past, in another incarnation, where the one that
// was there has just been given up.
func (s *Shard) beginAnew(id replica.ID) {
	r := replica.New(id, s.startOf(id), s.recent)
	if s.closer.restore(r) != nil {
		return // it has not minted anything yet, so nothing of it can be void
	}
	s.SetPhase(s.phase, []*replica.Replica{r})
}
