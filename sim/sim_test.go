package sim

import (
	"flag"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/jepsen/workload"
)

var (
	seedFlag    = flag.Uint64("seed", 0, "the seed to replay in TestSeed")
	seedsFlag   = flag.Int("seeds", 0, "how many seeds TestSeeds runs; 0 is a number that fits into make test")
	firstFlag   = flag.Uint64("first", 1, "the seed at which TestSeeds begins")
	eventsFlag  = flag.Int("events", 60, "how many of the last events a failure shows")
	layoutsFlag = flag.Bool("layouts", false, "let the layout change all the time")
	specialFlag = flag.String("special", "", "play seeds as that special in TestSeed and TestSeeds")
	storyFlag   = flag.Bool("story", false, "print every event of TestSeed")
)

const (
	// seedsInTests fit into make test under the race detector: they are those whose
	// hashes are compared between builds.
	seedsInTests = sameSeeds
	// seedsForHits, and longForHits long storms with them, take every rare branch
	// hitsLeast times at least; make test runs as many without the race detector. One
	// hit would do, but it would be gone with any change of the code.
	seedsForHits, longForHits, hitsLeast = 300, 4, 10
)

// report says everything about a broken promise that is needed to look for it.
func report(r *Result) string {
	return fmt.Sprintf("seed %d: %v\n\nreplay: %s -v\nshrink: %s -shrink -v\n\nconfiguration: %v\n\nthe last events:\n%s",
		r.Seed, r.Finding, command(r), command(r), r.Config, strings.Join(r.Last, "\n"))
}

// command plays a run again.
func command(r *Result) string {
	text := fmt.Sprintf("go test ./sim -run 'TestSeed$' -seed=%d", r.Seed)
	if r.Config.Rotate > 0 {
		text += fmt.Sprintf(" -minutes=%v", longMinutes().Minutes())
	}
	if *layoutsFlag {
		text += " -layouts"
	}
	if *specialFlag != "" {
		text += " -special=" + *specialFlag
	}
	if r.Config.part != nil {
		text += fmt.Sprintf(" -part='%v'", *r.Config.part)
	}
	return text
}

// drawn is the configuration of a seed, that of a special or of a long run if that is said.
func drawn(seed uint64) Config {
	if s, ok := specials[*specialFlag]; ok {
		return s.draw(seed)
	}
	if *minutesFlag > 0 {
		return withLayouts(seed, DrawLong(seed, longMinutes()))
	}
	return withLayouts(seed, Draw(seed))
}

// withLayouts lets the layout change if that was asked for.
func withLayouts(seed uint64, c Config) Config {
	if *layoutsFlag {
		return WithLayouts(seed, c)
	}
	return c
}

// TestSeed replays one seed, or the part of it that -part names. With -shrink it looks
// for a shorter run with the same finding.
func TestSeed(t *testing.T) {
	seed := max(*seedFlag, 1)
	options := Options{Events: *eventsFlag}
	if *storyFlag {
		options.Log = func(line string) { fmt.Println(line) }
	}
	part, err := ParsePart(*partFlag)
	require.NoError(t, err)
	if *shrinkFlag {
		shrinkSeed(t, seed, part)
		return
	}
	cfg := drawn(seed)
	if *partFlag != "" {
		cfg = part.Of(cfg)
	}
	r := Play(seed, cfg, options)
	if *historiesFlag != "" {
		require.NoError(t, keepHistory(r, *historiesFlag))
	}
	t.Logf("seed %d: %v\n%d operations, %d attempts, %d events in %v of storm, hash %016x\n%v", seed, r.Config, r.Operations, r.Attempts, r.Events, r.Stormed, r.Hash, r.Hits)
	if r.Finding != nil {
		t.Fatal(report(r))
	}
}

// collectLess lets the heap grow to several times what is in use before garbage is
// collected: a run has little in use, and makes much garbage.
func collectLess(t *testing.T) {
	percent, limit := debug.SetGCPercent(800), debug.SetMemoryLimit(heapMost)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
}

// heapMost is the size from which on garbage is collected after all.
const heapMost = 512 << 20

// TestSeeds runs many seeds, and demands that no promise is broken in any and
// that every rare branch was taken in some (C17).
func TestSeeds(t *testing.T) {
	seeds := *seedsFlag
	if seeds == 0 {
		seeds = seedsInTests
	}
	collectLess(t)
	sum := newTally()
	for i := range seeds {
		seed := *firstFlag + uint64(i)
		if seed <= sameSeeds && seeds == seedsInTests && !*layoutsFlag {
			sum.demand(t, firstRuns()[seed-1])
			continue
		}
		sum.demand(t, Play(seed, drawn(seed), Options{Events: *eventsFlag}))
	}
	t.Logf("%v", &sum)
	if seeds < seedsForHits {
		if *specialFlag != "" {
			t.Logf("%v\n%v", sum.faults, sum.hits)
		}
		return
	}
	long := newTally()
	for i := range longForHits {
		r := RunLong(*firstFlag+uint64(i), longStorm, Options{Events: *eventsFlag})
		long.demand(t, r)
		sum.hits = sum.hits.Plus(r.Hits)
	}
	for name, special := range specials {
		for i := range special.runs {
			seed := *firstFlag + uint64(i)
			r := Play(seed, special.draw(seed), Options{Events: *eventsFlag})
			if r.Finding != nil {
				t.Fatalf("%s\n\nin the configuration of %s", report(r), name)
			}
			sum.hits = sum.hits.Plus(r.Hits)
		}
	}
	t.Logf("long: %v\n%v\n%v", &long, long.faults, sum.hits)
	rare := slices.DeleteFunc(sum.hits.Rare(hitsLeast), func(b Branch) bool {
		return slices.Contains(hardlyEver, b) || slices.Contains(rareChanges, b) && (!*layoutsFlag || sum.hits[b] > 0)
	})
	require.Empty(t, rare, "rare branches that the runs have taken less than %d times", hitsLeast)
}

// rareChanges are demanded once, and only where the layout changes in every run.
var rareChanges = []Branch{RemovedTold, RemovedCameBack, GoneAnswered, RemovedRefused, LossAccepted, HintsStranded, CopyRetired, ReturnCrashed, ReturnCut, ReturnDiskLost}

// hardlyEver have been met by few runs, or by none: directed tests of core show what they
// are about (core/returned_test.go).
var hardlyEver = []Branch{HandedOnBlunt, StoodAtReturn}

// specials are runs for branches that are rarer than all others.
var specials = map[string]struct {
	runs int
	draw func(seed uint64) Config
}{"leaky": {12, leaky}, "dying": {30, dying}, "audited": {12, audited}, "crowded": {8, crowded}, "changing": {60, changing}, "returning": {30, returning}}

// changing is a storm in which owners change all the time.
func changing(seed uint64) Config { return WithLayouts(seed, Draw(seed)) }

// returning draws a storm in which nodes do what nobody else hears of, are removed, and come
// back when that has become void (R27).
func returning(seed uint64) Config {
	cfg := changing(seed)
	draw := chance(seed).with(0x4E7)
	cfg.Replicas, cfg.Nodes, cfg.Zones, cfg.Partitions = 3, 4+draw.with(1).below(2), 5, 4
	cfg.R, cfg.W, cfg.PR, cfg.PW, cfg.Mixed, cfg.Durability, cfg.Strict = 2, 2, 0, 0, false, kindred.Sync, 0.5
	cfg.Keys, cfg.Clients, cfg.Think = 3+draw.with(2).below(4), 6, 10*time.Millisecond
	cfg.Timeout, cfg.Storm, cfg.Retry, cfg.Again = 300*time.Millisecond, 20*time.Second, 0.3, 0.05
	cfg.Disk = Disk{Read: time.Millisecond, Sync: time.Millisecond}
	cfg.Net.Notice, cfg.Net.Unnoticed = 20*time.Millisecond, 0
	cfg.Limits.CloseAfter = time.Duration(50+draw.with(3).below(300)) * time.Millisecond
	cfg.Limits.LogRows = core.DefaultLimits().LogRows
	cfg.Fault = Faults{Kill: 4 * time.Second, KillFor: 300 * time.Millisecond, Cut: 4 * time.Second, CutFor: 300 * time.Millisecond}
	cfg.Loss = Losses{}
	cfg.Layouts = Layouts{
		Change: 3 * time.Second, Spares: 1 + draw.with(4).below(2), Return: 1, Back: 1, Torn: float64(draw.with(5).below(3)) / 4,
		Soon: time.Duration(200+draw.with(6).below(1000)) * time.Millisecond,
	}
	return cfg
}

// leaky draws a run in which the effects of deletes get about without their dots
// (C8): deletes that nobody else hears of, and many reads of few keys.
func leaky(seed uint64) Config {
	cfg := Draw(seed)
	cfg.Kinds, cfg.Keys, cfg.Clients, cfg.Think = []workload.Kind{workload.Recreate, workload.Sessions}, 2, 6, 5*time.Millisecond
	cfg.Replicas, cfg.R, cfg.W, cfg.Mixed, cfg.Durability, cfg.Strict = 3, 2, 1, false, kindred.Memory, 1
	cfg.PR, cfg.PW = 0, 0
	cfg.Timeout, cfg.Storm = 200*time.Millisecond, 6*time.Second
	cfg.Disk.Sync = 20 * time.Millisecond
	cfg.Fault = Faults{Stillborn: 0.03, AfterLeak: 1, KillFor: 300 * time.Millisecond}
	return cfg
}

// dying draws a run in which incarnations die with writes that nobody else has, and are
// closed while old messages of theirs still come and others are rebuilt (R13–R15).
func dying(seed uint64) Config {
	cfg := Draw(seed)
	draw := chance(seed).with(0xD1E)
	cfg.Replicas, cfg.Nodes, cfg.Zones, cfg.Partitions = 3, 4+draw.with(1).below(2), 5, 4
	cfg.R, cfg.W, cfg.PR, cfg.PW, cfg.Mixed, cfg.Durability, cfg.Strict = 2, 1, 0, 0, false, kindred.Memory, 0
	cfg.Keys, cfg.Clients, cfg.Think = 3+draw.with(2).below(4), 6, 5*time.Millisecond
	cfg.Timeout, cfg.Storm, cfg.Retry, cfg.Again = 300*time.Millisecond, 8*time.Second, 0.5, 0.1
	cfg.Disk = Disk{Read: time.Millisecond, Sync: 20 * time.Millisecond}
	cfg.Net.Late, cfg.Net.LateBy, cfg.Net.Loss = 0.1, 4*time.Second, 0.05
	cfg.Net.Notice, cfg.Net.Unnoticed = 20*time.Millisecond, 0
	cfg.Limits = Draw(1).Limits
	cfg.Limits.CloseAfter = time.Duration(50+draw.with(3).below(200)) * time.Millisecond
	cfg.Limits.LogRows, cfg.Limits.RebuildPageBytes = 8+draw.with(4).below(40), 1+draw.with(5).below(300)
	cfg.Limits.GuestAfter = 20 * time.Millisecond
	cfg.Fault = Faults{
		Kill: 700 * time.Millisecond, KillFor: 150 * time.Millisecond, Cut: 2 * time.Second, CutFor: 300 * time.Millisecond,
		AfterRepair: 0.02, AfterHint: 0.05, AfterKept: 0.02, AfterPromise: 0.2, Stillborn: 0.03, Belated: 0.7, AfterLeak: 0.5,
	}
	cfg.Loss.Wipe, cfg.Loss.AfterPage, cfg.Loss.Image, cfg.Loss.ImageAge = 1500*time.Millisecond, 0.1, 3*time.Second, 5*time.Second
	cfg.Loss.Away = 0
	return cfg
}

// audited draws a run in which disks lose rows, and audits that would find it are
// interrupted.
func audited(seed uint64) Config {
	cfg := Draw(seed)
	cfg.Replicas, cfg.Nodes, cfg.Storm, cfg.Keys = 3, 4, 10*time.Second, 6
	cfg.Fault = Faults{
		Audit: 300 * time.Millisecond, Rot: 500 * time.Millisecond, Vanish: 0.9, AfterAudit: 0.15,
		CutFor: 500 * time.Millisecond, Kill: 2 * time.Second, KillFor: 200 * time.Millisecond,
	}
	return cfg
}

// crowded draws a run in which guests have room for few hints, and need much.
func crowded(seed uint64) Config {
	cfg := Draw(seed)
	cfg.Replicas, cfg.Nodes, cfg.Strict, cfg.Storm, cfg.Keys = 3, 5, 0, 10*time.Second, 10
	cfg.PR, cfg.PW = 0, 0
	cfg.Net.Notice, cfg.Net.Unnoticed = 50*time.Millisecond, 0
	cfg.Limits.GuestAfter = 20 * time.Millisecond
	if cfg.Limits.Hints = 1 + int(seed%3); seed%2 == 0 {
		cfg.Limits.Hints, cfg.Limits.HintBytes = core.DefaultLimits().Hints, 500
	}
	cfg.Fault = Faults{Cut: time.Second, CutFor: 2 * time.Second, Kill: 700 * time.Millisecond, KillFor: 200 * time.Millisecond, AfterKept: 0.02}
	return cfg
}

// demand adds a run, and ends the test if it broke a promise.
func (s *tally) demand(t *testing.T, r *Result) {
	if r.Finding != nil {
		t.Fatal(report(r))
	}
	s.add(r)
}
