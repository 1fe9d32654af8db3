package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/wire"
)

func stageOf(key, dot string, wait kindred.Stage) kindred.Request {
	return kindred.Request{Op: kindred.OpStage, Bucket: "b", Key: key, Dot: dot, Stage: wait, Timeout: 30 * time.Second}
}

func TestAWriteIsSettledWhenEveryHomeSaysThatAllHoldIt(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	dot := r.do(r.home("k", 0), put("k", "v")).Receipt.Dot
	home := r.home("k", 1)
	require.Equal(t, kindred.Accepted, r.do(home, stageOf("k", dot, 0)).Receipt.Stage, "it has heard of no other home yet")

	waits := r.ask(home, stageOf("k", dot, kindred.Settled))
	away := r.ask(r.stranger("k"), stageOf("k", dot, kindred.Settled))
	require.Nil(t, r.answers[waits])
	r.passFor(5*time.Second, time.Second)
	for _, token := range []uint64{waits, away} {
		require.Nil(t, r.answers[token].Err)
		require.Equal(t, kindred.Receipt{Dot: dot, Stage: kindred.Settled}, r.answers[token].Receipt)
	}
	require.Equal(t, kindred.StageNone, r.do(home, stageOf("other", dot, 0)).Receipt.Stage, "a dot is of one partition")
	r.idle()
}

// The third home is cut off: the write is held by two and cannot be everywhere.
func TestAStageIsNotClaimedEarly(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	lost := r.home("k", 2)
	r.passFor(3*time.Second, time.Second)
	r.cut(lost)
	resp := r.do(r.home("k", 0), put("k", "v"))
	require.Nil(t, resp.Err)
	waits := r.ask(r.home("k", 1), stageOf("k", resp.Receipt.Dot, kindred.Propagated))
	r.passFor(29*time.Second, time.Second)
	require.Nil(t, r.answers[waits], "it waits for as long as it may")
	r.passFor(2*time.Second, time.Second)
	require.Equal(t, kindred.Accepted, r.answers[waits].Receipt.Stage, "and says then what it knows")

	waits = r.ask(r.home("k", 1), stageOf("k", resp.Receipt.Dot, kindred.Settled))
	r.heal()
	r.passFor(10*time.Second, time.Second)
	require.Equal(t, kindred.Settled, r.answers[waits].Receipt.Stage)
	require.Equal(t, []string{"v"}, r.valuesAt(lost, "k"))
}

// All clocks agree, and the last word about it does not arrive: propagated.
func TestPropagatedIsNotSettled(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.passFor(3*time.Second, time.Second)
	r.lose = func(from, to string, m wire.Message) bool {
		c, ok := m.(*wire.Clock)
		if ok && from == "n3" && to == "n1" {
			return !c.Common.IsEmpty() // n3 tells n1 what it has, not what it knows of all
		}
		return false
	}
	dot := r.do("n1", put("k", "v")).Receipt.Dot
	r.passFor(3*time.Second, 500*time.Millisecond)
	require.LessOrEqual(t, r.do("n1", stageOf("k", dot, 0)).Receipt.Stage, kindred.Propagated)
	r.heal()
	r.passFor(40*time.Second, time.Second)
	require.Equal(t, kindred.Settled, r.do("n1", stageOf("k", dot, 0)).Receipt.Stage)
}

func TestAWriteIsAuditedByAnAuditAfterIt(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	dot := r.do("n1", put("k", "v")).Receipt.Dot
	r.passFor(5*time.Second, time.Second)
	waits := r.ask("n2", stageOf("k", dot, kindred.Audited))
	require.Nil(t, r.answers[waits])
	require.Equal(t, 16, r.nodes["n2"].shard.Repair(r.now, kindred.AllPartitions))
	r.settle()
	r.passFor(40*time.Second, time.Second)
	require.Equal(t, kindred.Audited, r.answers[waits].Receipt.Stage)

	later := r.do("n1", put("k", "w")).Receipt.Dot
	r.passFor(5*time.Second, time.Second)
	require.Equal(t, kindred.Settled, r.do("n2", stageOf("k", later, 0)).Receipt.Stage, "that audit had not seen it")
}

func TestWhoWaitsForAStageDoesNotHoldUpAStop(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	dot := r.do("n1", put("k", "v")).Receipt.Dot
	waits := r.ask("n1", stageOf("k", dot, kindred.Audited))
	r.nodes["n1"].shard.Drain()
	r.settle()
	require.NotNil(t, r.answers[waits])
	require.Zero(t, r.nodes["n1"].shard.Busy())
}

func TestAStageNeedsADot(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	require.Equal(t, "dot", r.do("n1", stageOf("k", "n1:1", kindred.Settled)).Err.Field)
}

func TestTheStatusOfReplicas(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	r.passFor(5*time.Second, time.Second)
	key := "k"
	home, behind := r.home(key, 0), r.home(key, 2)
	partition := int(r.layout.PartitionOf("b", key))
	at := func(node string) kindred.ReplicaStatus {
		for _, s := range r.nodes[node].shard.Status(r.now) {
			if s.Partition == partition {
				return s
			}
		}
		t.Fatal("no home")
		return kindred.ReplicaStatus{}
	}
	quiet := at(home)
	require.True(t, quiet.Trusted)
	require.True(t, quiet.IsSettled())
	require.False(t, quiet.Heard.IsZero())

	r.cut(behind)
	require.Nil(t, r.do(home, put(key, "v")).Err)
	r.passFor(2*time.Second, time.Second)
	require.False(t, func() bool { s := at(home); return s.IsSettled() }())
	require.EqualValues(t, 1, at(home).Unsettled)

	// The home hears again, and what it lacks is kept from it.
	r.lose = func(_, to string, m wire.Message) bool {
		switch m.(type) {
		case *wire.Pieces, *wire.Write:
			return to == behind
		}
		return false
	}
	for _, other := range r.names {
		if other != behind {
			r.nodes[behind].shard.SetLink(r.now, other, true)
			r.nodes[other].shard.SetLink(r.now, behind, true)
		}
	}
	r.settle()
	r.passFor(3*time.Second, time.Second)
	lag := at(behind)
	require.EqualValues(t, 1, lag.Lag)
	require.False(t, lag.LagSince.IsZero())
	since := lag.LagSince
	r.passFor(3*time.Second, time.Second)
	require.Equal(t, since, at(behind).LagSince)
	r.heal()
	r.passFor(20*time.Second, time.Second)
	require.Zero(t, at(behind).Lag)
	require.Zero(t, at(behind).LagSince)
	require.True(t, func() bool { s := at(behind); return s.IsSettled() }())
}

func TestADrainEnds(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.nodes["n1"].shard.Drain()
	require.Equal(t, kindred.CodeStopping, r.do("n1", put("k", "v")).Err.Code)
	r.nodes["n1"].shard.Resume()
	require.Nil(t, r.do("n1", put("k", "v")).Err)
}
