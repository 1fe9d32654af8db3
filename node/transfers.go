package node

import (
	"slices"
	"sync"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/ring"
)

// transfers counts what this node is sent for the copies that a layout gives to it: pages
// of rebuilds and answers to pulls, as many bytes as they have on the network before TLS,
// of the partitions that it owns by the tip and did not own by the base. What clients
// write meanwhile is no part of it, nor is what an earlier life was sent.
type transfers struct {
	mu     sync.Mutex
	tip    ring.Version
	coming map[ring.Partition]bool
	copies int
	sent
	// told is what others have heard of.
	told uint64
}

// sent is what came, and when the first and the last of it did.
type sent struct {
	bytes       uint64
	first, last time.Time
}

func (s sent) took() time.Duration { return s.last.Sub(s.first) }

// begin notes what a phase gives to a node. Later steps of a tip are no new beginning;
// once it is settled nothing more is counted.
func (t *transfers) begin(phase *ring.Phase, node string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tip := phase.Progress().Tip; t.tip != tip {
		t.tip, t.sent, t.told = tip, sent{}, 0
		t.coming = coming(phase, node)
		t.copies = len(t.coming)
	}
	if phase.Settled() {
		t.coming = nil
	}
}

// coming are the partitions of which a node is given a copy.
func coming(phase *ring.Phase, node string) map[ring.Partition]bool {
	given, copies := map[ring.Partition]bool{}, phase.Tip().Replicas()
	for _, p := range phase.Tip().Owned(node, copies) {
		if phase.Moves(p, copies) && !slices.Contains(phase.Base().Homes(p, copies), node) {
			given[p] = true
		}
	}
	return given
}

// count takes note of a page, or an answer to a pull, that came.
func (t *transfers) count(now time.Time, of ring.Partition, bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.coming[of] {
		return
	}
	if t.bytes += uint64(bytes); t.first.IsZero() {
		t.first = now
	}
	t.last = now
}

// of is how many copies a tip gives to this node, and what it was sent for them.
func (t *transfers) of(tip ring.Version) (copies int, got sent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tip != tip {
		return 0, sent{}
	}
	return t.copies, t.sent
}

// news is what came for a tip, if others have not heard of it.
func (t *transfers) news(tip ring.Version) (got sent, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tip != tip || t.bytes == t.told {
		return sent{}, false
	}
	t.told = t.bytes
	return t.sent, true
}

// tellTransfers tells others what this node was sent for a tip, if there is news. Only the
// control goroutine calls it, when all has come, and again when the change is settled.
func (n *Node) tellTransfers(now time.Time, tip ring.Version) {
	if got, ok := n.taken.news(tip); ok {
		n.control.core.Report(now, tip, got.bytes, got.took())
	}
}

// transfer is how far this node is with the copies that a phase gives to it.
func (n *Node) transfer(phase *ring.Phase, history []kindred.PastChange) (t kindred.Transfer) {
	if phase == nil || phase.Settled() {
		return t
	}
	tip := phase.Progress().Tip
	copies, got := n.taken.of(tip)
	t.Copies, t.Bytes = copies, got.bytes
	given := coming(phase, n.cfg.Name)
	for _, p := range n.takenOver() {
		if given[ring.Partition(p)] {
			t.Complete++
		}
	}
	t.Rate, t.Left = got.pace(time.Now(), share(history, tip, copies))
	return t
}

// share is what so many copies hold by the plan of a tip, zero if that is not known.
func share(history []kindred.PastChange, tip ring.Version, copies int) uint64 {
	for _, p := range history {
		if p.Version == tip.String() && p.Copies > 0 {
			return p.Bytes / uint64(p.Copies) * uint64(copies)
		}
	}
	return 0
}

// pace is how many bytes a second have come, and how long the rest of so many will take;
// zero if nobody can tell.
func (s sent) pace(now time.Time, expected uint64) (rate uint64, left time.Duration) {
	took := now.Sub(s.first)
	if s.bytes == 0 || took < time.Second {
		return 0, 0
	}
	rate = uint64(float64(s.bytes) / took.Seconds())
	if rate > 0 && expected > s.bytes {
		left = time.Duration(float64(expected-s.bytes) / float64(rate) * float64(time.Second))
	}
	return rate, left
}

// takenOver asks all shards for the partitions that are complete.
func (n *Node) takenOver() []int { return ofShards(n, (*recording.Shard).Taken) }

// incomplete asks all shards for what is not.
func (n *Node) incomplete() (list []kindred.IncompleteCopies) {
	for _, c := range ofShards(n, (*recording.Shard).Incomplete) {
		list = core.AddIncomplete(list, c)
	}
	return list
}

// ofShards asks all shards; one that has ended is left out.
func ofShards[T any](n *Node, ask func(*recording.Shard) []T) (all []T) {
	for _, w := range n.workers {
		answer := make(chan []T, 1)
		if !w.inbox.put(func(_ time.Time, s *recording.Shard) { answer <- ask(s) }) {
			continue
		}
		select {
		case some := <-answer:
			all = append(all, some...)
		case <-w.done:
		}
	}
	return all
}

// besides is what a change takes besides the copies, as long as none has shown it: half a
// second until all have agreed, and from step to step until each has looked again.
const besides = 2 * time.Second

// usualRate is what a core takes over in a second, about, where there are no clients.
const usualRate = 32 << 20

// usualRates are those of predictions before there was a change.
func (n *Node) usualRates() ring.Rates {
	rate := uint64(n.cfg.Shards) * usualRate
	return ring.Rates{In: rate, Out: rate, Besides: besides}
}

// mostRate is what a node takes over in a second at most while it serves clients, as this
// one does: the pace of rebuilds, for keys of that weight. It is zero without clients.
func (n *Node) mostRate(one weight) uint64 {
	if _, serves := n.throttle.state(); !serves || one.keys == 0 || n.cfg.TransferSlowdown == 0 {
		return 0
	}
	most := n.cfg.Limits.RebuildPace
	return uint64(n.cfg.Shards) * min(uint64(most.BytesPerSecond), uint64(most.ItemsPerSecond)*one.bytes/one.keys)
}
