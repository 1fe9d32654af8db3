package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
