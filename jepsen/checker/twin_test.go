package checker

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen/history"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the randomised tests; 0 draws one")

// seeded gives a source for a test and says how to get the same one again.
func seeded(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("to repeat: go test -run '^%s$' -seed %d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// graph is a small random graph of writes: who had seen whom, which must and
// which may be known, which are puts.
type graph struct {
	writes    []*write
	must, may map[*write]bool
	found     []*write
}

func anyGraph(rng *rand.Rand) graph {
	g := graph{must: map[*write]bool{}, may: map[*write]bool{}}
	for i := range rng.IntN(8) {
		w := &write{op: &history.Op{Kind: history.Put, Write: history.WriteID(i + 1)}, order: i}
		if rng.IntN(4) == 0 {
			w.op.Kind = history.Delete
		}
		for _, s := range g.writes {
			if rng.IntN(3) == 0 {
				w.seen = append(w.seen, s)
				s.seers = append(s.seers, w)
			}
		}
		// Whatever was seen had happened, so it may be known wherever its seer
		// may be.
		g.may[w] = rng.IntN(8) > 0 && !slices.ContainsFunc(w.seen, func(s *write) bool { return !g.may[s] })
		g.must[w] = g.may[w] && rng.IntN(3) == 0
		if w.isPut() && rng.IntN(4) == 0 {
			g.found = append(g.found, w)
		}
		g.writes = append(g.writes, w)
	}
	return g
}

// allowed tries every set of writes: is there one, closed under "had seen",
// with all that must and nothing that may not, whose unseen puts are exactly
// what was found?
func (g graph) allowed() bool {
	for set := range 1 << len(g.writes) {
		in := func(w *write) bool { return set>>w.order&1 == 1 }
		if g.closed(in) && g.shows(in) {
			return true
		}
	}
	return false
}

func (g graph) closed(in func(*write) bool) bool {
	for _, w := range g.writes {
		if g.must[w] && !in(w) || in(w) && (!g.may[w] || slices.ContainsFunc(w.seen, func(s *write) bool { return !in(s) })) {
			return false
		}
	}
	return true
}

func (g graph) shows(in func(*write) bool) bool {
	for _, w := range g.writes {
		live := in(w) && w.isPut() && !slices.ContainsFunc(w.seers, in)
		if live != slices.Contains(g.found, w) {
			return false
		}
	}
	return true
}

// String is the graph for people who have to find out why the two disagree.
func (g graph) String() string {
	var b strings.Builder
	for _, w := range g.writes {
		fmt.Fprintf(&b, "%v %v seen%v must=%v may=%v found=%v\n", w, w.op.Kind, w.seen, g.must[w], g.may[w], slices.Contains(g.found, w))
	}
	return b.String()
}

// knowledge is what the graph's reader must know, learnt in the given order.
func (g graph) knowledge(order []*write) *knowledge {
	k := newKnowledge()
	for _, w := range order {
		if g.must[w] {
			k.learn(w)
		}
	}
	return k
}

// TestJudgeAgainstAllSubsets compares V1 to V4 with the definition that they
// decide.
func TestJudgeAgainstAllSubsets(t *testing.T) {
	rng := seeded(t)
	answers := map[bool]int{}
	for range 50_000 {
		g := anyGraph(rng)
		v1 := !slices.ContainsFunc(g.found, func(w *write) bool { return !g.may[w] })
		back, lost := g.knowledge(g.writes).demand(func(w *write) bool { return g.may[w] }).judge(g.found)
		got := v1 && len(besides(g.found)) == 0 && len(back) == 0 && len(lost) == 0
		want := g.allowed()
		answers[want]++
		if got != want {
			t.Fatalf("allowed %v, judged %v: back %v, lost %v\n%v", want, got, back, lost, g)
		}
	}
	require.Greater(t, answers[true], 5_000, "too few allowed reads were drawn")
	require.Greater(t, answers[false], 5_000, "too few forbidden reads were drawn")
}

// TestKnowledgeDoesNotDependOnOrder: a session may learn of writes in any order.
func TestKnowledgeDoesNotDependOnOrder(t *testing.T) {
	rng := seeded(t)
	for range 20_000 {
		g := anyGraph(rng)
		shuffled := slices.Clone(g.writes)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		one, two := g.knowledge(g.writes), g.knowledge(shuffled)
		for _, w := range g.writes {
			require.Equal(t, slices.Contains(one.live, w), slices.Contains(two.live, w), "%v\n%v", w, g)
			require.Equal(t, one.killer[w] != nil, two.killer[w] != nil, "%v\n%v", w, g)
		}
	}
}
