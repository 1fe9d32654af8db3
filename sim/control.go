package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/membership"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

// controlEvery is the time between two ticks of a control core, as package node has it.
const controlEvery = time.Second

// helm drives the control core of a node, as package node does it.
type helm struct {
	node *node
	core *core.Control
	// saving: a document is on its way to the disk. Everything else waits for that.
	saving  bool
	waiting []func()
}

// The rows in which a node keeps what its control core wants saved.
func layoutRow() []byte { return storage.MetaKey(nil, "layout") }
func peersRow() []byte  { return storage.MetaKey(nil, "peers") }

// controlConfig is what a node says of itself, and of a cluster to be made of so many.
func (n *node) controlConfig(expect int) membership.Config {
	self := membership.Node{
		Name: n.name, Zone: n.run.zoneOf(n.index), Capacity: 1,
		ClientAddr: n.name + ":1", PeerAddr: n.name + ":2", HTTPAddr: n.name + ":3", GossipAddr: n.name + ":4",
	}
	binary.BigEndian.PutUint64(self.ReplicaID[:], n.diskID)
	return membership.Config{Self: self, Expect: expect, Partitions: n.run.cfg.Partitions, Replicas: n.run.cfg.Replicas}
}

// steer starts the control core on what the disk holds.
func (n *node) steer() {
	saved := core.Saved{}
	saved.Layout, _ = n.store.Get(layoutRow())
	saved.Peers, _ = n.store.Get(peersRow())
	control, err := core.NewControl(n.controlConfig(0), saved)
	if err != nil {
		n.run.oracle.find("M1", "%s cannot read the layout that it saved: %v", n.name, err)
		return
	}
	n.announced, n.rebuiltFor = ring.Version{}, ring.Version{}
	n.phase, n.helm, n.meta, n.heard = nil, &helm{node: n, core: control}, nil, map[string][]byte{}
	n.helm.put(func(now time.Time, c *core.Control) { c.Start(now) })
	n.helm.tick()
}

// put gives the control core an event, once what came before is carried out.
func (h *helm) put(e func(now time.Time, c *core.Control)) {
	if h.saving {
		h.waiting = append(h.waiting, func() { h.put(e) })
		return
	}
	e(h.node.clock(), h.core)
	h.perform(h.core.Take())
}

func (h *helm) tick() {
	every := controlEvery
	if r := h.node.run; r.calm && r.steady() && h.node.hasLayout() {
		every *= 10 // nothing is left to be told, and a calm is long
	}
	h.node.later(every, func() {
		h.put(func(now time.Time, c *core.Control) { c.Tick(now) })
		h.node.gossip()
		if !h.node.run.steady() {
			h.announceComplete()
			for _, s := range h.node.shards {
				s.former()
			}
		}
		h.tick()
	})
}

// announceComplete says that the node has all that was acknowledged before its tip, once
// all its shards say so.
func (h *helm) announceComplete() {
	n := h.node
	if n.phase == nil || n.announced == n.phase.Progress().Tip {
		return
	}
	tip := n.phase.Progress().Tip
	for _, s := range n.shards {
		if of, complete := s.shard.Complete(); !complete || of != tip {
			return
		}
	}
	n.announced = tip
	if n.rebuiltFor == tip {
		n.run.hits.add(CompleteByRebuild)
	} else {
		n.run.hits.add(CompleteByExchange)
	}
	h.put(func(now time.Time, c *core.Control) { c.Complete(now, tip) })
}

// perform carries out effects: what is to be saved is durable before anything else.
func (h *helm) perform(out core.ControlEffects) {
	n := h.node
	var rows storage.Batch
	if out.SaveLayout != nil {
		rows.Set(layoutRow(), out.SaveLayout)
	}
	if out.SavePeers != nil {
		rows.Set(peersRow(), out.SavePeers)
	}
	if rows.Len() > 0 {
		if err := n.store.Apply(&rows); err != nil {
			n.run.oracle.find("S1", "%s: apply: %v", n.name, err)
		}
		n.disk.touch()
	}
	if out.SaveLayout != nil && !n.run.steady() {
		n.voting = h.core.Changes().Progress.Next != ""
	}
	if out.SaveLayout == nil {
		h.rest(out)
		return
	}
	h.saving = true
	n.disk.after(func() {
		h.saving = false
		h.rest(out)
		for len(h.waiting) > 0 && !h.saving {
			next := h.waiting[0]
			h.waiting = h.waiting[1:]
			next()
		}
	})
}

func (h *helm) rest(out core.ControlEffects) {
	n := h.node
	if out.Phase != nil {
		n.setPhase(out.Phase)
	}
	for _, link := range out.Links {
		n.run.trace.say(n.name, "link", "%s %v", link.Peer, link.Up)
		n.links[link.Peer], n.linkedAt = link.Up, n.run.agenda.now
		for _, s := range n.shards {
			s.put(func(now time.Time, shard *core.Shard) { shard.SetLink(now, link.Peer, link.Up) })
		}
	}
	if out.Announce != nil {
		n.announce(out.Announce)
	}
	for _, send := range out.Sends {
		n.run.send(n, send)
	}
}

// setPhase makes every shard work by the phase, recovering the replicas that it gives to
// this node. The layouts in it are durable by now.
func (n *node) setPhase(phase *ring.Phase) {
	n.run.trace.say(n.name, "phase", "%v", phase.Progress())
	if last := n.phase; last != nil && phase.Progress().Tip == last.Progress().Tip && phase.Progress().Step > last.Progress().Step {
		n.run.hits.add(StepTaken)
	}
	if phase.Removed() {
		n.run.hits.add(RemovedTold)
	}
	n.phase = phase
	n.own(phase)
	for _, s := range n.shards {
		if s.phase == nil { // nothing came before
			s.begin(phase)
			continue
		}
		s.put(func(time.Time, *core.Shard) { s.begin(phase) })
	}
}

// begin lets a shard work by a phase.
func (s *shell) begin(phase *ring.Phase) {
	n := s.node
	snapshot, err := n.store.Snapshot()
	if err != nil {
		n.run.oracle.find("S5", "%s: snapshot: %v", n.name, err)
		return
	}
	defer snapshot.Close()
	var recovered []*replica.Replica
	for _, id := range n.owned() {
		if n.shardOf(id.Partition) != s.number || s.shard.Has(id) {
			continue
		}
		r, err := s.shard.Recover(id, snapshot)
		if err != nil {
			n.run.oracle.find("I4", "%s cannot start on what a crash left: %v", n.name, err)
			return
		}
		n.run.oracle.gained(s, id, snapshot)
		n.run.oracle.recovered(n, r)
		if _, err := snapshot.Get(storage.ClockKey(nil, id.Partition, id.N)); err == nil {
			n.run.hits.add(RecoveredFromCheckpoint)
		}
		recovered = append(recovered, r)
	}
	s.phase = phase
	n.run.began(s, phase)
	s.shard.SetPhase(phase, recovered)
	s.plan()
	s.suspect(recovered)
}

// awaitLayouts lets every node learn the layout: one that lost its disk asks the others.
func (r *run) awaitLayouts() {
	end := r.agenda.now + settleMost
	lacks := func() *node {
		for _, n := range r.nodes {
			if !n.away && !n.hasLayout() {
				return n
			}
		}
		return nil
	}
	r.until(func() bool { return lacks() == nil || r.agenda.now > end })
	if n := lacks(); r.oracle.finding == nil && n != nil {
		r.oracle.find("M1", "%s has no layout %v after everything ended", n.name, settleMost)
	}
}

// hasLayout reports whether every shard works by a layout.
func (n *node) hasLayout() bool {
	for _, s := range n.shards {
		if s.phase == nil {
			return false
		}
	}
	return len(n.shards) > 0
}

// Gossip: what nodes tell of themselves reaches everybody who can be reached, sooner or
// later, from whoever knows it.

// announce tells the others what is new of a node.
func (n *node) announce(meta []byte) {
	n.meta = meta
	for _, peer := range n.run.nodes {
		if peer == n || !peer.up {
			continue
		}
		draw := n.run.draw(0x6055, uint64(n.index), uint64(peer.index))
		peer.later(draw.about(gossipDelay), func() {
			if n.run.linked(peer, n) {
				peer.hear(n)
			}
		})
	}
}

// gossipDelay is how long news of a member take, about.
const gossipDelay = 200 * time.Millisecond

// hear takes what another node tells of itself, if that is news.
func (n *node) hear(of *node) {
	last, known := n.heard[of.name]
	if of.meta == nil || known && bytes.Equal(last, of.meta) {
		return
	}
	kind := membership.Joined
	if known {
		kind = membership.Updated
	}
	n.heard[of.name] = of.meta
	e := membership.Event{Kind: kind, Name: of.name, Addr: of.name + ":4", Meta: of.meta}
	n.helm.put(func(now time.Time, c *core.Control) { c.Gossip(now, e) })
}

// gossip exchanges with somebody what is known of everybody.
func (n *node) gossip() {
	r := n.run
	peer := r.nodes[r.draw(0x6056, uint64(n.index)).below(len(r.nodes))]
	if peer != n && r.linked(n, peer) {
		for _, of := range r.nodes {
			if of != n && of.up {
				n.hear(of)
			}
		}
	}
}

// link tells the control core what a connection to a peer is worth now.
func (n *node) link(peer *node, up bool) {
	n.noticed[peer.name] = up
	if up {
		n.hear(peer)
	}
	n.helm.put(func(now time.Time, c *core.Control) {
		if !up {
			c.Gossip(now, membership.Event{Kind: membership.Died, Name: peer.name})
			delete(n.heard, peer.name)
		}
		c.SetOutbound(now, peer.name, up)
		c.SetInbound(now, peer.name, up)
	})
}

// isControl reports whether a message is for the control core.
func isControl(m wire.Message) bool {
	kind := wire.KindOf(m)
	return kind == wire.KindLayout || kind == wire.KindBuckets
}

// form makes the first layout as members do it, before anything goes wrong: everybody
// knows everybody. Each disk has it from the beginning.
func (r *run) form() *ring.Layout {
	all := make([]*core.Control, r.cfg.Nodes)
	saved, phases := make([]core.Saved, r.cfg.Nodes), make([]*ring.Phase, r.cfg.Nodes)
	type letter struct {
		from int
		core.Send
	}
	var letters []letter
	take := func(i int) (announced []byte) {
		out := all[i].Take()
		if out.SaveLayout != nil {
			saved[i].Layout = out.SaveLayout
		}
		if out.SavePeers != nil {
			saved[i].Peers = out.SavePeers
		}
		if out.Phase != nil {
			phases[i] = out.Phase
		}
		for _, s := range out.Sends {
			letters = append(letters, letter{i, s})
		}
		return out.Announce
	}
	metas := make([][]byte, r.cfg.Nodes)
	for i := range all {
		var err error
		if all[i], err = core.NewControl(r.nodes[i].controlConfig(r.cfg.Nodes), core.Saved{}); err != nil {
			panic(fmt.Sprintf("sim: %v", err))
		}
		all[i].Start(epoch)
		metas[i] = take(i)
	}
	for i := range all {
		for j := range all {
			if i != j {
				all[i].Gossip(epoch, membership.Event{Kind: membership.Joined, Name: r.nodes[j].name, Addr: r.nodes[j].name + ":4", Meta: metas[j]})
				all[i].SetOutbound(epoch, r.nodes[j].name, true)
				all[i].SetInbound(epoch, r.nodes[j].name, true)
				take(i)
			}
		}
	}
	for len(letters) > 0 {
		l := letters[0]
		letters = letters[1:]
		to := r.byName[l.To].index
		all[to].Message(epoch, r.nodes[l.from].name, l.Msg)
		take(to)
	}
	for i, n := range r.nodes[:r.cfg.Nodes] {
		if phases[i] == nil {
			panic(fmt.Sprintf("sim: %s has no layout when all nodes have met", n.name))
		}
		var rows storage.Batch
		rows.Set(layoutRow(), saved[i].Layout)
		rows.Set(peersRow(), saved[i].Peers)
		n.phase = phases[i]
		n.write(&rows)
	}
	return phases[0].Tip()
}
