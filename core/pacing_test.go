package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// pullsPerSecond and keysPerSecond are what a home takes beside clients.
func pullsPerSecond() int { return DefaultLimits().PullPace.ItemsPerSecond }
func keysPerSecond() int  { return DefaultLimits().RebuildPace.ItemsPerSecond }

// behind is a rig whose n3 has missed that many writes and is not linked yet. It has
// more than it has missed, or it would be rebuilt.
func behind(t *testing.T, keys int, value string, limits Limits) *rig {
	r := newRig(t, 3, limits)
	for i := range 3 * keys / 2 {
		require.Nil(t, r.do("n1", put(fmt.Sprintf("k%d", i), "old")).Err)
	}
	r.pass(time.Second)
	r.cut("n3")
	for i := range keys {
		require.Nil(t, r.do("n1", put(fmt.Sprintf("k%d", i), value)).Err)
	}
	r.pass(time.Second)
	return r
}

// serve lets time go by while clients ask n3, and n3 asks the others for them.
func (r *rig) serve(d time.Duration) {
	const step = 10 * time.Millisecond
	for end := r.now.Add(d); r.now.Before(end); r.pass(step) {
		r.ask("n3", get("another"))
	}
}

func (r *rig) joined() int { return int(r.nodes["n3"].shard.Stats().PiecesJoined) }

// R9: a home that was away becomes equal as fast as it can if nobody is disturbed.
func TestAHomeThatWasAwayPullsAtOnceWithoutClients(t *testing.T) {
	r := behind(t, 1500, "v", DefaultLimits())
	r.heal()
	require.Equal(t, 1500, r.joined(), "in no time at all")
}

// With clients it pulls at a pace, which goes on by itself until nothing is missing.
func TestPullsGiveWayToClients(t *testing.T) {
	r := behind(t, 1500, "v", DefaultLimits())
	r.ask("n3", get("another"))
	r.heal()
	step := DefaultLimits().PullDots
	require.LessOrEqual(t, r.joined(), 2*step)
	r.serve(500 * time.Millisecond)
	require.InDelta(t, pullsPerSecond()/2, r.joined(), float64(2*step))
	r.serve(time.Second * time.Duration(1500-r.joined()) / time.Duration(pullsPerSecond()))
	require.Equal(t, 1500, r.joined())
}

// The clients of other nodes count too: they have this one read and write for them.
func TestPullsGiveWayToClientsOfOtherNodes(t *testing.T) {
	for _, request := range []kindred.Request{get("another"), put("another", "v")} {
		r := behind(t, 1500, "v", DefaultLimits())
		r.noExchange = true
		r.heal()
		r.noExchange = false
		for range 300 {
			if r.joined() > 0 {
				break
			}
			r.ask("n1", request)
			r.pass(10 * time.Millisecond)
		}
		require.NotZero(t, r.joined())
		require.LessOrEqual(t, r.joined(), 2*DefaultLimits().PullDots, "%v", request.Op)
	}
}

// What is held back waits for clients no longer than there are any.
func TestPullsSpeedUpWhenClientsLeave(t *testing.T) {
	r := behind(t, 1500, "v", DefaultLimits())
	r.ask("n3", get("another"))
	r.heal()
	r.pass(clientsFor)
	require.Equal(t, 1500, r.joined())
}

// A pace for large gaps is not felt by small ones, in however many partitions.
func TestASmallGapIsClosedAtOnceBesideClients(t *testing.T) {
	r := behind(t, 40, "v", DefaultLimits())
	r.ask("n3", get("another"))
	r.heal()
	require.Equal(t, 40, r.joined())
}

func TestLargeObjectsThatArePulledPayForTheirBytes(t *testing.T) {
	limits := DefaultLimits()
	limits.PullDots, limits.PullPace.BytesPerSecond = 1, 10_000
	r := behind(t, 100, string(make([]byte, 1000)), limits)
	r.ask("n3", get("another"))
	r.heal()
	r.serve(3 * time.Second)
	require.InDelta(t, 30, r.joined(), float64(limits.Pulls), "and what was asked for before anything came")
}

// However many requests are in progress, exchange ends.
func TestPullsNeverStandStill(t *testing.T) {
	limits := DefaultLimits()
	limits.PullPace.Busy = 1
	r := behind(t, 1000, "v", limits)
	r.ask("n3", get("another"))
	r.heal()
	r.lose = func(_, to string, m wire.Message) bool {
		_, ack := m.(*wire.WriteAck)
		return ack && to == "n3"
	}
	for i := range 100 {
		stuck := put(fmt.Sprintf("s%d", i), "v")
		stuck.W = kindred.CountAll
		r.ask("n3", stuck)
	}
	before := r.joined()
	r.serve(time.Second)
	require.GreaterOrEqual(t, r.nodes["n3"].shard.Busy(), 100)
	require.InDelta(t, before+pullsPerSecond()/slowest, r.joined(), float64(2*limits.PullDots))
}

// Who has clients answers no more pulls than its pace allows, whoever asks: the peer
// may have none, and does not know.
func TestAnswersToPullsGiveWayToClients(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.pass(time.Second)
	answers, refused := 0, 0
	r.lose = func(_, _ string, m wire.Message) bool {
		if p, ok := m.(*wire.Pieces); ok && p.Failed == isBusy {
			refused++
		} else if ok {
			answers++
		}
		return false
	}
	head := r.headOf("k")
	pull := func() {
		var dots vclock.DotSet
		dots.AddSpan(vclock.Actor{Disk: 1}, vclock.Span{Lo: 1, Hi: wire.PullDotsMax})
		r.nodes["n1"].shard.Message(r.now, "n2", &wire.Pull{Head: head, Op: wire.OpID{Process: 1, Seq: 1}, Dots: dots})
		r.settle()
	}
	for range 10 {
		pull()
	}
	require.Equal(t, 10, answers, "no client is there")
	r.ask("n1", get("k"))
	for range 10 {
		pull()
	}
	worth := pullsPerSecond()/wire.PullDotsMax + 1
	require.Equal(t, 10+worth, answers, "a second's worth, and what goes beyond it")
	require.Equal(t, 10-worth, refused)
	r.pass(time.Second)
	r.ask("n1", get("k"))
	pull()
	require.Equal(t, 10+worth+1, answers)
}

// A rebuild gives way too: by smaller pages, and at a pace. Nobody waits for that
// where no client is.
func TestARebuildGivesWayToClients(t *testing.T) {
	for _, clients := range []bool{false, true} {
		r := newRig(t, 3, DefaultLimits())
		for i := range 1500 {
			require.Nil(t, r.do("n1", put(fmt.Sprintf("k%d", i), "v")).Err)
		}
		r.pass(time.Second)
		r.noExchange = true
		r.wipe("n3", 77<<32)
		largest := 0
		r.lose = func(_, _ string, m wire.Message) bool {
			if page, ok := m.(*wire.RebuildPage); ok {
				largest = max(largest, len(page.Items))
			}
			return false
		}
		rebuilt := func() int { return int(r.nodes["n3"].shard.RebuildStats().Keys) }
		if clients {
			r.ask("n3", get("another"))
		}
		r.rebuild("n3", "n1")
		r.settle()
		if !clients {
			require.Equal(t, 1500, rebuilt(), "in no time at all")
			require.Greater(t, largest, 1)
			continue
		}
		r.serve(500 * time.Millisecond)
		ahead := int(pagesAhead.Seconds() * float64(keysPerSecond()))
		require.InDelta(t, ahead+keysPerSecond()/2, rebuilt(), 20, "what it may be ahead, and half a second's worth")
		require.Equal(t, 1, largest, "the pages of this test are small already")
		r.pass(clientsFor)
		r.settle()
		require.Equal(t, 1500, rebuilt(), "the clients have left")
	}
}

// What a home lacks that is being rebuilt comes with the pages, for less than by hints:
// it is offered them again once it has what it gets. If no page comes, hints do.
func TestHintsWaitForARebuildThatGoesOn(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		r := newRig(t, 4, DefaultLimits())
		const key = "cart"
		homes, guest, id := r.homesOf(key), r.away(key)[0], r.placeOf(key)
		r.cut(homes[2])
		r.lose = func(from, to string, _ wire.Message) bool { return from == homes[2] || to == homes[2] }
		require.Nil(t, r.do(homes[0], put(key, "milk")).Err)
		require.Equal(t, 1, r.hints())
		r.noExchange = true
		pages := false
		r.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindRebuildPage && !pages }
		r.wipe(homes[2], 77<<32)
		r.nodes[homes[2]].shard.Rebuild(r.now, id, homes[0])
		r.settle()
		r.wait(3 * time.Second)
		require.Equal(t, 1, r.hints())
		require.NotZero(t, r.nodes[guest].shard.Stats().HintOffers)
		require.Zero(t, r.nodes[guest].shard.Stats().HintsSent)
		pages = !stuck
		r.wait(20 * time.Second)
		require.Zero(t, r.hints())
		if stuck {
			require.NotZero(t, r.nodes[guest].shard.Stats().HintsSent)
		} else {
			require.Zero(t, r.nodes[guest].shard.Stats().HintsSent)
			require.NotZero(t, r.nodes[guest].shard.Stats().HintsContained)
		}
		require.Equal(t, []string{"milk"}, r.valuesAt(homes[2], key))
	}
}
