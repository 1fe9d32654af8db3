package ring

import (
	"cmp"
	"fmt"
	"slices"
)

// Course is one node's way through decisions: by which layouts it works, which one it
// holds as the next, and what it knows others to have announced (rules R22 and R23 of the
// protocol). It is a pure machine. Its owner makes it durable after every call that
// reports a change, and only then tells others or acts on it.
//
// A tip is that by which a node works; as long as it is not settled, it takes over from a
// base. It is safe that what others tell is old: everything announced only grows, and
// rules ask only whether all of some nodes have announced something.
type Course struct {
	self  string
	files map[Version]File
	tip   Version
	vote  Version // the successor held, or zero
	// removed is the greatest decision that has no place for this node, or zero.
	removed Version
}

// NewCourse begins with a layout that all its members work by alone: the first of a
// cluster, or that of a cluster from before there were decisions.
func NewCourse(self string, first *Decision) *Course {
	f := File{Decision: first, Formed: true, Base: first.version}
	for _, n := range first.layout.members {
		f = f.with(n.Name, Mark{Held: true, Complete: true, Step: Alone})
	}
	return &Course{self: self, files: map[Version]File{first.version: f}, tip: first.version}
}

// Enter begins at a node that knows nothing: one that is new, or has lost its disk. It
// goes on where its name was, as far as the others have heard; whether it is complete, or
// may be asked at all, it has to find out anew (R26). A successor that it held and nobody
// has heard of is forgotten.
//
// Error: *CommitError, when no decision among the files is formed.
func Enter(self string, files []File) (*Course, error) {
	c := &Course{self: self, files: map[Version]File{}}
	for _, f := range files {
		if v := f.Decision.version; f.Formed && v.Compare(c.tip) > 0 {
			c.tip = v
		}
		c.files[f.Decision.version] = f
	}
	if c.tip == (Version{}) {
		return nil, &CommitError{"no layout is in use among those that were told", "form the cluster first"}
	}
	tip := c.files[c.tip]
	switch {
	case tip.Decision.isGone(self):
		c.removed = c.tip
	case slices.Contains(c.everybody(tip), self) && c.Step() == 0:
		c.mark(c.tip, Mark{Step: Both})
	}
	for v, f := range c.files {
		if f.Decision.parent == c.tip && f.marks[self].Held && v.Compare(c.vote) > 0 {
			c.vote = v
		}
	}
	return c, nil
}

// Tip is the decision by which the node works, Base the one from which that takes over;
// they are the same once nobody else counts.
func (c *Course) Tip() *Decision { return c.files[c.tip].Decision }

// Base is what the tip takes over from, or the tip itself where that is unknown to a node
// that came later.
func (c *Course) Base() *Decision {
	if f, known := c.files[c.files[c.tip].Base]; known && c.Step() != Alone {
		return f.Decision
	}
	return c.Tip()
}

// Step is how far the node has gone with its tip, 0 if it has no part in it.
func (c *Course) Step() Step { return c.files[c.tip].marks[c.self].Step }

// Holds is the successor of the tip that the node holds, or nil.
func (c *Course) Holds() *Decision { return c.files[c.vote].Decision }

// Removed is the decision that has no place for this node, or nil. Then it refuses all
// requests, and drops nothing.
func (c *Course) Removed() *Decision { return c.files[c.removed].Decision }

// Files lists what to tell others, and to save, in the order of versions.
func (c *Course) Files() []File {
	var all []File
	for _, f := range c.files {
		all = append(all, f)
	}
	slices.SortFunc(all, func(f, g File) int { return f.Decision.version.Compare(g.Decision.version) })
	return all
}

// Hear takes what another node knows, and reports whether that was news. Files of
// decisions that this node has left behind are passed over.
func (c *Course) Hear(files []File) (news bool) {
	for _, f := range files {
		v := f.Decision.version
		own, known := c.files[v]
		switch {
		case known:
			if merged := MergeFiles(own, f); !sameFile(own, merged) {
				c.files[v], news = merged, true
			}
		case len(c.files) < FilesMax && c.concerns(f) && sameCluster(f.Decision.layout, c.Tip().layout) == nil:
			c.files[v], news = f, true
		}
	}
	return news
}

// concerns reports whether a decision that is not known here says anything new: it is
// greater than the tip, and may be used by those whose tip is settled, if this one's is.
func (c *Course) concerns(f File) bool {
	if f.Decision.version.Compare(c.tip) <= 0 {
		return false
	}
	return c.follows(f) || !c.Settled()
}

// Propose makes the decision that takes all that is staged, to be looked at and, if the
// operator wants it, committed. It is greater than every successor of the tip that is
// known. Loss says that the operator accepts what [Plan] says may be lost.
//
// Errors: *CommitError, if nobody would own anything, *LimitError, *NodeError.
func (c *Course) Propose(s Staging, loss bool) (*Decision, error) {
	counter := c.tip.Counter
	for v := range c.files {
		counter = max(counter, v.Counter)
	}
	return c.Tip().next(s, counter+1, c.Settled(), loss)
}

// Commit proposes a decision to all and holds it.
//
// Error: *CommitError.
func (c *Course) Commit(d *Decision) error {
	switch {
	case c.removed != Version{}:
		return &CommitError{"this node was removed from the cluster", "commit at a member"}
	case d.parent != c.tip || d.settled && !c.Settled():
		return &CommitError{fmt.Sprintf("it was made for layout %v, this node is at %v", d.parent, c.tip), "look at the plan again"}
	case d.version.Compare(c.vote) <= 0:
		return &CommitError{fmt.Sprintf("layout %v was committed meanwhile", c.vote), "look at the plan again"}
	case d.check() != nil:
		return &CommitError{"a node that is being removed would be a member again", "wait until its removal is settled"}
	case len(c.files) >= WaitingMax:
		return &CommitError{fmt.Sprintf("%d layouts wait already", len(c.files)), "see for whom they wait (kvcli cluster plan), and start or remove these nodes"}
	case !slices.Contains(c.voters(d), c.self):
		return &CommitError{"it says that " + c.self + " is gone", "commit at another node"}
	}
	if _, known := c.files[d.version]; !known {
		c.files[d.version] = File{Decision: d}
	}
	c.hold(d.version)
	return nil
}

// SetComplete announces that this node has all that was acknowledged before its tip, as
// far as it is to own it, and if it leaves, that it owes nothing to anybody (R25).
func (c *Course) SetComplete() {
	c.mark(c.tip, Mark{Complete: true})
}

// Turn does the next thing that the rules allow, and reports whether there was one.
func (c *Course) Turn() bool {
	return c.recall() || c.form() || c.follow() || c.choose() || c.advance() || c.forget()
}

// Settled reports whether nobody goes by anything older than the tip.
func (c *Course) Settled() bool {
	f := c.files[c.tip]
	return c.removed == Version{} && f.all(c.everybody(f), func(m Mark) bool { return m.Step == Alone })
}

// Waits lists the nodes for which the next thing waits: those that do not hold the
// successor, or are not where the tip needs them.
func (c *Course) Waits() []string {
	f, names := c.files[c.tip], []string(nil)
	need := func(m Mark) bool { return m.Step == Alone }
	switch {
	case c.vote != Version{}:
		f = c.files[c.vote]
		names, need = c.voters(f.Decision), func(m Mark) bool { return m.Held }
	case c.Step() == Alone:
		names = c.everybody(f)
	default:
		names, need = c.counting(f), func(m Mark) bool { return m.Step >= c.Step() }
	}
	waits := slices.DeleteFunc(names, func(n string) bool { return need(f.marks[n]) })
	if c.vote == (Version{}) && c.Step() == Both {
		for _, n := range c.counting(f) {
			if !f.marks[n].Complete && !slices.Contains(waits, n) {
				waits = append(waits, n)
			}
		}
		slices.Sort(waits)
	}
	return waits
}

func (c *Course) mark(v Version, m Mark) { c.files[v] = c.files[v].with(c.self, m) }

// recall notes for the successor held that this node is beyond Both, if it learned that
// from others: an old image of its disk had forgotten it, and may have committed or held
// something before anybody told.
func (c *Course) recall() bool {
	if c.vote == (Version{}) || c.Step() <= Both || c.files[c.vote].marks[c.self].Beyond {
		return false
	}
	c.mark(c.vote, Mark{Beyond: true})
	return true
}

// form notes which successors of the tip are formed.
func (c *Course) form() bool {
	for _, f := range c.Files() {
		d := f.Decision
		if f.Formed || d.parent != c.tip {
			continue
		}
		voters := c.voters(d)
		beyond := 0
		for _, n := range voters {
			if f.marks[n].Beyond {
				beyond++
			}
		}
		if f.all(voters, func(m Mark) bool { return m.Held }) && (beyond == 0 || beyond == len(voters)) {
			f.Formed, f.Base = true, c.files[c.tip].Base
			if beyond > 0 {
				f.Base = c.tip
			}
			c.files[d.version] = f
			return true
		}
	}
	return false
}

// follow takes the greatest formed decision that has a place for this node for its tip,
// or learns that one has none.
func (c *Course) follow() bool {
	for _, f := range slices.Backward(c.Files()) {
		d := f.Decision
		if !f.Formed || d.version.Compare(c.tip) <= 0 || d.version == c.removed {
			continue
		}
		older := d.version.Compare(c.removed) < 0
		part := d.has(c.self) || c.leaves(f)
		if older && !part {
			continue
		}
		if !part && slices.Contains(c.everybody(c.files[c.tip]), c.self) {
			c.removed = d.version
			return true
		}
		if c.promised(f) {
			continue
		}
		c.tip, c.vote = d.version, Version{}
		if !older {
			c.removed = Version{} // otherwise it only goes on far enough to hold what is greater
		}
		if part {
			c.mark(c.tip, Mark{Step: Both})
		}
		return true
	}
	return false
}

// leaves reports whether this node, which a decision has no place for, has its part in
// it all the same: it owns something by the base and is not gone. Others may have forgotten
// the decisions between its tip and this one: it has missed them, if its disk is an old image.
func (c *Course) leaves(f File) bool {
	return !f.Decision.isGone(c.self) && slices.Contains(c.everybody(f), c.self)
}

// forget drops what nobody who counts goes by any more: what is older than the tip, but
// its base as long as it is not settled; and then also what does not follow on it.
func (c *Course) forget() (some bool) {
	tip, settled := c.files[c.tip], c.Settled()
	for v, f := range c.files {
		older := v.Compare(c.tip) < 0 && (v != tip.Base || settled)
		if v != c.removed && (older || settled && v != c.tip && !c.follows(f)) {
			delete(c.files, v)
			some = true
		}
	}
	return some
}

// follows reports whether a decision may yet be used by those whose tip is settled.
func (c *Course) follows(f File) bool { return f.Formed || f.Decision.parent == c.tip }

// choose holds the greatest successor. To hold it is a promise not to use a smaller one.
func (c *Course) choose() bool {
	for _, f := range slices.Backward(c.Files()) {
		d := f.Decision
		if d.parent == c.tip && d.version.Compare(c.vote) > 0 && d.version.Compare(c.removed) > 0 && slices.Contains(c.voters(d), c.self) {
			c.hold(d.version)
			return true
		}
	}
	return false
}

// promised reports whether this node has promised not to use a decision: it holds
// another one of that parent, which may still be formed. That one never will be once a
// voter of it is known to work by the first without having held it.
func (c *Course) promised(f File) bool {
	held := c.files[c.vote]
	if c.vote == (Version{}) || c.vote == f.Decision.version || held.Decision.parent != f.Decision.parent {
		return false
	}
	return !slices.ContainsFunc(c.voters(held.Decision), func(n string) bool { return f.marks[n].Step > 0 && !held.marks[n].Held })
}

func (c *Course) hold(v Version) {
	c.vote = v
	c.mark(v, Mark{Held: true, Beyond: c.Step() > Both})
}

// advance takes the next step of the tip.
func (c *Course) advance() bool {
	f, step := c.files[c.tip], c.Step()
	awaited := step == Both && c.vote != Version{} // perhaps by a voter that is ahead
	if step == 0 || step == Alone || c.removed != (Version{}) && !awaited || step == Both && c.held() {
		return false
	}
	if !f.all(c.counting(f), func(m Mark) bool { return m.Step >= step }) {
		return false
	}
	if step == Both && !f.all(c.counting(f), func(m Mark) bool { return m.Complete }) {
		return false
	}
	c.mark(c.tip, Mark{Step: step + 1})
	if c.vote != (Version{}) {
		c.mark(c.vote, Mark{Beyond: true})
	}
	return true
}

// held reports whether this node stays at Both, because it holds a successor of which no
// voter is beyond that.
func (c *Course) held() bool {
	if c.vote == (Version{}) {
		return false
	}
	f := c.files[c.vote]
	return !slices.ContainsFunc(c.voters(f.Decision), func(n string) bool { return f.marks[n].Beyond })
}

// voters are those who all have to hold a successor of the tip before it is used.
func (c *Course) voters(d *Decision) []string {
	tip := c.files[c.tip]
	voters := memberNames(tip.Decision)
	if !d.settled {
		voters = union(voters, c.owning(c.base(tip), tip.Decision))
	}
	return but(voters, d.gone)
}

// base is the decision that another takes over from; where this node does not know it
// any more, that one itself.
func (c *Course) base(f File) *Decision {
	if b, known := c.files[f.Base]; known {
		return b.Decision
	}
	return f.Decision
}

// counting are the owners that count before a decision is alone.
func (c *Course) counting(f File) []string {
	return union(c.owning(c.base(f), f.Decision), c.owning(f.Decision, f.Decision))
}

// everybody are those who have a part in a decision.
func (c *Course) everybody(f File) []string {
	return union(c.counting(f), but(memberNames(f.Decision), f.Decision.gone))
}

// owning are the members of a decision that own something, and are not gone by another.
func (c *Course) owning(of, by *Decision) []string {
	return slices.DeleteFunc(memberNames(of), func(n string) bool { return !of.owns(n) || by.isGone(n) })
}

func memberNames(d *Decision) []string {
	names := make([]string, len(d.layout.members))
	for i, m := range d.layout.members {
		names[i] = m.Name
	}
	return names
}

func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(a, b) })
	return slices.Compact(all)
}

func but(names, some []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(some, n) })
}

// CommitError is a decision that cannot be committed at this node now.
type CommitError struct{ Reason, Fix string }

func (e *CommitError) Error() string { return "ring: not committed: " + e.Reason + ": " + e.Fix }
