package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// A shard that may not write postpones the sweep: with a deadline that stays in
// the past its shell would never sleep. The simulator found it.
func TestAShardThatIsFullDoesNotAskToBeWokenAllTheTime(t *testing.T) {
	s := New(Config{Node: "n1", Limits: DefaultLimits()})
	now := time.Unix(1_790_000_000, 0)
	s.sweeper.remember(now, unstripped{row: "r", replica: replica.New(replica.ID{N: 3}, s.cfg.Start, s.recent)}, 5)
	s.SetFull(&kindred.Error{Code: kindred.CodeDiskFull})
	now = now.Add(time.Minute)
	s.Tick(now)
	at, ok := s.Deadline()
	require.True(t, ok)
	require.True(t, at.After(now), "%v", at.Sub(now))
	require.True(t, s.Effects().Empty())
}

// beyondGaps deletes keys at n3 whose contexts reach beyond a gap of its clock, and
// returns what closes the gap.
func (r *rig) beyondGaps(keys int) (late []Send) {
	doomed := []string{"gone"}
	for len(doomed) < keys {
		doomed = append(doomed, r.samePlace(doomed[len(doomed)-1]))
	}
	other := r.samePlace(doomed[len(doomed)-1])
	for _, key := range doomed {
		r.do("n1", put(key, "v"))
	}
	r.lose = func(from, to string, m wire.Message) bool {
		if to == "n3" && wire.KindOf(m) == wire.KindWrite {
			late = append(late, Send{To: to, Msg: m})
			return true
		}
		return false
	}
	r.do("n1", put(other, "on its way to n3"))
	r.lose = func(string, string, wire.Message) bool { return false }
	for _, key := range doomed {
		context := r.do("n2", get(key)).Context
		require.Nil(r.t, r.do("n3", seen(del(key), context)).Err)
	}
	require.Equal(r.t, keys, r.objectRows("n3"), "rows without a value, with a context that reaches beyond the gap")
	return late
}

// R4: a delete whose context reached beyond a gap leaves a row, until the gap is
// closed and the sweep has passed.
func TestADeletedKeyIsGoneOnceItsContextSaysNothing(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	late := r.beyondGaps(1)
	r.pass(2 * time.Second)
	require.Equal(t, 1, r.objectRows("n3"), "the gap is still open")
	for _, s := range late {
		r.deliver("n1", s)
	}
	r.settle()
	r.pass(5 * time.Second)
	require.Equal(t, 1, r.objectRows("n3"), "only the other key is left")
	require.Empty(t, r.do("n3", get("gone")).Siblings)
	require.NotZero(t, r.nodes["n3"].shard.Stats().Sweeps)
	r.idle()
}

// A gap may stay for as long as a cut does, and deletes beyond it may be many. Nothing
// is left of them all the same.
func TestR4_WhatTheSweepForgotIsStrippedToo(t *testing.T) {
	few := DefaultLimits()
	few.Unstripped = 2
	for name, c := range map[string]struct {
		limits Limits
		gap    time.Duration
	}{
		"more than are remembered":            {few, time.Second},
		"a gap for longer than anybody looks": {DefaultLimits(), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 3, c.limits)
			late := r.beyondGaps(20)
			r.noExchange = true
			r.lose = func(from, to string, _ wire.Message) bool { return to == "n3" }
			for end := r.now.Add(c.gap); r.now.Before(end); {
				r.pass(time.Second)
			}
			require.NotEmpty(t, r.nodes["n3"].shard.sweeper.forgotten)
			r.lose = func(string, string, wire.Message) bool { return false }
			for _, s := range late {
				r.deliver("n1", s)
			}
			r.settle()
			for range 20 {
				r.pass(time.Second)
			}
			require.Equal(t, 1, r.objectRows("n3"), "only the other key is left")
			require.Empty(t, r.nodes["n3"].shard.sweeper.forgotten)
			r.idle()
		})
	}
}

// Contexts that came with a rebuild wait for the same gap as at its source.
func TestR4_WhatARebuildBroughtIsStrippedToo(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	late := r.beyondGaps(5)
	r.noExchange = true
	r.wipe("n2", 77<<32)
	r.wait(time.Second) // it walks through all that it has, which is nothing
	r.rebuild("n2", "n3")
	r.settle()
	r.wait(time.Minute)
	require.Equal(t, 5, r.objectRows("n2"))
	for _, s := range late {
		r.deliver("n1", s)
		r.deliver("n1", Send{To: "n2", Msg: s.Msg})
	}
	r.settle()
	r.wait(5 * time.Minute)
	require.Equal(t, 1, r.objectRows("n2"), "only the other key is left")
	require.Equal(t, 1, r.objectRows("n3"))
	r.idle()
}

func TestASweepGivesUpOnAGapThatStaysAndIsBounded(t *testing.T) {
	var w sweeper
	r := replica.New(replica.ID{N: 3}, vclock.Actor{Disk: 1, Nonce: 1}, nil)
	now := time.Unix(1_790_000_000, 0)
	for i := range 10 {
		w.remember(now, unstripped{row: fmt.Sprint(i), replica: r}, 5)
	}
	require.Len(t, w.waiting, 5)
	sweeps := 0
	for !w.at.IsZero() {
		now = w.at
		for _, u := range w.due(now) {
			sweeps++
			u.tries++
			w.remember(now, u, 5)
		}
	}
	require.Equal(t, 5*sweepTries, sweeps)
	require.Len(t, w.forgotten, 1)
	require.Empty(t, w.known)
}
