package kindred

import "time"

// Changes is how the layout of a cluster changes, as one node knows it. Versions are in
// readable form, empty for none.
type Changes struct {
	// Node is the one that answers.
	Node string
	// Tip is the layout by which it works, Base the one from which that takes over: the
	// same one once the node goes by nothing older. Step is how far the node is: both,
	// ahead or alone.
	Tip, Base, Step string
	// Settled: nobody who counts goes by anything older than the tip.
	Settled bool
	// Holds is the layout that the node holds as the next one: it is used once all its
	// voters hold it.
	Holds string
	// Removed is the layout that has no place for this node.
	Removed string
	// Gone are the nodes that an operator has declared gone for ever, until that is
	// settled.
	Gone []string
	// Nodes are all that have a part in any of this, by name.
	Nodes []NodeProgress
	// Waits says for whom the next thing waits, and why.
	Waits []Awaited
	// Staged are the changes that wait to be committed, by name.
	Staged []StagedChange
	// Layouts are all that the node knows, History what was committed; the newest first.
	Layouts []KnownLayout
	History []PastChange
}

// NodeProgress is how far a node is, as another one has heard.
type NodeProgress struct {
	Name     string
	Zone     string
	Capacity uint32
	// Member of the tip; Joins by the layout that is held; Leaves: a member of the base
	// or of the tip, and not of what follows; Gone for ever.
	Member, Joins, Leaves, Gone bool
	// Up: the answering node can send to it now.
	Up bool
	// Holds the layout that the answering node holds.
	Holds bool
	// Step it has taken with the tip: none, both, ahead or alone. Complete: it has all
	// that was acknowledged before.
	Step     string
	Complete bool
}

// Awaited is a node that has not done what the next thing needs.
type Awaited struct{ Node, Why string }

// StagedChange is what is to become of a node: own, leave or remove. Zone and capacity
// are only with own.
type StagedChange struct {
	Name     string
	Zone     string
	Capacity uint32
	Intent   string
	// By is the node where it was staged.
	By string
}

// KnownLayout is a layout that may be in use, or may come into use.
type KnownLayout struct {
	Version, Parent string
	// Formed: it is used, as that which takes over from Base.
	Formed bool
	Base   string
	// Voters all have to hold it before it is formed; Held are those that do.
	Voters, Held []string
	Gone         []string
	// Loss: the operator has accepted that acknowledged writes may be lost.
	Loss bool
}

// PastChange is a layout that was committed.
type PastChange struct {
	Version string
	// At is when and By where it was committed, What what was staged then.
	At   time.Time
	By   string
	What string
	// Used: it was formed. One that is not either waits or lost against another.
	Used bool
	Loss bool
	// Copies, Bytes and Duration were predicted; zero where nobody could.
	Copies   int
	Bytes    uint64
	Duration time.Duration
	// Nodes are what became of it, by name.
	Nodes []PastNode
}

// PastNode is what a change was for one node: the bytes it took in, and when it was
// complete, and alone; zero while it is not.
type PastNode struct {
	Name            string
	Bytes           uint64
	Complete, Alone time.Time
}
