package server_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/server"
)

func getAlice() *pb.GetRequest { return &pb.GetRequest{Bucket: "carts", Key: []byte("alice")} }
func putAlice(v string) *pb.PutRequest {
	return &pb.PutRequest{Bucket: "carts", Key: []byte("alice"), Value: []byte(v)}
}

func TestUnaryCallsReadAndWrite(t *testing.T) {
	h := open(t)
	kv, ctx := h.kv(t), within(t)
	put, err := kv.Put(ctx, putAlice("milk"))
	require.NoError(t, err)
	require.Equal(t, "n1:1", put.Receipt.Dot)
	require.Equal(t, pb.Stage_STAGE_REPLICATED, put.Receipt.Stage)

	got, err := kv.Get(ctx, getAlice())
	require.NoError(t, err)
	require.Equal(t, "milk", string(got.Siblings[0].Value))
	require.Equal(t, []string{"n1", "n2"}, got.Replied)

	_, err = kv.Delete(ctx, &pb.DeleteRequest{Bucket: "carts", Key: []byte("alice"), Context: got.Context})
	require.NoError(t, err)
	got, err = kv.Get(ctx, getAlice())
	require.NoError(t, err)
	require.Empty(t, got.Siblings)
}

func TestFailuresTravelWholeOverGRPC(t *testing.T) {
	h := open(t)
	h.backend.fail = &kindred.Error{Code: kindred.CodeTimeout, Message: "w=2, 1 answered", Outcome: kindred.Unknown,
		Dot: "n1:9", Need: 2, Got: 1, Failed: []kindred.NodeFailure{{Node: "n2", Reason: "timed out"}}}
	_, err := h.kv(t).Put(within(t), putAlice("v"))
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	require.Equal(t, h.backend.fail, api.ErrorOf(err))
}

func TestLimitsHoldBeforeTheBackendIsAsked(t *testing.T) {
	h := open(t)
	kv, ctx := h.kv(t), within(t)
	for _, c := range []struct {
		change func(*pb.PutRequest)
		code   codes.Code
		field  string
	}{
		{func(m *pb.PutRequest) { m.Key = make([]byte, 4097) }, codes.OutOfRange, "key"},
		{func(m *pb.PutRequest) { m.Value = make([]byte, 8<<20+1) }, codes.OutOfRange, "value"},
		{func(m *pb.PutRequest) { m.W = 17 }, codes.InvalidArgument, "w"},
		{func(m *pb.PutRequest) { m.Durability = 9 }, codes.InvalidArgument, "durability"},
		{func(m *pb.PutRequest) { m.RequestId = []byte("short") }, codes.InvalidArgument, "request_id"},
	} {
		m := putAlice("v")
		c.change(m)
		_, err := kv.Put(ctx, m)
		require.Equal(t, c.code, status.Code(err), c.field)
		require.Equal(t, c.field, api.ErrorOf(err).Field)
		require.Equal(t, kindred.NotApplied, api.ErrorOf(err).Outcome)
	}
	_, err := pb.NewClusterClient(h.dial(t)).Inspect(ctx, &pb.InspectRequest{Bucket: "b"})
	require.Equal(t, "key", api.ErrorOf(err).Field)
	require.Empty(t, h.backend.requests())
}

func TestTheSmallerTimeoutHolds(t *testing.T) {
	h := open(t)
	kv := h.kv(t)
	m := getAlice()

	_, err := kv.Get(context.Background(), m)
	require.NoError(t, err)
	require.Zero(t, h.backend.last().Timeout, "no one said how long")

	m.TimeoutMs = 250
	_, err = kv.Get(within(t), m)
	require.NoError(t, err)
	require.Equal(t, 250*time.Millisecond, h.backend.last().Timeout)

	m.TimeoutMs = 3_600_000
	_, err = kv.Get(within(t), m)
	require.NoError(t, err)
	require.LessOrEqual(t, h.backend.last().Timeout, deadline)
	require.Greater(t, h.backend.last().Timeout, deadline/2)
}

func TestACallerThatStopsWaitingFreesItsCall(t *testing.T) {
	h := open(t)
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 1)
	ctx, cancel := context.WithCancel(within(t))
	failed := make(chan error, 1)
	kv := h.kv(t)
	go func() {
		_, err := kv.Put(ctx, putAlice("v"))
		failed <- err
	}()
	receive(t, h.backend.began)
	cancel()
	require.Equal(t, kindred.Unknown, api.ErrorOf(receive(t, failed)).Outcome)
	close(h.backend.hold) // the late answer finds no one, and hurts no one
	require.NoError(t, h.Shutdown(within(t)))
}

func TestScanFollowsTheCursor(t *testing.T) {
	h := open(t)
	for i := range 2500 {
		h.backend.Do(&kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: fmt.Sprintf("%05d", i)}, func(*kindred.Response) {})
	}
	for limit, want := range map[uint64]struct{ keys, pages int }{0: {2500, 3}, 1: {1, 1}, 1500: {1500, 2}, 2500: {2500, 3}, 9999: {2500, 3}} {
		stream, err := h.kv(t).Scan(within(t), &pb.ScanRequest{Bucket: "b", Limit: limit})
		require.NoError(t, err)
		keys, pages := map[string]bool{}, 0
		for ; ; pages++ {
			m, err := stream.Recv()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			for _, k := range m.Keys {
				keys[string(k.Key)] = true
			}
		}
		require.Len(t, keys, want.keys)
		require.Equal(t, want.pages, pages, "limit %d", limit)
	}
}

// still is a backend whose scan never moves.
type still struct{ *memory }

func (still) Do(_ *kindred.Request, done func(*kindred.Response)) {
	done(&kindred.Response{Cursor: []byte("here")})
}

func TestAScanThatStandsStillEnds(t *testing.T) {
	h := open(t, func(c *server.Config) { c.Backend = still{newMemory(t)} })
	stream, err := h.kv(t).Scan(within(t), &pb.ScanRequest{Bucket: "b"})
	require.NoError(t, err)
	for err == nil {
		_, err = stream.Recv()
	}
	require.Equal(t, codes.Internal, status.Code(err), "%v", err)
	require.Contains(t, err.Error(), "stands still")
}

func TestAScanRefusesWhatBreaksALimit(t *testing.T) {
	h := open(t)
	stream, err := h.kv(t).Scan(within(t), &pb.ScanRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, "bucket", api.ErrorOf(err).Field)
}

func TestTheClusterServiceShowsWhatTheNodeKnows(t *testing.T) {
	h := open(t)
	c := pb.NewClusterClient(h.dial(t))
	m, err := c.Describe(within(t), &pb.DescribeRequest{})
	require.NoError(t, err)
	cluster, local := api.ParseDescribe(m)
	require.Equal(t, h.backend.Cluster(), cluster)
	require.True(t, local.Ready)

	views, err := c.Inspect(within(t), &pb.InspectRequest{Bucket: "b", Key: []byte("k"), TimeoutMs: 5})
	require.NoError(t, err)
	require.Equal(t, "unreachable", views.Replicas[1].Error)
	require.Equal(t, kindred.OpInspect, h.backend.last().Op)
}

func TestHealthFollowsReadiness(t *testing.T) {
	h := open(t)
	health := healthpb.NewHealthClient(h.dial(t))
	for service, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
		"": healthpb.HealthCheckResponse_SERVING, "kindred.v1.KV": healthpb.HealthCheckResponse_SERVING,
		"kindred.v1.Cluster": healthpb.HealthCheckResponse_SERVING,
	} {
		r, err := health.Check(within(t), &healthpb.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		require.Equal(t, want, r.Status, service)
	}
	watch, err := health.Watch(within(t), &healthpb.HealthCheckRequest{Service: "kindred.v1.KV"})
	require.NoError(t, err)
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
		r, err := watch.Recv()
		require.NoError(t, err)
		require.Equal(t, want, r.Status)
		h.backend.setReady(false, "lost its disk")
	}
	r, err := health.Check(within(t), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, r.Status, "the process itself is well")
}

func TestReflectionNamesTheServices(t *testing.T) {
	h := open(t)
	stream, err := reflectionpb.NewServerReflectionClient(h.dial(t)).ServerReflectionInfo(within(t))
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}))
	m, err := stream.Recv()
	require.NoError(t, err)
	require.Contains(t, m.String(), "kindred.v1.KV")
	require.Contains(t, m.String(), "kindred.v1.Cluster")
}
