//go:build !race

package bench

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

const callers = 64

var (
	million = flag.Bool("million", false, "run the test with a million keys")
	seconds = flag.Duration("for", 1200*time.Millisecond, "how long each load runs")
	kvnode  string
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "kindred-bench")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		kvnode = filepath.Join(dir, "kvnode")
		build := exec.Command("go", "build", "-o", kvnode, "github.com/kindredkv/kindred/cmd/kvnode")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building kvnode: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// startCluster runs nodes for the length of the test.
func startCluster(t *testing.T, nodes int, args ...string) *local.Cluster {
	base, err := local.FreeBasePort(nodes, 17400)
	require.NoError(t, err)
	ctx := context.Background()
	c, _, err := local.Start(ctx, local.Options{
		Dir: t.TempDir(), KVNode: kvnode, Args: args,
		Shape: local.Shape{Nodes: nodes, Zones: nodes, BasePort: base},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := c.Stop(ctx, 10*time.Second)
		require.NoError(t, err)
	})
	return c
}

func dial(t *testing.T, c *local.Cluster, opts ...client.Option) *client.Client {
	status, err := c.Status()
	require.NoError(t, err)
	var addrs []string
	for _, n := range status.Nodes {
		addrs = append(addrs, n.Client)
	}
	kv, err := client.Dial(context.Background(), addrs, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { kv.Close() })
	return kv
}

// usage is CPU time of this process and of the cluster's nodes.
func usage(t *testing.T, c *local.Cluster) time.Duration {
	var own syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &own))
	total := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	if c == nil {
		return total
	}
	status, err := c.Status()
	require.NoError(t, err)
	for _, n := range status.Nodes {
		total += nodeUsage(t, n.PID)
	}
	return total
}

// nodeUsage reads user and system time from /proc, in ticks of 10 ms.
func nodeUsage(t *testing.T, pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func residentBytes(t *testing.T, pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.Atoi(f[1])
			require.NoError(t, err)
			return kib << 10
		}
	}
	t.Fatal("no VmRSS in the status of the process")
	return 0
}

// cost is what a closed loop of callers used.
type cost struct {
	ops, bytes int64 // bytes only where rows were written
	cpu, wall  time.Duration
}

func (c cost) perOp() float64 { return float64(c.cpu.Microseconds()) / float64(c.ops) }

func (c cost) rate() float64 { return float64(c.ops) / c.wall.Seconds() }

func (c cost) byteRate() float64 { return float64(c.bytes) / c.wall.Seconds() }

func (c cost) String() string {
	return fmt.Sprintf("%6.1f CPU-µs/op %8.0f op/s", c.perOp(), c.rate())
}

// load runs op from all callers for a while; op gets a number of its own.
func load(t *testing.T, cluster *local.Cluster, op func(ctx context.Context, n int64) error) cost {
	return loadBy(t, callers, cluster, op)
}

// loadBy is load by so many callers.
func loadBy(t *testing.T, callers int, cluster *local.Cluster, op func(ctx context.Context, n int64) error) cost {
	ctx := context.Background()
	var next, failed atomic.Int64
	var first atomic.Pointer[error]
	cpu, begin := usage(t, cluster), time.Now()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for time.Since(begin) < *seconds {
				if err := op(ctx, next.Add(1)); err != nil {
					failed.Add(1)
					first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	c := cost{ops: next.Load(), wall: time.Since(begin), cpu: usage(t, cluster) - cpu}
	if err := first.Load(); err != nil {
		t.Fatalf("%d of %d operations failed, the first with: %v", failed.Load(), c.ops, *err)
	}
	return c
}

// echo is the yardstick: one unary gRPC call with 200 bytes each way.
func echo(t *testing.T) cost {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, echoServer{})
	go server.Serve(l)
	defer server.Stop()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	caller := grpc_health_v1.NewHealthClient(conn)
	payload := strings.Repeat("x", 200)
	return load(t, nil, func(ctx context.Context, _ int64) error {
		_, err := caller.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: payload})
		return err
	})
}

type echoServer struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (echoServer) Check(_ context.Context, m *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	r := &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}
	r.ProtoReflect().SetUnknown(append([]byte{0x7a, 0xc8, 0x01}, m.Service...)) // 200 bytes back
	return r, nil
}
