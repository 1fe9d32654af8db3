package node

import (
	"context"
	"time"

	"github.com/kindredkv/kindred"
)

// Init makes the first layout of a new cluster, of this node and of all that it sees,
// however many are expected. One node of a cluster must be asked, once: the others get
// the layout from it.
func (n *Node) Init(ctx context.Context) *kindred.Error {
	c := n.control
	answered := make(chan *kindred.Error, 1)
	c.put(func(now time.Time) { answered <- c.core.Init(now) })
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return &kindred.Error{Code: kindred.CodeTimeout, Outcome: kindred.Unknown, Message: "the caller stopped waiting: see whether the cluster has a layout"}
	case <-c.done:
		return &kindred.Error{Code: kindred.CodeStopping, Outcome: kindred.Unknown, Message: "the node is shutting down"}
	}
}
