package core

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// strayed has a node z that was cut off and wrote "void" as a guest to every partition that
// it does not own, with W=1, and was removed: the others have closed that as void since. Of
// every one of the keys all homes had "old", which it has overwritten by that.
func strayed(t *testing.T) (m *mover, keys []string, x, z string) {
	m = newMover(t, 5, 0)
	m.run(2)
	x, z = "n1", "n5"
	for p := range m.layout.Partitions() {
		if !slices.Contains(m.layout.Homes(ring.Partition(p), 3), z) {
			keys = append(keys, m.keyIn(p))
		}
	}
	for _, key := range keys {
		require.Nil(t, m.do(m.homesOf(key)[0], strict(put(key, "old"))).Err)
	}
	m.run(5)
	m.cut(z)
	for _, key := range keys {
		alone := put(key, "void")
		alone.Context = replica.EncodeContext("b", key, m.nodes[m.homesOf(key)[0]].shard.Clock(m.placeOf(key)))
		alone.W, alone.Sloppy = 1, kindred.Sloppy
		require.Nil(t, m.do(z, alone).Err)
	}
	require.Equal(t, len(keys), m.nodes[z].shard.Hints().Hints)
	m.deaf[z] = true
	m.commit(x, false, removes(z))
	for i := 0; !m.nodes[x].shard.phase.Settled(); i++ {
		require.Less(t, i, 60)
		m.run(1)
	}
	for _, key := range keys {
		// One of its events was heard of, so that the others miss the one before.
		heard := vclock.Dot{Actor: m.nodes[z].shard.GuestIncarnation(m.placeOf(key)), Counter: 2}
		home := m.homesNow(key, x)[0]
		require.NoError(t, m.joinAt(home, key, wire.Delta{Dots: vclock.NewDotSet(heard)}))
		for i := 0; m.nodes[home].shard.Clock(m.placeOf(key)).Base(heard.Actor) < 2; i++ {
			require.Less(t, i, 600, "closed")
			m.run(1)
		}
	}
	return m, keys, x, z
}

// keyIn is a key of a partition.
func (m *mover) keyIn(p int) string {
	for _, key := range keysOf(m.rig) {
		if int(m.layout.PartitionOf("b", key)) == p {
			return key
		}
	}
	m.t.Fatalf("no key is in partition %d", p)
	return ""
}

// returns makes z a member again, which has lived on, and lets it give up what it may.
func (m *mover) returns(z, at string) {
	delete(m.deaf, z)
	m.heal()
	m.commit(at, false, joins(z))
	m.spread()
	for range 200 {
		m.run(1)
		m.drop(z)
	}
	require.True(m.t, m.nodes[z].shard.phase.Settled())
	require.False(m.t, m.nodes[z].shard.removed())
}

// R27, R14: what a removed node has kept for others as a guest, and they have closed since,
// is void to it as well when it comes back, though it is still in the process that has
// minted that. It does not take it in where it is a home now, and owes it to nobody.
func TestWhoReturnsTakesVoidHintsForVoid(t *testing.T) {
	for name, told := range map[string]bool{"told that it was removed": true, "not told before it is a member again": false} {
		t.Run(name, func(t *testing.T) {
			m, keys, x, z := strayed(t)
			if told {
				delete(m.deaf, z)
				m.heal()
				m.run(2)
				require.True(t, m.nodes[z].shard.removed())
				require.Equal(t, len(keys), m.nodes[z].shard.Hints().Hints, "it drops nothing")
			}
			before := m.nodes[z].shard.GuestIncarnation(replica.ID{N: 3})
			m.returns(z, x)
			require.NotEqual(t, before, m.nodes[z].shard.GuestIncarnation(replica.ID{N: 3}))
			owned := 0
			for _, key := range keys {
				homes := m.homesNow(key, x)
				if slices.Contains(homes, z) {
					owned++
				}
				for _, home := range homes {
					require.Equal(t, []string{"old"}, m.valuesAt(home, key), "%s at %s", key, home)
				}
			}
			require.Positive(t, owned)
			require.Zero(t, m.nodes[z].shard.Hints().Hints)
			m.idle()
		})
	}
}

// R27, R11: so it is with a hint that has more of its key, which the homes have.
func TestWhoReturnsOwesNothingBesideWhatIsVoid(t *testing.T) {
	m, keys, x, z := strayed(t)
	for _, key := range keys {
		more := m.aDot(x, m.placeOf(key))
		delta := wire.Delta{Siblings: vclock.New(first(more), wire.Record{Value: []byte("more")}, vclock.DotSet{}), Dots: more}
		require.NoError(t, m.joinAt(m.homesNow(key, x)[0], key, delta))
		m.nodes[z].shard.onHint(x, &wire.Hint{Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 1}, Bucket: "b", Key: key, Slots: wire.AllSlots(3), Delta: delta})
		m.settle()
	}
	m.run(5)
	require.Equal(t, len(keys), m.nodes[z].shard.Hints().Hints)
	m.returns(z, x)
	for _, key := range keys {
		for _, home := range m.homesNow(key, x) {
			require.ElementsMatch(t, []string{"more", "old"}, m.valuesAt(home, key), "%s at %s", key, home)
		}
	}
	require.Zero(t, m.nodes[z].shard.Hints().Hints)
	m.idle()
}

func first(dots vclock.DotSet) (d vclock.Dot) {
	for d := range dots.Dots() {
		return d
	}
	return d
}

// R27: a node that is to be a home does not take in what it owes to itself before it knows
// what the others know to be void, nor what another one that comes back owes to it.
func TestWhoComesTakesNoHintsBeforeItKnowsWhatIsVoid(t *testing.T) {
	m, keys, x, z := strayed(t)
	delete(m.deaf, z)
	m.heal()
	m.lose = func(_, to string, msg wire.Message) bool { return to == z && wire.KindOf(msg) == wire.KindCloseTell }
	m.commit(x, false, joins(z))
	m.spread()
	m.run(20)
	for _, key := range keys {
		if slices.Contains(m.homesNow(key, x), z) {
			require.Nil(t, m.do(z, strict(put(key, "new"))).Err)
		}
	}
	m.run(20)
	m.heal()
	for range 200 {
		m.run(1)
		m.drop(z)
	}
	for _, key := range keys {
		homes := m.homesNow(key, x)
		want := []string{"old"}
		if slices.Contains(homes, z) {
			want = []string{"new", "old"}
		}
		for _, home := range homes {
			require.ElementsMatch(t, want, m.valuesAt(home, key), "%s at %s", key, home)
		}
	}
	require.Zero(t, m.nodes[z].shard.Stats().Retired)
	m.idle()
}

// R27: so it is with what it has minted as a home, where it hears of its removal and of
// its return at once: it was nobody's home meanwhile, and the others may have closed that.
func TestWhoReturnsWithoutHavingHeardMintsInAnotherIncarnation(t *testing.T) {
	for _, does := range []string{"void", ""} {
		m, key, x, z := outlived(t, func(m *mover, key, x, z string) { overwrites(m, key, does, z) })
		before := m.nodes[z].shard.Incarnation(m.placeOf(key))
		m.returns(z, x)
		require.Contains(t, m.homesNow(key, x), z)
		require.NotEqual(t, before, m.nodes[z].shard.Incarnation(m.placeOf(key)))
		for _, home := range m.homesNow(key, x) {
			require.Equal(t, []string{"old"}, m.valuesAt(home, key), home)
		}
		require.Positive(t, m.nodes[z].shard.Stats().Retired)
		m.idle()
	}
}
