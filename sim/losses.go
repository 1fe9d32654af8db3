package sim

import (
	"time"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
)

// Losses are the faults that take durable data away: mean times between two of a
// kind, zero for none.
type Losses struct {
	// Wipe gives a node an empty disk, Image one as it was up to ImageAge ago.
	Wipe, Image time.Duration
	ImageAge    time.Duration
	// Away keeps a node down for so long, AwayFor, that others may have shortened
	// their logs meanwhile.
	Away, AwayFor time.Duration
	// AfterPage is how likely a node loses power just after it has taken over a
	// page of a rebuild.
	AfterPage float64
}

// image is a disk as it was once.
type image struct {
	store *memstore.Store
	disk  uint64
	taken time.Duration
}

// startLosses begins the chains of losses, and takes images.
func (r *run) startLosses() {
	l := r.cfg.Loss
	r.chain(6, l.Wipe, r.unless(IncidentWipe, r.wipeOne))
	r.chain(7, l.Image, r.unless(IncidentImage, r.restoreOne))
	r.chain(8, l.Away, r.unless(IncidentAway, r.sendAway))
	if l.Image > 0 {
		r.chain(9, l.ImageAge/2, r.takeImage)
	}
}

func (r *run) takeImage(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if !n.up {
		// A folder copied after an orderly stop says that nothing was lost. Only a
		// home that it has talked to since can tell otherwise, and that one may be
		// down: docs/decisions has it.
		return
	}
	for _, id := range n.owned() {
		if n.isSpoilt(id) {
			return
		}
	}
	n.image = &image{store: n.copyStore(), disk: n.diskID, taken: r.agenda.now}
}

// copyStore copies what a disk shows now; the copy is durable.
func (n *node) copyStore() *memstore.Store {
	after := memstore.New()
	var rows storage.Batch
	snapshot, err := n.store.Snapshot()
	if err == nil {
		err = snapshot.Scan(nil, nil, func(row, value []byte) bool { rows.Set(row, value); return true })
		snapshot.Close()
	}
	if err == nil && rows.Len() > 0 {
		err = after.Apply(&rows)
	}
	if err == nil {
		err = after.Sync()
	}
	if err != nil {
		n.run.oracle.find("S5", "%s: copying the disk: %v", n.name, err)
	}
	return after
}

func (r *run) wipeOne(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if !r.mayLose(n) || n.voting {
		return
	}
	r.wipe(n, draw)
}

// wipe gives a node an empty disk.
func (r *run) wipe(n *node, draw chance) {
	r.lostWhileMoving(n)
	r.trace.say(n.name, "wipe", "")
	r.hits.add(DiskLost)
	r.broke(FaultWipe)
	r.disks++
	r.replaceDisk(n, memstore.New(), r.disks, draw)
}

func (r *run) restoreOne(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	old := n.image
	if old == nil || r.agenda.now-old.taken > r.cfg.Loss.ImageAge || n.voting || !r.mayLose(n) {
		return
	}
	n.image = nil
	r.lostWhileMoving(n)
	r.trace.say(n.name, "restore", "the disk of %v", old.taken)
	r.hits.add(OldImageBack)
	r.broke(FaultImage)
	r.replaceDisk(n, old.store, old.disk, draw)
}

// lostWhileMoving counts a disk that is lost while owners change.
func (r *run) lostWhileMoving(n *node) {
	if n.phase != nil && !n.phase.Settled() {
		r.hits.add(LostWhileMoving)
	}
}

// replaceDisk ends what runs on a node and gives it another disk.
func (r *run) replaceDisk(n *node, store *memstore.Store, disk uint64, draw chance) {
	if n.up {
		r.countStats(n)
		n.end()
	}
	n.lives++ // a restart that was planned is off
	n.phase = nil
	n.store, n.diskID, n.early = store, disk, nil
	n.disks++
	n.recollect()
	r.oracle.replaced = true
	r.oracle.crashed(n)
	r.oracle.replaced = false
	r.restartLater(n, draw)
}

func (r *run) sendAway(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if !n.up {
		return
	}
	r.hits.add(LongAway)
	r.broke(FaultAway)
	r.countStats(n)
	n.crash(1)
	life := n.lives
	r.agenda.after(draw.with(2).about(r.cfg.Loss.AwayFor), func() {
		if n.lives == life {
			r.restart(n)
		}
	})
}

// mayLose reports whether a node may lose its disk now: nothing that a client was
// promised is there alone, as an object or as a hint, and of the other homes fewer have
// lost something that they have not got back than a quorum can spare. Losses beyond
// that are true but useless.
func (r *run) mayLose(n *node) bool {
	o := r.oracle
	if !o.mayLoseHints(n) {
		return false
	}
	if n.away {
		return false
	}
	for _, m := range r.nodes {
		if m != n && !m.away && m.phase == nil {
			return false // it still has to learn the layout
		}
	}
	for _, id := range n.owned() {
		for _, m := range r.nodes {
			if m.isSpoilt(id) {
				return false
			}
		}
		if !r.canSpare(n, id) {
			return false
		}
		for d := range o.shadow(n, id).clock.Minus(o.void).Dots() {
			w := o.writes[d]
			others := w.applied &^ r.gone
			if others.remove(n); w.isAcked && others == 0 {
				return false
			}
		}
	}
	return true
}

// canSpare reports whether of no owners of a replica so many others have lost something,
// or are gone, that a quorum could not do without one more.
func (r *run) canSpare(n *node, id replica.ID) bool {
	can := true
	r.inUse(id.Partition, r.agenda.now, func(by *owners) bool {
		for _, group := range by.writers {
			owing, spare := 0, (group.len()-1)/2
			for _, m := range r.nodes {
				if m != n && group.has(m) && (r.gone.has(m) || r.oracle.owes(m, id)) {
					owing++
				}
			}
			can = can && (owing < spare || !group.has(n))
		}
		return can
	})
	return can
}

// mayLoseHints reports whether all that a node owes and a client was promised is
// somewhere else as well.
func (o *oracle) mayLoseHints(n *node) bool {
	for at, h := range o.debts.hints {
		if at.place.node != n.index {
			continue
		}
		for d := range h.dots.Dots() {
			w := o.writes[d]
			others := w.applied &^ o.run.gone
			if others.remove(n); w.isAcked && others == 0 && !o.heldByAnother(at.key, n, d) {
				return false
			}
		}
	}
	return true
}

// heldByAnother reports whether another guest has a hint of a write.
func (o *oracle) heldByAnother(key string, n *node, d vclock.Dot) bool {
	for at, h := range o.debts.hints {
		if at.key == key && at.place.node != n.index && !o.run.gone.has(o.run.nodes[at.place.node]) && h.dots.Contains(d) {
			return true
		}
	}
	return false
}

// owes reports whether a replica lacks dots that it has lost, or that the others
// had when it lost some, and that are still held by anybody.
func (o *oracle) owes(n *node, id replica.ID) bool {
	at := place{n.index, id}
	for d := range o.owed[at].Minus(o.shadow(n, id).clock).Minus(o.void).Dots() {
		if w := o.writes[d]; w.applied&^o.run.gone != 0 {
			return true
		}
	}
	delete(o.owed, at)
	return false
}

// lostSome notes that a replica has lost dots: it has to get back what all homes
// have now.
func (o *oracle) lostSome(n *node, id replica.ID, lost vclock.DotSet) {
	at := place{n.index, id}
	owed := o.owed[at]
	owed.Union(lost)
	for _, m := range o.run.nodes {
		if s := o.shadows[place{m.index, id}]; s != nil && !o.run.gone.has(m) {
			owed.Union(s.clock)
		}
	}
	o.owed[at] = owed
}

// regain notes that a replica has a write again, or for the first time.
func (o *oracle) regain(n *node, w *write) {
	w.applied.add(n)
	if w.lost.has(n) {
		w.lost.remove(n)
		w.regained.add(n)
		w.regainedAt = o.run.agenda.now
	}
}

// rebuilt takes a clock that claims dots which no log brought: the end of a
// rebuild (R13). Every key of the replica is looked at: the effect of each of the
// dots has to be there.
func (b *batch) rebuilt(id replica.ID, claimed vclock.DotSet) {
	o, n := b.oracle, b.shell.node
	s := o.shadow(n, id)
	fresh := claimed.Minus(s.clock).Minus(o.void)
	if !b.rebuilding[id] || fresh.IsEmpty() {
		return
	}
	o.run.hits.add(RebuildFinished)
	if n.phase != nil {
		n.rebuiltFor = n.phase.Progress().Tip
	}
	for d := range fresh.Dots() {
		w := o.writes[d]
		if w == nil {
			o.find("I4", "%s claims %v after its rebuild, which has not been minted", n.name, d)
			return
		}
		s.clock.Add(d)
		o.regain(n, w)
		o.unsynced[n.index] = append(o.unsynced[n.index], w)
		b.keys[w.key] = id
	}
	s.clock.Union(claimed.Intersect(o.void))
	b.ids[id] = true
}

// rebuilding reports whether a replica shows versions whose dots its clock does
// not have yet.
func (n *node) rebuilding(id replica.ID) bool {
	return n.up && n.shards[n.shardOf(id.Partition)].shard.Rebuilding(id)
}

func (r *run) convergeWithin() time.Duration {
	if r.hits[DiskLost]+r.hits[OldImageBack] > 0 {
		return convergeAfterLoss
	}
	if r.hits[RowRotted]+r.hits[RowVanished]+r.hits[TreeSpoilt] > 0 {
		return convergeAfterDamage
	}
	return convergeWithin
}

// pagePassed loses a node's power now and then in the middle of a rebuild.
func (r *run) pagePassed(n *node) {
	draw := r.draw(0x9A55, uint64(n.index))
	if r.calm || !draw.happens(r.cfg.Loss.AfterPage) || !r.occurs(IncidentAfterPage) {
		return
	}
	life := n.lives
	r.agenda.after(draw.with(1).about(50*time.Millisecond), func() {
		if n.lives == life && n.up && !r.calm {
			r.kill(n, float64(draw.with(2).below(3))/2, draw.with(3))
		}
	})
}
