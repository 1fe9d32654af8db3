package gossip

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// mesh is a network in memory for memberlist, which can be cut. It uses nothing
// but channels and pipes, so it works in virtual time.
type mesh struct {
	mu    sync.Mutex
	nodes map[string]*meshNode
	// sides says on which side of a cut each address is; all are on side 0
	// without one.
	sides map[string]int
}

func newMesh(t *testing.T) *mesh {
	// memberlist lets a probe that is under way at its end finish later.
	t.Cleanup(func() { time.Sleep(time.Minute) })
	return &mesh{nodes: map[string]*meshNode{}, sides: map[string]int{}}
}

// meshNode is one node's memberlist.Transport.
type meshNode struct {
	mesh    *mesh
	addr    string
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
}

// node makes the transport at an address, which replaces an earlier one there.
func (m *mesh) node(addr string) *meshNode {
	n := &meshNode{
		mesh: m, addr: addr, done: make(chan struct{}),
		packets: make(chan *memberlist.Packet, 1000), streams: make(chan net.Conn, 1000),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[addr] = n
	return n
}

// cut puts addresses on the other side.
func (m *mesh) cut(addrs ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range addrs {
		m.sides[a] = 1
	}
}

func (m *mesh) heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.sides)
}

// reach returns the node at to if from can reach it.
func (m *mesh) reach(from, to string) *meshNode {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sides[from] != m.sides[to] {
		return nil
	}
	return m.nodes[to]
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (n *meshNode) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	host, port, err := splitAddr("mesh", n.addr)
	return net.ParseIP(host), port, err
}

// WriteTo implements memberlist.Transport. Packets into a cut are lost.
func (n *meshNode) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	if to := n.mesh.reach(n.addr, addr); to != nil {
		from, err := net.ResolveUDPAddr("udp", n.addr)
		if err != nil {
			return now, err
		}
		select {
		case to.packets <- &memberlist.Packet{Buf: append([]byte(nil), b...), From: from, Timestamp: now}:
		case <-to.done:
		default:
		}
	}
	return now, nil
}

// PacketCh implements memberlist.Transport.
func (n *meshNode) PacketCh() <-chan *memberlist.Packet { return n.packets }

// DialTimeout implements memberlist.Transport. A dial into a cut times out.
func (n *meshNode) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	to := n.mesh.reach(n.addr, addr)
	if to == nil {
		wait := time.NewTimer(timeout)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-n.done:
		}
		return nil, fmt.Errorf("dial %s: i/o timeout", addr)
	}
	here, there := net.Pipe()
	select {
	case to.streams <- there:
		return here, nil
	case <-to.done:
		return nil, fmt.Errorf("dial %s: connection refused", addr)
	}
}

// StreamCh implements memberlist.Transport.
func (n *meshNode) StreamCh() <-chan net.Conn { return n.streams }

// Shutdown implements memberlist.Transport.
func (n *meshNode) Shutdown() error {
	n.once.Do(func() { close(n.done) })
	return nil
}
