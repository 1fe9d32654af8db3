package client

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/kindredkv/kindred/api"
)

const (
	// silenceMin is how long a node that was asked something must say nothing
	// at all before it is doubted and probed.
	silenceMin = 100 * time.Millisecond
	// probeGap is how long a node that answered a probe is left alone: slow
	// nodes have enough to do.
	probeGap = time.Second
	// stoppingFor is how long a node is asked last that has said that it is stopping or
	// drained: without that every request to it would cost a retry.
	stoppingFor = 2 * time.Second
	// silenceMax is how long a probe waits before the connection is replaced. A
	// connection whose packets vanish would otherwise sit in TCP's back-off
	// long after a cut has healed.
	silenceMax = 3 * time.Second
	// pingAfter is how long a gRPC connection with a call on it may say nothing before
	// it is pinged. Pipelines are probed sooner, but where they are native links nobody
	// would notice that the connection beside them, which scans and buckets take, has
	// died alone. Less than this gRPC does not accept.
	pingAfter = 10 * time.Second
	// handshakeMax bounds the opening of one connection.
	handshakeMax = 2 * time.Second
	// bulkBytes is the value size from which a put travels on a stream of its
	// own, so that small calls do not wait behind it.
	bulkBytes = 64 << 10
	// The flow-control windows of a stream and of a connection.
	streamWindowBytes     = 1 << 20
	connectionWindowBytes = 4 << 20
)

// rank orders nodes by how much is to be hoped of them; less is better.
type rank int

const (
	healthy rank = iota // connected, and it answers
	unmet               // not tried yet
	doubted             // lost, silent, or given up by the other nodes
)

// String is the word for a rank in metrics.
func (r rank) String() string { return [...]string{"healthy", "unmet", "doubted"}[r] }

// node is one node as this client knows it: a connection, its pipelines, and
// whether it seems to work.
type node struct {
	name string
	// addr is where it is dialled, advertised where it says it is. They differ
	// when it was found through a tunnel or another name.
	addr, advertised string

	settings *settings
	epoch    time.Time // askedAt counts from here, and is never 0
	onBreak  func(*node, error)

	small, bulk *pipeline
	load        atomic.Int64 // calls on their way
	gone        atomic.Bool  // the other nodes call it dead
	met         atomic.Bool  // a stream was opened or failed to
	silent      atomic.Bool  // it was asked and says nothing
	stopping    atomic.Int64 // until when it is asked last, having said that it stops or is drained
	askedAt     atomic.Int64 // first question since it spoke last; 0 for none
	silentAt    atomic.Int64 // when silent became true

	// cluster is the one that the node is to belong to, nil before that is known.
	cluster atomic.Pointer[string]

	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	conn     *grpc.ClientConn
	bulkOnce sync.Once
	ctx      context.Context
	// links are the native links that are open.
	links map[*linkStream]bool
	// grpcUntil is until when the node is not asked for a link, since it did not
	// speak one.
	grpcUntil time.Time
}

// startNode makes a node of a cluster, which may not be known yet, and begins to connect.
func startNode(name, cluster string, at place, s *settings, onBreak func(*node, error)) (*node, error) {
	n := &node{name: name, addr: at.addr, advertised: at.advertised, settings: s, epoch: time.Now().Add(-1), onBreak: onBreak}
	n.cluster.Store(&cluster)
	conn, err := connect(at.addr, s, n.wantedCluster)
	if err != nil {
		return nil, err
	}
	n.conn = conn
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.small = newPipeline(s.outstanding, n)
	n.bulk = newPipeline(s.outstanding, bulkPeer{n})
	n.wg.Go(func() { n.small.run(n.ctx) })
	return n, nil
}

// wantedCluster is the cluster that the node is to belong to, empty if that is not known
// yet: its address may be that of another node by now, or its disk not its own.
func (n *node) wantedCluster() string {
	if id := n.cluster.Load(); id != nil {
		return *id
	}
	return ""
}

// line is the pipeline for a call of a size. The one for large values is
// started when it is first needed.
func (n *node) line(bytes int) *pipeline {
	if bytes < bulkBytes {
		return n.small
	}
	n.bulkOnce.Do(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.ctx.Err() != nil {
			n.bulk.drop(errRetired, true, true)
			return
		}
		n.wg.Go(func() { n.bulk.run(n.ctx) })
	})
	return n.bulk
}

// rank says how much is to be hoped of the node now.
func (n *node) rank() rank {
	switch {
	case n.silent.Load() || n.isStopping(time.Now()):
		return doubted
	case n.small.up.Load():
		return healthy // our own connection knows better than gossip
	case n.small.resting.Load() && !n.gone.Load():
		return healthy // when we last spoke
	case n.met.Load() || n.gone.Load():
		return doubted
	}
	return unmet
}

// stops notes that the node refuses requests because it stops or is drained. The first
// request after a while finds out whether it still does: a drain can be undone.
func (n *node) stops(now time.Time) { n.stopping.Store(int64(now.Add(stoppingFor).Sub(n.epoch))) }

func (n *node) isStopping(now time.Time) bool {
	until := n.stopping.Load()
	return until != 0 && int64(now.Sub(n.epoch)) < until
}

// asked notes that the node owes an answer.
func (n *node) asked(now time.Time) {
	if n.askedAt.Load() == 0 {
		n.askedAt.CompareAndSwap(0, int64(now.Sub(n.epoch)))
	}
}

// doubt is told that an attempt takes too long. If the node has said nothing
// at all since it was asked, it is avoided until it speaks, and probed: it may
// be frozen, cut off, or merely slow with what little it was asked.
func (n *node) doubt(now time.Time) {
	at := n.askedAt.Load()
	if at == 0 || now.Sub(n.epoch)-time.Duration(at) < silenceMin || n.silent.Load() {
		return
	}
	n.silentAt.Store(int64(now.Sub(n.epoch)))
	if n.silent.Swap(true) {
		return
	}
	n.settings.log.Warn("a node is silent", "node", n.name, "addr", n.addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() == nil {
		n.wg.Go(n.probe)
	}
}

// lifeless reports whether a silent node has had the time to answer its probe
// and did not.
func (n *node) lifeless(now time.Time) bool {
	return n.silent.Load() && now.Sub(n.epoch)-time.Duration(n.silentAt.Load()) >= silenceMin
}

// probe finds out whether a silent node lives, and replaces its connection if
// it does not answer.
func (n *node) probe() {
	ctx, cancel := context.WithTimeout(n.ctx, silenceMax)
	defer cancel()
	if n.answers(ctx) {
		n.heard(false)
		n.asked(time.Now().Add(probeGap))
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil || !n.silent.Load() {
		return
	}
	fresh, err := connect(n.addr, n.settings, n.wantedCluster)
	if err != nil {
		return // the address was good before: the old connection stays
	}
	n.conn.Close()
	n.conn = fresh
}

// open implements peer.
func (n *node) open(ctx context.Context) (stream, error) {
	s, err := n.openStream(ctx)
	if err != nil {
		n.met.Store(true)
	}
	return s, err
}

// opened implements peer. A stream opens only on a connection whose other side
// has spoken.
func (n *node) opened(owing bool) {
	n.met.Store(true)
	n.heard(owing)
}

// heard implements peer.
func (n *node) heard(owing bool) {
	n.askedAt.Store(0)
	if owing {
		n.asked(time.Now())
	}
	if n.silent.Load() && n.silent.Swap(false) {
		n.settings.log.Info("a node speaks again", "node", n.name, "addr", n.addr)
	}
}

// broke implements peer.
func (n *node) broke(err error) {
	n.met.Store(true)
	n.onBreak(n, err)
}

func (n *node) connection() *grpc.ClientConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conn
}

// close ends the pipelines and the connection, and waits for them.
func (n *node) close() {
	n.mu.Lock()
	n.cancel()
	n.conn.Close()
	n.mu.Unlock()
	n.wg.Wait()
	// A pipeline that never ran has nobody else to refuse its calls.
	n.bulkOnce.Do(func() { n.bulk.drop(errRetired, true, true) })
}

// bulkPeer is a node to its second pipeline, which has no say in whether the node
// works: what it carries is slow by itself.
type bulkPeer struct{ *node }

func (bulkPeer) opened(bool) {}
func (bulkPeer) broke(error) {}

// bearer shows a token with every call.
type bearer string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (bearer) RequireTransportSecurity() bool { return true }

// connect prepares a connection; gRPC dials when it is first used and again
// after every loss. Whoever answers is to belong to that cluster, nil for any.
func connect(addr string, s *settings, cluster func() string) (*grpc.ClientConn, error) {
	secrets := insecure.NewCredentials()
	if s.tls != nil {
		secrets = credentials.NewTLS(s.tls)
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(secrets),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(), // or every name is looked up twice
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(api.ResponseBytesMax), grpc.MaxCallSendMsgSize(api.RequestBytesMax)),
		grpc.WithInitialWindowSize(streamWindowBytes),
		grpc.WithInitialConnWindowSize(connectionWindowBytes),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: silenceMax}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: reconnectMin, Multiplier: 1.6, Jitter: 0.2, MaxDelay: reconnectMax},
			MinConnectTimeout: handshakeMax,
		}),
	}
	if s.token != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(bearer(s.token)))
	}
	if cluster != nil {
		opts = append(opts, naming(cluster)...)
	}
	target := addr
	if s.dial != nil {
		target = "passthrough:///" + addr
		opts = append(opts, grpc.WithContextDialer(s.dial))
	}
	return grpc.NewClient(target, opts...)
}
