package sim

import (
	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
)

// checkTrees compares the hash trees of the replicas whose objects a batch has
// changed with what is now stored.
func (o *oracle) checkTrees(s *shell, keys map[string]replica.ID) {
	checked := map[replica.ID]bool{}
	for _, key := range sortedKeys(keys) {
		if id := keys[key]; !checked[id] {
			checked[id] = true
			o.checkTree(s.node, id, s.shard.Tree(id))
		}
	}
}

// checkTree demands that a hash tree is that of the objects that are stored (R20).
func (o *oracle) checkTree(n *node, id replica.ID, tree *hashtree.Tree) {
	if _, known := n.spoilt[id]; known || n.rotten(id) {
		return
	}
	snapshot, err := n.store.Snapshot()
	if err != nil {
		o.find("S5", "%s: snapshot: %v", n.name, err)
		return
	}
	defer snapshot.Close()
	stored, err := replica.Recount(snapshot, id)
	if err != nil {
		o.find("I4", "%s: %v", n.name, err)
		return
	}
	if leaves := stored.Differing(tree); len(leaves) > 0 {
		o.find("R20", "%s: the hash tree of replica %v is not that of what it stores, in %d leaves", n.name, id, len(leaves))
	}
}
