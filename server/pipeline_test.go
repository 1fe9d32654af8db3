package server_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/server"
)

func pipeline(t testing.TB, kv pb.KVClient) pb.KV_PipelineClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	stream, err := kv.Pipeline(ctx)
	require.NoError(t, err)
	return stream
}

func putCall(id uint64, value string) *pb.Call {
	return &pb.Call{Id: id, Op: &pb.Call_Put{Put: &pb.PutRequest{Bucket: "b", Key: fmt.Appendf(nil, "k%d", id), Value: []byte(value)}}}
}

func getCall(id uint64) *pb.Call {
	return &pb.Call{Id: id, Op: &pb.Call_Get{Get: &pb.GetRequest{Bucket: "b", Key: fmt.Appendf(nil, "k%d", id)}}}
}

// results reads until it has n of them.
func results(t testing.TB, stream pb.KV_PipelineClient, n int) map[uint64]*pb.Result {
	t.Helper()
	all := map[uint64]*pb.Result{}
	for len(all) < n {
		m, err := stream.Recv()
		require.NoError(t, err, "after %d of %d results", len(all), n)
		for _, r := range m.Results {
			require.Nil(t, all[r.Id], "answered twice")
			all[r.Id] = r
		}
	}
	return all
}

func TestEveryCallOfAPipelineIsAnsweredOnce(t *testing.T) {
	h := open(t)
	stream := pipeline(t, h.kv(t))
	const n = 5000
	go func() {
		var id uint64
		for id < n {
			m := &pb.PipelineRequest{}
			for range 100 {
				id++
				m.Calls = append(m.Calls, putCall(id, fmt.Sprint(id)))
			}
			_ = stream.Send(m) // what fails here shows as a missing result
		}
		_ = stream.CloseSend()
	}()
	for id, r := range results(t, stream, n) {
		require.NotNil(t, r.GetPut(), "%d: %v", id, r)
	}
	_, err := stream.Recv()
	require.Equal(t, io.EOF, err, "the last answer is followed by an orderly end")
	require.LessOrEqual(t, h.backend.most(), 1024)
}

func TestAPipelineMixesOperationsAndFailures(t *testing.T) {
	h := open(t)
	stream := pipeline(t, h.kv(t))
	require.NoError(t, stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{putCall(1, "one")}}))
	results(t, stream, 1)
	require.NoError(t, stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{
		getCall(1), getCall(2), {Id: 3}, {Id: 4, Op: &pb.Call_Get{Get: &pb.GetRequest{Bucket: "b"}}},
		{Id: 5, Op: &pb.Call_Delete{Delete: &pb.DeleteRequest{Bucket: "b", Key: []byte("k1"), Context: []byte("{}")}}},
	}}))
	got := results(t, stream, 5)
	require.Equal(t, "one", string(got[1].GetGet().Siblings[0].Value))
	require.Empty(t, got[2].GetGet().Siblings)
	require.Equal(t, "op", got[3].GetError().Field)
	require.Equal(t, "key", got[4].GetError().Field)
	require.Equal(t, "bad_context", got[5].GetError().Code)
	for _, id := range []uint64{3, 4, 5} {
		require.Equal(t, pb.Outcome_OUTCOME_NOT_APPLIED, got[id].GetError().Outcome)
	}
}

// pick answers gets at once and keeps puts back.
type pick struct {
	*memory
	puts chan func()
}

func (p pick) Do(req *kindred.Request, done func(*kindred.Response)) {
	if req.Op == kindred.OpPut {
		p.puts <- func() { p.memory.Do(req, done) }
		return
	}
	p.memory.Do(req, done)
}

func TestASlowCallHoldsUpNoOther(t *testing.T) {
	puts := make(chan func(), 1)
	h := open(t, func(c *server.Config) { c.Backend = pick{newMemory(t), puts} })
	stream := pipeline(t, h.kv(t))
	require.NoError(t, stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{putCall(1, "slow"), getCall(2), getCall(3)}}))
	got := results(t, stream, 2)
	require.Contains(t, got, uint64(2))
	require.Contains(t, got, uint64(3))
	receive(t, puts)()
	require.Contains(t, results(t, stream, 1), uint64(1))
}

// I11: the calls of one stream.
func TestAtItsLimitAStreamIsNotReadOn(t *testing.T) {
	h := open(t, func(c *server.Config) { c.CallsPerStreamMax = 8 })
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 100)
	stream := pipeline(t, h.kv(t))
	m := &pb.PipelineRequest{}
	for id := range uint64(100) {
		m.Calls = append(m.Calls, putCall(id, "v"))
	}
	require.NoError(t, stream.Send(m))
	for range 8 {
		receive(t, h.backend.began)
	}
	close(h.backend.hold)
	results(t, stream, 100)
	require.Equal(t, 8, h.backend.most())
}

// I11: answers that no one reads. Lesson: one slow consumer must not stall
// others, neither beside it on its connection nor elsewhere.
func TestAClientThatDoesNotReadHarmsNoOne(t *testing.T) {
	const calls, size = 100, 512 << 10
	h := open(t, func(c *server.Config) { c.UnsentBytesPerStreamMax = 4 * size })
	kv := h.kv(t)
	_, err := kv.Put(within(t), &pb.PutRequest{Bucket: "b", Key: []byte("k0"), Value: make([]byte, size)})
	require.NoError(t, err)

	h.backend.mu.Lock()
	h.backend.began = make(chan kindred.Op, 10*calls)
	h.backend.mu.Unlock()
	deaf := pipeline(t, kv)
	for id := range uint64(calls) {
		call := getCall(0)
		call.Id = id
		require.NoError(t, deaf.Send(&pb.PipelineRequest{Calls: []*pb.Call{call}}))
	}
	receive(t, h.backend.began) // it has begun to gather

	for _, other := range []pb.KVClient{kv, h.kv(t)} {
		stream := pipeline(t, other)
		for id := range uint64(50) {
			require.NoError(t, stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{putCall(id+1, "v")}}))
			results(t, stream, 1)
		}
		_, err := other.Get(within(t), getAlice())
		require.NoError(t, err)
	}
	gets := 0
	for _, r := range h.backend.requests() {
		if r.Op == kindred.OpGet {
			gets++
		}
	}
	require.Less(t, gets, 20, "the server went on asking for answers that no one reads")

	for _, r := range results(t, deaf, calls) {
		require.Len(t, r.GetGet().Siblings[0].Value, size)
	}
}

func TestLargeAnswersDoNotShareAMessage(t *testing.T) {
	h := open(t)
	kv := h.kv(t)
	_, err := kv.Put(within(t), &pb.PutRequest{Bucket: "b", Key: []byte("k0"), Value: make([]byte, 700<<10)})
	require.NoError(t, err)
	h.backend.hold = make(chan struct{})
	h.backend.began = make(chan kindred.Op, 10)
	stream := pipeline(t, kv)
	m := &pb.PipelineRequest{}
	for id := range uint64(10) {
		m.Calls = append(m.Calls, getCall(0))
		m.Calls[id].Id = id
	}
	require.NoError(t, stream.Send(m))
	for range 10 {
		receive(t, h.backend.began)
	}
	close(h.backend.hold)
	for range 10 {
		got, err := stream.Recv()
		require.NoError(t, err)
		require.Len(t, got.Results, 1)
	}
}

// I11: what one message may make us allocate.
func TestAMessageOfTooManyCallsIsNotDecoded(t *testing.T) {
	h := open(t)
	kv := h.kv(t)
	fits, tooMany := &pb.PipelineRequest{}, &pb.PipelineRequest{}
	for id := range uint64(kindred.BatchMax) {
		fits.Calls = append(fits.Calls, getCall(id))
	}
	stream := pipeline(t, kv)
	require.NoError(t, stream.Send(fits))
	results(t, stream, kindred.BatchMax)

	tooMany.Calls = append(fits.Calls, getCall(1000))
	require.NoError(t, stream.Send(tooMany))
	_, err := stream.Recv()
	require.ErrorContains(t, err, "more than 1000 calls")
	require.Len(t, h.backend.requests(), kindred.BatchMax)
}

func TestAMessageBeyondItsLimitEndsTheStream(t *testing.T) {
	h := open(t)
	stream := pipeline(t, h.kv(t))
	m := &pb.PipelineRequest{}
	for id := range uint64(3) {
		m.Calls = append(m.Calls, &pb.Call{Id: id, Op: &pb.Call_Put{Put: &pb.PutRequest{Bucket: "b", Key: []byte("k"), Value: make([]byte, 6<<20)}}})
	}
	_ = stream.Send(m) // it may see the end of the stream already
	_, err := stream.Recv()
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Empty(t, h.backend.requests())
}

// I11: operations and streams of the whole node.
func TestOverloadIsRefusedBeforeTheBackend(t *testing.T) {
	h := open(t, func(c *server.Config) { c.CallsMax = 2; c.StreamsMax = 1 })
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 9)
	kv := h.kv(t)
	stream := pipeline(t, kv)
	require.NoError(t, stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{putCall(1, "v"), putCall(2, "v"), putCall(3, "v")}}))
	for id, r := range results(t, stream, 1) {
		require.EqualValues(t, 3, id)
		require.Equal(t, "overloaded", r.GetError().Code)
		require.Equal(t, "the node already has 2 operations under way, its limit: try again, or another node", r.GetError().Message)
		require.Equal(t, pb.Outcome_OUTCOME_NOT_APPLIED, r.GetError().Outcome)
	}
	require.Equal(t, 503, h.put(t, alice, "v").status)

	_, err := pipeline(t, kv).Recv()
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Equal(t, kindred.CodeOverloaded, api.ErrorOf(err).Code)
	scan, err := kv.Scan(within(t), &pb.ScanRequest{Bucket: "b"})
	require.NoError(t, err)
	_, err = scan.Recv()
	require.Equal(t, kindred.CodeOverloaded, api.ErrorOf(err).Code)

	close(h.backend.hold)
	results(t, stream, 2)
	require.Equal(t, 204, h.put(t, alice, "v").status, "there is room again")
}

// The end is an order that a client may trust: what it has sent by then and was not
// answered has not been let in.
func TestAPipelineThatNobodyUsesIsEndedInOrder(t *testing.T) {
	h := open(t, func(c *server.Config) { c.IdleTimeout = 20 * time.Millisecond })
	kv := h.kv(t)
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 2)
	busy, answered := underWay(t, h, kv)
	_, err := pipeline(t, kv).Recv()
	require.ErrorIs(t, err, io.EOF, "it was never used")
	_, err = pipeline(t, kv).Recv()
	require.ErrorIs(t, err, io.EOF)
	require.Empty(t, answered, "a call is on its way there")
	close(h.backend.hold)
	require.NoError(t, receive(t, answered))
	_, err = busy.Recv()
	require.ErrorIs(t, err, io.EOF)
}

// underWay is a pipeline with a call that the backend keeps, and what becomes of that. A
// pipeline that was ended before its call came is followed by another.
func underWay(t *testing.T, h *house, kv pb.KVClient) (pb.KV_PipelineClient, chan error) {
	for {
		stream, answered := pipeline(t, kv), make(chan error, 1)
		_ = stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{putCall(1, "v")}})
		go func() {
			_, err := stream.Recv()
			answered <- err
		}()
		select {
		case <-h.backend.began:
			return stream, answered
		case err := <-answered:
			require.ErrorIs(t, err, io.EOF)
		}
	}
}

// running reports whether some goroutine is in that function.
func running(function string) bool {
	b := make([]byte, 1<<20)
	return strings.Contains(string(b[:runtime.Stack(b, true)]), function)
}

func TestAClientThatLeavesFreesItsPipeline(t *testing.T) {
	h := open(t, func(c *server.Config) { c.CallsPerStreamMax = 2 })
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 2)
	ctx, cancel := context.WithCancel(within(t))
	stream, err := h.kv(t).Pipeline(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{putCall(1, "v"), putCall(2, "v"), putCall(3, "v")}}))
	receive(t, h.backend.began)
	receive(t, h.backend.began)
	cancel()
	_, err = stream.Recv()
	require.Equal(t, codes.Canceled, status.Code(err))
	require.Eventually(t, func() bool { return !running("(*pipe).read") }, deadline, time.Millisecond,
		"the reader that waited for room has not gone")
	close(h.backend.hold)
	require.NoError(t, h.Shutdown(within(t)))
	require.Len(t, h.backend.requests(), 2)
}
