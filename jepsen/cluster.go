package jepsen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/kindredkv/kindred/jepsen/nemesis"
	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/local/netns"
)

const (
	// grace is how long a node may take to drain at the end.
	grace = 10 * time.Second
	// portFrom and portSpread choose ports below those that systems give to outgoing
	// connections, and different ones for two runs at once.
	portFrom, portSpread = 10000, 9000
	// portTries are made to start where nobody else is: nothing keeps ports that were
	// found to be free.
	portTries = 3
)

// ClusterOptions say which cluster StartCluster starts.
type ClusterOptions struct {
	// KVNode is the server, Dir the folder; an empty one means a temporary folder,
	// which is removed at the end.
	KVNode, Dir string
	// Nodes are spread over Zones and keep N copies of a key.
	Nodes, Zones, N int
	// Nemeses are those that are to happen: some need nodes with other flags, or
	// other folders.
	Nemeses []nemesis.Kind
	// Wire, if set, is the network whose namespaces the nodes live in.
	Wire *netns.Network
	// Args are flags for every node besides.
	Args []string
	// Progress hears of every node that is ready.
	Progress func(local.Progress)
}

// StartCluster starts a cluster of its own for a run. End stops it, and removes its
// folder unless it is to be kept or was named. What runs that were killed have left is
// removed before.
func StartCluster(ctx context.Context, o ClusterOptions) (c *local.Cluster, end func(keep bool) error, err error) {
	dir, temporary, release := o.Dir, o.Dir == "", func() error { return nil }
	if temporary {
		if dir, release, err = ownFolder(ctx); err != nil {
			return nil, nil, err
		}
	}
	var undo []func() error
	end = func(keep bool) error {
		var errs []error
		if c != nil {
			_, err := c.Stop(context.Background(), grace)
			errs = append(errs, err)
		}
		for _, u := range slices.Backward(undo) {
			errs = append(errs, u())
		}
		if temporary && !keep {
			errs = append(errs, os.RemoveAll(dir))
		}
		return errors.Join(append(errs, release())...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end(false))
		}
	}()
	args := append([]string{"--replicas", strconv.Itoa(o.N)}, o.Args...)
	var names []string
	for i := range o.Nodes {
		names = append(names, "n"+strconv.Itoa(i+1))
	}
	for _, k := range o.Nemeses {
		args = append(args, k.Args...)
		if k.Prepare == nil {
			continue
		}
		u, err := k.Prepare(ctx, dir, names)
		if u != nil {
			undo = append(undo, u)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("nemesis %s cannot be prepared: %w", k.Name, err)
		}
	}
	where := local.Options{
		Dir: dir, KVNode: o.KVNode, Args: args, Progress: o.Progress,
		Shape: local.Shape{Nodes: o.Nodes, Zones: min(o.Zones, o.Nodes), BasePort: local.DefaultShape().BasePort},
	}
	if o.Wire != nil {
		where.Places = o.Wire.Places()
		c, _, err = local.Start(ctx, where)
		return c, end, err
	}
	for range portTries {
		if where.BasePort, err = local.FreeBasePort(o.Nodes, portFrom+rand.IntN(portSpread)); err != nil {
			break
		}
		taken := (*local.PortError)(nil)
		if c, _, err = local.Start(ctx, where); !errors.As(err, &taken) {
			break
		}
	}
	return c, end, err
}

// Fit says why a cluster that runs already cannot be used with these nemeses, or
// nothing.
func Fit(c *local.Cluster, kinds []nemesis.Kind) error {
	bad := func(format string, args ...any) error {
		return &PlanError{Field: "Cluster", Problem: fmt.Sprintf("the cluster in %s %s", c.Dir(), fmt.Sprintf(format, args...))}
	}
	status, err := c.Status()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.Dir(), "tls")); err == nil {
		return bad("is encrypted, which a run cannot talk to: leave the folder out, and a cluster is started for the run")
	}
	for _, n := range status.Nodes {
		if n.State != local.Running || n.Faults.Any() || n.Faults.Pending {
			return bad("is not whole: %s is %s %s: start and heal it first", n.Name, n.State, n.Faults)
		}
	}
	for _, k := range kinds {
		if k.Prepare != nil || len(k.Args) > 0 {
			return bad("was not started for nemesis %s: leave the folder out, and a cluster is started for it", k.Name)
		}
	}
	return nil
}
