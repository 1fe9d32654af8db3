package table_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/bench/peers/table"
)

func sample(question string, round int, cpu, throughput float64) table.Sample {
	return table.Sample{Question: question, Round: round, Operations: 100, CPU: cpu, Throughput: throughput}
}

func TestTheMedianIsOfTheRatiosAndNotOfTheSides(t *testing.T) {
	// Other work burdens the machine in round 2: both sides take three times as long,
	// and their ratio stays. The ratio of the medians would be 20/30.
	samples := []table.Sample{
		sample("a", 1, 20, 0), sample("b", 1, 10, 0),
		sample("a", 2, 60, 0), sample("b", 2, 30, 0),
		sample("a", 3, 15, 0), sample("b", 3, 30, 0),
	}
	got := table.Judge([]table.Bar{{Over: table.One("a", table.CPU), Under: table.One("b", table.CPU), Gate: 2}}, samples)[0]
	require.Equal(t, table.Spread{Rounds: 3, Median: 2, Least: 0.5, Greatest: 2}, got.Spread)
	require.Equal(t, table.Reached, got.Verdict)
}

func TestAFloorIsASum(t *testing.T) {
	samples := []table.Sample{sample("put", 1, 44, 0), sample("link", 1, 10, 0), sample("disk", 1, 4, 0)}
	floor := []table.Term{{Times: 1, Question: "link", Of: table.CPU}, {Times: 3, Question: "disk", Of: table.CPU}}
	got := table.Judge([]table.Bar{{Over: table.One("put", table.CPU), Under: floor}}, samples)[0]
	require.InDelta(t, 2, got.Median, 1e-9)
	require.Equal(t, table.Told, got.Verdict, "there is no gate")
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		atLeast              bool
		ratio, gate, stretch float64
		want                 table.Verdict
	}{
		{false, 2.2, 2.2, 1.5, table.Reached},
		{false, 2.21, 2.2, 1.5, table.Missed},
		{false, 1.5, 2.2, 1.5, table.Stretched},
		{false, 1, 2, 0, table.Reached},
		{true, 8, 8, 0, table.Reached},
		{true, 7.9, 8, 0, table.Missed},
		{true, 5, 3, 5, table.Stretched},
		{true, 4, 3, 5, table.Reached},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			bar := table.Bar{Over: table.One("a", table.Throughput), Under: table.One("b", table.Throughput), AtLeast: tt.atLeast, Gate: tt.gate, Stretch: tt.stretch}
			got := table.Judge([]table.Bar{bar}, []table.Sample{sample("a", 1, 0, tt.ratio), sample("b", 1, 0, 1)})
			require.Equal(t, tt.want, got[0].Verdict)
		})
	}
}

func TestWhatWasNotMeasuredIsNeitherMetNorMissed(t *testing.T) {
	bar := table.Bar{Over: table.One("a", table.CPU), Under: table.One("b", table.CPU), Gate: 2}
	t.Run("nobody asked", func(t *testing.T) {
		got := table.Judge([]table.Bar{bar}, []table.Sample{sample("a", 1, 1, 0)})[0]
		require.Equal(t, table.Unknown, got.Verdict)
		require.Equal(t, "b", got.Lacks)
	})
	t.Run("nobody answered", func(t *testing.T) {
		got := table.Judge([]table.Bar{bar}, []table.Sample{sample("a", 1, 1, 0), {Question: "b", Round: 1, Failed: 7}})[0]
		require.Equal(t, table.Unknown, got.Verdict)
	})
	t.Run("one round of two", func(t *testing.T) {
		got := table.Judge([]table.Bar{bar}, []table.Sample{sample("a", 1, 1, 0), sample("a", 2, 6, 0), sample("b", 2, 2, 0)})[0]
		require.Equal(t, 1, got.Rounds)
		require.Equal(t, table.Missed, got.Verdict)
	})
}

func TestWhatWasLostLeavesABarInDoubt(t *testing.T) {
	late := sample("a", 1, 1, 0)
	late.NotStarted = 3
	samples := []table.Sample{late, sample("b", 1, 1, 0)}
	bar := table.Bar{Over: table.One("a", table.CPU), Under: table.One("b", table.CPU), Gate: 2, Stretch: 1}
	got := table.Judge([]table.Bar{bar}, samples)[0]
	require.Equal(t, table.Doubtful, got.Verdict)
	require.EqualValues(t, 3, got.Lost)
	bar.Gate, bar.Stretch = 0.5, 0.25
	require.Equal(t, table.Missed, table.Judge([]table.Bar{bar}, samples)[0].Verdict, "what is missed is missed")
}

func TestSpread(t *testing.T) {
	require.Zero(t, table.SpreadOf(nil))
	require.Equal(t, table.Spread{Rounds: 4, Median: 2.5, Least: 1, Greatest: 9}, table.SpreadOf([]float64{9, 1, 3, 2}), "the middle of two")
}

// TestBars holds the bars themselves to their form: a gate that the stretch does not
// tighten is a slip of the pen.
func TestBars(t *testing.T) {
	for _, b := range table.Bars() {
		require.NotEmpty(t, b.Over, b.Says)
		require.NotEmpty(t, b.Under, b.Says)
		switch {
		case b.Stretch == 0:
		case b.AtLeast:
			require.Greater(t, b.Stretch, b.Gate, b.Says)
		default:
			require.Less(t, b.Stretch, b.Gate, b.Says)
		}
	}
}
