package table

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Report is all that one run found out.
type Report struct {
	Machine  []Fact    `json:"machine"`
	Settings []Fact    `json:"settings"`
	Rows     []Row     `json:"rows"`
	Missing  []Missing `json:"missing"`
	// Idle is what each takes while nobody asks it.
	Idle    []Fact    `json:"idle"`
	Samples []Sample  `json:"samples"`
	Bars    []Outcome `json:"bars"`
}

// Fact is something that is known of the machine or of the run.
type Fact struct {
	Name string `json:"name"`
	Says string `json:"says"`
}

// Row says what a question is.
type Row struct {
	Question string `json:"question"`
	// Quality is the quorum and the durability of the answer.
	Quality string `json:"quality"`
}

// Missing is a peer that did not take part.
type Missing struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Markdown is the report for people. Its tables are aligned, so that it reads as
// well in a terminal.
func (r *Report) Markdown() string {
	var b strings.Builder
	b.WriteString("## Bars\n\nThe median of the rounds' ratios, with the least and the greatest of them.\n\n")
	b.WriteString(render(r.barCells(), map[int]bool{2: true, 3: true, 4: true, 5: true}))
	b.WriteString("\n## Rows\n\nMedians over the rounds. CPU is in microseconds per operation, of all processes that take part, the load generator included.\n\n")
	b.WriteString(render(r.rowCells(), map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true}))
	if failed := r.failures(); len(failed) > 0 {
		b.WriteString("\n## Failures\n\n" + strings.Join(failed, "\n") + "\n")
	}
	b.WriteString("\n## Missing\n\n")
	if len(r.Missing) == 0 {
		b.WriteString("Nothing.\n")
	}
	for _, m := range r.Missing {
		fmt.Fprintf(&b, "- %s: %s\n", m.Name, m.Why)
	}
	facts(&b, "Machine", slices.Concat(r.Machine, r.Settings))
	facts(&b, "Idle, all processes of each", r.Idle)
	return b.String()
}

func facts(b *strings.Builder, head string, all []Fact) {
	fmt.Fprintf(b, "\n## %s\n\n", head)
	for _, f := range all {
		fmt.Fprintf(b, "- %s: %s\n", f.Name, f.Says)
	}
}

func (r *Report) barCells() [][]string {
	cells := [][]string{{"bar", "ratio", "measured", "least to greatest", "gate", "stretch", ""}}
	for _, o := range r.Bars {
		row := []string{o.Number, o.Says, "", "", o.limit(o.Gate), o.limit(o.Stretch), string(o.Verdict)}
		if o.Rounds > 0 {
			row[2], row[3] = ratio(o.Median), ratio(o.Least)+" to "+ratio(o.Greatest)
		} else {
			row[6] += ": no " + o.Lacks
		}
		if o.Lost > 0 {
			row[6] += fmt.Sprintf("; %d operations failed or were never started", o.Lost)
		}
		cells = append(cells, row)
	}
	return cells
}

// limit is a bound in words, empty if there is none.
func (o *Outcome) limit(bound float64) string {
	switch {
	case bound == 0:
		return ""
	case o.AtLeast:
		return "≥ " + ratio(bound)
	}
	return "≤ " + ratio(bound)
}

func ratio(x float64) string {
	if x >= 99.5 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func (r *Report) rowCells() [][]string {
	cells := [][]string{{"question", "CPU µs", "per s", "p50", "p99", "p99.9", "what an answer means"}}
	for _, row := range r.Rows {
		of := func(f Field) float64 { return r.median(row.Question, f) }
		if of(Throughput) == 0 {
			cells = append(cells, []string{row.Question, "", "", "", "", "", "no answer; " + row.Quality})
			continue
		}
		cells = append(cells, []string{
			row.Question, fmt.Sprintf("%.1f", of(CPU)), thousands(of(Throughput)),
			latency(of(P50)), latency(of(P99)), latency(of(P999)), row.Quality,
		})
	}
	return cells
}

func (r *Report) median(question string, f Field) float64 {
	var all []float64
	for i := range r.Samples {
		if s := &r.Samples[i]; s.Question == question && s.Operations > 0 {
			all = append(all, s.of(f))
		}
	}
	return SpreadOf(all).Median
}

// failures is a line for every question that failed or fell behind.
func (r *Report) failures() []string {
	type count struct {
		failed, behind int64
		example        string
	}
	counts := map[string]*count{}
	for i := range r.Samples {
		s := &r.Samples[i]
		if s.Failed == 0 && s.NotStarted == 0 {
			continue
		}
		if counts[s.Question] == nil {
			counts[s.Question] = &count{}
		}
		c := counts[s.Question]
		c.failed, c.behind, c.example = c.failed+s.Failed, c.behind+s.NotStarted, cmp.Or(c.example, s.Failure)
	}
	var lines []string
	for question, c := range counts {
		line := fmt.Sprintf("- %s: %d failed, %d were never started", question, c.failed, c.behind)
		if c.example != "" {
			line += ": " + strings.Join(strings.Fields(c.example), " ")
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// latency is milliseconds for people.
func latency(ms float64) string {
	switch {
	case ms < 1:
		return fmt.Sprintf("%.0f µs", ms*1000)
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func thousands(x float64) string {
	digits := fmt.Sprintf("%.0f", x)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// render draws a table of Markdown with aligned columns.
func render(cells [][]string, right map[int]bool) string {
	widths := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, c := range row {
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	var b strings.Builder
	for n, row := range cells {
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-len([]rune(c)))
			if right[i] {
				c, pad = pad+c, ""
			}
			b.WriteString("| " + c + pad + " ")
		}
		b.WriteString("|\n")
		if n == 0 {
			b.WriteString(rule(widths, right))
		}
	}
	return b.String()
}

// rule is the line below the heads.
func rule(widths []int, right map[int]bool) string {
	var b strings.Builder
	for i, w := range widths {
		end := "- "
		if right[i] {
			end = ": "
		}
		b.WriteString("| " + strings.Repeat("-", max(w-1, 1)) + end)
	}
	return b.String() + "|\n"
}
