package node

import (
	"context"
	"errors"
	"time"

	"github.com/kindredkv/kindred"
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
	known.Progress.Transfer = n.transfer(phase, known.History)
	known.Progress.Incomplete = n.incomplete()
	return known, nil
}

// Stage stages changes, all or none; none takes back all that is staged. It is durable
// here when it returns.
func (n *Node) Stage(ctx context.Context, changes []kindred.NodeChange) *kindred.Error {
	return n.order(ctx, func(now time.Time) *kindred.Error { return n.control.core.Order(now, changes) })
}

// Plan says what a commit of all that is staged would do.
func (n *Node) Plan(ctx context.Context) (plan kindred.LayoutPlan, bad *kindred.Error) {
	weights := n.weigh(ctx)
	bad = n.order(ctx, func(now time.Time) (bad *kindred.Error) {
		n.control.core.SetRates(n.usualRates(), n.mostRate(weights.mean))
		plan, bad = n.control.core.DescribePlan(now, weights.of)
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
