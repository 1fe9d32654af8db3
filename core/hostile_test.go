package core

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// A scan of three homes waits for the second of them, whatever becomes of peers
// that are no homes.
func TestAScanWaitsForItsHomesAndForNobodyElse(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	r.do("n1", put("k", "v"))
	cursor := Cursor{Partition: r.headOf("k").Partition}.Bytes()
	home := r.home("k", 0)
	var late []Send
	r.lose = func(from, to string, m wire.Message) bool {
		if wire.KindOf(m) == wire.KindScanReply && from == r.home("k", 1) {
			late = append(late, Send{To: to, Msg: m})
			return true
		}
		return wire.KindOf(m) == wire.KindScanReply
	}
	token := r.ask(home, kindred.Request{Op: kindred.OpScan, Bucket: "b", Scan: kindred.Scan{Cursor: cursor}})
	for _, name := range r.names {
		if !r.nodes[name].shard.Has(replica.ID(r.headOf("k"))) {
			r.nodes[home].shard.SetLink(r.now, name, false)
		}
	}
	r.settle()
	require.NotContains(t, r.answers, token)
	r.lose = func(string, string, wire.Message) bool { return false }
	r.deliver(r.home("k", 1), late[0])
	r.settle()
	require.Len(t, r.answers[token].Keys, 1)
	r.idle()
}

// A span without end that begins late is small by the difference of its ends.
// Going through it dot by dot would never end, or panic.
func TestADeltaWithASpanWithoutEndIsRefused(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	stranger := vclock.Actor{Disk: 9, Nonce: 9}
	for _, lo := range []uint64{1, math.MaxUint64 - 5, math.MaxUint64} {
		m := &wire.Write{Head: r.headOf("k"), Op: wire.OpID{Process: 1, Seq: 1}, Bucket: "b", Key: "k"}
		m.Delta.Dots.AddSpan(stranger, vclock.Span{Lo: lo, Hi: math.MaxUint64})
		r.deliver("n1", Send{To: "n2", Msg: m})
		r.settle()
	}
	require.EqualValues(t, 3, r.nodes["n2"].shard.Stats().RefusedJoins)
	require.Empty(t, r.nodes["n2"].shard.Clock(replica.ID(r.headOf("k"))).Max(stranger))
	r.idle()
}

// A context that names writes which this incarnation has not made would have
// them dropped when they are made, although they are acknowledged (I1).
func TestAContextThatNamesWritesToComeIsRefused(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "v"))
	own := r.nodes["n1"].shard.replicas[replica.ID(r.headOf("k"))].Actor()
	for _, hi := range []uint64{2, math.MaxUint64} {
		var forged vclock.DotSet
		forged.AddSpan(own, vclock.Span{Lo: 1, Hi: hi})
		for _, req := range []kindred.Request{put("k", "poison"), del("k")} {
			err := r.do("n1", seen(req, replica.EncodeContext("b", "k", forged))).Err
			require.Equal(t, kindred.CodeBadContext, err.Code)
			require.Equal(t, kindred.NotApplied, err.Outcome)
		}
		// Nor does a replica take them from a peer.
		m := &wire.Write{Head: r.headOf("k"), Bucket: "b", Key: "k"}
		m.Delta.Context = forged
		r.deliver("n2", Send{To: "n1", Msg: m})
		r.settle()
	}
	require.EqualValues(t, 2, r.nodes["n1"].shard.Stats().RefusedJoins)
	require.Nil(t, r.do("n1", put("k", "precious")).Err)
	require.ElementsMatch(t, []string{"v", "precious"}, values(r.do("n3", get("k"))))
	r.idle()
}

// A message comes to a shard by its head. A key of another shard's has no
// replica there.
func TestAForwardThatIsMisaddressedIsRefused(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	n := r.nodes["n2"].shard
	delete(n.replicas, replica.ID(r.headOf("k"))) // another shard of the node has it
	head := r.headOf("k")
	head.Partition ^= 1
	for _, op := range []kindred.Op{kindred.OpGet, kindred.OpPut, kindred.OpDelete, kindred.OpInspect} {
		req := put("k", "")
		req.Op = op
		n.Message(r.now, "n1", &wire.Forward{Head: head, Op: wire.OpID{Process: 1, Seq: 1}, Request: req})
		reply := n.Effects().Sends[len(n.Effects().Sends)-1].Msg.(*wire.ForwardReply)
		require.Equal(t, kindred.CodeWrongRing, reply.Response.Err.Code)
		require.Equal(t, kindred.NotApplied, reply.Response.Err.Outcome)
	}
}

func TestTheDeadlinesOfEndedOperationsAreForgotten(t *testing.T) {
	var d deadlines
	begin := time.Unix(1_790_000_000, 0)
	running := map[uint64]bool{3: true, 70_000: true}
	for seq := range uint64(100_000) {
		d.add(begin.Add(time.Duration(seq)), seq)
		d.forget(len(running), func(seq uint64) bool { return running[seq] })
		require.LessOrEqual(t, len(d.entries), staleDeadlines+4*len(running))
	}
	var due []uint64
	for seq, ok := d.due(begin.Add(time.Hour)); ok; seq, ok = d.due(begin.Add(time.Hour)) {
		if running[seq] {
			due = append(due, seq)
		}
	}
	require.Equal(t, []uint64{3, 70_000}, due, "those that run expire in their order")
}

func TestAShardForgetsOldDeadlines(t *testing.T) {
	r := newRig(t, 1, DefaultLimits())
	shard, q := r.nodes["n1"].shard, put("k", "v")
	for range 2 * staleDeadlines {
		shard.Request(r.now, 0, &q)
		out := shard.Effects()
		for _, l := range out.Loads {
			shard.Loaded(r.now, l.Row, wire.Object{}, nil)
		}
		out.Reset()
	}
	require.LessOrEqual(t, len(shard.deadlines.entries), staleDeadlines+8)
}

// Deltas that wait for the disk are bounded by what they hold and by what they
// will write: few bytes can name many dots.
func TestTheWeightOfWaitingDeltasIsBounded(t *testing.T) {
	limits := DefaultLimits()
	limits.StepBytes = 100_000
	r := newRig(t, 3, limits)
	r.holdReads = true
	n := r.nodes["n2"].shard
	write := func(key string, value int, dots uint64) {
		d := vclock.Dot{Actor: vclock.Actor{Disk: 9, Nonce: 9}, Counter: 1}
		m := &wire.Write{Head: r.headOf(key), Op: wire.OpID{Process: 1, Seq: 1}, Bucket: "b", Key: key}
		m.Delta.Siblings = vclock.New(d, wire.Record{Value: make([]byte, value)}, vclock.DotSet{})
		m.Delta.Dots.AddSpan(d.Actor, vclock.Span{Lo: 1, Hi: dots})
		n.Message(r.now, "n1", m)
	}
	refusals := func() (n int) {
		for _, s := range r.nodes["n2"].shard.Effects().Sends {
			if m, ok := s.Msg.(*wire.WriteAck); ok && m.Refused != "" {
				require.Contains(t, m.Refused, "bytes of writes waiting for the disk")
				n++
			}
		}
		return n
	}
	write("k", 60_000, 1)
	require.Zero(t, refusals())
	write("k", 60_000, 1)
	require.Equal(t, 1, refusals())
	write("k", 0, replica.DeltaDotsMax)
	require.Equal(t, 2, refusals())
	wide := &wire.Write{Head: r.headOf("k"), Op: wire.OpID{Process: 1, Seq: 1}, Bucket: "b", Key: "k"}
	for c := range uint64(2000) {
		wide.Delta.Context.Add(vclock.Dot{Actor: vclock.Actor{Disk: 9, Nonce: 9}, Counter: 2 + 2*c})
	}
	n.Message(r.now, "n1", wide)
	require.Equal(t, 3, refusals())
	write("k", 10, 1)
	require.Equal(t, 3, refusals(), "what fits is taken")
	require.NotZero(t, n.Held().StepBytes)
	r.holdReads = false
	r.settle()
	require.Zero(t, n.Held().StepBytes)
	write("k", 200_000, 1)
	require.Zero(t, refusals(), "one that is larger than the limit goes alone")
	r.settle()
	r.idle()
}

// A question for a page of no bytes is answered with one object.
func TestAPageOfNoBytesHasOneObject(t *testing.T) {
	r := filled(t, 100)
	var page *wire.RebuildPage
	r.lose = func(_, to string, m wire.Message) bool {
		if p, ok := m.(*wire.RebuildPage); ok {
			page = p
		}
		return to == "n2"
	}
	r.nodes["n1"].shard.Message(r.now, "n2", &wire.RebuildRead{Head: r.headOf("key-0"), Op: wire.OpID{Process: 1, Seq: 1}})
	r.settle()
	require.Empty(t, page.Failed)
	require.Len(t, page.Items, 1)
	require.True(t, page.More)
	require.Equal(t, page.Items[0].Key, page.EndKey)
}
