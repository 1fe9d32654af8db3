package node

import (
	"time"

	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/transport"
	"github.com/kindredkv/kindred/wire"
)

// receive takes a frame from a peer: it decodes the messages, sorts them by
// shard and gives each shard its own in one event. It runs in the link's
// goroutine, which waits here while a shard's inbox is full.
func (n *Node) receive(from string, batch transport.Batch) {
	byShard := make([][]wire.Message, len(n.workers))
	sizes := make([]int, len(n.workers))
	for raw := range batch.All() {
		m, err := wire.Decode(raw)
		if err != nil {
			n.malformed.Add(1)
			n.log.Warn("a peer sent a message that cannot be read; it is dropped", "peer", from, "error", err)
			continue
		}
		switch m.(type) {
		case *wire.Layout, *wire.Buckets:
			n.control.received(from, m)
			continue
		case *wire.RebuildPage, *wire.Pieces:
			n.taken.count(time.Now(), ring.Partition(wire.HeadOf(m).Partition), len(raw))
		case *wire.RebuildRead, *wire.Pull:
			if wait := n.throttle.hold(time.Now()); wait > 0 {
				n.putLater(wait, from, m, len(raw))
				continue
			}
		}
		i := int(wire.HeadOf(m).Partition) % len(n.workers)
		byShard[i] = append(byShard[i], m)
		sizes[i] += len(raw)
	}
	for i, messages := range byShard {
		if len(messages) == 0 {
			continue
		}
		n.workers[i].inbox.putSized(func(now time.Time, s *recording.Shard) {
			for _, m := range messages {
				s.Message(now, from, m)
			}
		}, sizes[i])
	}
}

// putLater gives a shard a question that has to wait. A peer has few of them at a time,
// and asks again if this node stops meanwhile.
func (n *Node) putLater(wait time.Duration, from string, m wire.Message, bytes int) {
	w := n.workers[int(wire.HeadOf(m).Partition)%len(n.workers)]
	time.AfterFunc(wait, func() {
		w.inbox.putSized(func(now time.Time, s *recording.Shard) { s.Message(now, from, m) }, bytes)
	})
}
