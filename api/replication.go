package api

import (
	"math"

	"github.com/kindredkv/kindred"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

func formatReplication(r *kindred.Replication) *pb.Replication {
	if r == nil {
		return nil
	}
	return &pb.Replication{
		Unknown: text(&r.Unknown), AtUnixMs: formatTime(r.At), Replicas: each(r.Replicas, formatReplica),
		Hints: formatHints(&r.Hints), Repairs: formatRepairs(&r.Repairs),
	}
}

func parseReplication(m *pb.Replication) *kindred.Replication {
	if m == nil {
		return nil
	}
	return &kindred.Replication{
		Unknown: m.GetUnknown(), At: parseTime(m.GetAtUnixMs()), Replicas: each(m.GetReplicas(), parseReplica),
		Hints: parseHints(m.GetHints()), Repairs: parseRepairs(m.GetRepairs()),
	}
}

func formatReplica(s *kindred.ReplicaStatus) *pb.ReplicaStatus {
	return &pb.ReplicaStatus{
		Partition: small(s.Partition), N: small(s.N), Trusted: s.Trusted, Waits: each(s.Waits, text),
		Lag: s.Lag, Unserved: s.Unserved, LagSinceUnixMs: formatTime(s.LagSince), Unsettled: s.Unsettled,
		LogRows: s.LogRows, HeardUnixMs: formatTime(s.Heard),
		Rebuild: &pb.Rebuild{
			State: text(&s.Rebuild.State), Source: text(&s.Rebuild.Source), BeganUnixMs: formatTime(s.Rebuild.Began),
			Keys: s.Rebuild.Keys, Bytes: s.Rebuild.Bytes,
		},
		Audit: &pb.Audit{
			Damaged: small(s.Audit.Damaged), Running: s.Audit.Running, Wanted: s.Audit.Wanted,
			EndedUnixMs: formatTime(s.Audit.Ended), Complete: s.Audit.Complete, Problem: text(&s.Audit.Problem),
			Unaudited: s.Audit.Unaudited, FailingSinceUnixMs: formatTime(s.Audit.FailingSince),
		},
		Missing: s.Missing, MissingSinceUnixMs: formatTime(s.MissingSince),
	}
}

func parseReplica(p **pb.ReplicaStatus) kindred.ReplicaStatus {
	s := *p
	rebuild, audit := s.GetRebuild(), s.GetAudit()
	return kindred.ReplicaStatus{
		Partition: int(s.GetPartition()), N: int(s.GetN()), Trusted: s.GetTrusted(), Waits: s.GetWaits(),
		Lag: s.GetLag(), Unserved: s.GetUnserved(), LagSince: parseTime(s.GetLagSinceUnixMs()), Unsettled: s.GetUnsettled(),
		LogRows: s.GetLogRows(), Heard: parseTime(s.GetHeardUnixMs()),
		Rebuild: kindred.Rebuild{
			State: rebuild.GetState(), Source: rebuild.GetSource(), Began: parseTime(rebuild.GetBeganUnixMs()),
			Keys: rebuild.GetKeys(), Bytes: rebuild.GetBytes(),
		},
		Audit: kindred.Audit{
			Damaged: int(audit.GetDamaged()), Running: audit.GetRunning(), Wanted: audit.GetWanted(),
			Ended: parseTime(audit.GetEndedUnixMs()), Complete: audit.GetComplete(), Problem: audit.GetProblem(),
			Unaudited: audit.GetUnaudited(), FailingSince: parseTime(audit.GetFailingSinceUnixMs()),
		},
		Missing: s.GetMissing(), MissingSince: parseTime(s.GetMissingSinceUnixMs()),
	}
}

func formatHints(h *kindred.HintStatus) *pb.HintStatus {
	return &pb.HintStatus{
		Hints: large(h.Hints), Bytes: large(h.Bytes), HintsMax: large(h.HintsMax), BytesMax: large(h.BytesMax),
		Debts: each(h.Debts, func(d *kindred.HintDebt) *pb.HintDebt {
			return &pb.HintDebt{
				Target: text(&d.Target), Hints: large(d.Hints), Bytes: large(d.Bytes), OldestUnixMs: formatTime(d.Oldest),
			}
		}),
	}
}

func parseHints(m *pb.HintStatus) kindred.HintStatus {
	return kindred.HintStatus{
		Hints: whole(m.GetHints()), Bytes: int64(whole(m.GetBytes())),
		HintsMax: whole(m.GetHintsMax()), BytesMax: int64(whole(m.GetBytesMax())),
		Debts: each(m.GetDebts(), func(p **pb.HintDebt) kindred.HintDebt {
			d := *p
			return kindred.HintDebt{
				Target: d.GetTarget(), Hints: whole(d.GetHints()), Bytes: int64(whole(d.GetBytes())), Oldest: parseTime(d.GetOldestUnixMs()),
			}
		}),
	}
}

func formatRepairs(r *kindred.Repairs) *pb.Repairs {
	return &pb.Repairs{
		Pulls: r.Pulls, PiecesReceived: r.PiecesReceived, PiecesSent: r.PiecesSent,
		RebuildsBegun: r.RebuildsBegun, RebuildsFinished: r.RebuildsFinished, RebuildKeys: r.RebuildKeys,
		HintsKept: r.HintsKept, HintsDelivered: r.HintsDelivered, HintsRefused: r.HintsRefused,
		Audits: r.Audits, AuditedObjects: r.AuditedObjects, LostParts: r.LostParts, Restored: r.Restored,
		DifferingParts: r.DifferingParts, Diverged: r.Diverged, Conflicts: r.Conflicts,
		KeysRepaired: r.KeysRepaired, ReadRepairs: r.ReadRepairs,
		ClosedIncarnations: r.ClosedIncarnations, Touches: r.Touches,
	}
}

func parseRepairs(m *pb.Repairs) kindred.Repairs {
	return kindred.Repairs{
		Pulls: m.GetPulls(), PiecesReceived: m.GetPiecesReceived(), PiecesSent: m.GetPiecesSent(),
		RebuildsBegun: m.GetRebuildsBegun(), RebuildsFinished: m.GetRebuildsFinished(), RebuildKeys: m.GetRebuildKeys(),
		HintsKept: m.GetHintsKept(), HintsDelivered: m.GetHintsDelivered(), HintsRefused: m.GetHintsRefused(),
		Audits: m.GetAudits(), AuditedObjects: m.GetAuditedObjects(), LostParts: m.GetLostParts(), Restored: m.GetRestored(),
		DifferingParts: m.GetDifferingParts(), Diverged: m.GetDiverged(), Conflicts: m.GetConflicts(),
		KeysRepaired: m.GetKeysRepaired(), ReadRepairs: m.GetReadRepairs(),
		ClosedIncarnations: m.GetClosedIncarnations(), Touches: m.GetTouches(),
	}
}

// ParseRepairNode reads which partition to repair; all is -1.
func ParseRepairNode(m *pb.RepairNodeRequest) (partition int) {
	if m == nil || m.Partition == nil {
		return kindred.AllPartitions
	}
	return int(m.GetPartition())
}

// FormatRepairNode is the inverse of [ParseRepairNode].
func FormatRepairNode(partition int) *pb.RepairNodeRequest {
	if partition == kindred.AllPartitions {
		return &pb.RepairNodeRequest{}
	}
	p := small(partition)
	return &pb.RepairNodeRequest{Partition: &p}
}

// large and whole carry counts that are never negative.
func large[T int | int64](n T) uint64 { return uint64(max(0, n)) }

func whole(n uint64) int { return int(min(n, math.MaxInt)) }
