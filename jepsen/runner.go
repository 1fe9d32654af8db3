package jepsen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
)

// Runner makes clients of one kind work until it is told that the faults have
// ended, and then reads everything at every node.
type Runner struct {
	Kind    workload.Kind
	Config  workload.Config
	Clients int
	Seed    uint64
	// Door carries out the work, Final the reads at the end.
	Door, Final Door
	// N, R and W are the quorums in force, for the checkers.
	N, R, W int
	// Pause is the time between two operations of one client.
	Pause time.Duration
	// Rest, if set, waits after the end of all faults and operations until the
	// cluster has brought everything everywhere by itself. Without it read repair
	// has to, which cannot find what guests alone hold.
	Rest func(ctx context.Context) error
}

// Tally counts what clients were told.
type Tally struct{ Operations, Failed int64 }

// Run works until stop is closed and returns the history with its final reads.
// An error says that the run itself could not be made.
func (r Runner) Run(ctx context.Context, stop <-chan struct{}) (history.History, Tally, error) {
	var rec history.Recorder
	var tally struct{ operations, failed atomic.Int64 }
	begin := time.Now()
	since := func() time.Duration { return time.Since(begin) }
	clients := make([]*workload.Client, r.Clients)
	for i := range clients {
		c, err := workload.NewClient(r.Kind, r.Config, i, rand.New(rand.NewPCG(r.Seed, uint64(i))))
		if err != nil {
			return history.History{}, Tally{}, err
		}
		clients[i] = c
	}
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			var last workload.Result
			for !closed(stop) && ctx.Err() == nil {
				last = r.one(ctx, &rec, i, r.Door, c.Next(last), since)
				tally.operations.Add(1)
				if last.Outcome != kindred.Applied {
					tally.failed.Add(1)
				}
				wait(stop, r.Pause)
			}
		})
	}
	wg.Wait()
	if err := r.finish(ctx, &rec, since); err != nil {
		return history.History{}, Tally{}, err
	}
	h := rec.History(history.Header{Workload: string(r.Kind), Seed: r.Seed}, since())
	return h, Tally{tally.operations.Load(), tally.failed.Load()}, ctx.Err()
}

// one carries out an intent and records it.
func (r Runner) one(ctx context.Context, rec *history.Recorder, process int, door Door, i workload.Intent, since func() time.Duration) workload.Result {
	n := rec.Begin(i.Begin(process, since()))
	result := door.Do(ctx, i)
	result.N, result.Need = r.N, r.R
	if i.IsWrite() {
		result.Need = r.W
	}
	if i.Final {
		result.Need = r.N
	}
	rec.End(n, func(op *history.Op) { result.End(op, since()) })
	return result
}

// finish reads every key at every node from all home replicas, once the cluster
// has come to rest.
func (r Runner) finish(ctx context.Context, rec *history.Recorder, since func() time.Duration) error {
	rest := r.Rest
	if rest == nil {
		rest = r.mend
	}
	if err := rest(ctx); err != nil {
		return err
	}
	for _, i := range r.Config.FinalReads() {
		r.one(ctx, rec, r.Clients, r.Final, i, since)
	}
	return nil
}

// mend makes the final reads once for the sake of read repair.
func (r Runner) mend(ctx context.Context) error {
	for _, i := range r.Config.FinalReads() {
		if result := r.Final.Do(ctx, i); result.Outcome != kindred.Applied {
			return fmt.Errorf("jepsen: the cluster does not answer after the end of all faults: %s", result.Error)
		}
	}
	return nil
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
