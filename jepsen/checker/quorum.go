package checker

import (
	"cmp"
	"maps"
	"slices"
)

// quorum is what a read asked for.
type quorum struct{ n, need int }

// strict reports whether a read of this quorum meets every acknowledgement of
// w: R + W > N, and no guests counted on either side.
func (q quorum) strict(w *write) bool {
	return w.op.N == q.n && w.op.Need > 0 && !w.op.Sloppy && w.op.Need+q.need > q.n
}

// quorumOf is what r asked for; ok is false if it promises nothing.
func quorumOf(r *read) (q quorum, ok bool) {
	return quorum{r.op.N, r.op.Need}, r.op.N > 0 && r.op.Need > 0 && !r.op.Sloppy
}

// judgeFresh is C5: a read knows every write that was acknowledged before it
// began and whose quorum its own must meet. Reads that must meet none are
// exempt; they are counted, and so are those of them that were stale.
func (c *check) judgeFresh(o *object) {
	groups := map[quorum][]*read{}
	var exempt []*read
	for _, r := range o.reads {
		if q, ok := quorumOf(r); ok && o.meets(q) {
			groups[q] = append(groups[q], r)
		} else {
			exempt = append(exempt, r)
		}
	}
	order := func(a, b quorum) int { return cmp.Or(a.n-b.n, a.need-b.need) }
	for _, q := range slices.SortedFunc(maps.Keys(groups), order) {
		c.sweep(o, groups[q], q.strict, func(r *read, back []superseded, lost []*write) {
			c.verdicts[Fresh].Checked++
			c.reportStale(Fresh, o, r, back, lost)
		})
	}
	c.report.Counts.Exempt += len(exempt)
	c.sweep(o, exempt, (*write).acked, func(_ *read, back []superseded, lost []*write) {
		if len(back)+len(lost) > 0 {
			c.report.Counts.Stale++
		}
	})
}

// meets reports whether reads of this quorum meet any acknowledged write, or
// there is none that they could miss.
func (o *object) meets(q quorum) bool {
	acked := false
	for _, w := range o.writes {
		if w.acked() && q.strict(w) {
			return true
		}
		acked = acked || w.acked()
	}
	return !acked
}

// sweep judges reads in order of time, each by the writes that counts selects
// among those acknowledged before it began.
func (c *check) sweep(o *object, reads []*read, counts func(*write) bool, judged func(*read, []superseded, []*write)) {
	acked := slices.DeleteFunc(slices.Clone(o.writes), func(w *write) bool { return !w.acked() || !counts(w) })
	slices.SortStableFunc(acked, func(a, b *write) int { return cmp.Compare(a.op.Complete, b.op.Complete) })
	world := newKnowledge()
	for _, r := range reads {
		for len(acked) > 0 && acked[0].op.Complete < r.op.Invoke {
			world.learn(acked[0])
			acked = acked[1:]
		}
		back, lost := world.demand(begunBefore(r)).judge(r.found)
		judged(r, back, lost)
	}
}

// begunBefore selects what a read may know: what had begun when it ended.
func begunBefore(r *read) func(*write) bool {
	return func(w *write) bool { return !w.refused() && w.op.Invoke <= r.op.Complete }
}

// reportStale turns the judgement of a read into findings.
func (c *check) reportStale(p Property, o *object, r *read, back []superseded, lost []*write) {
	for _, b := range back {
		switch {
		case c.echo(b.value):
		case b.value == b.by:
			c.verdicts[p].find(o, []int{r.at, b.value.at}, "%v was gone for this session and is back: %v", b.value, r.op)
		default:
			c.verdicts[p].find(o, []int{r.at, b.value.at, b.by.at}, "%v was found, which %v had superseded before: %v", b.value, b.by, r.op)
		}
	}
	for _, w := range lost {
		c.verdicts[p].find(o, []int{r.at, w.at}, "%v was known before, nothing may have superseded it, and it was not found: %v", w, r.op)
	}
}
