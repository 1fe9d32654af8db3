package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// A drained node refuses clients, and goes on as a home: what others write reaches it.
func TestADrainedNodeIsStillAHome(t *testing.T) {
	nodes, _ := three(t)
	n := nodes[0]
	n.Drain()
	n.Drain() // twice is harmless
	refused := do(t, n, put("k", "v"))
	require.NotNil(t, refused.Err)
	require.Equal(t, kindred.CodeStopping, refused.Err.Code)
	require.Equal(t, kindred.NotApplied, refused.Err.Outcome)
	require.False(t, n.Local().Ready)
	require.Contains(t, n.Local().Reason, "drain "+n.cfg.Name+" --undo")

	all := put("k", "w")
	all.W, all.Sloppy = kindred.CountAll, kindred.Strict
	require.Nil(t, do(t, nodes[1], all).Err, "all three homes have it, the drained one too")

	n.Resume()
	require.True(t, n.Local().Ready, n.Local().Reason)
	require.Equal(t, "[w]", values(do(t, n, get("k"))))
}

// Who is told to stop by a client stops in order, once, and does not come back.
func TestANodeStopsByOrder(t *testing.T) {
	cfg := config(t, "n1")
	cfg.Expect, cfg.Replicas = 1, 1
	n := start(t, cfg)
	require.False(t, n.Ordered())
	n.Drain()
	n.StopSoon()
	n.StopSoon()
	n.Resume()
	select {
	case <-n.Done():
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	require.NoError(t, n.Err())
	require.True(t, n.Ordered())
	require.True(t, n.draining.Load())
}
