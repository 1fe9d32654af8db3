package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
)

// Run is a whole run: what was asked for, what happened, what the judges say.
type Run struct {
	// Version is the program that made the run, Command how to make it again, Began
	// when it was made.
	Version, Command string
	Began            time.Time
	Seed             uint64
	// Asked is how long faults were to happen, Worked how long clients worked, Ended
	// when the last final read had been answered.
	Asked, Worked, Ended time.Duration
	// Interrupted: somebody ended it early.
	Interrupted bool
	// Nodes are the names of all nodes.
	Nodes []string
	// N, R and W are the quorums in force; Strict: guests did not count.
	N, R, W int
	Strict  bool
	// Pause is the time between two operations of one client.
	Pause   time.Duration
	Nemeses []Nemesis
	// OverBudget: more was taken than the copies allow.
	OverBudget bool
	// Parts are the workloads, which ran side by side.
	Parts  []Part
	Faults []history.Fault
	// Held are the times in which clients were made to wait until all replicas had
	// agreed.
	Held []Span
	// Caught is what a nemesis has seen for itself that must not be, in words.
	Caught []string
	// EndedBy is why the faults ended before their time, such as a nemesis that could
	// not do its work; empty if they did not. Then not all of the plan was tried.
	EndedBy string
	// Samples are what the nodes said of their replicas, in order of time.
	Samples []Sample
	// Rest is how the cluster came to rest.
	Rest Rest
	// Homes are the nodes that keep a copy of the keys that findings are about.
	Homes map[history.ID][]string
	// Recordings are what nodes were given, if that was recorded, in order of their
	// names.
	Recordings []Recording
	// Notes are for people.
	Notes []string
}

// Nemesis is one kind of fault of a run.
type Nemesis struct{ Name, Doc, Holds, Loses string }

// Part is one workload.
type Part struct {
	Workload, Bucket string
	// Doors says of each process how it reached the cluster.
	Doors   []string
	History history.History
	Report  checker.Report
	// Promised are the properties that were asked for; the others are not promised
	// with these quorums.
	Promised []checker.Property
}

// Span is a time.
type Span struct{ Begin, End time.Duration }

// Sample is what the nodes said at one moment.
type Sample struct {
	At time.Duration
	// Replicas is how many replicas those nodes have that answered, Open how many of
	// them have writes that are not at every home yet; Hints is what guests keep.
	Replicas, Open, Hints int
	// Silent are the nodes that did not answer.
	Silent int
}

// Recording is what the shards of a node were given, each time it was started.
type Recording struct {
	Node string
	// Dir is the folder of its files, which take Bytes.
	Dir   string
	Files int
	Bytes int64
	// Starts are in order of time.
	Starts []RecordedStart
}

// RecordedStart is one start of a node.
type RecordedStart struct {
	// Number is which start of the node it was, so far as its disk knew. Began is
	// when, in the time of the run; the first ones are before it.
	Number uint64
	Began  time.Duration
	// Headless: the beginning was dropped for want of room, and what is left can be
	// shown and not be played.
	Headless bool
}

// Rest is the end: all replicas equal, no hints left.
type Rest struct {
	// Begin is when the faults were over and nobody worked any more, Took how long
	// it was until all was equal, Max how long it might have taken.
	Begin, Took, Max time.Duration
	// Problem says why it was not reached; empty if it was.
	Problem string
}

// Verdict is the judgement of a whole run.
type Verdict uint8

const (
	// Undecided: something could not be judged, which proves nothing. The zero
	// value.
	Undecided Verdict = iota
	// Held: all that was promised was kept.
	Held
	// Broken: at least one promise was broken.
	Broken
)

// String is one word.
func (v Verdict) String() string {
	switch v {
	case Held:
		return "held"
	case Broken:
		return "broken"
	}
	return "undecided"
}

// Verdict is Broken if any judge says so or the cluster did not come to rest, else
// Undecided if any judge could not tell, or not all was tried. A nemesis that never came
// for want of time is said and no reason, as long as any did.
func (r *Run) Verdict() Verdict {
	v := Held
	for i := range r.Parts {
		switch r.Parts[i].Report.Status() {
		case checker.Violated:
			return Broken
		case checker.Unknown:
			v = Undecided
		}
	}
	switch {
	case r.Rest.Problem != "" || len(r.Caught) > 0:
		return Broken
	case len(r.Parts) == 0 || r.EndedBy != "" || r.untried():
		return Undecided
	}
	return v
}

// untried: faults were asked for, and the run was over before the first.
func (r *Run) untried() bool { return len(r.Nemeses) > 0 && len(r.Faults) == 0 }

// reasonsMax is how many reasons of one kind people are shown.
const reasonsMax = 2

// Reasons are why something could not be judged, for people: there is one for each key,
// and after the first ones they say the same.
func Reasons(v checker.Verdict) []string {
	if len(v.Reasons) <= reasonsMax {
		return v.Reasons
	}
	return append(slices.Clone(v.Reasons[:reasonsMax]), fmt.Sprintf("and %d more", len(v.Reasons)-reasonsMax))
}

// Found is how many anomalies there are.
func (r *Run) Found() (n int) {
	n = len(r.Caught)
	for i := range r.Parts {
		for _, v := range r.Parts[i].Report.Verdicts {
			n += v.Found
		}
	}
	return n
}

// Tally counts what clients were told.
type Tally struct {
	Operations, Answered, Refused, Unknown int
	// Sloppy are answers to which guests were counted.
	Sloppy int
}

// Add counts one operation.
func (t *Tally) Add(op *history.Op) {
	t.Operations++
	switch {
	case op.Outcome == kindred.Applied:
		t.Answered++
	case op.Outcome == kindred.NotApplied || op.Kind == history.Get:
		t.Refused++
	default:
		t.Unknown++
	}
	if op.Sloppy {
		t.Sloppy++
	}
}

// Failed is what was not answered.
func (t Tally) Failed() int { return t.Refused + t.Unknown }

// Tally counts the operations that are no final reads, those of one door, or of all
// if the name is empty.
func (p *Part) Tally(door string) (t Tally) {
	for i := range p.History.Ops {
		op := &p.History.Ops[i]
		if !op.Final && (door == "" || p.Door(op.Process) == door) {
			t.Add(op)
		}
	}
	return t
}

// Door is how a process reached the cluster.
func (p *Part) Door(process int) string {
	if process < len(p.Doors) {
		return p.Doors[process]
	}
	return "final reads"
}
