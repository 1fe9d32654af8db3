package core

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// moving is a cluster of three owners and a fourth node, which takes over from the
// third. Everybody works by both layouts. Of the key, x and y stay homes, z was one and w
// becomes one.
func moving(t *testing.T) (m *mover, key, x, y, z, w string) {
	m = newMover(t, 3, 1)
	m.hush = true
	m.commit("n1", false, joins("n4"), leaves("n3"))
	m.spread()
	for _, name := range m.names {
		require.Equal(t, ring.Both, m.at(name), name)
	}
	m.run(2)
	key, was, is := m.moved("n1")
	z, w = onlyIn(was, is)[0], onlyIn(is, was)[0]
	both := onlyIn(was, []string{z})
	return m, key, both[0], both[1], z, w
}

// deafTo keeps writes, and hints, from reaching nodes.
func (m *mover) deafTo(names ...string) {
	m.lose = func(_, to string, msg wire.Message) bool {
		switch msg.(type) {
		case *wire.Write, *wire.Hint:
			return slices.Contains(names, to)
		}
		return false
	}
}

// R23: at both, a write needs a quorum of the homes by the layout before and one of those
// by the next.
func TestAWriteNeedsAQuorumOfEachLayout(t *testing.T) {
	m, key, x, y, z, w := moving(t)
	m.deafTo(y, w)
	token := m.ask(x, strict(put(key, "milk")))
	require.Nil(t, m.answers[token], "%s and %s are a quorum of the old homes only", x, z)
	m.deafTo(y, z)
	again := m.ask(x, strict(put(key, "eggs")))
	require.Nil(t, m.answers[again], "%s and %s are a quorum of the new homes only", x, w)

	m.pass(time.Minute)
	for token, short := range map[uint64]string{token: "the new layout", again: "the layout before"} {
		err := m.answers[token].Err
		require.NotNil(t, err)
		require.Equal(t, kindred.Unknown, err.Outcome)
		require.Equal(t, []int{2, 1}, []int{err.Need, err.Got})
		require.Contains(t, err.Message, short)
	}

	m.deafTo(y)
	resp := m.do(x, strict(put(key, "bread")))
	require.Nil(t, resp.Err)
	require.ElementsMatch(t, []string{x, z, w}, resp.Receipt.Acked, "a receipt names who holds it")
	require.Empty(t, resp.Receipt.Guests)
}

// R23: before anything is done, a quorum of either layout that cannot be met is a reason
// to refuse.
func TestAWriteThatOneLayoutCannotTakeIsNotMade(t *testing.T) {
	m, key, x, y, z, w := moving(t)
	for _, away := range [][]string{{y, z}, {y, w}} {
		for _, name := range away {
			m.nodes[x].shard.SetLink(m.now, name, false)
		}
		resp := m.do(x, strict(put(key, "milk")))
		require.NotNil(t, resp.Err, "%v are away", away)
		require.Equal(t, kindred.NotApplied, resp.Err.Outcome)
		for _, name := range away {
			m.nodes[x].shard.SetLink(m.now, name, true)
		}
	}
	require.Nil(t, m.do(x, strict(put(key, "milk"))).Err)
}

// R23: at both a read asks the homes of the layout before, and the new one is none of
// them.
func TestAReadAsksTheOldHomesUntilAllAreAhead(t *testing.T) {
	m, key, x, _, z, w := moving(t)
	require.Nil(t, m.do(w, strict(put(key, "milk"))).Err)
	asked := map[string]bool{}
	m.lose = func(_, to string, msg wire.Message) bool {
		if _, read := msg.(*wire.Read); read {
			asked[to] = true
		}
		return false
	}
	all := strict(get(key))
	all.R = kindred.CountAll
	for _, at := range []string{x, z, w} {
		resp := m.do(at, all)
		require.Nil(t, resp.Err)
		require.Equal(t, []string{"milk"}, values(resp))
		require.NotContains(t, resp.Replied, w)
		require.Contains(t, resp.Replied, z)
	}
	require.False(t, asked[w])
	resp := m.do(x, kindred.Request{Op: kindred.OpScan, Bucket: "b", R: kindred.CountAll, Scan: kindred.Scan{
		Cursor: Cursor{Partition: m.head(key).Partition}.Bytes(),
	}})
	require.Nil(t, resp.Err)
	require.NotContains(t, resp.Replied, w)
}

// R24: a coordinator that has not heard of a layout is refused, waits, and goes on by the
// new layout as soon as it knows it. The write event stays the same.
func TestWhoIsBehindWaitsAndGoesOn(t *testing.T) {
	m, key, x, y := lagging(t)
	write := m.ask(x, strict(put(key, "milk")))
	read := m.ask(x, strict(get("other than "+key)))
	m.pass(time.Second)
	require.Nil(t, m.answers[write], "nobody takes what comes by the layout before")
	require.Nil(t, m.answers[read])
	require.Positive(t, m.differ[x], "who refuses wants to tell")
	require.Positive(t, m.differ[y], "who is refused wants to hear")
	for _, name := range m.names {
		if name != x && m.nodes[name].shard.Has(m.placeOf(key)) {
			require.Empty(t, m.valuesAt(name, key), name)
		}
	}

	delete(m.deaf, x)
	m.spread()
	m.pass(0)
	require.NotNil(t, m.answers[write], "it goes on at once")
	require.Nil(t, m.answers[write].Err)
	require.NotNil(t, m.answers[read])
	require.Nil(t, m.answers[read].Err)
	require.Len(t, m.do(x, strict(get(key))).Siblings, 1, "it was minted once")
	require.Positive(t, m.total().Restarts)
	m.idle()
}

// lagging has everybody but x work by a layout that x holds, and has not heard to be
// formed. It coordinates a key of which y is a home as well.
func lagging(t *testing.T) (m *mover, key, x, y string) {
	m = newMover(t, 4, 1)
	m.hush = true
	m.commit("n1", false, joins("n5"), leaves("n4"))
	x = "n2"
	m.courses[x].Hear(m.courses["n1"].Files())
	require.True(t, m.courses[x].Turn(), "it holds the next layout")
	m.courses["n1"].Hear(m.courses[x].Files())
	m.deaf[x] = true
	m.spread()
	require.Equal(t, ring.Both, m.at("n1"))
	require.Equal(t, ring.Alone, m.at(x))
	key, was, is := m.movedWhere("n1", func(_ ring.Partition, was, is []string) bool {
		return slices.Contains(was, x) && slices.Contains(is, x)
	})
	y = onlyIn(was, append(onlyIn(was, is), x))[0]
	return m, key, x, y
}

// R24: a refusal is no answer: without one that counts the operation ends unknown, or
// with nothing done, when its time is over.
func TestWhoStaysBehindIsToldWhy(t *testing.T) {
	m, key, x, _ := lagging(t)
	write, read := m.ask(x, strict(put(key, "milk"))), m.ask(x, strict(get(key)))
	forward := m.ask(x, strict(put(m.notAt(x), "eggs")))
	scan := m.ask(x, kindred.Request{Op: kindred.OpScan, Bucket: "b", Sloppy: kindred.Strict})
	m.pass(time.Second)
	for _, token := range []uint64{write, read, forward, scan} {
		require.Nil(t, m.answers[token])
	}
	m.passFor(time.Minute, 100*time.Millisecond)
	require.Equal(t, kindred.Unknown, m.answers[write].Err.Outcome)
	require.Contains(t, m.answers[write].Err.Error(), "which the coordinator has not heard of")
	for _, token := range []uint64{read, forward, scan} {
		require.NotNil(t, m.answers[token].Err)
		require.Equal(t, kindred.NotApplied, m.answers[token].Err.Outcome)
		require.Contains(t, m.answers[token].Err.Error(), "which the coordinator has not heard of")
	}
	m.idle()
}

// notAt is a key that a node is no home of.
func (m *mover) notAt(name string) string {
	for _, key := range keysOf(m.rig) {
		if !m.nodes[name].shard.Has(m.placeOf(key)) {
			return key
		}
	}
	m.t.Fatal("every key is at home here")
	return ""
}

// R24: a home that has not heard of the layout does not count either. It is asked again,
// and takes the write once it has heard.
func TestWhoHasNotHeardIsAskedAgain(t *testing.T) {
	m, key, x, y := lagging(t)
	all := strict(put(key, "milk"))
	all.W = kindred.CountAll
	token := m.ask(y, all)
	m.pass(time.Second)
	require.Nil(t, m.answers[token])
	require.Positive(t, m.differ[x])
	delete(m.deaf, x)
	m.spread()
	require.Nil(t, m.answers[token], "nobody tells the coordinator that others have heard")
	m.pass(differAgain)
	require.NotNil(t, m.answers[token])
	require.Nil(t, m.answers[token].Err)
	require.Contains(t, m.answers[token].Receipt.Acked, x)
}

// What was acknowledged under one tip does not count under the next, where the write is
// sent again; what was under one step of it does under another.
func TestAcknowledgementsDoNotOutliveTheirLayout(t *testing.T) {
	m := newMover(t, 3, 1)
	m.hush = true
	m.commit("n1", false, joins("n4"), leaves("n3"))
	m.freezeAt(t, "n1")
	key, was, is := m.moved("n1")
	z, w := onlyIn(was, is)[0], onlyIn(is, was)[0]
	x, y := onlyIn(was, []string{z})[0], onlyIn(was, []string{z})[1]
	for _, name := range m.names {
		m.unadopt(name)
	}

	m.deafTo(z)
	all := strict(put(key, "milk"))
	all.W = kindred.CountAll
	token := m.ask(x, all)
	require.Nil(t, m.answers[token])

	m.deafTo(y) // which has acknowledged it by the layout before
	for _, name := range m.names {
		m.follow(name)
	}
	m.pass(0)
	require.Nil(t, m.answers[token], "all have acknowledged it, but not by one layout")
	m.deafTo()
	m.nodes[x].shard.SetLink(m.now, y, false)
	m.nodes[x].shard.SetLink(m.now, y, true)
	m.settle()
	require.NotNil(t, m.answers[token])
	require.Nil(t, m.answers[token].Err)

	m.deafTo(z)
	m.hush = false
	for _, name := range m.names {
		m.courses[name].SetComplete()
	}
	token = m.ask(x, all)
	require.Nil(t, m.answers[token], "%s is a home by the layout before, and that counts", z)
	m.spread()
	require.Equal(t, ring.Alone, m.at(x))
	m.pass(0)
	require.NotNil(t, m.answers[token], "%s counts no more, and the others have acknowledged it under this tip", z)
	require.Nil(t, m.answers[token].Err)
	require.ElementsMatch(t, []string{x, y, w}, m.answers[token].Receipt.Acked)
}

// A home of the layout before that has the write is no guest of the next one, and nobody
// has spoken in the place of a home that stays silent.
func TestOldHomesAreForgottenWhenTheyCountNoMore(t *testing.T) {
	m, key, x, y, z, w := moving(t)
	m.nodes[w].shard.SetFull(&kindred.Error{Code: kindred.CodeDiskFull, Message: "no room"})
	m.deafTo(y)
	token := m.ask(x, strict(put(key, "milk")))
	require.Nil(t, m.answers[token], "%s is one of two new homes", x)
	m.allAlone()
	require.Equal(t, ring.Alone, m.at(x))
	require.Nil(t, m.answers[token], "%s may yet take it", y)
	m.deafTo()
	m.nodes[x].shard.SetLink(m.now, y, false)
	m.nodes[x].shard.SetLink(m.now, y, true)
	m.settle()
	require.NotNil(t, m.answers[token])
	require.Nil(t, m.answers[token].Err)
	require.ElementsMatch(t, []string{x, y}, m.answers[token].Receipt.Acked, "%s counts no more", z)
}

// What this node has yet to make durable counts when it has done so, though the write goes
// on by another number since.
func TestAnOwnSyncCountsWhenTheOldHomesDoNoMore(t *testing.T) {
	m, key, x, y, _, w := moving(t)
	m.slowDisk = x
	all := strict(put(key, "milk"))
	all.W, all.Durability = kindred.CountAll, kindred.Sync
	token := m.ask(x, all)
	m.allAlone()
	require.Equal(t, ring.Alone, m.at(x))
	require.Nil(t, m.answers[token])
	m.slowDisk = ""
	m.settle()
	require.NotNil(t, m.answers[token])
	require.Nil(t, m.answers[token].Err)
	require.ElementsMatch(t, []string{x, y, w}, m.answers[token].Receipt.Acked)
}

// allAlone lets everybody go on until the layout before counts no more.
func (m *mover) allAlone() {
	m.hush = false
	for _, name := range m.names {
		m.courses[name].SetComplete()
	}
	m.spread()
	m.pass(0)
}

// freezeAt lets the courses go on, and no shard follow but one.
func (m *mover) freezeAt(t *testing.T, name string) {
	m.spread()
	require.Equal(t, ring.Both, m.at(name))
}

// unadopt puts a shard back to the layout before, as if it had not followed yet.
func (m *mover) unadopt(name string) {
	m.nodes[name].shard.SetPhase(ring.Steady(m.layout), nil)
	m.settle()
	m.pass(0)
}

// R25 needs it: once a home works by the next layout it takes nothing more by the one
// before, not even what had waited for the disk since.
func TestAWriteThatWaitedForTheDiskComesTooLate(t *testing.T) {
	m, key, x, y := lagging(t)
	m.unadopt(y)
	m.slowReads = y
	token := m.ask(x, strict(put(key, "milk")))
	require.NotEmpty(t, m.nodes[y].loads)
	m.follow(y)
	m.slowReads = ""
	m.settle()
	require.Empty(t, m.valuesAt(y, key))
	require.Nil(t, m.answers[token])
}

// R22: a node that was removed refuses everybody.
func TestARemovedNodeRefuses(t *testing.T) {
	m := newMover(t, 4, 0)
	m.hush = true
	m.deaf["n4"] = true
	m.commit("n1", false, removes("n4"))
	m.spread()
	require.Equal(t, ring.Both, m.at("n1"))
	delete(m.deaf, "n4")
	m.spread()
	require.True(t, m.nodes["n4"].shard.phase.Removed())
	key := m.keyAt("n4")
	for _, req := range []kindred.Request{put(key, "milk"), get(key), {Op: kindred.OpScan, Bucket: "b"}, del(key)} {
		resp := m.do("n4", req)
		require.NotNil(t, resp.Err)
		require.Equal(t, kindred.CodeWrongRing, resp.Err.Code)
		require.Equal(t, kindred.NotApplied, resp.Err.Outcome)
		if req.Op == kindred.OpPut {
			require.Contains(t, resp.Err.Message, "by layout "+m.courses["n4"].Tip().Version().String(), "as everything else names it")
		}
	}
	refused := 0
	m.lose = func(from, _ string, msg wire.Message) bool {
		if ack, ok := msg.(*wire.WriteAck); ok && from == "n4" && ack.Refused != "" {
			refused++
		}
		return false
	}
	resp := m.do("n1", strict(put(key, "milk")))
	require.Nil(t, resp.Err, "the others are enough")
	require.NotContains(t, resp.Receipt.Acked, "n4")
	require.True(t, m.nodes["n4"].shard.Has(m.placeOf(key)), "it drops nothing")
	require.Positive(t, refused)
}

// keyAt is a key that a node is a home of.
func (m *mover) keyAt(name string) string {
	for _, key := range keysOf(m.rig) {
		if m.nodes[name].shard.Has(m.placeOf(key)) {
			return key
		}
	}
	m.t.Fatal("it is a home of nothing")
	return ""
}

// R24: a node that is one step behind serves, for the steps are made for that; one that is
// further, or further behind, or of another layout, does not.
func TestWhoIsServed(t *testing.T) {
	m := newMover(t, 3, 1)
	m.hush = true
	before := m.nodes["n1"].shard.phase.Progress()
	m.commit("n1", false, joins("n4"), leaves("n3"))
	m.spread()
	s := m.nodes["n1"].shard
	tip := s.phase.Progress().Tip
	at := func(step ring.Step) ring.Progress { return ring.Progress{Tip: tip, Step: step} }
	served := map[ring.Step][]ring.Step{
		ring.Both: {ring.Both, ring.Ahead}, ring.Ahead: {ring.Ahead, ring.Alone}, ring.Alone: {ring.Alone},
	}
	m.hush = false
	for step := ring.Both; step <= ring.Alone; step++ {
		require.Equal(t, step, s.phase.Progress().Step)
		require.Empty(t, s.refuseFrom(ring.Progress{}), "repairs are served whoever sends them")
		require.NotEmpty(t, s.refuseFrom(before))
		require.NotEmpty(t, s.refuseFrom(ring.Progress{Tip: ring.Version{Counter: tip.Counter + 1}, Step: ring.Both}))
		for other := ring.Both; other <= ring.Alone; other++ {
			require.Equal(t, slices.Contains(served[step], other), s.refuseFrom(at(other)) == "", "%v asks %v", other, step)
		}
		for i := 0; step < ring.Alone && s.phase.Progress().Step == step; i++ {
			require.Less(t, i, 60)
			m.pass(time.Second)
			m.spread1()
		}
	}
}
