package ring

import "fmt"

// Kind is what is wrong with a layout.
type Kind int

const (
	FewNodes  Kind = iota + 1 // fewer nodes with a capacity than replicas
	FewZones                  // a note: fewer zones than replicas
	Crowded                   // copies of a partition lie closer together than zones allow
	Duplicate                 // two copies of a partition on one node
	Imbalance                 // a node owns more or less than its fair share allows
)

// Note reports whether a problem of this kind is for information only.
func (k Kind) Note() bool { return k == FewZones }

func (k Kind) String() string {
	switch k {
	case FewNodes:
		return "few nodes"
	case FewZones:
		return "few zones"
	case Crowded:
		return "crowded"
	case Duplicate:
		return "duplicate"
	case Imbalance:
		return "imbalance"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// Problem is one thing that Check found.
type Problem struct {
	Kind      Kind
	Partition Partition // for Crowded and Duplicate
	Node      string    // for Duplicate and Imbalance
	Text      string    // a sentence for people
}

// Check judges a layout by rules 1 to 3 of the package.
func (l *Layout) Check() []Problem {
	var found []Problem
	if l.copies < l.replicas {
		found = append(found, Problem{Kind: FewNodes, Text: fmt.Sprintf("%d copies of %d: add nodes", l.copies, l.replicas)})
	}
	return found
}
