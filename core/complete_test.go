package core

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
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
	m.loseClocks(func(from, _ string) bool { return slices.Contains(names, from) })
}

func (m *mover) loseClocks(which func(from, to string) bool) {
	m.lose = func(from, to string, msg wire.Message) bool {
		_, clock := msg.(*wire.Clock)
		return clock && which(from, to)
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
	m.run(35) // so that it has told its clock, whether it has changed or not
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
		m.courses[name].Hear(m.courses[z].Files())
	}
	m.courses[x].Hear(m.courses[z].Files())
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

// R25: who is gone is made up for by the others, if these are enough that every
// acknowledged write was at one of them. Otherwise nobody is ever complete, unless the
// operator accepts the loss.
func TestWhoIsGoneIsMadeUpFor(t *testing.T) {
	for _, c := range []struct {
		name     string
		gone     []string
		come     []ring.Staged
		loss     bool
		complete bool
	}{
		{"one of three", []string{"n3"}, []ring.Staged{joins("n4"), joins("n5")}, false, true},
		{"two of three", []string{"n2", "n3"}, []ring.Staged{joins("n4"), joins("n5")}, false, false},
		{"two of three, and nobody comes", []string{"n2", "n3"}, nil, false, false},
		{"two of three, which is accepted", []string{"n2", "n3"}, []ring.Staged{joins("n4"), joins("n5")}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMover(t, 3, 2)
			m.run(2)
			for i := range 40 {
				key := fmt.Sprint("key ", i)
				require.Nil(t, m.do("n1", strict(put(key, key))).Err)
			}
			changes := c.come
			for _, name := range c.gone {
				m.deaf[name] = true
				m.cut(name)
				changes = append(changes, removes(name))
			}
			m.lose = func(from, to string, _ wire.Message) bool { return m.deaf[from] || m.deaf[to] }
			m.commit("n1", c.loss, changes...)
			m.run(20)
			require.Equal(t, c.complete, m.nodes["n1"].shard.phase.Settled())
			if !c.complete {
				require.Equal(t, ring.Both, m.at("n1"))
				for _, owner := range []string{"n1", "n4"}[:1+len(c.come)/2] {
					_, complete := m.nodes[owner].shard.Complete()
					require.False(t, complete, owner)
				}
				return
			}
			tip := m.nodes["n1"].shard.layout
			for i := range 40 {
				key := fmt.Sprint("key ", i)
				for _, home := range tip.Homes(tip.PartitionOf("b", key), 3) {
					require.Equal(t, []string{key}, m.valuesAt(home, key), "%s at %s", key, home)
				}
			}
		})
	}
}

// R25: an old owner that has lost its disk speaks for a clock that it has not got. It
// counts with the one of its new life, once it is trusted.
func TestAnOldOwnerThatLostItsDiskIsWaitedFor(t *testing.T) {
	m, key, x, _, z, w := completing(t)
	require.Nil(t, m.do(x, strict(put(key, "milk"))).Err)
	m.lose = func(_, to string, msg wire.Message) bool { // so that it does not catch up
		switch msg.(type) {
		case *wire.Pieces, *wire.RebuildPage:
			return to == z
		}
		return false
	}
	m.restart(z, 99, true, false)
	m.run(5)
	require.False(t, m.nodes[z].shard.trusted(m.placeOf(key)))
	require.Equal(t, []string{"milk"}, m.valuesAt(w, key))
	require.False(t, m.complete(w, key))
	m.clocksFrom()
	m.run(40)
	require.True(t, m.nodes[z].shard.trusted(m.placeOf(key)))
	require.True(t, m.complete(w, key))
	require.Equal(t, []string{"milk"}, m.valuesAt(w, key))
}

// R26: who has lost its disk is trusted when it has caught up with homes of both layouts.
func TestTrustIsAskedOfBothLayouts(t *testing.T) {
	m, key, x, y, z, w := completing(t)
	require.Nil(t, m.do(x, strict(put(key, "milk"))).Err)
	m.run(2)
	for i, silent := range []string{w, z} {
		m.clocksFrom(silent)
		m.restart(x, uint64(99+i), true, false)
		m.run(4)
		require.False(t, m.nodes[x].shard.trusted(m.placeOf(key)), "%s and %s are homes by one layout, and only %s by the other", y, []string{z, w}[i], y)
	}
	m.clocksFrom()
	m.run(4)
	require.True(t, m.nodes[x].shard.trusted(m.placeOf(key)))
	require.Equal(t, []string{"milk"}, m.valuesAt(x, key))
}

// R12: nothing goes from a log before the homes by both layouts have it.
func TestLogsAreKeptForTheHomesOfBoth(t *testing.T) {
	m, key, x, y, z, w := completing(t)
	for _, name := range []string{z, w} {
		t.Run(name, func(t *testing.T) {
			m.deafTo(name)
			m.lose = also(m.lose, func(from, to string, msg wire.Message) bool {
				_, pieces := msg.(*wire.Pieces)
				return pieces && to == name
			})
			resp := m.do(x, strict(put(key, name)))
			require.Nil(t, resp.Err)
			m.run(5)
			dot, err := vclock.ParseDot(resp.Receipt.Dot)
			require.NoError(t, err)
			common := m.nodes[x].shard.exchange.of[m.placeOf(key)].Common()
			require.False(t, common.Contains(dot), "%s has it not", name)
			m.lose = func(string, string, wire.Message) bool { return false }
			m.run(5)
			common = m.nodes[x].shard.exchange.of[m.placeOf(key)].Common()
			require.True(t, common.Contains(dot))
		})
	}
	_ = y
}

func also(a, b func(from, to string, m wire.Message) bool) func(from, to string, m wire.Message) bool {
	return func(from, to string, m wire.Message) bool { return a(from, to, m) || b(from, to, m) }
}

// R15 waits: during a change nobody begins to close incarnations.
func TestClosesWaitForASettledPhase(t *testing.T) {
	m, key, x, _, _, _ := completing(t)
	resp := m.do(x, put(key, "milk"))
	require.Nil(t, resp.Err)
	s := m.nodes[x].shard
	p := s.closer.place(m.placeOf(key))
	dead := vclock.Actor{Disk: 7, Nonce: 7}
	s.closer.begin(p, []vclock.Actor{dead})
	require.Nil(t, p.attempt)
	m.hush = false
	m.run(20)
	require.True(t, s.phase.Settled())
	s.closer.begin(p, []vclock.Actor{dead})
	require.NotZero(t, s.closer.stats.Attempts)
}

// What has waited for a settled phase is looked at as soon as there is one, however long it
// was in vain; so is what was noticed shortly before, and not looked at yet.
func TestClosesGoOnOnceThePhaseIsSettled(t *testing.T) {
	for _, noticed := range []int{5, 1000} {
		m, key, x, _, _, _ := completing(t)
		id, dead := m.placeOf(key), vclock.Actor{Disk: 7, Nonce: 7}
		m.run(20) // what is looked at after a start has been
		require.NoError(t, m.joinAt(x, key, wire.Delta{Dots: vclock.NewDotSet(vclock.Dot{Actor: dead, Counter: 2})}))
		m.run(noticed)
		m.hush = false
		m.run(40)
		require.True(t, m.nodes[x].shard.phase.Settled())
		require.True(t, m.nodes[x].shard.Clock(id).Contains(vclock.Dot{Actor: dead, Counter: 1}), "it was closed")
	}
}

// R25: what a proposer has left behind is made alike during a change too. Who has promised
// a round refuses what another has, which has not, and would never be complete; and no
// round has an outcome before the tip is settled.
func TestPromisesAreMadeAlikeDuringAChange(t *testing.T) {
	m, key, x, y, z, w := completing(t)
	id, dead := m.placeOf(key), vclock.Actor{Disk: 7, Nonce: 7}
	late := vclock.NewDotSet(vclock.Dot{Actor: dead, Counter: 2})
	require.NoError(t, m.joinAt(z, key, wire.Delta{Dots: late}))
	m.nodes[w].shard.closer.place(id).promises.Report(dead, wire.Round{Number: 5, Proposer: 8}, false, vclock.DotSet{})
	m.run(8)
	require.False(t, m.complete(w, key), "it refuses what %s has", z)
	require.True(t, m.complete(x, key))

	m.run(30)
	require.True(t, m.complete(w, key))
	for _, name := range []string{x, y, z, w} {
		s := m.nodes[name].shard
		require.True(t, s.Clock(id).Covers(late))
		of := s.closer.place(id).promises.Of(dead)
		require.Greater(t, of.Promised.Number, uint64(5), name)
		require.True(t, of.Closed.IsZero(), "%s: others than members of the tip may hold more of it", name)
	}
	m.hush = false
	m.run(60)
	require.True(t, m.nodes[w].shard.phase.Settled())
	of := m.nodes[w].shard.closer.place(id).promises.Of(dead)
	require.Equal(t, of.Promised, of.Closed)
	require.True(t, of.Void.Contains(vclock.Dot{Actor: dead, Counter: 1}))
}

// R20: a new owner that is not complete says nothing in audits: what is not there yet is
// no reason to believe that it was deleted.
func TestWhoIsNotCompleteSaysNothingInAudits(t *testing.T) {
	m, key, x, _, z, w := completing(t)
	m.clocksFrom(z)
	m.run(2)
	require.Equal(t, notComplete, m.nodes[w].shard.cannotSpeak(m.placeOf(key)))
	require.Equal(t, notComplete, m.nodes[w].shard.cannotTell(m.placeOf(key), x))
	require.Empty(t, m.nodes[x].shard.cannotSpeak(m.placeOf(key)), "an old owner does")
	m.clocksFrom()
	m.run(3)
	require.Empty(t, m.nodes[w].shard.cannotSpeak(m.placeOf(key)))
}

// R25: what an old owner had before it lost its disk, and nobody else has, is nothing
// that anybody could ever contain. The clock of its new life counts.
func TestNobodyWaitsForAClockThatIsLost(t *testing.T) {
	m, key, _, _, z, w := completing(t)
	id := m.placeOf(key)
	require.NoError(t, m.joinAt(z, key, wire.Delta{Dots: m.aDot(z, id)}))
	m.lose = func(_, _ string, msg wire.Message) bool {
		_, pieces := msg.(*wire.Pieces)
		return pieces && wire.HeadOf(msg) == m.head(key)
	}
	m.run(3)
	require.False(t, m.complete(w, key), "it has heard of a dot that it cannot get")
	m.restart(z, 99, true, false)
	m.lose = func(string, string, wire.Message) bool { return false }
	m.run(6)
	require.True(t, m.complete(w, key))
}

// Trust is of the disk and not of the layout: a change takes it from nobody.
func TestWhoIsTrustedStaysSo(t *testing.T) {
	m := newMover(t, 3, 1)
	m.run(2)
	m.hush = true
	m.commit("n1", false, joins("n4"), leaves("n3"))
	m.cut("n4") // nobody can catch up with it
	m.lose = func(string, string, wire.Message) bool { return false }
	m.spread()
	for _, name := range m.names[:3] {
		require.Equal(t, ring.Both, m.at(name))
		for _, id := range m.nodes[name].shard.Replicas() {
			require.True(t, m.nodes[name].shard.trusted(id), "%s %v", name, id)
		}
	}
}

// R25: to be complete is of one tip. The next asks again.
func TestCompleteIsOfOneTip(t *testing.T) {
	m, key, x, z, w := settled(t)
	require.True(t, m.complete(w, key))
	m.hush = true
	m.commit("n1", false, joins(z), leaves("n2"))
	m.clocksFrom(m.names...)
	m.spread()
	require.Equal(t, ring.Both, m.at(w))
	moved := 0
	for _, id := range m.nodes[w].shard.Replicas() {
		if s := m.nodes[w].shard; s.moves(wire.Head(id)) {
			moved++
			require.False(t, s.complete(id))
		}
	}
	require.Positive(t, moved)
	_ = x
}

// Two new owners that lack the same would copy it from one another for ever: those of
// before are asked first, whoever was heard to have more.
func TestANewOwnerIsRebuiltFromThoseOfBefore(t *testing.T) {
	m := newMover(t, 3, 2)
	m.commit("n1", false, joins("n4"), joins("n5"))
	m.spread()
	key, was, is := m.movedWhere("n1", func(_ ring.Partition, was, is []string) bool { return len(onlyIn(is, was)) == 2 })
	come, id := onlyIn(is, was), m.placeOf(key)
	shard := m.nodes[come[0]].shard
	require.Equal(t, ring.Both, m.at(come[0]))
	asked, ok := shard.addRebuild(m.now, shard.replicas[id], come[1]).machine.Ask(m.now, 1)
	require.True(t, ok)
	require.Contains(t, was, asked)
}
