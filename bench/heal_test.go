//go:build !race

package bench

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

var cutFor = flag.Duration("cut", 10*time.Second, "how long the cut of TestACutHeals lasts")

const (
	// EqualWithin bounds the time from the end of a cut to the moment at which all
	// homes hold all that was written on either side, and know it of one another.
	EqualWithin  = 5 * time.Second
	divergedKeys = 1000
)

// TestACutHeals cuts five nodes into two and three, and writes the same thousand
// keys on both sides, each side through its own nodes. Nothing is refused; after the
// end of the cut all replicas are equal soon, and every node shows both values of
// every key. Other work on the machine may spoil one cut, or two, but not three.
func TestACutHeals(t *testing.T) {
	cluster := startCluster(t, 5)
	equal := EqualWithin
	for round := 0; round < 3 && equal >= EqualWithin; round++ {
		equal = healed(t, cluster, round)
	}
	require.Less(t, equal, EqualWithin)
}

// healed cuts a cluster once and returns how long its replicas took to be equal.
func healed(t *testing.T, cluster *local.Cluster, round int) time.Duration {
	ctx := context.Background()
	status, err := cluster.Status()
	require.NoError(t, err)
	left, right := status.Nodes[:2], status.Nodes[2:]
	_, err = cluster.Cut(ctx, local.Sides{Left: []string{"1", "2"}, Right: []string{"3", "4", "5"}}, false)
	require.NoError(t, err)
	began := time.Now()
	var sides sync.WaitGroup
	var took [2]time.Duration
	for i, nodes := range [][]local.Node{left, right} {
		sides.Go(func() {
			at := time.Now()
			for n := range divergedKeys {
				if err := putThrough(nodes[n%len(nodes)], round, n, fmt.Sprintf("side %d", i)); err != nil {
					t.Error(err)
					return
				}
			}
			took[i] = time.Since(at)
		})
	}
	sides.Wait()
	t.Logf("%d keys put on both sides, in %v and %v", divergedKeys, took[0].Round(time.Millisecond), took[1].Round(time.Millisecond))
	<-time.After(*cutFor - time.Since(began))

	kept := owed(t, cluster)
	require.NoError(t, cluster.Heal(ctx))
	began = time.Now()
	apart := func() int64 {
		return summed(t, cluster, "kindred_replica_lag_dots") + summed(t, cluster, "kindred_replica_unsettled_dots") + owed(t, cluster)
	}
	for apart() > 0 && time.Since(began) < 6*EqualWithin {
		<-time.After(20 * time.Millisecond)
	}
	equal := time.Since(began)
	t.Logf("a cut of %v, %d hints: all replicas are equal %v after its end", *cutFor, kept, equal.Round(10*time.Millisecond))
	for _, n := range status.Nodes {
		one, err := client.Dial(ctx, []string{n.Client}, client.WithRefresh(time.Hour))
		require.NoError(t, err)
		seen := one.Bucket(healedBucket(round))
		for k := range divergedKeys {
			obj, err := seen.Get(ctx, healedKey(k), client.R(3), client.Strict())
			require.NoError(t, err)
			require.Len(t, obj.Siblings, 2, "%s through %s", healedKey(k), n.Name)
		}
		require.NoError(t, one.Close())
	}
	return equal
}

// healedBucket is fresh in every round.
func healedBucket(round int) string { return fmt.Sprint("healed-", round) }

func healedKey(n int) string { return fmt.Sprint("k", n) }

// putThrough puts through one node, as a client on its side of a cut does, again if
// the node does not know what became of it: it may not have noticed the cut yet.
func putThrough(n local.Node, round, key int, value string) error {
	for try := 0; ; try++ {
		url := fmt.Sprintf("http://%s/v1/buckets/%s/keys/%s?w=2", n.HTTP, healedBucket(round), healedKey(key))
		req, err := http.NewRequest(http.MethodPut, url, strings.NewReader(value))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "text/plain")
		req.Header.Set("Kindred-Request-Id", fmt.Sprintf("%08x%08x%016x", n.PID, round, key))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		switch {
		case res.StatusCode == http.StatusNoContent:
			return nil
		case res.StatusCode != http.StatusGatewayTimeout || try == 3:
			return fmt.Errorf("%s through %s: %s: %s", healedKey(key), n.Name, res.Status, body)
		}
	}
}
