package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// rig is a cluster of single-shard nodes whose shell is this test: nothing
// happens until a step is taken, and every message can be looked at or lost.
type rig struct {
	t       testing.TB
	now     time.Time
	layout  *ring.Layout
	nodes   map[string]*rigNode
	names   []string
	answers map[uint64]*kindred.Response
	token   uint64
	// lose says which messages do not arrive.
	lose func(from, to string, m wire.Message) bool
	// heard is told of every message that is sent.
	heard func(m wire.Message)
	// noExchange: no clock arrives, so that what else brings dots is seen alone. NoPieces:
	// clocks do, and nobody gives what others lack.
	noExchange, noPieces bool
	// holdReads keeps loads unanswered, holdSyncs syncs.
	holdReads, holdSyncs bool
	// slowDisk is a node that waits for its syncs, slowReads one for its loads.
	slowDisk, slowReads string
	// holdDiscards keeps what cannot be read where it is.
	holdDiscards bool
	// seen is what a node sees of its disk.
	seen func(node string, disk storage.Snapshot) storage.Snapshot
	// differed is told which peer a node works by another layout than.
	differed func(node, peer string)
}

type rigNode struct {
	name   string
	shard  *Shard
	engine *memstore.Store
	inbox  []letter
	loads  []Load
	syncs  []uint64
	held   []Send
}

type letter struct {
	from string
	raw  []byte
}

// newRig is a cluster of that many nodes with three replicas of each partition.
func newRig(t testing.TB, nodes int, limits Limits) *rig { return newRigOf(t, nodes, 0, limits) }

// newRigOf is such a cluster with more nodes that own nothing.
func newRigOf(t testing.TB, owners, spare int, limits Limits) *rig {
	r := &rig{
		t: t, now: time.Unix(1_790_000_000, 0), nodes: map[string]*rigNode{}, answers: map[uint64]*kindred.Response{},
		lose:  func(string, string, wire.Message) bool { return false },
		heard: func(wire.Message) {}, differed: func(string, string) {},
		seen: func(_ string, disk storage.Snapshot) storage.Snapshot { return disk },
	}
	var members []ring.Node
	for i := range owners + spare {
		name := fmt.Sprintf("n%d", i+1)
		capacity := uint32(1)
		if i >= owners {
			capacity = 0
		}
		members = append(members, ring.Node{Name: name, Zone: name, Capacity: capacity})
		r.names = append(r.names, name)
		r.nodes[name] = &rigNode{name: name, engine: memstore.New()}
	}
	var err error
	r.layout, err = ring.New([16]byte{1}, 16, 3, members)
	require.NoError(t, err)
	for i, name := range r.names {
		r.boot(name, uint64(i+1)<<32, limits)
	}
	for _, a := range r.names {
		for _, b := range r.names {
			if a != b {
				r.nodes[a].shard.SetLink(r.now, b, true)
			}
		}
	}
	r.settle()
	return r
}

// boot starts a node's shard with that nonce on what its engine holds.
func (r *rig) boot(name string, nonce uint64, limits Limits) {
	n := r.nodes[name]
	n.shard = New(Config{Node: name, Start: vclock.Actor{Disk: nonce >> 32, Nonce: nonce}, Limits: limits})
	snapshot, err := n.engine.Snapshot()
	require.NoError(r.t, err)
	defer snapshot.Close()
	require.NoError(r.t, n.shard.RecoverHints(snapshot, func(uint32) bool { return true }))
	require.NoError(r.t, n.shard.RecoverPromises(snapshot, func(uint32) bool { return true }))
	var recovered []*replica.Replica
	for _, p := range r.layout.Owned(name, 3) {
		one, err := n.shard.Recover(replica.ID{Partition: uint32(p), N: 3}, snapshot)
		require.NoError(r.t, err)
		recovered = append(recovered, one)
	}
	n.shard.SetPhase(ring.Steady(r.layout), recovered)
}

// ask sends a request to a node and returns its token.
func (r *rig) ask(node string, req kindred.Request) uint64 {
	r.token++
	r.nodes[node].shard.Request(r.now, r.token, &req)
	r.settle()
	return r.token
}

// do sends a request and demands an answer.
func (r *rig) do(node string, req kindred.Request) *kindred.Response {
	token := r.ask(node, req)
	resp := r.answers[token]
	require.NotNil(r.t, resp, "%v at %s has no answer", req.Op, node)
	return resp
}

// hedged is do where a home that is asked first stays silent.
func (r *rig) hedged(node string, req kindred.Request) *kindred.Response {
	token := r.ask(node, req)
	r.pass(hedgeMax)
	resp := r.answers[token]
	require.NotNil(r.t, resp, "%v at %s has no answer", req.Op, node)
	return resp
}

// settle carries out effects and delivers messages until nothing moves.
func (r *rig) settle() {
	for moved := true; moved; {
		moved = false
		for _, name := range r.names {
			n := r.nodes[name]
			for _, l := range n.take() {
				m, err := wire.Decode(l.raw)
				require.NoError(r.t, err)
				n.shard.Message(r.now, l.from, m)
				moved = true
			}
			moved = r.perform(n) || moved
		}
	}
}

func (n *rigNode) take() []letter {
	taken := n.inbox
	n.inbox = nil
	return taken
}

// perform does what the shard wants, in the order of the package comment.
func (r *rig) perform(n *rigNode) bool {
	out := n.shard.Effects()
	moved := !out.Empty()
	if out.Rows.Len() > 0 {
		require.NoError(r.t, n.engine.Apply(&out.Rows))
	}
	for _, s := range out.Sends {
		if s.Sync {
			n.held = append(n.held, s)
		} else {
			r.deliver(n.name, s)
		}
	}
	n.syncs = append(n.syncs, out.Syncs...)
	for _, reply := range out.Replies {
		require.NotContains(r.t, r.answers, reply.Token, "answered twice")
		r.answers[reply.Token] = reply.Response
	}
	for _, peer := range out.Differ {
		r.differed(n.name, peer)
	}
	n.loads = append(n.loads, out.Loads...)
	pages := append([]*wire.ScanRead(nil), out.Pages...)
	looks := append([]Look(nil), out.Looks...)
	if len(out.Discards) > 0 && !r.holdDiscards {
		n.shard.Discarded()
	}
	out.Reset()
	r.readPages(n, pages)
	for _, look := range looks {
		snapshot, err := n.engine.Snapshot()
		require.NoError(r.t, err)
		look.Begin()(r.seen(n.name, snapshot))(r.now)
		require.NoError(r.t, snapshot.Close())
	}
	return r.readAndSync(n) || moved
}

func (r *rig) readPages(n *rigNode, pages []*wire.ScanRead) {
	for _, ask := range pages {
		id := replica.ID{Partition: ask.Partition, N: ask.N}
		base, ok := n.shard.Base(id)
		require.True(r.t, ok)
		snapshot, err := n.engine.Snapshot()
		require.NoError(r.t, err)
		n.shard.Paged(r.now, ask, replica.Page(snapshot, id, base, ask))
		require.NoError(r.t, snapshot.Close())
	}
}

func (r *rig) readAndSync(n *rigNode) (moved bool) {
	if !r.holdReads && r.slowReads != n.name {
		for len(n.loads) > 0 {
			load := n.loads[0]
			n.loads = n.loads[1:]
			object, err := replica.Load(n.engine, load.Replica, load.Bucket, load.Key)
			n.shard.Loaded(r.now, load.Row, object, err)
			moved = true
		}
	}
	if !r.holdSyncs && r.slowDisk != n.name && len(n.syncs)+len(n.held) > 0 {
		require.NoError(r.t, n.engine.Sync())
		n.shard.Synced(n.syncs)
		for _, s := range n.held {
			r.deliver(n.name, s)
		}
		n.syncs, n.held, moved = nil, nil, true
	}
	return moved
}

func (r *rig) deliver(from string, s Send) {
	r.heard(s.Msg)
	if _, exchange := s.Msg.(*wire.Clock); exchange && r.noExchange || r.lose(from, s.To, s.Msg) {
		return
	}
	if _, pieces := s.Msg.(*wire.Pieces); pieces && r.noPieces {
		return
	}
	to := r.nodes[s.To]
	to.inbox = append(to.inbox, letter{from, wire.Append(nil, s.Msg)})
}

// pass lets time go by and fires what is due.
func (r *rig) pass(d time.Duration) {
	r.now = r.now.Add(d)
	for _, name := range r.names {
		r.nodes[name].shard.Tick(r.now)
	}
	r.settle()
}

// cut breaks a node's links in both directions.
func (r *rig) cut(node string) {
	r.lose = func(from, to string, _ wire.Message) bool { return from == node || to == node }
	for _, other := range r.names {
		if other != node {
			r.nodes[node].shard.SetLink(r.now, other, false)
			r.nodes[other].shard.SetLink(r.now, node, false)
		}
	}
	r.settle()
}

func (r *rig) heal() {
	r.lose = func(string, string, wire.Message) bool { return false }
	for _, a := range r.names {
		for _, b := range r.names {
			if a != b {
				r.nodes[a].shard.SetLink(r.now, b, true)
			}
		}
	}
	r.settle()
}

func put(key, value string) kindred.Request {
	return kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: key, Value: []byte(value)}
}

func get(key string) kindred.Request {
	return kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: key}
}

func del(key string) kindred.Request {
	return kindred.Request{Op: kindred.OpDelete, Bucket: "b", Key: key}
}

func seen(q kindred.Request, context []byte) kindred.Request {
	q.Context = context
	return q
}

func values(resp *kindred.Response) []string {
	var all []string
	for _, s := range resp.Siblings {
		all = append(all, string(s.Value))
	}
	return all
}

// home is the i-th home of a key, stranger a node that is none.
func (r *rig) home(key string, i int) string {
	return r.layout.Homes(r.layout.PartitionOf("b", key), 3)[i]
}

func (r *rig) stranger(key string) string {
	for _, name := range r.names {
		if id := (replica.ID{Partition: uint32(r.layout.PartitionOf("b", key)), N: 3}); !r.nodes[name].shard.Has(id) {
			return name
		}
	}
	r.t.Fatal("every node is a home of the key")
	return ""
}

// idle demands that no shard holds anything any more (I11).
func (r *rig) idle() {
	r.pass(time.Hour)
	for _, name := range r.names {
		s := r.nodes[name].shard
		require.Empty(r.t, s.operations, "%s: operations", name)
		require.Empty(r.t, s.open, "%s: open keys", name)
		require.Empty(r.t, s.pageFor, "%s: pages", name)
		require.Zero(r.t, s.steps+s.bytes+s.late, "%s: steps, bytes, late reads", name)
	}
}
