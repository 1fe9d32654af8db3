package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryEvery is how often the node looks for memory that it no longer uses.
	memoryEvery = 15 * time.Second
	// spareBytesMin is what is too little to collect garbage for.
	spareBytesMin = 16 << 20
)

// memory is what the Go runtime holds. It keeps the garbage of a rush, such as
// thousands of handshakes, for as long as nothing follows it.
type memory struct {
	samples []metrics.Sample
	// made is how much had been allocated since the start, when it was last read.
	made uint64
}

func newMemory() *memory {
	m := &memory{}
	for _, name := range []string{
		"/gc/heap/allocs:bytes", "/gc/heap/live:bytes",
		"/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes",
	} {
		m.samples = append(m.samples, metrics.Sample{Name: name})
	}
	return m
}

// idle reads what the runtime holds, and reports whether most of it is for nothing.
func (m *memory) idle() bool {
	metrics.Read(m.samples)
	made, live := m.samples[0].Value.Uint64(), m.samples[1].Value.Uint64()
	objects, free := m.samples[2].Value.Uint64(), m.samples[3].Value.Uint64()
	fresh := made - m.made
	m.made = made
	return worthIt(free+objects-min(objects, live), fresh)
}

// worthIt reports whether memory should go back to the system: a node that allocated
// as much as a quarter of it since the last look will want it again.
func worthIt(spare, fresh uint64) bool { return spare >= spareBytesMin && spare > 4*fresh }

// giveBack returns unused memory to the system until ctx ends.
func giveBack(ctx context.Context) {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for m := newMemory(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if m.idle() {
			debug.FreeOSMemory()
		}
	}
}
