package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/server"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/pebblestore"
	"github.com/kindredkv/kindred/transport"
	"github.com/kindredkv/kindred/transport/faults"
	"github.com/kindredkv/kindred/wire"
)

// Node is one running node.
type Node struct {
	cfg     Config
	log     *slog.Logger
	started time.Time
	self    incarnation

	store   *pebblestore.Store
	commit  *committer
	workers []*worker
	spoilt  *quarantine
	// recorder is nil if nothing is recorded.
	recorder *recorder
	// auditors are the workers once there are all, for what the store reports.
	auditors atomic.Pointer[[]*worker]
	// corruptions counts what the store has said of damage.
	corruptions atomic.Uint64
	keeper      *security.Keeper
	changing    sync.Mutex // while changed files are taken up
	transport   *transport.Transport
	faults      *faults.Network // nil without fault injection
	control     *control
	server      *server.Server
	serving     sync.WaitGroup
	addrs       addresses

	layout atomic.Pointer[ring.Layout]
	// removed: this node has no place in the cluster any more.
	removed atomic.Bool
	// unsettled is since when the layout changes, nil if it does not.
	unsettled atomic.Pointer[time.Time]
	// taken is what this node is sent while owners change.
	taken transfers
	// throttle holds back what it sends others.
	throttle *throttle
	// recovered counts the shards that have begun to work by a layout.
	recovered atomic.Int32
	malformed atomic.Uint64
	full      atomic.Pointer[kindred.Error]
	// untrusted says which partitions are not read here, nil if all are.
	untrusted atomic.Pointer[string]
	// draining: requests of clients are refused because somebody ordered it.
	draining atomic.Bool
	// ordered: a client has told the node to stop.
	ordered atomic.Bool
	// greeted is set once the node has its links, or has waited for them enough.
	greeted atomic.Bool
	// manySiblings is the count that was last logged; only the control
	// goroutine touches it.
	manySiblings uint64

	quit     chan struct{}
	stopOnce sync.Once
	// unreadable: it fails because the store lacks rows that every start needs.
	unreadable atomic.Bool
	failOnce   sync.Once
	failed     chan struct{}
	err        error
	done       chan struct{}
}

// addresses is where the node listens.
type addresses struct {
	client, peer, gossip, http string
}

func defaultShards() int { return max(1, min(runtime.GOMAXPROCS(0), 16)) }

// Start brings up a node and returns when it listens everywhere. It may still
// be waiting for the cluster to form: see [Node.AwaitReady]. Several nodes may run
// in one process. The context bounds nothing but the start; the node runs until
// Stop, or until it fails ([Node.Done]). Errors are a *[ConfigError], or name the
// setting whose address, folder or file cannot be used.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg.paced(), log: cfg.Logger, started: time.Now(), throttle: newThrottle(cfg.TransferBytes, cfg.TransferSlowdown),
		quit: make(chan struct{}), failed: make(chan struct{}), done: make(chan struct{}),
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	n.log = n.log.With("node", cfg.Name)
	if err := n.start(ctx); err != nil {
		n.suspect(err)
		n.err = err
		n.release(context.Background())
		var aside *AsideError
		if errors.As(n.err, &aside) {
			n.log.Error("the node starts once more, with an empty store, and is rebuilt from the others", "error", aside)
			return Start(ctx, cfg)
		}
		return nil, n.err
	}
	go n.watch()
	return n, nil
}

func (n *Node) start(ctx context.Context) error {
	if err := n.openSecurity(); err != nil {
		return err
	}
	if err := n.openStore(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil { // opening may have taken long: a log is replayed
		return fmt.Errorf("node: the start was called off: %w", err)
	}
	n.serving.Go(n.reclaim)
	n.commit = startCommitter(n.store, n.fail)
	n.spoilt = newQuarantine(n.store, n.discarded)
	if err := n.beginRecording(); err != nil {
		return err
	}
	for i := range n.cfg.Shards {
		reel, tape := n.recorder.reel(i)
		shard := recording.New(core.Config{Node: n.cfg.Name, Start: n.self.Actor, Clean: n.self.Clean, Limits: n.cfg.Limits}, tape)
		w := newWorker(shard, n.store, n.spoilt, n.commit, n, n.cfg.Shards, reel, n.fail)
		w.waits = &n.throttle.waits
		n.workers = append(n.workers, w)
		go w.run(n.quit)
	}
	n.auditors.Store(&n.workers)
	clients, err := net.Listen("tcp", n.cfg.ClientAddr)
	if err != nil {
		return listenError("client-addr", n.cfg.ClientAddr, err)
	}
	web, err := net.Listen("tcp", n.cfg.HTTPAddr)
	if err != nil {
		clients.Close()
		return listenError("http-addr", n.cfg.HTTPAddr, err)
	}
	if err := n.beginFaults(); err != nil {
		clients.Close()
		web.Close()
		return err
	}
	n.addrs = addresses{client: clients.Addr().String(), http: web.Addr().String()}
	if err := n.join(); err != nil {
		clients.Close()
		web.Close()
		return err
	}
	return n.serve(clients, web)
}

// openStore opens the data folder and begins this start's incarnation.
func (n *Node) openStore() error {
	options := n.cfg.Store
	options.Logger = n.log
	options.OnFatal = func(err *storage.FailedError) { n.fail(err) }
	options.OnCorruption = func(err *storage.CorruptError) {
		if met := n.corruptions.Add(1); met&(met-1) == 0 { // each read that meets it says so
			n.log.Error("a stored block is corrupt; its keys are not served by this node until they are restored from others", "error", err, "met", met)
		}
		n.auditRange(err.Low, err.High)
	}
	store, err := n.openOrSetAside(options)
	if err != nil {
		return folderError(err)
	}
	n.store = store
	if err := claimFolder(store, n.cfg.DataDir, n.cfg.Name); err != nil {
		return err
	}
	if err := n.cfg.tryAddrs(); err != nil {
		return err
	}
	n.self, err = beginIncarnation(store, store.DiskID(), rand.Reader)
	if err != nil {
		return err
	}
	n.log.Info("data folder opened", "dir", n.cfg.DataDir, "start", n.self.Start, "actor", n.self.Actor.String(), "stopped_in_order", n.self.Clean)
	return nil
}

// serve opens the doors for clients.
func (n *Node) serve(clients, web net.Listener) error {
	registry := prometheus.NewRegistry()
	n.register(registry)
	config := server.Config{Backend: n, Repairs: n, Holder: n, Drainer: n, Founder: n, Planner: n, Buckets: n, Security: n.keeper, GRPCOnly: n.cfg.GRPCOnly, Logger: n.log, Registerer: registry, Gatherer: registry}
	if n.faults != nil {
		config.Faults = n
	}
	s, err := server.New(config)
	if err != nil {
		clients.Close()
		web.Close()
		return err
	}
	n.server = s
	n.watchSecurity()
	n.serving.Go(func() { n.serveDoor("gRPC", s.ServeGRPC, clients) })
	n.serving.Go(func() { n.serveDoor("HTTP", s.ServeHTTP, web) })
	n.log.Info("listening", "client", n.addrs.client, "peer", n.addrs.peer, "gossip", n.addrs.gossip, "http", n.addrs.http)
	return nil
}

func (n *Node) serveDoor(door string, serve func(net.Listener) error, l net.Listener) {
	err := serve(l)
	select {
	case <-n.quit:
	default:
		if err != nil {
			n.fail(fmt.Errorf("node: the %s door closed: %w", door, err))
		}
	}
}

// Send and SendBulk make the node the sender of its workers.
func (n *Node) Send(to string, msg []byte) error {
	n.noteAnswer(msg)
	return n.transport.Send(to, msg)
}

// SendBulk sends on the bulk link.
func (n *Node) SendBulk(to string, msg []byte) error {
	n.noteAnswer(msg)
	return n.transport.SendBulk(to, msg)
}

// noteAnswer counts what others are sent who ask for what they lack.
func (n *Node) noteAnswer(msg []byte) {
	if kind, _, err := wire.Peek(msg); err == nil && (kind == wire.KindRebuildPage || kind == wire.KindPieces) {
		n.throttle.answered(len(msg))
	}
}

// setPhase makes every shard work by the phase, recovering the replicas that it gives to
// this node and that it has not read yet. The layouts in it are durable by now. A node
// that is ready stays so: the shards serve all along what they have.
func (n *Node) setPhase(phase *ring.Phase) {
	layout := phase.Tip()
	owned := phase.Owned(n.cfg.Name, layout.Replicas())
	n.spoilt.own(owned, uint8(layout.Replicas()))
	n.taken.begin(phase, n.cfg.Name)
	for i, w := range n.workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) {
			recovered, err := n.recover(s, i, owned, uint8(layout.Replicas()))
			if err != nil {
				n.suspect(err)
				w.broken = err
				return
			}
			w.work(s, phase, recovered)
			if !w.begun {
				w.begun = true
				n.recovered.Add(1)
			}
		})
	}
	n.removed.Store(phase.Removed())
	n.layout.Store(layout)
}

// recover reads the replicas that fall to shard i and that it does not hold.
func (n *Node) recover(s *recording.Shard, i int, owned []ring.Partition, copies uint8) ([]*replica.Replica, error) {
	lacks := func(p ring.Partition) bool {
		return int(p)%len(n.workers) == i && !s.Has(replica.ID{Partition: uint32(p), N: copies})
	}
	if n.workers[i].begun && !slices.ContainsFunc(owned, lacks) {
		return nil, nil
	}
	snapshot, err := n.store.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snapshot.Close()
	mine := func(partition uint32) bool { return int(partition)%len(n.workers) == i }
	if err := s.RecoverHints(snapshot, mine); err != nil {
		return nil, err
	}
	if err := s.RecoverPromises(snapshot, mine); err != nil {
		return nil, err
	}
	if !n.workers[i].begun {
		former, err := n.former(snapshot, owned, copies)
		if err != nil {
			return nil, err
		}
		owned = append(slices.Clone(owned), former...)
	}
	var recovered []*replica.Replica
	for _, p := range owned {
		id := replica.ID{Partition: uint32(p), N: copies}
		if !lacks(p) {
			continue
		}
		r, err := s.Recover(id, snapshot)
		if err != nil {
			return nil, err
		}
		recovered = append(recovered, r)
		s.Flush()
		n.workers[i].reel.await() // nobody waits for a shard that starts
	}
	return recovered, nil
}

// fail stops the node for a reason that no request can mend.
func (n *Node) fail(err error) {
	n.failOnce.Do(func() {
		n.err = err
		n.log.Error("the node stops", "error", err)
		close(n.failed)
	})
}

// watch ends the node when it fails.
func (n *Node) watch() {
	<-n.failed
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = n.Stop(ctx)
}

// Done is closed when the node has stopped, for whatever reason.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is why the node failed, once Done is closed; nil after a Stop.
func (n *Node) Err() error {
	select {
	case <-n.failed:
		if errors.Is(n.err, errStopped) {
			return nil
		}
		return n.err
	default:
		return nil
	}
}

var errStopped = errors.New("node: stopped")

// Stop drains the node: new requests are refused, those in progress answered,
// clocks saved, everything synced. It returns when the node is down and nothing of
// it is left running; when ctx ends before every request was answered, those that
// are left are cut off. Stopping twice is harmless. The error is that of [Node.Err].
func (n *Node) Stop(ctx context.Context) error {
	n.stopOnce.Do(func() {
		n.log.Info("stopping")
		n.release(ctx)
		n.failOnce.Do(func() { n.err = errStopped; close(n.failed) })
		close(n.done)
	})
	<-n.done
	return n.Err()
}

// release takes down what was built, in the reverse order of its building. It
// serves an unfinished start as well.
func (n *Node) release(ctx context.Context) {
	for _, w := range n.workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) { s.Drain() })
	}
	if n.server != nil {
		n.end("answering clients", func() {
			if err := n.server.Shutdown(ctx); err != nil {
				n.log.Warn("not every request was answered before the end", "error", err)
			}
		})
	}
	if n.control != nil {
		n.end("leaving the gossip", n.control.stop)
	}
	close(n.quit)
	for _, w := range n.workers {
		n.end("saving clocks", w.stop)
	}
	if n.recorder != nil {
		n.end("closing the recording", n.recorder.end)
	}
	if n.transport != nil {
		n.end("closing links", func() { _ = n.transport.Close() })
	}
	if n.faults != nil {
		n.faults.Close()
	}
	n.end("closing doors", n.serving.Wait)
	if n.commit != nil {
		n.end("the last sync", n.commit.stop)
		n.end("noting that all is on the disk", n.leaveMark)
	}
	if n.store != nil {
		n.end("closing the data folder", n.closeStore)
	}
}

// stopPatience is how long one part of a stop may take before the log says that
// it is what the others wait for.
const stopPatience = 3 * time.Second

func (n *Node) end(what string, do func()) {
	late := time.AfterFunc(stopPatience, func() { n.log.Warn("still stopping", "waiting_for", what) })
	defer late.Stop()
	do()
}

func (n *Node) closeStore() {
	if err := n.store.Close(); err != nil && n.store.Failed() == nil {
		n.log.Error("closing the data folder", "error", err)
	}
	n.setAside()
}
