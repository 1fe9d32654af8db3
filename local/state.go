package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
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
	TLS bool `json:"tls,omitempty"`
	// Used is the highest number that a node has ever had, 0 while none was added or
	// removed: all nodes are then those that make the first layout.
	Used  int          `json:"used,omitempty"`
	Nodes []nodeRecord `json:"nodes"`
}

// nodeRecord is one node; its addresses follow from the number in its name.
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
			Name: nodeName(i + 1),
			Zone: zoneName(i%s.Zones + 1),
		})
		if len(places) > 0 {
			st.Nodes[i].Place = places[i]
		}
	}
	return st
}

func nodeName(number int) string { return fmt.Sprintf("n%d", number) }
func zoneName(number int) string { return fmt.Sprintf("z%d", number) }

// number is the one in the name, 0 if that is no name of a node.
func (n *nodeRecord) number() int {
	number, err := strconv.Atoi(strings.TrimPrefix(n.Name, "n"))
	if err != nil || n.Name != nodeName(number) {
		return 0
	}
	return number
}

// ports are those of the node at place i.
func (st *state) ports(i int) Ports { return st.shape().addresses(st.Nodes[i].number()) }

// addr is where the node at place i has a port.
func (st *state) addr(i, port int) string {
	if host := st.Nodes[i].Place.Host; host != "" {
		return net.JoinHostPort(host, strconv.Itoa(port))
	}
	return loopback(port)
}

// onLoopback are the numbers of those nodes that share this machine's ports.
func (st *state) onLoopback(places []int) (numbers []int) {
	for _, i := range places {
		if st.Nodes[i].Place.Host == "" {
			numbers = append(numbers, st.Nodes[i].number())
		}
	}
	return numbers
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
	if err := checkCount(len(st.Nodes)); err != nil {
		return err
	}
	last := 0
	for i := range st.Nodes {
		number := st.Nodes[i].number()
		if number <= last {
			return fmt.Errorf("a node is called %q: want n and a number above %d", st.Nodes[i].Name, last)
		}
		last = number
	}
	if st.Zones < 1 {
		return fmt.Errorf("%d zones: want at least 1", st.Zones)
	}
	return st.shape().checkRoom(last)
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
	last := len(st.Nodes) - 1
	switch {
	case last == 0:
		return "only " + st.Nodes[0].Name
	case st.Nodes[last].number() == last+1:
		return "n1 to " + st.Nodes[last].Name
	}
	return strings.Join(names(st.Nodes), ", ")
}

// NodeError says why something cannot be done with a node.
type NodeError struct {
	Node, Problem string
	// Unsafe is set if it could be done, and would destroy what is in use.
	Unsafe bool
}

func (e *NodeError) Error() string { return fmt.Sprintf("node %s %s", e.Node, e.Problem) }
