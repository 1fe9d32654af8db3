package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/nemesis"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/jepsen/workload"
)

// jepsenProgress tells how a run goes: a line for each fault, and on a terminal one
// below them that is rewritten.
type jepsenProgress struct {
	*app
	plan *jepsen.Plan
	mu   sync.Mutex
	wide int
	last report.Tally
	at   time.Duration
	rate float64
}

func newJepsenProgress(a *app, f *jepsenFlags) *jepsenProgress {
	p := &jepsenProgress{app: a, plan: &f.plan}
	p.say("Seed %d: %s on %s for %v, n=%d.", f.plan.Seed, f.workloads, f.nemeses, f.plan.Time, f.plan.N)
	return p
}

// say prints a line above the one that is rewritten.
func (p *jepsenProgress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	p.note(format, args...)
}

// wipe removes the line that is rewritten.
func (p *jepsenProgress) wipe() {
	if p.wide > 0 {
		fmt.Fprintf(p.errOut, "\r%s\r", strings.Repeat(" ", p.wide))
		p.wide = 0
	}
}

func (p *jepsenProgress) fault(f history.Fault) {
	switch {
	case f.Ready > 0:
		p.say("%8.1f s  %-9s all nodes are ready", f.Ready.Seconds(), f.Kind)
	case f.End > 0:
		p.say("%8.1f s  %-9s healed", f.End.Seconds(), f.Kind)
	default:
		p.say("%8.1f s  %-9s %s", f.Begin.Seconds(), f.Kind, f.What)
	}
}

func (p *jepsenProgress) interrupted() {
	p.say("Interrupted: healing, and waiting until the cluster has come to rest. What happened until now is judged.")
}

func (p *jepsenProgress) sampled(s report.Sample, t report.Tally) {
	if p.output != asTable || !term.IsTerminal(p.errOut) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.At-p.at >= time.Second {
		p.rate = float64(t.Operations-p.last.Operations) / (s.At - p.at).Seconds()
		p.last, p.at = t, s.At
	}
	line := fmt.Sprintf("%8.1f s  %s/s  %s answered, %s refused, %s unknown; %d replicas lack something, %d hints", s.At.Seconds(),
		term.Count(int64(p.rate)), term.Count(int64(t.Answered)), term.Count(int64(t.Refused)), term.Count(int64(t.Unknown)), s.Open, s.Hints)
	line = line[:min(len(line), term.Width(p.errOut)-1)] // a line that wraps cannot be rewritten
	fmt.Fprintf(p.errOut, "\r%s%s", line, strings.Repeat(" ", max(0, p.wide-len(line))))
	p.wide = len(line)
}

func (p *jepsenProgress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
}

// jepsenDoc is the document of kvcli jepsen run; the whole one is in report.json.
type jepsenDoc struct {
	Verdict    string           `json:"verdict"`
	Headline   string           `json:"headline"`
	Seed       uint64           `json:"seed"`
	Command    string           `json:"command"`
	Operations int              `json:"operations"`
	Answered   int              `json:"answered"`
	Refused    int              `json:"refused"`
	Unknown    int              `json:"unknown"`
	Faults     int              `json:"faults"`
	Anomalies  int              `json:"anomalies"`
	Rest       float64          `json:"rest_seconds"`
	Checks     []jepsenCheckDoc `json:"checks"`
	Dir        string           `json:"dir"`
	Report     string           `json:"report"`
	Document   string           `json:"document"`
	Histories  []string         `json:"histories"`
	// Recordings are folders, one of each node.
	Recordings []string `json:"recordings"`
	// Replay are commands that show what nodes did with the keys of anomalies.
	Replay []string `json:"replay"`
}

type jepsenCheckDoc struct {
	Workload string `json:"workload"`
	Property string `json:"property"`
	Status   string `json:"status"`
	Checked  int    `json:"checked"`
	Found    int    `json:"found"`
}

func newJepsenDoc(r *report.Run, dir string) jepsenDoc {
	t := r.Tally()
	d := jepsenDoc{
		Verdict: r.Verdict().String(), Headline: r.Headline(), Seed: r.Seed, Command: r.Command,
		Operations: t.Operations, Answered: t.Answered, Refused: t.Refused, Unknown: t.Unknown,
		Faults: len(r.Faults), Anomalies: r.Found(), Rest: r.Rest.Took.Seconds(), Checks: []jepsenCheckDoc{},
		Recordings: []string{}, Replay: []string{},
		Dir: dir, Report: filepath.Join(dir, jepsen.PageName), Document: filepath.Join(dir, jepsen.DocumentName),
	}
	for i := range r.Parts {
		p := &r.Parts[i]
		d.Histories = append(d.Histories, filepath.Join(dir, p.Workload+".jsonl"))
		for _, v := range p.Report.Verdicts {
			d.Checks = append(d.Checks, jepsenCheckDoc{p.Workload, string(v.Property), v.Status.String(), v.Checked, v.Found})
			for _, f := range v.Findings {
				d.Replay = append(d.Replay, r.Replay(p, f)...)
			}
		}
	}
	slices.Sort(d.Replay)
	d.Replay = slices.Compact(d.Replay)
	for _, rec := range r.Recordings {
		d.Recordings = append(d.Recordings, rec.Dir)
	}
	return d
}

func (a *app) writeJepsen(w io.Writer, r *report.Run, dir string) error {
	st := a.style()
	paint := map[checker.Status]func(string) string{checker.OK: st.Good, checker.Violated: st.Bad, checker.Unknown: st.Warn}
	t := table{header: []string{"PROMISE"}}
	for i := range r.Parts {
		t.header = append(t.header, strings.ToUpper(r.Parts[i].Workload))
	}
	for _, p := range checker.All() {
		row := plainCells(p.String())
		for i := range r.Parts {
			v := r.Parts[i].Report.Verdict(p)
			c := cell{text: v.Status.String(), paint: paint[v.Status]}
			switch {
			case v.Found > 0:
				c.text += " " + term.Count(int64(v.Found))
			case !promises(&r.Parts[i], p):
				c = cell{text: "not promised", paint: st.Dim}
			}
			row = append(row, c)
		}
		t.add(row...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteByte('\n')
	for _, s := range r.Summary() {
		fmt.Fprintln(&b, s)
	}
	if never := r.Never(); len(never) > 0 {
		fmt.Fprintln(&b, st.Warn("These never came, for want of time: "+strings.Join(never, ", ")+"."))
	}
	for i := range r.Parts {
		for _, v := range r.Parts[i].Report.Verdicts {
			for _, f := range v.Findings[:min(len(v.Findings), 1)] {
				fmt.Fprintf(&b, "%s %v\n", st.Bad(r.Parts[i].Workload+":"), f)
				for _, command := range r.Replay(&r.Parts[i], f) {
					fmt.Fprintf(&b, "  %s\n", command)
				}
			}
			for _, reason := range report.Reasons(v) {
				fmt.Fprintf(&b, "%s %s: %s\n", st.Warn(r.Parts[i].Workload+", not judged:"), v.Property, reason)
			}
		}
	}
	verdict := map[report.Verdict]func(string) string{report.Held: st.Good, report.Broken: st.Bad, report.Undecided: st.Warn}[r.Verdict()]
	fmt.Fprintf(&b, "\n%s\nReport: %s\nAgain:  %s\n", verdict(st.Bold(r.Headline()+".")), filepath.Join(dir, jepsen.PageName), r.Command)
	if len(r.Recordings) > 0 {
		fmt.Fprintf(&b, "Nodes:  %s\n", filepath.Join(dir, jepsen.RecordingsName))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func promises(p *report.Part, property checker.Property) bool {
	for _, v := range p.Report.Verdicts {
		if v.Property == property {
			return true
		}
	}
	return false
}

// jepsenListDoc is the document of kvcli jepsen list.
type jepsenListDoc struct {
	Workloads []workloadDoc  `json:"workloads"`
	Nemeses   []nemesisDoc   `json:"nemeses"`
	Runs      []jepsen.Saved `json:"runs"`
}

type workloadDoc struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

type nemesisDoc struct {
	Name  string `json:"name"`
	Doc   string `json:"doc"`
	Holds string `json:"holds"`
	Loses string `json:"loses"`
	Nodes int    `json:"nodes_at_least"`
	Needs string `json:"needs"`
	// Missing says what of that this machine does not have.
	Missing string `json:"missing"`
}

func (a *app) jepsenList() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "list", Short: "List workloads, nemeses and the runs that were made", Args: cobra.NoArgs,
		Long: `List shows what clients can do in a run, what can go wrong meanwhile, what each of
that needs of the machine and loses, and what is promised all the same; and the runs
in the folder --out.`,
		Example: "  kvcli jepsen list\n  kvcli jepsen list -o json",
		RunE: func(*cobra.Command, []string) error {
			runs, unread := jepsen.Runs(out)
			doc := jepsenListDoc{Runs: append([]jepsen.Saved{}, runs...)}
			for _, k := range workload.Kinds() {
				doc.Workloads = append(doc.Workloads, workloadDoc{string(k), k.About()})
			}
			for _, k := range nemesis.Kinds() {
				d := nemesisDoc{Name: k.Name, Doc: k.Doc, Holds: k.Holds, Loses: k.Loses.String(), Nodes: max(1, k.NodesMin), Needs: k.Needs}
				if k.Missing != nil {
					if err := k.Missing(); err != nil {
						d.Missing = err.Error()
					}
				}
				doc.Nemeses = append(doc.Nemeses, d)
			}
			return errors.Join(a.print(doc, func(w io.Writer) error { return a.writeJepsenList(w, &doc, out) }), unread)
		},
	}
	c.Flags().StringVar(&out, "out", runsDir, "folder of the runs")
	return c
}

func (a *app) writeJepsenList(w io.Writer, d *jepsenListDoc, out string) error {
	st := a.style()
	t := table{header: []string{"WORKLOAD", "WHAT CLIENTS DO"}}
	for _, k := range d.Workloads {
		t.add(plainCells(k.Name, k.Doc)...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = table{header: []string{"NEMESIS", "LOSES", "NEEDS", "WHAT GOES WRONG"}}
	for _, k := range d.Nemeses {
		needs := cell{text: k.Needs}
		if needs.text == "" {
			needs.text = "nothing"
		}
		if k.Missing != "" {
			needs = cell{text: "missing: " + k.Missing, paint: st.Warn}
		}
		t.add(cell{text: k.Name}, cell{text: k.Loses}, needs, cell{text: k.Doc})
		t.add(cell{}, cell{}, cell{}, cell{text: "holds: " + k.Holds, paint: st.Dim})
	}
	if err := t.write(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if len(d.Runs) == 0 {
		_, err := fmt.Fprintf(w, "No runs in %s.\n", out)
		return err
	}
	verdicts := map[string]func(string) string{report.Held.String(): st.Good, report.Broken.String(): st.Bad, report.Undecided.String(): st.Warn}
	t = table{header: []string{"RUN", "VERDICT", "SECONDS", "AGAIN"}}
	for _, r := range d.Runs {
		t.add(cell{text: r.Dir}, cell{r.Verdict, verdicts[r.Verdict]}, cell{text: fmt.Sprintf("%.0f", r.Worked)}, cell{text: r.Command})
	}
	return t.write(w)
}
