package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/local"
)

const (
	// NodesMax is how many nodes a network can have.
	NodesMax = 200
	// packetsHeldMax bounds the packets that are late (N5).
	packetsHeldMax = 20_000
	// packetBytesMax is the largest packet there is.
	packetBytesMax = 64 << 10
)

// Network is the network of a sandbox. Its methods may be called from several
// goroutines.
type Network struct {
	places []local.Place
	spaces []*os.File
	// wires has the end of every node, and of the clients behind them.
	wires []*os.File
	rules atomic.Pointer[[]Weather]
	mu    sync.Mutex // of those who change rules
	held  atomic.Int64

	passed, lost, doubled, spoilt, late atomic.Uint64
	readers                             sync.WaitGroup
}

// Stats counts packets between nodes.
type Stats struct {
	// Passed arrived, Lost did not, Doubled arrived twice, Spoilt arrived with a
	// wrong bit, Late arrived later than they could have.
	Passed, Lost, Doubled, Spoilt, Late uint64
}

// New makes a network for nodes and clients. Its addresses are those that are set
// aside for measurements (RFC 2544); in a sandbox they cannot be anybody's.
func New(nodes int) (*Network, error) {
	if nodes < 1 || nodes > NodesMax {
		return nil, fmt.Errorf("netns: a network of %d nodes: use 1 to %d", nodes, NodesMax)
	}
	if err := settle(); err != nil {
		return nil, err
	}
	n := &Network{}
	n.rules.Store(fair(nodes))
	for i := range nodes {
		wire, space, err := newWire(address(i))
		if err != nil {
			return nil, errors.Join(err, n.Close())
		}
		n.wires, n.spaces = append(n.wires, wire), append(n.spaces, space)
		n.places = append(n.places, local.Place{
			Host:      address(i).String(),
			Namespace: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), space.Fd()),
		})
	}
	clients, err := layWire(address(nodes))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("netns: the wire of the clients: %w", err), n.Close())
	}
	n.wires = append(n.wires, clients)
	for i := range n.wires {
		n.readers.Go(func() { n.carry(i) })
	}
	return n, nil
}

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, byte(i + 1)}) }

func fair(nodes int) *[]Weather {
	rules := make([]Weather, nodes*nodes)
	return &rules
}

// Places are where the nodes run, for [local.Options].
func (n *Network) Places() []local.Place { return n.places }

// Set changes the weather from one node to another, both counted from 0. It is in
// force on return (N4).
func (n *Network) Set(from, to int, w Weather) {
	n.change(func(rules []Weather, nodes int) { rules[from*nodes+to] = w })
}

// Heal makes the weather fair everywhere. What is late still arrives.
func (n *Network) Heal() {
	n.change(func(rules []Weather, _ int) { clear(rules) })
}

func (n *Network) change(change func(rules []Weather, nodes int)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	rules := append([]Weather(nil), *n.rules.Load()...)
	change(rules, len(n.places))
	n.rules.Store(&rules)
}

// Stats returns the counters.
func (n *Network) Stats() Stats {
	return Stats{n.passed.Load(), n.lost.Load(), n.doubled.Load(), n.spoilt.Load(), n.late.Load()}
}

// Close takes the wires away. The namespaces go with the last process in them.
func (n *Network) Close() error {
	var errs []error
	for _, w := range n.wires {
		errs = append(errs, w.Close())
	}
	n.readers.Wait()
	for _, s := range n.spaces {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// carry takes the packets of one wire to where they belong.
func (n *Network) carry(from int) {
	random := rand.New(rand.NewPCG(rand.Uint64(), uint64(from)))
	packet := make([]byte, packetBytesMax)
	for {
		size, err := n.wires[from].Read(packet)
		if err != nil {
			return // closed
		}
		if to, ok := n.destination(packet[:size]); ok {
			n.deliver(random, from, to, packet[:size])
		}
	}
}

// destination finds the wire that a packet is for.
func (n *Network) destination(packet []byte) (int, bool) {
	if len(packet) < ipHeaderMin || packet[0]>>4 != 4 {
		return 0, false // a namespace also speaks IPv6, to nobody
	}
	const at = 16
	first := address(0).As4()
	to := int(binary.BigEndian.Uint32(packet[at:])) - int(binary.BigEndian.Uint32(first[:]))
	return to, to >= 0 && to < len(n.wires)
}

func (n *Network) deliver(random *rand.Rand, from, to int, packet []byte) {
	nodes := len(n.places)
	if from >= nodes || to >= nodes { // N3
		n.put(to, packet)
		return
	}
	w := (*n.rules.Load())[from*nodes+to]
	if w.fair() {
		n.passed.Add(1)
		n.put(to, packet)
		return
	}
	fate := w.fate(random)
	switch len(fate) {
	case 0:
		n.lost.Add(1)
		return
	case 2:
		n.doubled.Add(1)
	}
	if w.spoils(random, packet) {
		n.spoilt.Add(1)
	}
	for _, late := range fate {
		n.passed.Add(1)
		if late == 0 {
			n.put(to, packet)
			continue
		}
		n.hold(to, append([]byte(nil), packet...), late)
	}
}

// hold delivers a packet later.
func (n *Network) hold(to int, packet []byte, late time.Duration) {
	if n.held.Add(1) > packetsHeldMax {
		n.held.Add(-1)
		n.lost.Add(1)
		return
	}
	n.late.Add(1)
	time.AfterFunc(late, func() {
		n.put(to, packet)
		n.held.Add(-1)
	})
}

// put hands a packet over. One that does not fit into the queue of a wire is lost,
// as it would be anywhere.
func (n *Network) put(to int, packet []byte) { _, _ = n.wires[to].Write(packet) }
