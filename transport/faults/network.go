package faults

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Network carries a plan out. Its methods may be called from any goroutine.
type Network struct {
	rules  atomic.Pointer[rules]
	change sync.Mutex

	lostPackets, stalledDials atomic.Uint64
}

// rules are a plan made ready for use. They are replaced, never changed.
type rules struct {
	plan Plan
	cuts map[Peer]Cut
	// changed is closed when other rules are in force.
	changed chan struct{}
	// ended: nothing is held any more, it is thrown away.
	ended bool
}

// Stats counts what faults have done.
type Stats struct {
	// LostPackets were swallowed by cuts, or found too many others waiting.
	LostPackets uint64
	// StalledDials are attempts to connect that met a cut.
	StalledDials uint64
}

// Peer is the other end of a connection or the other side of a packet. The zero
// value is someone unknown.
type Peer struct {
	name   string
	gossip netip.AddrPort
}

// Named is a peer on data links.
func Named(name string) Peer { return Peer{name: name} }

// Gossiping is a peer in gossip, by its gossip address, IP:port. Another form
// of address is someone unknown.
func Gossiping(addr string) Peer {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return Peer{}
	}
	return Peer{gossip: netip.AddrPortFrom(at.Addr().Unmap(), at.Port())}
}

// New makes a healthy network.
func New() *Network {
	n := &Network{}
	n.rules.Store(newRules(Plan{}))
	return n
}

func newRules(p Plan) *rules {
	r := &rules{plan: p, changed: make(chan struct{}), cuts: map[Peer]Cut{}}
	for _, c := range p.Cuts {
		r.cuts[Named(c.Peer)], r.cuts[Gossiping(c.Gossip)] = c, c
	}
	return r
}

// Set replaces the plan. An error is a *[PlanError] and changes nothing.
func (n *Network) Set(p Plan) error {
	if err := p.Validate(); err != nil {
		return err
	}
	n.replace(newRules(p.clone()))
	return nil
}

// Close throws away what is held and heals the rest; no goroutine stays.
func (n *Network) Close() {
	r := newRules(Plan{})
	r.ended = true
	n.replace(r)
}

func (n *Network) replace(r *rules) {
	n.change.Lock()
	defer n.change.Unlock()
	close(n.rules.Swap(r).changed)
}

// Plan is what is wrong now.
func (n *Network) Plan() Plan {
	p := n.rules.Load().plan
	return p.clone()
}

// Stats returns the counters.
func (n *Network) Stats() Stats {
	return Stats{LostPackets: n.lostPackets.Load(), StalledDials: n.stalledDials.Load()}
}

// CanSend reports whether a packet reaches a peer.
func (n *Network) CanSend(p Peer) bool { return !n.rules.Load().cuts[p].NoSend }

// CanReceive reports whether a packet of a peer reaches this node.
func (n *Network) CanReceive(p Peer) bool { return !n.rules.Load().cuts[p].NoReceive }

// Hear waits until what a peer sends reaches this node: for what was received
// before it was known from whom.
func (n *Network) Hear(ctx context.Context, p Peer) error {
	for {
		r := n.rules.Load()
		if !r.cuts[p].NoReceive {
			return nil
		}
		select {
		case <-r.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// LosePacket counts a packet that its owner has thrown away.
func (n *Network) LosePacket() { n.lostPackets.Add(1) }

// Delay is how late everything goes out now.
func (n *Network) Delay() time.Duration { return n.rules.Load().plan.Delay }

// AwaitDelay waits until something that was sent at a time is late enough to go
// out. It reports false if done came first.
func (n *Network) AwaitDelay(done <-chan struct{}, sent time.Time) bool {
	for {
		r := n.rules.Load()
		rest := time.Until(sent.Add(r.plan.Delay))
		if rest <= 0 {
			return true
		}
		timer := time.NewTimer(rest)
		select {
		case <-timer.C:
		case <-r.changed:
		case <-done:
			timer.Stop()
			return false
		}
		timer.Stop()
	}
}

// Dial connects to a peer. The handshake needs both directions, so through any
// cut it hangs until the cut or ctx ends.
func (n *Network) Dial(ctx context.Context, p Peer, dial func(context.Context) (net.Conn, error)) (net.Conn, error) {
	stalled := false
	for {
		r := n.rules.Load()
		if _, cut := r.cuts[p]; !cut {
			break
		}
		if !stalled {
			stalled = true
			n.stalledDials.Add(1)
		}
		select {
		case <-r.changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if !n.AwaitDelay(ctx.Done(), time.Now()) {
		return nil, ctx.Err()
	}
	inner, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	return n.Conn(inner, p), nil
}

// Listener puts accepted connections under the plan. Who is at the other end is
// for [Identify] to say.
func (n *Network) Listener(l net.Listener) net.Listener { return &listener{l, n} }

type listener struct {
	net.Listener
	network *Network
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.network.Conn(c, Peer{}), nil
}

// remoteAddr is the address of the other end, and leads back to the connection:
// those who learn who is at the other end have only the address.
type remoteAddr struct {
	net.Addr
	conn *conn
}

// Identify says who is at the other end of the connection with that remote
// address. Other addresses are left alone.
func Identify(remote net.Addr, p Peer) {
	if a, ours := remote.(*remoteAddr); ours {
		a.conn.peer.Store(&p)
	}
}
