package sim

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// drawLastWins makes the last writer win in some runs. It draws for itself: the
// rest of a seed's configuration is older.
func drawLastWins(seed uint64) bool {
	return rand.New(rand.NewPCG(seed, 0x1A57)).IntN(6) == 0
}

// beats reports whether w was written after v, by what is stored with them.
func (w *write) beats(v *write) bool {
	return cmp.Or(cmp.Compare(w.written, v.written), w.dot.Compare(v.dot)) > 0
}

// overruled notes what a put had seen where the last writer wins: what its client
// had, and what its coordinator held. That must know of it: a dot that nobody has
// seen and that it does not hold would be lost unread.
func (o *oracle) overruled(b *batch, s *shadow, w *write) {
	op, d, key := w.op, w.dot, w.key
	sent, own := false, vclock.NewDotSet(d)
	for _, send := range b.out.Sends {
		// The first one is the put; a retry in the same batch sends the whole object.
		if m, ok := send.Msg.(*wire.Write); ok && !sent && m.Delta.Dots.Compare(own) == vclock.Equal && !m.Op.IsZero() {
			w.past, sent = m.Delta.Context.Clone(), true
		}
	}
	if !sent || !w.past.Covers(op.context) {
		o.find("W9", "%s mints %v for %v and forgets what its client had seen", b.shell.node.name, d, op)
	}
	if s.actor != d.Actor {
		return // a guest's: it has no clock
	}
	clock := o.knows(b.shell.node, s, b.idOf(key), key)
	for _, other := range o.history(key).bare {
		if w.past.Contains(other.dot) && !op.context.Contains(other.dot) && !clock.Contains(other.dot) && !other.twins() {
			o.find("W9", "%s mints %v for %v and supersedes %v, of which it knows nothing", b.shell.node.name, d, op, other.dot)
		}
	}
	if w.past.Compare(op.context) != vclock.Equal {
		o.run.hits.add(Overruled)
	}
	o.judgeOrder(b, s, w)
}

// judgeOrder demands that a put was written later than what its coordinator held and
// it has seen, whatever the clocks show: or what it has replaced could win over what
// was written at the same time as both.
func (o *oracle) judgeOrder(b *batch, s *shadow, w *write) {
	bare := o.history(w.key).bare
	for _, held := range s.key(w.key).open {
		if w.past.Contains(held.dot) && slices.Contains(bare, held) && !held.twins() && !w.beats(held) {
			o.find("W9", "%s mints %v for %v as written at %d, and it has seen %v, which was written at %d", b.shell.node.name, w.dot, w.op, w.written, held.dot, held.written)
		}
	}
}

func (b *batch) idOf(key string) replica.ID {
	return replica.ID{Partition: uint32(b.oracle.run.layout.PartitionOf(bucket, key)), N: uint8(b.oracle.run.cfg.Replicas)}
}

// beaten reports whether the node knows a put that was written after w.
func (o *oracle) beaten(n *node, id replica.ID, w *write) bool {
	if !o.run.cfg.LastWins {
		return false
	}
	clock := o.knows(n, o.shadow(n, id), id, w.key)
	for _, other := range o.history(w.key).writes {
		if other.put && other.beats(w) && clock.Contains(other.dot) {
			return true
		}
	}
	return false
}

// unshown are the dots that an answer does not show because a later write is in its
// context. It demands that one is shown at most, and none that was beaten.
func (o *oracle) unshown(key string, shown, context vclock.DotSet) (beaten vclock.DotSet) {
	if !o.run.cfg.LastWins {
		return beaten
	}
	n := 0
	for range shown.Dots() {
		n++
	}
	if n > 1 {
		o.find("W9", "a read of %s shows %d values where the last one wins", key, n)
	}
	h := o.history(key)
	context = o.notVoid(context)
	for _, w := range h.bare {
		if !context.Contains(w.dot) || shown.Contains(w.dot) {
			continue
		}
		for _, other := range h.writes {
			if other.put && other.beats(w) && context.Contains(other.dot) {
				beaten.Add(w.dot)
				o.run.hits.add(BeatenUnshown)
				break
			}
		}
	}
	for d := range shown.Dots() {
		for _, w := range h.bare {
			if w.beats(o.writes[d]) && context.Contains(w.dot) && !w.twins() {
				o.find("W9", "a read of %s shows %v, and %v was written after it", key, d, w.dot)
			}
		}
	}
	return beaten
}

// demandOneLeft demands that nothing is left beside the last value of a key, but for
// twins of it.
func (r *run) demandOneLeft() {
	if !r.cfg.LastWins || r.oracle.finding != nil {
		return
	}
	for _, key := range r.allKeys() {
		id := replica.ID{Partition: uint32(r.layout.PartitionOf(bucket, key)), N: uint8(r.cfg.Replicas)}
		object, err := replica.Load(r.byName[r.homes(key)[0]].store, id, bucket, key)
		if err != nil {
			r.oracle.find("I9", "%s: %v", key, err)
			return
		}
		for _, v := range object.Versions {
			if v.Value.RequestID != object.Versions[0].Value.RequestID {
				r.oracle.find("W9", "%s still has %v beside %v when everything is quiet", key, v.Dot, object.Versions[0].Dot)
			}
		}
	}
}
