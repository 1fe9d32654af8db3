package core

import (
	"maps"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// placeOf is the replica of a key.
func (r *rig) placeOf(key string) replica.ID {
	return replica.ID{Partition: uint32(r.layout.PartitionOf("b", key)), N: 3}
}

// loseTail lets a home mint a dot that nobody hears of and one that everybody
// does, and then lose power before either is durable. It returns its actor, of
// which the first dot is held nowhere.
func (r *rig) loseTail(home, lost, heard string) vclock.Actor {
	require.NoError(r.t, r.nodes[home].engine.Sync())
	actor := r.nodes[home].shard.replicas[r.placeOf(lost)].Actor()
	r.lose = func(from, _ string, m wire.Message) bool { return from == home && wire.KindOf(m) != wire.KindWriteAck }
	r.ask(home, put(lost, "lost"))
	r.lose = func(string, string, wire.Message) bool { return false }
	require.Nil(r.t, r.do(home, put(heard, "heard")).Err)
	r.restart(home)
	return actor
}

// restart ends a node's process without warning and begins another; what was not
// durable is gone.
func (r *rig) restart(name string) {
	n := r.nodes[name]
	n.engine = n.engine.Crash(func(int) int { return 0 })
	n.held, n.syncs, n.loads, n.inbox = nil, nil, nil, nil
	r.token += 1000
	r.boot(name, uint64(r.token)<<32, DefaultLimits())
	for _, other := range r.names {
		if other != name {
			r.nodes[other].shard.SetLink(r.now, name, false)
			r.nodes[other].shard.SetLink(r.now, name, true)
			r.nodes[name].shard.SetLink(r.now, other, true)
		}
	}
	r.settle()
}

// sameplace is another key of a key's partition.
func (r *rig) samePlace(key string) string {
	for c := 'a'; ; c++ {
		if other := key + string(c); r.placeOf(other) == r.placeOf(key) {
			return other
		}
	}
}

func (r *rig) wait(d time.Duration) {
	for end := r.now.Add(d); r.now.Before(end); {
		r.pass(100 * time.Millisecond)
	}
}

// R15: a dot that nobody holds leaves a gap in every clock; the members are asked,
// and the incarnation is closed.
func TestR15_AGapThatNobodyCanFillIsClosed(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes := r.homesOf(key)
	r.holdSyncs = true
	actor := r.loseTail(homes[0], key, r.samePlace(key))
	r.holdSyncs = false
	r.settle()
	other := r.nodes[homes[1]].shard
	require.Equal(t, uint64(2), other.Clock(r.placeOf(key)).Max(actor))
	require.Zero(t, other.Clock(r.placeOf(key)).Base(actor))

	r.wait(5 * time.Minute)
	for _, h := range homes {
		clock := r.nodes[h].shard.Clock(r.placeOf(key))
		require.Zero(t, clock.Exceptions(), "%s: %v", h, clock)
		require.Equal(t, uint64(math.MaxUint64), clock.Base(actor), h)
	}
	r.restart(homes[1])
	require.Equal(t, uint64(math.MaxUint64), r.nodes[homes[1]].shard.Clock(r.placeOf(key)).Base(actor), "it is durable")
	r.idle()
}

// While a member is away nothing is closed: it may hold the dot.
func TestR15_AMemberThatIsAwayIsWaitedFor(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	r.holdSyncs = true
	actor := r.loseTail(homes[0], key, r.samePlace(key))
	r.holdSyncs = false
	r.settle()
	r.cut(away[0])
	r.wait(5 * time.Minute)
	require.Zero(t, r.nodes[homes[1]].shard.Clock(r.placeOf(key)).Base(actor))
	r.heal()
	r.wait(5 * time.Minute)
	require.Equal(t, uint64(math.MaxUint64), r.nodes[homes[1]].shard.Clock(r.placeOf(key)).Base(actor))
}

// A home that has all of an incarnation has no gap that would show it that the rest
// was closed while it was away: digests of the outcomes do. The simulator found it.
func TestR15_AMissedOutcomeIsToldAgain(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	require.Nil(t, r.do("n1", put("cart", "milk")).Err)
	id := r.placeOf("cart")
	actor := r.nodes["n1"].shard.replicas[id].Actor()
	last := r.nodes["n1"].shard.replicas[id].Clock().Max(actor)
	require.NoError(t, r.nodes["n1"].engine.Sync())
	r.restart("n1")
	r.wait(time.Minute)

	tail := closedFrom(actor).Minus(r.nodes["n2"].shard.Clock(id))
	tell := &wire.CloseTell{Head: wire.Head(id), Records: []wire.CloseRecord{{Actor: actor, Round: wire.Round{Number: 1, Proposer: 1}, Void: tail}}}
	r.nodes["n1"].shard.Message(r.now, "n2", tell)
	r.settle()
	base := func(node string) uint64 { return r.nodes[node].shard.Clock(id).Base(actor) }
	require.Equal(t, []uint64{math.MaxUint64, last, last}, []uint64{base("n1"), base("n2"), base("n3")})
	r.wait(2 * antientropy.DigestEvery)
	require.Equal(t, []uint64{math.MaxUint64, math.MaxUint64, math.MaxUint64}, []uint64{base("n1"), base("n2"), base("n3")})

	told := r.nodes["n1"].shard.closer.place(id).told
	require.NotEmpty(t, told)
	before := maps.Clone(told)
	r.wait(2 * antientropy.DigestEvery)
	require.Equal(t, before, told, "who knows all is told no more")
	r.idle()
}

// C9: a guest still holds the hint of a dot that no home has ever seen.
func TestC09_AHintIsNotVoid(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	guest, id := r.away(key)[0], r.placeOf(key)
	dead := vclock.Actor{Disk: 77, Nonce: 1}
	d := vclock.Dot{Actor: dead, Counter: 1}
	hint := &wire.Hint{
		Head: wire.Head(id), Op: wire.OpID{Process: 1, Seq: 1}, Durability: kindred.Sync, Bucket: "b", Key: key, Slots: wire.AllSlots(3),
		Delta: wire.Delta{Siblings: vclock.New(d, wire.Record{Value: []byte("milk")}, vclock.DotSet{}), Dots: vclock.NewDotSet(d)},
	}
	r.nodes[guest].shard.Message(r.now, r.homesOf(key)[0], hint)
	for range 4 { // the hint is kept, and not delivered yet
		r.perform(r.nodes[guest])
	}
	c := r.nodes[guest].shard.closer
	ask := &wire.CloseAsk{Head: wire.Head(id), Layout: r.layout.Version(), Round: wire.Round{Number: 1, Proposer: 1}, Actors: []vclock.Actor{dead}}
	reply := c.report("", ask)
	require.True(t, reply.Reports[0].Held.Contains(d))
	r.payHints()
	require.True(t, c.report("", ask).Reports[0].Held.Contains(d), "it says so again, whoever has it by now")
}

// A member works by one layout: it answers no question by another, and none about
// what lives here.
func TestR15_WhatAMemberDoesNotAnswer(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	id := r.placeOf("k")
	s := r.nodes["n1"].shard
	own := s.replicas[id].Actor()
	ask := func(layout bool) *wire.CloseReply {
		m := &wire.CloseAsk{Head: wire.Head(id), Round: wire.Round{Number: 1, Proposer: 1}, Actors: []vclock.Actor{own, replica.GuestIncarnation(id, s.cfg.Start)}}
		if layout {
			m.Layout = r.layout.Version()
		}
		return s.closer.report("", m)
	}
	require.NotEmpty(t, ask(false).Refused)
	for _, report := range ask(true).Reports {
		require.True(t, report.Live)
		require.True(t, report.Promised.IsZero())
	}
	s.Message(r.now, "n2", &wire.CloseTell{Head: wire.Head(id), Records: []wire.CloseRecord{{Actor: own, Round: wire.Round{Number: 9, Proposer: 1}, Void: closedFrom(own)}}})
	r.settle()
	require.Zero(t, s.Clock(id).Base(own), "nobody can have closed a living incarnation")
}

func closedFrom(a vclock.Actor) (s vclock.DotSet) {
	s.Close(a)
	return s
}

// C10, R14: what was promised is refused until it is known what came of it, and
// what was promised outlives the process.
func TestR14_APromiseOutlivesTheProcess(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	const key = "k"
	id, dead := r.placeOf(key), vclock.Actor{Disk: 77, Nonce: 1}
	round := wire.Round{Number: 4, Proposer: 9}
	s := r.nodes["n1"].shard
	s.Message(r.now, "n2", &wire.CloseAsk{Head: wire.Head(id), Op: wire.OpID{Process: 5, Seq: 5}, Layout: r.layout.Version(), Round: round, Actors: []vclock.Actor{dead}})
	r.settle()
	r.restart("n1")
	s = r.nodes["n1"].shard
	d := vclock.Dot{Actor: dead, Counter: 1}
	write := &wire.Write{
		Head: wire.Head(id), Op: wire.OpID{Process: 1, Seq: 1}, Bucket: "b", Key: key,
		Delta: wire.Delta{Siblings: vclock.New(d, wire.Record{Value: []byte("v")}, vclock.DotSet{}), Dots: vclock.NewDotSet(d)},
	}
	s.Message(r.now, "n2", write)
	r.settle()
	require.False(t, s.Clock(id).Contains(d))
	require.Equal(t, uint64(1), s.CloseStats().Refused)
	agreed := *write
	agreed.Rounds = wire.Rounds{{Actor: dead, Round: round}}
	s.Message(r.now, "n2", &agreed)
	r.settle()
	require.True(t, s.Clock(id).Contains(d))
}

// A read may last for longer than a round. Nobody sends what it would refuse itself by
// now: who gets it may have lost its disk since, and its promise with that.
func TestR14_NobodyRepairsWithWhatItHasPromisedToRefuse(t *testing.T) {
	for _, promised := range []bool{false, true} {
		r := newRig(t, 4, DefaultLimits())
		const key = "cart"
		homes, reader, id := r.homesOf(key), r.away(key)[0], r.placeOf(key)
		r.noExchange = true
		actor := r.nodes[homes[0]].shard.replicas[id].Actor()
		r.lose = func(from, _ string, _ wire.Message) bool { return from == homes[0] }
		only := strict(put(key, "at one home"))
		only.W = 1
		require.Nil(t, r.do(homes[0], only).Err)

		repairs := 0
		r.lose = func(from, _ string, m wire.Message) bool {
			if from == reader && wire.KindOf(m) == wire.KindWrite {
				repairs++
			}
			return from == homes[2]
		}
		r.nodes[reader].shard.hedge.lagged(r.now, homes[1:2]) // it is asked after the one that is silent
		require.Equal(t, []string{"at one home"}, values(r.hedged(reader, get(key))))
		if promised {
			r.nodes[reader].shard.Message(r.now, homes[1], &wire.CloseAsk{
				Head: wire.Head(id), Op: wire.OpID{Process: 5, Seq: 5}, Layout: r.layout.Version(),
				Round: wire.Round{Number: 4, Proposer: 9}, Actors: []vclock.Actor{actor},
			})
			r.settle()
		}
		r.pass(DefaultLimits().RepairWait)
		if promised {
			require.Zero(t, repairs)
		} else {
			require.NotZero(t, repairs)
		}
	}
}

// Void dots do not come with a rebuild. A home that was rebuilt has a gap where the
// others know of them, and asks, although no key is touched again.
func TestR15_WhoWasRebuiltLearnsWhatIsVoid(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	const key = "cart"
	homes, id := r.homesOf(key), r.placeOf(key)
	r.holdSyncs = true
	actor := r.loseTail(homes[0], key, r.samePlace(key))
	r.holdSyncs = false
	r.wait(5 * time.Minute)
	require.Equal(t, uint64(math.MaxUint64), r.nodes[homes[1]].shard.Clock(id).Base(actor))

	r.wipe(homes[2], 77<<32)
	r.rebuild(homes[2], homes[1])
	r.wait(5 * time.Minute)
	require.Zero(t, r.nodes[homes[2]].shard.Clock(id).Exceptions())
	r.same(homes[1], homes[2])
}

// C8: the effect of a lost delete has leaked into an object, and the node stops between
// the news that its dot is void and the look at that object. The next life has to look
// again, or the memory is stripped and one home differs from the others for ever.
func TestR15_ASweepIsTakenUpAfterAStart(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	require.Nil(t, r.do("n1", put("cart", "milk")).Err)
	id, dead := r.placeOf("cart"), vclock.Actor{Disk: 77, Nonce: 1}
	leaked := r.nodes["n2"].shard.Clock(id).Clone()
	leaked.Add(vclock.Dot{Actor: dead, Counter: 1})
	repair := &wire.Write{Head: wire.Head(id), Bucket: "b", Key: "cart", Delta: wire.Delta{Siblings: wire.Object{Context: leaked}}}
	r.deliver("n3", Send{To: "n2", Msg: repair})
	r.settle()
	tell := &wire.CloseTell{Head: wire.Head(id), Records: []wire.CloseRecord{{Actor: dead, Round: wire.Round{Number: 1, Proposer: 1}, Void: closedFrom(dead)}}}
	r.nodes["n2"].shard.Message(r.now, "n1", tell)
	r.settle()
	require.Zero(t, r.nodes["n2"].shard.CloseStats().Touches, "it has not looked yet")
	require.NoError(t, r.nodes["n2"].engine.Sync())
	r.restart("n2")
	r.wait(2 * time.Minute)
	for _, name := range r.names {
		require.NotContains(t, r.stored(name, id)["cart"], "milk", name)
	}
	r.idle()
}
