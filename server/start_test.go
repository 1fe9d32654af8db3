package server_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/server"
)

// deadline bounds every wait of these tests; nothing waits that long when all
// is well.
const deadline = 20 * time.Second

// house is a running server with both doors open.
type house struct {
	*server.Server
	backend *memory
	grpc    *bufconn.Listener
	url     string
	client  *http.Client // nil for the usual one
	served  chan error   // one word per door
}

func open(t testing.TB, change ...func(*server.Config)) *house {
	t.Helper()
	h := &house{backend: newMemory(t), grpc: bufconn.Listen(1 << 16), served: make(chan error, 2)}
	registry := prometheus.NewRegistry()
	cfg := server.Config{Backend: h.backend, Repairs: h.backend, Registerer: registry, Gatherer: registry}
	for _, c := range change {
		c(&cfg)
	}
	s, err := server.New(cfg)
	require.NoError(t, err)
	h.Server = s
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h.url = "http://" + l.Addr().String()
	go func() { h.served <- s.ServeGRPC(h.grpc) }()
	go func() { h.served <- s.ServeHTTP(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what a test left running is not waited for
		_ = s.Shutdown(ctx)
		http.DefaultClient.CloseIdleConnections()
	})
	return h
}

// with is the same house, visited by somebody else.
func (h *house) with(client *http.Client) *house {
	return &house{Server: h.Server, backend: h.backend, url: h.url, client: client}
}

func (h *house) dial(t testing.TB) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return h.grpc.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(api.ResponseBytesMax)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (h *house) kv(t testing.TB) pb.KVClient { return pb.NewKVClient(h.dial(t)) }

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// receive waits for a value on a channel.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(deadline):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}
