package vclock

import (
	"flag"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	seedFlag      = flag.Uint64("vclock.seed", 0, "first seed of the random schedules; 0 draws one")
	schedulesFlag = flag.Int("vclock.schedules", 3000, "how many random schedules to run")
)

// pick gives a number from 0 to n-1: the only source of chance in a schedule.
type pick func(n int) int

// likely lists the actions as often as they should happen: far more deliveries
// than writes would heal every gap, far fewer would never close one.
var likely = []action{
	readOne, readOne, readTwo, readGuest,
	putBlind, putSeen, putSeen, putSeen, deleteSeen,
	guestPut, guestPut, guestDelete, guestSends, guestForgets,
	deliver, deliver, deliver, deliver, deliver, deliver, deliver,
	sendWhole, openExchange, sendPieces, sendPieces, strip,
}

// randomMove draws a move that is possible now, or false if the one drawn is
// not.
func (w *world) randomMove(p pick) (move, bool) {
	m := move{do: likely[p(len(likely))], home: p(homes), key: p(keys)}
	choices := -1 // how many items there are to choose from; -1: none needed
	full := w.counters[m.home] == countersMax
	switch m.do {
	case readTwo:
		choices = homes
	case putBlind:
		choices = 1
	case putSeen, deleteSeen:
		choices = len(w.readings[m.key])
	case guestPut, guestDelete:
		choices = len(w.readings[m.key])
		full = w.counters[guest] == countersMax
	case deliver:
		choices, full = len(w.messages), false
	case sendPieces:
		choices, full = len(w.clocks), false
	default:
		full = false
	}
	if full && m.do != readTwo || choices == 0 {
		return m, false
	}
	if choices > 0 {
		m.item = p(choices)
	}
	return m, true
}

// storm runs a random schedule and verifies it after every step.
func (w *world) storm(steps int, p pick) error {
	for range steps {
		m, possible := w.randomMove(p)
		if !possible {
			continue
		}
		w.apply(m)
		if err := w.verify(); err != nil {
			return err
		}
	}
	return nil
}

// schedule is one storm and one calm from one seed.
func schedule(r rules, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(r)
	if err := w.storm(20+random.IntN(80), random.IntN); err != nil {
		return err
	}
	return w.calm()
}

func firstSeed(t testing.TB) uint64 {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("first seed: -vclock.seed=%d", seed)
	return seed
}

// I3, I4, I9: whatever the network does, every replica shows what a history of
// all events says, at every step; and when it stops, all become equal.
func TestI3_RandomSchedulesShowWhatTheHistorySays(t *testing.T) {
	first := firstSeed(t)
	for i := range uint64(*schedulesFlag) {
		require.NoError(t, schedule(sound(), first+i), "reproduce: go test -run %s -vclock.seed=%d -vclock.schedules=1", t.Name(), first+i)
	}
}

// The same under rapid, which shrinks a failure to its shortest schedule: every
// step has its own seed, so steps can be left out.
func TestI3_SchedulesShrinkToTheShortest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(sound())
		for i, seed := range rapid.SliceOfN(rapid.Uint64(), 10, 100).Draw(t, "steps") {
			require.NoError(t, w.storm(1, rand.New(rand.NewPCG(seed, uint64(i))).IntN))
		}
		require.NoError(t, w.calm())
	})
}

// stormyWorld is a world in the middle of its troubles.
func stormyWorld(t *rapid.T) *world {
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
	w := newWorld(sound())
	require.NoError(t, w.storm(20+random.IntN(80), random.IntN))
	return w
}

// I3 for a key, as readers join it.
func TestI3_JoinOfFilledObjectsIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := stormyWorld(t)
		for key := range keys {
			a, b, c := w.filled(0, key), w.filled(1, key), w.filled(2, key)
			require.Equal(t, a, Join(a, a), "idempotent")
			require.Equal(t, Join(a, b), Join(b, a), "commutative")
			require.Equal(t, Join(Join(a, b), c), Join(a, Join(b, c)), "associative")
			require.NoError(t, CheckSameValues(a, b, func(x, y eventID) bool { return x == y }))
			require.Equal(t, reflect.DeepEqual(a, b), a.Alike(b), "alike is the same, so that there is nothing to join")

			both := Join(a, b)
			applied := w.homes[0].applied[key] | w.homes[1].applied[key]
			require.Equal(t, w.live(applied), historyOf(both), "and it is what the history says")
			require.Contains(t, []Order{Equal, Before}, Compare(a, both))
			if Compare(a, b) == Before {
				require.Equal(t, b, both, "nothing is news to who knows more")
			}
		}
	})
}

// I3 for a key at a replica: the order and number of deltas do not matter.
func TestI3_MergeOfDeltasIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := stormyWorld(t)
		if len(w.messages) == 0 {
			return
		}
		order := rapid.SliceOfN(rapid.IntRange(0, len(w.messages)-1), 1, 12).Draw(t, "deliveries")
		other := rapid.Permutation(slices.Concat(order, order)).Draw(t, "other order, everything twice")

		require.Equal(t, deliverAll(w, order), deliverAll(w, other))
	})
}

func deliverAll(w *world, order []int) home {
	fresh := newWorld(sound())
	for _, i := range order {
		fresh.receive(0, w.messages[i])
	}
	for key := range keys { // a context may be covered only by a later delta of another key
		fresh.apply(move{do: strip, home: 0, key: key})
	}
	return fresh.homes[0]
}

// I3 for hints: owing the join of two deltas is owing both.
func TestI3_JoinOfDeltasDoesWhatBothDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := stormyWorld(t)
		ofKey := slices.DeleteFunc(slices.Clone(w.messages), func(m message) bool { return m.key != 0 })
		if len(ofKey) < 2 {
			return
		}
		a := rapid.SampledFrom(ofKey).Draw(t, "a").delta
		b := rapid.SampledFrom(ofKey).Draw(t, "b").delta
		joined := JoinDeltas(a, b)
		require.NoError(t, joined.Check())
		require.Equal(t, joined, JoinDeltas(b, a))
		require.Equal(t, a, JoinDeltas(a, a))

		at := w.homes[rapid.IntRange(0, homes-1).Draw(t, "receiver")]
		both, bothClock := at.store[0].Clone(), at.clock.Clone()
		both.Merge(&bothClock, a)
		both.Merge(&bothClock, b)
		once, onceClock := at.store[0].Clone(), at.clock.Clone()
		once.Merge(&onceClock, joined)
		require.Equal(t, both, once)
		require.Equal(t, bothClock, onceClock)
	})
}

// I3 for whole partitions: the join of two replicas, (store, clock) with
// (store, clock), as the design's first page describes it.
func TestI3_PartitionsMergeAsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := stormyWorld(t)
		for at := range homes {
			for key := range keys {
				w.apply(move{do: strip, home: at, key: key})
			}
		}
		a, b, c := w.homes[0], w.homes[1], w.homes[2]
		require.Equal(t, a, joinPartitions(a, a), "idempotent")
		require.Equal(t, joinPartitions(a, b), joinPartitions(b, a), "commutative")
		require.Equal(t, joinPartitions(joinPartitions(a, b), c), joinPartitions(a, joinPartitions(b, c)), "associative")

		w.homes[0] = joinPartitions(a, joinPartitions(b, c))
		require.NoError(t, w.verify(), "and it is what the histories say")
	})
}

// joinPartitions merges b into a. Every key is merged against a's clock as it
// was: only together do the keys justify the clock of b.
func joinPartitions(a, b home) home {
	joined := home{clock: a.clock.Clone()}
	joined.clock.Union(b.clock)
	for key := range keys {
		clock := a.clock.Clone()
		joined.store[key] = a.store[key].Clone()
		joined.store[key].Merge(&clock, Delta[eventID]{b.store[key], b.clock})
		joined.applied[key] = a.applied[key] | b.applied[key]
	}
	return joined
}
