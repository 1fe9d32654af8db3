package core

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// memoryRig is a cluster in which n3 knows of a key only what is gone: the delete of
// a value has come to it, and the value itself has not. Late is the write that brings it.
type memoryRig struct {
	*auditRig
	key  string
	late *wire.Write
}

// newMemoryRig lets n1 write a value that does not arrive at those nodes, and then
// delete it, which arrives everywhere.
func newMemoryRig(t *testing.T, lacking ...string) *memoryRig {
	m := &memoryRig{auditRig: newAuditRig(t, 30)}
	m.key = m.keys[4]
	lacks := func(node string) bool {
		for _, name := range lacking {
			if name == node {
				return true
			}
		}
		return false
	}
	var value []byte
	m.lose = func(from, to string, msg wire.Message) bool {
		w, ok := msg.(*wire.Write)
		if ok && to == "n3" && value == nil {
			value = wire.Append(nil, w)
		}
		return ok && lacks(to) || m.exchanges(from, to, msg)
	}
	one := put(m.key, "deleted")
	one.W = 1
	require.Nil(t, m.do("n1", one).Err)
	late, err := wire.Decode(value)
	require.NoError(t, err)
	m.late = late.(*wire.Write)
	read := get(m.key)
	read.R = 1
	context := m.do("n1", read).Context
	m.lose = m.exchanges
	require.Nil(t, m.do("n1", seen(del(m.key), context)).Err)
	require.Empty(t, m.shown("n3", m.key))
	m.demandGone()
	return m
}

// exchanges are the messages by which n3 would hear of the value in time.
func (m *memoryRig) exchanges(from, to string, msg wire.Message) bool {
	switch wire.KindOf(msg) {
	case wire.KindClock, wire.KindPull, wire.KindPieces:
		return from == "n3" || to == "n3"
	}
	return false
}

// arrive brings the late value to n3.
func (m *memoryRig) arrive() {
	m.nodes["n3"].shard.Message(m.now, "n1", m.late)
	m.settle()
}

// demandGone demands that the value is to be seen nowhere.
func (m *memoryRig) demandGone() {
	for _, name := range m.names {
		require.Empty(m.t, m.shown(name, m.key), name)
	}
}

// lost ends it: the value arrives while the loss is being made good and after that,
// and in the end all homes are whole and equal.
func (m *memoryRig) lost() {
	s := m.nodes["n3"].shard
	require.True(m.t, s.IsDamaged(m.id), "the loss was noticed")
	m.arrive()
	require.Empty(m.t, m.shown("n3", m.key), "nothing is taken for a key that is being restored")
	for _, other := range []string{"n1", "n2"} {
		m.link("n3", other, true)
	}
	m.wait(time.Minute)
	require.False(m.t, s.IsDamaged(m.id), s.Audits()[m.id].Problem)
	m.arrive()
	m.demandGone()
	m.lose = func(string, string, wire.Message) bool { return false }
	m.link("n1", "n2", true)
	m.wait(time.Minute)
	m.demandGone()
	m.demandEqual()
}

// alone lets n3 look through its disk while it reaches nobody.
func (m *memoryRig) alone() {
	m.isolate()
	m.audit("n3")
}

// What is only known to be gone is not in the hash tree. It is missed all the same
// when its row cannot be read. The others store nothing of the key any more.
func TestR20_ADeleteThatHasRottenIsRemembered(t *testing.T) {
	m := newMemoryRig(t, "n3")
	m.nodes["n3"].engine.Rot(m.row(m.key))
	m.alone()
	require.Equal(t, 1, m.nodes["n3"].shard.Audits()[m.id].Damaged, "its name is known")
	m.lost()
}

func TestR20_ADeleteThatDoesNotDecodeIsRemembered(t *testing.T) {
	m := newMemoryRig(t, "n3")
	var rows storage.Batch
	rows.Set(m.row(m.key), []byte{0xff})
	require.NoError(t, m.nodes["n3"].engine.Apply(&rows))
	m.alone()
	m.lost()
}

// A disk that has lost nobody knows what may have lost a delete: that leaves no trace.
func TestR20_ADeleteThatHasVanishedIsRemembered(t *testing.T) {
	m := newMemoryRig(t, "n3")
	m.isolate()
	m.take("n3", m.key)
	m.nodes["n3"].shard.Suspect(m.id)
	m.alone()
	m.lost()
}

// The home that restores it has not seen the value either: it stores what is gone.
func TestR20_ADeleteIsToldByWhoHasNotSeenTheValue(t *testing.T) {
	m := newMemoryRig(t, "n2", "n3")
	m.nodes["n3"].engine.Rot(m.row(m.key))
	m.alone()
	m.link("n3", "n2", true)
	m.wait(time.Minute)
	require.False(t, m.nodes["n3"].shard.IsDamaged(m.id))
	m.arrive()
	m.demandGone()
}

// A home that has lost the same delete, and has not noticed yet, has nothing to tell.
func TestR20_ADeleteIsNotToldByWhoHasLostItToo(t *testing.T) {
	m := newMemoryRig(t, "n2", "n3")
	m.nodes["n3"].engine.Rot(m.row(m.key))
	m.nodes["n2"].engine.Rot(m.row(m.key))
	m.alone()
	m.link("n3", "n2", true)
	m.wait(time.Minute)
	require.True(t, m.nodes["n3"].shard.IsDamaged(m.id), "only n1 knows")
	m.lost()
}

// A leaf of which the survey could not read a row is not told, whatever the hash tree
// says: what cannot be read may be what is gone.
func TestR20_ALeafWithAnUnreadableRowIsNotTold(t *testing.T) {
	row := storage.ObjectKey(nil, 0, 3, "b", "unreadable")
	doubted := hashtree.LeafOf(ring.Hash("b", "unreadable"))
	found := &replica.Survey{
		Tree: &hashtree.Tree{}, Expected: &hashtree.Tree{},
		Unreadable: []storage.KeyRange{{Low: row, High: append(bytes.Clone(row), 0)}},
	}
	reply := &wire.AuditKeys{}
	listKeys(reply, found, hashtree.SetOf(doubted, doubted+1), nil)
	require.Equal(t, []uint32{uint32(doubted + 1)}, reply.Leaves)

	t.Log("if it is not known which rows are gone, no leaf is told")
	found.Unreadable = []storage.KeyRange{{Low: row, High: storage.ObjectKey(nil, 0, 3, "b", "v")}}
	reply = &wire.AuditKeys{}
	listKeys(reply, found, hashtree.SetOf(doubted, doubted+1), nil)
	require.Empty(t, reply.Leaves)
}

// R12: whose log has no name any more for what the other lacks cannot tell which of
// its keys that has deleted.
func TestR20_WhatWasPrunedIsToldByARebuild(t *testing.T) {
	a := newAuditRig(t, 30)
	a.pass(time.Second)
	a.pass(2 * time.Minute)
	n1 := a.nodes["n1"].shard
	require.NotZero(t, n1.Stats().PrunedDots)
	var reply *wire.AuditKeys
	a.lose = func(_, _ string, m wire.Message) bool {
		if keys, ok := m.(*wire.AuditKeys); ok {
			reply = keys
		}
		return true
	}
	ask := &wire.AuditList{Head: wire.Head(a.id), Op: wire.OpID{Process: 1, Seq: 1}, Leaves: []uint32{1}}
	ask.Known = vclock.NewDotSet(vclock.Dot{Actor: n1.replicas[a.id].Actor(), Counter: 1})
	n1.Message(a.now, "n2", ask)
	a.settle()
	require.Equal(t, hasPruned, reply.Failed)
	ask.Known = n1.Clock(a.id).Clone()
	n1.Message(a.now, "n2", ask)
	a.settle()
	require.Empty(t, reply.Failed)
}

// A delete that nothing is lost of costs no audit anything: trees are compared by
// what lives.
func TestAnAuditDoesNotCompareWhatIsGone(t *testing.T) {
	m := newMemoryRig(t, "n3")
	status := m.audit("n3")
	require.True(t, status.Complete, status.Problem)
	require.Zero(t, m.nodes["n3"].shard.Stats().DifferingLeaves)
}

// What a home alone has taken is believed where nothing that lives is lost: others, who
// have not heard of it, do not bring back what it has deleted. The simulator found it.
func TestR20_ADeleteThatNobodyElseHasHeardOfOutlivesADoubt(t *testing.T) {
	a := newAuditRig(t, 30)
	key, over := a.keys[3], a.keys[7]
	count := a.lose
	a.lose = func(from, to string, m wire.Message) bool {
		switch wire.KindOf(m) {
		case wire.KindWrite, wire.KindClock, wire.KindPull, wire.KindPieces:
			return from == "n3" || to == "n3"
		}
		return count(from, to, m)
	}
	for _, k := range []string{key, over} {
		read := get(k)
		read.R = 1
		req := seen(del(k), a.do("n3", read).Context)
		if k == over {
			req = seen(put(k, "new"), a.do("n3", read).Context)
		}
		req.W = 1
		require.Nil(t, a.do("n3", req).Err)
	}
	a.nodes["n3"].shard.Suspect(a.id)
	a.wait(time.Minute)
	require.False(t, a.nodes["n3"].shard.IsDamaged(a.id), a.nodes["n3"].shard.Audits()[a.id].Problem)
	require.Zero(t, a.nodes["n3"].shard.Stats().LostDots)
	require.Empty(t, a.shown("n3", key))
	require.Equal(t, []string{"new"}, a.shown("n3", over))

	a.lose = count
	a.wait(time.Minute)
	for _, name := range a.names {
		require.Empty(t, a.shown(name, key), name)
		require.Equal(t, []string{"new"}, a.shown(name, over), name)
	}
	a.demandEqual()
}

// What is damaged takes nothing, so exchange cannot bring what its homes can no longer
// name between them: the replica is rebuilt. The simulator found one that waited.
func TestR20_WhatNoHomeCanNameIsRebuilt(t *testing.T) {
	a := newAuditRig(t, 30)
	dot := vclock.Dot{Actor: vclock.Actor{Disk: 9, Nonce: 9}, Counter: 1}
	asked := false
	a.lose = func(_, to string, m wire.Message) bool {
		list, ok := m.(*wire.AuditList)
		if !ok || list.Known.IsEmpty() {
			return false
		}
		asked = true
		reply := &wire.AuditKeys{Head: list.Head, Op: list.Op, Failed: hasPruned, Clock: vclock.NewDotSet(dot)}
		a.nodes["n2"].shard.Message(a.now, to, reply)
		return true
	}
	s := a.nodes["n2"].shard
	s.Suspect(a.id)
	for range 10 {
		if len(s.Rebuilds()) == 0 {
			a.pass(100 * time.Millisecond)
		}
	}
	require.True(t, asked)
	require.Len(t, s.Rebuilds(), 1)
	require.Equal(t, a.id, s.Rebuilds()[0].Replica)
}
