package node

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
)

// statusPatience is how long a shard may take to say how its replicas are. One
// that takes longer leaves the whole unknown (I12).
const statusPatience = 2 * time.Second

// shardStatus is what one shard says of its replicas.
type shardStatus struct {
	replicas []kindred.ReplicaStatus
	hints    kindred.HintStatus
	repairs  kindred.Repairs
	exposure core.Exposure
}

// Replication is what this node knows of its replicas, now.
func (n *Node) Replication() kindred.Replication {
	r, _ := n.replication()
	return r
}

// replication adds how few nodes hold what this one holds.
func (n *Node) replication() (r kindred.Replication, exposure core.Exposure) {
	r.At = time.Now().UTC()
	patience := time.NewTimer(statusPatience)
	defer patience.Stop()
	answers, asked := n.askStatus()
	for range asked {
		select {
		case s := <-answers:
			add(&r, s)
			exposure.Add(s.exposure)
		case <-patience.C:
			r.Unknown = fmt.Sprintf("a shard of %s has not said how its replicas are within %v", n.cfg.Name, statusPatience)
			return r, exposure
		case <-n.quit:
			r.Unknown = n.cfg.Name + " is shutting down"
			return r, exposure
		}
	}
	switch {
	case asked < len(n.workers):
		r.Unknown = n.cfg.Name + " is shutting down"
	case n.layout.Load() == nil:
		r.Unknown = n.cfg.Name + " has no layout yet, so it does not know its replicas"
	case int(n.recovered.Load()) < len(n.workers):
		r.Unknown = n.cfg.Name + " is reading the clocks of its partitions"
	}
	slices.SortFunc(r.Replicas, func(a, b kindred.ReplicaStatus) int {
		return cmp.Or(a.Partition-b.Partition, a.N-b.N)
	})
	slices.SortFunc(r.Hints.Debts, func(a, b kindred.HintDebt) int { return cmp.Compare(a.Target, b.Target) })
	return r, exposure
}

// askStatus puts the question to all shards and returns how many will answer.
func (n *Node) askStatus() (answers chan shardStatus, asked int) {
	answers = make(chan shardStatus, len(n.workers))
	for _, w := range n.workers {
		if w.inbox.put(func(now time.Time, s *recording.Shard) {
			answers <- shardStatus{s.Status(now), s.HintStatus(), s.Repairs(), s.Exposure()}
		}) {
			asked++
		}
	}
	return answers, asked
}

func add(r *kindred.Replication, s shardStatus) {
	r.Replicas = append(r.Replicas, s.replicas...)
	r.Hints.Add(s.hints)
	r.Repairs.Add(s.repairs)
}

// Repair asks for an exchange and an audit of this node's replicas at once, and
// returns how many they are.
func (n *Node) Repair(partition int) (int, *kindred.Error) {
	layout := n.layout.Load()
	switch {
	case layout == nil:
		return 0, core.NoLayout(n.cfg.Name)
	case partition >= layout.Partitions():
		bad := kindred.Invalid("partition", "there is no partition %d: the cluster has %d, from 0", partition, layout.Partitions())
		bad.Limit = int64(layout.Partitions() - 1)
		return 0, bad
	}
	counts := make(chan int, len(n.workers))
	total, asked := 0, 0
	for _, w := range n.workers {
		if w.inbox.put(func(now time.Time, s *recording.Shard) { counts <- s.Repair(now, partition) }) {
			asked++
		}
	}
	for range asked {
		select {
		case count := <-counts:
			total += count
		case <-n.quit:
			return 0, stopping(kindred.OpRepair)
		}
	}
	return total, nil
}
