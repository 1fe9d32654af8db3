package server_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// shutdown starts to drain and returns when new work is refused.
func (h *house) shutdown(t testing.TB, ctx context.Context) (ended chan error) {
	t.Helper()
	watch, err := healthpb.NewHealthClient(h.dial(t)).Watch(within(t), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	first, err := watch.Recv()
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, first.Status)

	ended = make(chan error, 1)
	go func() { ended <- h.Shutdown(ctx) }()
	second, err := watch.Recv()
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, second.Status)
	return ended
}

func TestADrainLosesNoAnswer(t *testing.T) {
	h := open(t)
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 9)
	kv := h.kv(t)
	stream, unary, web := pipeline(t, kv), make(chan error, 1), make(chan answer, 1)
	require.NoError(t, stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{putCall(1, "v")}}))
	ctx := within(t)
	go func() {
		_, err := kv.Put(ctx, putAlice("v"))
		unary <- err
	}()
	go func() { web <- h.put(t, alice, "v") }()
	for range 3 {
		receive(t, h.backend.began)
	}
	ended := h.shutdown(t, ctx)

	require.NoError(t, stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{putCall(2, "too late")}}))
	refused := results(t, stream, 1)[2].GetError()
	require.Equal(t, "stopping", refused.GetCode())
	require.Equal(t, pb.Outcome_OUTCOME_NOT_APPLIED, refused.Outcome)
	require.Empty(t, ended, "it waits for what runs")

	close(h.backend.hold)
	require.NotNil(t, results(t, stream, 1)[1].GetPut())
	_, err := stream.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, kindred.CodeStopping, api.ErrorOf(err).Code)
	require.NoError(t, receive(t, unary))
	require.Equal(t, 204, receive(t, web).status)
	require.NoError(t, receive(t, ended))
	require.NoError(t, receive(t, h.served))
	require.NoError(t, receive(t, h.served))
	require.NoError(t, h.Shutdown(ctx), "once more does nothing")
}

func TestIdleStreamsDoNotHoldUpADrain(t *testing.T) {
	h := open(t)
	stream := pipeline(t, h.kv(t))
	require.NoError(t, stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{putCall(1, "v")}}))
	results(t, stream, 1)
	require.NoError(t, receive(t, h.shutdown(t, within(t))), "nor does the health watch that saw it begin")
	_, err := stream.Recv()
	require.Equal(t, kindred.CodeStopping, api.ErrorOf(err).Code)
}

func TestADrainEndsWithItsContext(t *testing.T) {
	h := open(t)
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 2)
	defer close(h.backend.hold)
	stream := pipeline(t, h.kv(t))
	require.NoError(t, stream.Send(&pb.PipelineRequest{Calls: []*pb.Call{putCall(1, "v")}}))
	receive(t, h.backend.began)
	ctx, cancel := context.WithCancel(within(t))
	ended := h.shutdown(t, ctx)
	cancel()
	require.ErrorIs(t, receive(t, ended), context.Canceled)
	_, err := stream.Recv()
	require.Equal(t, kindred.Unknown, api.ErrorOf(err).Outcome, "the call may still happen")
}

func TestWhileDrainingTheNodeIsNotReady(t *testing.T) {
	h := open(t)
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 1)
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))
	_, err = conn.Write([]byte("GET " + alice + " HTTP/1.1\r\nHost: n1\r\n\r\n" + "GET /readyz HTTP/1.1\r\nHost: n1\r\n\r\n"))
	require.NoError(t, err)
	receive(t, h.backend.began)
	ended := h.shutdown(t, within(t))
	close(h.backend.hold)
	require.NoError(t, receive(t, ended))
	b := make([]byte, 1<<12)
	n, err := conn.Read(b)
	require.NoError(t, err)
	require.Contains(t, string(b[:n]), "404 Not Found", "what ran was answered")
	require.NotContains(t, string(b[:n]), `"ready":true`)

	_, err = net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	require.Error(t, err, "no one listens any more")
}

func TestServingAfterAShutdownEndsAtOnce(t *testing.T) {
	h := open(t)
	require.NoError(t, h.Shutdown(within(t)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, h.ServeHTTP(l))
	l, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, h.ServeGRPC(l))
}
