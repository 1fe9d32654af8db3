package checker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	kindred "github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
)

// Options say what a run promises, beyond what its ops say themselves.
type Options struct {
	// Properties to judge; none means All. Ask for what the run exercises: a
	// property that it never tests is Unknown.
	Properties []Property
	// Tokens: clients passed on what their session had seen, so that sessions
	// never go back, whatever the quorums.
	Tokens bool
	// DisksKept: no replica lost data, not even unsynced. Then what a read has
	// shown must stay, acknowledged or not.
	DisksKept bool
}

// Check judges a history.
func Check(h *history.History, opts Options) *Report {
	c := &check{options: opts, report: &Report{}, verdicts: map[Property]*Verdict{}}
	for _, p := range All() {
		c.verdicts[p] = &Verdict{Property: p}
	}
	if doubt := assume(h); doubt != "" {
		for _, v := range c.verdicts {
			v.doubt(doubt)
		}
	} else {
		c.judge(h)
	}
	return c.conclude()
}

// check is one judgement in the making.
type check struct {
	options  Options
	report   *Report
	verdicts map[Property]*Verdict
}

// assume verifies A1 and A2, without which nothing can be said.
func assume(h *history.History) string {
	ops := map[history.WriteID]int{}
	for i := range h.Ops {
		op := &h.Ops[i]
		if err := op.Check(); err != nil {
			return fmt.Sprintf("A2: op %d: %v", i, err)
		}
		if !op.IsWrite() {
			continue
		}
		if before, twice := ops[op.Write]; twice {
			return fmt.Sprintf("A1: ops %d and %d both write w%d", before, i, op.Write)
		}
		ops[op.Write] = i
	}
	return ""
}

func (c *check) judge(h *history.History) {
	if doubt := overlap(h); doubt != "" {
		c.verdicts[Sessions].doubt(doubt)
	}
	objects := h.Objects()
	ids := slices.SortedFunc(maps.Keys(objects), func(a, b history.ID) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Key, b.Key))
	})
	dots := dotNames{}
	for _, id := range ids {
		o, err := newObject(h, id, objects[id])
		if err != nil {
			for _, v := range c.verdicts {
				v.doubt(err.Error())
			}
			continue
		}
		c.count(o)
		c.judgeReads(o)
		c.judgeDots(o, dots)
		c.judgeFinals(o)
		c.judgeFresh(o)
		c.judgeSessions(o)
	}
}

// overlap verifies A3.
func overlap(h *history.History) string {
	order := make([]int, len(h.Ops))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(h.Ops[a].Invoke, h.Ops[b].Invoke) })
	last := map[int]int{}
	for _, at := range order {
		op := &h.Ops[at]
		if before, ok := last[op.Process]; ok && h.Ops[before].Complete > op.Invoke {
			return fmt.Sprintf("A3: process %d does two things at once: ops %d and %d", op.Process, before, at)
		}
		last[op.Process] = at
	}
	return ""
}

func (c *check) count(o *object) {
	n := &c.report.Counts
	n.Writes += len(o.writes)
	for _, w := range o.writes {
		switch w.op.Outcome {
		case kindred.Applied:
			n.Acknowledged++
		case kindred.NotApplied:
			n.NotApplied++
		default:
			n.Uncertain++
			if w.surfaced {
				n.Surfaced++
			}
		}
		if len(w.seers) > 0 {
			n.Superseded++
		}
	}
	n.Reads += len(o.reads)
	n.FinalReads += len(o.finals)
	for _, r := range o.reads {
		if len(r.found) > 1 {
			n.SiblingReads++
		}
		n.SiblingsMost = max(n.SiblingsMost, len(r.found))
	}
}

// echo reports whether w came back as the second event of a retried request,
// and counts it.
func (c *check) echo(w *write) bool {
	if !w.echoes() {
		return false
	}
	if !w.echoed {
		w.echoed = true
		c.report.Counts.Echoes++
	}
	return true
}

func (c *check) conclude() *Report {
	asked := c.options.Properties
	if len(asked) == 0 {
		asked = All()
	}
	for _, p := range asked {
		v := c.verdicts[p]
		if v == nil {
			v = &Verdict{Property: p}
			v.doubt("this package does not know the property")
		}
		v.conclude()
		c.report.Verdicts = append(c.report.Verdicts, *v)
	}
	return c.report
}
