package server_test

import (
	"context"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/server"
)

const callers = 64

// serveInstant is a server whose backend costs nothing, on loopback.
func serveInstant(b *testing.B) pb.KVClient {
	registry := prometheus.NewRegistry()
	s, err := server.New(server.Config{Backend: instant{newMemory(b)}, Registerer: registry, Gatherer: registry})
	require.NoError(b, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	go func() { _ = s.ServeGRPC(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(b, err)
	b.Cleanup(func() {
		_ = conn.Close()
		_ = s.Shutdown(context.Background())
	})
	return pb.NewKVClient(conn)
}

func benchPut() *pb.PutRequest {
	return &pb.PutRequest{Bucket: "carts", Key: []byte("customer-0000000042"), Value: make([]byte, 100),
		Context: make([]byte, 24), RequestId: make([]byte, 16)}
}

// reportCPU adds the CPU time per operation of this process, client and server.
func reportCPU(b *testing.B, before syscall.Rusage) {
	var after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/1e3/float64(b.N), "cpu-µs/op")
}

// BenchmarkUnary is a put of 100 B by 64 callers, both sides.
func BenchmarkUnary(b *testing.B) {
	kv := serveInstant(b)
	var before syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			m := benchPut()
			for n := i; n < b.N; n += callers {
				if _, err := kv.Put(context.Background(), m); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	reportCPU(b, before)
}

// BenchmarkPipeline is the same over one stream, with 64 calls outstanding and
// a client that sends again as many calls as were answered together.
func BenchmarkPipeline(b *testing.B) {
	stream, err := serveInstant(b).Pipeline(context.Background())
	require.NoError(b, err)
	var before syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ReportAllocs()
	b.ResetTimer()
	sent, answered, frames := 0, 0, 0
	send := func(n int) {
		m := &pb.PipelineRequest{}
		for ; n > 0 && sent < b.N; n-- {
			sent++
			m.Calls = append(m.Calls, &pb.Call{Id: uint64(sent), Op: &pb.Call_Put{Put: benchPut()}})
		}
		if len(m.Calls) > 0 {
			require.NoError(b, stream.Send(m))
		}
	}
	for range callers / 8 {
		send(8)
	}
	for answered < b.N {
		m, err := stream.Recv()
		require.NoError(b, err)
		answered += len(m.Results)
		frames++
		send(len(m.Results))
	}
	reportCPU(b, before)
	b.ReportMetric(float64(b.N)/float64(frames), "ops/frame")
}
