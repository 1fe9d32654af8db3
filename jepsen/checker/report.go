package checker

import (
	"fmt"
	"strings"

	"github.com/kindredkv/kindred/jepsen/history"
)

// Property is one promise of the store.
type Property string

const (
	Kept       Property = "C1"
	Exact      Property = "C2"
	StaysGone  Property = "C3"
	Sessions   Property = "C4"
	Fresh      Property = "C5"
	NotApplied Property = "C10"
	UniqueDots Property = "I2"
)

// All returns every property of this package, in the order of reports.
func All() []Property {
	return []Property{Kept, Exact, StaysGone, Sessions, Fresh, NotApplied, UniqueDots}
}

// String is the number and the promise.
func (p Property) String() string {
	switch p {
	case Kept:
		return "C1 acknowledged writes are kept"
	case Exact:
		return "C2 sibling sets are exact"
	case StaysGone:
		return "C3 nothing comes back"
	case Sessions:
		return "C4 sessions do not go back"
	case Fresh:
		return "C5 strict reads see acknowledged writes"
	case NotApplied:
		return "C10 not applied never appears"
	case UniqueDots:
		return "I2 a dot names one write"
	}
	return string(p)
}

// Status is what is known about a property.
type Status uint8

const (
	// Unknown: it could not be checked. The zero value, because silence proves
	// nothing.
	Unknown Status = iota
	// OK: everything that was checked is as promised.
	OK
	// Violated: there is at least one finding.
	Violated
)

// String is one word.
func (s Status) String() string {
	switch s {
	case OK:
		return "ok"
	case Violated:
		return "violated"
	}
	return "unknown"
}

// FindingsMax bounds the findings that a verdict keeps; Found counts them all.
// One lost partition makes thousands that say the same.
const FindingsMax = 100

// Finding is one broken promise with its evidence.
type Finding struct {
	Property Property
	Object   history.ID
	// Ops are positions in the history: first the op that shows it, then those
	// that make it wrong.
	Ops  []int
	Text string
}

// String is one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s %s/%s: %s", string(f.Property), f.Object.Bucket, f.Object.Key, f.Text)
}

// Verdict is the answer for one property.
type Verdict struct {
	Property Property
	Status   Status
	// Checked is the number of ops that were judged for it.
	Checked int
	// Found is the number of findings, Findings the first of them.
	Found    int
	Findings []Finding
	// Reasons say why something could not be checked.
	Reasons []string
}

// Counts are what a run contained. They judge nothing, but a run without
// contention or without a failure is a weak one.
type Counts struct {
	Reads, FinalReads                   int
	Writes                              int
	Acknowledged, NotApplied, Uncertain int
	// Surfaced are writes of unknown outcome that a read found.
	Surfaced int
	// Vanished are those of them that the end does not show and nothing
	// superseded. Unless disks were lost they are findings of C2.
	Vanished int
	// SiblingReads found several values, SiblingsMost of them at most.
	SiblingReads, SiblingsMost int
	// Superseded are writes that a later one had seen.
	Superseded int
	// Exempt reads promise no freshness (sloppy, or R + W ≤ N), Stale ones of
	// them missed an acknowledged write.
	Exempt, Stale int
	// Echoes are values that came back because a retried write had become two
	// events (I10).
	Echoes int
}

// Report is the judgement of a history.
type Report struct {
	Verdicts []Verdict
	Counts   Counts
}

// Status is Violated if any verdict is, else Unknown if any is, else OK.
func (r *Report) Status() Status {
	status := OK
	for _, v := range r.Verdicts {
		switch {
		case v.Status == Violated:
			return Violated
		case v.Status == Unknown:
			status = Unknown
		}
	}
	if len(r.Verdicts) == 0 {
		return Unknown
	}
	return status
}

// Verdict gives the answer for p; it is Unknown if p was not asked.
func (r *Report) Verdict(p Property) Verdict {
	for _, v := range r.Verdicts {
		if v.Property == p {
			return v
		}
	}
	return Verdict{Property: p, Reasons: []string{"it was not asked"}}
}

// String is a line per property, then its findings and reasons.
func (r *Report) String() string {
	var b strings.Builder
	for _, v := range r.Verdicts {
		fmt.Fprintf(&b, "%-9s %v (%d checked)\n", v.Status, v.Property, v.Checked)
		for _, f := range v.Findings {
			fmt.Fprintf(&b, "  %v\n", f)
		}
		if more := v.Found - len(v.Findings); more > 0 {
			fmt.Fprintf(&b, "  and %d more\n", more)
		}
		for _, reason := range v.Reasons {
			fmt.Fprintf(&b, "  not checked: %s\n", reason)
		}
	}
	return b.String()
}

// find adds a finding about an object. The text is made only if there is room.
func (v *Verdict) find(o *object, ops []int, format string, args ...any) {
	if v.Found++; len(v.Findings) < FindingsMax {
		v.Findings = append(v.Findings, Finding{Property: v.Property, Object: o.id, Ops: ops, Text: fmt.Sprintf(format, args...)})
	}
}

// doubt notes why something could not be checked. The same reason counts once.
func (v *Verdict) doubt(reason string) {
	for _, r := range v.Reasons {
		if r == reason {
			return
		}
	}
	if len(v.Reasons) < FindingsMax {
		v.Reasons = append(v.Reasons, reason)
	}
}

// nothing is the reason of last resort.
const nothing = "the history holds nothing to check it by"

// conclude sets the status once everything has been looked at.
func (v *Verdict) conclude() {
	switch {
	case v.Found > 0:
		v.Status = Violated
	case len(v.Reasons) > 0:
		v.Status = Unknown
	case v.Checked == 0:
		v.Status = Unknown
		v.doubt(nothing)
	default:
		v.Status = OK
	}
}
