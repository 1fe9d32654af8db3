package report

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
)

// Measures of the picture, in its own units; a page shows it as wide as it is.
const (
	wide      = 1080.0
	left      = 128.0
	right     = 22.0
	inner     = wide - left - right
	gap       = 36.0 // between panels, with the title of the next
	barHigh   = 16.0
	lineHigh  = 9.0
	partGap   = 7.0 // between the clients of two workloads
	panelHigh = 120.0
	lowHigh   = 64.0
	axisHigh  = 26.0
	// rowsMax bounds the clients that are drawn.
	rowsMax = 48
	// letter is about how wide a letter of a label is.
	letter = 6.2
)

// lateFrom is what counts as a late answer.
const lateFrom = 500 * time.Millisecond

// picture is the figure of a run: panels above one another on one axis of time.
type picture struct {
	strings.Builder
	run *Run
	// from and to are the ends of the axis, y is where the next panel begins.
	from, to time.Duration
	y        float64
}

// Figure is the run on one axis of time, as SVG.
func (r *Run) Figure() template.HTML {
	p := &picture{run: r, to: max(r.Ended, r.Worked, time.Millisecond), y: 4}
	points := r.Series()
	p.faults()
	p.operations()
	p.latencies(points)
	p.answers(points)
	p.replicas()
	p.axis()
	p.slices(points)
	body := p.String()
	title := fmt.Sprintf("The run on one axis of time: %s; operations of each client; latencies; answers; replicas that lack something", r.faultWords())
	return template.HTML(fmt.Sprintf(`<svg class="run" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="%s">`,
		num(wide), num(p.y), num(wide), num(p.y), html.EscapeString(title)) + "\n" + body + "</svg>")
}

// num is a coordinate, as short as it may be.
func num(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// x is where a moment is.
func (p *picture) x(at time.Duration) float64 {
	return left + inner*float64(at-p.from)/float64(max(1, p.to-p.from))
}

func (p *picture) put(format string, args ...any) { fmt.Fprintf(&p.Builder, format+"\n", args...) }

// text is a label; nothing in it is markup.
func (p *picture) text(class string, x, y float64, text string) {
	p.put(`<text class="%s" x="%s" y="%s">%s</text>`, class, num(x), num(y), html.EscapeString(text))
}

// panel begins a panel with a title, and returns where it begins.
func (p *picture) panel(title, about string) (top float64) {
	p.y += gap
	p.put(`<text class="pt" x="0" y="%s">%s<tspan class="pa" dx="8">%s</tspan></text>`, num(p.y-10), html.EscapeString(title), html.EscapeString(about))
	return p.y
}

// shades lays what went wrong, and what clients waited for, behind a panel.
func (p *picture) shades(top, high float64) {
	p.put(`<rect class="bg" x="%s" y="%s" width="%s" height="%s"/>`, num(left), num(top), num(inner), num(high))
	for _, f := range p.run.Faults {
		p.put(`<rect class="fs" x="%s" y="%s" width="%s" height="%s"/>`, num(p.x(f.Begin)), num(top), num(max(1, p.x(p.run.endOf(f))-p.x(f.Begin))), num(high))
	}
	for _, s := range p.run.Held {
		p.put(`<rect class="hs" x="%s" y="%s" width="%s" height="%s"/>`, num(p.x(s.Begin)), num(top), num(max(1, p.x(s.End)-p.x(s.Begin))), num(high))
	}
	end := p.x(p.run.Worked)
	p.put(`<path class="end" d="M%s %sv%s"/>`, num(end), num(top), num(high))
}

// endOf is when a fault was healed, or the end of what is known.
func (r *Run) endOf(f history.Fault) time.Duration {
	if f.End == 0 {
		return max(r.Worked, f.Begin)
	}
	return f.End
}

// faults is a row per kind.
func (p *picture) faults() {
	kinds := p.run.kinds()
	if len(kinds) == 0 {
		return
	}
	top := p.panel("What went wrong", "from the moment it was in force until it was healed; the thin part is until every node was ready again")
	high := float64(len(kinds)) * (barHigh + 4)
	p.put(`<rect class="bg" x="%s" y="%s" width="%s" height="%s"/>`, num(left), num(top), num(inner), num(high))
	for row, k := range kinds {
		y := top + float64(row)*(barHigh+4) + 2
		p.text("rl", left-8, y+12, k)
		for _, f := range p.run.Faults {
			if f.Kind == k {
				p.fault(f, y)
			}
		}
	}
	for _, s := range p.run.Held {
		p.put(`<rect class="hs" x="%s" y="%s" width="%s" height="%s"><title>%s to %s: clients were made to wait until all replicas agreed</title></rect>`,
			num(p.x(s.Begin)), num(top), num(max(1, p.x(s.End)-p.x(s.Begin))), num(high), moment(s.Begin), moment(s.End))
	}
	p.y = top + high
}

func (p *picture) fault(f history.Fault, y float64) {
	end := p.run.endOf(f)
	x, w := p.x(f.Begin), max(2, p.x(end)-p.x(f.Begin))
	words := fmt.Sprintf("%s: %s, from %s to %s", f.Kind, f.What, moment(f.Begin), moment(end))
	if f.Ready > end {
		words += ", all ready at " + moment(f.Ready)
		p.put(`<rect class="fr" x="%s" y="%s" width="%s" height="4"/>`, num(x+w), num(y+6), num(max(1, p.x(f.Ready)-x-w)))
	}
	p.put(`<g><title>%s</title><rect class="fb" x="%s" y="%s" width="%s" height="%s" rx="2"/>`, html.EscapeString(words), num(x), num(y), num(w), num(barHigh))
	if fits := int((w - 8) / letter); fits >= len([]rune(f.What)) {
		p.text("fl", x+4, y+12, f.What)
	}
	p.put(`</g>`)
}

// looks are how an operation came out, in the order in which they are drawn: what is
// rare comes last and is not covered.
var looks = []struct{ class, words string }{
	{"fi", "last reads"},
	{"ok", "answered"},
	{"la", "answered late (0.5 s or more)"},
	{"re", "refused or not answered"},
	{"un", "write of unknown outcome"},
}

func lookOf(op *history.Op) int {
	switch {
	case op.Outcome != kindred.Applied && op.IsWrite() && op.Outcome != kindred.NotApplied:
		return 4
	case op.Outcome != kindred.Applied:
		return 3
	case op.Final:
		return 0
	case op.Complete-op.Invoke >= lateFrom:
		return 2
	}
	return 1
}

// row is one client.
type row struct {
	part    *Part
	process int
	ops     []*history.Op
}

// rows are all clients, part by part.
func (r *Run) rows() (rows []row) {
	for i := range r.Parts {
		part := &r.Parts[i]
		at := map[int]int{}
		first := len(rows)
		for j := range part.History.Ops {
			op := &part.History.Ops[j]
			n, ok := at[op.Process]
			if !ok {
				n = len(rows)
				at[op.Process] = n
				rows = append(rows, row{part: part, process: op.Process})
			}
			rows[n].ops = append(rows[n].ops, op)
		}
		slices.SortFunc(rows[first:], func(a, b row) int {
			return cmp.Or(cmp.Compare(r.rank(a), r.rank(b)), cmp.Compare(a.process, b.process))
		})
	}
	return rows
}

// rank puts clients that took the same way together, and last reads at the end.
func (r *Run) rank(w row) int {
	doors := r.Doors()
	if i := slices.Index(doors, w.part.Door(w.process)); i >= 0 {
		return i
	}
	return len(doors)
}

// operations is a row per client. What is too close to be told apart is drawn as one.
func (p *picture) operations() {
	rows := p.run.rows()
	about := "what each client was told"
	if more := len(rows) - rowsMax; more > 0 {
		rows, about = rows[:rowsMax], fmt.Sprintf("%s; %d more are in the history", about, more)
	}
	top := p.panel("Operations", about)
	high := 2.0
	places := make([]float64, len(rows))
	for i := range rows {
		if i > 0 && rows[i-1].part != rows[i].part {
			high += partGap
		}
		places[i] = top + high + lineHigh/2
		high += lineHigh
	}
	high += 2
	p.shades(top, high)
	for i, r := range rows {
		y, door := places[i], r.part.Door(r.process)
		opens := i == 0 || rows[i-1].part != r.part
		if opens {
			p.text("pl", 0, y+4, r.part.Workload)
		}
		if opens || rows[i-1].part.Door(rows[i-1].process) != door {
			p.text("dl", left-8, y+3.5, door)
		}
		p.row(r, y)
	}
	p.y = top + high + 16
	x := left
	for _, l := range []int{1, 2, 3, 4, 0} {
		p.put(`<rect class="k %s" x="%s" y="%s" width="14" height="8"/>`, looks[l].class, num(x), num(p.y-8))
		p.text("key", x+19, p.y, looks[l].words)
		x += 19 + float64(len(looks[l].words))*letter + 16
	}
}

// row draws the operations of one client, one path for each look.
func (p *picture) row(r row, y float64) {
	spans := make([][][2]float64, len(looks))
	for _, op := range r.ops {
		l := lookOf(op)
		// Half a unit is what can be told apart.
		a, b := math.Floor(2*p.x(op.Invoke))/2, math.Ceil(2*p.x(op.Complete))/2
		b = max(b, a+1)
		s := spans[l]
		if n := len(s); n > 0 && a <= s[n-1][1] {
			s[n-1][1] = max(s[n-1][1], b)
			continue
		}
		spans[l] = append(s, [2]float64{a, b})
	}
	for l, s := range spans {
		if len(s) == 0 {
			continue
		}
		var d strings.Builder
		for _, ab := range s {
			fmt.Fprintf(&d, "M%s %sh%s", num(ab[0]), num(y), num(ab[1]-ab[0]))
		}
		p.put(`<path class="o %s" d="%s"/>`, looks[l].class, d.String())
	}
}

// latencies have a scale of powers of ten.
func (p *picture) latencies(points []Point) {
	top := p.panel("Latency", "of what was answered, by when it was asked: half of the answers, 99 of a hundred, and the longest")
	p.shades(top, panelHigh)
	low, most := time.Duration(math.MaxInt64), time.Duration(0)
	for _, pt := range points {
		if pt.P50 > 0 {
			low, most = min(low, pt.P50), max(most, pt.Longest)
		}
	}
	if most == 0 {
		p.text("none", left+10, top+panelHigh/2, "nothing was answered")
		p.y = top + panelHigh
		return
	}
	lo, hi := math.Floor(math.Log10(low.Seconds())), math.Ceil(math.Log10(most.Seconds()))
	hi = max(hi, lo+1)
	y := func(d time.Duration) float64 {
		return top + panelHigh - panelHigh*(math.Log10(max(d.Seconds(), math.Pow(10, lo)))-lo)/(hi-lo)
	}
	for e := lo; e <= hi; e++ {
		at := y(time.Duration(math.Pow(10, e) * float64(time.Second)))
		p.put(`<path class="grid" d="M%s %sH%s"/>`, num(left), num(at), num(wide-right))
		p.text("rl", left-8, at+4, powerOfTen(int(e)))
	}
	step := p.run.Step()
	for _, line := range []struct {
		class string
		of    func(Point) time.Duration
	}{
		{"lm", func(pt Point) time.Duration { return pt.Longest }},
		{"l99", func(pt Point) time.Duration { return pt.P99 }},
		{"l50", func(pt Point) time.Duration { return pt.P50 }},
	} {
		var d strings.Builder
		pen := "M"
		for _, pt := range points {
			v := line.of(pt)
			if v == 0 {
				pen = "M"
				continue
			}
			fmt.Fprintf(&d, "%s%s %s", pen, num(p.x(pt.At+step/2)), num(y(v)))
			if pen == "M" {
				d.WriteString("h0") // a point, if nothing follows
			}
			pen = "L"
		}
		p.put(`<path class="line %s" d="%s"/>`, line.class, d.String())
	}
	p.y = top + panelHigh
	p.keys([]string{"l50", "half", "l99", "99 of 100", "lm", "longest"})
}

// powerOfTen is 10^e seconds.
func powerOfTen(e int) string {
	d := time.Duration(math.Round(math.Pow(10, float64(e)) * float64(time.Second)))
	switch {
	case e >= 0:
		return fmt.Sprintf("%d s", d/time.Second)
	case e >= -3:
		return fmt.Sprintf("%d ms", d/time.Millisecond)
	}
	return fmt.Sprintf("%d µs", d/time.Microsecond)
}

// keys explain colours below a panel: class, words, class, words.
func (p *picture) keys(pairs []string) {
	p.y += 16
	x := left
	for i := 0; i+1 < len(pairs); i += 2 {
		p.put(`<path class="line %s" d="M%s %sh14"/>`, pairs[i], num(x), num(p.y-4))
		p.text("key", x+19, p.y, pairs[i+1])
		x += 19 + float64(len(pairs[i+1]))*letter + 16
	}
}

// answers are stacked: what went well below, what did not above it.
func (p *picture) answers(points []Point) {
	top := p.panel("Answers per second", "what clients were told, by when they had asked")
	p.shades(top, panelHigh)
	most := 1
	for _, pt := range points {
		most = max(most, pt.Operations)
	}
	step := p.run.Step()
	rate := float64(most) / step.Seconds()
	p.put(`<path class="grid" d="M%s %sH%s"/>`, num(left), num(top), num(wide-right))
	p.text("rl", left-8, top+10, number(int(math.Round(rate)))+"/s")
	p.text("rl", left-8, top+panelHigh, "0")
	var layers [4]strings.Builder
	w := max(0.6, p.x(p.from+step)-p.x(p.from)-0.2)
	for _, pt := range points {
		y := top + panelHigh
		for i, n := range []int{pt.Answered - min(pt.Answered, pt.Sloppy), min(pt.Answered, pt.Sloppy), pt.Refused, pt.Unknown} {
			if n == 0 {
				continue
			}
			h := panelHigh * float64(n) / float64(most)
			if i > 1 {
				h = max(h, 2.5) // one of a thousand must be seen
			}
			y -= h
			fmt.Fprintf(&layers[i], "M%s %sh%sv%sh-%sz", num(p.x(pt.At)), num(y), num(w), num(h), num(w))
		}
	}
	for i, class := range []string{"ok", "sl", "re", "un"} {
		if layers[i].Len() > 0 {
			p.put(`<path class="a %s" d="%s"/>`, class, layers[i].String())
		}
	}
	p.y = top + panelHigh + 16
	x := left
	for _, k := range [][2]string{{"ok", "by home replicas"}, {"sl", "with the help of guests"}, {"re", "refused or not answered"}, {"un", "write of unknown outcome"}} {
		p.put(`<rect class="a %s" x="%s" y="%s" width="14" height="8"/>`, k[0], num(x), num(p.y-8))
		p.text("key", x+19, p.y, k[1])
		x += 19 + float64(len(k[1]))*letter + 16
	}
}

// replicas is how far the replicas were from being equal, as nodes said.
func (p *picture) replicas() {
	if len(p.run.Samples) == 0 {
		return
	}
	top := p.panel("Replicas with writes that are not at every home yet", "as the nodes say that answer; while clients write there are always some")
	p.curve(top, lowHigh, "op", func(s Sample) int { return s.Open })
	top = p.panel("Hints", "what guests keep for nodes that could not be reached")
	p.curve(top, lowHigh, "hi", func(s Sample) int { return s.Hints })
}

// curve is a filled curve of samples, in steps: a sample holds until the next one.
func (p *picture) curve(top, high float64, class string, of func(Sample) int) {
	p.shades(top, high)
	most := 0
	for _, s := range p.run.Samples {
		most = max(most, of(s))
	}
	if most > 0 {
		p.text("rl", left-8, top+10, number(most))
	}
	p.text("rl", left-8, top+high, "0")
	var d strings.Builder
	last := math.Inf(-1)
	held := 0
	for i, s := range p.run.Samples {
		x := p.x(s.At)
		held = max(held, of(s))
		if i > 0 && x-last < 1 && i < len(p.run.Samples)-1 {
			continue // too close to be told apart: the highest of them is drawn
		}
		y := top + high
		if most > 0 {
			y -= high * float64(held) / float64(most)
		}
		if d.Len() == 0 {
			fmt.Fprintf(&d, "M%s %s", num(x), num(top+high))
		}
		fmt.Fprintf(&d, "H%sV%s", num(x), num(y))
		last, held = x, 0
	}
	p.put(`<path class="c %s" d="%sV%sz"/>`, class, d.String(), num(top+high))
	p.y = top + high
}

// axis is the time below everything.
func (p *picture) axis() {
	p.y += 4
	every := tick(p.to - p.from)
	for at := p.from.Truncate(every); at <= p.to; at += every {
		if at < p.from {
			continue
		}
		p.put(`<path class="tick" d="M%s %sv5"/>`, num(p.x(at)), num(p.y))
		p.text("tl", p.x(at), p.y+17, clock(at, every))
	}
	p.y += axisHigh
}

// tick is how far apart the marks of an axis are.
func tick(length time.Duration) time.Duration {
	for _, t := range []time.Duration{
		time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
	} {
		if length <= 12*t {
			return t
		}
	}
	return max(time.Hour, length/10)
}

func clock(at, every time.Duration) string {
	switch {
	case every < time.Second:
		return strconv.FormatFloat(at.Seconds(), 'f', -1, 64) + " s"
	case every < time.Minute:
		return fmt.Sprintf("%d s", int(at.Seconds()))
	}
	return fmt.Sprintf("%d min", int(at.Minutes()))
}

// slices let a pointer ask every step of time for its numbers.
func (p *picture) slices(points []Point) {
	step := p.run.Step()
	for _, pt := range points {
		var with []string
		for _, f := range p.run.Faults {
			if f.Begin < pt.At+step && p.run.endOf(f) > pt.At {
				with = append(with, f.Kind+": "+f.What)
			}
		}
		words := fmt.Sprintf("%s: %s asked, %s answered (%s with guests), %s refused, %s unknown", moment(pt.At),
			number(pt.Operations), number(pt.Answered), number(pt.Sloppy), number(pt.Refused), number(pt.Unknown))
		if pt.P50 > 0 {
			words += fmt.Sprintf("; half within %s, 99 of 100 within %s, longest %s", seconds(pt.P50), seconds(pt.P99), seconds(pt.Longest))
		}
		if len(with) > 0 {
			words += "\n" + strings.Join(with, "\n")
		}
		top := 0.0
		if kinds := len(p.run.kinds()); kinds > 0 {
			top = 4 + gap + float64(kinds)*(barHigh+4)
		}
		p.put(`<rect class="s" x="%s" y="%s" width="%s" height="%s"><title>%s</title></rect>`,
			num(p.x(pt.At)), num(top), num(p.x(pt.At+step)-p.x(pt.At)), num(p.y-top-axisHigh), html.EscapeString(words))
	}
}
