package core

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// R25: with one of three owners gone for ever and another that may have lost something,
// nobody knows all that was acknowledged. The change stops, those who wait say so, and it
// goes on by a layout that accepts the loss and changes nothing else.
func TestAChangeThatCanNeverBeCompleteIsToldAndAccepted(t *testing.T) {
	for name, wipe := range map[string]bool{"its disk is lost": true, "it was killed": false} {
		t.Run(name, func(t *testing.T) {
			m := removing(t)
			m.hush = false
			m.restart("n2", 99, wipe, false)
			m.run(30)
			require.Equal(t, ring.Both, m.at("n1"))
			owned := len(m.nodes["n2"].shard.Replicas())

			stuck := m.nodes["n2"].shard.Incomplete()
			require.Len(t, stuck, 1)
			require.True(t, stuck[0].Hopeless)
			require.Len(t, stuck[0].Partitions, owned)
			require.Contains(t, stuck[0].Reason, "may have lost writes when it went down, and has too few to take it from: to be sure of every acknowledged write takes 2 other old owners, and 1 is not gone for ever")
			waiting := m.nodes["n1"].shard.Incomplete()
			require.Len(t, waiting, 1)
			require.False(t, waiting[0].Hopeless, "n2 knows more about itself")
			require.Equal(t, []string{"n2"}, waiting[0].Waits)
			require.Len(t, waiting[0].Partitions, owned)

			m.commit("n1", true)
			m.run(30)
			require.True(t, m.nodes["n1"].shard.phase.Settled())
			for _, node := range []string{"n1", "n2"} {
				require.Empty(t, m.nodes[node].shard.Incomplete())
				for _, key := range keysOf(m.rig)[:40] {
					require.Equal(t, []string{key}, m.valuesAt(node, key))
				}
			}
		})
	}
}

// R25: two owners of three that are gone are too few for the third, and who waits for one
// that is there is told for whom and why.
func TestACopyThatIsNotCompleteSaysForWhomItWaits(t *testing.T) {
	m := newMover(t, 3, 0)
	m.run(2)
	m.cut("n2")
	m.cut("n3")
	m.lose = func(from, to string, _ wire.Message) bool { return from != to }
	m.deaf["n2"], m.deaf["n3"] = true, true
	m.commit("n1", false, removes("n2"), removes("n3"))
	m.run(5)
	require.Equal(t, ring.Both, m.at("n1"))
	lacks := m.nodes["n1"].shard.Incomplete()
	require.Len(t, lacks, 1)
	require.True(t, lacks[0].Hopeless)
	require.Equal(t, "has too few to take it from: to be sure of every acknowledged write takes another old owner, and 0 are not gone for ever", lacks[0].Reason)

	m, key, x, _, z, w := completing(t)
	require.Nil(t, m.do(x, strict(put(key, "milk"))).Err)
	of := func(node string) (all []string) {
		for _, c := range m.nodes[node].shard.Incomplete() {
			for _, p := range c.Partitions {
				if p == int(m.placeOf(key).Partition) {
					require.False(t, c.Hopeless)
					all = append(all, fmt.Sprint(c.Waits, " ", c.Reason))
				}
			}
		}
		return all
	}
	m.clocksFrom(z)
	m.run(5)
	require.Equal(t, []string{"[" + z + "] has not heard yet what they have"}, of(w))
	m.clocksFrom()
	m.lose = func(_, to string, msg wire.Message) bool {
		switch msg.(type) {
		case *wire.Pieces, *wire.RebuildPage:
			return to == x
		}
		return false
	}
	m.restart(x, 99, true, false)
	m.run(5)
	for _, lack := range of(x) {
		require.Contains(t, lack, "may have lost writes when it went down, and catches up first")
	}
	require.NotEmpty(t, of(x))
	m.lose = func(string, string, wire.Message) bool { return false }
	m.run(40)
	require.Empty(t, of(w))
	require.Empty(t, of(x))
}
