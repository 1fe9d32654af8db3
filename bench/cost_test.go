//go:build !race

package bench

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
)

// EchoesMax is the limit for a put and for a get, in unary gRPC echoes.
const EchoesMax = 3.0

func TestAPutAndAGetCostAtMostThreeEchoes(t *testing.T) {
	cluster := startCluster(t, 3)
	bucket := dial(t, cluster).Bucket("bench")
	value := bytes.Repeat([]byte("v"), 100)
	put := func(ctx context.Context, n int64) error {
		key := keyOf(n)
		_, err := bucket.Put(ctx, key, value)
		return err
	}
	get := func(ctx context.Context, n int64) error {
		_, err := bucket.Get(ctx, keyOf(n%10_000+1))
		return err
	}
	load(t, cluster, put) // warm
	before := echo(t)
	puts := load(t, cluster, put2(bucket, value))
	gets := load(t, cluster, get)
	after := echo(t)
	yard := (before.perOp() + after.perOp()) / 2
	t.Logf("3 nodes, n=3 r=w=2, 100 B, batch, %d callers; CPU of all processes", callers)
	t.Logf("echo  %v", before)
	t.Logf("put   %v = %.2f echoes", puts, puts.perOp()/yard)
	t.Logf("get   %v = %.2f echoes", gets, gets.perOp()/yard)
	t.Logf("echo  %v", after)
	require.LessOrEqual(t, puts.perOp()/yard, EchoesMax, "put, in echoes")
	require.LessOrEqual(t, gets.perOp()/yard, EchoesMax, "get, in echoes")
}

// put2 writes fresh keys, apart from those of the warm-up.
func put2(bucket *client.Bucket, value []byte) func(context.Context, int64) error {
	return func(ctx context.Context, n int64) error {
		_, err := bucket.Put(ctx, "second-"+keyOf(n), value)
		return err
	}
}

func keyOf(n int64) string { return fmt.Sprintf("key-%012d", n) }

func TestAnIdleNodeCostsNextToNothing(t *testing.T) {
	cluster := startCluster(t, 3)
	status, err := cluster.Status()
	require.NoError(t, err)
	const watched = 5 * time.Second
	nodes := func() (total time.Duration) {
		for _, n := range status.Nodes {
			total += nodeUsage(t, n.PID)
		}
		return total
	}
	before := nodes()
	<-time.After(watched) // the passing of time is what is measured
	share := float64(nodes()-before) / float64(watched) / 3
	t.Logf("idle: %.2f %% of a core per node", 100*share)
	require.LessOrEqual(t, share, 0.01, "share of a core")
	for _, n := range status.Nodes {
		mib := residentBytes(t, n.PID) >> 20
		t.Logf("%s: %d MiB resident", n.Name, mib)
		require.LessOrEqual(t, mib, 100, "MiB resident")
	}
}
