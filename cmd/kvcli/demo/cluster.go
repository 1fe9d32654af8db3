package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

const (
	zones = 3
	// grace is how long a node may take to drain at the end.
	grace = 10 * time.Second
	// portFrom and portSpread choose ports below those that systems give to
	// outgoing connections, and different ones for two demos at once.
	portFrom, portSpread = 20000, 9000
)

func (d *demo) start(ctx context.Context) error {
	base, err := local.FreeBasePort(d.nodes+newcomers, portFrom+rand.IntN(portSpread))
	if err != nil {
		return err
	}
	d.cluster, _, err = local.Start(ctx, local.Options{
		Dir: d.dir, KVNode: d.KVNode, Shape: local.Shape{Nodes: d.nodes, Zones: zones, BasePort: base},
	})
	if err != nil {
		return err
	}
	s, err := d.cluster.Status()
	if err != nil {
		return err
	}
	var addrs []string
	for _, n := range s.Nodes {
		d.say("%s  process %d  zone %s  clients %s  HTTP %s", n.Name, n.PID, n.Zone, n.Client, n.HTTP)
		addrs = append(addrs, n.Client)
		door, err := newSide(ctx, []local.Node{n})
		if err != nil {
			return err
		}
		d.doors = append(d.doors, door)
	}
	d.timeline.mark("%d nodes are ready", len(s.Nodes))
	d.client, err = client.Dial(ctx, addrs)
	return err
}

// stop is the clean end: a node that has to be killed is a failure.
func (d *demo) stop(ctx context.Context) error {
	s, err := d.cluster.Status()
	if err != nil {
		return err
	}
	stopped, err := d.cluster.Stop(ctx, grace)
	if err != nil {
		return err
	}
	if len(stopped) != len(s.Nodes) {
		return fmt.Errorf("%d of %d nodes were running at the end", len(stopped), len(s.Nodes))
	}
	for _, n := range stopped {
		if n.Killed {
			return fmt.Errorf("node %s did not drain in %s and was killed", n.Name, grace)
		}
	}
	d.say("%d nodes drained and ended", len(stopped))
	return nil
}

// end stops what still runs, however the story ended.
func (d *demo) end() error {
	if d.shop != nil {
		d.shop.leave()
	}
	for _, s := range append(d.doors, d.left, d.right) {
		if s != nil {
			s.client.Close()
		}
	}
	if d.client != nil {
		d.client.Close()
	}
	if d.cluster == nil {
		return nil
	}
	_, err := d.cluster.Stop(context.Background(), grace)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
