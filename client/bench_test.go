package client_test

import (
	"context"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/client"
)

const (
	benchCallers = 64
	benchBytes   = 200
)

// echo answers as little as a node can.
type echo struct {
	kindredv1.UnimplementedKVServer
	kindredv1.UnimplementedClusterServer
	addr string
}

func startEcho(b *testing.B) *echo {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	e := &echo{addr: l.Addr().String()}
	s := grpc.NewServer()
	kindredv1.RegisterKVServer(s, e)
	kindredv1.RegisterClusterServer(s, e)
	go s.Serve(l)
	b.Cleanup(s.Stop)
	return e
}

func (e *echo) Put(_ context.Context, m *kindredv1.PutRequest) (*kindredv1.PutResponse, error) {
	return &kindredv1.PutResponse{Context: m.GetValue()[:16], Receipt: &kindredv1.Receipt{Dot: "n1.1", Stage: kindredv1.Stage_STAGE_REPLICATED}}, nil
}

func (e *echo) Get(context.Context, *kindredv1.GetRequest) (*kindredv1.GetResponse, error) {
	return &kindredv1.GetResponse{Siblings: []*kindredv1.Sibling{{Value: make([]byte, benchBytes), Dot: "n1.1"}}, Context: make([]byte, 16)}, nil
}

func (e *echo) Pipeline(s kindredv1.KV_PipelineServer) error {
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		results := make([]*kindredv1.Result, len(m.GetCalls()))
		for i, c := range m.GetCalls() {
			r := &kindredv1.Result{Id: c.GetId()}
			if c.GetPut() != nil {
				put, _ := e.Put(s.Context(), c.GetPut())
				r.Op = &kindredv1.Result_Put{Put: put}
			} else {
				get, _ := e.Get(s.Context(), c.GetGet())
				r.Op = &kindredv1.Result_Get{Get: get}
			}
			results[i] = r
		}
		if err := s.Send(&kindredv1.PipelineResponse{Results: results}); err != nil {
			return err
		}
	}
}

func (e *echo) Describe(context.Context, *kindredv1.DescribeRequest) (*kindredv1.DescribeResponse, error) {
	c := kindred.Cluster{Node: "n1", Members: []kindred.Member{{Name: "n1", ClientAddr: e.addr}}}
	return api.FormatDescribe(&c, &kindred.Local{}), nil
}

// BenchmarkPut compares a put through the client with a bare unary call that
// carries the same, in one process for both sides: cpu-µs/op is what client and
// server spend together.
func BenchmarkPut(b *testing.B) {
	value := make([]byte, benchBytes)
	b.Run("pipeline", func(b *testing.B) {
		bucket := dialEcho(b).Bucket("bench")
		callers(b, func(ctx context.Context) error {
			_, err := bucket.Put(ctx, "some-key", value)
			return err
		})
	})
	b.Run("unary", func(b *testing.B) {
		kv := unaryEcho(b)
		id := make([]byte, 16)
		callers(b, func(ctx context.Context) error {
			_, err := kv.Put(ctx, &kindredv1.PutRequest{Bucket: "bench", Key: []byte("some-key"), Value: value, RequestId: id})
			return err
		})
	})
}

// BenchmarkGet is BenchmarkPut for reads.
func BenchmarkGet(b *testing.B) {
	b.Run("pipeline", func(b *testing.B) {
		bucket := dialEcho(b).Bucket("bench")
		callers(b, func(ctx context.Context) error {
			_, err := bucket.Get(ctx, "some-key")
			return err
		})
	})
	b.Run("unary", func(b *testing.B) {
		kv := unaryEcho(b)
		callers(b, func(ctx context.Context) error {
			_, err := kv.Get(ctx, &kindredv1.GetRequest{Bucket: "bench", Key: []byte("some-key")})
			return err
		})
	})
}

func dialEcho(b *testing.B) *client.Client {
	c, err := client.Dial(b.Context(), []string{startEcho(b).addr})
	require.NoError(b, err)
	b.Cleanup(func() { c.Close() })
	return c
}

func unaryEcho(b *testing.B) kindredv1.KVClient {
	conn, err := grpc.NewClient(startEcho(b).addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(b, err)
	b.Cleanup(func() { conn.Close() })
	return kindredv1.NewKVClient(conn)
}

// callers makes b.N calls from many callers and reports the processor time of
// one.
func callers(b *testing.B, call func(context.Context) error) {
	require.NoError(b, call(b.Context())) // connect
	b.ReportAllocs()
	b.ResetTimer()
	began := processorTime()
	var all sync.WaitGroup
	for i := range benchCallers {
		all.Go(func() {
			for range b.N/benchCallers + min(1, max(0, b.N%benchCallers-i)) {
				if err := call(b.Context()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	spent := processorTime() - began
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "cpu-µs/op")
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
