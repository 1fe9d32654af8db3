//go:build !race

package bench

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

// TLSMax is the limit for an operation with TLS on every link, in the same
// operation without.
const TLSMax = 1.15

// TestTLSCosts compares two clusters that take turns, in one run: CPU time of all
// processes, client included. Work beside it burdens one of a pair, so there are some
// tries.
func TestTLSCosts(t *testing.T) {
	plain, locked := startCluster(t, 3), startLocked(t, 3)
	value := bytes.Repeat([]byte("v"), 100)
	sides := []struct {
		name       string
		cluster    *local.Cluster
		bucket     *client.Bucket
		puts, gets []float64
	}{
		{name: "plain", cluster: plain, bucket: dial(t, plain).Bucket("bench")},
		{name: "TLS", cluster: locked, bucket: dialLocked(t, locked).Bucket("bench")},
	}
	for i := range sides {
		load(t, sides[i].cluster, putter(sides[i].bucket, 0, value)) // warm
	}
	measure := func(try int) (put, get float64) {
		for i := range sides {
			sides[i].puts, sides[i].gets = nil, nil
		}
		for turn := range 2 * rounds {
			round := try*rounds + turn/2
			s := &sides[(turn+round)%2] // who begins changes
			put := load(t, s.cluster, putter(s.bucket, round+1, value))
			got := load(t, s.cluster, func(ctx context.Context, n int64) error {
				_, err := s.bucket.Get(ctx, keyOf(0, n%10_000+1))
				return err
			})
			s.puts, s.gets = append(s.puts, put.perOp()), append(s.gets, got.perOp())
			t.Logf("%-5s put %v; get %v", s.name, put, got)
		}
		return mean(sides[1].puts) / mean(sides[0].puts), mean(sides[1].gets) / mean(sides[0].gets)
	}
	var put, get float64
	for try := range tries {
		put, get = measure(try)
		t.Logf("TLS costs %.2f times the CPU of a put without it, %.2f times that of a get", put, get)
		if put <= TLSMax && get <= TLSMax {
			return
		}
	}
	require.LessOrEqual(t, put, TLSMax, "put")
	require.LessOrEqual(t, get, TLSMax, "get")
}

// startLocked is startCluster with TLS.
func startLocked(t *testing.T, nodes int) *local.Cluster {
	base, err := local.FreeBasePort(nodes, 18400)
	require.NoError(t, err)
	ctx := context.Background()
	c, _, err := local.Start(ctx, local.Options{
		Dir: t.TempDir(), KVNode: kvnode, TLS: true,
		Shape: local.Shape{Nodes: nodes, Zones: nodes, BasePort: base},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := c.Stop(ctx, 10*time.Second)
		require.NoError(t, err)
	})
	return c
}

func dialLocked(t *testing.T, c *local.Cluster) *client.Client {
	files, err := c.Identity()
	require.NoError(t, err)
	config, _, err := files.Open()
	require.NoError(t, err)
	return dial(t, c, client.WithTLS(config))
}
