package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kindredkv/kindred/transport/faults"
)

// expected is how many nodes make the first layout: none, once nodes have come or gone,
// for there is one then.
func (st *state) expected() int {
	if st.Used > 0 {
		return 0
	}
	return len(st.Nodes)
}

// CountError says that so many nodes cannot be added.
type CountError struct{ Have, More int }

func (e *CountError) Error() string {
	return fmt.Sprintf("%d more nodes beside %d: use 1 to %d, a local cluster has at most %d", e.More, e.Have, NodesMax-e.Have, NodesMax)
}

// grow adds nodes that have no processes yet, and returns their places. A number that
// was used is never used again: the folder of its node may be there, and others may
// remember it.
func (st *state) grow(n int) (places []int, err error) {
	if n < 1 || len(st.Nodes)+n > NodesMax {
		return nil, &CountError{Have: len(st.Nodes), More: n}
	}
	if st.Nodes[0].Place.Host != "" {
		return nil, errors.New("the nodes of this cluster have hosts of their own, of which there are no more")
	}
	st.noteUsed()
	if err := st.shape().checkRoom(st.Used + n); err != nil {
		return nil, err
	}
	for range n {
		st.Used++
		places = append(places, len(st.Nodes))
		st.Nodes = append(st.Nodes, nodeRecord{Name: nodeName(st.Used), Zone: st.emptiestZone()})
	}
	return places, nil
}

// noteUsed remembers the highest number, also when its node is gone.
func (st *state) noteUsed() {
	for i := range st.Nodes {
		st.Used = max(st.Used, st.Nodes[i].number())
	}
}

// emptiestZone is the first of those with the fewest nodes.
func (st *state) emptiestZone() string {
	fewest, zone := len(st.Nodes)+1, ""
	for z := range st.Zones {
		name, there := zoneName(z+1), 0
		for _, n := range st.Nodes {
			if n.Zone == name {
				there++
			}
		}
		if there < fewest {
			fewest, zone = there, name
		}
	}
	return zone
}

// forget removes nodes from the list, and what is cut between them and the others.
func (st *state) forget(gone []string) {
	st.noteUsed()
	st.Nodes = slices.DeleteFunc(st.Nodes, func(n nodeRecord) bool { return slices.Contains(gone, n.Name) })
	for i := range st.Nodes {
		p := &st.Nodes[i].Faults
		p.Cuts = slices.DeleteFunc(p.Cuts, func(c faults.Cut) bool { return slices.Contains(gone, c.Peer) })
	}
}

// AddOptions say how Add waits; see the fields of the same name in [Options].
type AddOptions struct {
	Ready    time.Duration
	Progress func(Progress)
}

// Add starts more nodes beside those of a cluster that has a layout, as those were
// started, in the zones that have the fewest, and waits until they are ready. They own
// nothing before a change of the layout says so. If it fails, none of them stays; their
// folders do.
func (c *Cluster) Add(ctx context.Context, n int, o AddOptions) ([]Node, error) {
	var added []watched
	err := c.update(ctx, func(st *state) error {
		places, err := st.grow(n)
		if err != nil {
			return err
		}
		if err := c.secure(st, false); err != nil {
			return err
		}
		if _, err := c.spawnAll(ctx, st, places); err != nil {
			st.forget(names(st.Nodes[places[0]:]))
			return errors.Join(err, st.write(c.dir))
		}
		for _, i := range places {
			added = append(added, watched{Node: c.node(st, i), process: st.Nodes[i].Process})
		}
		return nil
	})
	if err == nil {
		err = c.awaitReady(ctx, added, o.Ready, o.Progress)
	}
	var nodes []Node
	for _, a := range added {
		nodes = append(nodes, a.Node)
	}
	if err == nil {
		return nodes, nil
	}
	for _, n := range nodes {
		_, undo := c.Remove(context.WithoutCancel(ctx), n.Name, RemoveOptions{})
		err = errors.Join(err, undo)
	}
	return nil, err
}

// RemoveOptions say how Remove ends a node.
type RemoveOptions struct {
	// Grace is how long it may take to drain; 0 means [DefaultGrace].
	Grace time.Duration
	// DeleteData deletes the folder of the node, with its data and its log.
	DeleteData bool
}

// Remove stops a node and forgets it. Whether others have what it holds is for the
// caller to find out before. It returns the folder of the node, which stays unless that
// was asked for.
func (c *Cluster) Remove(ctx context.Context, name string, o RemoveOptions) (folder string, err error) {
	n, err := c.Node(name)
	if err != nil {
		return "", err
	}
	if len(n.Faults.NoSend)+len(n.Faults.NoReceive) > 0 {
		if err := c.Mend(ctx, n.Name); err != nil {
			return "", err
		}
	}
	folder = filepath.Join(c.dir, n.Name)
	err = c.withNode(ctx, n.Name, func(st *state, i int) error {
		if len(st.Nodes) == 1 {
			return &NodeError{Node: n.Name, Problem: "is the only one of the cluster: stop that instead with 'kvcli local stop --dir " + c.dir + "'"}
		}
		grace := o.Grace
		if grace == 0 {
			grace = DefaultGrace
		}
		if _, err := stopAll(ctx, st.Nodes[i:i+1], grace); err != nil {
			return err
		}
		st.forget([]string{n.Name})
		if err := st.write(c.dir); err != nil || !o.DeleteData {
			return err
		}
		return os.RemoveAll(folder)
	})
	return folder, err
}
