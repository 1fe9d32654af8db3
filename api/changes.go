package api

import (
	"time"

	"github.com/kindredkv/kindred"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// FormatStageChanges carries an order to stage changes.
func FormatStageChanges(changes []kindred.NodeChange) *pb.StageChangesRequest {
	return &pb.StageChangesRequest{Changes: each(changes, formatNodeChange)}
}

// ParseStageChanges reads and checks an order to stage changes.
func ParseStageChanges(m *pb.StageChangesRequest) ([]kindred.NodeChange, *kindred.Error) {
	changes := each(m.GetChanges(), parseNodeChange)
	return changes, kindred.CheckChanges(changes)
}

// FormatChanges carries what a node knows of changes.
func FormatChanges(c *kindred.Changes) *pb.ChangesResponse {
	return &pb.ChangesResponse{
		Node: text(&c.Node), Staged: each(c.Staged, formatNodeChange), Progress: formatProgress(&c.Progress), History: each(c.History, formatPast),
	}
}

// ParseChanges is the inverse of [FormatChanges].
func ParseChanges(m *pb.ChangesResponse) kindred.Changes {
	return kindred.Changes{
		Node: m.GetNode(), Staged: each(m.GetStaged(), parseNodeChange), Progress: parseProgress(m.GetProgress()), History: each(m.GetHistory(), parsePast),
	}
}

// FormatPlan carries a plan.
func FormatPlan(p *kindred.LayoutPlan) *pb.PlanResponse {
	return &pb.PlanResponse{
		Node: text(&p.Node), Version: text(&p.Version), From: text(&p.From), Changes: each(p.Changes, formatNodeChange),
		Nodes: each(p.Nodes, formatPlanned), Copies: small(p.Copies), Bytes: p.Bytes, ExpectedMs: longMillis(p.Expected),
		Guarantees: each(p.Guarantees, text), Refusals: each(p.Refusals, formatProblem), Notes: each(p.Notes, formatProblem),
		Waits: each(p.Waits, text), AtRisk: small(p.AtRisk),
	}
}

// ParsePlan is the inverse of [FormatPlan].
func ParsePlan(m *pb.PlanResponse) kindred.LayoutPlan {
	return kindred.LayoutPlan{
		Node: m.GetNode(), Version: m.GetVersion(), From: m.GetFrom(), Changes: each(m.GetChanges(), parseNodeChange),
		Nodes: each(m.GetNodes(), parsePlanned), Copies: int(m.GetCopies()), Bytes: m.GetBytes(), Expected: fromMillis(m.GetExpectedMs()),
		Guarantees: m.GetGuarantees(), Refusals: each(m.GetRefusals(), parseProblem), Notes: each(m.GetNotes(), parseProblem),
		Waits: m.GetWaits(), AtRisk: int(m.GetAtRisk()),
	}
}

func formatNodeChange(c *kindred.NodeChange) *pb.NodeChange {
	intent := string(c.Intent)
	return &pb.NodeChange{Node: text(&c.Node), Intent: text(&intent), Zone: text(&c.Zone), Capacity: c.Capacity}
}

func parseNodeChange(p **pb.NodeChange) kindred.NodeChange {
	c := *p
	return kindred.NodeChange{Node: c.GetNode(), Intent: kindred.Intent(c.GetIntent()), Zone: c.GetZone(), Capacity: c.GetCapacity()}
}

func formatProgress(p *kindred.LayoutProgress) *pb.LayoutProgress {
	return &pb.LayoutProgress{
		Tip: text(&p.Tip), Base: text(&p.Base), Next: text(&p.Next), Settled: p.Settled, Gone: each(p.Gone, text), Loss: p.Loss,
		SinceUnixMs: formatTime(p.Since), Nodes: each(p.Nodes, formatNodeProgress), Waits: each(p.Waits, formatFailure),
		Transfer: &pb.Transfer{
			Copies: small(p.Transfer.Copies), Complete: small(p.Transfer.Complete), Bytes: p.Transfer.Bytes,
			BytesPerSecond: p.Transfer.Rate, LeftMs: longMillis(p.Transfer.Left),
		},
		Incomplete: each(p.Incomplete, formatIncomplete),
	}
}

func parseProgress(p *pb.LayoutProgress) kindred.LayoutProgress {
	t := p.GetTransfer()
	return kindred.LayoutProgress{
		Tip: p.GetTip(), Base: p.GetBase(), Next: p.GetNext(), Settled: p.GetSettled(), Gone: p.GetGone(), Loss: p.GetLoss(),
		Since: parseTime(p.GetSinceUnixMs()), Nodes: each(p.GetNodes(), parseNodeProgress), Waits: each(p.GetWaits(), parseFailure),
		Transfer: kindred.Transfer{
			Copies: int(t.GetCopies()), Complete: int(t.GetComplete()), Bytes: t.GetBytes(), Rate: t.GetBytesPerSecond(), Left: fromMillis(t.GetLeftMs()),
		},
		Incomplete: each(p.GetIncomplete(), parseIncomplete),
	}
}

func formatNodeProgress(n *kindred.NodeProgress) *pb.NodeProgress {
	step := string(n.Step)
	return &pb.NodeProgress{Node: text(&n.Node), Holds: n.Holds, Step: text(&step), Complete: n.Complete, Gone: n.Gone}
}

func parseNodeProgress(p **pb.NodeProgress) kindred.NodeProgress {
	n := *p
	return kindred.NodeProgress{Node: n.GetNode(), Holds: n.GetHolds(), Step: kindred.Step(n.GetStep()), Complete: n.GetComplete(), Gone: n.GetGone()}
}

func formatIncomplete(c *kindred.IncompleteCopies) *pb.IncompleteCopies {
	return &pb.IncompleteCopies{
		Node: text(&c.Node), Partitions: each(c.Partitions, func(p *int) uint32 { return small(*p) }), Waits: each(c.Waits, text),
		Reason: text(&c.Reason), Hopeless: c.Hopeless,
	}
}

func parseIncomplete(p **pb.IncompleteCopies) kindred.IncompleteCopies {
	c := *p
	return kindred.IncompleteCopies{
		Node: c.GetNode(), Partitions: each(c.GetPartitions(), func(p *uint32) int { return int(*p) }), Waits: c.GetWaits(),
		Reason: c.GetReason(), Hopeless: c.GetHopeless(),
	}
}

func formatPast(c *kindred.PastChange) *pb.PastChange {
	return &pb.PastChange{
		Version: text(&c.Version), From: text(&c.From), Changes: each(c.Changes, formatNodeChange), Outcome: text(&c.Outcome), Loss: c.Loss,
		CommittedUnixMs: formatTime(c.Committed), EndedUnixMs: formatTime(c.Ended), Copies: small(c.Copies), Bytes: c.Bytes,
		ExpectedMs: longMillis(c.Expected), MovedBytes: c.Moved,
	}
}

func parsePast(p **pb.PastChange) kindred.PastChange {
	c := *p
	return kindred.PastChange{
		Version: c.GetVersion(), From: c.GetFrom(), Changes: each(c.GetChanges(), parseNodeChange), Outcome: c.GetOutcome(), Loss: c.GetLoss(),
		Committed: parseTime(c.GetCommittedUnixMs()), Ended: parseTime(c.GetEndedUnixMs()), Copies: int(c.GetCopies()), Bytes: c.GetBytes(),
		Expected: fromMillis(c.GetExpectedMs()), Moved: c.GetMovedBytes(),
	}
}

func formatPlanned(n *kindred.PlannedNode) *pb.PlannedNode {
	return &pb.PlannedNode{
		Node: text(&n.Node), Zone: text(&n.Zone), Capacity: n.Capacity, Gone: n.Gone, Leaves: n.Leaves, Before: small(n.Before), After: small(n.After),
		CopiesIn: small(n.CopiesIn), CopiesOut: small(n.CopiesOut), BytesIn: n.BytesIn, BytesOut: n.BytesOut,
	}
}

func parsePlanned(p **pb.PlannedNode) kindred.PlannedNode {
	n := *p
	return kindred.PlannedNode{
		Node: n.GetNode(), Zone: n.GetZone(), Capacity: n.GetCapacity(), Gone: n.GetGone(), Leaves: n.GetLeaves(), Before: int(n.GetBefore()), After: int(n.GetAfter()),
		CopiesIn: int(n.GetCopiesIn()), CopiesOut: int(n.GetCopiesOut()), BytesIn: n.GetBytesIn(), BytesOut: n.GetBytesOut(),
	}
}

func formatProblem(p *kindred.PlanProblem) *pb.PlanProblem {
	return &pb.PlanProblem{Kind: text(&p.Kind), Node: text(&p.Node), Text: text(&p.Text)}
}

func parseProblem(p **pb.PlanProblem) kindred.PlanProblem {
	return kindred.PlanProblem{Kind: (*p).GetKind(), Node: (*p).GetNode(), Text: (*p).GetText()}
}

func formatFailure(f *kindred.NodeFailure) *pb.NodeFailure {
	return &pb.NodeFailure{Node: text(&f.Node), Reason: text(&f.Reason)}
}

func parseFailure(f **pb.NodeFailure) kindred.NodeFailure {
	return kindred.NodeFailure{Node: (*f).GetNode(), Reason: (*f).GetReason()}
}

// longMillis are whole milliseconds of what may take days.
func longMillis(d time.Duration) uint64 { return uint64(max(0, d) / time.Millisecond) }

func fromMillis(ms uint64) time.Duration {
	return time.Duration(min(ms, uint64(1<<63-1)/uint64(time.Millisecond))) * time.Millisecond
}
