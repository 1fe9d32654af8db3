package node

import (
	"context"
	"sync"
	"time"

	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/ring"
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

// completer is a shard that knows whether it has all that was acknowledged before the
// layout by which it works (R25).
type completer interface {
	Complete() (tip ring.Version, complete bool)
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

// checkComplete asks all shards whether they are complete, while owners change.
func (n *Node) checkComplete() {
	phase := n.control.core.Phase()
	if phase == nil || phase.Progress().Step != ring.Both {
		return
	}
	c := &census{left: len(n.workers)}
	for _, w := range n.workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) {
			shard, able := any(s).(completer)
			if !able {
				return
			}
			if tip, complete := shard.Complete(); c.answer(tip, complete) {
				select {
				case n.control.events <- func(now time.Time) { n.control.core.Complete(now, tip) }:
				default: // the next tick asks again
				}
			}
		})
	}
}
