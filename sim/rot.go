package sim

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
)

// spoilt is what the disk of a node did to a replica. The node is told that it
// lost something, at each start, until it has been restored: a row that is gone
// without anybody knowing is one that was deleted, to whoever reads it.
type spoilt struct {
	// vanished: a row is gone. Tree: a part of the saved hash tree is wrong.
	vanished, tree bool
}

// sound reports whether the disks of all homes of a key have been kind to its
// partition, and every write of the key that somebody has is safe at all of them:
// more than one loss at a time is over the fault budget.
func (r *run) sound(key string) bool {
	p := r.layout.PartitionOf(bucket, key)
	id := replica.ID{Partition: uint32(p), N: uint8(r.cfg.Replicas)}
	if !r.healthy(id) {
		return false
	}
	return r.settled(key)
}

// settled reports whether all homes of a key hold every write of it that somebody has.
func (r *run) settled(key string) bool {
	h := r.oracle.history(key)
	homes := r.everyOwner(h.id.Partition)
	for _, w := range h.writes {
		if w.applied != 0 && homes&^(w.durable&w.applied) != 0 {
			return false
		}
	}
	return true
}

// settledNear is settled for all keys of a leaf of the hash tree: whose part of the
// tree is wrong, all that was written there may be lost.
func (r *run) settledNear(id replica.ID, leaf int) bool {
	for _, key := range r.allKeys() {
		h := r.oracle.history(key)
		if h.id == id && hashtree.LeafOf(h.hash) == leaf && !r.settled(key) {
			return false
		}
	}
	return true
}

// healthy reports whether no home of a partition has lost anything that it has not
// got back.
func (r *run) healthy(id replica.ID) bool {
	homes := r.everyOwner(id.Partition)
	for _, n := range r.nodes {
		if !homes.has(n) {
			continue
		}
		if n.isSpoilt(id) || r.oracle.owes(n, id) || n.rebuilding(id) {
			return false
		}
	}
	return true
}

// isSpoilt reports whether something of a replica is lost, or cannot be read.
func (n *node) isSpoilt(id replica.ID) bool {
	_, known := n.spoilt[id]
	damage := n.damage(id)
	return known || !damage.IsEmpty() || n.rotten(id)
}

// damage are the leaves that a replica does not speak for: as it knows, or, while
// it is down, as its disk says.
func (n *node) damage(id replica.ID) hashtree.Set {
	if n.shards != nil {
		return n.shards[n.shardOf(id.Partition)].shard.Damage(id)
	}
	saved, err := n.store.Get(storage.DamageKey(nil, id.Partition, id.N))
	if err != nil {
		return hashtree.Set{}
	}
	set, err := replica.DecodeDamage(saved)
	if err != nil {
		n.run.oracle.find("rows", "%s: %v", n.name, err)
	}
	return set
}

// rotten reports whether some row of a replica cannot be read.
func (n *node) rotten(id replica.ID) bool {
	for row := range n.rot {
		_, p, m, _ := storage.ParseReplica([]byte(row))
		if p != id.Partition || m != id.N {
			continue
		}
		if _, err := n.store.Get([]byte(row)); err != nil && err != storage.ErrNotFound {
			return true
		}
		delete(n.rot, row)
	}
	return false
}

// victim is a key that may lose a copy, and the node that loses it.
func (r *run) victim(draw chance) (n *node, id replica.ID, row []byte) {
	oldest := max(r.first-r.cfg.Keys, 0) // some that are being deleted
	key := keyName(oldest + draw.with(1).below(r.first+r.cfg.Keys-oldest))
	homes := r.homes(key)
	n = r.byName[homes[draw.with(2).below(len(homes))]]
	id = replica.ID{Partition: uint32(r.layout.PartitionOf(bucket, key)), N: uint8(r.cfg.Replicas)}
	row = storage.ObjectKey(nil, id.Partition, id.N, bucket, key)
	if _, err := n.store.Get(row); err != nil || !r.sound(key) {
		return nil, id, nil
	}
	r.oracle.forget(n, id, key)
	return n, id, row
}

// rotOne makes a row unreadable.
func (r *run) rotOne(draw chance) {
	n, _, row := r.victim(draw)
	if n == nil {
		return
	}
	r.trace.say(n.name, "rot", "%q", row)
	r.hits.add(RowRotted)
	r.broke(FaultRot)
	n.store.Rot(row)
	n.rot[string(row)] = true
}

// vanish takes a row from the disk of a node that is down, or spoils what is saved
// of its hash tree.
func (r *run) vanish(n *node, draw chance) {
	if !draw.with(1).happens(r.cfg.Fault.Vanish) || r.calm || !r.occurs(IncidentVanish) {
		return
	}
	var rows storage.Batch
	for i := range uint64(8) {
		if v, id, row := r.victim(draw.with(2, i)); v == n {
			r.hits.add(RowVanished)
			n.spoilt[id] = spoilt{vanished: true}
			rows.Delete(row)
			break
		}
	}
	for _, id := range n.owned() {
		of := draw.with(3, uint64(id.Partition))
		if !of.happens(0.5) || !r.healthy(id) {
			continue
		}
		row, wrong, how := r.spoilTree(n, id, of.with(1))
		if row == nil {
			continue
		}
		r.hits.add(TreeSpoilt)
		r.hits.add(how)
		n.spoilt[id] = spoilt{tree: true}
		rows.Set(row, wrong)
	}
	if rows.Len() == 0 {
		return
	}
	r.broke(FaultVanish)
	r.trace.say(n.name, "vanish", "%d rows", rows.Len())
	if err := n.store.Apply(&rows); err != nil {
		r.oracle.find("S1", "%s: apply: %v", n.name, err)
	}
	if err := n.store.Sync(); err != nil {
		r.oracle.find("S4", "%s: sync: %v", n.name, err)
	}
}

// spoilTree finds a part of a saved hash tree that may be wrong, and what it is then:
// with a bit that is another, that of a tree of nothing, or what was saved once. The
// row is nil if there is none.
func (r *run) spoilTree(n *node, id replica.ID, draw chance) (row, wrong []byte, how Branch) {
	first, kind := draw.below(hashtree.Parts), draw.with(1).below(3)
	how = []Branch{TreeFlipped, TreeOld, TreeOld}[kind]
	for i := range hashtree.Parts {
		part := (first + i) % hashtree.Parts
		row := storage.HashTreeKey(nil, id.Partition, id.N, uint32(part))
		saved, err := n.store.Get(row)
		if err != nil {
			continue
		}
		switch kind {
		case 0:
			wrong = bytes.Clone(saved)
			wrong[draw.with(2).below(len(wrong))] ^= 1 << draw.with(3).below(8)
		case 1:
			wrong = make([]byte, len(saved))
		default:
			wrong = n.oldParts[string(row)]
		}
		if wrong != nil && r.settledIn(id, part, saved, wrong) {
			return row, wrong, how
		}
	}
	return nil, nil, how
}

// keepParts keeps a copy of what is saved of the hash trees, now and then.
func (n *node) keepParts(draw chance) {
	if n.oldParts != nil && draw.happens(0.7) {
		return
	}
	n.oldParts = map[string][]byte{}
	for _, id := range n.owned() {
		for part := range hashtree.Parts {
			row := storage.HashTreeKey(nil, id.Partition, id.N, uint32(part))
			if saved, err := n.store.Get(row); err == nil {
				n.oldParts[string(row)] = bytes.Clone(saved)
			}
		}
	}
}

// settledIn is settledNear for every leaf in which a part differs, of which there is
// one at least.
func (r *run) settledIn(id replica.ID, part int, is, was []byte) bool {
	differs := false
	for at := 0; at < len(is); at += 8 {
		if bytes.Equal(is[at:at+8], was[at:at+8]) {
			continue
		}
		differs = true
		if !r.settledNear(id, (part*hashtree.PartBytes+at)/8) {
			return false
		}
	}
	return differs
}

// suspect tells a shard what the disk has lost of replicas that begin.
func (s *shell) suspect(began []*replica.Replica) {
	for _, r := range began {
		if _, known := s.node.spoilt[r.ID()]; known {
			s.shard.Suspect(r.ID())
			s.plan()
		}
	}
}

// auditOne asks a node for an audit.
func (r *run) auditOne(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if owned := n.owned(); n.up && len(owned) > 0 {
		id := owned[draw.with(2).below(len(owned))]
		n.shards[n.shardOf(id.Partition)].put(func(_ time.Time, s *core.Shard) { s.Audit(id) })
	}
}

// speaks reports whether a replica stands for a key at all: what it has lost is
// not judged until it has been restored.
func (n *node) speaks(id replica.ID, key string) bool {
	if len(n.rot) > 0 {
		row := storage.ObjectKey(nil, id.Partition, id.N, bucket, key)
		if _, err := n.store.Get(row); err != nil && err != storage.ErrNotFound {
			return false
		}
	}
	if _, known := n.spoilt[id]; known {
		return false
	}
	damage := n.damage(id)
	return !damage.Has(hashtree.LeafOf(n.run.oracle.history(key).hash))
}

// mended notes that a replica that was spoilt has been restored.
func (n *node) mended(s *shell) {
	if len(n.spoilt) == 0 {
		return
	}
	for _, id := range n.owned() {
		if _, known := n.spoilt[id]; known && n.shardOf(id.Partition) == s.number && !s.shard.IsDamaged(id) {
			delete(n.spoilt, id)
		}
	}
}

// forget notes that a replica has lost what it knew of a key beside its clock.
func (o *oracle) forget(n *node, id replica.ID, key string) {
	delete(o.shadow(n, id).keys, key)
}

// auditEverything has every replica audited, and waits until all that disks have
// spoilt is restored. What nobody has read nobody has missed until then.
func (r *run) auditEverything() {
	spoilt := func() bool { return r.spoiltReplica() != "" }
	if !spoilt() {
		return
	}
	for _, n := range r.nodes {
		n.auditAll()
	}
	end := r.agenda.now + settleMost
	r.until(func() bool { return !spoilt() || r.agenda.now > end })
	if spoilt() { // what is restored counts once it is durable, and nobody need wait for that
		for _, n := range r.nodes {
			if n.up {
				n.disk.begin()
			}
		}
		r.pass(time.Second)
	}
	if r.oracle.finding == nil && spoilt() {
		r.oracle.find("R20", "%v after everything ended something is not restored: %s", settleMost, r.spoiltReplica())
	}
}

func (n *node) auditAll() {
	if n.shards == nil {
		return // it had been stopping, and starts soon
	}
	for _, id := range n.owned() {
		n.shards[n.shardOf(id.Partition)].put(func(_ time.Time, s *core.Shard) { s.Audit(id) })
	}
}

// spoiltReplica describes a replica that has not been restored, "" if there is
// none. Who was told that it has no place any more gives and takes nothing, and so is
// not given back what it has lost either (R27).
func (r *run) spoiltReplica() string {
	for _, n := range r.nodes {
		if n.isOut() {
			continue
		}
		for _, id := range n.owned() {
			if n.isSpoilt(id) {
				damage := n.damage(id)
				text := fmt.Sprintf("%s %v %+v, %d leaves", n.name, id, n.spoilt[id], damage.Len())
				if n.shards != nil {
					text += ": " + n.shards[n.shardOf(id.Partition)].shard.Audits()[id].Problem
				}
				return text
			}
		}
	}
	return ""
}

// scanAround is a scan that leaves out what cannot be read.
func scanAround(store storage.Snapshot, lo, hi []byte, visit func(row, value []byte) bool) error {
	for {
		err := store.Scan(lo, hi, visit)
		var damage *storage.CorruptError
		if !errors.As(err, &damage) {
			return err
		}
		lo = damage.Resume
	}
}
