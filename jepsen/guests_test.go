package jepsen

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

// TestGuestsStandIn: five real processes, R=W=2 of n=3. Two of them are killed, and
// come back; then the five are cut into two and three, and healed. Those who use the
// client library do not notice: no operation fails, and nothing is lost.
func TestGuestsStandIn(t *testing.T) {
	seed := *stormSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d: go test ./jepsen -run TestGuestsStandIn -seed=%d", seed, seed)
	ctx := context.Background()
	cluster, names, addrs := startNodes(t, 5)
	kv, err := client.Dial(ctx, addrs, client.WithTimeout(20*time.Second))
	require.NoError(t, err)
	defer kv.Close()
	nodes, err := DialNodes(names, addrs, 10*time.Second)
	require.NoError(t, err)
	defer nodes.Close()

	stop := make(chan struct{})
	var runs sync.WaitGroup
	for i, kind := range []workload.Kind{workload.Set, workload.Register} {
		r := Runner{
			Kind: kind, Clients: 4, Seed: seed + uint64(i), Door: Library{kv}, Final: nodes,
			Config: workload.Config{Bucket: string(kind), Keys: 24, Nodes: len(names), SetElements: 200},
			N:      3, R: 2, W: 2, Pause: 5 * time.Millisecond,
		}
		runs.Go(func() { judge(t, r, stop) })
	}
	pause := func(d time.Duration) { <-time.After(d) }
	pause(time.Second)
	for _, n := range []string{"4", "5"} {
		require.NoError(t, cluster.Kill(ctx, n))
		pause(time.Second) // what the next one alone has acknowledged is synced elsewhere
	}
	pause(2 * time.Second)
	for _, n := range []string{"4", "5"} {
		require.NoError(t, cluster.Restart(ctx, n, local.RestartOptions{}))
	}
	pause(time.Second)
	_, err = cluster.Cut(ctx, local.Sides{Left: []string{"1", "2"}, Right: []string{"3", "4", "5"}}, false)
	require.NoError(t, err)
	pause(noticedMax)
	require.NoError(t, cluster.Heal(ctx))
	pause(2 * time.Second)
	close(stop)
	runs.Wait()
}
