//go:build !race

package bench

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
)

// EchoesMax is the limit for a put and for a get in the mean, in unary gRPC echoes.
const EchoesMax = 3.0

// rounds is how often the yardstick and the operations take turns, so that other
// work on the machine, which takes caches away, burdens all of them. The mean
// counts: it has the rounds in which the store compacted what was written before.
// Work beside it burdens four processes more than one, so there are some tries.
const rounds, tries = 5, 3

func TestAPutAndAGetCostAtMostThreeEchoes(t *testing.T) {
	cluster := startCluster(t, 3)
	bucket := dial(t, cluster).Bucket("bench")
	value := bytes.Repeat([]byte("v"), 100)
	getter := func(ctx context.Context, n int64) error {
		_, err := bucket.Get(ctx, keyOf(0, n%10_000+1))
		return err
	}
	load(t, cluster, putter(bucket, 0, value)) // warm
	t.Logf("3 nodes, n=3 r=w=2, 100 B, batch, %d callers; CPU of all processes", callers)
	round := 0
	measure := func() (echoes, puts, gets []float64) {
		for range rounds {
			round++
			yard := echo(t)
			put := load(t, cluster, putter(bucket, round, value))
			got := load(t, cluster, getter)
			echoes, puts, gets = append(echoes, yard.perOp()), append(puts, put.perOp()), append(gets, got.perOp())
			t.Logf("echo  %v", yard)
			t.Logf("put   %v = %.2f echoes", put, put.perOp()/yard.perOp())
			t.Logf("get   %v = %.2f echoes", got, got.perOp()/yard.perOp())
		}
		return echoes, puts, gets
	}
	var put, get float64
	for range tries {
		echoes, puts, gets := measure()
		put, get = mean(puts)/mean(echoes), mean(gets)/mean(echoes)
		yard := slices.Min(echoes)
		t.Logf("least: put %.2f, get %.2f echoes of %.1f CPU-µs", slices.Min(puts)/yard, slices.Min(gets)/yard, yard)
		t.Logf("mean: put %.2f, get %.2f echoes of %.1f CPU-µs", put, get, mean(echoes))
		if put <= EchoesMax && get <= EchoesMax {
			return
		}
	}
	require.LessOrEqual(t, put, EchoesMax, "put, in echoes")
	require.LessOrEqual(t, get, EchoesMax, "get, in echoes")
}

func mean(of []float64) (sum float64) {
	for _, x := range of {
		sum += x / float64(len(of))
	}
	return sum
}

// putter writes fresh keys; each round has its own.
func putter(bucket *client.Bucket, round int, value []byte) func(context.Context, int64) error {
	return func(ctx context.Context, n int64) error {
		_, err := bucket.Put(ctx, keyOf(round, n), value)
		return err
	}
}

func keyOf(round int, n int64) string { return fmt.Sprintf("key-%d-%010d", round, n) }

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
