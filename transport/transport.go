package transport

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/transport/faults"
	"github.com/kindredkv/kindred/transport/lobby"
)

// Transport is a node's end of all its links. Its methods may be called from
// any goroutine.
type Transport struct {
	cfg    Config
	log    *slog.Logger
	start  time.Time
	frames framePool

	ctx      context.Context
	cancel   context.CancelFunc
	listener net.Listener
	serving  sync.WaitGroup

	// peers is replaced, never changed, so that Send reads it without a lock.
	peers atomic.Pointer[map[string]*peer]
	// change serialises SetPeers and Close.
	change  sync.Mutex
	closed  bool
	leaving sync.WaitGroup

	// lobby has those who dialled and have not said hello yet.
	lobby   *lobby.Lobby
	linksIn atomic.Int64
	inMu    sync.Mutex
	in      map[string]*inbound
	// strangers limits what is logged of those without a name.
	strangers security.Strangers
}

// Listen starts a transport that has no peers yet.
func Listen(cfg Config) (*Transport, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	listener := cfg.Listener
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", cfg.Addr); err != nil {
			return nil, fmt.Errorf("transport: cannot listen for peers: %w", err)
		}
	}
	if cfg.Faults != nil {
		listener = cfg.Faults.Listener(listener)
	}
	t := &Transport{
		cfg: cfg, log: cfg.Logger, start: time.Now(), listener: listener,
		in: map[string]*inbound{"": {}},
	}
	t.lobby = lobby.New(lobby.Limits{Max: cfg.StrangersMax, Patience: cfg.DialTimeout, BytesMax: strangerBytesMax}, "peer", t.log)
	t.frames.largest = 2 * cfg.FrameBytesMax
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.peers.Store(&map[string]*peer{})
	t.serving.Go(t.accept)
	return t, nil
}

// Addr is the address that the transport listens on.
func (t *Transport) Addr() string { return t.listener.Addr().String() }

// SetPeers says whom to keep dialled, by name and address. Links to others end
// once they have sent what they hold; a peer whose address changed is dialled
// at the new one.
func (t *Transport) SetPeers(addrs map[string]string) {
	t.change.Lock()
	defer t.change.Unlock()
	if t.closed {
		return
	}
	old, next := *t.peers.Load(), map[string]*peer{}
	for name, addr := range addrs {
		if p := old[name]; p != nil && p.addr == addr {
			next[name] = p
			continue
		}
		next[name] = newPeer(t, name, addr)
	}
	t.peers.Store(&next)
	for name, p := range old {
		if next[name] != p {
			t.release(p)
		}
	}
}

// release ends a peer in the background, within DrainMax.
func (t *Transport) release(p *peer) {
	p.drain()
	late := time.AfterFunc(t.cfg.DrainMax, p.stop)
	t.leaving.Go(func() {
		p.done.Wait()
		late.Stop()
		p.stop()
	})
}

// Send queues a copy of msg for a peer and returns at once. A nil error means
// that it was queued, not that it will arrive. Errors are *[QueueFullError],
// *[UnreachableError] and *[TooLargeError].
func (t *Transport) Send(to string, msg []byte) error { return t.send(to, Messages, msg) }

// SendBulk is Send on the lane for transfers.
func (t *Transport) SendBulk(to string, msg []byte) error { return t.send(to, Bulk, msg) }

func (t *Transport) send(to string, lane Lane, msg []byte) error {
	if len(msg) > MessageBytesMax {
		return &TooLargeError{Peer: to, Size: len(msg), Limit: MessageBytesMax}
	}
	p := (*t.peers.Load())[to]
	if p == nil {
		return &UnreachableError{Peer: to}
	}
	switch p.lanes[lane].queue.add(msg) {
	case queueFull:
		return &QueueFullError{Peer: to, Limit: t.cfg.queueBytesMax(lane)}
	case noLink:
		return &UnreachableError{Peer: to, Known: true}
	}
	return nil
}

// Linked reports whether messages can be sent to a peer now.
func (t *Transport) Linked(name string) bool {
	p := (*t.peers.Load())[name]
	return p != nil && p.lanes[Messages].queue.isOpen()
}

// Close stops taking messages, gives the links up to DrainMax to send what they
// hold, and ends everything. No callback runs after it returned.
func (t *Transport) Close() error {
	t.change.Lock()
	if t.closed {
		t.change.Unlock()
		return nil
	}
	t.closed = true
	peers := *t.peers.Swap(&map[string]*peer{})
	for p := range maps.Values(peers) {
		t.release(p)
	}
	t.change.Unlock()
	t.leaving.Wait()
	t.cancel()
	err := t.listener.Close()
	t.serving.Wait()
	return err
}

// since is the time since the start, which no clock change disturbs.
func (t *Transport) since() time.Duration { return time.Since(t.start) }

func (t *Transport) hello(lane Lane, to string) hello {
	return hello{
		VersionMin: frameVersion, VersionMax: frameVersion,
		Lane: lane, Cluster: t.cfg.ClusterID(), Name: t.cfg.Name, To: to,
	}
}

// inboundOf is the record of a peer that dials this node, nil if there are too
// many.
func (t *Transport) inboundOf(name string) *inbound {
	t.inMu.Lock()
	defer t.inMu.Unlock()
	in := t.in[name]
	if in == nil && len(t.in) < NamesMax {
		in = &inbound{}
		t.in[name] = in
	}
	return in
}

// dial connects to a peer.
func (t *Transport) dial(ctx context.Context, peer, addr string) (net.Conn, error) {
	if t.cfg.Faults == nil {
		return t.cfg.Dial(ctx, addr)
	}
	return t.cfg.Faults.Dial(ctx, faults.Named(peer), func(ctx context.Context) (net.Conn, error) {
		return t.cfg.Dial(ctx, addr)
	})
}
