package jepsen_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

// noticedMax is how long a node may take to find out that the others are gone:
// the 8 s after which a silent link counts as dead, and some.
const noticedMax = 12 * time.Second

// TestCuts runs workloads while the network between three real processes fails:
// first one node is cut off until it has found out and refuses in earnest, then
// the nemesis does what it likes. Those who use the client library may not notice,
// and nothing that was acknowledged may be lost.
func TestCuts(t *testing.T) {
	cluster, _, _ := startCluster(t)
	storm(t, 3, jepsen.Plan{
		Cluster: cluster, Workloads: []workload.Kind{workload.Set, workload.Register}, Keys: 8, Pause: 5 * time.Millisecond,
		Script: func(context.Context, jepsen.Events) error {
			refusesQuickly(t, cluster)
			return nil
		},
		Nemeses: kinds(t, "cut", "one-way", "slow"), Time: 6 * time.Second, Longest: time.Second,
	})
	status, err := cluster.Status()
	require.NoError(t, err)
	require.False(t, slices.ContainsFunc(status.Nodes, func(n local.Node) bool { return n.Faults.Any() }))
}

// refusesQuickly cuts n3 off, waits until it knows, and holds it to "not
// applied", at once, for strict quorums. Healed, it serves again.
func refusesQuickly(t *testing.T, c *local.Cluster) {
	ctx := context.Background()
	alone, err := c.Node("n3")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strictly(t, alone, http.MethodPut) == "applied" }, restMax, 100*time.Millisecond)
	_, err = c.Cut(ctx, local.Sides{Left: []string{"1", "2"}, Right: []string{"3"}}, false)
	require.NoError(t, err)
	began := time.Now()
	require.Eventually(t, func() bool { return strictly(t, alone, http.MethodPut) == "not_applied" }, restMax, 100*time.Millisecond)
	t.Logf("n3 refuses from %v after the cut on", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	for range 20 {
		require.Equal(t, "not_applied", strictly(t, alone, http.MethodPut))
		require.Equal(t, "not_applied", strictly(t, alone, http.MethodGet))
	}
	require.Less(t, time.Since(began)/40, 500*time.Millisecond, "an answer, half of the time that it may take")

	require.NoError(t, c.Heal(ctx))
	began = time.Now()
	require.Eventually(t, func() bool { return strictly(t, alone, http.MethodPut) == "applied" }, 20*time.Second, 10*time.Millisecond)
	t.Logf("n3 serves %v after the end of the cut", time.Since(began).Round(time.Millisecond))
}

// strictly puts or gets with a strict quorum through one node and returns the
// outcome.
func strictly(t *testing.T, n local.Node, method string) string {
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.HTTP+"/v1/buckets/strict/keys/k?sloppy=false&timeout=1s", strings.NewReader("v"))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "text/plain")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	if res.StatusCode < http.StatusBadRequest {
		return "applied"
	}
	var doc struct{ Error struct{ Outcome string } }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&doc))
	return doc.Error.Outcome
}
