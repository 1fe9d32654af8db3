package checker

import (
	"github.com/kindredkv/kindred/jepsen/history"
)

// judgeReads looks at every read by itself: C2 and C10.
func (c *check) judgeReads(o *object) {
	exact, refused := c.verdicts[Exact], c.verdicts[NotApplied]
	for _, r := range o.reads {
		exact.Checked++
		refused.Checked++
		c.judgeInvented(o, r)
		for _, b := range besides(r.found) {
			if !c.echo(b.value) {
				exact.find(o, []int{r.at, b.value.at, b.by.at}, "%v was found beside %v, whose writer had seen it: %v", b.value, b.by, r.op)
			}
		}
		for _, w := range r.found {
			if w.refused() {
				refused.find(o, []int{r.at, w.at}, "%v was reported as not applied and was found: %v", w, r.op)
			}
		}
	}
}

// judgeInvented is V1: every sibling is a put of this object that had begun,
// and each is there once.
func (c *check) judgeInvented(o *object, r *read) {
	exact := c.verdicts[Exact]
	times := map[history.WriteID]int{}
	for _, s := range r.op.Siblings {
		w := o.byID[s.Write]
		if times[s.Write]++; times[s.Write] == 2 {
			exact.find(o, []int{r.at}, "w%d was found twice in one read: %v", s.Write, r.op)
		}
		switch {
		case w == nil:
			exact.find(o, []int{r.at}, "w%d was found, but nobody wrote it here: %v", s.Write, r.op)
		case !w.isPut():
			exact.find(o, []int{r.at, w.at}, "w%d was found, but it is a delete: %v", s.Write, r.op)
		case w.op.Invoke > r.op.Complete:
			exact.find(o, []int{r.at, w.at}, "w%d was found before it was written: %v", s.Write, r.op)
		}
	}
}

// dotNames maps dots to the write that they name, over all objects.
type dotNames map[string]*write

// judgeDots is I2: a dot names one write, and a write that was sent once has
// one dot.
func (c *check) judgeDots(o *object, names dotNames) {
	v := c.verdicts[UniqueDots]
	for _, w := range o.writes {
		if len(w.dots) > 0 {
			v.Checked++
		}
		if len(w.dots) > 1 && w.op.Attempts == 1 {
			v.find(o, []int{w.at}, "%v was sent once and is two events, %s and %s", w, w.dots[0], w.dots[1])
		}
		for _, dot := range w.dots {
			other := names[dot]
			if other == nil {
				names[dot] = w
				continue
			}
			v.find(o, []int{w.at, other.at}, "the dot %s names both %v and %v of %s/%s", dot, w, other, other.op.Bucket, other.op.Key)
		}
	}
}
