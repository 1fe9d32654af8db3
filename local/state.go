package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/transport/faults"
)

const (
	stateFormat = 1
	stateName   = "cluster.json"
)

// state is the content of cluster.json.
type state struct {
	Format   int      `json:"format"`
	BasePort int      `json:"base_port"`
	Zones    int      `json:"zones"`
	KVNode   string   `json:"kvnode"`
	Args     []string `json:"args,omitempty"`
	// TLS says that the folder holds certificates and that the nodes use them.
	TLS   bool         `json:"tls,omitempty"`
	Nodes []nodeRecord `json:"nodes"`
}

// nodeRecord is one node; its number is its place in the list plus one, and
// its addresses follow from that.
type nodeRecord struct {
	Name    string  `json:"name"`
	Zone    string  `json:"zone"`
	Process process `json:"process"`
	// Place is zero on the loopback interface.
	Place Place `json:"place,omitzero"`
	// Faults is what is made to go wrong, now and when it starts again. Pending
	// says that the process is paused and has not been told.
	Faults  faults.Plan `json:"faults,omitzero"`
	Pending bool        `json:"pending,omitempty"`
}

// NoClusterError says that a folder holds no cluster.
type NoClusterError struct{ Dir string }

func (e *NoClusterError) Error() string {
	return fmt.Sprintf("no local cluster in %s: start one with 'kvcli local start --dir %s', or name its folder with --dir", e.Dir, e.Dir)
}

// StateError says that cluster.json cannot be used.
type StateError struct {
	Path string
	Err  error
}

func (e *StateError) Error() string {
	return fmt.Sprintf("%s: %v; the nodes' data is beside it and untouched: restore the file, or move the folder away and start anew", e.Path, e.Err)
}

func (e *StateError) Unwrap() error { return e.Err }

// newState lays out a cluster that has no processes yet.
func newState(s Shape, kvnode string, args []string, places []Place) *state {
	st := &state{Format: stateFormat, BasePort: s.BasePort, Zones: s.Zones, KVNode: kvnode, Args: args}
	for i := range s.Nodes {
		st.Nodes = append(st.Nodes, nodeRecord{
			Name: fmt.Sprintf("n%d", i+1),
			Zone: fmt.Sprintf("z%d", i%s.Zones+1),
		})
		if len(places) > 0 {
			st.Nodes[i].Place = places[i]
		}
	}
	return st
}

// addr is where the node at place i has a port.
func (st *state) addr(i, port int) string {
	if host := st.Nodes[i].Place.Host; host != "" {
		return net.JoinHostPort(host, strconv.Itoa(port))
	}
	return loopback(port)
}

// onLoopback are those of the nodes that share this machine's ports.
func (st *state) onLoopback(places []int) []int {
	return slices.DeleteFunc(slices.Clone(places), func(i int) bool { return st.Nodes[i].Place.Host != "" })
}

func (st *state) shape() Shape {
	return Shape{Nodes: len(st.Nodes), Zones: st.Zones, BasePort: st.BasePort}
}

// readState loads cluster.json; a folder without one is a *NoClusterError.
func readState(dir string) (*state, error) {
	path := filepath.Join(dir, stateName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NoClusterError{Dir: dir}
	}
	if err != nil {
		return nil, &StateError{Path: path, Err: err}
	}
	var st state
	if err := json.Unmarshal(b, &st); err != nil {
		return nil, &StateError{Path: path, Err: fmt.Errorf("not a cluster description: %w", err)}
	}
	if err := st.check(); err != nil {
		return nil, &StateError{Path: path, Err: err}
	}
	return &st, nil
}

// check refuses a file of another format, and names that would lead a path out
// of the cluster's folder.
func (st *state) check() error {
	if st.Format != stateFormat {
		return fmt.Errorf("format %d, but this program knows format %d", st.Format, stateFormat)
	}
	for i, n := range st.Nodes {
		if want := fmt.Sprintf("n%d", i+1); n.Name != want {
			return fmt.Errorf("node %d is called %q, want %q", i+1, n.Name, want)
		}
	}
	return st.shape().Validate()
}

// write replaces cluster.json as a whole (L4).
func (st *state) write(dir string) error {
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, stateName)
	if err := replaceFile(path, append(b, '\n')); err != nil {
		return &StateError{Path: path, Err: err}
	}
	return nil
}

// replaceFile replaces a file as a whole, and for good.
func replaceFile(path string, b []byte) error {
	if err := security.WritePrivate(path, b); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// index finds a node by its name or number: "n2" and "2" are the same.
func (st *state) index(node string) (int, error) {
	want := "n" + strings.TrimPrefix(node, "n")
	for i := range st.Nodes {
		if st.Nodes[i].Name == want {
			return i, nil
		}
	}
	return 0, &NodeError{Node: node, Problem: fmt.Sprintf("is not in this cluster, which has %s: name a node as 1 or n1", st.names())}
}

// names are the nodes that there are, for people.
func (st *state) names() string {
	if len(st.Nodes) == 1 {
		return "only n1"
	}
	return fmt.Sprintf("n1 to n%d", len(st.Nodes))
}

// NodeError says why something cannot be done with a node.
type NodeError struct {
	Node, Problem string
	// Unsafe is set if it could be done, and would destroy what is in use.
	Unsafe bool
}

func (e *NodeError) Error() string { return fmt.Sprintf("node %s %s", e.Node, e.Problem) }
