package load

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Range and resolution of the histograms, in nanoseconds.
const (
	latencyMin    = 100
	latencyMax    = int64(24 * time.Hour)
	latencyDigits = 3
)

// SeriesMax bounds the intervals that a report tells of one by one.
const SeriesMax = 600

// failuresMax bounds the sorts of failures that are told apart; further ones share
// the last place.
const failuresMax = 64

// Sample is what became of one operation.
type Sample struct {
	Kind Kind
	// Meant is when it was meant to begin, Begun when it did.
	Meant, Begun, Ended time.Time
	// Failed is zero for an operation that was done.
	Failed Failure
	// Missed: it found no value where it looked for one. Siblings is how many it
	// found.
	Missed   bool
	Siblings int
	// Sloppy: guests were counted.
	Sloppy bool
	// ReadFirst: a put had to read the key before it.
	ReadFirst bool
	// Read and Written are bytes of values.
	Read, Written int
	Durability    string
}

// Failure is what is known of a failed operation.
type Failure struct {
	Code, Outcome string
	// Example is what one of them said.
	Example string
}

// Tally adds samples up. It is safe for many goroutines.
type Tally struct {
	mu sync.Mutex
	// from and to are what is measured; to is zero until the end is known.
	from, to   time.Time
	kinds      map[Kind]*kindTally
	interval   *intervalTally
	durability map[string]bool
	beyond     int64
}

// NewTally measures from a moment on.
func NewTally(from time.Time) *Tally {
	return &Tally{from: from, kinds: map[Kind]*kindTally{}, interval: newIntervalTally(), durability: map[string]bool{}}
}

// kindTally is what is known of one kind of operation.
type kindTally struct {
	// ended are operations that ended well while it was measured: they make the
	// throughput. Latencies are of those that were meant to begin meanwhile.
	ended, failed                                   int64
	latency, service, failedLatency                 *hdrhistogram.Histogram
	failures                                        map[Failure]*FailureCount
	misses, withSiblings, sloppy, strict, readFirst int64
	bytesRead, bytesWritten                         int64
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(latencyMin, latencyMax, latencyDigits)
}

func newKindTally() *kindTally {
	return &kindTally{latency: newHistogram(), service: newHistogram(), failedLatency: newHistogram(), failures: map[Failure]*FailureCount{}}
}

// End says until when is measured. Operations that are still under way count among
// the latencies when they end.
func (t *Tally) End(to time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.to = to
}

// Add takes a sample into account, if it belongs to what is measured.
func (t *Tally) Add(s *Sample) {
	t.mu.Lock()
	defer t.mu.Unlock()
	open := t.to.IsZero()
	if open || !s.Ended.After(t.to) {
		t.interval.add(s)
	}
	meant := !s.Meant.Before(t.from) && (open || s.Meant.Before(t.to))
	ended := !s.Ended.Before(t.from) && (open || !s.Ended.After(t.to))
	if !meant && !ended {
		return
	}
	k := t.kinds[s.Kind]
	if k == nil {
		k = newKindTally()
		t.kinds[s.Kind] = k
	}
	if s.Failed != (Failure{}) {
		k.fail(s, meant)
		return
	}
	if s.Durability != "" {
		t.durability[s.Durability] = true
	}
	if meant {
		count(&t.beyond, !record(k.latency, s.Ended.Sub(s.Meant)))
		record(k.service, s.Ended.Sub(s.Begun))
	}
	if ended {
		k.done(s)
	}
}

// record clamps what the histogram does not hold, and says whether it held it.
func record(h *hdrhistogram.Histogram, d time.Duration) (held bool) {
	ns := max(latencyMin, int64(d))
	if err := h.RecordValue(min(latencyMax, ns)); err != nil {
		panic(err) // the histogram was made for this range
	}
	return ns <= latencyMax
}

func (k *kindTally) done(s *Sample) {
	k.ended++
	k.bytesRead += int64(s.Read)
	k.bytesWritten += int64(s.Written)
	count(&k.misses, s.Missed)
	count(&k.withSiblings, s.Siblings > 1)
	count(&k.readFirst, s.ReadFirst)
	if s.Kind != Scan { // a page is what one replica of each partition shows
		count(&k.sloppy, s.Sloppy)
		count(&k.strict, !s.Sloppy)
	}
}

func count(n *int64, yes bool) {
	if yes {
		*n++
	}
}

// fail counts every failure that has to do with what is measured: one that began
// within it and ended later too.
func (k *kindTally) fail(s *Sample, meant bool) {
	k.failed++
	if meant {
		record(k.failedLatency, s.Ended.Sub(s.Meant))
	}
	sort := Failure{Code: s.Failed.Code, Outcome: s.Failed.Outcome}
	if k.failures[sort] == nil {
		if len(k.failures) >= failuresMax-1 {
			sort = Failure{Code: "other", Outcome: "unknown"}
		}
		if k.failures[sort] == nil {
			k.failures[sort] = &FailureCount{Code: sort.Code, Outcome: sort.Outcome, Example: s.Failed.Example}
		}
	}
	k.failures[sort].Count++
}

// intervalTally is the part since the last cut.
type intervalTally struct {
	done, failed int64
	latency      *hdrhistogram.Histogram
}

func newIntervalTally() *intervalTally { return &intervalTally{latency: newHistogram()} }

func (i *intervalTally) add(s *Sample) {
	if s.Failed != (Failure{}) {
		i.failed++
		return
	}
	i.done++
	record(i.latency, s.Ended.Sub(s.Meant))
}

// Cut ends an interval at a moment and begins the next.
func (t *Tally) Cut(began, ended time.Time) Interval {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := Interval{
		At: began.Sub(t.from).Seconds(), Seconds: ended.Sub(began).Seconds(),
		Operations: t.interval.done, Failed: t.interval.failed,
	}
	if h := t.interval.latency; h.TotalCount() > 0 {
		i.P50, i.P99, i.Max = ms(h.ValueAtPercentile(50)), ms(h.ValueAtPercentile(99)), ms(h.Max())
	}
	t.interval.done, t.interval.failed = 0, 0
	t.interval.latency.Reset()
	return i
}

func ms(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }

// Report says what was measured, from its begin to End.
func (t *Tally) Report() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Report{Seconds: t.to.Sub(t.from).Seconds(), Kinds: []KindReport{}, Beyond: t.beyond, Durability: []string{}}
	for d := range t.durability {
		r.Durability = append(r.Durability, d)
	}
	slices.Sort(r.Durability)
	for _, kind := range Kinds() {
		if k := t.kinds[kind]; k != nil {
			r.Kinds = append(r.Kinds, k.report(kind, r.Seconds))
			r.Operations += k.ended
			r.Failed += k.failed
		}
	}
	r.Throughput = perSecond(r.Operations, r.Seconds)
	return r
}

func (k *kindTally) report(kind Kind, seconds float64) KindReport {
	r := KindReport{
		Kind: kind, Operations: k.ended, Failed: k.failed, Throughput: perSecond(k.ended, seconds),
		Latency: latencyOf(k.latency), Service: latencyOf(k.service), FailedLatency: latencyOf(k.failedLatency),
		Failures: []FailureCount{}, Misses: k.misses, WithSiblings: k.withSiblings, Strict: k.strict, Sloppy: k.sloppy,
		ReadFirst: k.readFirst, BytesRead: k.bytesRead, BytesWritten: k.bytesWritten, Curve: curveOf(k.latency),
	}
	for _, f := range k.failures {
		r.Failures = append(r.Failures, *f)
	}
	slices.SortFunc(r.Failures, func(a, b FailureCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Outcome, b.Outcome))
	})
	return r
}

func perSecond(n int64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	at := func(p float64) float64 { return ms(h.ValueAtPercentile(p)) }
	return Latency{
		Count: h.TotalCount(), Mean: h.Mean() / float64(time.Millisecond),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: ms(h.Max()),
	}
}

// curveOf is the latency by percentile, as far as the samples carry it: a
// percentile that less than one sample lies beyond is the maximum by another name.
func curveOf(h *hdrhistogram.Histogram) []Point {
	curve := []Point{}
	if h.TotalCount() == 0 {
		return curve
	}
	const whole = 1 - 1e-9 // a thousandth of a thousand samples is one
	for _, p := range []float64{0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.975, 99.99, 99.995, 99.999, 99.9999} {
		if (100-p)/100*float64(h.TotalCount()) < whole {
			break
		}
		curve = append(curve, Point{p, ms(h.ValueAtPercentile(p))})
	}
	return append(curve, Point{100, ms(h.Max())})
}
