package local

import (
	"fmt"
	"net"
	"strconv"
)

const (
	// NodesMax bounds a local cluster: beyond it one machine tests little but
	// its own scheduler.
	NodesMax = 64
	// PortsPerNode is the distance between the base ports of two nodes.
	PortsPerNode = 10
	portMax      = 65535
)

// Shape is what a cluster looks like. In [Options] a zero field means "as it
// is, or the default".
type Shape struct {
	Nodes, Zones, BasePort int
}

// DefaultShape is the cluster that Start makes when nothing is asked for.
func DefaultShape() Shape { return Shape{Nodes: 5, Zones: 3, BasePort: 7400} }

// Validate reports the first thing that is wrong with the shape of a new cluster.
func (s Shape) Validate() error {
	if err := checkCount(s.Nodes); err != nil {
		return err
	}
	if s.Zones < 1 || s.Zones > s.Nodes {
		return fmt.Errorf("%d zones for %d nodes: use 1 to %d (--zones)", s.Zones, s.Nodes, s.Nodes)
	}
	return s.checkRoom(s.Nodes)
}

func checkCount(nodes int) error {
	if nodes < 1 || nodes > NodesMax {
		return fmt.Errorf("a local cluster of %d nodes: use 1 to %d (--nodes)", nodes, NodesMax)
	}
	return nil
}

// checkRoom refuses a base port from which the node of the highest number has no ports.
func (s Shape) checkRoom(highest int) error {
	last := s.addresses(highest).HTTP
	if s.BasePort < 1 || last > portMax {
		return fmt.Errorf("node n%d, counted from port %d, needs ports up to %d: choose a base port from 1 to %d (--base-port)",
			highest, s.BasePort, last, portMax-(last-s.BasePort))
	}
	return nil
}

// over completes s: first from what is there, then from the defaults. Zones
// that nobody asked for never exceed the nodes.
func (s Shape) over(base Shape) Shape {
	if s.Nodes == 0 {
		s.Nodes = base.Nodes
	}
	if s.Zones == 0 {
		s.Zones = min(base.Zones, s.Nodes)
	}
	if s.BasePort == 0 {
		s.BasePort = base.BasePort
	}
	return s
}

// Ports are those of one node.
type Ports struct {
	Client, Peer, Gossip, HTTP int
}

// addresses are the ports of the node of a number, from 1.
func (s Shape) addresses(number int) Ports {
	p := s.BasePort + PortsPerNode*(number-1)
	return Ports{Client: p, Peer: p + 1, Gossip: p + 2, HTTP: p + 3}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
