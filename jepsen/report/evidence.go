package report

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"slices"
	"time"

	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
)

const (
	// anomaliesMax bounds the anomalies of one property of one workload that the page
	// shows: one lost partition makes thousands that say the same.
	anomaliesMax = 12
	// textMax bounds a text that a client or a store has chosen.
	textMax = 400
)

// Anomaly is a broken promise with its evidence.
type Anomaly struct {
	Property, Promise string
	Workload          string
	Object            string
	Text, Should      string
	// Ops are what shows it, in order of time.
	Ops []Evidence
	// Replay are commands that show what the nodes involved did.
	Replay  []string
	Picture template.HTML
}

// Evidence is an operation that an anomaly is about.
type Evidence struct {
	Index   int
	Process string
	Node    string
	When    string
	Asked   string
	Told    string
	Dot     string
	Error   string
	// Shows: this is the operation that should have come out otherwise.
	Shows bool
}

// More is how many anomalies of a property are not on the page.
type More struct {
	Promise, Workload string
	Shown, Found      int
}

// Anomalies are those that the page shows, and what it leaves out.
func (r *Run) Anomalies() (shown []Anomaly, more []More) {
	for i := range r.Parts {
		p := &r.Parts[i]
		for _, v := range p.Report.Verdicts {
			n := min(len(v.Findings), anomaliesMax)
			for _, f := range v.Findings[:n] {
				a := p.evidence(f)
				a.Replay = r.Replay(p, f)
				shown = append(shown, a)
			}
			if v.Found > n {
				more = append(more, More{v.Property.String(), p.Workload, n, v.Found})
			}
		}
	}
	return shown, more
}

func (p *Part) evidence(f checker.Finding) Anomaly {
	a := Anomaly{
		Property: string(f.Property), Promise: f.Property.String(), Workload: p.Workload,
		Object: clip(fmt.Sprintf("%s/%s", f.Object.Bucket, f.Object.Key)), Text: clip(f.Text), Should: should(f.Property),
	}
	ops := slices.Clone(f.Ops)
	slices.SortStableFunc(ops, func(x, y int) int { return cmp.Compare(p.History.Ops[x].Invoke, p.History.Ops[y].Invoke) })
	for _, at := range ops {
		op := &p.History.Ops[at]
		a.Ops = append(a.Ops, Evidence{
			Index: at, Process: fmt.Sprintf("%d, %s", op.Process, p.Door(op.Process)), Node: op.Node, When: moment(op.Invoke) + " – " + moment(op.Complete),
			Asked: asked(op), Told: told(op), Dot: clip(op.Dot), Error: clip(op.Error), Shows: at == f.Ops[0],
		})
	}
	a.Picture = p.story(f, ops)
	return a
}

// clip bounds a text.
func clip(s string) string {
	if r := []rune(s); len(r) > textMax {
		return string(r[:textMax]) + " …"
	}
	return s
}

const (
	storyHigh  = 26.0
	storyFewer = 40 // letters of a label
)

// story draws the operations of an anomaly below one another on an axis of time.
func (p *Part) story(f checker.Finding, ops []int) template.HTML {
	if len(ops) == 0 {
		return ""
	}
	first, last := p.History.Ops[ops[0]].Invoke, time.Duration(0)
	for _, at := range ops {
		last = max(last, p.History.Ops[at].Complete)
	}
	margin := max((last-first)/20, time.Millisecond)
	pic := &picture{from: max(0, first-margin), to: last + margin}
	for _, at := range ops {
		op := &p.History.Ops[at]
		class := looks[lookOf(op)].class
		if at == f.Ops[0] {
			class = "un"
		}
		x, w := pic.x(op.Invoke), max(3, pic.x(op.Complete)-pic.x(op.Invoke))
		pic.text("rl", left-8, pic.y+17, fmt.Sprintf("process %d", op.Process))
		pic.put(`<path class="grid" d="M%s %sH%s"/>`, num(left), num(pic.y+storyHigh), num(wide-right))
		pic.put(`<rect class="a %s" x="%s" y="%s" width="%s" height="%s" rx="2"><title>%s</title></rect>`, class, num(x), num(pic.y+6), num(w), num(storyHigh-12), html.EscapeString(clip(op.String())))
		label := storyLabel(op)
		if x+w+8+float64(len([]rune(label)))*letter < wide-right {
			pic.text("sl2", x+w+6, pic.y+17, label)
		} else {
			pic.text("sr2", x-6, pic.y+17, label)
		}
		pic.y += storyHigh
	}
	pic.axis()
	return template.HTML(fmt.Sprintf(`<svg class="story" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="The operations of this anomaly in time">`,
		num(wide), num(pic.y), num(wide), num(pic.y)) + "\n" + pic.String() + "</svg>")
}

func storyLabel(op *history.Op) string {
	label := asked(op) + ": " + told(op)
	if r := []rune(label); len(r) > 2*storyFewer {
		label = string(r[:2*storyFewer]) + " …"
	}
	return label
}
