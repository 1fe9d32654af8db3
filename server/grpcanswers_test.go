package server_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/server"
)

// deaf is a connection that reads nothing any more once it is told to.
type deaf struct {
	net.Conn
	stop chan struct{}
	shut chan struct{}
	once *sync.Once
}

func (d deaf) Read(p []byte) (int, error) {
	select {
	case <-d.stop:
		<-d.shut
		return 0, net.ErrClosed
	default:
		return d.Conn.Read(p)
	}
}

func (d deaf) Close() error {
	d.once.Do(func() { close(d.shut) })
	return d.Conn.Close()
}

// listener is a client on a real socket who stops listening when stop is closed.
func (h *house) listener(t *testing.T) (kv pb.KVClient, conn *grpc.ClientConn, stop chan struct{}) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = h.ServeGRPC(l) }()
	stop = make(chan struct{})
	conn, err = grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp", addr)
			return deaf{c, stop, make(chan struct{}), &sync.Once{}}, err
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(api.ResponseBytesMax)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	kv = pb.NewKVClient(conn)
	_, err = kv.Get(within(t), &pb.GetRequest{Bucket: "carts", Key: []byte("nobody")})
	require.NoError(t, err)
	return kv, conn, stop
}

// order asks for alice n times and waits for no answer.
func order(t *testing.T, kv pb.KVClient, n int) {
	for range n {
		go func() { _, _ = kv.Get(within(t), getAlice()) }()
	}
}

// sent waits until the backend has answered n gets of alice.
func (h *house) sent(t *testing.T, n int) {
	t.Helper()
	line := fmt.Sprintf("kindred_requests_total{code=\"ok\",op=\"get\"} %d", n)
	h.shows(t, line)
}

// Invariant 3, for single gRPC calls: those who order and do not read hold the
// budget at most, and nobody else has to wait for small answers.
func TestGRPCClientsThatStopReadingHarmNoOne(t *testing.T) {
	const size, most = 1 << 20, 4 << 20
	h := open(t, func(c *server.Config) { c.AnswerBytesMax, c.AnswerTimeout = most, time.Hour })
	kv, ctx := h.kv(t), within(t)
	_, err := kv.Put(ctx, putAlice(strings.Repeat("v", size)))
	require.NoError(t, err)
	lazy, conn, stop := h.listener(t)
	close(stop)
	order(t, lazy, 50)
	h.sent(t, 51) // and the one of the listener
	require.Eventually(t, func() bool {
		var n float64
		for line := range strings.Lines(h.get(t, "/metrics").body) {
			_, _ = fmt.Sscanf(line, "kindred_grpc_answer_bytes %g", &n)
		}
		require.LessOrEqual(t, n, float64(most))
		return n > most-2*size
	}, deadline, 5*time.Millisecond)

	_, err = kv.Get(ctx, getAlice())
	bad := api.ErrorOf(err)
	require.Equal(t, kindred.CodeOverloaded, bad.Code, "the budget of answers is spent")
	require.Equal(t, kindred.NotApplied, bad.Outcome)
	require.EqualValues(t, most, bad.Limit)
	require.Contains(t, bad.Message, "the answers under way would take")
	bob := &pb.PutRequest{Bucket: "carts", Key: []byte("bob"), Value: make([]byte, 100<<10)}
	_, err = kv.Put(ctx, bob)
	require.NoError(t, err)
	got, err := kv.Get(ctx, &pb.GetRequest{Bucket: "carts", Key: bob.Key})
	require.NoError(t, err, "what a connection has to itself is enough for this")
	require.Len(t, got.Siblings[0].Value, len(bob.Value))

	t.Log("who hangs up gives back all that he held")
	require.NoError(t, conn.Close())
	h.shows(t, "kindred_grpc_answer_bytes 0")
	got, err = kv.Get(ctx, getAlice())
	require.NoError(t, err)
	require.Len(t, got.Siblings[0].Value, size)
	h.shows(t, "kindred_grpc_answer_bytes 0")
}

func TestAGRPCClientThatDoesNotReadIsCutOff(t *testing.T) {
	h := open(t, func(c *server.Config) { c.AnswerTimeout = 100 * time.Millisecond })
	_, err := h.kv(t).Put(within(t), putAlice(strings.Repeat("v", 1<<20)))
	require.NoError(t, err)
	lazy, _, stop := h.listener(t)
	close(stop)
	order(t, lazy, 1) // another one could come when the first is cut off already
	h.sent(t, 2)
	h.shows(t, "kindred_grpc_answer_bytes 0")
}

// An answer that was read gives back what it held, however many there are.
func TestGRPCAnswersThatAreReadTakeNothing(t *testing.T) {
	h := open(t, func(c *server.Config) { c.AnswerBytesMax = 2 << 20 })
	kv, _, _ := h.listener(t)
	_, err := kv.Put(within(t), putAlice(strings.Repeat("v", 1<<20)))
	require.NoError(t, err)
	for range 20 {
		require.Eventually(t, func() bool { // the one before may still be counted
			_, err := kv.Get(within(t), getAlice())
			return err == nil
		}, deadline, time.Millisecond)
	}
	h.shows(t, "kindred_grpc_answer_bytes 0")
}
