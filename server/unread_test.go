package server_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/server"
)

func getAliceCall(id uint64) *pb.Call {
	return &pb.Call{Id: id, Op: &pb.Call_Get{Get: getAlice()}}
}

// held reads how much of the budget of gRPC answers is taken.
func (h *house) held(t *testing.T) (n float64) {
	for line := range strings.Lines(h.get(t, "/metrics").body) {
		_, _ = fmt.Sscanf(line, "kindred_grpc_answer_bytes %g", &n)
	}
	return n
}

// watch looks again and again at how much of the budget of gRPC answers is taken. The
// function that it returns ends that, and says what was the most.
func (h *house) watch(t *testing.T) (peak func() int64) {
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	most := make(chan int64, 1)
	go func() {
		var n int64
		for ctx.Err() == nil {
			n = max(n, h.GRPCAnswerBytes())
			runtime.Gosched()
		}
		most <- max(n, h.GRPCAnswerBytes())
	}()
	return func() int64 {
		stop()
		return <-most
	}
}

// Invariant 3, for pipelines: those who order and do not read hold the budget at
// most, and nobody else has to wait for small answers.
func TestPipelinesThatStopReadingHarmNoOne(t *testing.T) {
	const size, most, pipelines, orders = 1 << 20, 4<<20 - 128<<10, 3, 20
	h := open(t, func(c *server.Config) { c.AnswerBytesMax, c.AnswerTimeout = most, time.Hour })
	kv, ctx := h.kv(t), within(t)
	_, err := kv.Put(ctx, putAlice(strings.Repeat("v", size)))
	require.NoError(t, err)
	lazy, conn, stop := h.listener(t)
	var open [pipelines]pb.KV_PipelineClient
	for i := range open {
		open[i] = pipeline(t, lazy)
		require.NoError(t, open[i].Send(&pb.PipelineRequest{Calls: []*pb.Call{getCall(1)}}))
		results(t, open[i], 1)
	}
	close(stop)
	// A get is let in only if all that is counted is within the limit, and on the wire it
	// is not more than it was counted with; the refusal of one is told in any case, and is
	// no larger than an answer without values.
	const bound = most + pipelines*orders*server.AnswerBytes
	peak := h.watch(t)
	for id := range orders {
		for _, p := range open {
			require.NoError(t, p.Send(&pb.PipelineRequest{Calls: []*pb.Call{getAliceCall(uint64(id) + 2)}}))
		}
		h.sent(t, 1+pipelines+pipelines*(id+1)) // so that each of them holds something
	}
	// What was refused had no room. Since then an answer may count a little less, as it is
	// on the wire.
	require.Eventually(t, func() bool { return h.held(t) > most-size-pipelines*orders*2*server.AnswerBytes },
		deadline, time.Millisecond)
	require.LessOrEqual(t, peak(), int64(bound))

	brisk := pipeline(t, kv)
	bob := &pb.PutRequest{Bucket: "carts", Key: []byte("bob"), Value: make([]byte, 100<<10)}
	_, err = kv.Put(ctx, bob)
	require.NoError(t, err)
	require.NoError(t, brisk.Send(&pb.PipelineRequest{Calls: []*pb.Call{getAliceCall(1),
		{Id: 2, Op: &pb.Call_Get{Get: &pb.GetRequest{Bucket: "carts", Key: bob.Key}}}}}))
	all := results(t, brisk, 2)
	require.Equal(t, "overloaded", all[1].GetError().Code, "the budget of answers is spent")
	require.Equal(t, pb.Outcome_OUTCOME_NOT_APPLIED, all[1].GetError().Outcome)
	require.Len(t, all[2].GetGet().Siblings[0].Value, len(bob.Value), "what a stream has to itself is enough for this")

	t.Log("who hangs up gives back all that he held")
	require.NoError(t, conn.Close())
	h.shows(t, "kindred_grpc_answer_bytes 0")
	require.NoError(t, brisk.Send(&pb.PipelineRequest{Calls: []*pb.Call{getAliceCall(3)}}))
	require.Len(t, results(t, brisk, 1)[3].GetGet().Siblings[0].Value, size)
	h.shows(t, "kindred_grpc_answer_bytes 0")
}

// A stream whose client does not read would keep its place for ever.
func TestStreamsThatAreNotReadAreCutOff(t *testing.T) {
	h := open(t, func(c *server.Config) { c.AnswerTimeout = 100 * time.Millisecond })
	kv, ctx := h.kv(t), within(t)
	_, err := kv.Put(ctx, putAlice(strings.Repeat("v", 30<<10)))
	require.NoError(t, err)
	for n := range 500 { // more than the window of a stream
		key := fmt.Appendf(nil, "%0*d", kindred.KeyBytesMax, n)
		_, err := kv.Put(ctx, &pb.PutRequest{Bucket: "long", Key: key})
		require.NoError(t, err)
	}
	lookups := 0 // by those who listen for a while
	for op, begin := range map[kindred.Op]func(kv pb.KVClient){
		kindred.OpGet: func(kv pb.KVClient) {
			p := pipeline(t, kv)
			for id := range uint64(8) { // more than the window, and less than each has to itself
				require.NoError(t, p.Send(&pb.PipelineRequest{Calls: []*pb.Call{getAliceCall(id)}}))
				h.sent(t, int(id)+1+lookups)
			}
		},
		kindred.OpScan: func(kv pb.KVClient) {
			_, err := kv.Scan(ctx, &pb.ScanRequest{Bucket: "long"})
			require.NoError(t, err)
		},
	} {
		t.Run(op.String(), func(t *testing.T) {
			lazy, _, stop := h.listener(t)
			lookups++
			close(stop)
			begin(lazy)
			require.Eventually(t, func() bool { return h.backend.last().Op == op }, deadline, time.Millisecond)
			h.shows(t, "kindred_streams_in_flight 0")
			h.shows(t, "kindred_grpc_answer_bytes 0")
		})
	}
}

// A scan takes its pages from the same budget, and nothing once it is over.
func TestAScanWithoutRoomForAPageIsRefused(t *testing.T) {
	h := open(t, func(c *server.Config) { c.AnswerBytesMax = 1 << 10 })
	kv, ctx := h.kv(t), within(t)
	for n := range 100 {
		key := fmt.Appendf(nil, "%0*d", kindred.KeyBytesMax, n)
		_, err := kv.Put(ctx, &pb.PutRequest{Bucket: "long", Key: key})
		require.NoError(t, err)
	}
	scan, err := kv.Scan(ctx, &pb.ScanRequest{Bucket: "long"})
	require.NoError(t, err)
	for err == nil {
		_, err = scan.Recv()
	}
	bad := api.ErrorOf(err)
	require.Equal(t, kindred.CodeOverloaded, bad.Code)
	require.EqualValues(t, 1<<10, bad.Limit)
	require.Contains(t, bad.Message, "the answers under way would take")
	h.shows(t, "kindred_grpc_answer_bytes 0")
}
