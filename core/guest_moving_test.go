package core

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// A guest stands in for a home in each layout that has that home.
func TestAGuestCountsInEachLayoutThatItServes(t *testing.T) {
	m := newMover(t, 6, 0)
	m.hush = true
	m.commit("n1", false, leaves("n6"))
	m.spread()
	var x, y, z, w string
	key, _, _ := m.movedWhere("n1", func(p ring.Partition, was, is []string) bool {
		z, w = onlyIn(was, is)[0], onlyIn(is, was)[0]
		x, y = onlyIn(was, []string{z})[0], onlyIn(was, []string{z})[1]
		places := m.layout.Preference(p, 3, func(name string) bool { return name != y })
		return places[len(places)-1].Node == w // who comes first in the place of y
	})
	m.cut(y)
	var hinted []string
	m.lose = also(m.lose, func(_, to string, msg wire.Message) bool {
		if _, hint := msg.(*wire.Hint); hint {
			hinted = append(hinted, to)
		}
		return false
	})
	all := put(key, "milk")
	all.W, all.PW = 3, 2
	resp := m.do(x, all)
	require.NotNil(t, resp)
	require.Nil(t, resp.Err, "%v", resp.Err)
	require.NotEmpty(t, resp.Receipt.Guests)
	require.Subset(t, resp.Receipt.Acked, []string{x, z, w})
	require.NotContains(t, resp.Receipt.Guests, z)
	require.NotContains(t, resp.Receipt.Guests, w, "a home of the other layout stands in for nobody")
	require.NotContains(t, hinted, w, "it is asked to take the write, and nothing else")
	require.NotContains(t, hinted, z)
}

// As long as another layout may take the place of the tip, with no place for who comes by
// it, that one stands in for nobody by whom a write counts in the base (R22): nobody would
// ask it for what it owes, once it has no place.
func TestWhoComesStandsInForNobodyBeforeTheBaseIsLeft(t *testing.T) {
	m := newMover(t, 4, 1)
	m.hush = true
	m.commit("n1", false, joins("n5"))
	m.spread()
	phase, key := m.courses["n1"].Phase(), ""
	for _, k := range keysOf(m.rig) {
		if !phase.Moves(m.layout.PartitionOf("b", k), 3) {
			key = k
		}
	}
	require.NotEmpty(t, key)
	homes := phase.Tip().Homes(m.layout.PartitionOf("b", key), 3)
	guest := onlyIn(m.names, append(slices.Clone(homes), "n5"))[0]
	cut := func(names ...string) {
		for _, name := range names {
			before := m.lose
			m.cut(name)
			m.lose = also(before, m.lose)
		}
	}
	cut(homes[1], homes[2])
	sloppy := func(w kindred.Count) kindred.Request {
		p := put(key, "milk")
		p.W, p.PW = w, 0
		return p
	}
	resp := m.do(homes[0], sloppy(3))
	require.NotNil(t, resp.Err)
	require.Equal(t, kindred.CodeUnavailable, resp.Err.Code)
	require.Equal(t, kindred.NotApplied, resp.Err.Outcome)
	resp = m.do(homes[0], sloppy(2))
	require.Nil(t, resp.Err, "%v", resp.Err)
	require.Equal(t, []string{guest}, resp.Receipt.Guests)

	cut(homes[0])
	require.NotNil(t, m.do("n5", sloppy(2)).Err)
	resp = m.do("n5", sloppy(1))
	require.Nil(t, resp.Err, "%v", resp.Err)
	require.Equal(t, []string{guest}, resp.Receipt.Acked)

	m.heal()
	m.allAlone()
	cut(homes[1], homes[2])
	resp = m.do(homes[0], sloppy(3))
	require.Nil(t, resp.Err, "%v", resp.Err)
	require.ElementsMatch(t, []string{guest, "n5"}, resp.Receipt.Guests)
}

// The same homes may stand in another order in the tip: a slot is a place in that.
func TestAStandInOfTheBaseKeepsTheSlotOfTheTip(t *testing.T) {
	found := 0
	for owners := 4; owners < 9; owners++ {
		m := newMover(t, owners, 1)
		m.hush = true
		m.commit("n1", false, joins(fmt.Sprint("n", owners+1)))
		m.spread()
		phase, s := m.courses["n1"].Phase(), m.nodes["n1"].shard
		for p := range ring.Partition(phase.Tip().Partitions()) {
			was, is := phase.Base().Homes(p, 3), phase.Tip().Homes(p, 3)
			if phase.Moves(p, 3) || slices.Equal(was, is) {
				continue
			}
			for slot, down := range is {
				places := s.fallbacks(phase.Base(), wire.Head{Partition: uint32(p), N: 3}, func(name string) bool { return name != down })
				require.NotEmpty(t, places)
				require.Equal(t, slot, places[0].For)
				found++
			}
		}
	}
	require.Positive(t, found)
}

// A write that was made as a guest and goes on by a layout that makes its node a home is
// counted there for what the replica has, which is nothing before the hint was delivered.
func TestAGuestThatBecomesAHomeCountsByItsReplica(t *testing.T) {
	m := newMover(t, 5, 0)
	m.hush = true
	m.commit("n1", false, leaves("n5"))
	next := m.courses["n1"].Holds().Layout()
	var key, g string
	for _, key = range keysOf(m.rig) {
		come := onlyIn(next.Homes(next.PartitionOf("b", key), 3), m.homesOf(key))
		if len(come) == 1 && slices.Contains(m.homesOf(key), "n5") {
			g = come[0]
			break
		}
	}
	other := onlyIn(m.away(key), []string{g})[0]
	stay := onlyIn(m.homesOf(key), []string{"n5"})
	x, y := stay[0], stay[1]

	m.split(m.homesOf(key), m.away(key))
	m.lose = also(m.lose, func(_, to string, msg wire.Message) bool {
		_, hint := msg.(*wire.Hint)
		return hint && to == other
	})
	token := m.ask(g, put(key, "milk"))
	require.Nil(t, m.answers[token], "%s is the only one that has it", g)
	dots := m.nodes[g].shard.debts.ledger.Held(m.head(key))
	require.False(t, dots.IsEmpty())

	m.spread()
	require.Equal(t, ring.Both, m.at(g))
	require.Contains(t, m.nodes[g].shard.homesOf(m.head(key)), g)
	m.slowReads = g // the hint is on its way into its own replica
	m.deafTo(y, "n5", other)
	for _, home := range m.homesOf(key) {
		m.link(g, home, true)
	}
	m.pass(differAgain)
	require.True(t, m.nodes[x].shard.Clock(m.placeOf(key)).Covers(dots))
	require.False(t, m.nodes[g].shard.Clock(m.placeOf(key)).Covers(dots))
	require.Nil(t, m.answers[token], "of the new homes only %s has it", x)

	m.deafTo("n5", other)
	m.link(g, y, false)
	m.link(g, y, true)
	require.NotNil(t, m.answers[token])
	require.Nil(t, m.answers[token].Err)
	require.ElementsMatch(t, []string{x, y}, m.answers[token].Receipt.Acked)
}

// A home of the layout before that becomes a fallback is asked to keep the write, and counts
// when it does: that it has taken the write as a home, and says so late, is no answer.
func TestAnOldHomeThatStandsInCountsByItsHint(t *testing.T) {
	m := newMover(t, 4, 1)
	m.hush = true
	m.commit("n1", false, joins("n5"))
	m.spread()
	m.run(2)
	key, was, is := m.moved("n1")
	z, w := onlyIn(was, is)[0], onlyIn(is, was)[0]
	x := onlyIn(was, []string{z})[0]
	other := onlyIn(m.names, append(was, w))[0]

	m.slowDisk = z // its answer waits
	m.deafTo(w, other)
	all := put(key, "milk")
	all.W, all.PW, all.Durability = kindred.CountAll, 1, kindred.Sync
	token := m.ask(x, all)
	require.Nil(t, m.answers[token])
	m.allAlone()
	require.Equal(t, ring.Alone, m.at(x))
	asked := false
	m.lose = also(m.lose, func(_, to string, msg wire.Message) bool {
		_, hint := msg.(*wire.Hint)
		asked = asked || hint && to == z
		return hint
	})
	m.pass(DefaultLimits().GuestAfter)
	require.False(t, asked)
	m.pass(DefaultLimits().GuestAfter)
	require.True(t, asked, "%s stays silent too", other)
	m.slowDisk = ""
	m.settle()
	require.Nil(t, m.answers[token], "%s owes nobody anything", z)

	m.deafTo(w, other)
	m.link(x, z, false)
	m.link(x, z, true)
	require.NotNil(t, m.answers[token])
	require.Nil(t, m.answers[token].Err)
	require.Equal(t, []string{z}, m.answers[token].Receipt.Guests)
	require.Equal(t, 1, m.nodes[z].shard.Hints().Hints)
}
