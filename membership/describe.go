package membership

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// Changes is how the layout changes, as this node knows it, but for what only its shards
// know.
func (v *View) Changes() kindred.Changes {
	all := kindred.Changes{Node: v.cfg.Self.Name}
	if v.rec == nil {
		return all
	}
	c := v.rec.course
	taker := c.Tip()
	if d := c.Holds(); d != nil {
		taker = d // what was committed is staged no more, unless it loses
	}
	all.Staged = NodeChanges(v.rec.staging.Pending(taker))
	all.Progress = kindred.LayoutProgress{
		Tip: c.Tip().Version().String(), Base: c.Base().Version().String(), Settled: !v.changing(),
		Gone: slices.Clone(c.Tip().Gone()), Loss: c.Tip().Loss(), Since: v.since, Waits: v.waits(),
	}
	if d := c.Holds(); d != nil {
		all.Progress.Next = d.Version().String()
	}
	for _, name := range v.concerned() {
		all.Progress.Nodes = append(all.Progress.Nodes, v.progress(name))
	}
	for _, p := range slices.Backward(v.rec.history) {
		all.History = append(all.History, p.describe(c))
	}
	return all
}

// changing reports whether anybody has to do anything before all go by one layout.
func (v *View) changing() bool {
	c := v.rec.course
	return !c.Settled() || c.Holds() != nil
}

// NodeChanges puts what is staged into the words of the public contract.
func NodeChanges(staged []ring.Staged) (all []kindred.NodeChange) {
	for _, e := range staged {
		all = append(all, kindred.NodeChange{Node: e.Name, Intent: kindred.Intent(e.Intent.String()), Zone: e.Zone, Capacity: e.Capacity})
	}
	return all
}

// concerned are all nodes that have a part in the base, the tip, or what is held.
func (v *View) concerned() []string {
	c := v.rec.course
	names := map[string]bool{}
	for _, d := range []*ring.Decision{c.Base(), c.Tip(), c.Holds()} {
		if d == nil {
			continue
		}
		for _, n := range d.Layout().Nodes() {
			names[n.Name] = true
		}
		for _, name := range d.Gone() {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (v *View) progress(name string) kindred.NodeProgress {
	c := v.rec.course
	tip, _ := c.File(c.Tip().Version())
	mark := tip.Mark(name)
	p := kindred.NodeProgress{Node: name, Complete: mark.Complete, Gone: slices.Contains(c.Tip().Gone(), name), Holds: mark.Held}
	if mark.Step != 0 {
		p.Step = kindred.Step(mark.Step.String())
	}
	if d := c.Holds(); d != nil {
		next, _ := c.File(d.Version())
		p.Holds, p.Gone = next.Mark(name).Held, p.Gone || slices.Contains(d.Gone(), name)
	}
	return p
}

// waits says for whom the next thing waits, and why.
func (v *View) waits() (all []kindred.NodeFailure) {
	c := v.rec.course
	tip, _ := c.File(c.Tip().Version())
	for _, name := range v.silentSources() {
		all = append(all, kindred.NodeFailure{Node: name, Reason: "owned something before and cannot be reached, so that the new owners may lack what it has"})
	}
	for _, name := range c.Waits() {
		mark, why := tip.Mark(name), ""
		switch d := c.Holds(); {
		case d != nil:
			why = fmt.Sprintf("is not known to hold layout %v", d.Version())
		case mark.Step == 0:
			why = fmt.Sprintf("is not known to work by layout %v", c.Tip().Version())
		case c.Step() == ring.Both && mark.Step >= ring.Both:
			why = "does not have all yet that it is to own"
			if _, member := c.Tip().Layout().Node(name); !member {
				why = "leaves, and may still owe hints or have what the new owners lack"
			}
		default:
			why = fmt.Sprintf("is at step %v", mark.Step)
		}
		if !v.Up(name) {
			why += ", and cannot be reached"
		}
		all = append(all, kindred.NodeFailure{Node: name, Reason: why})
	}
	return all
}

// silentSources are the old owners that cannot be reached while new ones are not complete:
// those wait for what these have, and the rules name only those (R25).
func (v *View) silentSources() (names []string) {
	c := v.rec.course
	waits := c.Waits()
	if c.Step() != ring.Both || c.Holds() != nil || len(waits) == 0 {
		return nil
	}
	for _, n := range c.Base().Layout().Nodes() {
		if n.Capacity > 0 && !v.Up(n.Name) && !slices.Contains(c.Tip().Gone(), n.Name) && !slices.Contains(waits, n.Name) {
			names = append(names, n.Name)
		}
	}
	return names
}

func (p past) describe(c *ring.Course) kindred.PastChange {
	all := kindred.PastChange{
		Version: p.version.String(), From: p.from.String(), Changes: slices.Clone(p.changes), Outcome: "replaced", Loss: p.loss,
		Committed: time.UnixMilli(p.at), Copies: int(p.copies), Bytes: p.bytes, Expected: p.duration,
	}
	for _, o := range p.nodes {
		all.Moved += o.bytes
	}
	switch {
	case p.settled:
		all.Outcome = "settled"
		var last int64
		for _, o := range p.nodes {
			last = max(last, o.alone)
		}
		if last > 0 {
			all.Ended = time.UnixMilli(last)
		}
	case p.version.Compare(c.Tip().Version()) >= 0:
		if _, known := c.File(p.version); known { // a greater one may have lost, and is forgotten
			all.Outcome = "running"
		}
	}
	return all
}
