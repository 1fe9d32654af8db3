package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/kindredkv/kindred/jepsen/checker"
)

var (
	//go:embed page.gohtml
	pageText string
	//go:embed page.css
	pageStyle string
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": number, "share": share, "seconds": seconds, "moment": moment, "style": func() template.CSS { return template.CSS(pageStyle) },
	"reasons":   Reasons,
	"megabytes": func(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/1e6) },
	"limits":    func(p checker.Property) string { return Limits(p) },
	"plus":      func(a, b int) int { return a + b },
}).Parse(pageText))

// HTML writes the page of a run.
func (r *Run) HTML(w io.Writer) error {
	shown, more := r.Anomalies()
	v := view{Run: r, Anomalies: shown, More: more, When: r.Began.UTC().Format("2 January 2006, 15:04 UTC"), Total: r.Tally()}
	for _, d := range r.Doors() {
		t, l := r.ByDoor(d)
		v.ByDoors = append(v.ByDoors, doorView{d, t, l})
	}
	v.Checks = r.checks()
	return page.Execute(w, v)
}

// view is what the page shows.
type view struct {
	*Run
	When      string
	Total     Tally
	ByDoors   []doorView
	Checks    []checkView
	Anomalies []Anomaly
	More      []More
}

type doorView struct {
	Name string
	Tally
	Latency
}

// checkView is one property over all workloads.
type checkView struct {
	Property checker.Property
	Cells    []cellView
}

// cellView is the answer for one property and one workload.
type cellView struct {
	Promised bool
	checker.Verdict
}

// checks are all properties, each with the answers of all workloads.
func (r *Run) checks() (rows []checkView) {
	for _, p := range checker.All() {
		row := checkView{Property: p}
		for i := range r.Parts {
			cell := cellView{}
			for _, v := range r.Parts[i].Report.Verdicts {
				if v.Property == p {
					cell = cellView{Promised: true, Verdict: v}
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

// Settled is how long the cluster took to come to rest; zero if it did not.
func (r *Run) Settled() time.Duration {
	if r.Rest.Problem != "" {
		return 0
	}
	return r.Rest.Took
}
