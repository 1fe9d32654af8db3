package api

import (
	"time"

	"github.com/kindredkv/kindred"
)

// ReplicationDoc is a node's [kindred.Replication] in JSON, in HTTP answers and
// in those of kvcli. Times are RFC 3339 in UTC, empty when there is none.
type ReplicationDoc struct {
	Unknown          string   `json:"unknown"`
	At               string   `json:"at"`
	Replicas         int      `json:"replicas"`
	Trusted          int      `json:"trusted"`
	CatchingUp       int      `json:"catching_up"`
	WaitsFor         []string `json:"waits_for"`
	Rebuilding       int      `json:"rebuilding"`
	RebuildLeft      float64  `json:"rebuild_left_seconds"`
	Damaged          int      `json:"damaged"`
	Behind           int      `json:"behind"`
	BehindSince      string   `json:"behind_since"`
	Lag              uint64   `json:"lag_dots"`
	Unserved         uint64   `json:"unserved_dots"`
	Settled          int      `json:"settled"`
	Unsettled        uint64   `json:"unsettled_dots"`
	Audited          int      `json:"audited"`
	Unaudited        uint64   `json:"unaudited_dots"`
	Auditing         int      `json:"auditing"`
	AuditsWanted     int      `json:"audits_wanted"`
	AuditsIncomplete int      `json:"audits_incomplete"`
	AuditProblem     string   `json:"audit_problem"`
	AuditsFailing    string   `json:"audits_failing_since"`
	AuditOldest      string   `json:"audit_oldest"`
	Heard            string   `json:"heard"`
	Missing          uint64   `json:"missing_dots"`
	MissingSince     string   `json:"missing_since"`
	LogRows          uint64   `json:"log_rows"`

	Hints   HintsDoc   `json:"hints"`
	Repairs RepairsDoc `json:"repairs"`
}

// HintsDoc is what a node keeps for others.
type HintsDoc struct {
	Hints    int       `json:"hints"`
	Bytes    int64     `json:"bytes"`
	HintsMax int       `json:"hints_max"`
	BytesMax int64     `json:"bytes_max"`
	Debts    []DebtDoc `json:"debts"`
}

// DebtDoc is what it owes to one of them.
type DebtDoc struct {
	Target string `json:"target"`
	Hints  int    `json:"hints"`
	Bytes  int64  `json:"bytes"`
	Oldest string `json:"oldest"`
}

// RepairsDoc counts since the start of the node.
type RepairsDoc struct {
	Pulls              uint64 `json:"pulls"`
	PiecesReceived     uint64 `json:"pieces_received"`
	PiecesSent         uint64 `json:"pieces_sent"`
	RebuildsBegun      uint64 `json:"rebuilds_begun"`
	RebuildsFinished   uint64 `json:"rebuilds_finished"`
	RebuildKeys        uint64 `json:"rebuild_keys"`
	HintsKept          uint64 `json:"hints_kept"`
	HintsDelivered     uint64 `json:"hints_delivered"`
	HintsRefused       uint64 `json:"hints_refused"`
	Audits             uint64 `json:"audits"`
	AuditedObjects     uint64 `json:"audited_objects"`
	LostParts          uint64 `json:"lost_parts"`
	Restored           uint64 `json:"restored"`
	DifferingParts     uint64 `json:"differing_parts"`
	Diverged           uint64 `json:"diverged"`
	Conflicts          uint64 `json:"conflicts"`
	KeysRepaired       uint64 `json:"keys_repaired"`
	ReadRepairs        uint64 `json:"read_repairs"`
	ClosedIncarnations uint64 `json:"closed_incarnations"`
	Touches            uint64 `json:"touches"`
}

// NewReplicationDoc counts the replicas. Lists are never null.
func NewReplicationDoc(r *kindred.Replication) ReplicationDoc {
	s := r.Summary()
	return ReplicationDoc{
		Unknown: r.Unknown, At: moment(r.At),
		Replicas: s.Replicas, Trusted: s.Trusted, CatchingUp: s.CatchingUp, WaitsFor: append([]string{}, s.Waits...),
		Rebuilding: s.Rebuilding, RebuildLeft: s.RebuildLeft.Round(time.Millisecond).Seconds(), Damaged: s.Damaged,
		Behind: s.Behind, BehindSince: moment(s.BehindSince), Lag: s.Lag, Unserved: s.Unserved,
		Settled: s.Settled, Unsettled: s.Unsettled, Audited: s.Audited, Unaudited: s.Unaudited,
		Auditing: s.Auditing, AuditsWanted: s.AuditsWanted, AuditsIncomplete: s.AuditsIncomplete,
		AuditProblem: s.AuditProblem, AuditsFailing: moment(s.AuditsFailingSince), AuditOldest: moment(s.AuditOldest), Heard: moment(s.Heard),
		Missing: s.Missing, MissingSince: moment(s.MissingSince), LogRows: s.LogRows,
		Hints: NewHintsDoc(&r.Hints), Repairs: RepairsDoc(r.Repairs),
	}
}

// NewHintsDoc lists the debts.
func NewHintsDoc(h *kindred.HintStatus) HintsDoc {
	doc := HintsDoc{Hints: h.Hints, Bytes: h.Bytes, HintsMax: h.HintsMax, BytesMax: h.BytesMax, Debts: []DebtDoc{}}
	for _, d := range h.Debts {
		doc.Debts = append(doc.Debts, DebtDoc{d.Target, d.Hints, d.Bytes, moment(d.Oldest)})
	}
	return doc
}

// ReplicaDoc is one home replica in JSON.
type ReplicaDoc struct {
	Partition     int      `json:"partition"`
	N             int      `json:"n"`
	Trusted       bool     `json:"trusted"`
	WaitsFor      []string `json:"waits_for"`
	Lag           uint64   `json:"lag_dots"`
	LagSince      string   `json:"lag_since"`
	Unserved      uint64   `json:"unserved_dots"`
	Unsettled     uint64   `json:"unsettled_dots"`
	LogRows       uint64   `json:"log_rows"`
	Heard         string   `json:"heard"`
	RebuildState  string   `json:"rebuild_state"`
	RebuildSource string   `json:"rebuild_source"`
	RebuildBegan  string   `json:"rebuild_began"`
	RebuildKeys   uint64   `json:"rebuild_keys"`
	RebuildBytes  uint64   `json:"rebuild_bytes"`
	DamagedParts  int      `json:"damaged_parts"`
	Auditing      bool     `json:"auditing"`
	AuditWanted   bool     `json:"audit_wanted"`
	AuditEnded    string   `json:"audit_ended"`
	AuditComplete bool     `json:"audit_complete"`
	AuditProblem  string   `json:"audit_problem"`
	AuditsFailing string   `json:"audits_failing_since"`
	Unaudited     uint64   `json:"unaudited_dots"`
	Missing       uint64   `json:"missing_dots"`
	MissingSince  string   `json:"missing_since"`
}

// NewReplicaDoc shows all that is known of a replica.
func NewReplicaDoc(s *kindred.ReplicaStatus) ReplicaDoc {
	return ReplicaDoc{
		Partition: s.Partition, N: s.N, Trusted: s.Trusted, WaitsFor: append([]string{}, s.Waits...),
		Lag: s.Lag, LagSince: moment(s.LagSince), Unserved: s.Unserved, Unsettled: s.Unsettled,
		LogRows: s.LogRows, Heard: moment(s.Heard),
		RebuildState: s.Rebuild.State, RebuildSource: s.Rebuild.Source, RebuildBegan: moment(s.Rebuild.Began),
		RebuildKeys: s.Rebuild.Keys, RebuildBytes: s.Rebuild.Bytes,
		DamagedParts: s.Audit.Damaged, Auditing: s.Audit.Running, AuditWanted: s.Audit.Wanted,
		AuditEnded: moment(s.Audit.Ended), AuditComplete: s.Audit.Complete, AuditProblem: s.Audit.Problem,
		AuditsFailing: moment(s.Audit.FailingSince),
		Unaudited:     s.Audit.Unaudited, Missing: s.Missing, MissingSince: moment(s.MissingSince),
	}
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
