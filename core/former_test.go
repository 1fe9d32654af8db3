package core

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// settled has an owner exchanged: z was a home of a key, w is one.
func settled(t *testing.T) (m *mover, key, x, z, w string) {
	m, key, x, _, z, w = completing(t)
	require.Nil(t, m.do(x, strict(put(key, "milk"))).Err)
	m.hush = false
	for i := 0; !m.nodes[z].shard.phase.Settled(); i++ {
		require.Less(t, i, 60)
		m.run(1)
	}
	return m, key, x, z, w
}

// drop has a node give up all that it may, as a shell does it.
func (m *mover) drop(name string) (dropped []replica.ID) {
	n := m.nodes[name]
	for _, id := range n.shard.Droppable() {
		if !n.shard.Drop(id) {
			continue
		}
		m.settle()
		dropped = append(dropped, id)
	}
	return dropped
}

// R27: a copy that nobody counts any more goes when every owner has what it has, and is
// refused from then on.
func TestAnOldCopyGoesWhenEveryOwnerHasIt(t *testing.T) {
	m, key, x, z, w := settled(t)
	id := m.placeOf(key)
	m.run(2)
	require.Contains(t, m.nodes[z].shard.Droppable(), id)
	require.NotContains(t, m.nodes[x].shard.Droppable(), id, "it is an owner")
	require.NotContains(t, m.nodes[w].shard.Droppable(), id)
	require.False(t, m.nodes[x].shard.Drop(id))
	require.Contains(t, m.drop(z), id)

	require.False(t, m.nodes[z].shard.Has(id))
	require.False(t, m.nodes[z].shard.Drop(id))
	refused := ""
	m.lose = func(from, to string, msg wire.Message) bool {
		if pieces, ok := msg.(*wire.Pieces); ok && from == z {
			refused = pieces.Failed
		}
		return false
	}
	m.deliver(x, Send{To: z, Msg: &wire.Pull{Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 1}}})
	m.settle()
	require.Equal(t, notHome, refused)
	m.run(10)
	for _, node := range []string{x, w} {
		require.Equal(t, []string{"milk"}, m.valuesAt(node, key))
	}
	for _, name := range m.names {
		m.drop(name)
		tip := m.nodes[name].shard.layout
		for _, id := range m.nodes[name].shard.Replicas() {
			require.Contains(t, tip.Owned(name, 3), ring.Partition(id.Partition), "%s has nothing but what it owns", name)
		}
	}
	m.idle()
}

// R27: what only the former owner has comes to the owners first.
func TestAnOldCopyIsKeptUntilEveryOwnerHasIt(t *testing.T) {
	m, key, x, z, w := settled(t)
	id := m.placeOf(key)
	s := m.nodes[z].shard
	late := wire.Delta{Siblings: wire.Object{}, Dots: m.aDot(z, id)}
	m.loseClocks(func(from, _ string) bool { return from == z })
	require.NoError(t, m.joinAt(z, key, late))
	require.NotContains(t, s.Droppable(), id, "nobody else has that")
	m.run(3)
	require.NotContains(t, s.Droppable(), id)
	require.False(t, s.Drop(id))

	m.loseClocks(func(from, _ string) bool { return from == w })
	m.run(35)
	require.True(t, m.nodes[w].shard.Clock(id).Covers(late.Dots))
	require.NotContains(t, s.Droppable(), id, "%s has not said that it has it", w)
	m.loseClocks(func(string, string) bool { return false })
	m.run(35)
	require.Contains(t, s.Droppable(), id)
	for _, home := range []string{x, w} {
		require.True(t, m.nodes[home].shard.Clock(id).Covers(late.Dots), home)
	}
}

// R27: an owner that starts anew does not know who was an owner before. It listens to one
// that says so, which would wait for it for ever.
func TestAFormerHomeIsWelcomeAtAnOwnerThatHasStarted(t *testing.T) {
	m, key, x, z, w := settled(t)
	id := m.placeOf(key)
	late := m.aDot(z, id)
	require.NoError(t, m.joinAt(z, key, wire.Delta{Dots: late}))
	for i, owner := range m.nodes[z].shard.homesOf(wire.Head(id)) {
		m.restart(owner, uint64(99+i), false, false)
	}
	require.NotContains(t, m.nodes[z].shard.Droppable(), id)
	m.run(35)
	for _, owner := range []string{x, w} {
		require.True(t, m.nodes[owner].shard.Clock(id).Covers(late), owner)
	}
	require.Contains(t, m.nodes[z].shard.Droppable(), id)
}

// aDot is a write event that nobody has heard of.
func (m *mover) aDot(node string, id replica.ID) vclock.DotSet {
	return vclock.NewDotSet(vclock.Dot{Actor: replica.GuestIncarnation(id, m.nodes[node].shard.cfg.Start), Counter: 1})
}

// joinAt lets a late delta arrive at a node, as one from a guest does.
func (m *mover) joinAt(node, key string, delta wire.Delta) error {
	var failed error
	m.nodes[node].shard.join(&wire.Write{Head: m.head(key), Bucket: "b", Key: key, Delta: delta}, func(_ bool, refused string) {
		if refused != "" {
			failed = fmt.Errorf("%s", refused)
		}
	})
	m.settle()
	return failed
}

// R27: as long as somebody may still go by the layout before, nothing goes.
func TestNothingGoesBeforeTheTipIsSettled(t *testing.T) {
	m := newMover(t, 3, 1)
	m.run(2)
	m.commit("n1", false, joins("n4"), leaves("n3"))
	for i := 0; m.at("n1") != ring.Ahead; i++ {
		require.Less(t, i, 60)
		m.pass(time.Second)
		m.spread1()
	}
	m.deaf["n1"] = true // it is the last that is not alone
	m.run(40)
	s := m.nodes["n3"].shard
	require.Equal(t, ring.Alone, m.at("n3"))
	require.False(t, s.phase.Settled())
	require.Empty(t, s.Droppable())
	delete(m.deaf, "n1")
	m.run(3)
	require.True(t, s.phase.Settled())
	require.NotEmpty(t, s.Droppable())
}

// A copy that is being read is not given up.
func TestWhatIsBeingReadIsKept(t *testing.T) {
	m, key, x, z, _ := settled(t)
	id := m.placeOf(key)
	m.run(2)
	s := m.nodes[z].shard
	s.Message(m.now, x, &wire.Pull{Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 1}, Dots: s.Clock(id).Clone()})
	require.NotContains(t, s.Droppable(), id)
	m.settle()
	require.Contains(t, s.Droppable(), id)
	s.enter(s.replicas[id], "b", key, func(time.Time, *replica.Key, error) {})
	require.NotContains(t, s.Droppable(), id)
	m.settle()
	require.Contains(t, s.Droppable(), id)
	require.Empty(t, s.looking)
}

// A partition that comes back to a former owner begins anew there.
func TestWhoGetsAPartitionBackBeginsAnew(t *testing.T) {
	m, key, x, z, _ := settled(t)
	id := m.placeOf(key)
	m.run(2)
	require.Contains(t, m.drop(z), id)
	m.commit("n1", false, joins(z))
	for i := 0; !m.nodes["n1"].shard.phase.Settled() || i < 2; i++ {
		require.Less(t, i, 60)
		m.run(1)
	}
	require.Nil(t, m.hedged(x, get(key)).Err)
	tip := m.nodes["n1"].shard.layout
	for _, home := range tip.Homes(tip.PartitionOf("b", key), 3) {
		require.Equal(t, []string{"milk"}, m.valuesAt(home, key), home)
	}
}

// owing has six owners, of which one leaves: x stays a home of the key, w becomes one.
func owing(t *testing.T) (m *mover, key, x, w string) {
	m = newMover(t, 6, 0)
	m.run(2)
	m.hush = true
	m.commit("n1", false, leaves("n6"))
	m.spread()
	key, was, is := m.moved("n1")
	return m, key, onlyIn(was, onlyIn(was, is))[0], onlyIn(is, was)[0]
}

// R27: a hint goes to the home of its slot by either layout, and is paid by the one by
// the tip.
func TestAHintIsForTheHomesOfBoth(t *testing.T) {
	m, key, x, w := owing(t)
	slot := slices.Index(m.nodes[x].shard.homesOf(m.head(key)), w)
	require.GreaterOrEqual(t, slot, 0)
	old := m.nodes[x].shard.baseOf(m.head(key))[slot]
	m.noPieces = true
	g := m.strangerOf(key)
	m.deafTo(w, old)
	delta := wire.Delta{Dots: m.aDot(x, m.placeOf(key))}
	m.nodes[g].shard.onHint(x, &wire.Hint{
		Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 1}, Bucket: "b", Key: key, Slots: wire.Slots(0).With(slot), Delta: delta,
	})
	m.settle()
	m.run(5)
	require.Equal(t, 1, m.nodes[g].shard.Hints().Hints)
	m.deafTo(w)
	m.run(10)
	require.True(t, m.nodes[old].shard.Clock(m.placeOf(key)).Covers(delta.Dots), "%s by the layout before has it", old)
	require.Equal(t, 1, m.nodes[g].shard.Hints().Hints, "%s pays, and has not got it", w)
	m.deafTo()
	m.run(10)
	require.True(t, m.nodes[w].shard.Clock(m.placeOf(key)).Covers(delta.Dots))
	require.Zero(t, m.nodes[g].shard.Hints().Hints)
}

// strangerOf is a node that is at home in neither layout.
func (m *mover) strangerOf(key string) string {
	for _, name := range m.names {
		if !m.nodes[name].shard.Has(m.placeOf(key)) {
			return name
		}
	}
	m.t.Fatal("all are homes")
	return ""
}

// R11, R27: a home that has got a hint pays for it only if the slot is still its own.
func TestOnlyThePresentOwnerPays(t *testing.T) {
	m := newMover(t, 5, 0)
	m.run(2)
	m.hush = true
	m.commit("n1", false, leaves("n5"))
	m.noPieces = true
	var key, g, old string
	var slot int
	// The guest holds a hint for a home that is to leave, and offers it just before it
	// hears of the next layout.
	for _, k := range keysOf(m.rig) {
		homes := m.homesOf(k)
		at := slices.Index(homes, "n5")
		if at < 0 {
			continue
		}
		next := m.courses["n1"].Holds().Layout()
		if g = m.strangerOf(k); !slices.Contains(next.Homes(next.PartitionOf("b", k), 3), g) {
			key, slot, old = k, at, "n5"
			break
		}
	}
	x := onlyIn(m.homesOf(key), []string{old})[0]
	dots := m.aDot(x, m.placeOf(key))
	m.nodes[old].shard.SetLink(m.now, g, true)
	m.nodes[g].shard.SetLink(m.now, old, false)
	m.nodes[g].shard.onHint(x, &wire.Hint{
		Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 1}, Bucket: "b", Key: key, Slots: wire.Slots(0).With(slot), Delta: wire.Delta{Dots: dots},
	})
	m.settle()
	m.slowDisk = old // its answer waits
	m.nodes[g].shard.SetLink(m.now, old, true)
	m.run(3)
	require.NotEmpty(t, m.nodes[g].shard.debts.sessions)
	m.spread()
	require.Equal(t, ring.Both, m.at(g))
	now := m.nodes[g].shard.homesOf(m.head(key))[slot]
	require.NotEqual(t, old, now)
	m.deafTo(now)
	m.slowDisk = ""
	m.settle()
	m.run(3)
	require.Equal(t, 1, m.nodes[g].shard.Hints().Hints, "%s has it, and %s has not", old, now)
	m.deafTo()
	m.run(10)
	require.Zero(t, m.nodes[g].shard.Hints().Hints)
	require.True(t, m.nodes[now].shard.Clock(m.placeOf(key)).Covers(dots))
}

// R27: who is told that it was removed drops nothing, not even what a home that it has
// just sent it to acknowledges: it does not know any more whose the slot is.
func TestWhoWasRemovedKeepsWhatItOwes(t *testing.T) {
	m := newMover(t, 5, 0)
	m.run(2)
	m.hush = true
	key := keysOf(m.rig)[0]
	g, home, x := m.strangerOf(key), m.homesOf(key)[0], m.homesOf(key)[1]
	m.noExchange = true
	m.deaf[g] = true
	m.commit(x, false, removes(g))
	m.spread()
	require.Equal(t, ring.Both, m.at(home))
	dots := m.aDot(x, m.placeOf(key))
	m.nodes[g].shard.onHint(x, &wire.Hint{
		Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 1}, Bucket: "b", Key: key, Slots: wire.Slots(0).With(0), Delta: wire.Delta{Dots: dots},
	})
	m.slowDisk = home // its answers wait
	m.run(3)
	require.NotEmpty(t, m.nodes[g].shard.debts.sessions)
	delete(m.deaf, g)
	m.spread()
	require.True(t, m.nodes[g].shard.removed())
	m.slowDisk = ""
	m.settle()
	m.run(3)
	require.Equal(t, 1, m.nodes[g].shard.Hints().Hints)
}
