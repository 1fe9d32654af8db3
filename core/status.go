package core

import (
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
)

// noteLag keeps since when the replica has been behind. Writes on their way make
// it lag for moments; only what lasts from look to look counts.
func (x *exchange) noteLag(now time.Time) {
	switch {
	case x.Lag(x.clock()) == 0:
		x.lagSince = time.Time{}
	case x.lagSince.IsZero():
		x.lagSince = now
	}
}

// Status is what is known of every home replica of the shard, in order.
func (s *Shard) Status(now time.Time) []kindred.ReplicaStatus {
	audits := s.Audits()
	rebuilds := map[replica.ID]RebuildStatus{}
	for _, b := range s.Rebuilds() {
		rebuilds[b.Replica] = b
	}
	list := make([]kindred.ReplicaStatus, 0, len(s.exchange.order))
	for _, x := range s.exchange.order {
		if x.Former() {
			continue
		}
		status := x.replicaStatus(now)
		if a, ok := audits[x.replica.ID()]; ok {
			status.Audit = kindred.Audit{
				Damaged: a.Damaged, Running: a.Running, Wanted: a.Wanted, Ended: a.Ended, Complete: a.Complete,
				Problem: a.Problem, FailingSince: a.FailingSince, Unaudited: antientropy.Count(x.clock().Minus(a.Audited)),
			}
		}
		if p := s.closer.places[x.replica.ID()]; p != nil {
			status.Missing, status.MissingSince = p.lost(x.clock())
		}
		if b, ok := rebuilds[x.replica.ID()]; ok {
			status.Rebuild = kindred.Rebuild{State: b.State, Source: b.Source, Began: b.Began, Keys: b.Keys, Bytes: b.Bytes}
		}
		list = append(list, status)
	}
	return list
}

func (x *exchange) replicaStatus(now time.Time) kindred.ReplicaStatus {
	id, clock := x.replica.ID(), x.clock()
	unserved, _ := x.Unserved(clock)
	status := kindred.ReplicaStatus{
		Partition: int(id.Partition), N: int(id.N), Trusted: x.Trusted(),
		Lag: x.Lag(clock), LagSince: x.lagSince, Unserved: antientropy.Count(unserved),
		Unsettled: antientropy.Count(clock.Minus(x.Settled())),
		LogRows:   antientropy.Count(x.replica.Logged()), Heard: x.Silent(now),
	}
	if status.Lag > 0 && status.LagSince.IsZero() {
		status.LagSince = now
	} else if status.Lag == 0 {
		status.LagSince = time.Time{}
	}
	status.Waits, _ = x.Waits()
	return status
}

// lost counts the dots that the home has heard of and that stay away, and says
// since when the first of them does.
func (p *place) lost(clock vclock.DotSet) (dots uint64, since time.Time) {
	lost := p.missing.Minus(clock)
	for actor := range lost.Spans() {
		if at := p.suspects[actor].since; !at.IsZero() && (since.IsZero() || at.Before(since)) {
			since = at
		}
	}
	return antientropy.Count(lost), since
}

// HintStatus is what this node keeps as a guest, by target in the order of the
// lines.
func (s *Shard) HintStatus() kindred.HintStatus {
	h := s.Hints()
	status := kindred.HintStatus{
		Hints: h.Hints, Bytes: h.Bytes, HintsMax: s.cfg.Limits.Hints, BytesMax: s.cfg.Limits.HintBytes,
	}
	for _, d := range h.Debts {
		status.Debts = append(status.Debts, kindred.HintDebt{Target: d.Target, Hints: d.Hints, Bytes: d.Bytes, Oldest: d.Since})
	}
	return status
}

// Repairs counts what the shard has done to make replicas equal.
func (s *Shard) Repairs() kindred.Repairs {
	st, rebuilds := s.stats, s.rebuilds.stats
	return kindred.Repairs{
		Pulls: st.Pulls, PiecesReceived: st.PiecesJoined, PiecesSent: st.PiecesSent,
		RebuildsBegun: rebuilds.Begun, RebuildsFinished: rebuilds.Finished, RebuildKeys: rebuilds.Keys,
		HintsKept: st.HintsKept + st.GuestWrites, HintsDelivered: st.HintsPaid, HintsRefused: st.HintsRefused,
		Audits: st.Audits, AuditedObjects: st.AuditedObjects, LostParts: st.LostLeaves, Restored: st.Restored,
		DifferingParts: st.DifferingLeaves, Diverged: st.Diverged, Conflicts: st.Conflicts,
		KeysRepaired: st.KeyRepairs, ReadRepairs: st.Repairs,
		ClosedIncarnations: s.closer.stats.Closed, Touches: s.closer.stats.Touches,
	}
}

// Repair begins what makes this node's replica of a partition equal to the other
// homes', or all of them with kindred.AllPartitions: it pulls at once what it
// lacks, and audits. It returns how many replicas that concerns.
func (s *Shard) Repair(now time.Time, partition int) int {
	asked := 0
	for _, x := range s.exchange.order {
		if partition == kindred.AllPartitions || partition == int(x.replica.ID().Partition) {
			x.Hurry()
			s.Audit(x.replica.ID())
			asked++
		}
	}
	if asked > 0 {
		s.exchange.at = now
		s.exchange.tick(s, now)
	}
	return asked
}
