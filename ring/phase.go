package ring

import (
	"encoding/binary"
	"slices"
)

// Progress is how far a node is: the decision by which it works, and the step that it
// has taken with it. Requests between nodes carry it (R24).
type Progress struct {
	Tip  Version
	Step Step
}

// Compare orders progress: a later decision is further, then a later step.
func (p Progress) Compare(q Progress) int {
	if c := p.Tip.Compare(q.Tip); c != 0 {
		return c
	}
	return int(p.Step) - int(q.Step)
}

// Phase is by whose owners a node works at one moment of its [Course] (R23). It is
// immutable.
type Phase struct {
	base, tip *Decision
	step      Step
	settled   bool
	removed   bool
}

// Steady is the phase of a cluster whose layout does not change.
func Steady(l *Layout) *Phase {
	d := First(l)
	return &Phase{base: d, tip: d, step: Alone, settled: true}
}

// Phase is by whose owners this node works now. A node that nobody waits for, because it
// is not a member yet, goes by the furthest step that anybody has announced: that step
// was allowed to whoever took it.
func (c *Course) Phase() *Phase {
	p := &Phase{base: c.Base(), tip: c.Tip(), step: c.Step(), settled: c.Settled(), removed: c.removed != Version{}}
	if p.step == 0 {
		p.step = Both
		for _, m := range c.files[c.tip].marks {
			p.step = max(p.step, m.Step)
		}
	}
	if p.step == Alone {
		p.base = p.tip
	}
	return p
}

// Progress names the phase.
func (p *Phase) Progress() Progress { return Progress{Tip: p.tip.version, Step: p.step} }

// Tip is the layout that is to hold in the end, by which keys have their partitions;
// Base the one that it takes over from, the same once that counts no more.
func (p *Phase) Tip() *Layout { return p.tip.layout }

// Base is what the tip takes over from.
func (p *Phase) Base() *Layout { return p.base.layout }

// Settled reports whether nobody who counts goes by anything older than the tip.
func (p *Phase) Settled() bool { return p.settled }

// Removed reports whether this node has no place any more: it refuses all requests, and
// drops nothing.
func (p *Phase) Removed() bool { return p.removed }

// Gone reports whether the operator has said that a node will never come back.
func (p *Phase) Gone(name string) bool { return p.tip.isGone(name) }

// Loss reports whether the operator has accepted that acknowledged writes may be lost.
func (p *Phase) Loss() bool { return p.tip.loss }

// Moves reports whether a partition has other owners in the tip than in the base.
func (p *Phase) Moves(part Partition, n int) bool {
	if p.base == p.tip {
		return false
	}
	was, is := p.base.layout.Homes(part, n), p.tip.layout.Homes(part, n)
	return len(was) != len(is) || len(but(was, is)) > 0
}

// Writers are the groups of homes in each of which a write needs its quorum: those of the
// tip, and before them those of the base while both count and differ.
func (p *Phase) Writers(part Partition, n int) [][]string {
	is := p.tip.layout.Homes(part, n)
	if !p.Moves(part, n) {
		return [][]string{is}
	}
	return [][]string{p.base.layout.Homes(part, n), is}
}

// Readers are the homes whose answers a read counts.
func (p *Phase) Readers(part Partition, n int) []string {
	if p.step == Both && p.Moves(part, n) {
		return p.base.layout.Homes(part, n)
	}
	return p.tip.layout.Homes(part, n)
}

// Homes are all that every write of a partition is sent to, those of the tip first.
func (p *Phase) Homes(part Partition, n int) []string {
	is := p.tip.layout.Homes(part, n)
	if !p.Moves(part, n) {
		return is
	}
	return append(slices.Clone(is), but(p.base.layout.Homes(part, n), is)...)
}

// Owned are the partitions of which a node is a home by either layout, in order.
func (p *Phase) Owned(name string, n int) []Partition {
	owned := p.tip.layout.Owned(name, n)
	if p.base == p.tip {
		return owned
	}
	owned = append(slices.Clone(owned), p.base.layout.Owned(name, n)...)
	slices.Sort(owned)
	return slices.Compact(owned)
}

// Members are all that may hold something of this cluster and are not gone: the members
// of the tip and of the base, by name.
func (p *Phase) Members() []string {
	return but(union(memberNames(p.tip), memberNames(p.base)), p.tip.gone)
}

// phaseFormat is the version of the encoding below.
const phaseFormat = 1

// AppendTo appends the one binary form of a phase:
//
//	format 1 byte · step 1 byte · flags 1 byte (1: settled, 2: removed, 4: base and tip are one) ·
//	length of the tip uvarint, the tip · the base, if it is another
func (p *Phase) AppendTo(b []byte) []byte {
	var flags byte
	for i, set := range [...]bool{p.settled, p.removed, p.base == p.tip} {
		if set {
			flags |= 1 << i
		}
	}
	tip := p.tip.AppendTo(nil)
	b = append(b, phaseFormat, byte(p.step), flags)
	b = append(binary.AppendUvarint(b, uint64(len(tip))), tip...)
	if p.base != p.tip {
		b = p.base.AppendTo(b)
	}
	return b
}

// DecodePhase reads what AppendTo wrote, and nothing else.
//
// Errors: *FormatError, *DecodeError, *LimitError, *NodeError.
func DecodePhase(b []byte) (*Phase, error) {
	r := &reader{bytes: b}
	if f := r.byte("format"); r.err == nil && f != phaseFormat {
		return nil, &FormatError{Format: f}
	}
	p := &Phase{step: Step(r.byte("step"))}
	flags := r.byte("flags")
	if p.step < Both || p.step > Alone || flags > 7 {
		r.fail("step", "is unknown")
	}
	p.settled, p.removed = flags&1 != 0, flags&2 != 0
	tip := r.take("tip", int(r.uvarint("tip", uint64(len(b)))))
	if r.err != nil {
		return nil, r.err
	}
	var err error
	if p.tip, err = DecodeDecision(tip); err != nil {
		return nil, err
	}
	if p.base = p.tip; flags&4 == 0 {
		p.base, err = DecodeDecision(b[r.at:])
	} else if r.at != len(b) {
		return nil, &DecodeError{Field: "base", Reason: "there is more after the end"}
	}
	return p, err
}
