package local

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// PortError is a port that a node needs and somebody else has.
type PortError struct {
	Port int
	// Node and Role say who needs it.
	Node, Role string
	// Free is a base port at which the whole cluster would fit, or 0.
	Free int
	// Fixed is set if the cluster exists: its ports stay.
	Fixed bool
	Err   error
}

func (e *PortError) Error() string {
	s := fmt.Sprintf("port %d, which node %s needs for %s, cannot be used: %v", e.Port, e.Node, e.Role, e.Err)
	if errors.Is(e.Err, syscall.EADDRINUSE) {
		s = fmt.Sprintf("port %d, which node %s needs for %s, is in use by another program", e.Port, e.Node, e.Role)
	}
	if e.Fixed {
		return s + ": end that program; the ports of an existing cluster stay (another one can have another --dir and --base-port)"
	}
	if e.Free > 0 {
		return s + fmt.Sprintf(": choose another base port, for instance --base-port %d", e.Free)
	}
	return s + ": choose another base port with --base-port"
}

func (e *PortError) Unwrap() error { return e.Err }

// checkPorts tries every port of the nodes of the given numbers.
func checkPorts(s Shape, numbers []int) *PortError {
	for _, number := range numbers {
		p := s.addresses(number)
		for _, need := range []struct {
			port int
			role string
			udp  bool
		}{
			{p.Client, "clients", false},
			{p.Peer, "its peers", false},
			{p.Gossip, "gossip", true},
			{p.HTTP, "HTTP", false},
		} {
			if err := portFree(need.port, need.udp); err != nil {
				return &PortError{Port: need.port, Node: nodeName(number), Role: need.role, Err: err}
			}
		}
	}
	return nil
}

func portFree(port int, udp bool) error {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return err
	}
	defer l.Close()
	if !udp {
		return nil
	}
	u, err := net.ListenPacket("udp", loopback(port))
	if err != nil {
		return err
	}
	return u.Close()
}

// FreeBasePort finds a base port at or above from where all ports of a cluster
// of that many nodes are free now. Nothing keeps them free.
func FreeBasePort(nodes, from int) (int, error) {
	step := PortsPerNode * max(nodes, 1)
	numbers := make([]int, nodes)
	for i := range numbers {
		numbers[i] = i + 1
	}
	for base := from; ; base += step {
		s := Shape{Nodes: nodes, Zones: 1, BasePort: base}
		if err := s.Validate(); err != nil {
			return 0, fmt.Errorf("no free ports for %d nodes from %d on: %w", nodes, from, err)
		}
		if checkPorts(s, numbers) == nil {
			return base, nil
		}
	}
}
