package sim

import (
	"slices"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
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
func (o *oracle) checkTrees(s *shell, keys map[string]replica.ID) {
	changed := map[replica.ID][]string{}
	for key, id := range keys {
		changed[id] = append(changed[id], key)
	}
	for _, id := range s.shard.Replicas() {
		if changed[id] != nil {
			o.checkTree(s.node, id, s.shard.Tree(id), changed[id])
		}
	}
}

// checkTree demands that a hash tree is that of the objects that are stored (R20),
// after these keys have changed, or all.
func (o *oracle) checkTree(n *node, id replica.ID, tree *hashtree.Tree, changed []string) {
	count := &o.shadow(n, id).tree
	if _, known := n.spoilt[id]; known || n.rotten(id) {
		*count = treeCount{}
		return
	}
	var err error
	if count.tree == nil || changed == nil {
		err = count.all(n, id)
	} else {
		err = count.change(n.store, id, changed)
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
func (c *treeCount) all(n *node, id replica.ID) error {
	snapshot, err := n.store.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	lo, hi := storage.ObjectRange(id.Partition, id.N, bucket, "")
	var keys []string
	err = snapshot.Scan(lo, hi, func(row, _ []byte) bool {
		if _, _, _, key, err := storage.ParseObjectKey(row); err == nil {
			keys = append(keys, string(key))
		}
		return true
	})
	if err != nil {
		return err
	}
	*c = treeCount{tree: &hashtree.Tree{}, keys: map[string]uint64{}}
	return c.change(snapshot, id, keys)
}

// change counts some keys anew.
func (c *treeCount) change(store replica.Reader, id replica.ID, keys []string) error {
	slices.Sort(keys)
	for _, key := range keys {
		one, err := replica.Recount(justOne{Reader: store, row: storage.ObjectKey(nil, id.Partition, id.N, bucket, key)}, id)
		if err != nil {
			return err
		}
		hash := ring.Hash(bucket, key)
		now := one.Leaf(hashtree.LeafOf(hash))
		c.tree.Change(hash, now^c.keys[key])
		if now == 0 {
			delete(c.keys, key)
		} else {
			c.keys[key] = now
		}
	}
	return nil
}

// justOne is a snapshot in which there is one object, of what a store has now.
type justOne struct {
	replica.Reader
	row []byte
}

func (justOne) Close() error { return nil }

func (s justOne) Scan(_, _ []byte, visit func(row, value []byte) bool) error {
	value, err := s.Get(s.row)
	if err == nil {
		visit(s.row, value)
	}
	if err == storage.ErrNotFound {
		return nil
	}
	return err
}
