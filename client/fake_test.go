package client_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/ring"
)

// fakeCluster is a cluster that has no replication because it has one store:
// what its nodes can do badly is answer.
type fakeCluster struct {
	stages atomic.Uint64 // questions for a stage
	nodes  []*fakeNode
	net    network

	mu     sync.Mutex
	id     string
	layout *ring.Layout
	left   map[string]bool
	// advertised is where every node says it is, instead of the truth.
	advertised string
	last       kindred.Request
	staged     []kindred.NodeChange
	keys       map[string]*fakeKey
	dots       int
	ids        map[kindred.RequestID]kindred.Response
	// applied counts writes that took effect, once for each request id.
	applied int
}

type fakeKey struct{ siblings []kindred.Sibling }

// fakeNode is one door to the store.
type fakeNode struct {
	kindredv1.UnimplementedKVServer
	kindredv1.UnimplementedClusterServer
	cluster *fakeCluster
	name    string
	addr    string
	server  *grpc.Server
	freezer *freezer

	calls     atomic.Int64
	describes atomic.Int64
	delay     atomic.Int64                               // before every answer
	refusal   atomic.Pointer[kindred.Error]              // instead of doing anything
	frozen    atomic.Pointer[kindredv1.DescribeResponse] // what it says of the cluster, for ever
	swallow   atomic.Bool                                // do it, and say nothing
}

// network is where a cluster listens.
type network interface {
	listen(addr string) net.Listener
}

// loopback is the network of most tests.
type loopback struct{}

func (loopback) listen(addr string) net.Listener {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		panic(err)
	}
	return l
}

// startCluster serves n nodes on loopback.
func startCluster(n int) *fakeCluster { return startClusterOn(loopback{}, n) }

func startClusterOn(where network, n int) *fakeCluster {
	f := &fakeCluster{net: where, id: "fake", left: map[string]bool{}, keys: map[string]*fakeKey{}, ids: map[kindred.RequestID]kindred.Response{}}
	for i := range n {
		f.nodes = append(f.nodes, f.startNode(fmt.Sprintf("n%d", i+1), "127.0.0.1:0"))
	}
	layout, err := ring.New([16]byte{1}, 64, min(3, n), f.members())
	if err != nil {
		panic(err)
	}
	f.layout = layout
	return f
}

// members are the nodes that have not left, for a layout.
func (f *fakeCluster) members() (members []ring.Node) {
	for _, n := range f.nodes {
		if !f.left[n.name] {
			members = append(members, ring.Node{Name: n.name, Capacity: 1})
		}
	}
	return members
}

// grow adds a node, and gives it a share.
func (f *fakeCluster) grow() {
	n := f.startNode(fmt.Sprintf("n%d", len(f.nodes)+1), "127.0.0.1:0")
	f.mu.Lock()
	f.nodes = append(f.nodes, n)
	f.mu.Unlock()
	f.relayout()
}

// move gives every key to n new nodes. The old ones refuse all calls from now on; all
// but the last of them were removed, and know of nothing newer than themselves.
func (f *fakeCluster) move(n int) {
	old := f.nodes
	for i, node := range old {
		node.refusal.Store(&kindred.Error{Code: kindred.CodeWrongRing, Message: node.name + " was removed from the cluster", Outcome: kindred.NotApplied})
		if i < len(old)-1 {
			known, _ := node.Describe(context.Background(), &kindredv1.DescribeRequest{})
			node.frozen.Store(known)
		}
	}
	f.mu.Lock()
	for i := range n {
		f.nodes = append(f.nodes, f.startNode(fmt.Sprintf("n%d", len(old)+i+1), "127.0.0.1:0"))
	}
	moved := []ring.Node{}
	for _, node := range f.nodes[len(old):] {
		moved = append(moved, ring.Node{Name: node.name, Capacity: 1})
	}
	layout, err := f.layout.Change(moved)
	if err != nil {
		panic(err)
	}
	f.layout = layout
	f.mu.Unlock()
}

// leave takes a node out of the cluster for good.
func (f *fakeCluster) leave(i int) {
	f.mu.Lock()
	f.left[f.nodes[i].name] = true
	f.mu.Unlock()
	f.relayout()
}

func (f *fakeCluster) relayout() {
	f.mu.Lock()
	defer f.mu.Unlock()
	layout, err := f.layout.Change(f.members())
	if err != nil {
		panic(err)
	}
	f.layout = layout
}

// writes is the number of writes that took effect.
func (f *fakeCluster) writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied
}

// lastRequest is the latest request that reached the store.
func (f *fakeCluster) lastRequest() kindred.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// keyOf finds a key of which a node is a home.
func (f *fakeCluster) keyOf(bucket, node string) string {
	for i := 0; ; i++ {
		if key := fmt.Sprintf("key-%d", i); slices.Contains(f.homes(bucket, key), node) {
			return key
		}
	}
}

func (f *fakeCluster) startNode(name, addr string) *fakeNode {
	l := f.net.listen(addr)
	n := &fakeNode{cluster: f, name: name, addr: l.Addr().String(), freezer: &freezer{Listener: l}}
	n.server = grpc.NewServer(grpc.MaxRecvMsgSize(api.RequestBytesMax))
	kindredv1.RegisterKVServer(n.server, n)
	kindredv1.RegisterClusterServer(n.server, n)
	go n.server.Serve(n.freezer)
	return n
}

func (f *fakeCluster) stop() {
	for _, n := range f.nodes {
		n.kill()
	}
}

func (f *fakeCluster) addrs() []string {
	var addrs []string
	for _, n := range f.nodes {
		addrs = append(addrs, n.addr)
	}
	return addrs
}

// homes are the home replicas of a key.
func (f *fakeCluster) homes(bucket, key string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.layout.Homes(f.layout.PartitionOf(bucket, key), f.layout.Replicas())
}

func (f *fakeCluster) node(name string) *fakeNode {
	i := slices.IndexFunc(f.nodes, func(n *fakeNode) bool { return n.name == name })
	return f.nodes[i]
}

// calls counts what each node was asked.
func (f *fakeCluster) calls() map[string]int64 {
	calls := map[string]int64{}
	for _, n := range f.nodes {
		calls[n.name] = n.calls.Load()
	}
	return calls
}

// kill closes every connection at once, as a killed process does.
func (n *fakeNode) kill() {
	n.freezer.freeze(false)
	n.server.Stop()
}

// revive serves again at the address of a killed node.
func (f *fakeCluster) revive(i int) {
	n := f.startNode(f.nodes[i].name, f.nodes[i].addr)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes[i] = n
}

// perform does one operation on the store.
func (f *fakeCluster) perform(q *kindred.Request) *kindred.Response {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = *q
	if done, ok := f.ids[q.RequestID]; ok && !q.RequestID.IsZero() {
		return &done
	}
	name := q.Bucket + "/" + q.Key
	k := f.keys[name]
	if k == nil {
		k = &fakeKey{}
		f.keys[name] = k
	}
	if q.Op == kindred.OpGet {
		return &kindred.Response{Siblings: slices.Clone(k.siblings), Context: fakeContext(name, k.siblings), Replied: []string{"n1", "n2"}}
	}
	seen, err := readFakeContext(name, q.Context)
	if err != nil {
		return &kindred.Response{Err: err}
	}
	f.dots++
	f.applied++
	dot := fmt.Sprintf("d%06d", f.dots)
	k.siblings = slices.DeleteFunc(k.siblings, func(s kindred.Sibling) bool { return seen[s.Dot] })
	written := []kindred.Sibling{}
	if q.Op == kindred.OpPut {
		written = append(written, kindred.Sibling{Dot: dot, Value: slices.Clone(q.Value), ContentType: q.ContentType, Causes: causesOf(q), ExpiresAt: expiryOf(q)})
	}
	k.siblings = append(k.siblings, written...)
	done := kindred.Response{
		Context: fakeContext(name, written),
		Receipt: kindred.Receipt{Dot: dot, Stage: kindred.Replicated, Durability: kindred.Batch, Acked: []string{"n1", "n2"}, ExpiresAt: expiryOf(q)},
	}
	if !q.RequestID.IsZero() {
		f.ids[q.RequestID] = done
	}
	return &done
}

// A fake context is the key and the dots seen, in plain text.
func fakeContext(name string, siblings []kindred.Sibling) []byte {
	b := []byte(name + "\n")
	for _, s := range siblings {
		b = append(b, s.Dot+"\n"...)
	}
	return b
}

func readFakeContext(name string, b []byte) (map[string]bool, *kindred.Error) {
	seen := map[string]bool{}
	if len(b) == 0 {
		return seen, nil
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if lines[0] != name {
		return nil, &kindred.Error{Code: kindred.CodeBadContext, Field: "context", Message: "the context belongs to " + lines[0], Outcome: kindred.NotApplied}
	}
	for _, dot := range lines[1:] {
		seen[dot] = true
	}
	return seen, nil
}

// answer is what a node makes of one request; nil means silence.
func (n *fakeNode) answer(ctx context.Context, q *kindred.Request) *kindred.Response {
	n.calls.Add(1)
	if d := time.Duration(n.delay.Load()); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
	if e := n.refusal.Load(); e != nil {
		return &kindred.Response{Err: e}
	}
	resp := n.cluster.perform(q)
	if n.swallow.Load() {
		return nil
	}
	return resp
}

// Pipeline implements kindredv1.KVServer: every call in its own goroutine when
// the node is slow, at once otherwise; results are gathered like the calls.
func (n *fakeNode) Pipeline(s kindredv1.KV_PipelineServer) error {
	var mu sync.Mutex
	send := func(results []*kindredv1.Result) error {
		mu.Lock()
		defer mu.Unlock()
		return s.Send(&kindredv1.PipelineResponse{Results: results})
	}
	var late sync.WaitGroup
	defer late.Wait()
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var results []*kindredv1.Result
		for _, c := range m.GetCalls() {
			if n.delay.Load() > 0 {
				late.Go(func() {
					if r := n.result(s.Context(), c); r != nil {
						_ = send([]*kindredv1.Result{r})
					}
				})
			} else if r := n.result(s.Context(), c); r != nil {
				results = append(results, r)
			}
		}
		if len(results) > 0 {
			if err := send(results); err != nil {
				return err
			}
		}
	}
}

func (n *fakeNode) result(ctx context.Context, c *kindredv1.Call) *kindredv1.Result {
	q, bad := api.ParseCall(c)
	if bad != nil {
		return api.FormatResult(c.GetId(), kindred.OpGet, &kindred.Response{Err: bad})
	}
	resp := n.answer(ctx, q)
	if resp == nil {
		return nil
	}
	return api.FormatResult(c.GetId(), q.Op, resp)
}

// Scan implements kindredv1.KVServer with pages of three keys.
func (n *fakeNode) Scan(m *kindredv1.ScanRequest, s kindredv1.KV_ScanServer) error {
	q, total, bad := api.ParseScan(m)
	if bad != nil {
		return api.Status(bad).Err()
	}
	n.calls.Add(1)
	keys := n.cluster.list(q)
	for {
		if e := n.refusal.Load(); e != nil {
			return api.Status(e).Err()
		}
		page := keys[:min(3, len(keys))]
		if total > 0 {
			page = page[:min(len(page), int(total))]
		}
		keys = keys[len(page):]
		resp := kindred.Response{Keys: page}
		if len(keys) > 0 {
			resp.Cursor = []byte(page[len(page)-1].Key)
		}
		if err := s.Send(api.FormatScanResponse(&resp)); err != nil {
			return err
		}
		if total > 0 {
			total -= uint64(len(page))
			if total == 0 {
				return nil
			}
		}
		if len(keys) == 0 {
			return nil
		}
	}
}

// list finds the keys of a scan behind its cursor.
func (f *fakeCluster) list(q *kindred.Request) (keys []kindred.KeyEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, k := range f.keys {
		key, ok := strings.CutPrefix(name, q.Bucket+"/")
		wanted := ok && strings.HasPrefix(key, q.Scan.Prefix) && key > string(q.Scan.Cursor) && len(k.siblings) > 0
		if wanted && (len(k.siblings) > 1 || !q.Scan.ConflictsOnly) {
			keys = append(keys, kindred.KeyEntry{Key: key, Siblings: len(k.siblings)})
		}
	}
	slices.SortFunc(keys, func(a, b kindred.KeyEntry) int { return strings.Compare(a.Key, b.Key) })
	return keys
}

// Describe implements kindredv1.ClusterServer.
func (n *fakeNode) Describe(_ context.Context, m *kindredv1.DescribeRequest) (*kindredv1.DescribeResponse, error) {
	n.describes.Add(1)
	if old := n.frozen.Load(); old != nil {
		return old, nil
	}
	f := n.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	c := kindred.Cluster{Node: n.name, ClusterID: f.id, Replicas: 3}
	if f.layout != nil {
		c.Layout, c.LayoutVersion = f.layout.AppendTo(nil), f.layout.Version().String()
		c.Partitions, c.Replicas = f.layout.Partitions(), f.layout.Replicas()
	}
	for _, m := range f.nodes {
		state := kindred.Alive
		if f.left[m.name] {
			state = kindred.Left
		}
		c.Members = append(c.Members, kindred.Member{Name: m.name, ClientAddr: cmp.Or(f.advertised, m.addr), State: state, Capacity: 1})
	}
	local := kindred.Local{Node: n.name, Ready: true}
	if m.GetReplication() {
		local.Replication = &kindred.Replication{Replicas: []kindred.ReplicaStatus{{Partition: 7}}}
	}
	return api.FormatDescribe(&c, &local), nil
}

// Stage implements kindredv1.KVServer: the fake's stages come one per question.
func (n *fakeNode) Stage(_ context.Context, m *kindredv1.StageRequest) (*kindredv1.StageResponse, error) {
	q, bad := api.ParseStage(m)
	if bad == nil {
		bad = n.refusal.Load()
	}
	if bad != nil {
		return nil, api.Status(bad).Err()
	}
	stage := min(kindred.Stage(n.cluster.stages.Add(1)), kindred.Settled)
	return api.FormatStageResponse(&kindred.Response{Receipt: kindred.Receipt{Dot: q.Dot, Stage: stage}}), nil
}

// RepairNode implements kindredv1.ClusterServer.
func (n *fakeNode) RepairNode(_ context.Context, m *kindredv1.RepairNodeRequest) (*kindredv1.RepairNodeResponse, error) {
	if p := api.ParseRepairNode(m); p != kindred.AllPartitions && p > 63 {
		return nil, api.Status(kindred.Invalid("partition", "there is no partition %d", p)).Err()
	}
	return &kindredv1.RepairNodeResponse{Replicas: 64}, nil
}

// Holdings implements kindredv1.ClusterServer: n3 is silent, the others hold what they
// are asked for.
func (n *fakeNode) Holdings(_ context.Context, m *kindredv1.HoldingsRequest) (*kindredv1.HoldingsResponse, error) {
	if n.name == "n3" {
		return nil, api.Status(&kindred.Error{Code: kindred.CodeOverloaded, Message: "not now"}).Err()
	}
	return api.FormatHoldingsResponse(&kindred.Holdings{Holdings: api.ParseHoldings(m)}), nil
}

// DrainNode implements kindredv1.ClusterServer: what it refuses later says that it was
// drained.
func (n *fakeNode) DrainNode(_ context.Context, m *kindredv1.DrainNodeRequest) (*kindredv1.DrainNodeResponse, error) {
	if m.GetUndo() {
		n.refusal.Store(nil)
	} else {
		n.refusal.Store(&kindred.Error{Code: kindred.CodeStopping, Message: n.name + " is drained", Outcome: kindred.NotApplied})
	}
	return &kindredv1.DrainNodeResponse{}, nil
}

// RepairKey implements kindredv1.ClusterServer.
func (n *fakeNode) RepairKey(_ context.Context, m *kindredv1.InspectRequest) (*kindredv1.InspectResponse, error) {
	views := []kindred.ReplicaView{{Node: "n1", Context: string(m.GetKey())}, {Node: "n2", Repaired: true}}
	return api.FormatInspectResponse(&kindred.Response{Replicas: views}), nil
}

// Inspect implements kindredv1.ClusterServer.
func (n *fakeNode) Inspect(_ context.Context, m *kindredv1.InspectRequest) (*kindredv1.InspectResponse, error) {
	q, bad := api.ParseInspect(m)
	if bad == nil {
		bad = n.refusal.Load()
	}
	if bad != nil {
		return nil, api.Status(bad).Err()
	}
	views := []kindred.ReplicaView{{Node: "n1", Context: q.Key}, {Node: "n2", Err: "unreachable"}}
	return api.FormatInspectResponse(&kindred.Response{Replicas: views}), nil
}

// freezer is a listener whose connections can stop reading, like a process
// that was sent SIGSTOP.
type freezer struct {
	net.Listener
	accepted atomic.Int64

	mu   sync.Mutex
	gate chan struct{} // closed when thawed; nil when it never froze
}

func (f *freezer) freeze(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	frozen := f.gate != nil
	switch {
	case on && !frozen:
		f.gate = make(chan struct{})
	case !on && frozen:
		close(f.gate)
		f.gate = nil
	}
}

func (f *freezer) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	f.accepted.Add(1)
	return &freezingConn{c, f}, err
}

type freezingConn struct {
	net.Conn
	f *freezer
}

func (c *freezingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.f.mu.Lock()
	gate := c.f.gate
	c.f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return n, err
}

func causesOf(q *kindred.Request) (c kindred.Causes) {
	if len(q.Context) == 0 {
		c |= kindred.CauseBlind
	}
	if q.Resent {
		c |= kindred.CauseRetry
	}
	return c
}

// fakeNow is what the fake cluster's clock shows.
var fakeNow = time.UnixMilli(1_790_000_000_000).UTC()

func expiryOf(q *kindred.Request) time.Time {
	if q.TTL > 0 {
		return fakeNow.Add(q.TTL)
	}
	return q.ExpiresAt
}
