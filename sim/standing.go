package sim

import (
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// What a return owes (R27). Who was gone and is a member again is exempt from nothing any
// more: the homes get all that it has and that is not void, or its copy does not go
// (judgeDrop); what they get, reads show (judgeFinal, check); its copy goes in the end,
// and the layout settles (undropped, unsettled); and the homes are equal then, with what
// has become void in none of them (demandEqual). Beyond that, it takes nothing away: what
// follows here.

// standing is what could be read when a node came back: the versions that a majority of
// the homes showed, or that had been acknowledged and some home showed, and that no node
// but those that come back knew to be superseded. With each go the writes that had
// superseded it and were on the node that came back alone.
//
// If all of these are void when the version is not shown any more where it is known, the
// return has taken it away: they have no effect (R15), and none of it can have leaked
// before the return (C8), or some other node would have known. Touches tell of such
// effects and are no reason of their own.
type standing map[*write]map[*write]bool

// noteStanding notes what stands when a node comes back, by the homes of the layout before.
func (o *oracle) noteStanding(back *node, before *ring.Layout) {
	for _, key := range o.run.allKeys() {
		h := o.history(key)
		var shown, past vclock.DotSet
		most := map[vclock.Dot]int{}
		homes := before.Homes(ring.Partition(h.id.Partition), o.run.cfg.Replicas)
		for _, n := range o.run.nodes {
			live, superseded, knows := o.knowledge(n, h, key)
			if n == back || !knows || o.run.gone.has(n) {
				continue
			}
			past.Union(superseded)
			if !o.run.setOf(homes).has(n) {
				continue
			}
			for d := range live.Dots() {
				most[d]++
				shown.Add(d)
			}
		}
		for d := range shown.Minus(past).Minus(o.void).Dots() {
			if w := o.writes[d]; w != nil && w.put && !w.twins() && (w.isAcked || most[d] > len(homes)/2) {
				if sole := o.soleReasons(w, back); len(sole) > 0 {
					o.standing[w] = sole
					o.run.hits.add(StoodAtReturn)
				}
			}
		}
	}
}

// knowledge is what a node shows of a key, and what it knows of it and does not show.
func (o *oracle) knowledge(n *node, h *keyHistory, key string) (live, superseded vclock.DotSet, knows bool) {
	object, err := replica.Load(n.store, h.id, bucket, key)
	if err != nil || o.shadows[place{n.index, h.id}] == nil {
		return live, superseded, false
	}
	superseded = o.knows(n, o.shadow(n, h.id), h.id, key).Clone()
	superseded.Union(object.Context)
	live = object.Dots()
	return live, superseded.Minus(live), true
}

// soleReasons are the writes that had superseded w and are on that node alone.
func (o *oracle) soleReasons(w *write, on *node) map[*write]bool {
	sole := map[*write]bool{}
	for _, x := range o.history(w.key).writes {
		if !x.past.Contains(w.dot) || x.isTouch() {
			continue
		}
		if x.applied&^o.run.gone == 1<<on.index && !o.heldByAnother(w.key, on, x.dot) {
			sole[x] = true
		}
	}
	return sole
}

// takenAway reports whether a version is not shown at a node for no other reason than what
// is void and was on a node that came back alone.
func (o *oracle) takenAway(n *node, w *write) bool {
	sole, stood := o.standing[w]
	if !stood {
		return false
	}
	for _, x := range o.history(w.key).writes {
		if x.past.Contains(w.dot) && !x.isTouch() && (!sole[x] || !o.isVoid(x.dot) || x.applied.has(n)) {
			return false
		}
	}
	return true
}

// noteBlunt notes the writes that a copy which has retired hands on without what they had
// seen, and that no other node has: of a key that void events have changed it tells nothing
// of what is gone there. What only such a write had superseded lives on beside it (R27).
func (o *oracle) noteBlunt(from *node, delta wire.Delta) {
	if !o.run.back.has(from) || o.void.IsEmpty() {
		return
	}
	told := delta.Siblings.Seen()
	told.Union(delta.Dots)
	for d := range delta.Dots.Dots() {
		if w := o.writes[d]; w != nil && !told.Covers(w.past) && w.applied&^o.run.gone == 1<<from.index {
			w.blunt = true
			o.run.hits.add(HandedOnBlunt)
		}
	}
}
