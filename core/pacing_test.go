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
	require.InDelta(t, 1000, r.joined(), float64(2*step))
	r.serve(400 * time.Millisecond)
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
	require.InDelta(t, before+2000/slowest, r.joined(), float64(2*limits.PullDots))
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
	require.Equal(t, 13, answers, "a second's worth, and what goes beyond it")
	require.Equal(t, 7, refused)
	r.pass(time.Second)
	r.ask("n1", get("k"))
	pull()
	require.Equal(t, 14, answers)
}
