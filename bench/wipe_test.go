//go:build !race

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

// RebuildRateMin is the least rate of a rebuild in a cluster under load, three nodes
// on this machine, as a share of the rate at which the engine alone takes the same
// rows in the order in which clients put them.
const RebuildRateMin = 0.25

// TestAWipedNodeIsRebuilt stops a node, empties its folder and starts it again,
// under load: what was put is read through any node while the replicas are half
// built and afterwards, what was deleted stays away, and the rate is measured
// beside that of the engine alone.
func TestAWipedNodeIsRebuilt(t *testing.T) {
	keys := int64(20_000)
	if *million {
		keys = 1_000_000
	}
	cluster := startCluster(t, 3)
	kv := dial(t, cluster)
	bucket := kv.Bucket("wiped")
	value := bytes.Repeat([]byte("v"), 100)
	ctx := context.Background()
	began := time.Now()
	each(t, keys, func(n int64) error {
		receipt, err := bucket.Put(ctx, keyOf(0, n), value)
		if err == nil && n%50 == 0 {
			_, err = bucket.Delete(ctx, keyOf(0, n), client.Seen(receipt.Context))
		}
		return err
	})
	t.Logf("%d keys put in %v", keys, time.Since(began).Round(time.Second))

	arriving, sorted := engineCost(t, int(keys), 100, false), engineCost(t, int(keys), 100, true)
	require.NoError(t, cluster.Kill(ctx, "n3"))
	require.NoError(t, cluster.Wipe(ctx, "n3"))
	stop := make(chan struct{})
	var reads atomic.Int64
	var readers sync.WaitGroup
	readers.Go(func() { readAgainAndAgain(t, bucket, keys, value, stop, &reads) })
	restarted := make(chan error, 1)
	go func() { restarted <- cluster.Restart(ctx, "n3", local.RestartOptions{Ready: 5 * time.Minute}) }()
	copied, took := watchRebuild(t, cluster, restarted)
	close(stop)
	readers.Wait()
	rate := float64(copied) / took.Seconds()
	t.Logf("n3: %d keys copied in %v under %d reads and writes: %.0f keys/s", copied, took.Round(time.Millisecond), reads.Load(), rate)
	t.Logf("the engine alone takes %.0f rows/s as clients put them (%.0f %%), %.0f rows/s in order (%.0f %%)",
		arriving.rate(), 100*rate/arriving.rate(), sorted.rate(), 100*rate/sorted.rate())
	require.Positive(t, copied, "the node was to be rebuilt")
	if *million {
		require.GreaterOrEqual(t, rate/arriving.rate(), RebuildRateMin)
	}

	status, err := cluster.Status()
	require.NoError(t, err)
	for _, node := range status.Nodes {
		one, err := client.Dial(ctx, []string{node.Client}, client.WithRefresh(time.Hour))
		require.NoError(t, err)
		seen := one.Bucket("wiped")
		each(t, keys/7, func(n int64) error { return found(ctx, seen, n*7, value) })
		require.NoError(t, one.Close())
	}
}

// each runs do for 1 to n from all callers, up to the first error.
func each(t *testing.T, n int64, do func(n int64) error) {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= n && failed.Load() == nil; i = next.Add(1) {
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		require.NoError(t, *err)
	}
}

// found demands that a key is there, or away if it was deleted.
func found(ctx context.Context, bucket *client.Bucket, n int64, value []byte) error {
	obj, err := bucket.Get(ctx, keyOf(0, n), client.R(2), client.Strict())
	if err != nil {
		return err
	}
	switch got := len(obj.Siblings); {
	case n%50 == 0 && got > 0:
		return fmt.Errorf("key %d was deleted and is back", n)
	case n%50 != 0 && (got != 1 || !bytes.Equal(obj.Siblings[0].Value, value)):
		return fmt.Errorf("key %d has %d siblings", n, got)
	}
	return nil
}

// readAgainAndAgain is the load: strict reads, and writes of other keys.
func readAgainAndAgain(t *testing.T, bucket *client.Bucket, keys int64, value []byte, stop chan struct{}, done *atomic.Int64) {
	ctx := context.Background()
	for n := int64(1); ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
		}
		if err := found(ctx, bucket, n*7919%keys+1, value); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("while n3 is rebuilt: %v", err)
			return
		}
		if _, err := bucket.Put(ctx, keyOf(1, n), value); err != nil {
			t.Errorf("while n3 is rebuilt: %v", err)
			return
		}
		done.Add(2)
	}
}

// watchRebuild waits until a node is ready again, and says how many keys were
// copied to it and how long that took, from the first to the last.
func watchRebuild(t *testing.T, cluster *local.Cluster, restarted chan error) (copied int64, took time.Duration) {
	var first, last time.Time
	node, err := cluster.Node("n3")
	require.NoError(t, err)
	for ready := false; !ready; {
		select {
		case err := <-restarted:
			require.NoError(t, err)
			ready = true
		case <-time.After(50 * time.Millisecond):
		}
		now := time.Now()
		if n := metric(node.HTTP, "kindred_rebuild_keys_total"); n > copied {
			if first.IsZero() {
				first = now.Add(-50 * time.Millisecond)
			}
			copied, last = n, now
		}
	}
	return copied, last.Sub(first)
}

// metric is a number of a node, or 0 if the node has none or does not answer.
func metric(addr, name string) int64 {
	numbers, err := scrape(addr)
	if err != nil {
		return 0
	}
	return int64(numbers[name])
}

// scrape reads all numbers of a node, by name and labels as they are printed.
func scrape(addr string) (map[string]float64, error) {
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	numbers := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64); err == nil {
			numbers[line[:at]] = n
		}
	}
	return numbers, nil
}
