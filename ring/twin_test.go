package ring

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The twin is a second, slower opinion on placement. It shares nothing with the
// code it judges but the rules in doc.go: shares are found by bisection in
// floating point, and the fewest moves by cancelling negative cycles in the
// residual network until none is left (Klein 1967), from any legal placement.

// law is what a placement has to obey.
type law struct {
	q, copies   int
	nodes       []Node // with a capacity, by name
	zoneOf      []int  // of each node
	least, most []int  // copies of one partition, by zone
	fair        []float64
	floor, ceil []int // copies, by node
}

func newLaw(q, replicas int, nodes []Node) *law {
	w := &law{q: q}
	zones := map[string]int{}
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b Node) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	for _, n := range nodes {
		if n.Capacity == 0 {
			continue
		}
		if _, ok := zones[n.Zone]; !ok {
			zones[n.Zone] = len(zones)
		}
		w.nodes, w.zoneOf = append(w.nodes, n), append(w.zoneOf, zones[n.Zone])
	}
	w.copies = min(replicas, len(w.nodes))
	w.spreadCopies(len(zones))
	w.level()
	return w
}

// spreadCopies hands out the copies of one partition, one to every zone that has
// a node left, then another, until fewer are left than zones that could take one.
func (w *law) spreadCopies(zones int) {
	w.least, w.most = make([]int, zones), make([]int, zones)
	size := make([]int, zones)
	for _, z := range w.zoneOf {
		size[z]++
	}
	for left := w.copies; left > 0; {
		var open []int
		for z := range zones {
			if w.least[z] < size[z] {
				open = append(open, z)
			}
		}
		for _, z := range open {
			w.most[z]++
		}
		if left < len(open) {
			return
		}
		for _, z := range open {
			w.least[z]++
		}
		left -= len(open)
	}
}

// level finds the fair shares by trying water levels.
func (w *law) level() {
	q := float64(w.q)
	zoneShare := func(z int, level float64) float64 {
		sum := 0.0
		for i, n := range w.nodes {
			if w.zoneOf[i] == z {
				sum += min(q, level*float64(n.Capacity))
			}
		}
		return sum
	}
	bounded := func(z int, level float64) float64 {
		return min(q*float64(w.most[z]), max(q*float64(w.least[z]), zoneShare(z, level)))
	}
	common := bisect(q*float64(w.copies), func(level float64) float64 {
		sum := 0.0
		for z := range w.least {
			sum += bounded(z, level)
		}
		return sum
	})
	w.fair = make([]float64, len(w.nodes))
	for z := range w.least {
		own := bisect(bounded(z, common), func(level float64) float64 { return zoneShare(z, level) })
		for i, n := range w.nodes {
			if w.zoneOf[i] == z {
				w.fair[i] = min(q, own*float64(n.Capacity))
			}
		}
	}
	for _, f := range w.fair {
		w.floor, w.ceil = append(w.floor, int(math.Floor(f+1e-6))), append(w.ceil, int(math.Ceil(f-1e-6)))
	}
}

// bisect finds where a function that never falls reaches a goal.
func bisect(goal float64, f func(float64) float64) float64 {
	low, high := 0.0, 1.0
	for f(high) < goal-1e-9 && high < 1e12 {
		high *= 2
	}
	for range 200 {
		if mid := (low + high) / 2; f(mid) < goal {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// twin is a placement under a law, and the placement it came from.
type twin struct {
	*law
	had, owns [][]bool // by partition and node
	load      []int    // by node
	count     [][]int  // by partition and zone
}

func newTwin(w *law, before, now func(p int) []string) *twin {
	t := &twin{law: w, load: make([]int, len(w.nodes))}
	index := map[string]int{}
	for i, n := range w.nodes {
		index[n.Name] = i
	}
	for p := range w.q {
		t.had, t.owns = append(t.had, make([]bool, len(w.nodes))), append(t.owns, make([]bool, len(w.nodes)))
		t.count = append(t.count, make([]int, len(w.least)))
		for _, name := range before(p) {
			if i, ok := index[name]; ok {
				t.had[p][i] = true
			}
		}
		for _, name := range now(p) {
			t.set(p, index[name], true)
		}
	}
	return t
}

func ownersIn(l *Layout) func(p int) []string {
	return func(p int) []string { return l.Homes(Partition(p), l.Replicas()) }
}

func (t *twin) set(p, i int, owns bool) {
	if t.owns[p][i] == owns {
		return
	}
	t.owns[p][i] = owns
	d := 1
	if !owns {
		d = -1
	}
	t.load[i] += d
	t.count[p][t.zoneOf[i]] += d
}

// legal says what law the placement breaks.
func (t *twin) legal() error {
	for p := range t.q {
		sum := 0
		for z, c := range t.count[p] {
			if sum += c; c < t.least[z] || c > t.most[z] {
				return fmt.Errorf("partition %d has %d copies in zone %d, lawful are %d to %d", p, c, z, t.least[z], t.most[z])
			}
		}
		if sum != t.copies {
			return fmt.Errorf("partition %d has %d copies, lawful are %d", p, sum, t.copies)
		}
	}
	for i, load := range t.load {
		if load < t.floor[i] || load > t.ceil[i] {
			return fmt.Errorf("node %s owns %d copies, lawful are %d to %d", t.nodes[i].Name, load, t.floor[i], t.ceil[i])
		}
	}
	return nil
}

// moves counts the copies on nodes that did not have them.
func (t *twin) moves() int {
	moves := 0
	for p := range t.q {
		for i := range t.nodes {
			if t.owns[p][i] && !t.had[p][i] {
				moves++
			}
		}
	}
	return moves
}

// fewest improves the placement until nothing can be improved, and returns the
// moves that are left.
func (t *twin) fewest() int {
	for t.improve() {
	}
	return t.moves()
}

// The vertices of the residual network: partitions, partitions' zones, nodes, and
// one for everything beyond the nodes.
func (t *twin) zoneVertex(p, z int) int { return t.q + p*len(t.least) + z }
func (t *twin) nodeVertex(i int) int    { return t.q + t.q*len(t.least) + i }
func (t *twin) end() int                { return t.nodeVertex(len(t.nodes)) }

// improve looks for negative cycles as Bellman and Ford do, and turns over all
// those it meets first. It returns false when there is none.
func (t *twin) improve() bool {
	dist, parent := make([]int, t.end()+1), make([]int, t.end()+1)
	for v := range parent {
		parent[v] = -1
	}
	for {
		changed := false
		t.residual(func(from, to, cost int) {
			if dist[from]+cost < dist[to] {
				dist[to], parent[to], changed = dist[from]+cost, from, true
			}
		})
		if !changed {
			return false
		}
		if cycles := cyclesOf(parent); len(cycles) > 0 {
			for _, c := range cycles {
				t.turn(c)
			}
			return true
		}
	}
}

// residual calls arc for every change that the law allows on its own: more or
// less of a partition in a zone, of a zone's part on a node, of copies on a node.
func (t *twin) residual(arc func(from, to, cost int)) {
	for p := range t.q {
		for z, c := range t.count[p] {
			if c < t.most[z] {
				arc(p, t.zoneVertex(p, z), 0)
			}
			if c > t.least[z] {
				arc(t.zoneVertex(p, z), p, 0)
			}
		}
		for i, z := range t.zoneOf {
			cost := 1
			if t.had[p][i] {
				cost = 0
			}
			if t.owns[p][i] {
				arc(t.nodeVertex(i), t.zoneVertex(p, z), -cost)
			} else {
				arc(t.zoneVertex(p, z), t.nodeVertex(i), cost)
			}
		}
	}
	for i, load := range t.load {
		if load < t.ceil[i] {
			arc(t.nodeVertex(i), t.end(), 0)
		}
		if load > t.floor[i] {
			arc(t.end(), t.nodeVertex(i), 0)
		}
	}
}

// turn sends one copy around a cycle.
func (t *twin) turn(cycle []int) {
	for k, from := range cycle {
		to := cycle[(k+1)%len(cycle)]
		first := t.nodeVertex(0)
		switch {
		case from >= t.q && from < first && to >= first:
			t.set((from-t.q)/len(t.least), to-first, true)
		case from >= first && from < t.end() && to >= t.q && to < first:
			t.set((to-t.q)/len(t.least), from-first, false)
		}
	}
}

// cyclesOf returns the cycles among parents, each in the direction of the arcs.
func cyclesOf(parent []int) [][]int {
	var cycles [][]int
	seen := make([]int, len(parent)) // the walk that was here first
	for start := range parent {
		v := start
		for v >= 0 && seen[v] == 0 {
			seen[v] = start + 1
			v = parent[v]
		}
		if v < 0 || seen[v] != start+1 {
			continue
		}
		cycle := []int{v}
		for u := parent[v]; u != v; u = parent[u] {
			cycle = append(cycle, u)
		}
		slices.Reverse(cycle)
		cycles = append(cycles, cycle)
	}
	return cycles
}

// The twin itself is held to trying everything, where that is possible.
func TestTwinFindsTheMinimumThatExhaustionFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := 1 << rapid.IntRange(0, 2).Draw(t, "log2 partitions")
		nodes := drawNodes(t, 1, 5-q/2) // 2¹² placements at most
		replicas := rapid.IntRange(1, 3).Draw(t, "replicas")
		w := newLaw(q, replicas, nodes)
		before := func(p int) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(nodeNames), 0, 3, rapid.ID[string]).Draw(t, fmt.Sprint("before ", p))
		}
		start, err := New([16]byte{}, q, replicas, nodes)
		require.NoError(t, err)
		twin := newTwin(w, before, ownersIn(start))
		require.NoError(t, twin.legal())
		want := exhaust(twin, 0)
		require.Equal(t, want, twin.fewest())
		require.NoError(t, twin.legal())
	})
}

// exhaust tries every placement and returns the moves of the best legal one. It
// leaves the twin as it was.
func exhaust(t *twin, p int) int {
	if p == t.q {
		if t.legal() != nil {
			return math.MaxInt
		}
		return t.moves()
	}
	was, best := slices.Clone(t.owns[p]), math.MaxInt
	for set := range 1 << len(t.nodes) {
		for i := range t.nodes {
			t.set(p, i, set>>i&1 == 1)
		}
		best = min(best, exhaust(t, p+1))
	}
	for i, owns := range was {
		t.set(p, i, owns)
	}
	return best
}

func TestTwinImprovesAPlacementThatIgnoresThePast(t *testing.T) {
	before, err := New([16]byte{}, 128, 3, cluster(8, 3, mixed))
	require.NoError(t, err)
	nodes := cluster(9, 3, mixed)
	fresh, err := New([16]byte{}, 128, 3, nodes)
	require.NoError(t, err)
	changed, err := before.Change(nodes)
	require.NoError(t, err)

	stranger := newTwin(newLaw(128, 3, nodes), ownersIn(before), ownersIn(fresh))
	wasteful := stranger.moves()
	require.NoError(t, stranger.legal())
	require.Less(t, stranger.fewest(), wasteful)
	require.NoError(t, stranger.legal())
	require.Equal(t, stranger.moves(), copiesMoved(before, changed), "two ways to one minimum")
}
