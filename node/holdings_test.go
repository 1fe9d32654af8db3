package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
)

// Three nodes hold a write. Each of them says so once its disk has it, and lists
// nothing once it knows that all have it.
func TestNodesSayWhatTheyHold(t *testing.T) {
	nodes, _ := three(t)
	r := do(t, nodes[0], put("k", "v"))
	require.Nil(t, r.Err)
	dot, err := vclock.ParseDot(r.Receipt.Dot)
	require.NoError(t, err)
	asked := kindred.Holding{Partition: int(nodes[0].layout.Load().PartitionOf("b", "k")), N: 3, Dots: vclock.NewDotSet(dot).AppendTo(nil)}
	for _, n := range nodes {
		require.Eventually(t, func() bool {
			h, err := n.Holdings([]kindred.Holding{asked})
			require.Nil(t, err)
			require.Empty(t, h.Unknown)
			return len(h.Holdings) == 1 && string(h.Holdings[0].Dots) == string(asked.Dots)
		}, patience, 10*time.Millisecond)
		require.Eventually(t, func() bool {
			h, err := n.Holdings(nil)
			require.Nil(t, err)
			return h.Unknown == "" && len(h.Holdings) == 0
		}, patience, 50*time.Millisecond)
	}
	for field, bad := range map[string]kindred.Holding{
		"partition": {Partition: 1 << 20, N: 3, Dots: asked.Dots},
		"n":         {Partition: 0, N: 99, Dots: asked.Dots},
		"dots":      {Partition: 0, N: 3, Dots: []byte("no dots")},
	} {
		_, err := nodes[0].Holdings([]kindred.Holding{bad})
		require.NotNil(t, err, field)
		require.Equal(t, field, err.Field)
	}
	_, bad := nodes[0].Holdings([]kindred.Holding{{N: 3, Dots: make([]byte, kindred.HoldingsBytesMax+1)}})
	require.Equal(t, kindred.CodeTooLarge, bad.Code)
}

// A node that stops, or has no layout, does not know what it holds (I12).
func TestANodeThatCannotSayWhatItHoldsSaysSo(t *testing.T) {
	cfg := config(t, "lonely")
	cfg.Expect = 3
	n := start(t, cfg)
	h, err := n.Holdings(nil)
	require.Nil(t, err)
	require.Contains(t, h.Unknown, "no layout")
	require.NoError(t, n.Stop(t.Context()))
	h, err = n.Holdings(nil)
	require.Nil(t, err)
	require.Contains(t, h.Unknown, "shutting down")
}
