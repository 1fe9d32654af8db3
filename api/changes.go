package api

import (
	"time"

	"github.com/kindredkv/kindred"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// FormatStageChanges carries an order to stage changes.
func FormatStageChanges(changes []kindred.StagedChange) *pb.StageChangesRequest {
	return &pb.StageChangesRequest{Changes: each(changes, formatStaged)}
}

// ParseStageChanges reads and checks an order to stage changes.
func ParseStageChanges(m *pb.StageChangesRequest) ([]kindred.StagedChange, *kindred.Error) {
	changes := each(m.GetChanges(), parseStaged)
	return changes, kindred.CheckChanges(changes)
}

// FormatChanges carries what a node says of changes.
func FormatChanges(c *kindred.LayoutStatus) *pb.ChangesResponse {
	return &pb.ChangesResponse{
		Node: text(&c.Node), Tip: text(&c.Tip), Base: text(&c.Base), Step: text(&c.Step), Settled: c.Settled, Next: text(&c.Holds), Removed: text(&c.Removed),
		Gone: each(c.Gone, text), Nodes: each(c.Nodes, formatNodeProgress), Waits: each(c.Waits, formatAwaited), Staged: each(c.Staged, formatStaged),
		Layouts: each(c.Layouts, formatKnown), History: each(c.History, formatPast),
		Transfer: &pb.Transfer{
			Copies: small(c.Transfer.Copies), Complete: small(c.Transfer.Complete), Bytes: c.Transfer.Bytes,
			BytesPerSecond: c.Transfer.Rate, LeftMs: longMillis(c.Transfer.Left),
		},
	}
}

// ParseChanges is the inverse of [FormatChanges].
func ParseChanges(m *pb.ChangesResponse) kindred.LayoutStatus {
	t := m.GetTransfer()
	return kindred.LayoutStatus{
		Changes: kindred.Changes{
			Node: m.GetNode(), Tip: m.GetTip(), Base: m.GetBase(), Step: m.GetStep(), Settled: m.GetSettled(), Holds: m.GetNext(), Removed: m.GetRemoved(),
			Gone: m.GetGone(), Nodes: each(m.GetNodes(), parseNodeProgress), Waits: each(m.GetWaits(), parseAwaited), Staged: each(m.GetStaged(), parseStaged),
			Layouts: each(m.GetLayouts(), parseKnown), History: each(m.GetHistory(), parsePast),
		},
		Transfer: kindred.Transfer{
			Copies: int(t.GetCopies()), Complete: int(t.GetComplete()), Bytes: t.GetBytes(), Rate: t.GetBytesPerSecond(), Left: fromMillis(t.GetLeftMs()),
		},
	}
}

// FormatPlan carries a plan.
func FormatPlan(p *kindred.LayoutPlan) *pb.PlanResponse {
	return &pb.PlanResponse{
		Node: text(&p.Node), Version: text(&p.Version), From: text(&p.From), Changes: each(p.Changes, formatStaged),
		Nodes: each(p.Nodes, formatPlanned), Copies: small(p.Copies), Bytes: p.Bytes, ExpectedMs: longMillis(p.Expected),
		Guarantees: each(p.Guarantees, text), Refusals: each(p.Refusals, formatProblem), Notes: each(p.Notes, formatProblem),
		Waits: each(p.Waits, text), AtRisk: small(p.AtRisk),
	}
}

// ParsePlan is the inverse of [FormatPlan].
func ParsePlan(m *pb.PlanResponse) kindred.LayoutPlan {
	return kindred.LayoutPlan{
		Node: m.GetNode(), Version: m.GetVersion(), From: m.GetFrom(), Changes: each(m.GetChanges(), parseStaged),
		Nodes: each(m.GetNodes(), parsePlanned), Copies: int(m.GetCopies()), Bytes: m.GetBytes(), Expected: fromMillis(m.GetExpectedMs()),
		Guarantees: m.GetGuarantees(), Refusals: each(m.GetRefusals(), parseProblem), Notes: each(m.GetNotes(), parseProblem),
		Waits: m.GetWaits(), AtRisk: int(m.GetAtRisk()),
	}
}

func formatStaged(c *kindred.StagedChange) *pb.StagedChange {
	return &pb.StagedChange{Node: text(&c.Name), Intent: text(&c.Intent), Zone: text(&c.Zone), Capacity: c.Capacity, By: text(&c.By)}
}

func parseStaged(p **pb.StagedChange) kindred.StagedChange {
	c := *p
	return kindred.StagedChange{Name: c.GetNode(), Intent: c.GetIntent(), Zone: c.GetZone(), Capacity: c.GetCapacity(), By: c.GetBy()}
}

func formatNodeProgress(n *kindred.NodeProgress) *pb.NodeProgress {
	return &pb.NodeProgress{
		Node: text(&n.Name), Zone: text(&n.Zone), Capacity: n.Capacity, Member: n.Member, Joins: n.Joins, Leaves: n.Leaves, Gone: n.Gone,
		Up: n.Up, Holds: n.Holds, Step: text(&n.Step), Complete: n.Complete,
	}
}

func parseNodeProgress(p **pb.NodeProgress) kindred.NodeProgress {
	n := *p
	return kindred.NodeProgress{
		Name: n.GetNode(), Zone: n.GetZone(), Capacity: n.GetCapacity(), Member: n.GetMember(), Joins: n.GetJoins(), Leaves: n.GetLeaves(), Gone: n.GetGone(),
		Up: n.GetUp(), Holds: n.GetHolds(), Step: n.GetStep(), Complete: n.GetComplete(),
	}
}

func formatAwaited(a *kindred.Awaited) *pb.NodeFailure {
	return &pb.NodeFailure{Node: text(&a.Node), Reason: text(&a.Why)}
}

func parseAwaited(f **pb.NodeFailure) kindred.Awaited {
	return kindred.Awaited{Node: (*f).GetNode(), Why: (*f).GetReason()}
}

func formatKnown(l *kindred.KnownLayout) *pb.KnownLayout {
	return &pb.KnownLayout{
		Version: text(&l.Version), Parent: text(&l.Parent), Formed: l.Formed, Base: text(&l.Base),
		Voters: each(l.Voters, text), Held: each(l.Held, text), Gone: each(l.Gone, text), Loss: l.Loss,
	}
}

func parseKnown(p **pb.KnownLayout) kindred.KnownLayout {
	l := *p
	return kindred.KnownLayout{
		Version: l.GetVersion(), Parent: l.GetParent(), Formed: l.GetFormed(), Base: l.GetBase(),
		Voters: l.GetVoters(), Held: l.GetHeld(), Gone: l.GetGone(), Loss: l.GetLoss(),
	}
}

func formatPast(c *kindred.PastChange) *pb.PastChange {
	return &pb.PastChange{
		Version: text(&c.Version), AtUnixMs: formatTime(c.At), By: text(&c.By), What: text(&c.What), Used: c.Used, Loss: c.Loss,
		Copies: small(c.Copies), Bytes: c.Bytes, ExpectedMs: longMillis(c.Duration),
		Nodes: each(c.Nodes, func(n *kindred.PastNode) *pb.PastNode {
			return &pb.PastNode{Node: text(&n.Name), Bytes: n.Bytes, CompleteUnixMs: formatTime(n.Complete), AloneUnixMs: formatTime(n.Alone)}
		}),
	}
}

func parsePast(p **pb.PastChange) kindred.PastChange {
	c := *p
	return kindred.PastChange{
		Version: c.GetVersion(), At: parseTime(c.GetAtUnixMs()), By: c.GetBy(), What: c.GetWhat(), Used: c.GetUsed(), Loss: c.GetLoss(),
		Copies: int(c.GetCopies()), Bytes: c.GetBytes(), Duration: fromMillis(c.GetExpectedMs()),
		Nodes: each(c.GetNodes(), func(n **pb.PastNode) kindred.PastNode {
			return kindred.PastNode{Name: (*n).GetNode(), Bytes: (*n).GetBytes(), Complete: parseTime((*n).GetCompleteUnixMs()), Alone: parseTime((*n).GetAloneUnixMs())}
		}),
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
