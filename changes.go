package kindred

import (
	"fmt"
	"slices"
	"time"
)

// ChangesMax bounds the nodes of one order to stage changes.
const ChangesMax = 512

// Intent is what is to become of a node.
type Intent string

const (
	// IntentKeep takes back what was staged for it.
	IntentKeep Intent = "keep"
	// IntentOwn makes it a member with that zone and capacity, or gives it those.
	IntentOwn Intent = "own"
	// IntentLeave lets it give away what it has, and go.
	IntentLeave Intent = "leave"
	// IntentRemove says that it will never come back: nobody waits for it any more,
	// and what only it had is lost.
	IntentRemove Intent = "remove"
)

// ParseIntent reads keep, own, leave or remove.
func ParseIntent(s string) (Intent, error) {
	switch i := Intent(s); i {
	case IntentKeep, IntentOwn, IntentLeave, IntentRemove:
		return i, nil
	}
	return "", fmt.Errorf("%q is no intent: use own, leave, remove or keep", s)
}

// NodeChange is a change of one node. Zone and capacity are those that it is to
// have, with IntentOwn only; a node of capacity 0 is a member that owns nothing.
type NodeChange struct {
	Node     string
	Intent   Intent
	Zone     string
	Capacity uint32
}

// CheckChanges refuses what cannot be staged on any cluster.
func CheckChanges(changes []NodeChange) *Error {
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
		if c.Node == "" {
			return Invalid("node", "a change names no node")
		}
		if seen[c.Node] {
			return Invalid("node", "node %q is named twice: say once what it is to become", c.Node)
		}
		seen[c.Node] = true
		if _, err := ParseIntent(string(c.Intent)); err != nil {
			return Invalid("intent", "node %q: %v", c.Node, err)
		}
		if c.Intent != IntentOwn && (c.Zone != "" || c.Capacity != 0) {
			return Invalid("zone", "node %q has a zone or a capacity only with the intent own: leave them out", c.Node)
		}
	}
	return nil
}

// Step is how far a node has gone from the old owners of partitions to the new
// ones.
type Step string

const (
	// StepNone: it does not work by the layout yet, or has no part in it.
	StepNone Step = ""
	// StepBoth: it writes to a quorum of the old owners and to one of the new, and
	// reads from the old.
	StepBoth Step = "both"
	// StepAhead: it writes as before, and reads from the new owners.
	StepAhead Step = "ahead"
	// StepAlone: the old owners count no more.
	StepAlone Step = "alone"
)

// Changes is what one node knows of changes of the layout.
type Changes struct {
	// Node is the one that answers.
	Node string
	// Staged waits to be committed, by node.
	Staged []NodeChange
	// Progress is that of the layout which the cluster works by or goes to.
	Progress LayoutProgress
	// History lists the changes that this node has seen committed, the latest first.
	History []PastChange
}

// LayoutProgress is how far the cluster is with a layout, as one node knows it.
type LayoutProgress struct {
	// Tip is the version of the layout by which the node works, Base that of the one
	// from which it takes over, the same once nobody goes by that any more.
	Tip, Base string
	// Next was committed and is used when all voters are known to hold it; empty if
	// there is none.
	Next string
	// Settled: nobody goes by anything older than Tip, and Next is empty.
	Settled bool
	// Gone will never come back, by the word of an operator; Loss says that he
	// accepted what may be lost with them.
	Gone []string
	Loss bool
	// Since is when the node heard of the change first, by its clock; zero if it is
	// settled, or was heard of before the start of the node.
	Since time.Time
	Nodes []NodeProgress
	// Waits are those without whom nothing goes on, and why.
	Waits []NodeFailure
	// Transfer is what the answering node itself takes over, Incomplete its copies that
	// keep the change from going on.
	Transfer   Transfer
	Incomplete []IncompleteCopies
}

// IncompleteCopies are copies of partitions at one node that are not complete, all for
// the same reason: nobody reads from new owners before all owners are (R23, R25).
type IncompleteCopies struct {
	Node string
	// Partitions in order; none for a node that leaves and owes something.
	Partitions []int
	// Waits are the nodes that have to do something, or be there.
	Waits []string
	// Reason goes on after the name of the node.
	Reason string
	// Hopeless: whoever comes back, this never ends by itself. Too many owners are gone
	// for ever, or have lost their disks, and only a layout by which the loss is accepted
	// goes on.
	Hopeless bool
}

// NodeProgress is what a node has announced.
type NodeProgress struct {
	Node string
	// Holds: it holds the committed layout Next, or did before it used it.
	Holds bool
	Step  Step
	// Complete: it has all that was acknowledged before.
	Complete bool
	Gone     bool
}

// Transfer is how far one node is with the copies that a change gives to it.
type Transfer struct {
	// Copies of partitions it takes over, of which Complete are complete.
	Copies, Complete int
	// Bytes have come for them, at Rate a second.
	Bytes, Rate uint64
	// Left estimates how long the rest will take; zero if nobody can tell.
	Left time.Duration
}

// PastChange is a change that was committed: what was predicted, and what came.
type PastChange struct {
	// Version is the layout that was committed, From the one that it followed on.
	Version, From string
	Changes       []NodeChange
	// Outcome is settled, replaced (by a later or a greater one) or running.
	Outcome string
	Loss    bool
	// Committed and Ended are moments of the clock of the node that answers; zero
	// where it does not know.
	Committed, Ended time.Time
	// Copies and Bytes were to be sent, and the whole change to take Expected; zero where
	// nobody could tell.
	Copies   int
	Bytes    uint64
	Expected time.Duration
	// Moved are the bytes that all nodes were sent for it, those that have told of it.
	Moved uint64
}

// LayoutPlan is what a commit would do.
type LayoutPlan struct {
	// Node made it. Version is what a commit has to name, From the layout that it
	// follows on.
	Node, Version, From string
	Changes             []NodeChange
	Nodes               []PlannedNode
	// Copies of partitions are sent, of Bytes in all: keys and values, as they are sent
	// and before the disk compresses them. The change takes about Expected, the time until
	// all have agreed to it included. Zero where nobody can tell.
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
	// have been only there. Only who accepts that can commit it.
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

// PlanOrphaned is the kind of a refusal: acknowledged writes may be lost.
const PlanOrphaned = "orphaned"

// PlanNothingStaged is the kind of a refusal: a commit would change nothing.
const PlanNothingStaged = "nothing_staged"

// PlanAcceptable is the kind of a note: a change goes on without a loss that was accepted,
// and a commit may accept one, also with nothing staged.
const PlanAcceptable = "acceptable"

// MayAcceptLoss reports whether a commit of nothing but the acceptance of a loss is
// something.
func (p *LayoutPlan) MayAcceptLoss() bool {
	return slices.ContainsFunc(p.Notes, func(n PlanProblem) bool { return n.Kind == PlanAcceptable })
}

// NothingStaged is why a commit would change nothing, empty if it would.
func (p *LayoutPlan) NothingStaged() string {
	for _, r := range p.Refusals {
		if r.Kind == PlanNothingStaged {
			return r.Text
		}
	}
	return ""
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
