package table

import (
	"math"
	"slices"
)

// Field is a number of a sample.
type Field string

// The fields of a sample that bars compare.
const (
	CPU        Field = "cpu"
	Throughput Field = "throughput"
	P50        Field = "p50"
	P99        Field = "p99"
	P999       Field = "p99.9"
)

// Sample is what one question took in one round.
type Sample struct {
	// Question is what was asked, as in "kindred/put@64".
	Question   string  `json:"question"`
	Round      int     `json:"round"`
	Operations int64   `json:"operations"`
	Failed     int64   `json:"failed"`
	NotStarted int64   `json:"not_started"`
	Seconds    float64 `json:"seconds"`
	Throughput float64 `json:"throughput"`
	// CPU is in microseconds per operation, of all processes that take part.
	CPU float64 `json:"cpu_us_per_operation"`
	// Latencies are in milliseconds.
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	// Failure is the first one.
	Failure string `json:"failure,omitempty"`
}

// of is a field of the sample.
func (s *Sample) of(f Field) float64 {
	switch f {
	case CPU:
		return s.CPU
	case Throughput:
		return s.Throughput
	case P50:
		return s.P50
	case P99:
		return s.P99
	case P999:
		return s.P999
	}
	return math.NaN()
}

// Term is a sample's field, some times.
type Term struct {
	Times    float64
	Question string
	Of       Field
}

// One is a field once.
func One(question string, of Field) []Term { return []Term{{1, question, of}} }

// Bar is a limit for a ratio. Gate and Stretch are 0 where there is none: then the
// ratio is told and nothing is decided.
type Bar struct {
	Number, Says  string
	Over, Under   []Term
	AtLeast       bool
	Gate, Stretch float64
}

// Verdict is what came out.
type Verdict string

// The verdicts. A bar is reached at its gate, and stretched at its stretch.
const (
	Missed    Verdict = "MISSED"
	Reached   Verdict = "met"
	Stretched Verdict = "met, stretch"
	Told      Verdict = "told"
	// Doubtful is a bar that would be met if operations had not failed, or had all
	// been started: those are not among the latencies.
	Doubtful Verdict = "doubtful"
	Unknown  Verdict = "not measured"
)

// Outcome is a bar with the ratios of its rounds.
type Outcome struct {
	Number  string  `json:"number"`
	Says    string  `json:"says"`
	AtLeast bool    `json:"at_least"`
	Gate    float64 `json:"gate"`
	Stretch float64 `json:"stretch"`
	Spread
	Verdict Verdict `json:"verdict"`
	// Lacks is the first question that has no sample.
	Lacks string `json:"lacks,omitempty"`
	// Lost is how many operations failed or were never started, in all its samples.
	Lost int64 `json:"lost"`
}

// Spread is the middle and the ends of some numbers.
type Spread struct {
	Rounds   int     `json:"rounds"`
	Median   float64 `json:"median"`
	Least    float64 `json:"least"`
	Greatest float64 `json:"greatest"`
}

// SpreadOf is zero if there are no numbers.
func SpreadOf(numbers []float64) Spread {
	if len(numbers) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(numbers))
	mid := len(sorted) / 2
	median := sorted[mid]
	if len(sorted)%2 == 0 {
		median = (sorted[mid-1] + sorted[mid]) / 2
	}
	return Spread{Rounds: len(sorted), Median: median, Least: sorted[0], Greatest: sorted[len(sorted)-1]}
}

// Judge computes every bar from the samples.
func Judge(bars []Bar, samples []Sample) []Outcome {
	at, rounds := index(samples)
	out := make([]Outcome, 0, len(bars))
	for _, b := range bars {
		o := Outcome{Number: b.Number, Says: b.Says, AtLeast: b.AtLeast, Gate: b.Gate, Stretch: b.Stretch}
		var ratios []float64
		for _, round := range rounds {
			over, lacksOver := sum(b.Over, at, round)
			under, lacksUnder := sum(b.Under, at, round)
			if lacks := lacksOver + lacksUnder; lacks != "" {
				if o.Lacks == "" {
					o.Lacks = firstOf(lacksOver, lacksUnder)
				}
				continue
			}
			o.Lost += lost(b, at, round)
			if under > 0 {
				ratios = append(ratios, over/under)
			}
		}
		o.Spread = SpreadOf(ratios)
		o.Verdict = b.verdict(o.Spread)
		if o.Lost > 0 && (o.Verdict == Reached || o.Verdict == Stretched) {
			o.Verdict = Doubtful
		}
		out = append(out, o)
	}
	return out
}

// lost is what the samples of a bar did not answer in one round.
func lost(b Bar, at map[key]*Sample, round int) (n int64) {
	for _, t := range slices.Concat(b.Over, b.Under) {
		if s := at[key{t.Question, round}]; s != nil {
			n += s.Failed + s.NotStarted
		}
	}
	return n
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (b *Bar) verdict(s Spread) Verdict {
	clears := func(limit float64) bool {
		if b.AtLeast {
			return s.Median >= limit
		}
		return s.Median <= limit
	}
	switch {
	case s.Rounds == 0:
		return Unknown
	case b.Gate == 0:
		return Told
	case !clears(b.Gate):
		return Missed
	case b.Stretch != 0 && clears(b.Stretch):
		return Stretched
	}
	return Reached
}

// key names a sample.
type key struct {
	question string
	round    int
}

// index finds samples by their keys, and the rounds in order. What has no answers
// is not there: a ratio of it would be one of nothing.
func index(samples []Sample) (map[key]*Sample, []int) {
	at, rounds := map[key]*Sample{}, []int{}
	for i := range samples {
		s := &samples[i]
		if s.Operations > 0 {
			at[key{s.Question, s.Round}] = s
		}
		if !slices.Contains(rounds, s.Round) {
			rounds = append(rounds, s.Round)
		}
	}
	slices.Sort(rounds)
	return at, rounds
}

// sum adds terms up in one round; lacks is the first that is not there.
func sum(terms []Term, at map[key]*Sample, round int) (total float64, lacks string) {
	for _, t := range terms {
		s := at[key{t.Question, round}]
		if s == nil {
			return 0, t.Question
		}
		total += t.Times * s.of(t.Of)
	}
	return total, ""
}
