package node

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/buckets"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/membership"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/transport"
	"github.com/kindredkv/kindred/transport/gossip"
	"github.com/kindredkv/kindred/wire"
)

// controlEvery is the time between two ticks of the control core.
const controlEvery = time.Second

// control runs the node's control core: one goroutine, fed by gossip, links,
// layouts of peers and time.
type control struct {
	node   *Node
	core   *core.Control
	gossip *gossip.Gossip

	events chan func(now time.Time)
	quit   chan struct{}
	done   chan struct{}
	once   sync.Once

	// described and peers are what the core last knew, for other goroutines.
	described atomic.Pointer[kindred.Cluster]
	peers     atomic.Pointer[[]membership.Peer]
	cluster   atomic.Pointer[[16]byte]
	// known is closed once the core has said for the first time which cluster the node
	// belongs to, if to any.
	known   chan struct{}
	buckets atomic.Pointer[buckets.Registry]
	// after is to be called once the effects of an event were carried out.
	after []func()
	// changes are those of buckets that have not been answered; only run touches
	// them.
	changes map[uint64]func(kindred.BucketChanged)
	token   uint64
}

func newControl(n *Node) *control {
	c := &control{
		node: n, events: make(chan func(time.Time), 256), quit: make(chan struct{}), done: make(chan struct{}), known: make(chan struct{}),
		changes: map[uint64]func(kindred.BucketChanged){},
	}
	c.peers.Store(&[]membership.Peer{})
	return c
}

// know notes which cluster the node belongs to, zero for none. One goroutine calls it.
func (c *control) know(id [16]byte) {
	if first := c.cluster.Swap(&id) == nil; first {
		close(c.known)
	}
}

// clusterID is what peers are greeted with: they call before the disk was read.
func (c *control) clusterID() (id [16]byte) {
	select {
	case <-c.known:
		return *c.cluster.Load()
	case <-c.done:
		return id
	}
}

// join opens the links and the gossip and starts the control core.
func (n *Node) join() error {
	c := newControl(n)
	built := make(chan struct{}) // a peer may dial as soon as there is a listener
	t, err := transport.Listen(transport.Config{
		Name: n.cfg.Name, Addr: n.cfg.PeerAddr, Logger: n.log, Faults: n.faults, Security: n.keeper,
		Receive: func(from string, batch transport.Batch) {
			<-built
			n.receive(from, batch)
		},
		ClusterID: c.clusterID,
		LinkUp:    func(peer string) { c.put(func(now time.Time) { c.core.SetOutbound(now, peer, true) }) },
		LinkDown:  func(peer string) { c.put(func(now time.Time) { c.core.SetOutbound(now, peer, false) }) },
		Inbound: func(peer string, open bool) {
			c.put(func(now time.Time) { c.core.SetInbound(now, peer, open) })
		},
	})
	if err != nil {
		return listenError("peer-addr", n.cfg.PeerAddr, err)
	}
	n.transport, n.control = t, c
	close(built)
	n.addrs.peer = t.Addr()
	if c.core, err = n.newControlCore(); err != nil {
		close(c.done)
		return err
	}
	c.know(c.core.ClusterID())
	c.core.Start(time.Now())
	first := c.core.Take()
	if c.gossip, err = n.startGossip(c, first.Announce); err != nil {
		close(c.done)
		return listenError("gossip-addr", n.cfg.GossipAddr, err)
	}
	n.addrs.gossip = c.gossip.Addr()
	first.Announce = nil
	c.perform(first)
	go c.run()
	return nil
}

func (n *Node) newControlCore() (*core.Control, error) {
	layout, err := loadMeta(n.store, metaLayout)
	if err != nil {
		return nil, err
	}
	peers, err := loadMeta(n.store, metaPeers)
	if err != nil {
		return nil, err
	}
	buckets, err := loadMeta(n.store, metaBuckets)
	if err != nil {
		return nil, err
	}
	return core.NewControl(membership.Config{
		Self: membership.Node{
			Name: n.cfg.Name, Zone: n.cfg.Zone, Capacity: n.cfg.Capacity, ReplicaID: n.store.DiskID(),
			ClientAddr: n.cfg.advertised(n.addrs.client), PeerAddr: n.cfg.advertised(n.addrs.peer),
			HTTPAddr: n.cfg.advertised(n.addrs.http),
		},
		Expect: n.cfg.Expect, Partitions: n.cfg.Partitions, Replicas: n.cfg.Replicas,
		Rates: n.usualRates(),
	}, core.Saved{Layout: layout, Peers: peers, Buckets: buckets})
}

func (n *Node) startGossip(c *control, meta []byte) (*gossip.Gossip, error) {
	return gossip.Start(gossip.Config{
		Name: n.cfg.Name, BindAddr: n.cfg.GossipAddr, AdvertiseAddr: n.cfg.Advertise,
		Meta: meta, Seeds: n.cfg.Join, Logger: n.log, Faults: n.faults, Keys: n.keeper.GossipKeys(),
		Known: func() map[string]string {
			known := map[string]string{}
			for _, p := range *c.peers.Load() {
				if p.GossipAddr != "" {
					known[p.Name] = p.GossipAddr
				}
			}
			return known
		},
		Events: func(e gossip.Event) {
			c.put(func(now time.Time) { c.core.Gossip(now, membershipEvent(e)) })
		},
	})
}

// gossipWords translates the words of gossip into those of membership.
var gossipWords = map[gossip.Kind]membership.Kind{
	gossip.Joined: membership.Joined, gossip.Updated: membership.Updated, gossip.Died: membership.Died,
	gossip.Left: membership.Left, gossip.Conflict: membership.Conflict,
}

func membershipEvent(e gossip.Event) membership.Event {
	return membership.Event{Kind: gossipWords[e.Kind], Name: e.Name, Addr: e.Addr, Meta: e.Meta, Other: e.Other}
}

// put gives the control core an event, unless it has stopped.
func (c *control) put(event func(now time.Time)) {
	select {
	case c.events <- event:
	case <-c.quit:
	}
}

func (c *control) received(from string, m wire.Message) {
	c.put(func(now time.Time) { c.core.Message(now, from, m) })
}

func (c *control) run() {
	defer close(c.done)
	tick := time.NewTicker(controlEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.quit:
			return
		case event := <-c.events:
			event(time.Now())
		case now := <-tick.C:
			c.core.Tick(now)
			c.node.checkSpace()
			c.node.checkSiblings()
			c.node.checkTrust()
			c.node.checkComplete()
			c.node.checkChange()
			c.node.throttle.look(now)
			c.node.giveUp()
		}
		c.perform(c.core.Take())
		for _, done := range c.after {
			done()
		}
		c.after = c.after[:0]
	}
}

// perform carries out effects in their order.
func (c *control) perform(out core.ControlEffects) {
	n := c.node
	for meta, value := range map[string][]byte{metaLayout: out.SaveLayout, metaPeers: out.SavePeers, metaBuckets: out.SaveBuckets} {
		if value == nil {
			continue
		}
		if err := saveMeta(n.store, meta, value); err != nil {
			n.fail(err)
			return
		}
	}
	c.know(c.core.ClusterID())
	peers := c.core.Peers()
	c.peers.Store(&peers)
	described := c.core.Describe()
	c.described.Store(&described)
	if out.Buckets != nil {
		c.setBuckets(out.Buckets)
	}
	if out.Phase != nil {
		n.setPhase(out.Phase)
	}
	for _, link := range out.Links {
		for _, w := range n.workers {
			w.inbox.put(func(now time.Time, s *recording.Shard) { s.SetLink(now, link.Peer, link.Up) })
		}
	}
	if out.Announce != nil {
		if err := c.gossip.UpdateMeta(out.Announce); err != nil {
			n.log.Warn("the news of this node could not be gossiped", "error", err)
		}
	}
	if out.Dial != nil {
		n.transport.SetPeers(out.Dial)
	}
	var buf []byte
	for _, send := range out.Sends {
		buf = deliver(n, buf, send)
	}
	c.answerChanges(out.Changes)
	for _, note := range out.Notes {
		if note.Loud {
			n.log.Warn(note.Text)
		} else {
			n.log.Info(note.Text)
		}
	}
}

// stop leaves the cluster in good order.
func (c *control) stop() {
	c.once.Do(func() { close(c.quit) })
	<-c.done
	if c.gossip == nil {
		return
	}
	if err := c.gossip.Leave(time.Second); err != nil {
		c.node.log.Warn("the others were not told that this node stops", "error", err)
	}
	if err := c.gossip.Close(); err != nil {
		c.node.log.Warn("closing the gossip", "error", err)
	}
}
