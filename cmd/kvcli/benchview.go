package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kindredkv/kindred/bench/load"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

// benchProgress tells how a run goes, on a terminal only: in one line that is
// rewritten.
type benchProgress struct {
	*app
	settings *load.Settings
	storing  *term.Progress
	wide     int
}

func newBenchProgress(a *app, s *load.Settings) *benchProgress {
	return &benchProgress{app: a, settings: s, storing: term.NewProgress(a.errOut, "keys")}
}

func (p *benchProgress) stored(done uint64) { p.storing.Step(int64(done), int64(p.settings.Keys)) }

func (p *benchProgress) interval(i load.Interval) {
	p.storing.End()
	if !term.IsTerminal(p.errOut) {
		return
	}
	line := intervalLine(&i)
	line = line[:min(len(line), term.Width(p.errOut)-1)] // a line that wraps cannot be rewritten
	fmt.Fprintf(p.errOut, "\r%s%s", line, strings.Repeat(" ", max(0, p.wide-len(line))))
	p.wide = len(line)
}

// end removes the line from a terminal.
func (p *benchProgress) end() {
	p.storing.End()
	if p.wide > 0 {
		fmt.Fprintf(p.errOut, "\r%s\r", strings.Repeat(" ", p.wide))
	}
}

// intervalLine is an interval in words.
func intervalLine(i *load.Interval) string {
	what := ""
	if i.At < 0 {
		what = "  (warming up)"
	}
	return fmt.Sprintf("%6.1f s  %9s/s  p50 %s  p99 %s  max %s  %s failed%s", i.At+i.Seconds,
		term.Count(int64(i.Throughput())), millis(i.P50), millis(i.P99), millis(i.Max), term.Count(i.Failed), what)
}

// millis is a latency for people, with three digits that mean something.
func millis(ms float64) string {
	switch {
	case ms == 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

func (a *app) writeBench(w io.Writer, r *load.Report) error {
	var b strings.Builder
	a.benchHead(&b, r)
	if err := a.benchKinds(&b, r); err != nil {
		return err
	}
	a.benchFailures(&b, r)
	benchAnswers(&b, r)
	if err := a.benchCPU(&b, r); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (a *app) benchHead(b *strings.Builder, r *load.Report) {
	s, st := &r.Settings, a.style()
	loop := fmt.Sprintf("closed loop of %s", term.Counted(int64(s.Callers), "caller"))
	if s.Rate > 0 {
		loop = fmt.Sprintf("open loop at %v/s (%s), at most %s in flight", s.Rate, s.Arrivals, term.Count(int64(s.Callers)))
	}
	fmt.Fprintf(b, "%s: %s; %s keys %s; values of %s bytes; %s\n", s.Profile, s.Mix, term.Count(int64(s.Keys)), s.Popularity, term.Count(int64(s.ValueBytes)), loop)
	fmt.Fprintf(b, "%s in %.1f s: %s, %s failed\n", term.Counted(r.Operations, "operation"), r.Seconds,
		st.Bold(term.Count(int64(r.Throughput))+"/s"), term.Count(r.Failed))
	if r.Interrupted {
		fmt.Fprintf(b, "%s\n", st.Warn("The run was interrupted; this is what was measured until then."))
	}
	if r.NotStarted > 0 {
		fmt.Fprintf(b, "%s\n", st.Bad(fmt.Sprintf("%s fell due and were never started: all callers were waiting. The cluster does not keep up with the rate; latencies are lower bounds.", term.Counted(r.NotStarted, "operation"))))
	}
	if r.CutShort > 0 {
		fmt.Fprintf(b, "%s\n", st.Warn(term.Counted(r.CutShort, "operation")+" given up at the end, without an answer"))
	}
	if r.Stored.Failed > 0 {
		fmt.Fprintf(b, "%s\n", st.Warn(term.Counted(int64(r.Stored.Failed), "key")+" could not be stored before the run"))
	}
}

func (a *app) benchKinds(b *strings.Builder, r *load.Report) error {
	t := table{header: []string{"", "operations", "per s", "failed", "mean", "p50", "p90", "p99", "p99.9", "max"}}
	row := func(name string, k *load.KindReport, l *load.Latency) {
		t.add(plainCells(name, term.Count(k.Operations), term.Count(int64(k.Throughput)), term.Count(k.Failed),
			millis(l.Mean), millis(l.P50), millis(l.P90), millis(l.P99), millis(l.P999), millis(l.Max))...)
	}
	for i := range r.Kinds {
		k := &r.Kinds[i]
		row(string(k.Kind), k, &k.Latency)
		if k.FailedLatency.Count > 0 {
			l := &k.FailedLatency
			t.add(plainCells("  until failed", "", "", "", millis(l.Mean), millis(l.P50), millis(l.P90), millis(l.P99), millis(l.P999), millis(l.Max))...)
		}
	}
	b.WriteByte('\n')
	return t.write(b)
}

func (a *app) benchFailures(b *strings.Builder, r *load.Report) {
	for i := range r.Kinds {
		for _, f := range r.Kinds[i].Failures {
			fmt.Fprintf(b, "%s\n", a.style().Bad(fmt.Sprintf("%s %s failed: %s, outcome %s; for instance: %s", term.Count(f.Count), r.Kinds[i].Kind, f.Code, f.Outcome, f.Example)))
		}
	}
}

// benchAnswers tells what kind of answers there were.
func benchAnswers(b *strings.Builder, r *load.Report) {
	var misses, siblings, strict, sloppy, readFirst, read, written int64
	for i := range r.Kinds {
		k := &r.Kinds[i]
		misses, siblings, strict, sloppy = misses+k.Misses, siblings+k.WithSiblings, strict+k.Strict, sloppy+k.Sloppy
		readFirst, read, written = readFirst+k.ReadFirst, read+k.BytesRead, written+k.BytesWritten
	}
	fmt.Fprintf(b, "\nanswers: %s strict, %s sloppy; %s without a value, %s with siblings; %s puts read first\n",
		term.Count(strict), term.Count(sloppy), term.Count(misses), term.Count(siblings), term.Count(readFirst))
	if len(r.Durability) > 0 {
		fmt.Fprintf(b, "writes: durability %s\n", strings.Join(r.Durability, ", "))
	}
	fmt.Fprintf(b, "values: %s read, %s written\n", bytesPerSecond(read, r.Seconds), bytesPerSecond(written, r.Seconds))
	c := &r.Client
	fmt.Fprintf(b, "client: %s attempts, %s retries, %s hedges, %s retries denied\n",
		term.Count(int64(c.Attempts)), term.Count(int64(c.Retries)), term.Count(int64(c.Hedges)), term.Count(int64(c.RetriesDenied)))
}

func bytesPerSecond(n int64, seconds float64) string {
	const mega = 1e6
	return fmt.Sprintf("%.1f MB (%.1f MB/s)", float64(n)/mega, float64(n)/mega/max(seconds, time.Millisecond.Seconds()))
}

func (a *app) benchCPU(b *strings.Builder, r *load.Report) error {
	t := table{header: []string{"processor", "source", "seconds", "µs per operation"}}
	for _, p := range r.CPU.Processes {
		if p.Unknown != "" {
			t.add(cell{text: p.Name}, cell{text: p.Source}, cell{text: "unknown: " + p.Unknown, paint: a.style().Warn})
			continue
		}
		t.add(plainCells(p.Name, p.Source, fmt.Sprintf("%.2f", p.Seconds), fmt.Sprintf("%.1f", p.PerOperation))...)
	}
	if r.CPU.PerOperation > 0 {
		t.add(plainCells("all", "", "", fmt.Sprintf("%.1f", r.CPU.PerOperation))...)
	}
	b.WriteByte('\n')
	return t.write(b)
}

// profileDoc is a profile of kvcli bench --list.
type profileDoc struct {
	Name       string `json:"name"`
	About      string `json:"about"`
	Mix        string `json:"mix"`
	Popularity string `json:"popularity"`
	KeyBytes   int    `json:"key_bytes"`
	ValueBytes int    `json:"value_bytes"`
	TTL        string `json:"ttl"`
}

// profilesDoc is the document of kvcli bench --list.
type profilesDoc struct {
	Profiles []profileDoc `json:"profiles"`
	Credit   string       `json:"credit"`
}

func (a *app) benchList() error {
	doc := profilesDoc{Credit: load.TwitterCredit}
	for _, p := range load.Profiles() {
		doc.Profiles = append(doc.Profiles, profileDoc{p.Name, p.About, p.Mix.String(), p.Popularity.String(), p.KeyBytes, p.ValueBytes, p.Lives()})
	}
	return a.print(doc, func(w io.Writer) error {
		t := table{header: []string{"profile", "mix in percent", "popularity", "key", "value", "lives"}}
		for _, p := range doc.Profiles {
			t.add(plainCells(p.Name, p.Mix, p.Popularity, fmt.Sprint(p.KeyBytes), term.Count(int64(p.ValueBytes)), p.TTL)...)
		}
		if err := t.write(w); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "\nKeys and values in bytes.\n%s\n", doc.Credit)
		return err
	})
}
