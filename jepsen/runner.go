package jepsen

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/jepsen/workload"
)

// runner makes clients of one kind work until it is told that the faults have
// ended, and then reads everything at every node.
type runner struct {
	kind    workload.Kind
	config  workload.Config
	clients int
	seed    uint64
	// doors carry out the work, each client's the one at its number; final the reads
	// at the end.
	doors []Doorway
	final Door
	// n, r and w are the quorums in force, for the checkers.
	n, r, w int
	// pause is the time between two operations of one client.
	pause time.Duration
	// since is the clock of the run.
	since func() time.Duration
	// gate is held by everyone who works; who holds it alone keeps all from working.
	gate *sync.RWMutex

	rec history.Recorder
	// told counts what clients were told so far.
	told struct{ answered, refused, unknown atomic.Int64 }
}

// work makes all clients work until stop is closed.
func (r *runner) work(ctx context.Context, stop <-chan struct{}) error {
	clients := make([]*workload.Client, r.clients)
	for i := range clients {
		c, err := workload.NewClient(r.kind, r.config, i, rand.New(rand.NewPCG(r.seed, uint64(i))))
		if err != nil {
			return err
		}
		clients[i] = c
	}
	var wg sync.WaitGroup
	for i, c := range clients {
		door := r.doors[i%len(r.doors)].Door
		wg.Go(func() {
			var last workload.Result
			for r.enter(stop) {
				last = r.one(ctx, i, door, c.Next(last))
				r.gate.RUnlock()
				r.count(last)
				wait(stop, r.pause)
			}
		})
	}
	wg.Wait()
	return nil
}

// enter waits until the gate is open, and says whether there is work still.
func (r *runner) enter(stop <-chan struct{}) bool {
	r.gate.RLock()
	if !closed(stop) && r.told.answered.Load()+r.told.refused.Load()+r.told.unknown.Load() < OpsMax {
		return true
	}
	r.gate.RUnlock()
	return false
}

func (r *runner) count(result workload.Result) {
	switch result.Outcome {
	case kindred.Applied:
		r.told.answered.Add(1)
	case kindred.NotApplied:
		r.told.refused.Add(1)
	default:
		r.told.unknown.Add(1)
	}
}

// tally is what clients were told so far.
func (r *runner) tally() report.Tally {
	t := report.Tally{Answered: int(r.told.answered.Load()), Refused: int(r.told.refused.Load()), Unknown: int(r.told.unknown.Load())}
	t.Operations = t.Answered + t.Refused + t.Unknown
	return t
}

// one carries out an intent and records it.
func (r *runner) one(ctx context.Context, process int, door Door, i workload.Intent) workload.Result {
	n := r.rec.Begin(i.Begin(process, r.since()))
	result := door.Do(ctx, i)
	result.N, result.Need = r.n, r.r
	if i.IsWrite() {
		result.Need = r.w
	}
	if i.Final {
		result.Need = r.n
	}
	r.rec.End(n, func(op *history.Op) { result.End(op, r.since()) })
	return result
}

// finish reads every key at every node from all home replicas. It does not stop when
// the time is over: a read that was not answered is something that the judges see, and
// one that was left out is not, if the key was read at another node.
func (r *runner) finish(ctx context.Context) {
	for _, i := range r.config.FinalReads() {
		r.one(ctx, r.clients, r.final, i)
	}
}

// history is all that was done and told.
func (r *runner) history() history.History {
	return r.rec.History(history.Header{Workload: string(r.kind), Seed: r.seed}, r.since())
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func wait(stop <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-stop:
	case <-t.C:
	}
}
