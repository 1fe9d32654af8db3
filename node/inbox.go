package node

import (
	"sync"
	"time"

	"github.com/kindredkv/kindred/recording"
)

// InboxBytesMax bounds the messages of peers that wait for one shard. A link
// whose messages find it full waits, and with it the sender's queue: no shard
// ever waits for a link, so this cannot lock up.
const InboxBytesMax = 64 << 20

// event is something that happens to a shard.
type event func(now time.Time, s *recording.Shard)

// inbox is a shard's queue of events. Putting one in never waits, except for
// messages of peers beyond InboxBytesMax.
type inbox struct {
	mu     sync.Mutex
	room   sync.Cond
	events []event
	bytes  int
	closed bool
	wake   chan struct{}
}

func newInbox() *inbox {
	b := &inbox{wake: make(chan struct{}, 1)}
	b.room.L = &b.mu
	return b
}

// put adds an event. It reports false once the shard is gone.
func (b *inbox) put(e event) bool { return b.putSized(e, 0) }

// putSized adds an event that keeps that many bytes alive, when there is room.
func (b *inbox) putSized(e event, bytes int) bool {
	b.mu.Lock()
	for bytes > 0 && b.bytes > 0 && b.bytes+bytes > InboxBytesMax && !b.closed {
		b.room.Wait()
	}
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.events = append(b.events, e)
	b.bytes += bytes
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return true
}

// take exchanges the queue for an empty one that uses the memory of spent.
func (b *inbox) take(spent []event) []event {
	clear(spent)
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.events
	b.events, b.bytes = spent[:0], 0
	b.room.Broadcast()
	return taken
}

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.room.Broadcast()
}
