package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
)

// do lets the control core do something, and returns when its effects were carried out:
// what was saved is durable. What is done when ctx ends early is not undone.
func (c *control) do(ctx context.Context, event func(now time.Time) error) error {
	var err error
	done := make(chan struct{})
	c.put(func(now time.Time) {
		err = event(now)
		c.after = append(c.after, func() { close(done) })
	})
	select {
	case <-done:
		if err == nil {
			err = c.node.Err() // nothing was saved if it has failed
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return errStopped
	}
}

// Differ tells the control core that a shard has found a peer at another layout or step.
// It never waits: a shard that finds it again says so again.
func (n *Node) Differ(peer string) {
	c := n.control
	select {
	case c.events <- func(now time.Time) { c.core.Differ(now, peer) }:
	default:
	}
}

// census asks all shards whether they are complete for one tip.
type census struct {
	mu   sync.Mutex
	left int
	tip  ring.Version
	all  bool
}

// answer notes what one shard says, and reports whether it was the last one and all are
// complete.
func (c *census) answer(tip ring.Version, complete bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left--
	if c.tip == (ring.Version{}) {
		c.tip, c.all = tip, true
	}
	c.all = c.all && complete && c.tip == tip
	return c.left == 0 && c.all
}

// former are the partitions that an earlier life of the node has owned, and that it has
// not given up yet: their owners may still lack something that is here (R27).
func (n *Node) former(store storage.Snapshot, owned []ring.Partition, copies uint8) (former []ring.Partition, err error) {
	stored, err := replica.Stored(store)
	for _, id := range stored {
		if p := ring.Partition(id.Partition); id.N == copies && !slices.Contains(owned, p) {
			former = append(former, p)
		}
	}
	n.spoilt.own(former, copies)
	return former, err
}

// givenAtOnce bounds the replicas that a shard gives up in a second: each leaves ranges
// of deleted rows behind, which the engine has to clear away.
const givenAtOnce = 4

// giveUp lets the shards give up what this node does not own any more, when every owner
// has what it has.
func (n *Node) giveUp() {
	phase := n.control.core.Phase()
	if phase == nil {
		return
	}
	n.tellTransfers(time.Now(), phase.Progress().Tip)
	for _, w := range n.workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) {
			given := s.Droppable()
			given = given[:min(len(given), givenAtOnce)]
			for _, id := range given {
				if s.Drop(id) {
					n.log.Info("gave up a partition that others own; every owner has all of it", "partition", id.Partition)
				}
			}
		})
	}
}

// checkComplete asks all shards whether they are complete, while owners change.
func (n *Node) checkComplete() {
	phase := n.control.core.Phase()
	if phase == nil || phase.Progress().Step != ring.Both {
		return
	}
	c := &census{left: len(n.workers)}
	for _, w := range n.workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) {
			if tip, complete := s.Complete(); c.answer(tip, complete) {
				select {
				case n.control.events <- func(now time.Time) { n.completed(now, tip) }:
				default: // the next tick asks again
				}
			}
		})
	}
}

// checkChange notes since when the layout changes: at the latest since the start of the
// node, if it changed before. A node that was removed has no part in that.
func (n *Node) checkChange() {
	progress := n.control.core.Changes().Progress
	if progress.Settled || progress.Tip == "" || n.removed.Load() {
		n.unsettled.Store(nil)
		return
	}
	since := progress.Since
	if since.Before(n.started) {
		since = n.started
	}
	n.unsettled.Store(&since)
}

// changeAge is for how long the layout has been changing, as this node knows.
func (n *Node) changeAge() time.Duration {
	since := n.unsettled.Load()
	if since == nil {
		return 0
	}
	return time.Since(*since)
}

// completed announces that this node has all that it is to own, and what it took in.
func (n *Node) completed(now time.Time, tip ring.Version) {
	n.control.core.Complete(now, tip)
	n.tellTransfers(now, tip)
}
