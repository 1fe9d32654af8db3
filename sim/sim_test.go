package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "the seed to replay in TestSeed")
	seedsFlag  = flag.Int("seeds", 0, "how many seeds TestSeeds runs; 0 is a number that fits into make test")
	firstFlag  = flag.Uint64("first", 1, "the seed at which TestSeeds begins")
	eventsFlag = flag.Int("events", 60, "how many of the last events a failure shows")
	storyFlag  = flag.Bool("story", false, "print every event of TestSeed")
)

const (
	// seedsInTests fit into make test under the race detector.
	seedsInTests = 36
	// seedsForHits take every rare branch several times over; make test runs as
	// many without the race detector.
	seedsForHits = 300
)

// report says everything about a broken promise that is needed to look for it.
func report(r *Result) string {
	return fmt.Sprintf("seed %d: %v\n\nreplay: go test ./sim -run 'TestSeed$' -seed=%d -v\n\nconfiguration: %v\n\nthe last events:\n%s",
		r.Seed, r.Finding, r.Seed, r.Config, strings.Join(r.Last, "\n"))
}

// TestSeed replays one seed.
func TestSeed(t *testing.T) {
	seed := max(*seedFlag, 1)
	options := Options{Events: *eventsFlag}
	if *storyFlag {
		options.Log = func(line string) { fmt.Println(line) }
	}
	r := Run(seed, options)
	t.Logf("seed %d: %v\n%d operations, %d attempts, %d events in %v of storm, hash %016x\n%v", seed, r.Config, r.Operations, r.Attempts, r.Events, r.Stormed, r.Hash, r.Hits)
	if r.Finding != nil {
		t.Fatal(report(r))
	}
}

// TestSeeds runs many seeds, and demands that no promise is broken in any and
// that every rare branch was taken in some (C17).
func TestSeeds(t *testing.T) {
	seeds := *seedsFlag
	if seeds == 0 {
		seeds = seedsInTests
	}
	var hits Hits
	var stormed time.Duration
	var slowest time.Duration
	operations, began := 0, time.Now()
	for i := range seeds {
		r := Run(*firstFlag+uint64(i), Options{Events: *eventsFlag})
		if r.Finding != nil {
			t.Fatal(report(r))
		}
		slowest = max(slowest, r.Converged)
		hits, stormed, operations = hits.Plus(r.Hits), stormed+r.Stormed, operations+r.Operations
	}
	took := time.Since(began)
	t.Logf("%d seeds: %v of storm and %d operations in %v: %.0f simulated hours per hour; equal by exchange within %v\n%v",
		seeds, stormed.Round(time.Second), operations, took.Round(time.Millisecond), stormed.Seconds()/took.Seconds(), slowest, hits)
	if seeds >= seedsForHits {
		require.Empty(t, hits.Missing(), "rare branches that no seed has taken")
	}
}
