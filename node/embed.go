package node

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// readyPoll is how often AwaitReady looks.
const readyPoll = 10 * time.Millisecond

// ClientAddr is where the node listens for clients over gRPC, host:port: what
// client.Dial wants. With port 0 in the Config it tells which port was free.
func (n *Node) ClientAddr() string { return n.addrs.client }

// HTTPAddr is where the node listens for HTTP, host:port.
func (n *Node) HTTPAddr() string { return n.addrs.http }

// GossipAddr is what other nodes name in Config.Join to meet this one, host:port.
func (n *Node) GossipAddr() string { return n.addrs.gossip }

// AwaitReady returns when the node serves its share of the keys: the cluster has
// formed and the node's replicas are recovered. It fails when ctx ends, and says
// what the node lacks, or when the node stops.
func (n *Node) AwaitReady(ctx context.Context) error {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		local := n.Local()
		if local.Ready {
			return nil
		}
		select {
		case <-poll.C:
		case <-n.done:
			return errors.Join(fmt.Errorf("node: %s stopped before it was ready", n.cfg.Name), n.Err())
		case <-ctx.Done():
			return fmt.Errorf("node: %s is not ready: %s: %w", n.cfg.Name, local.Reason, ctx.Err())
		}
	}
}
