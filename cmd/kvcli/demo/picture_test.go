package demo

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/bench/load"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/ring"
)

// ringOf has so many nodes in three zones, and two replicas of each of 64 partitions.
func ringOf(t *testing.T, names ...string) *ring.Layout {
	t.Helper()
	var nodes []ring.Node
	for i, n := range names {
		nodes = append(nodes, ring.Node{Name: n, Zone: string("xyz"[i%3]), Capacity: 100})
	}
	l, err := ring.New([16]byte{1}, 64, 2, nodes)
	require.NoError(t, err)
	return l
}

func TestHomesAreDrawnByBothLayouts(t *testing.T) {
	before, after := ringOf(t, "n1", "n2", "n3"), ringOf(t, "n1", "n2", "n4")
	for node, want := range map[string]string{"n1": "█▓░·", "n3": "░·", "n4": "▓·"} {
		drawn := homes(before, after, node)
		require.Len(t, drawn, 64)
		for p, letter := range drawn {
			require.Contains(t, want, string(letter))
			was := strings.Contains(strings.Join(before.Homes(ring.Partition(p), 2), " "), node)
			is := strings.Contains(strings.Join(after.Homes(ring.Partition(p), 2), " "), node)
			require.Equal(t, was, letter == stays || letter == leaves, "%s of %d", node, p)
			require.Equal(t, is, letter == stays || letter == comes, "%s of %d", node, p)
		}
		require.NotContains(t, string(homes(before, nil, node)), string(comes), "what comes is not known yet")
	}
}

func TestArcsAreDrawnByTheirMost(t *testing.T) {
	require.Equal(t, "█░", string(squeeze([]rune("██▓·░░█░"), 2)))
	require.Equal(t, "█▓░·", string(squeeze([]rune("█▓░·"), 4)))
}

// aPicture is one in the middle of a change.
func aPicture() *picture {
	ring := func(eight string) []rune { return []rune(strings.Repeat(eight, 8)) }
	return &picture{
		at: 12400 * time.Millisecond, step: "both",
		load:   load.Interval{Seconds: 1, Operations: 1234, P99: 12.34},
		writes: 4321, reads: 4000,
		nodes: []pictured{
			{name: "n1", zone: "z1", from: 100, to: 50, step: kindred.StepBoth, ring: ring("████░░░░")},
			{name: "n4", zone: "z1", to: 50, step: kindred.StepAhead, copies: 128, complete: 37, bytes: 600_000, ring: ring("····▓▓▓▓")},
			{name: "n10", zone: "z2", from: 50, to: 0, ring: ring("░░░░····")},
		},
	}
}

func TestThePicture(t *testing.T) {
	p := aPicture()
	require.Equal(t, `
   12.4 s   staged  committed [both] ahead  alone  settled 
   NODE     FROM    TO STEP   COPIES  RECEIVED RING
   n1 z1  100 %  50 % both         -           ██░░██░░██░░██░░██░░██░░██░░██░░
   n4 z1    0 %  50 % ahead   37/128 585.9 KiB ··▓▓··▓▓··▓▓··▓▓··▓▓··▓▓··▓▓··▓▓
   n10 z2  50 %   0 %              -           ░░··░░··░░··░░··░░··░░··░░··░░··
   █ owns  ▓ is given  ░ gives away
   1,234 operations/s, p99 12.3 ms, 0 failed; 4,321 writes, 4,000 reads`,
		"\n"+strings.Join(p.lines(79, term.Style{}), "\n"))
	require.Equal(t, `
   12.4 s   staged  committed [both] ahead  alone 
   NODE     FROM    TO STEP RING
   n1 z1  100 %  50 % both  █░█░█░█░█░█░█░█░
   n4 z1    0 %  50 % ahead ·▓·▓·▓·▓·▓·▓·▓·▓
   n10 z2  50 %   0 %       ░·░·░·░·░·░·░·░·
   █ owns  ▓ is given  ░ gives away
   1,234 operations/s, p99 12.3 ms, 0 failed; 4,32`,
		"\n"+strings.Join(p.lines(50, term.Style{}), "\n"), "a narrow terminal shows the ring rather than numbers")
	require.Equal(t, `
   12.4 s   staged  committed
   NODE     FROM    TO STEP 
   n1 z1  100 %  50 % both  
   n4 z1    0 %  50 % ahead 
   n10 z2  50 %   0 %       
   1,234 operations/s, p99 12`,
		"\n"+strings.Join(p.lines(29, term.Style{}), "\n"))
}

// TestColoursChangeNoLetter: neither do they make a line longer than the terminal is wide,
// which could not be drawn again in place.
func TestColoursChangeNoLetter(t *testing.T) {
	p := aPicture()
	p.failed = 2
	for width := range 130 {
		plain, coloured := p.lines(width, term.Style{}), p.lines(width, term.Colours())
		for i, line := range plain {
			require.LessOrEqual(t, utf8.RuneCountInString(line), width)
			require.Equal(t, line, regexp.MustCompile("\x1b\\[[0-9]*m").ReplaceAllString(coloured[i], ""))
		}
	}
	require.Contains(t, strings.Join(p.lines(79, term.Colours()), "\n"), term.Colours().Bad("2 failed"))
}

func TestEventsAreToldOnce(t *testing.T) {
	before, after := aPicture(), aPicture()
	require.Empty(t, after.eventsSince(before))
	require.Equal(t, []string{"both: every node writes to old and new owners, and reads from the old"}, after.eventsSince(&picture{step: "staged"}))
	after.step = "alone"
	after.nodes[1].complete = 128
	require.Equal(t, []string{
		"ahead: every node reads from the new owners, and still writes to both",
		"alone: the old owners count no more",
		"n4 has all 128 copies that it is given",
	}, after.eventsSince(before), "also those that passed between two looks")
	require.Empty(t, after.eventsSince(after))
}

// TestTheLastNodeSaysHowFarAChangeIs: of those that were asked, and one that did not
// answer has done nothing.
func TestTheLastNodeSaysHowFarAChangeIs(t *testing.T) {
	at := func(node string, step kindred.Step) kindred.Changes {
		return kindred.Changes{Node: node, Progress: kindred.LayoutProgress{Tip: "2-a", Nodes: []kindred.NodeProgress{{Node: node, Step: step}, {Node: "another", Step: kindred.StepAlone}}}}
	}
	w := &watch{seen: map[string]kindred.Changes{}}
	names := []string{"n1", "n2"}
	require.Empty(t, w.step(names))
	w.plan = &kindred.LayoutPlan{}
	require.Equal(t, "staged", w.step(names))
	w.version = "2-a"
	require.Equal(t, "committed", w.step(names))
	w.seen["n1"] = at("n1", kindred.StepAhead)
	require.Equal(t, "committed", w.step(names))
	w.seen["n2"] = at("n2", kindred.StepBoth)
	require.Equal(t, "both", w.step(names))
	w.seen["n2"] = at("n2", kindred.StepAlone)
	require.Equal(t, "ahead", w.step(names))
	over := kindred.Changes{Progress: kindred.LayoutProgress{Tip: "2-a", Settled: true}}
	w.seen["n1"] = over
	require.Equal(t, "alone", w.step(names))
	w.seen["n2"] = over
	require.Equal(t, "settled", w.step(names))
}
