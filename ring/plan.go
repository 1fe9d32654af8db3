package ring

import (
	"fmt"
	"slices"
	"time"
)

// Plan is what a decision would do. It is data; kvcli makes words of it.
type Plan struct {
	From, To *Layout
	// Takes are the changes that it takes in, by node: what is staged, and what a decision
	// took that is held and not used yet.
	Takes []Staged
	// Nodes are all that either layout has, by name.
	Nodes []NodePlan
	// Copies is the number of copies of partitions that are sent, Bytes what they hold.
	Copies int
	Bytes  uint64
	// Orphans are the partitions of which too few old owners are left to be sure of every
	// acknowledged write.
	Orphans []Partition
	// Waits are the voters that are not up: it is used by nobody before they have heard of it.
	Waits []string
	// Refusals say why it cannot be committed, Notes what is worth knowing.
	Refusals, Notes []Problem
}

// NodePlan is what a plan means for one node.
type NodePlan struct {
	Node          Node
	Gone, Leaves  bool
	Before, After int // partitions owned
	// In and Out are the copies that it is sent and sends.
	In, Out           int
	BytesIn, BytesOut uint64
}

// The kinds of problems that only plans have.
const (
	NothingStaged Kind = iota + 100 // nothing would change
	NotMember                       // a node that shall go is no member
	StillHere                       // a node that shall be gone for ever is up
	StillGoing                      // a node that was removed shall own, and its removal is not settled
	Orphaned                        // acknowledged writes may be lost
	Unheard                         // a note: voters are not up
	Replaces                        // a note: a decision that is held is never used then
	HandsOver                       // a note: a node that owns nothing hands over what it has
	Acceptable                      // a note: a commit may accept a loss for the change that goes on, and nothing else
)

// Situation is what a plan has to know of the cluster.
type Situation struct {
	// Bytes is what one copy of a partition holds, about.
	Bytes func(Partition) uint64
	// Up says who can be reached.
	Up func(name string) bool
}

// Plan says what would come of a decision that was proposed here.
func (c *Course) Plan(s Staging, d *Decision, now Situation) *Plan {
	tip := c.Tip()
	p := &Plan{From: tip.layout, To: d.layout, Takes: s.Pending(tip)}
	p.refuseNothing(c, s, d)
	p.refuseStaged(c, now)
	p.addNodes(d)
	p.addMoves(d, now)
	p.noteReturns(tip)
	p.addOrphans(c, d)
	for _, n := range c.voters(d) {
		if n != c.self && !now.Up(n) {
			p.Waits = append(p.Waits, n)
		}
	}
	if len(p.Waits) > 0 {
		p.Notes = append(p.Notes, Problem{Kind: Unheard, Node: p.Waits[0], Text: fmt.Sprintf(
			"it begins when %s can be reached: start what can be started, and remove what will never come back", words(p.Waits))})
	}
	p.Notes = append(p.Notes, d.layout.Check()...)
	return p
}

// refuseNothing finds that a commit would only repeat what was decided. What takes back a
// decision that is held, and stages nothing else, is no repetition; nor is what accepts a
// loss for a change that goes on without: where too few old owners are left, that never
// ends (R25).
func (p *Plan) refuseNothing(c *Course, s Staging, d *Decision) {
	held, last := c.Holds(), c.Tip()
	if held != nil {
		last = held
	}
	accepts := (held != nil || !c.Settled()) && !last.loss
	if accepts && !d.loss {
		p.Notes = append(p.Notes, Problem{Kind: Acceptable, Text: fmt.Sprintf(
			"the change to layout %v goes on; should it never end, because too few old owners are left, a commit can accept the loss, also with nothing staged", last.version)})
	}
	switch {
	case held == nil && len(p.Takes) == 0 && !(accepts && d.loss):
		p.Refusals = append(p.Refusals, Problem{Kind: NothingStaged, Text: "nothing is staged"})
	case held == nil:
	case len(s.Pending(held)) == 0 && held.same(d):
		p.Refusals = append(p.Refusals, Problem{Kind: NothingStaged, Text: fmt.Sprintf(
			"nothing is staged beyond layout %v, which was committed and is not in use yet", held.version)})
	default:
		p.Notes = append(p.Notes, Problem{Kind: Replaces, Text: fmt.Sprintf(
			"it takes the place of layout %v, which was committed and is not in use yet", held.version)})
	}
}

// refuseStaged finds changes that make no sense. Who leaves is no member of the tip any
// more, and may die before all is taken from it: then it can be removed.
func (p *Plan) refuseStaged(c *Course, now Situation) {
	refuse := func(k Kind, node, format string, args ...any) {
		p.Refusals = append(p.Refusals, Problem{Kind: k, Node: node, Text: fmt.Sprintf(format, args...)})
	}
	for _, e := range p.Takes {
		switch member := c.Tip().has(e.Name); {
		case e.Intent != Own && !member && (e.Intent != Remove || !slices.Contains(c.everybody(c.files[c.tip]), e.Name)):
			refuse(NotMember, e.Name, "node %q is no member, so it cannot %v: take that back", e.Name, e.Intent)
		case e.Intent == Remove && now.Up(e.Name):
			refuse(StillHere, e.Name, "node %q is up, and to remove it loses what only it has: let it leave, or stop it for ever first", e.Name)
		case e.Intent == Own && c.Tip().isGone(e.Name) && !c.Settled():
			refuse(StillGoing, e.Name, "node %q is being removed: wait until that is settled", e.Name)
		}
	}
}

// noteReturns says of members to be that own nothing that nobody knows what they bring:
// what they had before they were removed, and the owners lack.
func (p *Plan) noteReturns(tip *Decision) {
	for _, e := range p.Takes {
		if e.Intent == Own && e.Capacity == 0 && !tip.has(e.Name) {
			p.Notes = append(p.Notes, Problem{Kind: HandsOver, Node: e.Name, Text: fmt.Sprintf(
				"%s owns nothing; if it has data of before, the owners take from it what they lack, which is not in the bytes of this plan: nobody knows how much that is before they compare", e.Name)})
		}
	}
}

func (p *Plan) addNodes(d *Decision) {
	owned := func(l *Layout) map[string]int {
		counts := map[string]int{}
		for _, s := range l.Shares(l.replicas) {
			counts[s.Node] = s.Owned
		}
		return counts
	}
	before, after := owned(p.From), owned(p.To)
	nodes := p.To.Nodes()
	for _, n := range p.From.Nodes() {
		if _, stays := p.To.Node(n.Name); !stays {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return Stamp{By: a.Name}.Compare(Stamp{By: b.Name}) })
	for _, n := range nodes {
		_, stays := p.To.Node(n.Name)
		p.Nodes = append(p.Nodes, NodePlan{Node: n, Gone: d.isGone(n.Name), Leaves: !stays, Before: before[n.Name], After: after[n.Name]})
	}
}

// addMoves adds up what is sent. A copy is sent by the owner whose place it takes, or by
// the first owner that is left where that one is gone or there was none.
func (p *Plan) addMoves(d *Decision, now Situation) {
	for _, m := range Moves(p.From, p.To) {
		if m.To == "" {
			continue
		}
		from := m.From
		if from == "" || d.isGone(from) {
			from = p.source(d, m)
		}
		bytes := now.Bytes(m.Partition)
		p.Copies, p.Bytes = p.Copies+1, p.Bytes+bytes
		for i := range p.Nodes {
			n := &p.Nodes[i]
			if n.Node.Name == m.To {
				n.In, n.BytesIn = n.In+1, n.BytesIn+bytes
			}
			if n.Node.Name == from {
				n.Out, n.BytesOut = n.Out+1, n.BytesOut+bytes
			}
		}
	}
}

func (p *Plan) source(d *Decision, m Move) string {
	for _, name := range p.From.homesOf(int(m.Partition)) {
		if !d.isGone(name) {
			return name
		}
	}
	return ""
}

// addOrphans finds the partitions for which too few owners are left that any majority of
// them has one.
func (p *Plan) addOrphans(c *Course, d *Decision) {
	base := c.Base().layout
	if c.Step() > Both {
		base = p.From
	}
	for part := range base.Partitions() {
		homes := base.homesOf(part)
		left := 0
		for _, name := range homes {
			if !d.isGone(name) {
				left++
			}
		}
		if left < len(homes)-len(homes)/2 {
			p.Orphans = append(p.Orphans, Partition(part))
		}
	}
	if len(p.Orphans) == 0 {
		return
	}
	problem := Problem{Kind: Orphaned, Partition: p.Orphans[0], Text: fmt.Sprintf(
		"%s lose so many owners for ever that acknowledged writes may have been only there", count(len(p.Orphans), "partition", "partitions"))}
	if d.loss {
		p.Notes = append(p.Notes, problem)
		return
	}
	problem.Text += ": bring one of them back, or accept the loss"
	p.Refusals = append(p.Refusals, problem)
}

// Rates are how fast one node takes and gives copies, in bytes a second, and what a change
// takes besides: until all have agreed to it, and from step to step.
type Rates struct {
	In, Out uint64
	Besides time.Duration
}

// Duration predicts how long the change takes: what it takes besides the copies, and those
// as long as the busiest node, since all nodes send and receive at once. It is zero for
// rates that are zero.
func (p *Plan) Duration(r Rates) time.Duration {
	if r.In == 0 || r.Out == 0 {
		return 0
	}
	var longest float64
	for _, n := range p.Nodes {
		longest = max(longest, float64(n.BytesIn)/float64(r.In), float64(n.BytesOut)/float64(r.Out))
	}
	return r.Besides + time.Duration(longest*float64(time.Second))
}

func words(names []string) string {
	text := names[0]
	for i, n := range names[1:] {
		if i == len(names)-2 {
			text += " and " + n
		} else {
			text += ", " + n
		}
	}
	return text
}
