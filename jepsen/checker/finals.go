package checker

import (
	"fmt"

	kindred "github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
)

// endDoubt says why the end of an object proves nothing (A5, A6), or nothing.
func (o *object) endDoubt() string {
	if len(o.finals) == 0 {
		return fmt.Sprintf("A6: %s/%s was written and has no final read", o.id.Bucket, o.id.Key)
	}
	for _, r := range o.finals {
		if r.Outcome != kindred.Applied {
			return fmt.Sprintf("A6: %s/%s: a final read was not answered: %v", o.id.Bucket, o.id.Key, r)
		}
	}
	first := o.finals[0].Invoke // they are in order of time
	for _, w := range o.writes {
		if w.op.Invoke > first || w.acked() && w.op.Complete > first {
			return fmt.Sprintf("A5: %s/%s: a write lasts into the final reads: %v", o.id.Bucket, o.id.Key, w.op)
		}
	}
	return ""
}

// judgeFinals is C1 and C3: what the final reads of an object show.
func (c *check) judgeFinals(o *object) {
	kept, gone := c.verdicts[Kept], c.verdicts[StaysGone]
	if len(o.writes) == 0 {
		return
	}
	if doubt := o.endDoubt(); doubt != "" {
		kept.doubt(doubt)
		gone.doubt(doubt)
		return
	}
	end := newKnowledge()
	for _, w := range o.writes {
		if w.acked() || c.options.DisksKept && w.surfaced && !w.refused() {
			end.learn(w)
		}
		if w.acked() && w.isPut() {
			kept.Checked++
		}
	}
	demand := end.demand(func(w *write) bool { return !w.refused() })
	for _, r := range o.reads {
		if r.op.Final {
			gone.Checked++
			c.judgeFinal(o, r, demand)
			c.judgeSet(o, r)
		}
	}
	c.countVanished(o)
}

func (c *check) judgeFinal(o *object, r *read, d *demand) {
	back, lost := d.judge(r.found)
	for _, b := range back {
		if !c.echo(b.value) {
			c.verdicts[StaysGone].find(o, []int{r.at, b.value.at, b.by.at}, "%v had been seen by %v and is back: %v", b.value, b.by, r.op)
		}
	}
	for _, w := range lost {
		if w.acked() {
			c.verdicts[Kept].find(o, []int{r.at, w.at}, "%v was acknowledged, nothing had seen it, and it is gone: %v", w, r.op)
		} else {
			c.verdicts[Exact].find(o, []int{r.at, w.at}, "%v had been found, nothing had seen it, and it is gone: %v", w, r.op)
		}
	}
}

// judgeSet is C1 once more, for values that are sets, and without any trust in
// contexts: writers add the id of their write and keep what they had read, so
// the union of the final siblings holds every acknowledged id.
func (c *check) judgeSet(o *object, r *read) {
	union := map[history.WriteID]bool{}
	for _, s := range r.op.Siblings {
		if len(s.Set) == 0 {
			return
		}
		for _, id := range s.Set {
			union[id] = true
		}
	}
	if len(union) == 0 {
		return
	}
	for _, w := range o.writes {
		if !w.isPut() {
			return // a delete empties the set
		}
	}
	for _, w := range o.writes {
		if w.acked() && !union[w.op.Write] {
			c.verdicts[Kept].find(o, []int{r.at, w.at}, "the element %v was acknowledged and is in no sibling's set", w)
		}
		if w.refused() && union[w.op.Write] {
			c.verdicts[NotApplied].find(o, []int{r.at, w.at}, "the element %v was reported as not applied and is in the set", w)
		}
		delete(union, w.op.Write)
	}
	for id := range union {
		c.verdicts[Exact].find(o, []int{r.at}, "the element w%d is in the set, but nobody wrote it here", id)
	}
}

// countVanished counts what had been found, was never acknowledged, and is
// explained by nothing in the end. A lost disk may do that.
func (c *check) countVanished(o *object) {
	shown := newKnowledge()
	for _, w := range o.writes {
		if w.acked() || w.surfaced && !w.refused() {
			shown.learn(w)
		}
	}
	demand := shown.demand(func(w *write) bool { return !w.refused() })
	vanished := map[*write]bool{}
	for _, r := range o.reads {
		if !r.op.Final {
			continue
		}
		_, lost := demand.judge(r.found)
		for _, w := range lost {
			if !w.acked() {
				vanished[w] = true
			}
		}
	}
	c.report.Counts.Vanished += len(vanished)
}
