package ring

import (
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	update = flag.Bool("update", false, "rewrite the files in testdata")
	full   = flag.Bool("full", false, "verify every row of the placement table, not only those of small clusters")
)

const (
	tableFile    = "testdata/balance.txt"
	smallCluster = 12 // nodes whose rows are verified by default
)

// The bars that every row of the table is held to.
const (
	heaviestMax = 1.05 // of the fair share, beyond rounding to whole partitions
	movesMax    = 1.1  // of the fewest moves
)

const tableHead = `# What placement achieves with 3 replicas. Verified by go test ./ring -run Table
# (rows of small clusters; all of them with -full), rewritten with -update.
#
# capacity  equal: 1 each; mixed: 1, 2, 3, 4 in turn. Nodes are dealt out to zones in turn.
# join …    copies moved / fewest possible, when a node joins, one leaves, one doubles its
#           capacity, one goes to another zone
# all, 1, 2 the heaviest node's copies over its fair share: of all copies, and of those of
#           buckets with 1 and 2 copies. In brackets the most copies that any node has beyond
#           its fair share rounded up. The worst of the new cluster and of all four changes.
# crowded   partitions with two copies in one zone though zones suffice, or on one node; in all
# slots     partitions whose first owner changes on the join / the newcomer's share of those
#
`

const tableFormat = "%5v %5v %-8v %5v  %-10v %-10v %-10v %7v  %9v %9v %9v %9v %9v\n"

func tableColumns() string {
	return fmt.Sprintf(tableFormat, "nodes", "zones", "capacity", "Q", "all", "1", "2", "crowded", "join", "leave", "capacity", "zone", "slots")
}

// tableCase is one cluster of the table.
type tableCase struct {
	nodes, zones int
	name         string
	capacity     func(int) uint32
}

func tableCases() []tableCase {
	var cases []tableCase
	for _, n := range []int{3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 50, 64, 80, 100} {
		for _, zones := range []int{1, 3, 5, 10} {
			if zones <= n {
				cases = append(cases, tableCase{n, zones, "equal", equal}, tableCase{n, zones, "mixed", mixed})
			}
		}
	}
	return cases
}

// row measures one cluster, when new and after each change to it.
func (c tableCase) row(t *testing.T) string {
	nodes := cluster(c.nodes, c.zones, c.capacity)
	joined := cluster(c.nodes+1, c.zones, c.capacity)
	left := slices.Delete(slices.Clone(nodes), c.nodes/2, c.nodes/2+1)
	grown := slices.Clone(nodes)
	grown[1].Capacity *= 2
	rezoned := slices.Clone(nodes)
	rezoned[0].Zone = fmt.Sprintf("z%d", c.zones/2+1)

	l := mustNew(t, enough(c.nodes+1), 3, nodes)
	layouts := []*Layout{l}
	cells := []any{c.nodes, c.zones, c.name, l.Partitions()}
	var costs []any
	for _, nodes := range [][]Node{joined, left, grown, rezoned} {
		next := mustChange(t, l, nodes)
		costs = append(costs, changeCost(t, l, next))
		layouts = append(layouts, next)
	}
	for _, n := range []int{3, 1, 2} {
		cells = append(cells, heaviest(layouts, n))
	}
	cells = append(append(cells, crowded(layouts)), costs...)
	newcomer := joined[c.nodes].Name
	cells = append(cells, fmt.Sprintf("%d/%d", firstOwnersChanged(l, layouts[1]), len(layouts[1].Owned(newcomer, 1))))
	return fmt.Sprintf(tableFormat, cells...)
}

// heaviest describes the worst balance of the first n owners.
func heaviest(layouts []*Layout, n int) string {
	worst, beyond := 0.0, 0
	for _, l := range layouts {
		for _, s := range l.Shares(min(n, l.copies)) {
			worst = max(worst, float64(s.Owned)/s.Fair)
			beyond = max(beyond, s.Owned-int(math.Ceil(s.Fair-1e-9)))
		}
	}
	return fmt.Sprintf("%.3f (%d)", worst, beyond)
}

func crowded(layouts []*Layout) int {
	count := 0
	for _, l := range layouts {
		for _, p := range l.Check() {
			if p.Kind == Crowded || p.Kind == Duplicate {
				count++
			}
		}
	}
	return count
}

// changeCost compares the moves of a change with the twin's.
func changeCost(t *testing.T, l, next *Layout) string {
	w := newLaw(l.Partitions(), l.Replicas(), next.Nodes())
	twin := newTwin(w, ownersIn(l), ownersIn(next))
	require.NoError(t, twin.legal())
	return fmt.Sprintf("%d/%d", copiesMoved(l, next), twin.fewest())
}

func firstOwnersChanged(a, b *Layout) int {
	count := 0
	for p := range a.Partitions() {
		if a.Homes(Partition(p), 1)[0] != b.Homes(Partition(p), 1)[0] {
			count++
		}
	}
	return count
}

func TestPlacementTableIsWhatPlacementDoes(t *testing.T) {
	if *update {
		var b strings.Builder
		b.WriteString(tableHead + tableColumns())
		for _, c := range tableCases() {
			b.WriteString(c.row(t))
		}
		require.NoError(t, os.WriteFile(tableFile, []byte(b.String()), 0o644))
		return
	}
	rows, ok := strings.CutPrefix(readTable(t), tableHead+tableColumns())
	require.True(t, ok, "the head of the table has changed: run with -update")
	lines := strings.SplitAfter(rows, "\n")
	for i, c := range tableCases() {
		if c.nodes <= smallCluster || *full {
			require.Equal(t, c.row(t), lines[i], "run with -update if this change is for the better")
		}
	}
}

func TestPlacementTableMeetsItsBars(t *testing.T) {
	rows, _ := strings.CutPrefix(readTable(t), tableHead+tableColumns())
	for line := range strings.Lines(rows) {
		f := strings.Fields(line)
		require.Len(t, f, 16, line)
		all, beyond := number(t, f[4]), number(t, strings.Trim(f[5], "()"))
		require.True(t, all <= heaviestMax || beyond == 0, "heaviest node: %s", line)
		require.Equal(t, "0", f[10], "crowded: %s", line)
		for _, ratio := range f[11:15] {
			moved, fewest, _ := strings.Cut(ratio, "/")
			require.LessOrEqual(t, number(t, moved), movesMax*number(t, fewest), "moves: %s", line)
		}
	}
}

// The sizes between those of the table, growing one by one.
func TestEverySizeOfClusterKeepsTheRules(t *testing.T) {
	largest := smallCluster
	if *full {
		largest = 100
	}
	for _, zones := range []int{1, 3, 7} {
		for name, capacity := range map[string]func(int) uint32{"equal": equal, "mixed": mixed} {
			t.Run(fmt.Sprint(zones, " zones, ", name), func(t *testing.T) {
				l := mustNew(t, enough(largest), 3, cluster(3, zones, capacity))
				for n := 4; n <= largest; n++ {
					nodes := cluster(n, zones, capacity)
					next := mustChange(t, l, nodes)
					requireLawful(t, l, next, nodes)
					requirePrefixesFair(t, next)
					l = next
				}
			})
		}
	}
}

// requirePrefixesFair demands that nodes have their fair share of buckets with
// fewer copies than replicas, too.
func requirePrefixesFair(t *testing.T, l *Layout) {
	for n := 1; n < l.Replicas(); n++ {
		for _, s := range l.Shares(n) {
			require.LessOrEqual(t, float64(s.Owned), max(math.Ceil(s.Fair-1e-9), heaviestMax*s.Fair), "%d copies, node %s of %d", n, s.Node, len(l.Nodes()))
		}
	}
}

func readTable(t *testing.T) string {
	b, err := os.ReadFile(tableFile)
	require.NoError(t, err)
	return string(b)
}

func number(t *testing.T, s string) float64 {
	var v float64
	_, err := fmt.Sscan(s, &v)
	require.NoError(t, err, s)
	return v
}
