package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A small heap may grow to five times what lives in it before it is collected, which
// spares CPU time under load: an idle node stays near 32 MiB all the same. What
// lives is small, because Pebble's cache and memtables are not on the heap; with
// thousands of connections it is not, and then their greetings would leave gigabytes
// behind, with what lives strewn among them.
const (
	gcPercentMost, gcPercentLeast = 400, 100
	// garbageBytesMax is about how much garbage there may be unless more than that
	// lives.
	garbageBytesMax = 128 << 20
	// garbageEvery is how often the node looks how much lives.
	garbageEvery = time.Second
)

// gcPercent is how much garbage there may be before it is collected, in percent of
// what lives.
func gcPercent(live uint64) int {
	if live == 0 {
		return gcPercentMost
	}
	return int(min(max(garbageBytesMax*100/live, gcPercentLeast), gcPercentMost))
}

// boundGarbage keeps to gcPercent until ctx ends. GOGC overrides it.
func boundGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(gcPercentMost)
	tick := time.NewTicker(garbageEvery)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for now := gcPercentMost; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(live)
		// Each change stops the world for a moment, so small ones wait.
		if want := gcPercent(live[0].Value.Uint64()); 4*max(want-now, now-want) > now {
			debug.SetGCPercent(want)
			now = want
		}
	}
}
