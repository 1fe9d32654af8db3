package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// leaver has a node that is to leave hold the only copy of a write, as a hint. Of its dead
// actor the homes have the next write, so that they have a gap there.
func leaver(t *testing.T) (m *mover, key, g string, hint *wire.Hint) {
	m = newMover(t, 5, 0)
	m.run(2)
	key = keysOf(m.rig)[0]
	g = m.strangerOf(key)
	dead := vclock.Actor{Disk: 77, Nonce: 1}
	d := vclock.Dot{Actor: dead, Counter: 1}
	hint = &wire.Hint{
		Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 1}, Durability: kindred.Sync, Bucket: "b", Key: key, Slots: wire.AllSlots(3),
		Delta: wire.Delta{Siblings: vclock.New(d, wire.Record{Value: []byte("milk")}, vclock.DotSet{}), Dots: vclock.NewDotSet(d)},
	}
	for _, h := range m.homesOf(key) {
		require.NoError(t, m.joinAt(h, key, wire.Delta{Dots: vclock.NewDotSet(vclock.Dot{Actor: dead, Counter: 2})}))
	}
	return m, key, g, hint
}

// undelivered keeps what a node owes from getting to anybody.
func (m *mover) undelivered(g string) {
	m.lose = func(from, _ string, msg wire.Message) bool {
		_, delivers := msg.(*wire.Write)
		return from == g && delivers
	}
}

func (m *mover) delivered() {
	m.lose = func(string, string, wire.Message) bool { return false }
}

// C9, R25: a node that leaves may have the only copy of an acknowledged write as a hint.
// Nobody would ask it once the change is settled, so that waits for what it owes.
func TestC09_TheHintOfWhoLeavesIsNotVoid(t *testing.T) {
	m, key, g, hint := leaver(t)
	home := m.homesOf(key)[0]
	m.nodes[g].shard.onHint(home, hint)
	m.undelivered(g)
	m.settle()
	m.commit(home, false, leaves(g))
	m.run(300)
	require.Equal(t, ring.Both, m.at(home))
	require.Equal(t, []string{g}, m.courses[home].Waits())
	require.Equal(t, 1, m.nodes[g].shard.Hints().Hints)

	m.delivered()
	m.run(60)
	require.True(t, m.courses[home].Settled())
	require.Zero(t, m.nodes[g].shard.Hints().Hints)
	for _, h := range m.homesOf(key) {
		require.Equal(t, []string{"milk"}, m.valuesAt(h, key), h)
	}
}

// R25: what it has said, that it owes nothing, stays true.
func TestWhoLeavesTakesNoHints(t *testing.T) {
	m, key, g, hint := leaver(t)
	home := m.homesOf(key)[0]
	m.hush = true
	m.commit(home, false, leaves(g))
	m.spread()
	require.Equal(t, ring.Both, m.at(g))
	_, complete := m.nodes[g].shard.Complete()
	require.True(t, complete)
	refused := ""
	m.lose = func(from, _ string, msg wire.Message) bool {
		if ack, ok := msg.(*wire.WriteAck); ok && from == g {
			refused = ack.Refused
		}
		return false
	}
	m.nodes[g].shard.onHint(home, hint)
	m.settle()
	require.Equal(t, "leaves the cluster", refused)
	require.Zero(t, m.nodes[g].shard.Hints().Hints)
}

// C11: a proposer that died before a change may have left promises that differ, by which
// homes refuse what is owed to them. The change waits for that, and closes for the change.
func TestPromisesThatWereLeftHoldUpNoChange(t *testing.T) {
	m, key, g, hint := leaver(t)
	home := m.homesOf(key)[0]
	actor := hint.Delta.Dots
	m.undelivered(g)
	m.nodes[g].shard.onHint(home, hint)
	m.settle()
	m.commit(home, false, leaves(g))
	m.spread()
	layout := m.nodes[home].shard.layout.Version()
	for i, h := range m.homesOf(key) {
		round := wire.Round{Number: uint64(7 + i), Proposer: 99}
		m.nodes[h].shard.closer.onAsk(m.now, g, &wire.CloseAsk{Head: m.head(key), Layout: layout, Round: round, Actors: actorsOf(actor)})
		m.settle()
	}
	m.delivered()
	m.run(300)
	require.True(t, m.courses[home].Settled())
	for _, h := range m.homesOf(key) {
		require.Equal(t, []string{"milk"}, m.valuesAt(h, key), h)
	}
}

func actorsOf(dots vclock.DotSet) (actors []vclock.Actor) {
	for a := range dots.Spans() {
		actors = append(actors, a)
	}
	return actors
}

// R25: it takes none any more once it may have said that it owes none, of its own neither.
func TestWhoLeavesMintsNothingAsAGuest(t *testing.T) {
	m := newMover(t, 6, 0)
	m.run(2)
	key := keysOf(m.rig)[0]
	g, home := m.strangerOf(key), m.homesOf(key)[0]
	m.hush = true
	m.commit(home, false, leaves(g))
	m.spread()
	m.courses[g].SetComplete()
	m.spread()
	require.Equal(t, ring.Both, m.at(g))
	alone := put(key, "milk")
	alone.W = 1
	ask := func() *kindred.Error {
		resp := m.do(g, alone)
		require.NotNil(t, resp.Err)
		require.Equal(t, kindred.CodeUnavailable, resp.Err.Code)
		require.Equal(t, kindred.NotApplied, resp.Err.Outcome)
		require.Zero(t, m.nodes[g].shard.Hints().Hints)
		return resp.Err
	}
	m.cut(g)
	ask()
	m.nodes[g].shard.Message(m.now, home, &wire.Forward{
		Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 1}, Request: alone, Guest: true, At: m.nodes[g].shard.phase.Progress(),
	})
	m.settle()
	require.Zero(t, m.nodes[g].shard.Hints().Hints, "it is not persuaded either")

	m.heal()
	for _, h := range m.homesOf(key) {
		before := m.lose
		m.cut(h)
		m.lose = also(before, m.lose)
	}
	resp := m.do(g, alone)
	require.Nil(t, resp.Err, "others stand in")
	require.NotContains(t, resp.Receipt.Acked, g)

	m.heal()
	m.hush = false
	m.run(60)
	require.True(t, m.courses[home].Settled())
}
