package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

// Holdings says what this node holds of some write events. Without any it lists those
// that it holds and does not know to be on the disk of every other home, hints
// included. The answer comes when all that it tells of is on the disk here.
func (n *Node) Holdings(of []kindred.Holding) (kindred.Holdings, *kindred.Error) {
	asked, err := parseHoldings(of, n.layout.Load())
	if err != nil {
		return kindred.Holdings{}, err
	}
	h := kindred.Holdings{At: time.Now().UTC()}
	patience := time.NewTimer(statusPatience)
	defer patience.Stop()
	answers, count := n.askHoldings(asked, len(of) == 0)
	bytes := 0
	for range count {
		select {
		case some := <-answers:
			h.Holdings = append(h.Holdings, some...)
			for i := range some {
				bytes += len(some[i].Dots)
			}
		case <-patience.C:
			h.Unknown = fmt.Sprintf("a shard of %s has not said what it holds within %v", n.cfg.Name, statusPatience)
			return h, nil
		case <-n.quit:
			h.Unknown = n.cfg.Name + " is shutting down"
			return h, nil
		}
	}
	h.Unknown = n.holdingsUnknown(count, bytes)
	if bytes > kindred.HoldingsBytesMax {
		h.Holdings = nil
	}
	return h, nil
}

// holdingsUnknown says why the answers of so many shards are not the whole truth.
func (n *Node) holdingsUnknown(count, bytes int) string {
	switch {
	case count < len(n.workers):
		return n.cfg.Name + " is shutting down"
	case n.layout.Load() == nil:
		return n.cfg.Name + " has no layout yet, so it does not know what it holds"
	case int(n.recovered.Load()) < len(n.workers):
		return n.cfg.Name + " is reading the clocks of its partitions"
	case bytes > kindred.HoldingsBytesMax:
		return fmt.Sprintf("what %s holds beyond the others takes %d bytes to tell, and %d is the limit: see that the others can be reached, and ask again when it is less",
			n.cfg.Name, bytes, kindred.HoldingsBytesMax)
	}
	return ""
}

// askHoldings puts the question to all shards and returns how many will answer.
func (n *Node) askHoldings(asked []core.Holding, unshared bool) (answers chan []kindred.Holding, count int) {
	answers = make(chan []kindred.Holding, len(n.workers))
	for i, w := range n.workers {
		mine := slices.DeleteFunc(slices.Clone(asked), func(h core.Holding) bool { return int(h.Replica.Partition)%len(n.workers) != i })
		if w.inbox.put(func(_ time.Time, s *recording.Shard) {
			var found []core.Holding
			if unshared {
				found = s.Unshared()
			} else {
				found = s.Holds(mine)
			}
			list := formatHoldings(found)
			// By the next event the rows of this round are applied.
			w.inbox.put(func(time.Time, *recording.Shard) { w.commit.after(func() { answers <- list }) })
		}) {
			count++
		}
	}
	return answers, count
}

func formatHoldings(found []core.Holding) []kindred.Holding {
	list := make([]kindred.Holding, 0, len(found))
	for _, h := range found {
		list = append(list, kindred.Holding{
			Partition: int(h.Replica.Partition), N: int(h.Replica.N), Guest: h.Guest, Dots: h.Dots.AppendTo(nil), Since: h.Since,
		})
	}
	return list
}

func parseHoldings(of []kindred.Holding, layout *ring.Layout) ([]core.Holding, *kindred.Error) {
	asked := make([]core.Holding, 0, len(of))
	bytes := 0
	for i := range of {
		h := &of[i]
		if bytes += len(h.Dots); bytes > kindred.HoldingsBytesMax {
			return nil, kindred.TooLarge("dots", kindred.HoldingsBytesMax, bytes, "ask for fewer partitions at once")
		}
		dots, rest, err := vclock.DecodeDotSet(h.Dots)
		switch {
		case err != nil || len(rest) > 0:
			return nil, kindred.Invalid("dots", "the write events of partition %d are malformed: they are a set of dots as the node that was asked first gave it", h.Partition)
		case layout != nil && (h.Partition < 0 || h.Partition >= layout.Partitions()):
			return nil, kindred.Invalid("partition", "there is no partition %d: the cluster has %d, from 0", h.Partition, layout.Partitions())
		case h.N < 1 || h.N > kindred.ReplicasMax:
			return nil, kindred.Invalid("n", "no partition has %d replicas: use 1 to %d", h.N, kindred.ReplicasMax)
		}
		asked = append(asked, core.Holding{Replica: replica.ID{Partition: uint32(h.Partition), N: uint8(h.N)}, Dots: dots})
	}
	return asked, nil
}
