package node

import (
	"errors"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/storage"
)

// Cluster is what this node knows of its cluster.
func (n *Node) Cluster() kindred.Cluster {
	described := n.control.described.Load()
	if described == nil {
		return kindred.Cluster{Node: n.cfg.Name}
	}
	info := *described
	info.Members = append([]kindred.Member(nil), info.Members...)
	for i := range info.Members {
		if info.Members[i].Name == n.cfg.Name {
			info.Members[i].GossipAddr = n.addrs.gossip
		}
	}
	if full := n.full.Load(); full != nil {
		info.Problems = append(slices.Clone(info.Problems), full.Message)
	}
	if untrusted := n.untrusted.Load(); untrusted != nil {
		info.Problems = append(slices.Clone(info.Problems), *untrusted)
	}
	if faulty := n.faultProblem(); faulty != "" {
		info.Problems = append(slices.Clone(info.Problems), faulty)
	}
	if stopped := n.recorder.trouble(); stopped != "" {
		info.Problems = append(slices.Clone(info.Problems), stopped)
	}
	return info
}

// Local is what this node knows of itself.
func (n *Node) Local() kindred.Local {
	info := kindred.Local{
		Node: n.cfg.Name, Version: n.cfg.Version, Started: n.started, Shards: len(n.workers),
	}
	store := n.store.Metrics()
	info.DiskBytes, info.DiskFreeBytes = store.DiskBytes, store.FreeBytes
	layout := n.layout.Load()
	if layout != nil {
		info.Partitions = len(layout.Owned(n.cfg.Name, layout.Replicas()))
	}
	info.Reason = n.notReady()
	info.Ready = info.Reason == ""
	return info
}

// checkSiblings warns of keys that gather siblings because their writers do not
// read them. It names how many writes there were, not each of them.
func (n *Node) checkSiblings() {
	count := n.shardStats().ManySiblings
	if count > n.manySiblings {
		n.log.Warn("writes left many siblings on their keys: read them and put with the context of the read; `kvcli scan B --conflicts-only` lists them",
			"writes", count-n.manySiblings, "more_than", kindred.SiblingsWarn, "refused_from", kindred.SiblingsMax)
	}
	n.manySiblings = count
}

// checkSpace makes the shards refuse writes while the disk is too full for new
// work, and take them again afterwards.
func (n *Node) checkSpace() {
	var full *kindred.Error
	var why *storage.FullError
	if err := n.store.Room(); errors.As(err, &why) {
		full = &kindred.Error{
			Code: kindred.CodeDiskFull, Outcome: kindred.NotApplied, Limit: int64(why.NeedBytes),
			Message: n.cfg.Name + " takes no writes: " + why.Error(),
		}
	}
	if was := n.full.Swap(full); (was == nil) == (full == nil) {
		return
	}
	if full != nil {
		n.log.Error("the disk is too full for writes; reads go on", "error", full.Message)
		n.recorder.stop("the disk is too full for writes")
	} else {
		n.log.Info("the disk has room again; writes are taken")
	}
	for _, w := range n.workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) { s.SetFull(full) })
	}
}
