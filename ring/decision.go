package ring

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/spaolacci/murmur3"
)

// Decision is a layout together with what it follows on: what operators commit. It is
// immutable.
type Decision struct {
	layout *Layout
	parent Version
	gone   []string
	taken  []taken
	// floor: of names that are not in taken, all changes with a counter up to this were
	// taken.
	floor   uint64
	settled bool
	loss    bool
	version Version
}

// taken is the last change for a node that a decision, or one before it, took.
type taken struct {
	name  string
	stamp Stamp
}

// First is the decision that is a cluster's first layout, and that of clusters from
// before there were decisions.
func First(l *Layout) *Decision {
	d := &Decision{layout: l}
	d.seal()
	return d
}

// Layout is what was decided.
func (d *Decision) Layout() *Layout { return d.layout }

// Version names the decision. It is that of the layout, but that its hash covers the
// whole decision: to remove a node and to let it leave may make the same layout.
func (d *Decision) Version() Version { return d.version }

// Parent is the version of the decision that this one follows on, zero for the first.
func (d *Decision) Parent() Version { return d.parent }

// Gone are the nodes that were said never to come back, by this decision or by one
// before it that was not settled then. Do not modify it.
func (d *Decision) Gone() []string { return d.gone }

// Settled reports whether it was committed where its parent was known to be settled.
func (d *Decision) Settled() bool { return d.settled }

// Loss reports whether the operator has accepted that acknowledged writes may be lost.
func (d *Decision) Loss() bool { return d.loss }

// Decided reports whether an operator has said what is to become of a node: its zone and
// capacity are then his, and not what it was started with.
func (d *Decision) Decided(name string) bool {
	_, known := d.findTaken(name)
	return known
}

// Former reports whether a node was a member once, and was let go or removed.
func (d *Decision) Former(name string) bool { return !d.has(name) && d.Decided(name) }

// same reports whether another decision that follows on the same parent would be used in
// the same way, for the same members.
func (d *Decision) same(e *Decision) bool {
	return slices.Equal(d.layout.Nodes(), e.layout.Nodes()) && slices.Equal(d.gone, e.gone) && d.settled == e.settled && d.loss == e.loss
}

func (d *Decision) isGone(name string) bool { return slices.Contains(d.gone, name) }

// owns reports whether a node owns something.
func (d *Decision) owns(name string) bool {
	n, ok := d.layout.Node(name)
	return ok && n.Capacity > 0
}

func (d *Decision) has(name string) bool {
	_, ok := d.layout.Node(name)
	return ok
}

// took is the last change for a node that was taken. Of a name that is not remembered it
// is the greatest counter that any such name may have had.
func (d *Decision) took(name string) Stamp {
	at, known := d.findTaken(name)
	if !known {
		return Stamp{Counter: d.floor}
	}
	return d.taken[at].stamp
}

// hasTaken reports whether a change needs no decision any more.
func (d *Decision) hasTaken(e Staged) bool {
	if at, known := d.findTaken(e.Name); known {
		return e.Stamp.Compare(d.taken[at].stamp) <= 0
	}
	return e.Stamp.Counter <= d.floor
}

func (d *Decision) findTaken(name string) (int, bool) {
	return slices.BinarySearchFunc(d.taken, name, func(t taken, name string) int { return strings.Compare(t.name, name) })
}

// next is the decision that takes all that is pending, with a version of that counter.
func (d *Decision) next(s Staging, counter uint64, settled, loss bool) (*Decision, error) {
	next := &Decision{parent: d.version, taken: slices.Clone(d.taken), floor: d.floor, settled: settled, loss: loss}
	if !settled {
		next.gone = slices.Clone(d.gone)
	}
	nodes := d.layout.Nodes()
	for _, e := range s.Pending(d) {
		at := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == e.Name })
		switch {
		case e.Intent == Own && at >= 0:
			nodes[at] = e.Node
		case e.Intent == Own:
			nodes = append(nodes, e.Node)
		case at >= 0:
			nodes = slices.Delete(nodes, at, at+1)
		}
		if e.Intent == Remove && !next.isGone(e.Name) {
			next.gone = append(next.gone, e.Name)
		}
		next.take(e)
	}
	slices.Sort(next.gone)
	if !slices.ContainsFunc(nodes, func(n Node) bool { return n.Capacity > 0 }) {
		return nil, &CommitError{"nobody would be left to own the data: every member leaves, is removed, or gets the capacity 0",
			"let one stay, or join another that takes over in the same plan (kvcli cluster join), or take it back (kvcli cluster clear)"}
	}
	layout, err := d.layout.change(nodes, counter)
	if err != nil {
		return nil, err
	}
	next.layout = layout
	next.forget(d, s)
	next.seal()
	return next, nil
}

// forgetAt is how many names decisions remember, or are staged for, before the next
// decision forgets those that are of no use: who is a member or gone by neither it nor its
// parent.
const forgetAt = StagedMax / 2

// forget raises the floor to what was taken for names of no use, and what was taken back
// for them. A change for a new name that nobody has told here, of the other side of a cut
// say, and that has such a counter counts as taken then: it has to be staged again. That
// is the price of names without end, once in some thousand of them.
func (d *Decision) forget(parent *Decision, s Staging) {
	if len(d.taken) <= forgetAt && len(s.entries) <= forgetAt {
		return
	}
	useless := func(name string) bool { return !d.has(name) && !d.isGone(name) && !parent.has(name) }
	for _, e := range s.entries {
		if useless(e.Name) {
			d.floor = max(d.floor, e.Stamp.Counter)
		}
	}
	d.taken = slices.DeleteFunc(d.taken, func(t taken) bool {
		if !useless(t.name) {
			return false
		}
		d.floor = max(d.floor, t.stamp.Counter)
		return true
	})
}

func (d *Decision) take(e Staged) {
	at, known := d.findTaken(e.Name)
	if !known {
		d.taken = slices.Insert(d.taken, at, taken{name: e.Name})
	}
	d.taken[at].stamp = e.Stamp
}

func (d *Decision) seal() {
	d.version = d.layout.version
	if d.parent != (Version{}) {
		d.version.Hash = murmur3.Sum64(d.appendContent(nil))
	}
}

// decisionFormat is the version of the encoding below.
const decisionFormat = 1

// AppendTo appends the one binary form of a decision:
//
//	format 1 byte · parent's counter uvarint and hash 8 bytes, big-endian ·
//	flags 1 byte (1: settled, 2: loss accepted, 4: a floor) · number gone uvarint, names (uvarint length and bytes) ·
//	number of nodes taken for uvarint, per node by name: name, counter, by ·
//	floor uvarint, if the flags say so · the layout in its own form
func (d *Decision) AppendTo(b []byte) []byte { return d.appendContent(b) }

func (d *Decision) appendContent(b []byte) []byte {
	b = appendVersion(append(b, decisionFormat), d.parent)
	var flags byte
	if d.settled {
		flags |= 1
	}
	if d.loss {
		flags |= 2
	}
	if d.floor > 0 {
		flags |= 4
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(len(d.gone)))
	for _, name := range d.gone {
		b = appendString(b, name)
	}
	b = binary.AppendUvarint(b, uint64(len(d.taken)))
	for _, t := range d.taken {
		b = appendStamp(appendString(b, t.name), t.stamp)
	}
	if d.floor > 0 {
		b = binary.AppendUvarint(b, d.floor)
	}
	return d.layout.AppendTo(b)
}

func appendVersion(b []byte, v Version) []byte {
	return binary.BigEndian.AppendUint64(binary.AppendUvarint(b, v.Counter), v.Hash)
}

// DecodeDecision reads what AppendTo wrote, and nothing else.
//
// Errors: *FormatError, *DecodeError, *LimitError, *NodeError.
func DecodeDecision(b []byte) (*Decision, error) {
	r := &reader{bytes: b}
	if f := r.byte("format"); r.err == nil && f != decisionFormat {
		return nil, &FormatError{Format: f}
	}
	d := &Decision{parent: r.version()}
	flags := r.byte("flags")
	if flags > 7 {
		r.fail("flags", "are unknown")
	}
	d.settled, d.loss = flags&1 != 0, flags&2 != 0
	d.gone = r.goneNames()
	d.taken = r.takenFor()
	if flags&4 != 0 {
		if d.floor = r.uvarint("floor", 1<<64-1); d.floor == 0 {
			r.fail("floor", "is none")
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	layout, err := Decode(b[r.at:])
	if err != nil {
		return nil, err
	}
	d.layout = layout
	if err := d.check(); err != nil {
		return nil, err
	}
	d.seal()
	return d, nil
}

// check refuses what no commit makes.
func (d *Decision) check() error {
	first := d.parent == Version{}
	switch {
	case first && (len(d.gone) > 0 || len(d.taken) > 0 || d.floor > 0 || d.settled || d.loss):
		return &DecodeError{Field: "parent", Reason: "the first decision follows on nothing and changes nothing"}
	case !first && d.parent.Counter >= d.layout.version.Counter:
		return &DecodeError{Field: "parent", Reason: "does not come before its layout"}
	}
	for _, name := range d.gone {
		if d.has(name) {
			return &NodeError{Name: name, Reason: "is gone and a member", Fix: "ask for the layout again, from another node"}
		}
	}
	return nil
}

func (r *reader) version() Version {
	v := Version{Counter: r.uvarint("parent", 1<<64-1)}
	if b := r.take("parent", 8); b != nil {
		v.Hash = binary.BigEndian.Uint64(b)
	}
	return v
}

func (r *reader) goneNames() (names []string) {
	for range r.uvarint("gone", NodesMax) {
		name := r.string("gone")
		if r.err == nil && len(names) > 0 && names[len(names)-1] >= name {
			r.fail("gone", "nodes are not in order")
		}
		if r.err != nil {
			return nil
		}
		names = append(names, name)
	}
	return names
}

func (r *reader) takenFor() (all []taken) {
	for range r.uvarint("taken", StagedMax) {
		t := taken{name: r.string("taken"), stamp: r.stamp()}
		if r.err == nil && len(all) > 0 && all[len(all)-1].name >= t.name {
			r.fail("taken", "nodes are not in order")
		}
		if r.err != nil {
			return nil
		}
		all = append(all, t)
	}
	return all
}
