package core

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
)

// relayout lets every node but those that are gone work by a layout without them.
func (r *rig) relayout(gone ...string) {
	nodes := slices.DeleteFunc(slices.Clone(r.layout.Nodes()), func(n ring.Node) bool { return slices.Contains(gone, n.Name) })
	next, err := r.layout.Change(nodes)
	require.NoError(r.t, err)
	r.layout = next
	for _, name := range r.names {
		if slices.Contains(gone, name) {
			continue
		}
		n := r.nodes[name]
		snapshot, err := n.engine.Snapshot()
		require.NoError(r.t, err)
		var recovered []*replica.Replica
		for _, p := range next.Owned(name, 3) {
			id := replica.ID{Partition: uint32(p), N: 3}
			if n.shard.Has(id) {
				continue
			}
			one, err := n.shard.Recover(id, snapshot)
			require.NoError(r.t, err)
			recovered = append(recovered, one)
		}
		require.NoError(r.t, snapshot.Close())
		n.shard.SetPhase(ring.Steady(next), recovered)
	}
	r.settle()
}

func TestWhatIsOwedFollowsTheLayout(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	before := r.homesOf(key)
	dead := before[2]
	r.split(slices.DeleteFunc(slices.Clone(r.names), func(n string) bool { return n == dead }), []string{dead})
	require.Nil(t, r.do(before[0], put(key, "milk")).Err)
	r.pass(DefaultLimits().HintPace.Again)
	require.NotZero(t, r.hints(), "somebody keeps it for the home that is down")

	r.relayout(dead)
	after := r.homesOf(key)
	require.NotContains(t, after, dead)
	r.payHints()
	for _, h := range after {
		require.Equal(t, []string{"milk"}, r.valuesAt(h, key), h)
	}
}
