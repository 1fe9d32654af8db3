package ring

import (
	"maps"
	"slices"
)

// Step is how far a node has gone with its tip.
type Step byte

const (
	// Both: writes meet their quorum among the owners of the base and of the tip, reads
	// ask those of the base.
	Both Step = 1 + iota
	// Ahead: writes as before, reads ask the owners of the tip.
	Ahead
	// Alone: the owners of the base count no more.
	Alone
)

func (s Step) String() string {
	names := [...]string{"none", "both", "ahead", "alone"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Mark is what a node has announced of a decision. It only grows.
type Mark struct {
	// Held: it holds, or held, the decision as the successor of its tip. Beyond: it was
	// beyond Both of its tip then, or since.
	Held, Beyond bool
	// Complete: it has all that was acknowledged before, or leaves and owes nothing.
	Complete bool
	Step     Step
}

func (m Mark) join(n Mark) Mark {
	return Mark{Held: m.Held || n.Held, Beyond: m.Beyond || n.Beyond, Complete: m.Complete || n.Complete, Step: max(m.Step, n.Step)}
}

// File is all that is known of one decision. Files of one decision merge; a file is
// immutable.
type File struct {
	Decision *Decision
	// Formed: all voters were seen to hold it. It takes over from Base then.
	Formed bool
	Base   Version
	marks  map[string]Mark
}

// Mark is what a node has announced.
func (f File) Mark(name string) Mark { return f.marks[name] }

// Marked lists the nodes that have announced something, by name.
func (f File) Marked() []string { return slices.Sorted(maps.Keys(f.marks)) }

func (f File) with(name string, m Mark) File {
	if m == (Mark{}) {
		return f
	}
	f.marks = maps.Clone(f.marks)
	if f.marks == nil {
		f.marks = map[string]Mark{}
	}
	f.marks[name] = f.marks[name].join(m)
	return f
}

// MergeFiles joins what two nodes know of one decision. It is commutative, associative
// and idempotent. That a decision is formed, and what it takes over from, is a fact that
// is the same for all who know it.
func MergeFiles(a, b File) File {
	if b.Formed {
		a.Formed, a.Base = true, b.Base
	}
	for name, m := range b.marks {
		if a.marks[name].join(m) != a.marks[name] {
			a = a.with(name, m)
		}
	}
	return a
}

// sameFile reports whether two files of one decision say the same.
func sameFile(a, b File) bool { return a.Formed == b.Formed && maps.Equal(a.marks, b.marks) }

// all reports whether all those nodes have announced something.
func (f File) all(names []string, ok func(Mark) bool) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return !ok(f.marks[n]) })
}
