package demo

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

// sideTimeout is how long a client on a side waits for one operation.
const sideTimeout = 20 * time.Second

// side is one side of the cut, and a client on it.
type side struct {
	nodes  []local.Node
	client *client.Client
	shop   *shop
}

func (s *side) String() string { return strings.Join(s.names(), ",") }

func (s *side) names() []string {
	names := make([]string, len(s.nodes))
	for i, n := range s.nodes {
		names[i] = n.Name
	}
	return names
}

func (s *side) has(node string) bool { return slices.Contains(s.names(), node) }

// newSide connects a client that is cut off together with these nodes: there is
// no way from it to any other.
func newSide(ctx context.Context, nodes []local.Node) (*side, error) {
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.Client)
	}
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		if !slices.Contains(addrs, addr) {
			return nil, fmt.Errorf("%s is on the other side of the cut", addr)
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
	c, err := client.Dial(ctx, addrs, client.WithDialer(dial), client.WithTimeout(sideTimeout))
	if err != nil {
		return nil, err
	}
	return &side{nodes: nodes, client: c}, nil
}
