package node

import (
	"context"
	"errors"
	"time"
)

// reclaimEvery is how often the store is asked to give back what deleted rows take.
const reclaimEvery = time.Minute

// reclaim has the store give back the space of deleted rows, until the node ends.
func (n *Node) reclaim() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-n.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	tick := time.NewTicker(reclaimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := n.store.Reclaim(ctx); err != nil && !errors.Is(err, context.Canceled) && n.store.Failed() == nil {
			n.log.Warn("the space of deleted rows could not be reclaimed; it is tried again", "error", err)
		}
	}
}
