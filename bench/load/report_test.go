package load

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func noon() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

func at(ms int) time.Time { return noon().Add(time.Duration(ms) * time.Millisecond) }

// sample is a get that was meant to begin, began and ended at these milliseconds.
func sample(meant, begun, ended int) *Sample {
	return &Sample{Kind: Get, Meant: at(meant), Begun: at(begun), Ended: at(ended), Read: 10, Siblings: 1}
}

// What was meant to begin while it was measured makes the latencies, what ended
// then the throughput.
func TestATallyMeasuresFromBeginToEnd(t *testing.T) {
	tally := NewTally(at(1000))
	tally.Add(sample(100, 100, 200))    // while warming up
	tally.Add(sample(990, 990, 1010))   // ended in time
	tally.Add(sample(1500, 1700, 1800)) // begun late
	tally.End(at(2000))
	tally.Add(sample(1990, 1990, 2490)) // ended late
	tally.Add(sample(2010, 2010, 2020)) // too late
	r := tally.Report()
	require.InDelta(t, 1, r.Seconds, 1e-9)
	require.EqualValues(t, 2, r.Operations)
	require.InDelta(t, 2, r.Throughput, 1e-9)
	k := r.Kinds[0]
	require.EqualValues(t, 2, k.Latency.Count)
	require.InDelta(t, 300, k.Latency.P50, 1, "since it was meant to begin")
	require.InDelta(t, 500, k.Latency.Max, 1)
	require.InDelta(t, 100, k.Service.P50, 1, "since it did")
	require.EqualValues(t, 20, k.BytesRead)
	require.EqualValues(t, 2, k.Strict)
}

// A refusal at once must not make a store look quick (B2).
func TestFailuresAreCountedApart(t *testing.T) {
	tally := NewTally(at(0))
	tally.Add(sample(0, 0, 50))
	for i := range 3 {
		s := sample(i, i, i+1)
		s.Failed = Failure{Code: "unavailable", Outcome: "not_applied", Example: fmt.Sprint("example ", i)}
		tally.Add(s)
	}
	s := sample(10, 10, 20)
	s.Failed = Failure{Code: "timeout", Outcome: "unknown"}
	tally.Add(s)
	tally.End(at(1000))
	r := tally.Report()
	require.EqualValues(t, 1, r.Operations)
	require.EqualValues(t, 4, r.Failed)
	k := r.Kinds[0]
	require.InDelta(t, 50, k.Latency.P50, 1)
	require.EqualValues(t, 4, k.FailedLatency.Count)
	require.Equal(t, []FailureCount{{"unavailable", "not_applied", 3, "example 0"}, {"timeout", "unknown", 1, ""}}, k.Failures)

	for i := range 2 * failuresMax { // whoever makes up codes fills no memory
		s := sample(10, 10, 20)
		s.Failed.Code = fmt.Sprint("code ", i)
		tally.Add(s)
	}
	require.Len(t, tally.Report().Kinds[0].Failures, failuresMax)
}

func TestALatencyBeyondTheHistogramIsCounted(t *testing.T) {
	tally := NewTally(at(0))
	s := sample(0, 0, 1)
	s.Ended = s.Ended.Add(3 * 24 * time.Hour)
	tally.Add(s)
	tally.End(s.Ended.Add(time.Second))
	r := tally.Report()
	require.EqualValues(t, 1, r.Beyond)
	require.InEpsilon(t, float64(24*time.Hour/time.Millisecond), r.Kinds[0].Latency.Max, 0.01)
}

func TestIntervalsAreCut(t *testing.T) {
	tally := NewTally(at(1000))
	tally.Add(sample(0, 0, 10))
	require.Equal(t, Interval{At: -1, Seconds: 1, Operations: 1, P50: 10.002431, P99: 10.002431, Max: 10.002431}, tally.Cut(at(0), at(1000)))
	require.Equal(t, Interval{At: 0, Seconds: 0.5}, tally.Cut(at(1000), at(1500)), "each begins anew")
}

// A curve does not pretend to percentiles that the samples cannot carry.
func TestACurveEndsWhereTheSamplesEnd(t *testing.T) {
	tally := NewTally(at(0))
	for i := range 1000 {
		tally.Add(sample(i, i, i+1+i/10))
	}
	tally.End(at(2000))
	curve := tally.Report().Kinds[0].Curve
	require.Equal(t, 99.9, curve[len(curve)-2].Percentile)
	require.Equal(t, 100.0, curve[len(curve)-1].Percentile)
	for i := range curve[1:] {
		require.LessOrEqual(t, curve[i].Ms, curve[i+1].Ms)
	}
}

func TestUnknownProcessorTimeIsNoZero(t *testing.T) {
	r := Report{Operations: 1000}
	r.SetCPU([]ProcessCPU{{Name: "kvcli", Seconds: 0.1}, {Name: "n1", Seconds: 0.3}})
	require.InDelta(t, 400, r.CPU.PerOperation, 1e-9)
	require.InDelta(t, 300, r.CPU.Processes[1].PerOperation, 1e-9)
	r.SetCPU([]ProcessCPU{{Name: "kvcli", Seconds: 0.1}, {Name: "n1", Unknown: "no answer"}})
	require.Zero(t, r.CPU.PerOperation, "a sum without n1 would look cheap")
	require.InDelta(t, 100, r.CPU.Processes[0].PerOperation, 1e-9)
}

// run is a report with a throughput and a p99.
func run(throughput, p99 float64) Report {
	return Report{Throughput: throughput, Kinds: []KindReport{{Kind: Get, Latency: Latency{P99: p99}}}}
}

func TestRatiosComeWithTheirSpread(t *testing.T) {
	c := Compare([]Report{run(100, 4), run(400, 9)}, []Report{run(500, 6), run(800, 6)})
	require.Empty(t, c.Differences)
	require.Len(t, c.Ratios, 2, "what was not measured is left out")
	r := c.Ratios[0]
	require.Equal(t, Spread{200, 100, 400}, r.A, "the geometric mean")
	require.Equal(t, Spread{632.456, 500, 800}, r.B)
	require.Equal(t, []float64{3.16228, 1.25, 8}, []float64{r.Ratio, r.Low, r.High})
	require.Equal(t, Higher, r.Verdict)
	r = c.Ratios[1]
	require.Equal(t, []float64{1, 0.666667, 1.5}, []float64{r.Ratio, r.Low, r.High})
	require.Equal(t, WithinSpread, r.Verdict)

	c = Compare([]Report{run(500, 6), run(800, 6)}, []Report{run(100, 4), run(400, 9)})
	require.Equal(t, Lower, c.Ratios[0].Verdict)
	c = Compare([]Report{run(100, 4)}, []Report{run(500, 6), run(800, 6)})
	require.Equal(t, SpreadUnknown, c.Ratios[0].Verdict)
}

func TestRunsThatAreNotAlikeAreNamed(t *testing.T) {
	a, b := run(1, 1), run(1, 1)
	b.Settings.Durability, b.Settings.Callers, b.NotStarted, b.Interrupted = "sync", 8, 5, true
	require.Equal(t, []string{
		"B1: 5 operations were never started; its latencies are lower bounds",
		"B1: callers is 8, and 0 in A1",
		"B1: durability is sync, and not given in A1",
		"B1: was interrupted after 0.0 s",
	}, Compare([]Report{a}, []Report{b}).Differences)
	a.Settings.Seed = 9
	require.Empty(t, Compare([]Report{a}, []Report{run(1, 1)}).Differences, "seeds are meant to differ")
}

func TestReportsAreRead(t *testing.T) {
	two, err := ReadReports(strings.NewReader(`{"kinds":[{"kind":"get"}]} {"kinds":[{"kind":"put"}]}`))
	require.NoError(t, err)
	require.Len(t, two, 2)
	for _, text := range []string{"", "{}", "[", `{"kinds":3}`} {
		_, err := ReadReports(strings.NewReader(text))
		require.Error(t, err, text)
	}
}

// drawn is a report with everything that the picture shows.
func drawn(t *testing.T) Report {
	t.Helper()
	tally := NewTally(at(0))
	var intervals []Interval
	for i := range 20_000 {
		for j, kind := range []Kind{Get, Put} {
			s := sample(i, i, i+1+j+i%7+i%997/900*40)
			s.Kind = kind
			if i/1000 == 12 && i%3 == 0 {
				s.Failed.Code = "timeout"
			}
			tally.Add(s)
		}
		if i%1000 == 999 {
			intervals = append(intervals, tally.Cut(at(i-999), at(i+1)))
		}
	}
	tally.End(at(20_000))
	r := tally.Report()
	r.Intervals, r.Settings.Profile, r.Settings.Mix, r.NotStarted = intervals, "<&\">", "get=50,put=50", 1234
	return r
}

// The picture is one well-formed document that asks for nothing from outside.
func TestThePictureStandsAlone(t *testing.T) {
	for _, r := range []Report{drawn(t), {}} {
		picture := r.SVG()
		d, texts := xml.NewDecoder(strings.NewReader(picture)), 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "text" {
				texts++
			}
		}
		require.Greater(t, texts, 8)
		require.Equal(t, r.NotStarted > 0, strings.Contains(picture, "1,234 operations were never started"))
		for _, never := range []string{"NaN", "Inf", "href", "url(", "<script", "<image", "@import"} {
			require.NotContains(t, picture, never)
		}
		require.Equal(t, 1, strings.Count(picture, "http"), "its own name space alone")
	}
}
