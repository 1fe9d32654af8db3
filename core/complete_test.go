package core

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// I8: an owner is exchanged while clients write. Reads miss nothing on the way, and in
// the end the new owner has everything.
func TestAnOwnerIsExchanged(t *testing.T) {
	m := newMover(t, 3, 1)
	m.run(2)
	written := 0
	write := func() {
		for range 20 {
			key := fmt.Sprint("key ", written)
			require.Nil(t, m.do(m.names[written%len(m.names)], strict(put(key, key))).Err)
			written++
		}
	}
	read := func() {
		for i := range written {
			key := fmt.Sprint("key ", i)
			resp := m.hedged(m.names[i%len(m.names)], strict(get(key)))
			require.Nil(t, resp.Err)
			require.Equal(t, []string{key}, values(resp))
		}
	}
	write()
	m.commit("n1", false, joins("n4"), leaves("n3"))
	seen := map[ring.Step]bool{}
	for i := 0; !m.nodes["n1"].shard.phase.Settled() || i < 3; i++ {
		require.Less(t, i, 60, "it never settles: %v", m.courses["n1"].Waits())
		m.spread()
		seen[m.at("n1")] = true
		write()
		read()
		m.run(1)
	}
	require.True(t, seen[ring.Both])
	for _, name := range m.names {
		require.Equal(t, ring.Alone, m.at(name), name)
	}
	tip := m.nodes["n1"].shard.layout
	for i := range written {
		key := fmt.Sprint("key ", i)
		for _, home := range tip.Homes(tip.PartitionOf("b", key), 3) {
			require.Equal(t, []string{key}, m.valuesAt(home, key), "%s at %s", key, home)
		}
	}
	m.idle()
}

// completing is a cluster at both, in which w shall become complete for a key: x and y
// stay homes, z was one.
func completing(t *testing.T) (m *mover, key, x, y, z, w string) {
	m = newMover(t, 3, 1)
	m.run(2)
	key, x, y, z, w = "", "", "", "", ""
	m.hush = true
	m.commit("n1", false, joins("n4"), leaves("n3"))
	m.spread()
	key, was, is := m.moved("n1")
	z, w = onlyIn(was, is)[0], onlyIn(is, was)[0]
	both := onlyIn(was, []string{z})
	return m, key, both[0], both[1], z, w
}

func (m *mover) complete(node, key string) bool { return m.nodes[node].shard.complete(m.placeOf(key)) }

// clocksFrom keeps what some nodes say of their clocks from arriving.
func (m *mover) clocksFrom(names ...string) {
	m.lose = func(from, _ string, msg wire.Message) bool {
		_, clock := msg.(*wire.Clock)
		for _, name := range names {
			if clock && from == name {
				return true
			}
		}
		return false
	}
}

// R25: a new owner is complete when it has contained a clock of every old one, and so are
// owners that stay.
func TestCompleteNeedsEveryOldOwner(t *testing.T) {
	m, key, x, y, z, w := completing(t)
	m.clocksFrom(z)
	require.Nil(t, m.do(x, strict(put(key, "milk"))).Err)
	m.run(5)
	for _, name := range []string{x, y, w} {
		require.False(t, m.complete(name, key), "%s has not heard what %s has", name, z)
		_, all := m.nodes[name].shard.Complete()
		require.False(t, all)
	}
	m.clocksFrom()
	m.run(3)
	for _, name := range []string{x, y, w} {
		require.True(t, m.complete(name, key), name)
	}
	tip, all := m.nodes[w].shard.Complete()
	require.True(t, all)
	require.Equal(t, m.courses[w].Tip().Version(), tip)
}

// R25: a clock of before its owner worked by the tip is none to be complete by: that one
// may acknowledge one more write by the layout before.
func TestAClockOfBeforeTheFenceDoesNotCount(t *testing.T) {
	m, key, x, y, w := unfenced(t)
	m.run(5)
	require.False(t, m.complete(w, key), "%s still takes what comes by the layout before", y)
	require.False(t, m.complete(x, key))
	delete(m.deaf, y)
	m.spread()
	m.run(3)
	require.True(t, m.complete(w, key))
	require.True(t, m.complete(x, key))
}

// unfenced has all but y work by both layouts.
func unfenced(t *testing.T) (m *mover, key, x, y, w string) {
	m, key, y, x = lagging(t)
	m.run(3)
	_, was, is := m.moved("n1")
	return m, key, x, y, onlyIn(is, was)[0]
}

// R25: what is contained has to be durable.
func TestCompleteIsDurable(t *testing.T) {
	m, key, x, _, _, w := completing(t)
	require.Nil(t, m.do(x, strict(put(key, "milk"))).Err)
	m.slowDisk = w
	m.run(5)
	require.False(t, m.complete(w, key))
	require.Equal(t, []string{"milk"}, m.valuesAt(w, key), "it has all of it")
	m.slowDisk = ""
	m.settle()
	m.run(3)
	require.True(t, m.complete(w, key))
}

// R23: ahead, a home that is not complete answers no read that counts.
func TestWhoIsNotCompleteAnswersNoRead(t *testing.T) {
	m, key, x, _, z, w := completing(t)
	m.clocksFrom(z)
	m.run(2)
	for _, name := range m.names {
		m.courses[name].SetComplete()
	}
	m.deaf[z] = true
	for range 2 {
		m.spread()
	}
	require.Equal(t, ring.Ahead, m.at(x), "z is not heard, so nobody is alone")
	resp := m.do(x, kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: key, R: kindred.CountAll, Sloppy: kindred.Strict})
	require.NotNil(t, resp.Err)
	require.Contains(t, resp.Err.Error(), notComplete)
	require.False(t, m.complete(w, key))
}
