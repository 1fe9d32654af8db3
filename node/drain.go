package node

import (
	"context"
	"time"

	"github.com/kindredkv/kindred/recording"
)

// stopSoonMax is how long a stop that a client ordered waits for requests in progress.
const stopSoonMax = 30 * time.Second

// Drain makes the node refuse the requests of clients, and say that it is not ready.
// As a replica and as a guest it goes on, so that what it holds reaches the others:
// its hints are delivered, and other homes fetch what they lack. Who waits for a stage
// is told the one that is reached.
func (n *Node) Drain() {
	if n.draining.Swap(true) {
		return
	}
	n.log.Info("drained: requests of clients are refused until this is undone, or the next start")
	for _, w := range n.workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) { s.Drain() })
	}
}

// Resume makes a drained node take requests again. One that is stopping stays as it is.
func (n *Node) Resume() {
	if n.ordered.Load() || !n.draining.Swap(false) {
		return
	}
	n.log.Info("no longer drained: requests of clients are taken again")
	for _, w := range n.workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) { s.Resume() })
	}
}

// StopSoon begins a [Node.Stop] and returns at once.
func (n *Node) StopSoon() {
	if n.ordered.Swap(true) {
		return
	}
	n.log.Info("a client has told the node to stop")
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopSoonMax)
		defer cancel()
		_ = n.Stop(ctx)
	}()
}

// Ordered reports whether a client has told the node to stop.
func (n *Node) Ordered() bool { return n.ordered.Load() }
