package demo

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/bench/load"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/ring"
)

// steps are those of a change, in order: what the last of all nodes has done.
var steps = []string{"staged", "committed", string(kindred.StepBoth), string(kindred.StepAhead), string(kindred.StepAlone), "settled"}

// picture is the ring, and the load on it, at a moment.
type picture struct {
	at time.Duration
	// step is one of steps, empty while nothing is to change.
	step  string
	nodes []pictured
	// load is that of the last second, the rest is since the begin.
	load                  load.Interval
	writes, reads, failed int
}

// pictured is one node.
type pictured struct {
	name, zone string
	// from and to are the share of the ring that it is a home of before the change and
	// after it, in percent.
	from, to int
	step     kindred.Step
	// copies of partitions are given to it, of which so many are complete; bytes have
	// arrived for them.
	copies, complete int
	bytes            uint64
	// ring has a letter for each partition.
	ring []rune
}

// What a node is to a partition.
const (
	isNot  = '·'
	stays  = '█'
	comes  = '▓'
	leaves = '░'
)

// homes draws what a node is to each partition by the layout before a change and by the
// one after it, nil if that is not known yet.
func homes(before, after *ring.Layout, node string) []rune {
	letters := make([]rune, before.Partitions())
	if after == nil {
		after = before
	}
	for p := range letters {
		was := slices.Contains(before.Homes(ring.Partition(p), before.Replicas()), node)
		is := slices.Contains(after.Homes(ring.Partition(p), after.Replicas()), node)
		switch {
		case was && is:
			letters[p] = stays
		case is:
			letters[p] = comes
		case was:
			letters[p] = leaves
		default:
			letters[p] = isNot
		}
	}
	return letters
}

// squeeze draws so many letters: each is the most frequent one of its arc.
func squeeze(letters []rune, width int) (narrow []rune) {
	for i := range width {
		count := map[rune]int{}
		most := rune(isNot)
		for _, r := range letters[i*len(letters)/width : (i+1)*len(letters)/width] {
			if count[r]++; count[r] > count[most] {
				most = r
			}
		}
		narrow = append(narrow, most)
	}
	return narrow
}

// Widths of what a row begins with, of the details that it has on wider terminals, and
// of the ring.
const (
	headWidth    = 28
	detailWidth  = 19
	ringWidthMin = 16
	ringWidthMax = 64

	detailFormat = "%8s %9s "
)

// lines draw the picture, none of them longer than the terminal is wide.
func (p *picture) lines(width int, style term.Style) []string {
	rest := width - headWidth
	details := rest >= detailWidth+ringWidthMin
	if details {
		rest -= detailWidth
	}
	ringWidth := 0
	if rest >= ringWidthMin {
		ringWidth = ringWidthMax
	}
	for ringWidth > rest && ringWidth > 0 {
		ringWidth /= 2 // so that its letters are arcs of one length
	}
	out := []string{p.stepsLine(width, style), p.header(width, details, ringWidth, style)}
	for i := range p.nodes {
		out = append(out, p.nodes[i].row(width, details, ringWidth, style))
	}
	if ringWidth > 0 {
		out = append(out, term.Fit(width, term.Span{Text: fmt.Sprintf("   %c owns  %c is given  %c gives away", stays, comes, leaves), Paint: style.Dim}))
	}
	return append(out, p.loadLine(width, style))
}

// stepsLine names all steps, and marks the one of now.
func (p *picture) stepsLine(width int, style term.Style) string {
	now := slices.Index(steps, p.step)
	line := []term.Span{{Text: fmt.Sprintf("%9s  ", short(p.at))}}
	for i, s := range steps {
		switch {
		case i == now:
			line = append(line, term.Span{Text: "[" + s + "]", Paint: style.Bold})
		case i < now:
			line = append(line, term.Span{Text: " " + s + " ", Paint: style.Good})
		default:
			line = append(line, term.Span{Text: " " + s + " ", Paint: style.Dim})
		}
	}
	return term.Fit(width, line...)
}

func (p *picture) header(width int, details bool, ringWidth int, style term.Style) string {
	text := "   NODE     FROM    TO STEP "
	if details {
		text += fmt.Sprintf(detailFormat, "COPIES", "RECEIVED")
	}
	if ringWidth > 0 {
		text += "RING"
	}
	return term.Fit(width, term.Span{Text: text, Paint: style.Dim})
}

func (n *pictured) row(width int, details bool, ringWidth int, style term.Style) string {
	line := []term.Span{
		{Text: "   " + term.Pad(n.name+" "+n.zone, 6)},
		{Text: fmt.Sprintf("%4d %%%4d %% ", n.from, n.to)},
		{Text: term.Pad(string(n.step), 6)},
	}
	if details {
		copies, bytes := "-", ""
		if n.copies > 0 {
			copies, bytes = fmt.Sprintf("%d/%d", n.complete, n.copies), term.Bytes(n.bytes)
		}
		line = append(line, term.Span{Text: fmt.Sprintf(detailFormat, copies, bytes)})
	}
	if ringWidth > 0 {
		line = append(line, painted(squeeze(n.ring, ringWidth), style)...)
	}
	return term.Fit(width, line...)
}

// painted colours what changes.
func painted(letters []rune, style term.Style) (spans []term.Span) {
	paint := map[rune]func(string) string{comes: style.Good, leaves: style.Warn, isNot: style.Dim}
	for len(letters) > 0 {
		same := 1
		for same < len(letters) && letters[same] == letters[0] {
			same++
		}
		spans = append(spans, term.Span{Text: string(letters[:same]), Paint: paint[letters[0]]})
		letters = letters[same:]
	}
	return spans
}

func (p *picture) loadLine(width int, style term.Style) string {
	failed := term.Span{Text: fmt.Sprintf("%d failed", p.failed), Paint: style.Good}
	if p.failed > 0 {
		failed.Paint = style.Bad
	}
	return term.Fit(width, term.Span{Text: fmt.Sprintf("   %s operations/s, p99 %.1f ms, ", count(int(p.load.Throughput())), p.load.P99)},
		failed, term.Span{Text: fmt.Sprintf("; %s writes, %s reads", count(p.writes), count(p.reads))})
}

// eventsSince are what has happened from one picture to the next, a line each.
func (p *picture) eventsSince(before *picture) (lines []string) {
	for i, s := range steps {
		if i > slices.Index(steps, before.step) && i <= slices.Index(steps, p.step) && stepWords[s] != "" {
			lines = append(lines, stepWords[s])
		}
	}
	for _, n := range p.nodes {
		at := slices.IndexFunc(before.nodes, func(b pictured) bool { return b.name == n.name })
		had := at >= 0 && before.nodes[at].copies > 0 && before.nodes[at].complete == before.nodes[at].copies
		if n.copies > 0 && n.complete == n.copies && !had {
			lines = append(lines, fmt.Sprintf("%s has all %d copies that it is given", n.name, n.copies))
		}
	}
	return lines
}

// stepWords say what a step means once all nodes have done it.
var stepWords = map[string]string{
	string(kindred.StepBoth):  "both: every node writes to old and new owners, and reads from the old",
	string(kindred.StepAhead): "ahead: every node reads from the new owners, and still writes to both",
	string(kindred.StepAlone): "alone: the old owners count no more",
}

// String is the picture without colours, for errors.
func (p *picture) String() string { return strings.Join(p.lines(pageWidth, term.Style{}), "\n") }
