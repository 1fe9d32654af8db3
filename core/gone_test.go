package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// removing is a cluster of three owners in which n3 is gone for ever and its removal goes
// on, at both, because n1 and n2 have not heard one another's clocks yet.
func removing(t *testing.T) *mover {
	m := newMover(t, 3, 0)
	m.run(2)
	for _, key := range keysOf(m.rig)[:40] {
		require.Nil(t, m.do("n1", strict(put(key, key))).Err)
	}
	m.run(2) // so that everybody has told what it has
	m.deaf["n3"] = true
	m.cut("n3")
	m.lose = func(from, to string, _ wire.Message) bool { return m.deaf[from] || m.deaf[to] }
	m.hush = true
	m.commit("n1", false, removes("n3"))
	m.spread()
	require.Equal(t, ring.Both, m.at("n1"))
	return m
}

// R17, R26: a node that stopped in order has lost nothing, and needs nothing of an owner
// that is gone for ever; also while its removal goes on.
func TestWhoStoppedInOrderNeedsNobodyWhoIsGone(t *testing.T) {
	m := removing(t)
	m.hush = false
	m.restart("n2", 99, false, true)
	m.run(30)
	require.Empty(t, m.nodes["n2"].shard.Untrusted())
	require.True(t, m.nodes["n1"].shard.phase.Settled())
}

// One whose disk is an older image of itself says that it stopped in order, and n1
// remembers more of it than it has: so it may lack what n3 knew of it as well.
func TestWhoOnlyClaimsToHaveStoppedInOrderNeedsWhoIsGone(t *testing.T) {
	m := removing(t)
	m.hush = false
	cut := m.lose
	m.lose = also(cut, func(_, to string, msg wire.Message) bool { // so that it is seen before it catches up
		switch msg.(type) {
		case *wire.Pieces, *wire.RebuildPage:
			return to == "n2"
		}
		return false
	})
	m.restart("n2", 99, true, true)
	m.run(3)
	m.lose = cut
	m.run(30)
	require.NotEmpty(t, m.nodes["n2"].shard.Untrusted())
	require.Equal(t, ring.Both, m.at("n1"))
}
