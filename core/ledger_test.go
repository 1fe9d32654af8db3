package core

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

// cost is what one operation takes of all nodes together, without sockets and disks.
type cost struct {
	// rows are written, of rowBytes with their keys; removed are deleted.
	rows, removed, rowBytes float64
	loads                   float64
	// messages go to peers, of messageBytes.
	messages, messageBytes float64
	// allocations are those of the shards, of decoding messages and stored objects,
	// and of encoding messages.
	allocations float64
}

// ledger is a shell that keeps the books: it carries out effects as package node does,
// and counts only what belongs to an operation.
type ledger struct {
	*rig
	sum cost
	buf []byte
}

// counted runs a part of an operation and adds its allocations.
func (l *ledger) counted(part func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	part()
	runtime.ReadMemStats(&after)
	l.sum.allocations += float64(after.Mallocs - before.Mallocs)
}

// settle carries out all that an operation brings about, now.
func (l *ledger) settle() {
	for moved := true; moved; {
		moved = false
		for _, name := range l.names {
			n := l.nodes[name]
			for _, letter := range n.take() {
				l.counted(func() {
					m, err := wire.Decode(letter.raw)
					if err != nil {
						panic(err)
					}
					n.shard.Message(l.now, letter.from, m)
				})
			}
			for l.perform(n) {
				moved = true
			}
		}
	}
}

func (l *ledger) perform(n *rigNode) (moved bool) {
	var out *Effects
	l.counted(func() { out = n.shard.Effects() })
	moved = !out.Empty()
	l.write(n, out)
	for _, send := range out.Sends {
		l.counted(func() { l.buf = wire.Append(l.buf[:0], send.Msg) })
		l.sum.messages++
		l.sum.messageBytes += float64(len(l.buf))
		to := l.nodes[send.To]
		to.inbox = append(to.inbox, letter{n.name, slices.Clone(l.buf)})
	}
	for _, reply := range out.Replies {
		l.answers[reply.Token] = reply.Response
	}
	loads := slices.Clone(out.Loads)
	out.Reset()
	for _, load := range loads {
		l.sum.loads++
		l.counted(func() {
			object, err := replica.Load(n.engine, load.Replica, load.Bucket, load.Key)
			n.shard.Loaded(l.now, load.Row, object, err)
		})
	}
	return moved
}

func (l *ledger) write(n *rigNode, out *Effects) {
	err := out.Rows.Each(func(op storage.Op) error {
		if op.Kind == storage.OpSet {
			l.sum.rows++
			l.sum.rowBytes += float64(len(op.Key) + len(op.Value))
		} else {
			l.sum.removed++
		}
		return nil
	})
	require.NoError(l.t, err)
	require.NoError(l.t, n.engine.Apply(&out.Rows))
}

// operation is one request at the first home of its key.
func (l *ledger) operation(req kindred.Request) *kindred.Response {
	l.token++
	shard := l.nodes[l.home(req.Key, 0)].shard
	l.counted(func() { shard.Request(l.now, l.token, &req) })
	l.settle()
	resp := l.answers[l.token]
	require.NotNil(l.t, resp)
	require.Nil(l.t, resp.Err)
	return resp
}

// TestTheLedger says what operations cost where no other work is, and fails when one
// costs more than it did, or much less: then its line is to be brought up to date.
// docs/performance.md says what the numbers mean.
func TestTheLedger(t *testing.T) {
	value := strings.Repeat("v", 100)
	key := func(i int) string { return fmt.Sprintf("user:%08d", i) }
	for _, c := range []struct {
		what string
		want cost
		do   func(l *ledger, i int)
	}{
		{"put of a new key", cost{rows: 6, rowBytes: 606, loads: 3, messages: 4, messageBytes: 428, allocations: 39}, func(l *ledger, i int) { l.operation(put(key(10_000+i), value)) }},
		{"put over what was read", cost{rows: 6, rowBytes: 603, loads: 3, messages: 4, messageBytes: 466, allocations: 50}, func(l *ledger, i int) {
			before := l.sum
			read := l.operation(get(key(i)))
			l.sum = before
			l.operation(seen(put(key(i), value), read.Context))
		}},
		{"get", cost{loads: 2, messages: 2, messageBytes: 215, allocations: 34}, func(l *ledger, i int) { l.operation(get(key(i))) }},
		{"delete of what was read", cost{rows: 3, removed: 3, rowBytes: 156, loads: 3, messages: 4, messageBytes: 210, allocations: 44}, func(l *ledger, i int) {
			before := l.sum
			read := l.operation(get(key(i)))
			l.sum = before
			l.operation(seen(del(key(i)), read.Context))
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			const operations = 500
			l := &ledger{rig: newRig(t, 3, DefaultLimits())}
			for i := range operations {
				l.operation(put(key(i), value))
			}
			l.sum = cost{}
			for i := range operations {
				c.do(l, i)
			}
			got := l.sum.per(operations)
			t.Logf("%+v", got)
			for _, line := range []struct {
				what              string
				got, want, within float64
			}{
				{"rows written", got.rows, c.want.rows, 0},
				{"rows deleted", got.removed, c.want.removed, 0},
				{"bytes of rows", got.rowBytes, c.want.rowBytes, 0.02},
				{"objects read", got.loads, c.want.loads, 0},
				{"messages", got.messages, c.want.messages, 0},
				{"bytes of messages", got.messageBytes, c.want.messageBytes, 0.02},
				{"allocations", got.allocations, c.want.allocations, 0.05},
			} {
				require.InDelta(t, line.want, line.got, line.within*line.want, line.what)
			}
		})
	}
}

func (c cost) per(n float64) cost {
	return cost{c.rows / n, c.removed / n, c.rowBytes / n, c.loads / n, c.messages / n, c.messageBytes / n, c.allocations / n}
}
