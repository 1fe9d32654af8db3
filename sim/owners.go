package sim

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

// Whose owners count, at which moment (R23). Nodes go by different phases of different
// layouts for a while. The oracle knows all of them, and demands of an answer that it is
// right by one of those that were in use while it was asked for.

// era is the time in which a shard worked by a phase.
type era struct {
	node        *node
	phase       *ring.Phase
	from, until time.Duration
}

// owners are the homes of a partition by a phase.
type owners struct {
	// names are those of the tip, by slot, all those of base and tip that are not gone.
	names   []string
	all     nodes
	writers []nodes
	readers nodes
}

// still is when an era ends that has not ended.
const still = time.Duration(1<<63 - 1)

// eraKept is how long an era is remembered after its end: longer than an attempt takes.
const eraKept = 15 * time.Second

// began notes that a shard works by a phase from now on. Who was removed answers nothing.
func (r *run) began(s *shell, phase *ring.Phase) {
	r.ended(s)
	if phase.Removed() {
		return
	}
	s.era = &era{node: s.node, phase: phase, from: r.agenda.now, until: still}
	r.eras = append(r.eras, s.era)
	r.used[phase.Progress().Tip] = true
	for p := range r.cfg.Partitions { // they have been the homes, however short the era is
		r.owners(phase, uint32(p))
	}
	if tip := phase.Progress().Tip; tip.Compare(r.tip) > 0 {
		before := r.layout
		r.tip, r.layout = tip, phase.Tip()
		r.readmit(before)
	}
}

// ended notes that a shard works by its phase no more.
func (r *run) ended(s *shell) {
	if s.era != nil {
		s.era.until = r.agenda.now
		s.era = nil
	}
	r.eras = slices.DeleteFunc(r.eras, func(e *era) bool {
		over := e.until < r.agenda.now-eraKept
		if over {
			delete(r.ownersBy, e.phase)
		}
		return over
	})
}

// steady reports whether the layout never changes in this run.
func (r *run) steady() bool { return r.cfg.Layouts.Change == 0 }

// owners are the homes of a partition by a phase.
func (r *run) owners(phase *ring.Phase, partition uint32) *owners {
	all := r.ownersBy[phase]
	if all == nil {
		all = make([]*owners, r.cfg.Partitions)
		r.ownersBy[phase] = all
	}
	if all[partition] == nil {
		p, n := ring.Partition(partition), r.cfg.Replicas
		o := &owners{names: phase.Tip().Homes(p, n), readers: r.setOf(phase.Readers(p, n))}
		for _, name := range phase.Homes(p, n) {
			if !phase.Gone(name) {
				o.all.add(r.byName[name])
			}
		}
		for _, group := range phase.Writers(p, n) {
			o.writers = append(o.writers, r.setOf(group))
		}
		all[partition] = o
		if ever := &r.ever[partition]; !slices.Contains(*ever, o.all) {
			*ever = append(*ever, o.all)
		}
	}
	return all[partition]
}

func (r *run) setOf(names []string) (set nodes) {
	for _, name := range names {
		set.add(r.byName[name])
	}
	return set
}

// inUse calls visit with the homes of a partition by each phase that somebody has worked
// by since then, until it returns false.
func (r *run) inUse(partition uint32, since time.Duration, visit func(o *owners) bool) {
	for i := len(r.eras) - 1; i >= 0; i-- {
		if e := r.eras[i]; e.until >= since && !visit(r.owners(e.phase, partition)) {
			return
		}
	}
}

// atNode is inUse for the phases by which one node works now, which are several in the
// moment of a change.
func (r *run) atNode(n *node, partition uint32, visit func(o *owners) bool) {
	for i := len(r.eras) - 1; i >= 0; i-- {
		if e := r.eras[i]; e.node == n && e.until >= r.agenda.now && !visit(r.owners(e.phase, partition)) {
			return
		}
	}
}

// everyOwner are the homes of a partition by any phase that is in use now, but for those
// that have departed.
func (r *run) everyOwner(partition uint32) (all nodes) {
	r.inUse(partition, r.agenda.now, func(o *owners) bool { all |= o.all; return true })
	for _, n := range r.nodes { // those that are down
		if !n.up && n.phase != nil && !n.phase.Removed() {
			all |= r.owners(n.phase, partition).all
		}
	}
	return all &^ r.departed()
}

// departed are the nodes that are gone by the newest layout that is in use. A change that
// says so of a node may have to give way to a rival that counts on it, and says it of
// another one perhaps, which is one loss already: if an owner then loses something while
// this one is being restored, nobody is left who could give it back to either (R20), and
// too few have it to make anybody else complete (R25). That is over the fault budget,
// though the node came back when everybody thought that it never would.
func (r *run) departed() nodes {
	departed := r.gone
	for _, n := range r.nodes {
		if r.gone.has(n) && !r.wasRemoved(n, r.tip) {
			departed.remove(n)
		}
	}
	return departed
}

// resting reports whether all nodes have worked by one settled layout since then.
func (r *run) resting(since time.Duration) bool {
	if r.steady() {
		return true
	}
	for _, e := range r.eras {
		if e.until >= since && (e.phase.Progress().Tip != r.tip || !e.phase.Settled()) {
			return false
		}
	}
	return true
}

// fits reports whether a receipt that names these homes, and so many guests, is right by
// some phase that was in use since the request was sent (R23, R24).
func (o *oracle) fits(op *operation, since time.Duration, partition uint32, acked nodes, guests int) (ok bool) {
	o.run.inUse(partition, since, func(by *owners) bool {
		ok = true
		for _, group := range by.writers {
			q, err := op.quorum(group.len())
			homes := (acked & group).len()
			ok = ok && err == nil && homes+guests >= q.W && homes >= q.PW
		}
		return !ok
	})
	return ok
}

// noteGroups notes by which owners a write counts as kept, and which there were when it
// was acknowledged.
func (o *oracle) noteGroups(w *write, since time.Duration, partition uint32) {
	add := func(list *[]nodes, group nodes) {
		if !slices.Contains(*list, group) {
			*list = append(slices.Clip(*list), group)
		}
	}
	o.run.inUse(partition, since, func(by *owners) bool {
		w.readers |= by.readers
		for _, group := range by.writers {
			add(&w.groups, group)
			if (w.acked & group).len() > group.len()/2 {
				add(&w.strong, group)
			}
		}
		return true
	})
}

// readBy are the owners by which a read may have been answered.
func (o *oracle) readBy(partition uint32, since time.Duration, heard nodes) (groups []nodes) {
	o.run.inUse(partition, since, func(by *owners) bool {
		if heard&^by.readers == 0 && !slices.Contains(groups, by.readers) {
			groups = append(groups, by.readers)
		}
		return true
	})
	return groups
}

// mustKnow reports whether a read that these homes have answered has to know an
// acknowledged write, by whichever of those owners it was made: who acknowledged it knows
// it, and quorums meet.
func (o *oracle) mustKnow(w *write, heard nodes, groups []nodes, began time.Duration) bool {
	if heard&w.acked&^w.lostSince(began) != 0 {
		return true
	}
	for _, readers := range groups {
		if o.holders(w, readers, began).len()+heard.len() <= readers.len() {
			return false
		}
	}
	return len(groups) > 0
}

// lostSince are the nodes that lost a write, also those that got it back after then: one
// that gets it back while a read goes on may have answered without it.
func (w *write) lostSince(began time.Duration) nodes {
	if w.regainedAt >= began {
		return w.lost | w.regained
	}
	return w.lost
}

// holders are those of some owners who must show an acknowledged write when it is read. Of
// owners that there were already when it was acknowledged they are those who acknowledged
// it, also one that lost it since, because it does not count toward reads before it has
// caught up with so many others that one of them has the write (R17): as long as a
// majority acknowledged it, and few enough have lost it. Of owners that came later all
// have it, or they would not be read (R25).
func (o *oracle) holders(w *write, readers nodes, began time.Duration) nodes {
	lost := w.lostSince(began)
	spared := func(group nodes) bool { return (group & w.acked & (lost | o.run.gone)).len() < (group.len()+1)/2 }
	if !slices.Contains(w.groups, readers) {
		if slices.ContainsFunc(w.strong, spared) {
			return readers
		}
		return 0
	}
	holders := w.acked & readers
	if holders.len() <= readers.len()/2 || !spared(readers) {
		return holders &^ lost
	}
	if holders&lost != 0 {
		o.run.hits.add(LostAndCaughtUp)
	}
	return holders
}

// former has a shard give up the replicas that its node does not own any more and every
// owner has all of (R27).
func (s *shell) former() {
	n := s.node
	if n.phase == nil || len(n.replicas) == n.ownedNow() && s.shard.Stats().Retired == 0 {
		return
	}
	s.put(func(time.Time, *core.Shard) { s.dropping = true })
}

// drop gives up what may go, apart from all other effects.
func (s *shell) drop() {
	s.dropping = false
	n, o := s.node, s.node.run.oracle
	var erased []replica.ID
	for _, id := range s.shard.Droppable() {
		o.judgeDrop(n, id)
		if s.shard.Drop(id) {
			n.run.hits.add(ReplicaDropped)
			if n.run.back.has(n) {
				n.run.hits.add(ReturnedDropped)
			}
			n.run.trace.say(n.name, "drop", "%v", id)
			erased = append(erased, id)
		}
	}
	if len(erased) == 0 {
		return
	}
	s.perform()
	for _, id := range erased {
		o.dropped(n, id)
		if s.shard.Has(id) { // it begins anew, and knows what is void
			n.have(id)
			s.learnsVoid(id)
			n.run.trace.say(n.name, "anew", "%v", id)
		}
	}
}

// learnsVoid gives the shadow of a replica that begins anew what its node knows to be void.
func (s *shell) learnsVoid(id replica.ID) {
	n := s.node
	snapshot, err := n.store.Snapshot()
	if err != nil {
		n.run.oracle.find("S5", "%s: snapshot: %v", n.name, err)
		return
	}
	defer snapshot.Close()
	n.run.oracle.gained(s, id, snapshot)
	n.run.oracle.began(n, id, s.shard.Incarnation(id))
}

// standsStill reports whether the node was removed: it does nothing any more, and keeps
// what it was at.
func (n *node) standsStill() bool { return n.phase != nil && n.phase.Removed() }

// ownedNow is how many replicas the phase gives a node.
func (n *node) ownedNow() int {
	if n.ownedBy != n.phase {
		n.ownedBy, n.ownedCount = n.phase, len(n.phase.Owned(n.name, n.run.cfg.Replicas))
	}
	return n.ownedCount
}

// judgeDrop demands that what goes is at every owner, for certain (R27).
func (o *oracle) judgeDrop(n *node, id replica.ID) {
	r := o.run
	if n.phase.Removed() {
		o.find("R27", "%s drops %v, and was removed: nobody has asked it to", n.name, id)
	}
	homes := r.owners(n.phase, id.Partition).all
	for d := range o.shadow(n, id).clock.Minus(o.void).Dots() {
		w := o.writes[d]
		if missing := homes &^ (w.durable | w.forgotten); missing != 0 && w.applied.has(n) {
			o.find("R27", "%s drops %v of %s, which is not durable at %s", n.name, d, w.key, r.someNode(missing))
			return
		}
	}
}

// dropped notes that a node holds nothing of a replica any more.
func (o *oracle) dropped(n *node, id replica.ID) {
	for d := range o.shadow(n, id).clock.Minus(o.void).Dots() {
		w := o.writes[d]
		if w == nil || !w.applied.has(n) {
			continue
		}
		w.applied.remove(n)
		w.givenUp.add(n)
		if w.durable.has(n) {
			w.durable.remove(n)
			w.forgotten.add(n)
		}
	}
	for _, w := range o.voided(o.shadow(n, id).clock.Intersect(o.void)) {
		if w.applied.has(n) {
			w.lost.add(n) // it has acknowledged it too, perhaps, and will not show it any more
		}
		w.applied.remove(n)
		w.durable.remove(n)
	}
	o.durable[n.index] = vclock.DotSet{}
	at := place{n.index, id}
	delete(o.shadows, at)
	delete(o.owed, at)
	delete(n.spoilt, id)
	n.replicas = slices.DeleteFunc(n.replicas, func(other replica.ID) bool { return other == id })
}

// recollect finds the replicas that a disk holds, whoever owns them by now.
func (n *node) recollect() {
	if n.run.steady() {
		return
	}
	snapshot, err := n.store.Snapshot()
	if err != nil {
		n.run.oracle.find("S5", "%s: %v", n.name, err)
		return
	}
	defer snapshot.Close()
	stored, err := replica.Stored(snapshot)
	if err != nil {
		n.run.oracle.find("S6", "%s: %v", n.name, err)
	}
	for _, id := range stored {
		n.have(id)
	}
}
