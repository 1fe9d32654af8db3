package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen/workload"
)

// Runs that show what went wrong elsewhere and must not go wrong here; the numbers
// are those of jepsen/README.md.

// Lesson 2: a put that had been coordinated at one node was forwarded, and
// coordinated again, and its value became a sibling of itself. Here one writer goes
// to every node in turns, some of which are no home of the key, with strict quorums,
// on a network that repeats all messages but forwards, at once and minutes later; and
// it asks again for what has succeeded. Nobody ever reads two values.
func TestLesson02_OneWriterMakesNoSiblings(t *testing.T) {
	var hits Hits
	for seed := range uint64(10) {
		cfg := calmDisks(seed)
		cfg.Nodes, cfg.Replicas, cfg.Clients, cfg.Kinds = 5, 3, 1, []workload.Kind{workload.Set}
		cfg.Strict, cfg.Fault, cfg.Again = 1, Faults{}, 0.3
		cfg.Net.Loss, cfg.Net.Tail, cfg.Net.Unnoticed = 0, 0, 0
		cfg.Net.Repeat, cfg.Net.Late, cfg.Net.LateBy = 0.1, 0.02, time.Minute
		r := Play(seed, cfg, Options{Events: 40})
		require.Nil(t, r.Finding, "seed %d: %v", seed, cfg)
		hits = hits.Plus(r.Hits)
	}
	require.Zero(t, hits[SiblingsSeen])
	require.Positive(t, hits[WriteForwarded])
	require.Positive(t, hits[RepeatSeen])
	require.Positive(t, hits[RetryServed])
}

// Lesson 17: where the later time wins, clocks that are off lose a third of what was
// acknowledged. Here clocks are hours apart, jump three times a second, now and then
// to 1970 and to 2262, and the homes of a key are cut from one another: every element
// that was added to a set is in it.
func TestLesson17_ClocksLoseNothingWhereSiblingsAreKept(t *testing.T) {
	var hits Hits
	for seed := range uint64(10) {
		cfg := calmDisks(seed)
		cfg.Kinds = []workload.Kind{workload.Set}
		cfg.Skew = 2 * time.Hour
		cfg.Fault = Faults{Jump: 300 * time.Millisecond, Cut: time.Second, CutFor: time.Second}
		r := Play(seed, cfg, Options{Events: 40})
		require.Nil(t, r.Finding, "seed %d: %v", seed, cfg)
		hits = hits.Plus(r.Hits)
	}
	require.Greater(t, hits[WallJumped], uint64(100))
	require.Positive(t, hits[SiblingsSeen])
}

// calmDisks draws a run in which no disk does anything wrong, no limit is tight and
// values neither expire nor give way to later ones.
func calmDisks(seed uint64) Config {
	cfg := Draw(seed)
	cfg.Limits = Draw(1).Limits
	cfg.Limits.Operations, cfg.Limits.Steps, cfg.Limits.Hints, cfg.Limits.Pages = 1000, 1000, 1000, 100
	cfg.Replicas, cfg.R, cfg.W, cfg.PR, cfg.PW, cfg.Mixed, cfg.Strict = 3, 2, 2, 0, 0, false, 0
	cfg.BucketTTL, cfg.ValueBytesMax = 0, 0
	cfg.Loss, cfg.Expire, cfg.LastWins, cfg.Disk.Stall = Losses{}, 0, false, 0
	cfg.Foreign, cfg.Flood, cfg.ByName, cfg.Retry, cfg.Timeout, cfg.Storm = 0, 0, 0, 0, 2*time.Second, 8*time.Second
	return cfg
}
