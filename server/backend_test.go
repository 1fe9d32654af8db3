package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kindredkv/kindred"
)

// memory is a backend that keeps siblings in a map. Its context is the list of
// the dots that were seen, bound to the key.
type memory struct {
	mu      sync.Mutex
	objects map[string]*object
	dots    int
	asked   []*kindred.Request
	// fail answers every operation, if set.
	fail *kindred.Error
	// hold keeps answers back, if set, until it is closed.
	hold chan struct{}
	// began gets a word for every operation that was started, if set.
	began chan kindred.Op
	local kindred.Local
	// guests stand in for homes, if set.
	guests []string
	// running is the number of operations under way, peak the largest so far.
	running, peak int
	// layout is no real one.
	layout []byte
}

type object struct {
	seen     []string
	siblings []kindred.Sibling
}

type seen struct {
	Bucket, Key string
	Dots        []string
}

func newMemory(testing.TB) *memory {
	return &memory{
		objects: map[string]*object{}, layout: []byte{1, 2, 3},
		local: kindred.Local{Node: "n1", Version: "v1", Started: time.UnixMilli(1e12), Ready: true,
			Partitions: 64, Shards: 2, DiskBytes: 10, DiskFreeBytes: 20},
	}
}

func (m *memory) Cluster() kindred.Cluster {
	return kindred.Cluster{
		Node: "n1", ClusterID: "c", Layout: m.layout, LayoutVersion: "1-ab", Partitions: 64, Replicas: 3,
		Members: []kindred.Member{{Name: "n1", Zone: "z1", Capacity: 100, State: kindred.Alive, ClientAddr: "h:1",
			PeerAddr: "h:2", GossipAddr: "h:3", HTTPAddr: "h:4", Linked: true, Partitions: 64}},
	}
}

func (m *memory) Local() kindred.Local {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.local
}

func (m *memory) Replication() kindred.Replication {
	return kindred.Replication{
		At: time.UnixMilli(1e12),
		Replicas: []kindred.ReplicaStatus{
			{Partition: 3, N: 3, Trusted: true, LogRows: 7, Heard: time.UnixMilli(1e12 - 500)},
			{Partition: 5, N: 3, Waits: []string{"n2"}, Lag: 4, LagSince: time.UnixMilli(1e12 - 9000), Unsettled: 2,
				Rebuild: kindred.Rebuild{State: "copying", Source: "n2", Began: time.UnixMilli(1e12 - 9000), Keys: 10, Bytes: 100}},
		},
		Hints:   kindred.HintStatus{Hints: 2, Bytes: 64, HintsMax: 100, BytesMax: 1000, Debts: []kindred.HintDebt{{Target: "n3", Hints: 2, Bytes: 64, Oldest: time.UnixMilli(1e12 - 2000)}}},
		Repairs: kindred.Repairs{Pulls: 5, RebuildsFinished: 3},
	}
}

// Repair knows the partitions 0 to 63, of which this node has two.
func (m *memory) Repair(partition int) (int, *kindred.Error) {
	switch {
	case partition == kindred.AllPartitions:
		return 2, nil
	case partition > 63:
		return 0, kindred.Invalid("partition", "there is no partition %d", partition)
	}
	return 1, nil
}

func (m *memory) setReady(ready bool, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.local.Ready, m.local.Reason = ready, reason
}

func (m *memory) Do(req *kindred.Request, done func(*kindred.Response)) {
	m.mu.Lock()
	m.asked = append(m.asked, req)
	m.running++
	m.peak = max(m.peak, m.running)
	answer := &kindred.Response{Err: m.fail}
	if m.fail == nil {
		answer = m.answer(req)
	}
	hold, began := m.hold, m.began
	m.mu.Unlock()
	finish := func() {
		m.mu.Lock()
		m.running--
		m.mu.Unlock()
		done(answer)
	}
	if began != nil {
		began <- req.Op
	}
	if hold == nil {
		finish()
		return
	}
	go func() {
		<-hold
		finish()
	}()
}

func (m *memory) requests() []*kindred.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked)
}

func (m *memory) most() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peak
}

func (m *memory) last() *kindred.Request {
	all := m.requests()
	return all[len(all)-1]
}

func (m *memory) answer(req *kindred.Request) *kindred.Response {
	id := req.Bucket + "\x00" + req.Key
	o := m.objects[id]
	if o == nil {
		o = &object{}
	}
	switch req.Op {
	case kindred.OpGet:
		return &kindred.Response{Siblings: slices.Clone(o.siblings), Context: o.context(req), Replied: []string{"n1", "n2"}, Guests: m.guests}
	case kindred.OpPut, kindred.OpDelete:
		m.objects[id] = o
		return m.write(o, req)
	case kindred.OpStage:
		return &kindred.Response{Receipt: kindred.Receipt{Dot: req.Dot, Stage: kindred.Propagated}}
	case kindred.OpRepair:
		return &kindred.Response{Replicas: []kindred.ReplicaView{{Node: "n1"}, {Node: "n2", Repaired: true}}}
	case kindred.OpInspect:
		return &kindred.Response{Replicas: []kindred.ReplicaView{{Node: "n1", Clock: "n1:1"}, {Node: "n2", Err: "unreachable"}}}
	case kindred.OpScan:
		return m.scan(req)
	}
	panic("unknown op " + req.Op.String())
}

func (m *memory) write(o *object, req *kindred.Request) *kindred.Response {
	var s seen
	if len(req.Context) > 0 {
		if err := json.Unmarshal(req.Context, &s); err != nil || s.Bucket != req.Bucket || s.Key != req.Key {
			return &kindred.Response{Err: &kindred.Error{Code: kindred.CodeBadContext, Field: "context",
				Message: "the context belongs to another key", Outcome: kindred.NotApplied}}
		}
	}
	m.dots++
	dot := fmt.Sprintf("n1:%d", m.dots)
	o.seen = append(o.seen, dot)
	o.siblings = slices.DeleteFunc(o.siblings, func(v kindred.Sibling) bool { return slices.Contains(s.Dots, v.Dot) })
	if req.Op == kindred.OpPut {
		o.siblings = append(o.siblings, kindred.Sibling{Dot: dot, Value: slices.Clone(req.Value), Node: "n1",
			ContentType: req.ContentType, WrittenAt: time.UnixMilli(1e12), ExpiresAt: expiryOf(req)})
	}
	return &kindred.Response{Context: o.context(req), Receipt: kindred.Receipt{
		Dot: dot, Stage: kindred.Replicated, Durability: kindred.Batch, Acked: []string{"n1", "n2"}, Guests: m.guests,
		ExpiresAt: expiryOf(req)}}
}

func (o *object) context(req *kindred.Request) []byte {
	if len(o.seen) == 0 {
		return nil
	}
	b, err := json.Marshal(seen{req.Bucket, req.Key, o.seen})
	if err != nil {
		panic(err)
	}
	return b
}

func (m *memory) scan(req *kindred.Request) *kindred.Response {
	var r kindred.Response
	for id, o := range m.objects {
		key, ok := strings.CutPrefix(id, req.Bucket+"\x00"+req.Scan.Prefix)
		key = req.Scan.Prefix + key
		if ok && len(o.siblings) > 0 && key > string(req.Scan.Cursor) && (!req.Scan.ConflictsOnly || len(o.siblings) > 1) {
			r.Keys = append(r.Keys, kindred.KeyEntry{Key: key, Siblings: len(o.siblings)})
		}
	}
	sort.Slice(r.Keys, func(i, j int) bool { return r.Keys[i].Key < r.Keys[j].Key })
	limit := req.Scan.Limit
	if limit == 0 {
		limit = kindred.ScanPageMax
	}
	if len(r.Keys) > limit {
		r.Keys = r.Keys[:limit]
		r.Cursor = []byte(r.Keys[limit-1].Key)
	}
	return &r
}

// instant answers every put at once, for benchmarks.
type instant struct{ *memory }

func (instant) Do(req *kindred.Request, done func(*kindred.Response)) {
	done(&kindred.Response{
		Context: req.Context,
		Receipt: kindred.Receipt{Dot: "n1.7f3a:12345", Stage: kindred.Replicated, Durability: kindred.Batch, Acked: []string{"n1", "n2"}},
	})
}

// expiryOf takes the time at which everything is written here for now.
func expiryOf(req *kindred.Request) time.Time {
	if req.TTL > 0 {
		return time.UnixMilli(1e12).Add(req.TTL)
	}
	return req.ExpiresAt
}
