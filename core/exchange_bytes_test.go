package core

import (
	"flag"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

var exchangeKeys = flag.Int("exchange-keys", 100_000, "keys of the replica whose exchange is measured; 1000000 takes a minute")

const exchangeMissing = 1000

// TestR9_ExchangeCostsWhatIsMissing measures the bytes that two homes of one
// partition exchange until they are equal, when one lacks a thousand of many
// objects: the last ones, or some all over. It counts every message between them,
// greetings and advertisements too, and takes away keys and records, which any
// method has to move.
func TestR9_ExchangeCostsWhatIsMissing(t *testing.T) {
	keys := uint64(*exchangeKeys)
	tail, scattered := vclock.DotSet{}, vclock.DotSet{}
	old := vclock.Actor{Disk: 7, Nonce: 7}
	tail.AddSpan(old, vclock.Span{Lo: keys - exchangeMissing + 1, Hi: keys})
	for i := range uint64(exchangeMissing) {
		scattered.Add(vclock.Dot{Actor: old, Counter: 1 + i*(keys/exchangeMissing) + i*7919%(keys/exchangeMissing)})
	}
	for name, missing := range map[string]vclock.DotSet{"tail": tail, "scattered": scattered} {
		t.Run(name, func(t *testing.T) {
			e := newExchanged(t, old, keys, missing)
			moved, overhead := e.until(func() bool { return e.clock("n2").Compare(e.clock("n1")) == vclock.Equal })
			require.EqualValues(t, exchangeMissing, moved)
			require.EqualValues(t, keys, e.objects("n2"))
			each := float64(overhead) / exchangeMissing
			tree := riakTreeBytes(float64(keys), exchangeMissing) / exchangeMissing
			t.Logf("%d keys, %d missing (%s): %.1f bytes beyond each object moved; a hash tree of 1024² leaves: %.0f", keys, exchangeMissing, name, each, tree)
			require.LessOrEqual(t, each, 16.0)

			e.quiet()
			_, round := e.until(func() bool { return e.rig.now.After(e.began.Add(40 * time.Second)) })
			t.Logf("equal replicas: %d bytes in 40 s", round)
			require.NotZero(t, round, "a digest is sent now and then")
			require.LessOrEqual(t, round, 1024)
		})
	}
}

// riakTreeBytes is what two replicas would exchange to find as many differences
// by a hash tree of the shape that Riak's active anti-entropy has (basho/riak_core,
// src/hashtree.erl: 1024² segments under a tree of width 1024, hashes of 20 bytes;
// the idea of Merkle trees in Dynamo, SOSP 2007, section 4.7): one list of 1,024
// hashes, one more for each of its entries that differs, and the keys and hashes
// of each segment that differs. Both sides' lists are fetched by one of them. Keys
// are spread by their hash, so that a tail is scattered as well.
func riakTreeBytes(keys, differences float64) float64 {
	const width, segments, entry, keyAndHash = 1024.0, 1024.0 * 1024.0, 4 + 20, 20 + 20
	lists := width * (1 - math.Pow(1-1/width, differences))
	differing := segments * (1 - math.Pow(1-1/segments, differences))
	return width*entry + lists*width*entry + differing*max(1, keys/segments)*keyAndHash
}

// exchanged is two linked homes of a partition, and a count of what they say.
type exchanged struct {
	t     *testing.T
	rig   *rig
	id    replica.ID
	began time.Time
	// moved are objects, bytes of all messages, objectBytes of keys and records.
	moved, bytes, objectBytes int
}

func newExchanged(t *testing.T, old vclock.Actor, keys uint64, missing vclock.DotSet) *exchanged {
	r := newRig(t, 3, DefaultLimits())
	e := &exchanged{t: t, rig: r, id: replica.ID{Partition: 5, N: 3}}
	for _, a := range r.names {
		for _, b := range r.names {
			r.nodes[a].shard.SetLink(r.now, b, false)
		}
	}
	all := vclock.DotSet{}
	all.AddSpan(old, vclock.Span{Lo: 1, Hi: keys})
	e.fill("n1", old, all, missing)
	e.fill("n2", old, all.Minus(missing), vclock.DotSet{})
	r.boot("n1", 11<<32, DefaultLimits())
	r.boot("n2", 12<<32, DefaultLimits())
	e.quiet()
	r.lose = func(_, _ string, m wire.Message) bool {
		if wire.HeadOf(m) == (wire.Head{Partition: e.id.Partition, N: e.id.N}) {
			e.count(m)
		}
		return false
	}
	r.nodes["n1"].shard.SetLink(r.now, "n2", true)
	r.nodes["n2"].shard.SetLink(r.now, "n1", true)
	return e
}

func (e *exchanged) quiet() { e.began, e.moved, e.bytes, e.objectBytes = e.rig.now, 0, 0, 0 }

func (e *exchanged) count(m wire.Message) {
	e.bytes += len(wire.Append(nil, m))
	if pieces, ok := m.(*wire.Pieces); ok {
		for i := range pieces.Pieces {
			p := &pieces.Pieces[i]
			e.moved++
			e.objectBytes += len(p.Key)
			for _, v := range p.Object.Versions {
				e.objectBytes += len(wire.AppendRecord(nil, v.Value))
			}
		}
	}
}

// until lets seconds pass until done, and says how many objects moved and how many
// bytes more than those were sent.
func (e *exchanged) until(done func() bool) (moved, overhead int) {
	for range 120 {
		e.rig.settle()
		if done() {
			return e.moved, e.bytes - e.objectBytes
		}
		e.rig.pass(time.Second)
	}
	require.Fail(e.t, "it never ends")
	return 0, 0
}

func (e *exchanged) clock(node string) vclock.DotSet { return e.rig.nodes[node].shard.Clock(e.id) }

// fill writes the rows of a settled replica: an object for each dot, a checkpoint,
// and a log of what somebody lacks.
func (e *exchanged) fill(node string, old vclock.Actor, dots, logged vclock.DotSet) {
	engine := e.rig.nodes[node].engine
	var rows storage.Batch
	var raw [16]byte
	old.AppendTo(raw[:0])
	value := make([]byte, 100)
	for d := range dots.Dots() {
		key := fmt.Sprintf("key-%010d", d.Counter)
		object := vclock.New(d, wire.Record{Node: "n1", WrittenAt: 1_790_000_000_000, Value: value}, vclock.DotSet{})
		rows.Set(storage.ObjectKey(nil, e.id.Partition, e.id.N, "b", key), vclock.AppendSiblings(nil, object, wire.AppendRecord))
		if logged.Contains(d) {
			rows.Set(storage.LogKey(nil, e.id.Partition, e.id.N, raw, d.Counter), storage.AppendLogEntry(nil, storage.LogEntry{Bucket: []byte("b"), Key: []byte(key)}))
		}
		if rows.Bytes() > 16<<20 {
			require.NoError(e.t, engine.Apply(&rows))
			rows.Reset()
		}
	}
	floor := dots.Minus(logged)
	rows.Set(storage.ClockKey(nil, e.id.Partition, e.id.N), floor.AppendTo(dots.AppendTo(nil)))
	require.NoError(e.t, engine.Apply(&rows))
	require.NoError(e.t, engine.Sync())
}

func (e *exchanged) objects(node string) (n int) {
	snapshot, err := e.rig.nodes[node].engine.Snapshot()
	require.NoError(e.t, err)
	defer snapshot.Close()
	lo, hi := storage.ObjectRange(e.id.Partition, e.id.N, "b", "")
	require.NoError(e.t, snapshot.Scan(lo, hi, func(_, _ []byte) bool { n++; return true }))
	return n
}
