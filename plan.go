package kindred

import (
	"fmt"
	"time"
)

// ChangesMax bounds the nodes of one order to stage changes.
const ChangesMax = 512

// What is to become of a node.
const (
	// IntentKeep takes back what was staged for it.
	IntentKeep = "keep"
	// IntentOwn makes it a member with that zone and capacity, or gives it those.
	IntentOwn = "own"
	// IntentLeave lets it give away what it has, and go.
	IntentLeave = "leave"
	// IntentRemove says that it will never come back: nobody waits for it any more,
	// and what only it had is lost.
	IntentRemove = "remove"
)

// CheckIntent refuses a word that is none of those.
func CheckIntent(s string) error {
	switch s {
	case IntentKeep, IntentOwn, IntentLeave, IntentRemove:
		return nil
	}
	return fmt.Errorf("%q is no intent: use own, leave, remove or keep", s)
}

// CheckChanges refuses what cannot be staged on any cluster.
func CheckChanges(changes []StagedChange) *Error {
	if len(changes) == 0 {
		return Invalid("changes", "there is nothing to stage: name at least one node")
	}
	if len(changes) > ChangesMax {
		return &Error{
			Code: CodeTooLarge, Field: "changes", Limit: ChangesMax, Outcome: NotApplied,
			Message: fmt.Sprintf("%d changes at once, the limit is %d: stage them in several orders", len(changes), ChangesMax),
		}
	}
	seen := map[string]bool{}
	for _, c := range changes {
		if c.Name == "" {
			return Invalid("node", "a change names no node")
		}
		if seen[c.Name] {
			return Invalid("node", "node %q is named twice: say once what it is to become", c.Name)
		}
		seen[c.Name] = true
		if err := CheckIntent(c.Intent); err != nil {
			return Invalid("intent", "node %q: %v", c.Name, err)
		}
		if c.Intent != IntentOwn && (c.Zone != "" || c.Capacity != 0) {
			return Invalid("zone", "node %q has a zone or a capacity only with the intent own: leave them out", c.Name)
		}
	}
	return nil
}

// LayoutStatus is what a node says of changes of the layout.
type LayoutStatus struct {
	Changes
	// Transfer is what it takes over itself.
	Transfer Transfer
}

// Transfer is how far one node is with the copies that a change gives to it.
type Transfer struct {
	// Copies of partitions it takes over, of which Complete are complete.
	Copies, Complete int
	// Bytes have arrived, at Rate a second since the change began.
	Bytes, Rate uint64
	// Left estimates how long the rest will take; zero if nobody can tell.
	Left time.Duration
}

// LayoutPlan is what a commit would do.
type LayoutPlan struct {
	// Node made it. Version is what a commit has to name, From the layout that it
	// follows on.
	Node, Version, From string
	Changes             []StagedChange
	Nodes               []PlannedNode
	// Copies of partitions are sent, of Bytes in all, which takes about Expected;
	// zero where nobody can tell.
	Copies   int
	Bytes    uint64
	Expected time.Duration
	// Guarantees are sentences: what holds while it goes on.
	Guarantees []string
	// Refusals say why it cannot be committed, Notes what is worth knowing.
	Refusals, Notes []PlanProblem
	// Waits are the nodes that cannot be reached: nothing begins without them.
	Waits []string
	// AtRisk partitions lose so many owners for ever that acknowledged writes may
	// have been only there. Only who accepts that by name can commit it.
	AtRisk int
}

// PlannedNode is what a plan means for one node.
type PlannedNode struct {
	Node, Zone string
	Capacity   uint32
	Gone       bool
	Leaves     bool
	// Partitions it is a home of.
	Before, After int
	// Copies and bytes that it is sent, and sends.
	CopiesIn, CopiesOut int
	BytesIn, BytesOut   uint64
}

// PlanProblem is one thing to know before a commit.
type PlanProblem struct {
	// Kind is a word for programs, Node the one concerned, if it is one.
	Kind, Node string
	// Text is a sentence for people, with what to do.
	Text string
}

// RefusedForLoss reports whether nothing speaks against a commit but that acknowledged
// writes may be lost, which an operator can accept.
func (p *LayoutPlan) RefusedForLoss() bool {
	for _, r := range p.Refusals {
		if r.Kind != PlanOrphaned {
			return false
		}
	}
	return len(p.Refusals) > 0
}

// PlanOrphaned is the kind of a refusal: acknowledged writes may be lost.
const PlanOrphaned = "orphaned"
