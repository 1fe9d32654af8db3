package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/kindredkv/kindred"
)

// NodeChangeDoc is a [kindred.NodeChange] in JSON.
type NodeChangeDoc struct {
	Node     string `json:"node"`
	Intent   string `json:"intent"`
	Zone     string `json:"zone"`
	Capacity uint32 `json:"capacity"`
}

// ChangesDoc is [kindred.Changes] in JSON, in HTTP answers and in those of kvcli.
type ChangesDoc struct {
	Node     string          `json:"node"`
	Staged   []NodeChangeDoc `json:"staged"`
	Progress ProgressDoc     `json:"progress"`
	History  []PastChangeDoc `json:"history"`
}

// ProgressDoc is [kindred.LayoutProgress] in JSON.
type ProgressDoc struct {
	Tip      string            `json:"tip"`
	Base     string            `json:"base"`
	Next     string            `json:"next"`
	Settled  bool              `json:"settled"`
	Gone     []string          `json:"gone"`
	Loss     bool              `json:"loss_accepted"`
	Since    string            `json:"since"`
	Nodes    []NodeProgressDoc `json:"nodes"`
	Waits    []WaitDoc         `json:"waits_for"`
	Transfer TransferDoc       `json:"transfer"`
	// Incomplete are the copies of the answering node that keep the change from going on.
	Incomplete []IncompleteDoc `json:"incomplete"`
}

// IncompleteDoc are copies at one node that are not complete, all for the same reason.
type IncompleteDoc struct {
	Node       string   `json:"node"`
	Partitions []int    `json:"partitions"`
	Waits      []string `json:"waits_for"`
	Reason     string   `json:"reason"`
	Hopeless   bool     `json:"hopeless"`
}

// NodeProgressDoc is what a node has announced.
type NodeProgressDoc struct {
	Node     string `json:"node"`
	Holds    bool   `json:"holds"`
	Step     string `json:"step"`
	Complete bool   `json:"complete"`
	Gone     bool   `json:"gone"`
}

// WaitDoc is a node that is waited for.
type WaitDoc struct {
	Node   string `json:"node"`
	Reason string `json:"reason"`
}

// TransferDoc is what one node takes over.
type TransferDoc struct {
	Copies   int     `json:"copies"`
	Complete int     `json:"complete"`
	Bytes    uint64  `json:"bytes"`
	Rate     uint64  `json:"bytes_per_second"`
	Left     float64 `json:"left_seconds"`
}

// PastChangeDoc is a change that was committed.
type PastChangeDoc struct {
	Version   string          `json:"version"`
	From      string          `json:"from"`
	Changes   []NodeChangeDoc `json:"changes"`
	Outcome   string          `json:"outcome"`
	Loss      bool            `json:"loss_accepted"`
	Committed string          `json:"committed_at"`
	Ended     string          `json:"ended_at"`
	Copies    int             `json:"copies"`
	Bytes     uint64          `json:"bytes"`
	Expected  float64         `json:"expected_seconds"`
	Took      float64         `json:"took_seconds"`
	Moved     uint64          `json:"moved_bytes"`
}

// PlanDoc is a [kindred.LayoutPlan] in JSON.
type PlanDoc struct {
	Node       string           `json:"node"`
	Version    string           `json:"version"`
	From       string           `json:"from"`
	Changes    []NodeChangeDoc  `json:"changes"`
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

// NewChangesDoc shows what a node knows of changes. Lists are never null.
func NewChangesDoc(c *kindred.Changes) ChangesDoc {
	return ChangesDoc{
		Node: c.Node, Staged: docs(c.Staged, newNodeChangeDoc), Progress: NewProgressDoc(&c.Progress), History: docs(c.History, newPastChangeDoc),
	}
}

// NewProgressDoc shows how far a change is.
func NewProgressDoc(p *kindred.LayoutProgress) ProgressDoc {
	return ProgressDoc{
		Tip: p.Tip, Base: p.Base, Next: p.Next, Settled: p.Settled, Gone: append([]string{}, p.Gone...), Loss: p.Loss, Since: moment(p.Since),
		Nodes: docs(p.Nodes, func(n *kindred.NodeProgress) NodeProgressDoc {
			return NodeProgressDoc{Node: n.Node, Holds: n.Holds, Step: string(n.Step), Complete: n.Complete, Gone: n.Gone}
		}),
		Waits: docs(p.Waits, func(f *kindred.NodeFailure) WaitDoc { return WaitDoc(*f) }),
		Transfer: TransferDoc{
			Copies: p.Transfer.Copies, Complete: p.Transfer.Complete, Bytes: p.Transfer.Bytes, Rate: p.Transfer.Rate, Left: seconds(p.Transfer.Left),
		},
		Incomplete: docs(p.Incomplete, func(c *kindred.IncompleteCopies) IncompleteDoc {
			return IncompleteDoc{Node: c.Node, Partitions: append([]int{}, c.Partitions...), Waits: append([]string{}, c.Waits...), Reason: c.Reason, Hopeless: c.Hopeless}
		}),
	}
}

// NewPlanDoc shows a plan.
func NewPlanDoc(p *kindred.LayoutPlan) PlanDoc {
	problem := func(p *kindred.PlanProblem) PlanProblemDoc { return PlanProblemDoc(*p) }
	return PlanDoc{
		Node: p.Node, Version: p.Version, From: p.From, Changes: docs(p.Changes, newNodeChangeDoc),
		Nodes:  docs(p.Nodes, func(n *kindred.PlannedNode) PlannedNodeDoc { return PlannedNodeDoc(*n) }),
		Copies: p.Copies, Bytes: p.Bytes, Expected: seconds(p.Expected), Guarantees: append([]string{}, p.Guarantees...),
		Refusals: docs(p.Refusals, problem), Notes: docs(p.Notes, problem), Waits: append([]string{}, p.Waits...), AtRisk: p.AtRisk,
	}
}

// ParseStageDoc reads an order to stage changes, such as
//
//	{"changes": [{"node": "n4", "intent": "own", "zone": "z1", "capacity": 1}]}
func ParseStageDoc(body []byte) ([]kindred.NodeChange, *kindred.Error) {
	var doc struct {
		Changes []NodeChangeDoc `json:"changes"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(&doc)
	if _, more := d.Token(); err == nil && more != io.EOF {
		err = errors.New("more follows after its end")
	}
	if err != nil {
		return nil, kindred.Invalid("body", `the changes are not such as {"changes": [{"node": "n4", "intent": "own", "zone": "z1", "capacity": 1}]}: %v`, err)
	}
	changes := make([]kindred.NodeChange, len(doc.Changes))
	for i, c := range doc.Changes {
		changes[i] = kindred.NodeChange{Node: c.Node, Intent: kindred.Intent(c.Intent), Zone: c.Zone, Capacity: c.Capacity}
	}
	return changes, kindred.CheckChanges(changes)
}

func newNodeChangeDoc(c *kindred.NodeChange) NodeChangeDoc {
	return NodeChangeDoc{Node: c.Node, Intent: string(c.Intent), Zone: c.Zone, Capacity: c.Capacity}
}

func newPastChangeDoc(c *kindred.PastChange) PastChangeDoc {
	doc := PastChangeDoc{
		Version: c.Version, From: c.From, Changes: docs(c.Changes, newNodeChangeDoc), Outcome: c.Outcome, Loss: c.Loss,
		Committed: moment(c.Committed), Ended: moment(c.Ended), Copies: c.Copies, Bytes: c.Bytes, Expected: seconds(c.Expected), Moved: c.Moved,
	}
	if !c.Committed.IsZero() && c.Ended.After(c.Committed) {
		doc.Took = seconds(c.Ended.Sub(c.Committed))
	}
	return doc
}

// docs never gives null.
func docs[A, B any](in []A, convert func(*A) B) []B {
	return append([]B{}, each(in, convert)...)
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
