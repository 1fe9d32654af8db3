package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// While owners change, one that is about to leave may be the only one to hold what
// another has lost.
func TestR20_WhatALeavingOwnerHoldsIsNotLost(t *testing.T) {
	m, key, x, _, z, _ := completing(t)
	require.Nil(t, m.do(x, put(key, "old")).Err)
	read := m.do(x, get(key))
	m.noExchange = true
	m.lose = func(_, to string, msg wire.Message) bool { return to != z && wire.KindOf(msg) == wire.KindWrite }
	one := strict(seen(put(key, "new"), read.Context))
	one.W = 1
	require.Nil(t, m.do(x, one).Err)
	m.lose = func(_, to string, msg wire.Message) bool { // it cannot restore it yet
		return to == z && wire.KindOf(msg) == wire.KindAuditList
	}
	require.Equal(t, []string{"new"}, m.valuesAt(z, key))
	m.forgets(x, key)
	m.wait(2 * time.Minute)
	require.Zero(t, m.nodes[x].shard.Stats().LostDots)
	require.True(t, m.nodes[x].shard.IsDamaged(m.placeOf(key)))

	m.noExchange, m.hush = false, false
	m.lose = func(from, _ string, msg wire.Message) bool { // it answers at once, and others would ask only it
		return from == x && wire.KindOf(msg) == wire.KindPieces
	}
	m.run(180)
	require.Equal(t, []string{"new"}, m.valuesAt(x, key))
	require.True(t, m.courses[x].Settled())
}

// R20, R25: a home lacks events of which no log says the key, and another home that has
// them has lost something: it gives no page before it is told what, and whom it asks cannot
// tell before he has those events. A former home has them too, and gives them.
func TestR20_AnOldCopyEndsTheWaitForADamagedHome(t *testing.T) {
	m := newMover(t, 3, 1)
	m.run(2)
	m.hush = true
	m.commit("n1", false, joins("n4"))
	m.spread()
	key, was, is := m.moved("n1")
	id, beside := m.placeOf(key), m.samePlace(key)
	z := onlyIn(was, is)[0]
	x := onlyIn(was, []string{z})[0]
	require.Nil(t, m.do(x, strict(put(key, "milk"))).Err)
	m.hush = false
	for i := 0; !m.nodes[z].shard.phase.Settled(); i++ {
		require.Less(t, i, 60)
		m.run(1)
	}

	m.loseClocks(func(string, string) bool { return true })
	d := vclock.Dot{Actor: vclock.Actor{Disk: 77, Nonce: 1}, Counter: 1} // of a process that is dead
	late := wire.Delta{Siblings: vclock.New(d, wire.Record{Value: []byte("late")}, vclock.DotSet{}), Dots: vclock.NewDotSet(d)}
	for _, holder := range []string{x, z} {
		require.NoError(t, m.joinAt(holder, beside, late))
		s := m.nodes[holder].shard
		s.replicas[id].Prune(s.Clock(id), &s.out.Rows)
		m.settle()
	}
	m.forgets(x, key)
	m.clocksFrom(z) // they hear of it from the damaged one first
	m.run(60)
	require.True(t, m.nodes[x].shard.IsDamaged(id))

	m.heal()
	m.run(120)
	require.False(t, m.nodes[x].shard.IsDamaged(id), "%+v", m.nodes[x].shard.Audits()[id])
	for _, home := range is {
		require.False(t, m.nodes[home].shard.Rebuilding(id), home)
		require.Equal(t, []string{"milk"}, m.valuesAt(home, key), home)
		require.Equal(t, []string{"late"}, m.valuesAt(home, beside), home)
	}
	require.Zero(t, m.nodes[x].shard.Stats().LostDots)
	require.Contains(t, m.drop(z), id)
	m.idle()
}

// A home that is about to leave can be asked too.
func TestR20_WhoLeavesIsAnotherHome(t *testing.T) {
	m := newMover(t, 3, 0)
	m.run(2)
	id, n2 := m.placeOf("key"), m.nodes["n2"].shard
	require.False(t, n2.onlyOther(id, "n1"))
	m.hush = true
	m.commit("n1", false, leaves("n3"))
	m.spread()
	require.ElementsMatch(t, []string{"n1", "n3"}, n2.others(id))
	require.False(t, n2.onlyOther(id, "n1"), "n3 was a home and is one still")
	m.hush = false
	m.run(60)
	require.True(t, n2.onlyOther(id, "n1"))
	require.False(t, n2.onlyOther(id, "n3"))
}

// One that comes cannot: it says nothing before it is complete, which it may not be before
// the damaged home has been restored.
func TestR20_WhoComesIsNoOtherHomeYet(t *testing.T) {
	m := newMover(t, 3, 1)
	m.run(2)
	id, n2 := m.placeOf("key"), m.nodes["n2"].shard
	m.hush = true
	m.cut("n3")
	m.deaf["n3"] = true
	m.commit("n1", false, removes("n3"), joins("n4"))
	m.spread()
	require.Equal(t, ring.Both, m.at("n2"))
	require.Equal(t, []string{"n1"}, n2.others(id))
	require.True(t, n2.onlyOther(id, "n1"))
}
