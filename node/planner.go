package node

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/ring"
)

// Changes says what is staged, how far a change of the layout is, and what changes there
// were.
func (n *Node) Changes(ctx context.Context) (known kindred.Changes, bad *kindred.Error) {
	var phase *ring.Phase
	err := n.control.do(ctx, func(time.Time) error {
		known, phase = n.control.core.Changes(), n.control.core.Phase()
		return nil
	})
	if err != nil {
		return known, orderLost(err)
	}
	known.Progress.Transfer = n.transfer(phase)
	return known, nil
}

// Stage stages changes, all or none; none takes back all that is staged. It is durable
// here when it returns.
func (n *Node) Stage(ctx context.Context, changes []kindred.NodeChange) *kindred.Error {
	return n.order(ctx, func(now time.Time) *kindred.Error { return n.control.core.Order(now, changes) })
}

// Plan says what a commit of all that is staged would do.
func (n *Node) Plan(ctx context.Context) (plan kindred.LayoutPlan, bad *kindred.Error) {
	disk := n.store.Metrics().DiskBytes
	bad = n.order(ctx, func(now time.Time) (bad *kindred.Error) {
		bytes := n.partitionBytes(disk)
		plan, bad = n.control.core.DescribePlan(now, func(ring.Partition) uint64 { return bytes })
		return bad
	})
	return plan, bad
}

// Commit proposes the plan of that version to all nodes. It is durable here when it
// returns.
func (n *Node) Commit(ctx context.Context, version string, acceptLoss bool) *kindred.Error {
	return n.order(ctx, func(now time.Time) *kindred.Error { return n.control.core.CommitPlan(now, version, acceptLoss) })
}

// order gives an order to the control core, and returns when what came of it is durable.
func (n *Node) order(ctx context.Context, give func(now time.Time) *kindred.Error) *kindred.Error {
	var bad *kindred.Error
	err := n.control.do(ctx, func(now time.Time) error {
		if bad = give(now); bad != nil {
			return bad
		}
		return nil
	})
	if err == nil {
		return nil
	}
	return orderLost(err)
}

// orderLost is an order that was refused, or of which nobody knows what came.
func orderLost(err error) *kindred.Error {
	var bad *kindred.Error
	switch {
	case errors.As(err, &bad):
		return bad
	case errors.Is(err, errStopped):
		return &kindred.Error{Code: kindred.CodeStopping, Outcome: kindred.Unknown, Message: "the node is shutting down: look at another node whether it was done"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &kindred.Error{Code: kindred.CodeTimeout, Outcome: kindred.Unknown, Message: "the caller stopped waiting: look whether it was done"}
	}
	return &kindred.Error{Code: kindred.CodeInternal, Outcome: kindred.Unknown, Message: err.Error()}
}

// partitionBytes is what one copy of a partition takes, about: the others are taken to be
// like those on this disk.
func (n *Node) partitionBytes(disk uint64) uint64 {
	phase := n.control.core.Phase()
	if phase == nil {
		return 0
	}
	owned := len(phase.Owned(n.cfg.Name, phase.Tip().Replicas()))
	if owned == 0 {
		return 0
	}
	return disk / uint64(owned)
}

// transfers remembers since when this node takes over what a layout gives it, and what
// its shards had taken in by then. What an earlier life took in is not counted.
type transfers struct {
	mu       sync.Mutex
	tip      ring.Version
	began    time.Time
	before   map[*worker]uint64
	reported bool
}

// begin notes what one shard had taken in when it began to work by a tip.
func (t *transfers) begin(w *worker, tip ring.Version, bytes uint64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tip != tip {
		t.tip, t.began, t.before, t.reported = tip, now, map[*worker]uint64{}, false
	}
	if _, begun := t.before[w]; !begun { // steps of one tip are no new beginning
		t.before[w] = bytes
	}
}

// since is when the tip came to this node, and what its shards took in since; zero for
// another tip.
func (t *transfers) since(tip ring.Version, bytes uint64) (began time.Time, taken uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tip != tip {
		return time.Time{}, 0
	}
	for _, before := range t.before {
		bytes -= min(bytes, before)
	}
	return t.began, bytes
}

// report reports whether what was taken in for a tip is to be told now: once.
func (t *transfers) report(tip ring.Version) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tip != tip || t.reported {
		return false
	}
	t.reported = true
	return true
}

// transfer is how far this node is with the copies that a phase gives to it.
func (n *Node) transfer(phase *ring.Phase) (t kindred.Transfer) {
	if phase == nil || phase.Settled() {
		return t
	}
	copies := phase.Tip().Replicas()
	coming := map[int]bool{}
	for _, part := range phase.Tip().Owned(n.cfg.Name, copies) {
		coming[int(part)] = phase.Moves(part, copies) && !slices.Contains(phase.Base().Homes(part, copies), n.cfg.Name)
	}
	for _, moves := range coming {
		if moves {
			t.Copies++
		}
	}
	partitions, bytes := n.takenOver()
	for _, part := range partitions {
		if coming[part] {
			t.Complete++
		}
	}
	began, taken := n.taken.since(phase.Progress().Tip, bytes)
	t.Bytes = taken
	if took := time.Since(began); !began.IsZero() && took >= time.Second {
		t.Rate = uint64(float64(taken) / took.Seconds())
		if t.Complete > 0 && t.Complete < t.Copies {
			t.Left = took / time.Duration(t.Complete) * time.Duration(t.Copies-t.Complete)
		}
	}
	return t
}

// takenOver asks all shards; one that has ended is left out.
func (n *Node) takenOver() (partitions []int, bytes uint64) {
	type taken struct {
		partitions []int
		bytes      uint64
	}
	for _, w := range n.workers {
		answer := make(chan taken, 1)
		if !w.inbox.put(func(_ time.Time, s *recording.Shard) {
			p, b := s.Taken()
			answer <- taken{p, b}
		}) {
			continue
		}
		select {
		case t := <-answer:
			partitions, bytes = append(partitions, t.partitions...), bytes+t.bytes
		case <-w.done:
		}
	}
	return partitions, bytes
}
