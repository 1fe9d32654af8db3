package load

import (
	"fmt"
	"math"
	"slices"
)

// Comparison says how the runs of B differ from those of A: the document of
// kvcli bench compare.
type Comparison struct {
	RunsA int `json:"runs_a"`
	RunsB int `json:"runs_b"`
	// Differences are settings in which the runs are not alike: the ratios are then
	// of different questions.
	Differences []string `json:"differences"`
	Ratios      []Ratio  `json:"ratios"`
}

// Ratio is one number of B relative to that of A.
type Ratio struct {
	What string `json:"what"`
	Unit string `json:"unit"`
	// A and B are the middles (geometric means) of the runs.
	A Spread `json:"a"`
	B Spread `json:"b"`
	// Ratio is B over A; between Low and High lie those of all pairs of runs.
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	// Verdict is higher or lower if every run of B is on that side of every run
	// of A, within the spread if not, and spread unknown if a side has one run.
	Verdict Verdict `json:"verdict"`
}

// Spread is one number of several runs.
type Spread struct {
	Middle float64 `json:"middle"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Verdict is what a ratio and its spread allow to say.
type Verdict string

const (
	Higher        Verdict = "higher"
	Lower         Verdict = "lower"
	WithinSpread  Verdict = "within the spread"
	SpreadUnknown Verdict = "spread unknown"
)

// Compare compares runs. What one of them did not measure is left out.
func Compare(a, b []Report) Comparison {
	c := Comparison{RunsA: len(a), RunsB: len(b), Differences: differences(a, b), Ratios: []Ratio{}}
	add := func(what, unit string, of func(*Report) float64) {
		if r, ok := ratio(a, b, of); ok {
			r.What, r.Unit = what, unit
			c.Ratios = append(c.Ratios, r)
		}
	}
	add("throughput", "1/s", func(r *Report) float64 { return r.Throughput })
	add("cpu per operation, all processes", "µs", func(r *Report) float64 { return r.CPU.PerOperation })
	for _, kind := range Kinds() {
		for _, p := range []struct {
			name string
			of   func(Latency) float64
		}{
			{"p50", func(l Latency) float64 { return l.P50 }}, {"p90", func(l Latency) float64 { return l.P90 }},
			{"p99", func(l Latency) float64 { return l.P99 }}, {"p99.9", func(l Latency) float64 { return l.P999 }},
		} {
			add(fmt.Sprintf("%s %s", kind, p.name), "ms", func(r *Report) float64 { return p.of(r.kind(kind).Latency) })
		}
	}
	return c
}

func (r *Report) kind(kind Kind) KindReport {
	for _, k := range r.Kinds {
		if k.Kind == kind {
			return k
		}
	}
	return KindReport{}
}

// ratio is false if a run has no such number.
func ratio(a, b []Report, of func(*Report) float64) (Ratio, bool) {
	x, okA := spread(a, of)
	y, okB := spread(b, of)
	if !okA || !okB {
		return Ratio{}, false
	}
	r := Ratio{A: x, B: y, Ratio: rounded(y.Middle / x.Middle), Low: rounded(y.Min / x.Max), High: rounded(y.Max / x.Min), Verdict: WithinSpread}
	switch {
	case len(a) < 2 || len(b) < 2:
		r.Verdict = SpreadUnknown
	case r.Low > 1:
		r.Verdict = Higher
	case r.High < 1:
		r.Verdict = Lower
	}
	return r, true
}

func spread(runs []Report, of func(*Report) float64) (Spread, bool) {
	s, logs := Spread{Min: math.Inf(1)}, 0.0
	for i := range runs {
		v := of(&runs[i])
		if v <= 0 {
			return Spread{}, false
		}
		s.Min, s.Max = math.Min(s.Min, v), math.Max(s.Max, v)
		logs += math.Log(v)
	}
	s.Middle = rounded(math.Exp(logs / float64(len(runs))))
	return s, len(runs) > 0
}

// rounded keeps six digits: more mean nothing, and differ between processors.
func rounded(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v))-5)
	if unit >= 1 {
		return math.Round(v/unit) * unit
	}
	return math.Round(v/unit) / math.Round(1/unit)
}

// differences compares every run with the first of A. Seeds may differ: runs of
// different seeds are what shows the spread. What ended badly in any run is a
// difference too.
func differences(a, b []Report) []string {
	out := []string{}
	first := a[0].Settings
	for side, runs := range map[string][]Report{"A": a, "B": b} {
		for i := range runs {
			name := fmt.Sprintf("%s%d", side, i+1)
			out = append(out, settingsDiffer(name, first, runs[i].Settings)...)
			out = append(out, runs[i].reservations(name)...)
		}
	}
	slices.Sort(out)
	return out
}

func settingsDiffer(name string, x, y SettingsDoc) []string {
	var out []string
	for _, s := range []struct {
		what string
		x, y any
	}{
		{"mix", x.Mix, y.Mix}, {"popularity", x.Popularity, y.Popularity}, {"keys", x.Keys, y.Keys}, {"key_bytes", x.KeyBytes, y.KeyBytes},
		{"value_bytes", x.ValueBytes, y.ValueBytes}, {"ttl", x.TTL, y.TTL}, {"loop", x.Loop, y.Loop}, {"callers", x.Callers, y.Callers},
		{"rate", x.Rate, y.Rate}, {"arrivals", x.Arrivals, y.Arrivals}, {"time_seconds", x.Time, y.Time}, {"warmup_seconds", x.Warmup, y.Warmup},
		{"r", x.R, y.R}, {"pr", x.PR, y.PR}, {"w", x.W, y.W}, {"pw", x.PW, y.PW}, {"durability", x.Durability, y.Durability}, {"quorum", x.Quorum, y.Quorum}, {"tls", x.TLS, y.TLS},
	} {
		if s.x != s.y {
			out = append(out, fmt.Sprintf("%s: %s is %v, and %v in A1", name, s.what, orNone(s.y), orNone(s.x)))
		}
	}
	return out
}

func orNone(v any) any {
	if v == "" {
		return "not given"
	}
	return v
}

// reservations are what makes a run a poor witness.
func (r *Report) reservations(name string) []string {
	var out []string
	if r.Failed > 0 {
		out = append(out, fmt.Sprintf("%s: %d operations failed; they are not among its latencies", name, r.Failed))
	}
	if r.NotStarted > 0 {
		out = append(out, fmt.Sprintf("%s: %d operations were never started; its latencies are lower bounds", name, r.NotStarted))
	}
	if r.Interrupted {
		out = append(out, fmt.Sprintf("%s: was interrupted after %.1f s", name, r.Seconds))
	}
	return out
}
