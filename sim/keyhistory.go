package sim

import (
	"slices"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

// keyHistory is everything that ever happened to a key.
type keyHistory struct {
	id replica.ID
	// homes are those by that layout (see run.homes).
	homes []string
	by    *ring.Layout
	// hash is what a ring and hash trees know the key by.
	hash uint64

	writes []*write
	// pasts unites what all of them had seen, and bare are the puts that none of
	// them had seen.
	pasts vclock.DotSet
	bare  []*write
	// standing are the puts of which it is not known yet that a delete has seen
	// them, or something that followed them; sifted is how many writes there were when
	// that was last looked at.
	standing []*write
	sifted   int
}

func (o *oracle) newHistory(key string) *keyHistory {
	r := o.run
	p := r.layout.PartitionOf(bucket, key)
	return &keyHistory{id: replica.ID{Partition: uint32(p), N: uint8(r.cfg.Replicas)}, hash: ring.Hash(bucket, key)}
}

// add appends a write event.
func (h *keyHistory) add(w *write) {
	w.index, w.seenFrom = len(h.writes), len(h.writes)+1
	if h.pasts.Contains(w.dot) {
		w.seenFrom = 0 // minted in one batch with something that had seen it
	}
	h.writes = append(h.writes, w)
	h.pasts.Union(w.past)
	h.bare = slices.DeleteFunc(h.bare, func(b *write) bool { return w.past.Contains(b.dot) })
	if !w.put {
		return
	}
	h.standing = append(h.standing, w)
	if !h.pasts.Contains(w.dot) {
		h.bare = append(h.bare, w)
	}
}

// seenFrom is where in the history the writes begin that may have seen any of
// these dots.
func (o *oracle) seenFrom(h *keyHistory, dots vclock.DotSet) int {
	from := len(h.writes)
	for d := range dots.Dots() {
		from = min(from, o.seenFromOn(h, d))
	}
	return from
}

// seenFromOn is seenFrom for one dot.
func (o *oracle) seenFromOn(h *keyHistory, d vclock.Dot) int {
	w := o.writes[d]
	if w == nil || w.index >= len(h.writes) || h.writes[w.index] != w {
		return 0 // not a write of this key
	}
	return min(w.seenFrom, len(h.writes))
}
