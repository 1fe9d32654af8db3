package load

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// The picture's measures, in units of its own.
const (
	svgWidth   = 960
	panelLeft  = 84
	panelRight = svgWidth - 120
	latencyTop = 118
	latencyEnd = 438
	flowTop    = 530
	flowEnd    = 710
	svgHeight  = 770
)

// badColour is that of failures.
const badColour = "#c1121f"

// SVG draws the latencies by percentile, and below them the throughput over time.
// The picture needs nothing from outside.
func (r *Report) SVG() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13" fill="#1f2933">`+"\n",
		svgWidth, svgHeight, svgWidth, svgHeight)
	fmt.Fprintf(&b, "<title>%s</title>\n", escaped(r.heading()))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", svgWidth, svgHeight)
	write(&b, panelLeft, 30, `font-size="20" font-weight="600"`, r.heading())
	write(&b, panelLeft, 51, `fill="#52606d"`, r.subheading())
	if r.NotStarted > 0 {
		write(&b, panelLeft, 70, `fill="`+badColour+`"`, fmt.Sprintf("%s operations were never started: latencies are lower bounds", thousands(float64(r.NotStarted))))
	}
	r.drawLatencies(&b)
	r.drawFlow(&b)
	b.WriteString("</svg>\n")
	return b.String()
}

func (r *Report) heading() string {
	return fmt.Sprintf("%s: %s operations per second", r.Settings.Profile, thousands(r.Throughput))
}

func (r *Report) subheading() string {
	s := &r.Settings
	loop := fmt.Sprintf("closed loop of %d callers", s.Callers)
	if s.Rate > 0 {
		loop = fmt.Sprintf("open loop at %v/s", s.Rate)
	}
	return fmt.Sprintf("%s · %s · %d keys, %d-byte values · %.0f s · %d failed", s.Mix, loop, s.Keys, s.ValueBytes, r.Seconds, r.Failed)
}

// panel is a plane with axes.
type panel struct {
	*strings.Builder
	top, bottom  float64
	x, y         func(float64) float64
	xTicks       []tick
	yTicks       []tick
	title, xName string
}

type tick struct {
	at   float64
	text string
}

// draw draws what lies behind the lines.
func (p *panel) draw() {
	write(p, panelLeft, p.top-16, `font-size="15" font-weight="600"`, p.title)
	for _, t := range p.yTicks {
		line(p, panelLeft, p.y(t.at), panelRight, p.y(t.at), "#e4e7eb", 1)
		write(p, panelLeft-10, p.y(t.at)+4, `text-anchor="end" fill="#52606d"`, t.text)
	}
	for _, t := range p.xTicks {
		line(p, p.x(t.at), p.top, p.x(t.at), p.bottom, "#eef0f2", 1)
		write(p, p.x(t.at), p.bottom+20, `text-anchor="middle" fill="#52606d"`, t.text)
	}
	line(p, panelLeft, p.bottom, panelRight, p.bottom, "#9aa5b1", 1)
	write(p, (panelLeft+panelRight)/2, p.bottom+42, `text-anchor="middle" fill="#52606d"`, p.xName)
}

// kindColour tells kinds apart, for most colour-blind people too (Okabe and Ito).
func kindColour(k Kind) string {
	colours := map[Kind]string{Get: "#0072b2", Put: "#d55e00", Update: "#009e73", Insert: "#cc79a7", Blind: "#8a6d00", Delete: "#56b4e9", Scan: "#555555"}
	return colours[k]
}

// rarity spreads the high percentiles: 90, 99 and 99.9 are one step apart.
func rarity(percentile float64) float64 { return -math.Log10(1 - percentile/100) }

// rarestOf is where the axis of percentiles ends; the maximum stands there.
func (r *Report) rarestOf() float64 {
	rarest := 1.0
	for i := range r.Kinds {
		for _, p := range r.Kinds[i].Curve {
			if p.Percentile < 100 {
				rarest = math.Max(rarest, rarity(p.Percentile))
			}
		}
	}
	return rarest + 0.35
}

func (r *Report) drawLatencies(b *strings.Builder) {
	low, high := r.latencyRange()
	last := r.rarestOf()
	p := panel{
		Builder: b, top: latencyTop, bottom: latencyEnd, title: "Latency by percentile (ms, logarithmic)",
		xName: "percentile of operations", yTicks: decades(low, high),
		x: scale(0, last, panelLeft, panelRight),
		y: func(ms float64) float64 {
			return scale(math.Log10(low), math.Log10(high), latencyEnd, latencyTop)(math.Log10(math.Max(ms, low)))
		},
	}
	for _, percentile := range []float64{0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999} {
		if rarity(percentile) < last-0.3 {
			p.xTicks = append(p.xTicks, tick{rarity(percentile), fmt.Sprintf("%v %%", percentile)})
		}
	}
	p.xTicks = append(p.xTicks, tick{last, "max"})
	p.draw()
	names := labels{}
	for i := range r.Kinds {
		k := &r.Kinds[i]
		points := make([]string, 0, len(k.Curve))
		for _, at := range k.Curve {
			points = append(points, fmt.Sprintf("%.1f,%.1f", p.x(math.Min(rarity(at.Percentile), last)), p.y(at.Ms)))
		}
		if len(points) > 0 {
			polyline(b, points, kindColour(k.Kind))
			names = append(names, label{p.y(k.Latency.Max), string(k.Kind), kindColour(k.Kind)})
		}
	}
	names.draw(b)
}

// latencyRange is what the axis of latencies shows, in whole steps.
func (r *Report) latencyRange() (low, high float64) {
	low, high = math.Inf(1), 0
	for i := range r.Kinds {
		for _, p := range r.Kinds[i].Curve {
			low, high = math.Min(low, p.Ms), math.Max(high, p.Ms)
		}
	}
	if high <= 0 {
		return 0.1, 1
	}
	low = math.Pow(10, math.Floor(math.Log10(low)))
	return low, math.Max(math.Pow(10, math.Ceil(math.Log10(high))), 10*low)
}

func decades(low, high float64) []tick {
	var ticks []tick
	for at := low; at <= high*1.001; at *= 10 {
		ticks = append(ticks, tick{at, fmt.Sprintf("%.6g", at)})
	}
	return ticks
}

// label is the name of a line, beside its end.
type label struct {
	y            float64
	text, colour string
}

type labels []label

// draw moves names apart that would cover one another.
func (l labels) draw(b *strings.Builder) {
	const apart = 17
	taken := []float64{}
	for _, each := range l {
		y := each.y + 4
		for clear := false; !clear; {
			clear = true
			for _, t := range taken {
				if t-apart < y && y < t+apart { // as it is rounded below, or it would go on for ever
					y, clear = t+apart, false
				}
			}
		}
		taken = append(taken, y)
		write(b, panelRight+12, y, `font-weight="600" fill="`+each.colour+`"`, each.text)
	}
}

func (r *Report) drawFlow(b *strings.Builder) {
	most, end, failed := 0.0, math.Max(r.Seconds, 1), false
	for i := range r.Intervals {
		most = math.Max(most, r.Intervals[i].Throughput())
		most = math.Max(most, perSecond(r.Intervals[i].Failed, r.Intervals[i].Seconds))
		failed = failed || r.Intervals[i].Failed > 0
	}
	step := niceStep(most / 4)
	most = step * math.Ceil(math.Max(most, 1)/step)
	p := panel{
		Builder: b, top: flowTop, bottom: flowEnd, title: "Throughput (operations per second)", xName: "seconds",
		x: scale(0, end, panelLeft, panelRight), y: scale(0, most, flowEnd, flowTop),
	}
	for at := 0.0; at <= most*1.001; at += step {
		p.yTicks = append(p.yTicks, tick{at, thousands(at)})
	}
	wide := math.Max(1, niceStep(end/10))
	for at := 0.0; at <= end; at += wide {
		p.xTicks = append(p.xTicks, tick{at, fmt.Sprintf("%.6g", at)})
	}
	p.draw()
	r.drawIntervals(&p, "#0072b2", "done", (*Interval).Throughput)
	if failed {
		r.drawIntervals(&p, badColour, "failed", func(i *Interval) float64 { return perSecond(i.Failed, i.Seconds) })
	}
}

// drawIntervals draws steps: a number holds for the whole interval.
func (r *Report) drawIntervals(p *panel, colour, name string, of func(*Interval) float64) {
	var points []string
	y := 0.0
	for i := range r.Intervals {
		at := &r.Intervals[i]
		y = p.y(of(at))
		points = append(points, fmt.Sprintf("%.1f,%.1f", p.x(math.Max(0, at.At)), y), fmt.Sprintf("%.1f,%.1f", math.Min(panelRight, p.x(at.At+at.Seconds)), y))
	}
	if len(points) > 0 {
		polyline(p.Builder, points, colour)
		labels{{y, name, colour}}.draw(p.Builder)
	}
}

// scale is a straight axis.
func scale(from, to, begin, end float64) func(float64) float64 {
	return func(v float64) float64 { return begin + (v-from)/(to-from)*(end-begin) }
}

// niceStep is the next of 1, 2, 5, 10, 20, 50 and so on.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if n*unit >= v {
			return n * unit
		}
	}
	return 10 * unit
}

func write(b io.StringWriter, x, y float64, attributes, text string) {
	_, _ = b.WriteString(fmt.Sprintf(`<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, attributes, escaped(text)))
}

func line(b io.StringWriter, x1, y1, x2, y2 float64, colour string, width float64) {
	_, _ = b.WriteString(fmt.Sprintf(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%v"/>`+"\n", x1, y1, x2, y2, colour, width))
}

func polyline(b *strings.Builder, points []string, colour string) {
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2.2" stroke-linejoin="round" points="%s"/>`+"\n", colour, strings.Join(points, " "))
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a builder takes everything
	return b.String()
}

// thousands is a whole number with commas.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
