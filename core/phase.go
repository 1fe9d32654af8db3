package core

import (
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
)

// Complete reports whether this shard has all that was acknowledged before the tip that
// it works by, of every partition that its node owns there (R25). Once all shards of a
// node say so of one tip, the node may announce it.
func (s *Shard) Complete() (tip ring.Version, complete bool) {
	if s.phase == nil {
		return ring.Version{}, false
	}
	return s.phase.Progress().Tip, s.phase.Settled()
}

// Droppable lists the replicas of partitions that this node does not own any more and
// of which every owner has all (R27), in order.
func (s *Shard) Droppable() []replica.ID { return nil }

// Drop gives up a replica that is droppable, and refuses the partition from then on.
// It reports false, and does nothing, if the replica is not droppable now. Otherwise
// the shell deletes the rows of the replica: not before it has carried out the effects
// that there are, and before it gives the replica to SetPhase again.
func (s *Shard) Drop(id replica.ID) bool { return false }
