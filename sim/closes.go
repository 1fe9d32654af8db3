package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// promised takes a row about an incarnation that is being closed. What it calls
// void must be held nowhere (R15): the oracle knows every disk.
func (b *batch) promised(id replica.ID, op storage.Op) {
	o, n := b.oracle, b.shell.node
	record := o.readRecord(n, op.Key, op.Value)
	for _, w := range o.voided(record.Void.Minus(o.void)) {
		unasked := o.unasked(b.shell, w)
		if held := w.applied &^ unasked; held != 0 {
			o.find("R15", "%s calls %v of %s void, which %s holds", n.name, w.dot, w.key, o.run.someNode(held))
		}
		w.unasked = w.applied
		for _, m := range o.run.nodes {
			switch {
			case !o.owesTo(m, w):
			case unasked.has(m):
				w.unasked.add(m)
			default:
				o.find("R15", "%s calls %v of %s void, which %s owes", n.name, w.dot, w.key, m.name)
			}
		}
	}
	o.run.promiseSaved(n)
	if !o.void.Covers(record.Void) {
		o.run.hits.add(DotVoid)
	}
	o.void.Union(record.Void)
	switch {
	case record.Closed.IsZero():
		o.run.hits.add(PromiseMade)
	case !record.Swept || record.Promised == record.Closed:
		o.run.hits.add(IncarnationClosed)
	}
	if b.shell.shard.Has(id) {
		b.ids[id] = true
		o.shadow(n, id).clock.Union(record.Void)
	}
}

// unasked are the nodes that may hold what the closes of a shard call void: those that
// are gone, and those that have no place in its layout and are down, or know that, or have
// come back by a layout that it has not heard of: they were removed, or left and minted
// once more when the owners were alone already. What only these have becomes void for the
// others (R27). That is nothing that was acknowledged: of that the owners that stay have
// copies, unless they lost them, or nobody who acknowledged it can be asked.
func (o *oracle) unasked(s *shell, w *write) nodes {
	unasked := o.run.gone
	members := s.phase.Members()
	if w.isAcked && w.lost == 0 && o.answerable(w, members) != 0 {
		return unasked
	}
	for _, n := range o.run.nodes {
		if o.run.back.has(n) && !slices.Contains(members, n.name) {
			unasked.add(n)
		}
		if !slices.Contains(members, n.name) && (!n.up || n.standsStill() || n.phase != nil && !slices.Contains(n.phase.Members(), n.name)) {
			unasked.add(n)
		}
	}
	return unasked
}

// answerable are those who have acknowledged a write that no home has lost, and count: not
// a guest that lost it, as it may lose what it had not made durable, nor who is gone, whose operator has accepted what is
// lost with it. With W=1 that can be all of an acknowledged write, for a majority of the
// owners makes up for the gone (R25). Nor an owner to be by a layout that another took the
// place of, without a place for it, before anybody read of it: what counts then is what
// those have acknowledged of whom was read (R22, R23).
func (o *oracle) answerable(w *write, members []string) nodes {
	homes := w.acked & (w.readers | o.run.setOf(members))
	return (homes | w.held.acked&^w.held.lost) &^ o.run.gone
}

// owesTo reports whether a node has a hint of a write.
func (o *oracle) owesTo(n *node, w *write) bool {
	h := o.debts.hints[debtKey{place{n.index, o.history(w.key).id}, w.key}]
	return h.dots.Contains(w.dot) && !o.stale[n.index].Contains(w.dot)
}

func (o *oracle) readRecord(n *node, key, value []byte) antientropy.Record {
	_, _, raw, err := storage.ParsePromiseKey(key)
	a, _, bad := vclock.DecodeActor(raw[:])
	record, wrong := antientropy.DecodeRecord(a, value)
	if err != nil || bad != nil || wrong != nil {
		o.find("rows", "%s: a promise cannot be read: %v %v %v", n.name, err, bad, wrong)
	}
	return record
}

// voided are the writes whose dots are in a set of void dots.
func (o *oracle) voided(void vclock.DotSet) (writes []*write) {
	for a, span := range void.Spans() {
		for c := span.Lo; c <= min(span.Hi, o.minted[a]); c++ {
			if w := o.writes[vclock.Dot{Actor: a, Counter: c}]; w != nil {
				writes = append(writes, w)
			}
		}
	}
	return writes
}

func (r *run) someNode(set nodes) string {
	for _, n := range r.nodes {
		if set.has(n) {
			return n.name
		}
	}
	return "nobody"
}

// readPromises gives a shadow the void dots that a disk has kept.
func (o *oracle) readPromises(n *node, id replica.ID, s *shadow, snapshot storage.Snapshot) error {
	lo, hi := storage.PromiseRange(id.Partition, id.N)
	return snapshot.Scan(lo, hi, func(row, value []byte) bool {
		void := o.readRecord(n, row, value).Void
		s.clock.Union(void)
		s.void.Union(void)
		return true
	})
}

// gained gives the shadow of a replica what its node knows to be void, on its disk or in
// rows that are about to be written: a member that gets a partition in the middle of a life
// has learned that before, when it had no clock to take it (R15).
func (o *oracle) gained(s *shell, id replica.ID, snapshot storage.Snapshot) {
	shadow := o.shadow(s.node, id)
	if err := o.readPromises(s.node, id, shadow, snapshot); err != nil {
		o.find("S6", "%s: %v", s.node.name, err)
	}
	err := s.shard.Effects().Rows.Each(func(op storage.Op) error {
		if table, partition, n, ok := storage.ParseReplica(op.Key); ok && table == storage.TablePromise && id == (replica.ID{Partition: partition, N: n}) {
			shadow.clock.Union(o.readRecord(s.node, op.Key, op.Value).Void)
		}
		return nil
	})
	if err != nil {
		o.find("S1", "%s: %v", s.node.name, err)
	}
}

// touched records a dot that a replica has minted by itself, for the effect of a
// dot that nobody holds any more. It has seen what the object that carries it
// says: what the base and the object's context cover, and the object does not show.
func (o *oracle) touched(b *batch, d vclock.Dot, key string) {
	n := b.shell.node
	id := replica.ID{Partition: uint32(o.run.layout.PartitionOf(bucket, key)), N: uint8(o.run.cfg.Replicas)}
	object, err := replica.Load(n.store, id, bucket, key)
	if err != nil {
		o.find("I4", "%s: %v", n.name, err)
		return
	}
	past, _ := b.shell.shard.Base(id)
	past.Union(object.Context)
	live := object.Dots()
	live.Add(d)
	w := &write{dot: d, key: key, op: &operation{record: -1}, past: past.Minus(live)}
	w.op.writes = []*write{w}
	if o.void.IsEmpty() {
		o.find("R15", "%s touches %s with %v, and nothing is void", n.name, key, d)
	}
	o.run.hits.add(Touched)
	o.writes[d] = w
	o.minted[d.Actor] = max(o.minted[d.Actor], d.Counter)
	o.mintedAt = o.run.agenda.now
	o.history(key).add(w)
}

// promiseSaved loses a node's power now and then, just after it has noted a promise, or
// the outcome of a round whose objects it has yet to look through.
func (r *run) promiseSaved(n *node) {
	draw := r.draw(0x4E98, uint64(n.index))
	if r.calm || !draw.happens(r.cfg.Fault.AfterPromise) || !r.occurs(IncidentAfterPromise) {
		return
	}
	life := n.lives
	r.agenda.after(draw.with(1).about(20*time.Millisecond), func() {
		if n.lives == life && n.up && !r.calm {
			r.hits.add(KilledAfterPromise)
			r.kill(n, float64(draw.with(2).below(3))/2, draw.with(3))
		}
	})
}

// leaked loses the power of the only node that holds a delete, once a read repair
// has carried its effect elsewhere (C8).
func (r *run) leaked(m *wire.Write) {
	if r.calm || !m.Op.IsZero() {
		return
	}
	for _, w := range r.oracle.history(m.Key).writes {
		if w.put || w.applied.len() != 1 || w.durable != 0 || !m.Delta.Context.Contains(w.dot) || m.Delta.Dots.Contains(w.dot) {
			continue
		}
		draw := r.draw(0x1EAC, w.dot.Actor.Nonce, w.dot.Counter)
		if draw.happens(r.cfg.Fault.AfterLeak) && r.occurs(IncidentAfterLeak) {
			r.hits.add(KilledAfterLeak)
			r.killSoon(r.byName[r.someNode(w.applied)], draw.with(1), time.Millisecond)
		}
	}
}

// belatedBy is how late what was stillborn comes after all, about.
const belatedBy = time.Second

// stillbornDeletes is how much likelier deletes are stillborn: their effects leak.
const stillbornDeletes = 10

// stillborn reports whether a new write is lost on its way to everybody. Then its
// coordinator loses power before it is durable, most likely: at once, or, for most
// deletes, once a read repair has carried their effect away, if one does (leaked).
func (r *run) stillborn(from *node, msg wire.Message) bool {
	m, ok := msg.(*wire.Write)
	if !ok || r.calm || m.Op.IsZero() {
		return false
	}
	for a, span := range m.Delta.Dots.Spans() {
		draw := chance(r.seed).with(0x571B, a.Nonce, span.Lo)
		if len(m.Delta.Versions) == 0 {
			if !draw.happens(stillbornDeletes*r.cfg.Fault.Stillborn) || !r.occurs(IncidentStillborn) {
				return false
			}
			continue
		}
		if !draw.happens(r.cfg.Fault.Stillborn) || !r.occurs(IncidentStillborn) {
			return false
		}
		r.killSoon(from, draw.with(1), 10*time.Millisecond)
	}
	return true
}

func (r *run) killSoon(n *node, draw chance, mean time.Duration) {
	life := n.lives
	r.agenda.after(draw.about(mean), func() {
		if n.lives == life && n.up && !r.calm {
			r.kill(n, 0, draw.with(1))
		}
	})
}

// isTouch reports whether no client has asked for the write.
func (w *write) isTouch() bool { return w.op.client == nil }

// closeWithin is how long after the last fault everything is closed that somebody
// could wait for in vain, in intervals of the run.
const closeWithin = 64

// closeEverything waits until nothing is left that cannot be stripped: no gap in a
// clock, and nothing in contexts that the clock does not say (R15). Then the homes
// have to be equal where the effects of lost writes had leaked as well (C8).
func (r *run) closeEverything() {
	if r.oracle.finding != nil {
		return
	}
	until := r.agenda.now + closeWithin*r.cfg.Limits.CloseAfter + 20*time.Minute
	for r.unclean() != "" && r.oracle.finding == nil {
		if r.agenda.now > until {
			r.oracle.find("R15", "%s", r.unclean())
			return
		}
		r.pass(time.Second)
	}
	r.closed = true
	r.converge()
}

// unclean says what is left that is to be closed or stripped.
func (r *run) unclean() string {
	for partition := range r.cfg.Partitions {
		id := replica.ID{Partition: uint32(partition), N: uint8(r.cfg.Replicas)}
		for _, n := range r.nodes {
			if r.isHome(n, id) {
				s := n.shards[n.shardOf(id.Partition)]
				if text := r.uncleanAt(n, id, s.shard.Clock(id)); text != "" {
					return text
				}
			}
		}
	}
	return ""
}

func (r *run) uncleanAt(n *node, id replica.ID, clock vclock.DotSet) (text string) {
	if clock.Exceptions() > 0 {
		return fmt.Sprintf("the clock of %v at %s has gaps: %v", id, n.name, clock)
	}
	snapshot, err := n.store.Snapshot()
	if err != nil {
		return err.Error()
	}
	defer snapshot.Close()
	swept := r.cfg.Limits.Unstripped == core.DefaultLimits().Unstripped
	lo, hi := storage.ObjectRange(id.Partition, id.N, bucket, "")
	err = snapshot.Scan(lo, hi, func(row, value []byte) bool {
		_, _, _, key, _ := storage.ParseObjectKey(row)
		object, err := replica.Load(snapshot, id, bucket, string(key))
		switch left := object.Context.Minus(clock); {
		case err != nil:
			text = err.Error()
		case !left.IsEmpty():
			text = fmt.Sprintf("%s at %s remembers dots that nobody brings: %v", key, n.name, left)
		case !object.Context.IsEmpty() && swept:
			text = fmt.Sprintf("%s at %s is not stripped: %v", key, n.name, object.Context)
		}
		return text == ""
	})
	if err != nil {
		return err.Error()
	}
	return text
}
