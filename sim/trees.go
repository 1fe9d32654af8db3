package sim

import (
	"slices"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

// treeCount is the hash tree of what a replica stores, counted by the oracle: all of
// it once, and from then on the keys that batches change. Nothing else changes what
// is stored but a crash and damage, after which all is counted again.
type treeCount struct {
	tree *hashtree.Tree
	keys map[string]uint64
}

// checkTrees compares the hash trees of the replicas whose objects a batch has
// changed with what is now stored.
func (b *batch) checkTrees() {
	s := b.shell
	for _, id := range s.shard.Replicas() {
		if slices.ContainsFunc(b.found, func(f found) bool { return f.id == id }) {
			b.oracle.checkTree(s.node, id, s.shard.Tree(id), b.found)
		}
	}
}

// checkTree demands that a hash tree is that of the objects that are stored (R20),
// after those of these objects that are the replica's have changed, or all.
func (o *oracle) checkTree(n *node, id replica.ID, tree *hashtree.Tree, changed []found) {
	count := &o.shadow(n, id).tree
	if _, known := n.spoilt[id]; known || n.rotten(id) {
		*count = treeCount{}
		return
	}
	var err error
	if count.tree == nil || changed == nil {
		err = count.all(o, n, id)
	} else {
		err = count.change(o, id, changed)
	}
	if err != nil {
		o.find("I4", "%s: %v", n.name, err)
		return
	}
	if leaves := count.tree.Differing(tree); len(leaves) > 0 {
		o.find("R20", "%s: the hash tree of replica %v is not that of what it stores, in %d leaves", n.name, id, len(leaves))
	}
}

// all counts everything that is stored.
func (c *treeCount) all(o *oracle, n *node, id replica.ID) error {
	snapshot, err := n.store.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	lo, hi := storage.ObjectRange(id.Partition, id.N, bucket, "")
	var stored []found
	err = snapshot.Scan(lo, hi, func(row, _ []byte) bool {
		if _, _, _, key, err := storage.ParseObjectKey(row); err == nil {
			stored = append(stored, load(snapshot, id, string(key)))
		}
		return true
	})
	if err != nil {
		return err
	}
	*c = treeCount{tree: &hashtree.Tree{}, keys: map[string]uint64{}}
	return c.change(o, id, stored)
}

// change counts some keys anew.
func (c *treeCount) change(o *oracle, id replica.ID, changed []found) error {
	for i := range changed {
		f := &changed[i]
		if f.id != id {
			continue
		}
		if f.err != nil {
			return f.err
		}
		hash := o.history(f.key).hash
		now := hashOfObject(hash, &f.object)
		c.tree.Change(hash, now^c.keys[f.key])
		if now == 0 {
			delete(c.keys, f.key)
		} else {
			c.keys[f.key] = now
		}
	}
	return nil
}

// hashOfObject is what an object adds to the leaf of its key: the hashes of its live
// versions, all together.
func hashOfObject(key uint64, object *wire.Object) (h uint64) {
	for i := range object.Versions {
		v := &object.Versions[i]
		one := hashtree.Version{
			Key: key, Dot: v.Dot, ContentType: v.Value.ContentType, Expires: int64(v.Value.ExpiresAt), Value: v.Value.Value,
		}
		h ^= one.Hash()
	}
	return h
}
