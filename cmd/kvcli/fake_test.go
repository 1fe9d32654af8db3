package main

import (
	"context"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/ring"
)

// fakeCluster is a cluster in memory: one copy of everything, and the
// semantics of siblings and contexts. What it is asked in the bucket "down"
// fails for sure, in "vague" with an unknown outcome; in "split" its replicas
// disagree, in "halved" one does not answer; in "told" the
// causes of a write are those that its value names.
type fakeCluster struct {
	fakeBuckets
	fakeChanges
	layout *ring.Layout

	mu      sync.Mutex
	objects map[string][]kindred.Sibling // by bucket/key
	dots    int
	request kindred.Request // the last one

	// unborn: there is no layout until Init.
	unborn bool

	// well: nothing is the matter with any node. Change alters what a node says
	// in a round of questions, which are counted.
	well bool
	// apart is a node to which no other has a link.
	apart  string
	change func(node string, round int, l *kindred.Local)
	rounds map[string]int

	// known: gossip knows n4 too.
	known bool

	// disks are what nodes have, silent the nodes that do not say so, and why. Arrives
	// is called before each answer about them.
	disks   []disk
	silent  map[string]string
	arrives func(f *fakeCluster)
	// drains are the orders to drain.
	drains []string
	// ail alters what a node of a stopCluster says.
	ail func(node string, l *kindred.Local)
}

// layoutHex is a layout of four nodes in three zones. It is kept as bytes: the
// sessions are not about how package ring places partitions.
//
//go:embed testdata/layout.hex
var layoutHex string

func newFakeCluster() *fakeCluster {
	b, err := hex.DecodeString(strings.TrimSpace(layoutHex))
	if err != nil {
		panic(err)
	}
	layout, err := ring.Decode(b)
	if err != nil {
		panic(err)
	}
	return &fakeCluster{layout: layout, fakeChanges: newFakeChanges(layout), objects: map[string][]kindred.Sibling{}, rounds: map[string]int{}}
}

func (f *fakeCluster) Close() error { return nil }

func (f *fakeCluster) Bucket(name string) bucket { return &fakeBucket{f, name} }

func (f *fakeCluster) Cluster(context.Context) (kindred.Cluster, error) {
	f.layout = f.course.Tip().Layout()
	info := kindred.Cluster{
		Node: "n1", ClusterID: "0102030000", Layout: f.layout.AppendTo(nil), LayoutVersion: f.course.Tip().Version().String(),
		Partitions: f.layout.Partitions(), Replicas: f.layout.Replicas(), Problems: []string{"n3 is suspect since 10 s"},
	}
	for i, s := range f.layout.Shares(3) {
		n, _ := f.layout.Node(s.Node)
		m := kindred.Member{
			Name: n.Name, Zone: n.Zone, Capacity: n.Capacity, State: kindred.Alive, Linked: n.Name != "n3", Partitions: s.Owned,
			ClientAddr: fmt.Sprintf("127.0.0.1:74%d0", i), PeerAddr: fmt.Sprintf("127.0.0.1:74%d1", i),
			GossipAddr: fmt.Sprintf("127.0.0.1:74%d2", i), HTTPAddr: fmt.Sprintf("127.0.0.1:74%d3", i),
		}
		if n.Name == "n3" {
			m.State = kindred.Suspect
		}
		if n.Name != "n4" || f.known { // it owns partitions and gossip does not know it
			info.Members = append(info.Members, m)
		}
	}
	for _, name := range f.started {
		info.Members = append(info.Members, kindred.Member{
			Name: name, Zone: "z2", Capacity: 1, State: kindred.Alive, Linked: true, ClientAddr: "127.0.0.1:7440",
			PeerAddr: "127.0.0.1:7441", GossipAddr: "127.0.0.1:7442", HTTPAddr: "127.0.0.1:7443",
		})
	}
	if f.unborn {
		info.Layout, info.LayoutVersion, info.ClusterID = nil, "", ""
	}
	return info, nil
}

// Init implements cluster.
func (f *fakeCluster) Init(context.Context, string) error {
	f.unborn = false
	return nil
}

func (f *fakeCluster) Inspect(_ context.Context, bucket, key string, _ ...client.CallOption) ([]kindred.ReplicaView, error) {
	var views []kindred.ReplicaView
	for i, node := range f.layout.Homes(f.layout.PartitionOf(bucket, key), 3) {
		v := kindred.ReplicaView{Node: node, Context: "{}", Clock: "{a1:1-7}"}
		for _, s := range f.objects[bucket+"/"+key] {
			v.Siblings = append(v.Siblings, kindred.SiblingView{
				Dot: s.Dot, Bytes: len(s.Value), ContentType: s.ContentType, WrittenAt: s.WrittenAt, Node: s.Node, Causes: s.Causes, ExpiresAt: s.ExpiresAt,
			})
		}
		switch {
		case i == 1 && bucket == "split":
			v.Siblings = nil
		case i == 0 && bucket == "owed":
			guest := v
			guest.Guest, guest.Node, guest.Clock = true, "n9", ""
			views = append(views, guest, kindred.ReplicaView{Node: "n8", Guest: true, Err: "unreachable"})
		case i == 1 && bucket == "halved":
			v = kindred.ReplicaView{Node: node, Err: "no answer within 2s"}
		}
		views = append(views, v)
	}
	return views, nil
}

type fakeBucket struct {
	*fakeCluster
	name string
}

// trouble fails what is asked in the buckets that are made for it.
func (b *fakeBucket) trouble(op kindred.Op, key string, id kindred.RequestID) error {
	e := &client.Error{Op: op.String(), Bucket: b.name, Key: key, RequestID: id}
	switch b.name {
	case "down":
		e.Err = &kindred.Error{
			Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied, Need: 2, Got: 1,
			Message: "1 of 2 replicas answered", Failed: []kindred.NodeFailure{{Node: "n2", Reason: "is down"}},
		}
	case "vague":
		if op == kindred.OpGet {
			return nil
		}
		e.Err = &kindred.Error{Code: kindred.CodeTimeout, Outcome: kindred.Unknown, Dot: "n1:9", Message: "no answer before the deadline"}
	case "full":
		e.Err = &kindred.Error{Code: kindred.CodeSiblings, Outcome: kindred.NotApplied, Limit: kindred.SiblingsMax, Message: "the key has 1024 siblings: write with a context"}
	default:
		return nil
	}
	return e
}

// ask applies the options of a call.
func (b *fakeBucket) ask(op kindred.Op, key string, opts []client.CallOption) *kindred.Request {
	b.request = kindred.Request{Op: op, Bucket: b.name, Key: key}
	for _, o := range opts {
		o(&b.request)
	}
	return &b.request
}

func (b *fakeBucket) Get(_ context.Context, key string, opts ...client.CallOption) (*client.Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.trouble(b.ask(kindred.OpGet, key, opts).Op, key, kindred.RequestID{}); err != nil {
		return nil, err
	}
	o := &client.Object{Siblings: b.objects[b.name+"/"+key], Replied: []string{"n1", "n2"}}
	if len(o.Siblings) > 0 {
		o.Context = b.contextOf(key)
	}
	return o, nil
}

func (b *fakeBucket) contextOf(key string) client.Context {
	var dots []string
	for _, s := range b.objects[b.name+"/"+key] {
		dots = append(dots, s.Dot)
	}
	return client.ContextOf([]byte(b.name + "/" + key + " " + strings.Join(dots, " ")))
}

// forget removes what a context has seen.
func (b *fakeBucket) forget(key string, context []byte) *kindred.Error {
	if len(context) == 0 {
		return nil
	}
	words := strings.Split(string(context), " ")
	if words[0] != b.name+"/"+key {
		return &kindred.Error{Code: kindred.CodeBadContext, Field: "context", Outcome: kindred.NotApplied, Message: "the context is of another key"}
	}
	at := b.name + "/" + key
	b.objects[at] = slices.DeleteFunc(slices.Clone(b.objects[at]), func(s kindred.Sibling) bool { return slices.Contains(words[1:], s.Dot) })
	return nil
}

func (b *fakeBucket) Put(_ context.Context, key string, value []byte, opts ...client.CallOption) (*client.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	req := b.ask(kindred.OpPut, key, opts)
	if err := b.write(req); err != nil {
		return nil, err
	}
	b.dots++
	s := kindred.Sibling{
		Dot: fmt.Sprintf("n%d:%d", b.dots%3+1, b.dots), Value: value, ContentType: req.ContentType, Node: fmt.Sprintf("n%d", b.dots%3+1),
		WrittenAt: time.Date(2026, 11, 20, 12, 0, b.dots, 0, time.UTC), Causes: blindIf(len(req.Context) == 0), ExpiresAt: req.ExpiresAt,
	}
	if b.name == "told" {
		s.Causes |= toldCauses(value)
	}
	if req.TTL > 0 {
		s.ExpiresAt = s.WrittenAt.Add(req.TTL)
	}
	at := b.name + "/" + key
	b.objects[at] = append(b.objects[at], s)
	r := b.receipt(s.Dot, key)
	r.ExpiresAt = s.ExpiresAt
	return r, nil
}

func (b *fakeBucket) write(req *kindred.Request) error {
	if req.RequestID.IsZero() {
		req.RequestID = kindred.RequestID{1, 2, 3}
	}
	if err := b.trouble(req.Op, req.Key, req.RequestID); err != nil {
		return err
	}
	if err := b.forget(req.Key, req.Context); err != nil {
		return &client.Error{Op: req.Op.String(), Bucket: b.name, Key: req.Key, Err: err}
	}
	return nil
}

func (b *fakeBucket) receipt(dot, key string) *client.Receipt {
	return &client.Receipt{Dot: dot, Stage: kindred.Replicated, Durability: kindred.Batch, Acked: []string{"n1", "n3"}, Context: b.contextOf(key)}
}

func (b *fakeBucket) Delete(_ context.Context, key string, opts ...client.CallOption) (*client.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.write(b.ask(kindred.OpDelete, key, opts)); err != nil {
		return nil, err
	}
	b.dots++
	return b.receipt(fmt.Sprintf("n1:%d", b.dots), key), nil
}

// Page lists keys by their hash, a few at a time whatever the limit says.
func (b *fakeBucket) Page(_ context.Context, opts ...client.ScanOption) (*client.Page, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.trouble(kindred.OpScan, "", kindred.RequestID{}); err != nil {
		return nil, err
	}
	var scan kindred.Scan
	for _, o := range opts {
		o(&scan)
	}
	var keys []string
	for at, siblings := range b.objects {
		key, ok := strings.CutPrefix(at, b.name+"/")
		if ok && strings.HasPrefix(key, scan.Prefix) && len(siblings) > 0 && (!scan.ConflictsOnly || len(siblings) > 1) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(x, y string) int { return strings.Compare(hashText(b.name, x), hashText(b.name, y)) })
	from, _ := slices.BinarySearchFunc(keys, string(scan.Cursor), func(k, cursor string) int { return strings.Compare(hashText(b.name, k), cursor) })
	page := &client.Page{}
	for _, k := range keys[from:min(len(keys), from+min(scan.Limit, 3))] {
		page.Entries = append(page.Entries, client.Entry{Key: k, Siblings: len(b.objects[b.name+"/"+k])})
		from++
	}
	if from < len(keys) {
		page.Cursor = []byte(hashText(b.name, keys[from]))
	}
	return page, nil
}

func hashText(bucket, key string) string { return fmt.Sprintf("%016x", ring.Hash(bucket, key)) }

// decode reads a document and refuses fields that the test does not know.
func decode(s string, into any) error {
	d := json.NewDecoder(strings.NewReader(s))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// toldCauses are the causes that a value of the bucket "told" names: "cut guest".
func toldCauses(value []byte) (c kindred.Causes) {
	for bit := kindred.CauseBlind; bit <= kindred.CauseGuest; bit <<= 1 {
		if slices.Contains(strings.Fields(string(value)), bit.String()) {
			c |= bit
		}
	}
	return c
}

func blindIf(blind bool) kindred.Causes {
	if blind {
		return kindred.CauseBlind
	}
	return 0
}
