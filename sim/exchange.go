package sim

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

const (
	// convergeWithin is how long after the last write, with nothing in the way, all
	// homes must have become equal by exchange alone (I9), beside the time that the
	// pace of pulls takes. It covers the time until
	// links are noticed, two looks, and the answers, and before them the wait of a
	// rebuild that had just found nobody to begin with, which is 10 s: a log that is
	// bounded tightly makes one needed without any loss.
	convergeWithin = 15 * time.Second
	// convergeAfterLoss is the same after a disk was lost: what peers remember of
	// the old one may be put right by the next digest only.
	convergeAfterLoss = 45 * time.Second
	// convergeAfterDamage is the same after a disk was damaged: a home that nobody but
	// the damaged one can rebuild looks for another source again after ten seconds.
	convergeAfterDamage = 2 * convergeWithin
	// expiryWithin is enough for two looks at the wall clock.
	expiryWithin = 2 * time.Minute
	// pruneWithin is how long after that every log must be empty (C14).
	pruneWithin = 3 * time.Minute
)

// readCheckpoint adds what a replica's checkpoint says to what its disk holds.
func (o *oracle) readCheckpoint(n *node, id replica.ID, s *shadow, snapshot storage.Snapshot) {
	row, err := snapshot.Get(storage.ClockKey(nil, id.Partition, id.N))
	if err == storage.ErrNotFound {
		return
	}
	var clock vclock.DotSet
	if err == nil {
		clock, _, err = replica.DecodeCheckpoint(row)
	}
	if err != nil {
		o.find("rows", "%s: the checkpoint of %v: %v", n.name, id, err)
		return
	}
	s.clock.Union(clock)
}

// checkpointed takes a checkpoint of a clock.
func (b *batch) checkpointed(id replica.ID, op storage.Op) {
	if lo, hi := storage.RebuildRange(id.Partition, id.N); bytes.Compare(lo, op.Key) <= 0 && bytes.Compare(op.Key, hi) < 0 {
		b.rebuilding[id] = true
		b.oracle.shadow(b.shell.node, id).passes = true
		b.oracle.run.hits.add(RebuildPassed)
		b.oracle.run.pagePassed(b.shell.node)
		return
	}
	_, _, kind, _, err := storage.ParseCheckpointKey(op.Key)
	if err == nil && kind != storage.CheckpointClock {
		return
	}
	clock, floor, bad := replica.DecodeCheckpoint(op.Value)
	if err = errors.Join(err, bad); err != nil {
		b.oracle.find("rows", "%s: the checkpoint of %v: %v", b.shell.node.name, id, err)
		return
	}
	if !floor.IsEmpty() {
		b.oracle.run.hits.add(CheckpointWithFloor)
	}
	b.rebuilt(id, clock)
	b.ids[id], b.saved[id] = true, clock
}

// prunedRow takes a removal from the log: only what every home holds for certain
// may go (R12), and what is void.
func (b *batch) prunedRow(id replica.ID, op storage.Op) {
	o, n := b.oracle, b.shell.node
	_, _, raw, counter, err := storage.ParseLogKey(op.Key)
	actor, _, bad := vclock.DecodeActor(raw[:])
	if err != nil || bad != nil {
		o.find("rows", "%s prunes by a row that cannot be read: %v, %v", n.name, err, bad)
		return
	}
	last := counter
	if op.Kind == storage.OpDeleteRange {
		o.run.hits.add(LogRangePruned)
		last = o.minted[actor]
	}
	b.ids[id] = true
	gone := b.pruned[id]
	for ; counter <= last; counter++ {
		if op.Kind == storage.OpDeleteRange && bytes.Compare(storage.LogKey(nil, id.Partition, id.N, raw, counter), op.Value) >= 0 {
			break
		}
		d := vclock.Dot{Actor: actor, Counter: counter}
		if o.run.cfg.Limits.LogRows == core.DefaultLimits().LogRows && !o.void.Contains(d) {
			o.demandCommon(n, "prunes", d)
		}
		gone.Add(d)
	}
	b.pruned[id] = gone
	o.run.hits.add(LogPruned)
}

// judgeCheckpoints demands that checkpoints claim what was applied and no more,
// and that what leaves the log is in the checkpoint of the same batch (I4).
func (b *batch) judgeCheckpoints() {
	o, n := b.oracle, b.shell.node
	for id := range b.ids {
		if b.saved[id].IsEmpty() && b.pruned[id].IsEmpty() {
			continue
		}
		saved := b.saved[id]
		if extra := saved.Minus(o.shadow(n, id).clock); !extra.IsEmpty() {
			o.find("I4", "%s: the checkpoint of replica %v claims %v, which it has not applied", n.name, id, extra)
		}
		if left := b.pruned[id].Minus(saved); !left.IsEmpty() {
			o.find("I4", "%s prunes %v of replica %v without a checkpoint that has it", n.name, left, id)
		}
	}
}

// sentPieces judges each piece as it will be joined.
func (o *oracle) sentPieces(from *node, m *wire.Pieces) {
	for i := range m.Pieces {
		p := &m.Pieces[i]
		delta := p.Delta(m.Base)
		o.noteBlunt(from, delta)
		o.checkFilled(from, p.Key, delta.Siblings)
		for d := range delta.Dots.Dots() {
			if w := o.writes[d]; w == nil || w.key != p.Key {
				o.find("R2", "%s sends %v as a write of %s, which it is not", from.name, d, p.Key)
			} else if !w.durable.has(from) && !o.returned[from.index].Contains(d) && !from.rebuilding(replica.ID{Partition: m.Partition, N: m.N}) {
				o.find("I6", "%s sends the piece of %s with %v, which is not durable there", from.name, p.Key, d)
			}
		}
		if p.Object.IsGone() {
			o.run.hits.add(PieceOfGoneKey)
		}
	}
	if m.More {
		o.run.hits.add(PiecesCutShort)
	}
}

// sentClock demands that only durable dots are advertised (I6), and as common only
// what is durable at every home (R12).
func (o *oracle) sentClock(from *node, m *wire.Clock) {
	if id := (replica.ID{Partition: m.Partition, N: m.N}); !from.shards[from.shardOf(id.Partition)].shard.Has(id) {
		return // it was given up while this waited for the disk: every owner has it
	}
	// What was durable is so until the disk is lost, and is told to each peer.
	durable := &o.durable[from.index]
	if !durable.Covers(m.Durable) {
		for d := range m.Durable.Minus(*durable).Dots() {
			if w := o.writes[d]; w == nil || !w.durable.has(from) && !o.returned[from.index].Contains(d) {
				o.find("I6", "%s advertises %v, which is not durable there", from.name, d)
			}
		}
		durable.Union(m.Durable)
	}
	// What was durable everywhere stays so.
	told := &o.told[from.index]
	if told.Covers(m.Common) {
		return
	}
	for d := range m.Common.Minus(*told).Dots() {
		o.demandCommonOnce(from, d)
		if w := o.writes[d]; w != nil {
			w.settled.add(from)
		}
	}
	told.Union(m.Common)
}

// demandCommonOnce demands that a dot which is advertised as common was durable at all that
// were its homes together once: what was, a node goes on saying when it has others.
func (o *oracle) demandCommonOnce(from *node, d vclock.Dot) {
	if w := o.writes[d]; w != nil {
		for _, homes := range o.run.ever[o.history(w.key).id.Partition] {
			if homes&^(w.durable|w.forgotten) == 0 {
				return
			}
		}
	}
	o.demandCommon(from, "advertises as common", d)
}

// demandCommon demands that a dot is durable at every home of its key, by a phase of the
// node that says so, or by the newest layout.
func (o *oracle) demandCommon(by *node, what string, d vclock.Dot) {
	who := what
	if by != nil {
		who = by.name + " " + what
	}
	w := o.writes[d]
	if w == nil {
		o.find("I4", "%s %v, which has not been minted", who, d)
		return
	}
	homes := o.run.setOf(o.run.homes(w.key))
	if by != nil {
		o.run.atNode(by, o.history(w.key).id.Partition, func(p *owners) bool {
			homes = p.all
			return homes&^(w.durable|w.forgotten) != 0
		})
	}
	if missing := homes &^ (w.durable | w.forgotten); missing != 0 {
		o.find("I6", "%s %v of %s, which is not durable at %s", who, d, w.key, o.run.someNode(missing))
	}
}

// converge demands that all homes become equal without a read (I9).
func (r *run) converge() {
	within := r.convergeWithin() + r.pulling()
	for r.oracle.finding == nil {
		r.pass(time.Second)
		since := r.agenda.now - max(r.calmAt, r.oracle.mintedAt)
		difference := r.difference()
		if difference == "" {
			r.converged = since
			return
		}
		if since > within {
			r.oracle.find("I9", "%v after the last write: %s", since, difference)
		}
	}
}

// pulling is how long the shard that lacks most of what other homes have takes to pull
// that at its pace. There are no clients any more, but hints that arrive pass for them.
func (r *run) pulling() time.Duration {
	lacks, most := map[[2]int]uint64{}, uint64(0)
	for p := range r.cfg.Partitions {
		id := replica.ID{Partition: uint32(p), N: uint8(r.cfg.Replicas)}
		homes := r.layout.Homes(ring.Partition(p), r.cfg.Replicas)
		var all vclock.DotSet
		for _, name := range homes {
			all.Union(r.oracle.shadow(r.byName[name], id).clock)
		}
		for _, name := range homes {
			n := r.byName[name]
			at := [2]int{n.index, n.shardOf(id.Partition)}
			lacks[at] += antientropy.Count(r.oracle.notVoid(all).Minus(r.oracle.shadow(n, id).clock))
			most = max(most, lacks[at])
		}
	}
	return time.Duration(most) * time.Second / time.Duration(r.cfg.Limits.PullPace.ItemsPerSecond)
}

// difference says where two homes of a partition are not equal: in their clocks,
// or in the live versions of a key.
func (r *run) difference() string {
	for p := range r.cfg.Partitions {
		id := replica.ID{Partition: uint32(p), N: uint8(r.cfg.Replicas)}
		var first vclock.DotSet
		for i, name := range r.layout.Homes(ring.Partition(p), r.cfg.Replicas) {
			n := r.byName[name]
			if !n.up {
				return name + " is down"
			}
			clock := n.shards[n.shardOf(id.Partition)].shard.Clock(id)
			if i == 0 {
				first = clock
			} else if clock.Compare(first) != vclock.Equal {
				return fmt.Sprintf("the clocks of partition %v are %v and, at %s, %v", id, first, name, clock)
			}
		}
	}
	for _, key := range r.allKeys() {
		if text := r.keyDifference(key); text != "" {
			return text
		}
	}
	return ""
}

// keyDifference says how two homes show different versions of a key. Two kinds of
// difference are known to the protocol, and no exchange of clocks can see them:
// the effect of a write which is lost everywhere has leaked (C8), and a request
// with two dots may show either (R19). Reads mend them, and audits.
func (r *run) keyDifference(key string) string {
	var first vclock.DotSet
	homes := r.homes(key)
	for i, name := range homes {
		live := r.live(name, key)
		if i == 0 {
			first = live
			continue
		}
		different := live.Minus(first)
		different.Union(first.Minus(live))
		for d := range different.Dots() {
			if w := r.oracle.writes[d]; !w.twins() && (r.closed || !r.oracle.leaked(w)) {
				return fmt.Sprintf("%s shows %v of %s, %s shows %v", homes[0], first, key, name, live)
			}
			r.unmended = true
		}
	}
	return ""
}

// leaked reports whether some write that had seen w is lost everywhere.
func (o *oracle) leaked(w *write) bool {
	for _, later := range o.history(w.key).writes {
		if later.applied == 0 && later.past.Contains(w.dot) {
			return true
		}
	}
	return false
}

// live are the versions of a key that a node holds.
func (r *run) live(name, key string) vclock.DotSet {
	object, err := replica.Load(r.byName[name].store, r.idOf(key), bucket, key)
	if err != nil {
		r.oracle.find("I4", "%s: %v", name, err)
	}
	return object.Dots()
}

// demandEmptyLogs demands that the log remembers nothing that every home holds
// (C14).
func (r *run) demandEmptyLogs() {
	for _, n := range r.nodes {
		for _, id := range n.owned() {
			if !r.isHome(n, id) {
				continue
			}
			rows := 0
			snapshot, err := n.store.Snapshot()
			if err == nil {
				lo, hi := storage.LogRange(id.Partition, id.N)
				err = snapshot.Scan(lo, hi, func(_, _ []byte) bool { rows++; return true })
				snapshot.Close()
			}
			if err != nil || rows > 0 {
				r.oracle.find("C14", "%s has %d rows in the log of replica %v after everything is settled (%v)", n.name, rows, id, err)
			}
		}
	}
}

// stayEqual lets minutes pass: late messages change nothing, and logs empty.
func (r *run) stayEqual() {
	if r.oracle.finding != nil {
		return
	}
	if r.oracle.mintedAt > r.calmAt {
		r.calmAt = r.agenda.now // attempts of clients that were still under way
		r.converge()
	}
	r.pass(pruneWithin)
	if difference := r.difference(); r.oracle.finding == nil && difference != "" {
		r.oracle.find("I9", "after having been equal: %s", difference)
	}
	r.demandEmptyLogs()
}

// mend reads everything where homes differ in a way that clocks do not show.
func (r *run) mend() {
	if r.unmended {
		r.readEverything()
		r.readEverything()
	}
}
