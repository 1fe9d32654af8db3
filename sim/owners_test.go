package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
)

// An operator says that a node is gone, and another layout takes the place of that one,
// which counts on the node. So what its disk does counts as well: while the node is being
// restored, no other owner loses anything. It does not count any more once a layout is in
// use that says that the node is gone.
func TestWhoIsGoneByALayoutThatGaveWayIsAnOwner(t *testing.T) {
	cfg := calmDisks(1)
	cfg.Nodes, cfg.Layouts.Spares = 3, 0
	r := newRun(1, cfg, Options{})
	id := replica.ID{Partition: 0, N: uint8(cfg.Replicas)}
	n, first := r.nodes[1], r.tip
	homes := r.everyOwner(id.Partition)
	require.Equal(t, 3, homes.len())
	require.True(t, r.healthy(id))

	removal := decided{version: ring.Version{Counter: 5, Hash: 1}, parent: first}
	removal.gone.add(n)
	rival := decided{version: ring.Version{Counter: 6, Hash: 1}, parent: first}
	r.decisions, r.gone = []decided{removal, rival}, removal.gone
	n.spoilt[id] = spoilt{tree: true}
	for _, tip := range []ring.Version{first, rival.version} {
		r.tip = tip
		require.Equal(t, homes, r.everyOwner(id.Partition), "%v", tip)
		require.False(t, r.healthy(id), "%v", tip)
	}

	r.tip = removal.version
	require.False(t, r.everyOwner(id.Partition).has(n))
	require.True(t, r.healthy(id))
}
