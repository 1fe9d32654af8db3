package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// DefaultGrace is how long Stop waits for a node to drain.
	DefaultGrace = 15 * time.Second
	// DefaultReady is how long Start waits for the nodes to be ready.
	DefaultReady = 60 * time.Second
	// logTailLines is how much of a dead node's log an error shows.
	logTailLines = 15
)

// Options say what Start makes.
type Options struct {
	// Dir is the cluster's folder; it is created.
	Dir string
	// Shape may be left zero in part or whole: an existing cluster keeps its
	// shape, a new one has that of [DefaultShape].
	Shape
	// KVNode is the path of the server binary. Empty means the one the cluster
	// was last started with.
	KVNode string
	// TLS gives the nodes certificates and a gossip key of their own, in the folder
	// tls of the cluster's. A cluster that has them keeps them.
	TLS bool
	// Places, if any, are where the nodes of a new cluster run, one for each: by
	// default they share the loopback interface of this machine. Without TLS they
	// listen in plain text there, for whoever is in that network.
	Places []Place
	// Args are flags for every node, after the ones that Start sets.
	Args []string
	// Ready is how long the nodes may take to become ready; 0 means
	// [DefaultReady], a negative value does not wait.
	Ready time.Duration
	// Progress, if set, hears of every node that becomes ready.
	Progress func(Progress)
}

// Place is a host of its own for a node.
type Place struct {
	// Host is the address that it listens at.
	Host string `json:"host"`
	// Namespace is a file that stands for the network namespace in which the
	// process runs, such as /run/netns/n1.
	Namespace string `json:"namespace"`
}

// PlacesError says that there is not one place for each node.
type PlacesError struct{ Places, Nodes int }

func (e *PlacesError) Error() string {
	return fmt.Sprintf("%d places for %d nodes: name one for each, or none", e.Places, e.Nodes)
}

// Progress is one step of waiting.
type Progress struct {
	// Node became ready, the Ready-th of All.
	Node       string
	Ready, All int
}

// ShapeError says that a folder holds a cluster of another shape.
type ShapeError struct {
	Dir       string
	Have, Ask Shape
}

func (e *ShapeError) Error() string {
	return fmt.Sprintf("the cluster in %s has %d nodes in %d zones from port %d, not %d in %d from port %d: "+
		"start it without these flags ('kvcli local add' and 'remove' change it), or use another folder (--dir), or stop it and remove the folder with its data",
		e.Dir, e.Have.Nodes, e.Have.Zones, e.Have.BasePort, e.Ask.Nodes, e.Ask.Zones, e.Ask.BasePort)
}

// FolderError is a folder that cannot be made for a cluster.
type FolderError struct {
	Dir string
	Err error
}

func (e *FolderError) Error() string {
	return fmt.Sprintf("the folder %s cannot be made: %v: name one with --dir that you may write to", e.Dir, e.Err)
}

func (e *FolderError) Unwrap() error { return e.Err }

// Start makes all nodes of a cluster run and waits until they are ready. A
// folder without a cluster gets a new one; stopped nodes of an existing one are
// started with their data, paused ones resumed, running ones left alone. It
// returns what it did. If it fails, it stops what it started (L3).
func Start(ctx context.Context, o Options) (*Cluster, Started, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, Started{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, Started{}, &FolderError{Dir: dir, Err: err}
	}
	c := &Cluster{dir: dir}
	spawned, resumed, err := c.startAll(ctx, o)
	if err != nil {
		return nil, Started{}, err
	}
	if err := c.awaitAll(ctx, o); err != nil {
		return nil, Started{}, errors.Join(err, c.undo(ctx, spawned))
	}
	return c, Started{Nodes: names(spawned), Resumed: names(resumed)}, nil
}

// Started names the nodes that Start started, and those that were paused and
// that it resumed.
type Started struct{ Nodes, Resumed []string }

// startAll spawns what does not run and resumes what is paused, under the lock.
func (c *Cluster) startAll(ctx context.Context, o Options) (spawned, resumed []nodeRecord, err error) {
	unlock, err := lock(ctx, c.dir, lockPatience)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	st, err := c.plan(o)
	if err != nil {
		return nil, nil, err
	}
	if err := c.secure(st, o.TLS); err != nil {
		return nil, nil, err
	}
	var idle []int
	for i, n := range st.Nodes {
		switch n.Process.state() {
		case Stopped:
			idle = append(idle, i)
		case Paused:
			if _, err := n.Process.signal(syscall.SIGCONT); err != nil {
				return nil, nil, err
			}
			if err := c.catchUp(ctx, st, i); err != nil {
				return nil, nil, err
			}
			resumed = append(resumed, n)
		}
	}
	spawned, err = c.spawnAll(ctx, st, idle)
	return spawned, resumed, err
}

// plan reads the cluster of the folder, or lays out a new one.
func (c *Cluster) plan(o Options) (*state, error) {
	st, err := readState(c.dir)
	var none *NoClusterError
	if errors.As(err, &none) {
		s := o.Shape.over(DefaultShape())
		if err := s.Validate(); err != nil {
			return nil, err
		}
		if len(o.Places) != 0 && len(o.Places) != s.Nodes {
			return nil, &PlacesError{len(o.Places), s.Nodes}
		}
		return newState(s, o.KVNode, o.Args, o.Places), nil
	}
	if err != nil {
		return nil, err
	}
	if ask := o.Shape.over(st.shape()); ask != st.shape() {
		return nil, &ShapeError{Dir: c.dir, Have: st.shape(), Ask: ask}
	}
	if o.KVNode != "" {
		st.KVNode = o.KVNode
	}
	if o.Args != nil {
		st.Args = o.Args
	}
	return st, nil
}

// spawnAll starts the nodes at the given places; if one fails, none stays.
func (c *Cluster) spawnAll(ctx context.Context, st *state, places []int) ([]nodeRecord, error) {
	if err := checkPorts(st.shape(), st.onLoopback(places)); err != nil {
		if err.Fixed = c.hasState(); !err.Fixed {
			err.Free, _ = FreeBasePort(len(st.Nodes), st.BasePort+PortsPerNode*len(st.Nodes))
		}
		return nil, err
	}
	var started []nodeRecord
	for _, i := range places {
		if err := c.spawnNode(st, i); err != nil {
			_, undo := stopAll(context.WithoutCancel(ctx), started, DefaultGrace)
			return nil, errors.Join(fmt.Errorf("starting node %s: %w", st.Nodes[i].Name, err), undo)
		}
		started = append(started, st.Nodes[i])
	}
	return started, nil
}

func (c *Cluster) hasState() bool {
	_, err := readState(c.dir)
	return err == nil
}

// spawnNode starts one process and records it before anything else happens, so
// that there is no process that cluster.json does not know.
func (c *Cluster) spawnNode(st *state, i int) error {
	n := c.node(st, i)
	if err := os.MkdirAll(n.DataDir, 0o700); err != nil {
		return err
	}
	args, err := c.nodeArgs(st, i)
	if err != nil {
		return err
	}
	p, err := spawn(st.KVNode, args, n.LogFile, st.Nodes[i].Place.Namespace)
	if err != nil {
		return err
	}
	st.Nodes[i].Process, st.Nodes[i].Pending = p, false
	if err := st.write(c.dir); err != nil {
		_, undo := stopAll(context.Background(), st.Nodes[i:i+1], 0)
		return errors.Join(err, undo)
	}
	return nil
}

// nodeArgs are the flags of the public contract of kvnode. What is cut is cut
// from the start of a node.
func (c *Cluster) nodeArgs(st *state, i int) ([]string, error) {
	n := c.node(st, i)
	var join []string
	for i := range st.Nodes {
		join = append(join, st.addr(i, st.ports(i).Gossip))
	}
	args := []string{
		"--name", n.Name, "--zone", n.Zone, "--data-dir", n.DataDir,
		"--expect", fmt.Sprint(st.expected()), "--join", strings.Join(join, ","),
		"--client-addr", n.Client, "--peer-addr", n.Peer,
		"--gossip-addr", n.Gossip, "--http-addr", n.HTTP,
	}
	faulty, err := faultFlags(st.Nodes[i].Faults)
	if err != nil {
		return nil, err
	}
	secured, err := c.tlsFlags(st, n.Name)
	if st.Nodes[i].Place.Host != "" && !st.TLS {
		secured = []string{"--insecure"}
	}
	return slices.Concat(args, secured, faulty, st.Args), err
}

func (c *Cluster) awaitAll(ctx context.Context, o Options) error {
	if o.Ready < 0 {
		return nil
	}
	st, err := readState(c.dir)
	if err != nil {
		return err
	}
	all := make([]watched, len(st.Nodes))
	for i := range st.Nodes {
		all[i] = watched{Node: c.node(st, i), process: st.Nodes[i].Process}
	}
	return c.awaitReady(ctx, all, o.Ready, o.Progress)
}

// undo stops what a failed start has started.
func (c *Cluster) undo(ctx context.Context, started []nodeRecord) error {
	_, err := stopAll(context.WithoutCancel(ctx), started, DefaultGrace)
	return err
}

func names(nodes []nodeRecord) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.Name
	}
	return out
}

// RestartOptions say how Restart waits; see the fields of the same name in
// [Options].
type RestartOptions struct {
	// Grace is how long a running node may take to drain; 0 means
	// [DefaultGrace].
	Grace    time.Duration
	Ready    time.Duration
	Progress func(Progress)
}

// Restart starts a stopped node, or stops a running or paused one and starts
// it again, and waits until it is ready. Unlike Start it leaves a node that
// does not become ready in time as it is: the rest of the cluster may be what
// it waits for. Where no other node runs it does not wait for long.
func (c *Cluster) Restart(ctx context.Context, name string, o RestartOptions) error {
	var n watched
	err := c.withNode(ctx, name, func(st *state, i int) error {
		grace := o.Grace
		if grace == 0 {
			grace = DefaultGrace
		}
		if _, err := stopAll(ctx, st.Nodes[i:i+1], grace); err != nil {
			return err
		}
		if _, err := c.spawnAll(ctx, st, []int{i}); err != nil {
			return err
		}
		n = watched{Node: c.node(st, i), process: st.Nodes[i].Process}
		return nil
	})
	if err != nil || o.Ready < 0 {
		return err
	}
	return c.awaitReady(ctx, []watched{n}, o.Ready, o.Progress)
}
