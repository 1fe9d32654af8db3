package sim

import (
	"flag"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	minutesFlag = flag.Float64("minutes", 0, "how long the storms of TestLong, or of TestSeed, last; 0 is 5 for TestLong")
	longFlag    = flag.Int("long", 0, "how many seeds TestLong runs")
	nodesFlag   = flag.Int("nodes", 0, "run only seeds with so many nodes in TestLong; 0 is any")
)

const (
	// longStorm is the least length of a long storm.
	longStorm = 5 * time.Minute
	// operationsBar and faultsBar are the least means of long runs: operations in a
	// second and faults in ten.
	operationsBar, faultsBar = 100, 1
	// findingsMax is how many seeds with a finding TestLong goes on after.
	findingsMax = 20
)

func longMinutes() time.Duration {
	if *minutesFlag == 0 {
		return longStorm
	}
	return time.Duration(*minutesFlag * float64(time.Minute))
}

// tally is the sum of many runs.
type tally struct {
	seeds, operations, keys, nodes int
	// thin are runs below one of the bars by themselves.
	thin    int
	stormed time.Duration
	slowest time.Duration
	faults  FaultCount
	hits    Hits
	began   time.Time
	// cpu is what the process had used when it began.
	cpu time.Duration
}

func newTally() tally { return tally{began: time.Now(), cpu: processorTime()} }

// processorTime is what the process has used so far, collecting garbage included.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("sim: no processor time: %v", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (s *tally) add(r *Result) {
	one := tally{operations: r.Operations, stormed: r.Stormed, faults: r.Faults}
	if one.perSecond() < operationsBar || one.faultsInTen() < faultsBar {
		s.thin++
	}
	s.seeds++
	s.operations += r.Operations
	s.keys += r.Keys
	s.nodes += r.Config.Nodes
	s.stormed += r.Stormed
	s.slowest = max(s.slowest, r.Converged)
	s.faults, s.hits = s.faults.Plus(r.Faults), s.hits.Plus(r.Hits)
}

func (s *tally) perSecond() float64   { return float64(s.operations) / s.stormed.Seconds() }
func (s *tally) faultsInTen() float64 { return float64(s.faults.Total()) / s.stormed.Seconds() * 10 }

// String is one line.
func (s *tally) String() string {
	took, used := time.Since(s.began), processorTime()-s.cpu
	return fmt.Sprintf("%d seeds of %.1f nodes: %v of storm (%.1f hours), %d operations on %d keys, %d faults: %.0f operations/s, %.1f faults in 10 s; equal by exchange within %v; in %v and %v of processor time, %.0f simulated hours per core-hour",
		s.seeds, float64(s.nodes)/float64(s.seeds), s.stormed.Round(time.Second), s.stormed.Hours(), s.operations, s.keys, s.faults.Total(), s.perSecond(), s.faultsInTen(),
		s.slowest.Round(time.Millisecond), took.Round(time.Second), used.Round(100*time.Millisecond), s.stormed.Seconds()/used.Seconds())
}

// TestLong plays storms of minutes, and demands that no promise is broken in any and
// that they were as dense as the bars say. It goes on after a finding.
func TestLong(t *testing.T) {
	if *longFlag == 0 {
		t.Skip("long storms: make sim SEEDS=2000 MINUTES=5; some are part of TestSeeds")
	}
	collectLess(t)
	sum, failed := newTally(), []uint64{}
	told := sum.began
	for seed := *firstFlag; sum.seeds < *longFlag; seed++ {
		if *nodesFlag > 0 && DrawLong(seed, 0).Nodes != *nodesFlag {
			continue
		}
		r := Play(seed, withLayouts(seed, DrawLong(seed, longMinutes())), Options{Events: *eventsFlag})
		sum.add(r)
		if r.Finding != nil {
			failed = append(failed, r.Seed)
			fmt.Println(report(r))
			if len(failed) == findingsMax {
				break
			}
		}
		if time.Since(told) > 30*time.Second {
			told = time.Now()
			left := time.Duration(float64(told.Sub(sum.began)) / float64(sum.seeds) * float64(*longFlag-sum.seeds))
			fmt.Printf("%s; %d findings; %v left\n", &sum, len(failed), left.Round(time.Second))
		}
	}
	t.Logf("%s; %d runs below a bar by themselves\n%v\n%v", &sum, sum.thin, sum.faults, sum.hits)
	require.Empty(t, failed, "seeds with a finding")
	require.GreaterOrEqual(t, sum.perSecond(), float64(operationsBar), "operations in a second of storm")
	require.GreaterOrEqual(t, sum.faultsInTen(), float64(faultsBar), "faults in ten seconds of storm")
}
