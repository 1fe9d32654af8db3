package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
)

// A node that gave a partition up gets it back without having been started anew. What it
// minted before is known to everybody: the dots of its new writes must be others, or they
// would pass for seen (I2).
func TestAPartitionThatComesBackInOneLifeHasAnotherActor(t *testing.T) {
	m := newMover(t, 3, 1)
	m.commit("n1", false, joins("n4"))
	m.spread()
	key, was, is := m.moved("n1")
	left, id := onlyIn(was, is)[0], m.placeOf(key)
	for range 3 {
		require.Nil(t, m.do(left, put(key, "before")).Err)
	}
	minted := m.nodes[left].shard.replicas[id].Actor()
	m.run(30)
	require.True(t, m.courses["n1"].Settled())
	require.Contains(t, m.nodes[left].shard.Droppable(), id)
	require.True(t, m.nodes[left].shard.Drop(id))
	m.settle()
	require.False(t, m.nodes[left].shard.Drop(id), "once is enough")
	snapshot, err := m.nodes[left].engine.Snapshot()
	require.NoError(t, err)
	stored, err := replica.Stored(snapshot)
	require.NoError(t, err)
	require.NoError(t, snapshot.Close())
	require.NotContains(t, stored, id)

	m.commit("n1", false, leaves("n4"))
	m.run(30)
	require.True(t, m.courses["n1"].Settled())
	shard := m.nodes[left].shard
	require.True(t, shard.Has(id))
	require.NotEqual(t, minted, shard.replicas[id].Actor())
	require.False(t, shard.closer.lives(id, minted), "the first life has ended: what it left can be closed")
	require.True(t, shard.closer.lives(id, shard.replicas[id].Actor()))
	m.writesOver(left, key, was)
}

// writesOver has a home write over all that it reads, and every home take that.
func (m *mover) writesOver(at, key string, homes []string) {
	read := m.do(at, get(key))
	require.Nil(m.t, read.Err)
	after := put(key, "after")
	after.Context, after.W = read.Context, kindred.CountAll
	require.Nil(m.t, m.do(at, after).Err)
	for _, name := range homes {
		require.Equal(m.t, []string{"after"}, m.valuesAt(name, key), name)
	}
}

// Nobody asks a node that is no home when incarnations are closed: what it minted as a home
// may be void to the others. Where it gets the partition back before its old copy has gone,
// it believes them, since it mints under another name by then.
func TestWhoWasNobodysHomeMintsUnderAnotherName(t *testing.T) {
	m := newMover(t, 3, 1)
	m.commit("n1", false, joins("n4"))
	m.spread()
	key, was, is := m.moved("n1")
	left, id := onlyIn(was, is)[0], m.placeOf(key)
	require.Nil(t, m.do(left, put(key, "before")).Err)
	m.run(30)
	shard := m.nodes[left].shard
	require.True(t, shard.Has(id) && m.courses["n1"].Settled())
	minted := shard.Incarnation(id)

	m.commit("n1", false, leaves("n4"))
	m.run(30)
	require.True(t, m.courses["n1"].Settled())
	require.NotEqual(t, minted, shard.Incarnation(id))
	require.False(t, shard.closer.lives(id, minted), "what it left can be closed")
	require.Equal(t, []string{"before"}, m.valuesAt(left, key), "it has kept what it had")
	m.writesOver(left, key, was)
}

// That a partition is given up, and the layout that gives it back, may be two events of one
// take. The rows are still there then, and go with that take: a clock that was read from
// them would claim what nobody here has any more.
func TestAPartitionThatComesBackBeforeItIsErasedBeginsWithNothing(t *testing.T) {
	m := newMover(t, 3, 1)
	m.commit("n1", false, joins("n4"))
	m.spread()
	key, was, is := m.moved("n1")
	left, id := onlyIn(was, is)[0], m.placeOf(key)
	require.Nil(t, m.do(left, put(key, "milk")).Err)
	m.run(30)
	shard := m.nodes[left].shard
	require.True(t, shard.Drop(id))
	snapshot, err := m.nodes[left].engine.Snapshot()
	require.NoError(t, err)
	stored, err := replica.Stored(snapshot)
	require.NoError(t, err)
	require.Contains(t, stored, id, "its rows are not erased yet")
	back, err := shard.Recover(id, snapshot)
	require.NoError(t, err)
	require.NoError(t, snapshot.Close())
	require.True(t, back.Clock().IsEmpty(), "it claims %v", back.Clock())
	m.settle()

	m.commit("n1", false, leaves("n4"))
	m.run(30)
	require.True(t, m.courses["n1"].Settled())
	require.Equal(t, []string{"milk"}, m.valuesAt(left, key), "the others have brought it back")
}

// A replica is not looked after while others own its partition. When its node owns it
// again, what has expired meanwhile is ended all the same.
func TestWhatExpiresIsEndedByWhoOwnsItAgain(t *testing.T) {
	m := newMover(t, 3, 1)
	m.commit("n1", false, joins("n4"))
	m.spread()
	key, was, is := m.moved("n1")
	left := onlyIn(was, is)[0]
	require.Nil(t, m.do(left, lasting(put(key, "for a while"), 10*time.Minute)).Err)
	m.run(120)
	require.True(t, m.courses["n1"].Settled())
	require.True(t, m.nodes[left].shard.Has(m.placeOf(key)), "it was not given up here")

	m.commit("n1", false, leaves("n4"))
	m.run(30)
	require.True(t, m.courses["n1"].Settled())
	for name := range m.nodes {
		m.nodes[name].shard.SetLink(m.now, "n4", false)
	}
	m.passFor(30*time.Minute, 10*time.Second)
	for _, name := range was {
		soonest := m.nodes[name].shard.replicas[m.placeOf(key)].Expiries().Soonest()
		require.Zero(t, soonest, "%s still waits for %v", name, soonest)
	}
}
