package api

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/kindredkv/kindred"
)

// StagedDoc is a [kindred.StagedChange] in JSON.
type StagedDoc struct {
	Node     string `json:"node"`
	Intent   string `json:"intent"`
	Zone     string `json:"zone"`
	Capacity uint32 `json:"capacity"`
	By       string `json:"by"`
}

// ChangesDoc is a [kindred.LayoutStatus] in JSON, in HTTP answers and in those of kvcli.
type ChangesDoc struct {
	Node     string            `json:"node"`
	Tip      string            `json:"tip"`
	Base     string            `json:"base"`
	Step     string            `json:"step"`
	Settled  bool              `json:"settled"`
	Next     string            `json:"next"`
	Removed  string            `json:"removed"`
	Gone     []string          `json:"gone"`
	Nodes    []NodeProgressDoc `json:"nodes"`
	Waits    []WaitDoc         `json:"waits_for"`
	Staged   []StagedDoc       `json:"staged"`
	Layouts  []KnownLayoutDoc  `json:"layouts"`
	History  []PastChangeDoc   `json:"history"`
	Transfer TransferDoc       `json:"transfer"`
}

// NodeProgressDoc is how far a node is.
type NodeProgressDoc struct {
	Node     string `json:"node"`
	Zone     string `json:"zone"`
	Capacity uint32 `json:"capacity"`
	Member   bool   `json:"member"`
	Joins    bool   `json:"joins"`
	Leaves   bool   `json:"leaves"`
	Gone     bool   `json:"gone"`
	Up       bool   `json:"up"`
	Holds    bool   `json:"holds"`
	Step     string `json:"step"`
	Complete bool   `json:"complete"`
}

// WaitDoc is a node that is waited for.
type WaitDoc struct {
	Node string `json:"node"`
	Why  string `json:"why"`
}

// KnownLayoutDoc is a layout that may be in use, or may come into use.
type KnownLayoutDoc struct {
	Version string   `json:"version"`
	Parent  string   `json:"parent"`
	Formed  bool     `json:"formed"`
	Base    string   `json:"base"`
	Voters  []string `json:"voters"`
	Held    []string `json:"held"`
	Gone    []string `json:"gone"`
	Loss    bool     `json:"loss_accepted"`
}

// TransferDoc is what one node takes over.
type TransferDoc struct {
	Copies   int     `json:"copies"`
	Complete int     `json:"complete"`
	Bytes    uint64  `json:"bytes"`
	Rate     uint64  `json:"bytes_per_second"`
	Left     float64 `json:"left_seconds"`
}

// PastChangeDoc is a layout that was committed.
type PastChangeDoc struct {
	Version  string        `json:"version"`
	At       string        `json:"at"`
	By       string        `json:"by"`
	What     string        `json:"what"`
	Used     bool          `json:"used"`
	Loss     bool          `json:"loss_accepted"`
	Copies   int           `json:"copies"`
	Bytes    uint64        `json:"bytes"`
	Expected float64       `json:"expected_seconds"`
	Moved    uint64        `json:"moved_bytes"`
	Took     float64       `json:"took_seconds"`
	Nodes    []PastNodeDoc `json:"nodes"`
}

// PastNodeDoc is what a change was for one node.
type PastNodeDoc struct {
	Node     string `json:"node"`
	Bytes    uint64 `json:"bytes"`
	Complete string `json:"complete_at"`
	Alone    string `json:"alone_at"`
}

// PlanDoc is a [kindred.LayoutPlan] in JSON.
type PlanDoc struct {
	Node       string           `json:"node"`
	Version    string           `json:"version"`
	From       string           `json:"from"`
	Changes    []StagedDoc      `json:"changes"`
	Nodes      []PlannedNodeDoc `json:"nodes"`
	Copies     int              `json:"copies"`
	Bytes      uint64           `json:"bytes"`
	Expected   float64          `json:"expected_seconds"`
	Guarantees []string         `json:"guarantees"`
	Refusals   []PlanProblemDoc `json:"refusals"`
	Notes      []PlanProblemDoc `json:"notes"`
	Waits      []string         `json:"waits_for"`
	AtRisk     int              `json:"partitions_at_risk"`
}

// PlannedNodeDoc is what a plan means for one node.
type PlannedNodeDoc struct {
	Node      string `json:"node"`
	Zone      string `json:"zone"`
	Capacity  uint32 `json:"capacity"`
	Gone      bool   `json:"gone"`
	Leaves    bool   `json:"leaves"`
	Before    int    `json:"before"`
	After     int    `json:"after"`
	CopiesIn  int    `json:"copies_in"`
	CopiesOut int    `json:"copies_out"`
	BytesIn   uint64 `json:"bytes_in"`
	BytesOut  uint64 `json:"bytes_out"`
}

// PlanProblemDoc is one thing to know before a commit.
type PlanProblemDoc struct {
	Kind string `json:"kind"`
	Node string `json:"node"`
	Text string `json:"text"`
}

// NewChangesDoc shows what a node says of changes. Lists are never null.
func NewChangesDoc(c *kindred.LayoutStatus) ChangesDoc {
	return ChangesDoc{
		Node: c.Node, Tip: c.Tip, Base: c.Base, Step: c.Step, Settled: c.Settled, Next: c.Holds, Removed: c.Removed, Gone: append([]string{}, c.Gone...),
		Nodes: docs(c.Nodes, func(n *kindred.NodeProgress) NodeProgressDoc {
			return NodeProgressDoc{
				Node: n.Name, Zone: n.Zone, Capacity: n.Capacity, Member: n.Member, Joins: n.Joins, Leaves: n.Leaves, Gone: n.Gone,
				Up: n.Up, Holds: n.Holds, Step: n.Step, Complete: n.Complete,
			}
		}),
		Waits:   docs(c.Waits, func(a *kindred.Awaited) WaitDoc { return WaitDoc(*a) }),
		Staged:  docs(c.Staged, newStagedDoc),
		Layouts: docs(c.Layouts, newKnownLayoutDoc), History: docs(c.History, newPastChangeDoc),
		Transfer: TransferDoc{
			Copies: c.Transfer.Copies, Complete: c.Transfer.Complete, Bytes: c.Transfer.Bytes, Rate: c.Transfer.Rate, Left: seconds(c.Transfer.Left),
		},
	}
}

func newKnownLayoutDoc(l *kindred.KnownLayout) KnownLayoutDoc {
	return KnownLayoutDoc{
		Version: l.Version, Parent: l.Parent, Formed: l.Formed, Base: l.Base,
		Voters: append([]string{}, l.Voters...), Held: append([]string{}, l.Held...), Gone: append([]string{}, l.Gone...), Loss: l.Loss,
	}
}

// NewPlanDoc shows a plan.
func NewPlanDoc(p *kindred.LayoutPlan) PlanDoc {
	problem := func(p *kindred.PlanProblem) PlanProblemDoc { return PlanProblemDoc(*p) }
	return PlanDoc{
		Node: p.Node, Version: p.Version, From: p.From, Changes: docs(p.Changes, newStagedDoc),
		Nodes:  docs(p.Nodes, func(n *kindred.PlannedNode) PlannedNodeDoc { return PlannedNodeDoc(*n) }),
		Copies: p.Copies, Bytes: p.Bytes, Expected: seconds(p.Expected), Guarantees: append([]string{}, p.Guarantees...),
		Refusals: docs(p.Refusals, problem), Notes: docs(p.Notes, problem), Waits: append([]string{}, p.Waits...), AtRisk: p.AtRisk,
	}
}

// ParseStageDoc reads an order to stage changes, such as
//
//	{"changes": [{"node": "n4", "intent": "own", "zone": "z1", "capacity": 1}]}
func ParseStageDoc(body []byte) ([]kindred.StagedChange, *kindred.Error) {
	var doc struct {
		Changes []StagedDoc `json:"changes"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return nil, kindred.Invalid("body", `the changes are not such as {"changes": [{"node": "n4", "intent": "own", "zone": "z1", "capacity": 1}]}: %v`, err)
	}
	changes := make([]kindred.StagedChange, len(doc.Changes))
	for i, c := range doc.Changes {
		changes[i] = kindred.StagedChange{Name: c.Node, Intent: c.Intent, Zone: c.Zone, Capacity: c.Capacity}
	}
	return changes, kindred.CheckChanges(changes)
}

func newStagedDoc(c *kindred.StagedChange) StagedDoc {
	return StagedDoc{Node: c.Name, Intent: c.Intent, Zone: c.Zone, Capacity: c.Capacity, By: c.By}
}

// newPastChangeDoc adds up what became of a change: the bytes of all nodes, and the time
// until the last of them was alone.
func newPastChangeDoc(c *kindred.PastChange) PastChangeDoc {
	doc := PastChangeDoc{
		Version: c.Version, At: moment(c.At), By: c.By, What: c.What, Used: c.Used, Loss: c.Loss, Copies: c.Copies, Bytes: c.Bytes, Expected: seconds(c.Duration),
		Nodes: docs(c.Nodes, func(n *kindred.PastNode) PastNodeDoc {
			return PastNodeDoc{Node: n.Name, Bytes: n.Bytes, Complete: moment(n.Complete), Alone: moment(n.Alone)}
		}),
	}
	for _, n := range c.Nodes {
		doc.Moved += n.Bytes
		if n.Alone.IsZero() {
			return doc // how long it takes is not known yet
		}
		doc.Took = max(doc.Took, seconds(n.Alone.Sub(c.At)))
	}
	return doc
}

// docs never gives null.
func docs[A, B any](in []A, convert func(*A) B) []B {
	return append([]B{}, each(in, convert)...)
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
