package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/wire"
)

// questions counts the reads that each node is asked by others.
func (r *rig) questions() map[string]int {
	asked := map[string]int{}
	r.lose = func(_, to string, m wire.Message) bool {
		if wire.KindOf(m) == wire.KindRead {
			asked[to]++
		}
		return false
	}
	return asked
}

func TestAGetAsksAsManyHomesAsItNeedsInTurns(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes := r.homesOf(key)
	r.do(homes[0], put(key, "milk"))
	for _, c := range []struct {
		node string
		r    kindred.Count
		sent []int
	}{
		{homes[0], 0, []int{0, 30, 30}},
		{homes[1], 1, []int{0, 0, 0}},
		{homes[2], kindred.CountAll, []int{60, 60, 0}},
		{r.away(key)[0], 0, []int{40, 40, 40}},
		{r.away(key)[0], 1, []int{20, 20, 20}},
	} {
		asked := r.questions()
		for range 60 {
			ask := get(key)
			ask.R = c.r
			require.Equal(t, []string{"milk"}, values(r.do(c.node, ask)))
		}
		for i, home := range homes {
			require.InDelta(t, c.sent[i], asked[home], 1, "%s, R=%v: %v", c.node, c.r, asked)
		}
	}
	for _, name := range r.names {
		require.Zero(t, r.nodes[name].shard.Stats().Hedges)
	}
	r.idle()
}

// Where something seems to be wrong, all homes are asked at once.
func TestAGetAsksAllHomesWhereOneCannotBeReached(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "v"))
	r.nodes["n1"].shard.SetLink(r.now, "n3", false)
	asked := r.questions()
	for range 10 {
		require.Equal(t, []string{"v"}, values(r.do("n1", get("k"))))
	}
	require.Equal(t, map[string]int{"n2": 10}, asked)
}

// A home that refuses is made up for at once, without any waiting.
func TestAGetAsksOnWhereAHomeRefuses(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	const key = "cart"
	r.do("n1", put(key, "milk"))
	r.wipe("n3", 77<<32)
	r.noExchange = true
	require.False(t, r.nodes["n3"].shard.trusted(r.placeOf(key)))
	asked := r.questions()
	for range 10 {
		require.Equal(t, []string{"milk"}, values(r.do("n1", get(key))))
		require.Equal(t, []string{"milk"}, values(r.do("n3", get(key))))
	}
	require.EqualValues(t, 1, r.nodes["n1"].shard.Stats().Hedges, "who has refused is asked last for a while")
	require.Zero(t, r.nodes["n3"].shard.Stats().Hedges, "who cannot answer does not ask itself")
	require.LessOrEqual(t, asked["n3"], 1)
}

// A home that is silent costs one wait in a second, and not one for every get.
func TestASlowHomeIsAskedLast(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "v"))
	asked := r.questions()
	count := r.lose
	r.lose = func(from, to string, m wire.Message) bool { return count(from, to, m) || from == "n3" }
	s := r.nodes["n1"].shard
	late := 0
	for range 1000 {
		s.silences.hear(r.now, "n3") // it speaks of other things
		token := r.ask("n1", get("k"))
		if r.answers[token] == nil {
			late++
			r.pass(s.hedge.after)
		}
		require.NotNil(t, r.answers[token])
		r.pass(10 * time.Millisecond)
	}
	require.InDelta(t, 10, late, 2, "10 s have passed")
	require.Less(t, asked["n3"], 30)
	require.Less(t, s.hedge.after, hedgeMax)
	r.idle()
}

// Somebody who is slow now and then is not asked last for it as one who never answers:
// between two of that kind every other get would wait, and more and more so, because
// the wait gets longer with those that are in vain.
func TestAFrozenHomeIsAskedAfterOneThatWasSlowOnce(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "v"))
	asked := r.questions()
	count := r.lose
	r.lose = func(from, to string, m wire.Message) bool { return count(from, to, m) || from == "n3" }
	s := r.nodes["n1"].shard
	late := 0
	for i := range 1000 {
		s.silences.hear(r.now, "n3")
		if i%10 == 0 {
			s.hedge.lagged(r.now, []string{"n2"})
		}
		token := r.ask("n1", get("k"))
		if r.answers[token] == nil {
			late++
			r.pass(s.hedge.after)
		}
		require.NotNil(t, r.answers[token])
		r.pass(10 * time.Millisecond)
	}
	require.InDelta(t, 10, late, 2, "10 s have passed, and n2 was slow a hundred times")
	require.Equal(t, late, asked["n3"])
	r.idle()
}

// Once it is time to try a slow home again, one get does it.
func TestOneGetTriesASlowHomeAgain(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "v"))
	s := r.nodes["n1"].shard
	asked, frozen := r.questions(), true
	count := r.lose
	r.lose = func(from, to string, m wire.Message) bool { return count(from, to, m) || from == "n3" && frozen }
	s.hedge.avoid(r.now, "n3")
	for _, frozen = range []bool{true, false} {
		r.pass(lagFor)
		clear(asked)
		for range 10 {
			r.token++
			req := get("k")
			s.Request(r.now, r.token, &req)
		}
		r.settle()
		require.Equal(t, map[string]int{"n2": 9, "n3": 1}, asked)
		r.pass(s.hedge.after)
	}
	clear(asked)
	for range 10 {
		r.do("n1", get("k"))
	}
	require.Equal(t, map[string]int{"n2": 5, "n3": 5}, asked, "it has answered in time")
	r.idle()
}

func TestAHedgeWaitsAsLongAsNearlyAllNeed(t *testing.T) {
	h := newHedge()
	now := time.Unix(1_790_000_000, 0)
	chance := rand.New(rand.NewPCG(1, 2))
	// ask reads so many times, thousands in a second, and counts the hedges.
	ask := func(reads int, need func() time.Duration) (hedged int) {
		for range reads {
			now = now.Add(100 * time.Microsecond)
			if need() <= h.after {
				h.enough(nil)
			} else {
				h.lagged(now, []string{"n2"})
				hedged++
			}
		}
		return hedged
	}
	for _, usual := range []time.Duration{4 * time.Millisecond, 20 * time.Millisecond, 4 * time.Millisecond} {
		need := func() time.Duration { return time.Duration(chance.ExpFloat64() * float64(usual)) }
		ask(50_000, need)
		require.InDelta(t, 1000, ask(50_000, need), 500, "of 50,000, where %v are usual", usual)
		require.InEpsilon(t, 4*usual, h.after, 0.4, "e to the 4 is about 50")
	}
	ask(50_000, func() time.Duration { return 0 })
	require.Equal(t, hedgeMin, h.after)
	ask(50_000, func() time.Duration { return time.Hour })
	require.Equal(t, hedgeMax, h.after)
}

func TestWhoIsAskedFirst(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	for n := 1; n <= 5; n++ {
		var homes []string
		for i := range n {
			homes = append(homes, fmt.Sprint("n", i))
		}
		for _, self := range append(homes, "away") {
			h := newHedge()
			h.lagged(now, []string{"n1"})
			for turn := range uint64(20) {
				order := h.first(now, homes, self, turn)
				require.ElementsMatch(t, homes, order)
				if slices.Contains(homes, self) {
					require.Equal(t, self, order[0])
				}
				if n > 1 && self != "n1" {
					require.Equal(t, "n1", order[n-1])
				}
			}
			later := map[string]int{}
			for turn := range uint64(n * (n - 1)) {
				order := h.first(now.Add(lagFor), homes, "away", turn)
				later[order[0]]++
			}
			for _, name := range homes {
				require.Equal(t, n-1, later[name])
			}
		}
	}
}
