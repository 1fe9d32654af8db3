package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Cluster is a handle on a cluster's folder. It keeps nothing in memory: every
// call reads cluster.json, so several programs may hold handles on one folder.
// Its methods may be called from several goroutines.
type Cluster struct{ dir string }

// Status is what `kvcli local status -o json` prints; it is part of the public
// contract.
type Status struct {
	Dir   string `json:"dir"`
	Nodes []Node `json:"nodes"`
}

// Node is one node of a cluster. PID is 0 when it is stopped.
type Node struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	State   State  `json:"state"`
	Zone    string `json:"zone"`
	Client  string `json:"client"`
	Peer    string `json:"peer"`
	Gossip  string `json:"gossip"`
	HTTP    string `json:"http"`
	DataDir string `json:"data_dir"`
	LogFile string `json:"log_file"`
	// Faults is what is made to go wrong, as it was ordered.
	Faults NodeFaults `json:"faults"`
}

// Open finds the cluster of a folder, running or not. A folder without one is
// a *NoClusterError.
func Open(dir string) (*Cluster, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	_, err = readState(abs)
	var none *NoClusterError
	if errors.As(err, &none) {
		none.Dir = dir // as the caller knows it
	}
	if err != nil {
		return nil, err
	}
	return &Cluster{dir: abs}, nil
}

// Dir is the cluster's folder as an absolute path.
func (c *Cluster) Dir() string { return c.dir }

// Status looks every process up.
func (c *Cluster) Status() (Status, error) {
	st, err := readState(c.dir)
	if err != nil {
		return Status{}, err
	}
	out := Status{Dir: c.dir, Nodes: make([]Node, len(st.Nodes))}
	for i := range st.Nodes {
		out.Nodes[i] = c.node(st, i)
	}
	return out, nil
}

// Node finds one node by its name or number.
func (c *Cluster) Node(name string) (Node, error) {
	st, err := readState(c.dir)
	if err != nil {
		return Node{}, err
	}
	i, err := st.index(name)
	if err != nil {
		return Node{}, err
	}
	return c.node(st, i), nil
}

func (c *Cluster) node(st *state, i int) Node {
	rec, ports := st.Nodes[i], st.ports(i)
	n := Node{
		Name: rec.Name, Zone: rec.Zone, State: rec.Process.state(),
		Client: st.addr(i, ports.Client), Peer: st.addr(i, ports.Peer),
		Gossip: st.addr(i, ports.Gossip), HTTP: st.addr(i, ports.HTTP),
		DataDir: filepath.Join(c.dir, rec.Name, "data"),
		LogFile: filepath.Join(c.dir, rec.Name, "kvnode.log"),
		Faults:  faultsOf(rec),
	}
	if n.State != Stopped {
		n.PID = rec.Process.PID
	}
	return n
}

// update runs a change under the cluster's lock.
func (c *Cluster) update(ctx context.Context, change func(*state) error) error {
	unlock, err := lock(ctx, c.dir, lockPatience)
	if err != nil {
		return err
	}
	defer unlock()
	st, err := readState(c.dir)
	if err != nil {
		return err
	}
	return change(st)
}

// withNode runs a change of one node under the cluster's lock.
func (c *Cluster) withNode(ctx context.Context, name string, change func(st *state, i int) error) error {
	return c.update(ctx, func(st *state) error {
		i, err := st.index(name)
		if err != nil {
			return err
		}
		return change(st, i)
	})
}

// signalWait is how long the kernel may take to act on a signal that cannot be
// caught. A process deep in a disk wait takes its time.
const signalWait = 10 * time.Second

// Kill ends a node at once (SIGKILL), as a crash would, and returns when its
// process is gone.
func (c *Cluster) Kill(ctx context.Context, name string) error {
	return c.withNode(ctx, name, func(st *state, i int) error {
		n := &st.Nodes[i]
		there, err := n.Process.signal(syscall.SIGKILL)
		if err != nil {
			return err
		}
		if !there {
			return &NodeError{Node: n.Name, Problem: "has no process to kill: it is stopped"}
		}
		ctx, cancel := context.WithTimeout(ctx, signalWait)
		defer cancel()
		return n.Process.waitGone(ctx)
	})
}

// Pause stops a node's process (SIGSTOP): it keeps its memory and its
// connections and answers nothing. A paused node stays paused.
func (c *Cluster) Pause(ctx context.Context, name string) error {
	return c.freeze(ctx, name, syscall.SIGSTOP, Paused)
}

// Resume lets a paused node go on (SIGCONT), and tells it of the faults that
// were ordered meanwhile. A running node goes on running.
func (c *Cluster) Resume(ctx context.Context, name string) error {
	return c.freeze(ctx, name, syscall.SIGCONT, Running)
}

func (c *Cluster) freeze(ctx context.Context, name string, sig syscall.Signal, want State) error {
	return c.withNode(ctx, name, func(st *state, i int) error {
		n := &st.Nodes[i]
		there, err := n.Process.signal(sig)
		if err != nil {
			return err
		}
		if !there {
			return &NodeError{Node: n.Name, Problem: "has no process: it is stopped; start it with " + c.command("restart", n.Name)}
		}
		ctx, cancel := context.WithTimeout(ctx, signalWait)
		defer cancel()
		if err := n.Process.waitState(ctx, want); err != nil || want == Paused {
			return err
		}
		return c.catchUp(ctx, st, i)
	})
}

// command is what to type at kvcli for this cluster: without the folder it could
// be another cluster's node that is killed.
func (c *Cluster) command(verb, name string) string {
	return fmt.Sprintf("'kvcli local %s %s --dir %s'", verb, name, c.dir)
}

// Wipe empties the data folder of a stopped node, as a lost disk would.
func (c *Cluster) Wipe(ctx context.Context, name string) error {
	return c.withNode(ctx, name, func(st *state, i int) error {
		n := c.node(st, i)
		if n.State != Stopped {
			return &NodeError{Node: n.Name, Unsafe: true, Problem: fmt.Sprintf("is %s (process %d): stop it first with %s", n.State, n.PID, c.command("kill", n.Name))}
		}
		return empty(n.DataDir)
	})
}

// empty removes what is in a folder. The folder itself stays: it may be where a disk
// is mounted.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// StoppedNode says how a node ended.
type StoppedNode struct {
	Name string
	// Killed is set if it did not end in the grace period and was killed.
	Killed bool
}

// Stop asks every node that has a process to drain and end (SIGTERM), waits
// for grace, then kills what is left. It returns those that had a process. If
// ctx is over before that, it kills nothing: the nodes end in their own time.
func (c *Cluster) Stop(ctx context.Context, grace time.Duration) ([]StoppedNode, error) {
	var out []StoppedNode
	err := c.update(ctx, func(st *state) error {
		var err error
		out, err = stopAll(ctx, st.Nodes, grace)
		return err
	})
	return out, err
}

func stopAll(ctx context.Context, nodes []nodeRecord, grace time.Duration) ([]StoppedNode, error) {
	var asked []nodeRecord
	var errs []error
	for _, n := range nodes {
		there, err := n.Process.terminate()
		if err != nil {
			errs = append(errs, err)
		}
		if there {
			asked = append(asked, n)
		}
	}
	deadline := time.Now().Add(grace)
	out := make([]StoppedNode, 0, len(asked))
	for _, n := range asked {
		killed, err := n.Process.endBy(ctx, deadline)
		if err != nil {
			errs = append(errs, fmt.Errorf("node %s: %w", n.Name, err))
		}
		out = append(out, StoppedNode{Name: n.Name, Killed: killed})
	}
	return out, errors.Join(errs...)
}

// terminate sends SIGTERM and wakes a paused process so that it can act on it.
func (p process) terminate() (bool, error) {
	there, err := p.signal(syscall.SIGTERM)
	if !there || err != nil {
		return there, err
	}
	if p.state() == Paused {
		return p.signal(syscall.SIGCONT)
	}
	return true, nil
}

// endBy waits for a process that was asked to end, and kills it at the
// deadline.
func (p process) endBy(ctx context.Context, deadline time.Time) (killed bool, err error) {
	grace, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if p.waitGone(grace) == nil {
		return false, nil
	}
	if ctx.Err() != nil {
		return false, fmt.Errorf("was asked to end and has not yet: %w", ctx.Err())
	}
	if _, err := p.signal(syscall.SIGKILL); err != nil {
		return true, err
	}
	last, cancelLast := context.WithTimeout(ctx, signalWait)
	defer cancelLast()
	return true, p.waitGone(last)
}
