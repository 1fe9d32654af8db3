package ring

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// StagedMax limits the nodes that changes may be staged for, and those that decisions
// remember. Both are let go again, see [Staging.Trim]: it is no limit of the names that a
// cluster may ever use.
const StagedMax = 4096

// Intent is what is to become of a node.
type Intent byte

const (
	// Keep takes back what was staged.
	Keep Intent = iota
	// Own makes it a member with that zone and capacity, or gives it those.
	Own
	// Leave lets it give away what it has, and go.
	Leave
	// Remove says that it will never come back.
	Remove
)

func (i Intent) String() string {
	names := [...]string{"keep", "own", "leave", "remove"}
	if int(i) < len(names) {
		return names[i]
	}
	return "unknown"
}

// Stamp orders what was staged for one node, and never means a time.
type Stamp struct {
	Counter uint64
	By      string // the node where it was staged
}

// Compare orders stamps totally.
func (s Stamp) Compare(t Stamp) int {
	return cmp.Or(cmp.Compare(s.Counter, t.Counter), strings.Compare(s.By, t.By))
}

// Staged is a change that waits to be committed.
type Staged struct {
	Node   // zone and capacity only with Own
	Intent Intent
	Stamp  Stamp
}

// Staging is what operators have staged, on whatever side of a cut: per node the latest
// change. It is immutable; the zero value is empty.
//
// Nothing has to be removed from it when it is committed: a [Decision] remembers what it
// took, and when that is settled Trim forgets it here. What a decision took that lost against a rival is pending again by itself.
type Staging struct{ entries []Staged } // by name

// All lists what is staged, taken or not, by name.
func (s Staging) All() []Staged { return slices.Clone(s.entries) }

// Pending lists what a decision has not taken, by name.
func (s Staging) Pending(d *Decision) []Staged {
	var pending []Staged
	for _, e := range s.entries {
		if e.Intent != Keep && !d.hasTaken(e) {
			pending = append(pending, e)
		}
	}
	return pending
}

// Stage adds a change, at the node by. It takes the place of what was staged for that
// node before.
//
// Errors: *LimitError, *NodeError.
func (s Staging) Stage(by string, d *Decision, n Node, intent Intent) (Staging, error) {
	if intent != Own {
		n.Zone, n.Capacity = "", 0
	}
	if err := checkNode(n); err != nil {
		return s, err
	}
	at, known := s.find(n.Name)
	if !known && len(s.entries) >= StagedMax {
		return s, &LimitError{Field: "nodes staged for", Got: uint64(len(s.entries) + 1), Max: StagedMax, Fix: "commit what is staged, and wait until that is settled"}
	}
	last := d.took(n.Name)
	if known && s.entries[at].Stamp.Compare(last) > 0 {
		last = s.entries[at].Stamp
	}
	return s.with(Staged{Node: n, Intent: intent, Stamp: Stamp{Counter: last.Counter + 1, By: by}}), nil
}

// Clear takes back all that is pending.
func (s Staging) Clear(by string, d *Decision) Staging {
	for _, e := range s.Pending(d) {
		s = s.with(Staged{Node: Node{Name: e.Name}, Stamp: Stamp{Counter: e.Stamp.Counter + 1, By: by}})
	}
	return s
}

// Trim forgets what a decision took, for when everybody works by it alone: before that one
// that is pending again by itself might win. Whoever still has it may merge it back in: it
// is pending no more.
func (s Staging) Trim(d *Decision) Staging {
	return Staging{slices.DeleteFunc(slices.Clone(s.entries), d.hasTaken)}
}

// MergeStaging joins what two nodes know to be staged. It is commutative, associative and
// idempotent, and loses a change only to a later one for the same node; see [Clashes].
func MergeStaging(a, b Staging) Staging {
	for _, e := range b.entries {
		if at, known := a.find(e.Name); !known || a.entries[at].compare(e) < 0 {
			a = a.with(e)
		}
	}
	return a
}

// Equal reports whether two stagings say the same.
func (s Staging) Equal(t Staging) bool { return slices.Equal(s.entries, t.entries) }

// Clashes lists the nodes for which two stagings say different things that did not know
// of one another: of each, one is dropped.
func Clashes(a, b Staging) (names []string) {
	for _, e := range b.entries {
		at, known := a.find(e.Name)
		if !known {
			continue
		}
		if f := a.entries[at]; f.Stamp.Counter == e.Stamp.Counter && f.compare(e) != 0 && (f.Intent != e.Intent || f.Node != e.Node) {
			names = append(names, e.Name)
		}
	}
	return names
}

// compare orders the changes for one node, by content where a node that has lost its
// disk gave one stamp twice.
func (e Staged) compare(f Staged) int {
	return cmp.Or(e.Stamp.Compare(f.Stamp), cmp.Compare(e.Intent, f.Intent), strings.Compare(e.Zone, f.Zone), cmp.Compare(e.Capacity, f.Capacity))
}

func (s Staging) find(name string) (int, bool) {
	return slices.BinarySearchFunc(s.entries, name, func(e Staged, name string) int { return strings.Compare(e.Name, name) })
}

func (s Staging) with(e Staged) Staging {
	at, known := s.find(e.Name)
	entries := slices.Clone(s.entries)
	if known {
		entries[at] = e
	} else {
		entries = slices.Insert(entries, at, e)
	}
	return Staging{entries}
}

// stagingFormat is the version of the encoding below.
const stagingFormat = 1

// AppendTo appends the one binary form of a staging:
//
//	format 1 byte · number of nodes uvarint ·
//	per node, by name: name, zone (uvarint length and bytes), capacity uvarint,
//	intent 1 byte, counter uvarint, by (uvarint length and bytes)
func (s Staging) AppendTo(b []byte) []byte {
	b = binary.AppendUvarint(append(b, stagingFormat), uint64(len(s.entries)))
	for _, e := range s.entries {
		b = appendNode(b, e.Node)
		b = append(b, byte(e.Intent))
		b = appendStamp(b, e.Stamp)
	}
	return b
}

func appendNode(b []byte, n Node) []byte {
	return binary.AppendUvarint(appendString(appendString(b, n.Name), n.Zone), uint64(n.Capacity))
}

func appendStamp(b []byte, s Stamp) []byte {
	return appendString(binary.AppendUvarint(b, s.Counter), s.By)
}

// DecodeStaging reads what AppendTo wrote, and nothing else.
//
// Errors: *FormatError, *DecodeError, *LimitError, *NodeError.
func DecodeStaging(b []byte) (Staging, error) {
	r := &reader{bytes: b}
	if f := r.byte("format"); r.err == nil && f != stagingFormat {
		return Staging{}, &FormatError{Format: f}
	}
	var s Staging
	for range r.uvarint("nodes staged for", StagedMax) {
		e := Staged{Node: r.node(), Intent: Intent(r.byte("intent")), Stamp: r.stamp()}
		switch {
		case r.err != nil:
		case len(s.entries) > 0 && s.entries[len(s.entries)-1].Name >= e.Name:
			r.fail("name", "nodes are not in order")
		case e.Intent > Remove:
			r.fail("intent", "is unknown")
		case e.Intent != Own && (e.Zone != "" || e.Capacity != 0):
			r.fail("intent", "has no zone and no capacity")
		case checkNode(e.Node) != nil:
			r.err = checkNode(e.Node)
		}
		if r.err != nil {
			return Staging{}, r.err
		}
		s.entries = append(s.entries, e)
	}
	r.end()
	if r.err != nil {
		return Staging{}, r.err
	}
	return s, nil
}

func (r *reader) node() Node {
	return Node{Name: r.string("name"), Zone: r.string("zone"), Capacity: uint32(r.uvarint("capacity", 1<<32-1))}
}

func (r *reader) stamp() Stamp {
	return Stamp{Counter: r.uvarint("counter", 1<<64-1), By: r.string("by")}
}

func (r *reader) end() {
	if r.err == nil && r.at != len(r.bytes) {
		r.fail("end", "more bytes follow")
	}
}
