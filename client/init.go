package client

import (
	"context"
	"fmt"

	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
)

// Init makes one node, by name, make the first layout of a new cluster, of itself and
// of all that it sees and can reach, however many it was told to expect. It is refused
// where there is a layout. It asks once: after an error of unknown outcome, look with
// [Client.Cluster] before asking again, and never ask two nodes.
func (c *Client) Init(ctx context.Context, name string) error {
	n := c.routes.Load().byName[name]
	if n == nil {
		return c.unknownNode(name)
	}
	ctx, cancel := context.WithTimeout(ctx, describeMax)
	defer cancel()
	if _, err := kindredv1.NewClusterClient(n.connection()).Init(ctx, &kindredv1.InitRequest{}); err != nil {
		return fmt.Errorf("kindred: init at %s at %s: %w", n.name, n.addr, answer(err))
	}
	return nil
}
