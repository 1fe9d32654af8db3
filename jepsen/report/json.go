package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
)

// Version is that of the document which [Run.JSON] writes. Within one version, fields
// are only added.
const Version = 1

type runDoc struct {
	Version     int          `json:"kindred_jepsen"`
	Verdict     string       `json:"verdict"`
	Headline    string       `json:"headline"`
	Program     string       `json:"program"`
	Command     string       `json:"command"`
	Began       string       `json:"began"`
	Seed        uint64       `json:"seed"`
	Asked       float64      `json:"asked_seconds"`
	Worked      float64      `json:"worked_seconds"`
	Ended       float64      `json:"ended_seconds"`
	Interrupted bool         `json:"interrupted"`
	OverBudget  bool         `json:"over_budget"`
	Nodes       []string     `json:"nodes"`
	N           int          `json:"n"`
	R           int          `json:"r"`
	W           int          `json:"w"`
	Strict      bool         `json:"strict"`
	Nemeses     []nemesisDoc `json:"nemeses"`
	Never       []string     `json:"nemeses_that_never_came"`
	Faults      []faultDoc   `json:"faults"`
	Held        []spanDoc    `json:"clients_held"`
	Tally       tallyDoc     `json:"operations"`
	Doors       []doorDoc    `json:"doors"`
	Parts       []partDoc    `json:"workloads"`
	Rest        restDoc      `json:"rest"`
	Step        float64      `json:"step_seconds"`
	Series      []pointDoc   `json:"series"`
	Samples     []sampleDoc  `json:"samples"`
	Recordings  []recordDoc  `json:"recordings"`
	Caught      []string     `json:"caught"`
	EndedBy     string       `json:"ended_by"`
	Notes       []string     `json:"notes"`
}

type nemesisDoc struct {
	Name  string `json:"name"`
	Doc   string `json:"doc"`
	Holds string `json:"holds"`
	Loses string `json:"loses"`
}

type faultDoc struct {
	Kind  string  `json:"kind"`
	What  string  `json:"what"`
	Begin float64 `json:"begin_seconds"`
	End   float64 `json:"end_seconds"`
	Ready float64 `json:"ready_seconds"`
}

type spanDoc struct {
	Begin float64 `json:"begin_seconds"`
	End   float64 `json:"end_seconds"`
}

type tallyDoc struct {
	Operations int `json:"operations"`
	Answered   int `json:"answered"`
	Refused    int `json:"refused"`
	Unknown    int `json:"unknown"`
	Sloppy     int `json:"sloppy"`
}

type doorDoc struct {
	Door string `json:"door"`
	tallyDoc
	P50     float64 `json:"p50_seconds"`
	P99     float64 `json:"p99_seconds"`
	P999    float64 `json:"p999_seconds"`
	Longest float64 `json:"max_seconds"`
}

type partDoc struct {
	Workload string     `json:"workload"`
	Bucket   string     `json:"bucket"`
	Tally    tallyDoc   `json:"operations"`
	Counts   countsDoc  `json:"counts"`
	Checks   []checkDoc `json:"checks"`
}

// countsDoc has the fields of checker.Counts.
type countsDoc struct {
	Reads        int `json:"reads"`
	FinalReads   int `json:"final_reads"`
	Writes       int `json:"writes"`
	Acknowledged int `json:"acknowledged"`
	NotApplied   int `json:"not_applied"`
	Uncertain    int `json:"unknown"`
	Surfaced     int `json:"unknown_and_found"`
	Vanished     int `json:"unknown_found_and_gone"`
	SiblingReads int `json:"reads_with_siblings"`
	SiblingsMost int `json:"siblings_most"`
	Superseded   int `json:"superseded"`
	Exempt       int `json:"exempt_reads"`
	Stale        int `json:"stale_exempt_reads"`
	Echoes       int `json:"echoes"`
}

type checkDoc struct {
	Property  string       `json:"property"`
	Promise   string       `json:"promise"`
	Status    string       `json:"status"`
	Checked   int          `json:"checked"`
	Found     int          `json:"found"`
	Anomalies []anomalyDoc `json:"anomalies"`
	Reasons   []string     `json:"not_checked_because"`
	Limits    string       `json:"does_not_prove"`
}

type anomalyDoc struct {
	Bucket string   `json:"bucket"`
	Key    string   `json:"key"`
	Text   string   `json:"text"`
	Should string   `json:"should_have_been"`
	Nodes  []string `json:"nodes"`
	Replay []string `json:"replay"`
	Ops    []opDoc  `json:"ops"`
}

type recordDoc struct {
	Node   string        `json:"node"`
	Dir    string        `json:"dir"`
	Files  int           `json:"files"`
	Bytes  int64         `json:"bytes"`
	Starts []recStartDoc `json:"starts"`
}

type recStartDoc struct {
	Number   uint64  `json:"start"`
	Began    float64 `json:"began_seconds"`
	Headless bool    `json:"headless"`
}

type opDoc struct {
	Index   int               `json:"index"`
	Process int               `json:"process"`
	Node    string            `json:"node"`
	Begin   float64           `json:"begin_seconds"`
	End     float64           `json:"end_seconds"`
	Kind    string            `json:"kind"`
	Write   history.WriteID   `json:"write,omitempty"`
	Seen    []history.WriteID `json:"seen,omitempty"`
	Found   []history.WriteID `json:"found,omitempty"`
	Outcome string            `json:"outcome"`
	Dot     string            `json:"dot,omitempty"`
	Sloppy  bool              `json:"sloppy,omitempty"`
	Final   bool              `json:"final,omitempty"`
	Error   string            `json:"error,omitempty"`
}

type restDoc struct {
	Begin   float64 `json:"begin_seconds"`
	Took    float64 `json:"took_seconds"`
	Max     float64 `json:"max_seconds"`
	Reached bool    `json:"reached"`
	Problem string  `json:"problem"`
}

type pointDoc struct {
	At float64 `json:"at_seconds"`
	tallyDoc
	P50     float64 `json:"p50_seconds"`
	P99     float64 `json:"p99_seconds"`
	Longest float64 `json:"max_seconds"`
}

type sampleDoc struct {
	At       float64 `json:"at_seconds"`
	Replicas int     `json:"replicas"`
	Open     int     `json:"open"`
	Hints    int     `json:"hints"`
	Silent   int     `json:"silent_nodes"`
}

// JSON writes the document of a run.
func (r *Run) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r.document())
}

func (r *Run) document() runDoc {
	d := runDoc{
		Version: Version, Verdict: r.Verdict().String(), Headline: r.Headline(), Program: r.Version, Command: r.Command,
		Began: r.Began.UTC().Format(time.RFC3339Nano), Seed: r.Seed,
		Asked: r.Asked.Seconds(), Worked: r.Worked.Seconds(), Ended: r.Ended.Seconds(), Interrupted: r.Interrupted, OverBudget: r.OverBudget,
		Nodes: list(r.Nodes), N: r.N, R: r.R, W: r.W, Strict: r.Strict, Never: list(r.Never()), Tally: tallyDoc(r.Tally()), Caught: list(r.Caught), EndedBy: r.EndedBy, Notes: list(r.Notes),
		Nemeses: []nemesisDoc{}, Faults: []faultDoc{}, Held: []spanDoc{}, Doors: []doorDoc{}, Parts: []partDoc{}, Samples: []sampleDoc{}, Recordings: []recordDoc{},
		Rest: restDoc{r.Rest.Begin.Seconds(), r.Rest.Took.Seconds(), r.Rest.Max.Seconds(), r.Rest.Problem == "", r.Rest.Problem},
		Step: r.Step().Seconds(), Series: []pointDoc{},
	}
	for _, n := range r.Nemeses {
		d.Nemeses = append(d.Nemeses, nemesisDoc(n))
	}
	for _, f := range r.Faults {
		d.Faults = append(d.Faults, faultDoc{f.Kind, f.What, f.Begin.Seconds(), f.End.Seconds(), f.Ready.Seconds()})
	}
	for _, s := range r.Held {
		d.Held = append(d.Held, spanDoc{s.Begin.Seconds(), s.End.Seconds()})
	}
	for _, name := range r.Doors() {
		t, l := r.ByDoor(name)
		d.Doors = append(d.Doors, doorDoc{name, tallyDoc(t), l.P50.Seconds(), l.P99.Seconds(), l.P999.Seconds(), l.Longest.Seconds()})
	}
	for i := range r.Parts {
		d.Parts = append(d.Parts, r.part(&r.Parts[i]))
	}
	for _, rec := range r.Recordings {
		doc := recordDoc{rec.Node, rec.Dir, rec.Files, rec.Bytes, []recStartDoc{}}
		for _, s := range rec.Starts {
			doc.Starts = append(doc.Starts, recStartDoc{s.Number, s.Began.Seconds(), s.Headless})
		}
		d.Recordings = append(d.Recordings, doc)
	}
	for _, p := range r.Series() {
		d.Series = append(d.Series, pointDoc{p.At.Seconds(), tallyDoc(p.Tally), p.P50.Seconds(), p.P99.Seconds(), p.Longest.Seconds()})
	}
	for _, s := range r.Samples {
		d.Samples = append(d.Samples, sampleDoc{s.At.Seconds(), s.Replicas, s.Open, s.Hints, s.Silent})
	}
	return d
}

func (r *Run) part(p *Part) partDoc {
	d := partDoc{Workload: p.Workload, Bucket: p.Bucket, Tally: tallyDoc(p.Tally("")), Counts: countsDoc(p.Report.Counts), Checks: []checkDoc{}}
	for _, v := range p.Report.Verdicts {
		c := checkDoc{
			Property: string(v.Property), Promise: v.Property.String(), Status: v.Status.String(), Checked: v.Checked, Found: v.Found,
			Anomalies: []anomalyDoc{}, Reasons: list(v.Reasons), Limits: Limits(v.Property),
		}
		for _, f := range v.Findings {
			c.Anomalies = append(c.Anomalies, r.anomaly(p, f))
		}
		d.Checks = append(d.Checks, c)
	}
	return d
}

func (r *Run) anomaly(p *Part, f checker.Finding) anomalyDoc {
	a := anomalyDoc{Bucket: f.Object.Bucket, Key: f.Object.Key, Text: f.Text, Should: should(f.Property), Nodes: list(r.Involved(p, f)), Replay: list(r.Replay(p, f)), Ops: []opDoc{}}
	for _, at := range f.Ops {
		op := &p.History.Ops[at]
		d := opDoc{
			Index: at, Process: op.Process, Node: op.Node, Begin: op.Invoke.Seconds(), End: op.Complete.Seconds(), Kind: op.Kind.String(),
			Write: op.Write, Seen: op.Seen, Outcome: op.Outcome.String(), Dot: op.Dot, Sloppy: op.Sloppy, Final: op.Final, Error: op.Error,
		}
		for _, s := range op.Siblings {
			d.Found = append(d.Found, s.Write)
		}
		a.Ops = append(a.Ops, d)
	}
	return a
}

// list is never null in a document.
func list(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}
