package driver

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/bench/load"
	"github.com/kindredkv/kindred/client"
)

// Grace is how long operations that are under way may take when time is up, or when
// somebody interrupts.
const Grace = 5 * time.Second

// intervalMin is the shortest interval of a report.
const intervalMin = time.Second

// Run is one measurement. Its fields are set before Do.
type Run struct {
	Settings load.Settings
	Store    Store
	// Read and Write are options of every such call.
	Read, Write []client.CallOption
	// Stats are the client's totals, nil if nobody knows them.
	Stats func() client.Stats
	// CPU are the processes to watch.
	CPU []Process
	// Stored is told how many keys are stored already, by many goroutines at once;
	// Each is told of every interval. Both may be nil.
	Stored func(done uint64)
	Each   func(load.Interval)

	keys     *load.Keys
	values   load.Values
	contexts contexts
	tally    *load.Tally

	// moments is the open loop's timetable, under its lock; nil is a closed loop.
	moments struct {
		sync.Mutex
		*load.Arrivals
	}
	notStarted, cutShort atomic.Int64
}

// prepare makes what all callers share.
func (r *Run) prepare() {
	s := &r.Settings
	r.keys, r.contexts = load.NewKeys(s.Keys, 1+rand.Uint64N(load.EpochsMax-1)), newContexts(s.Keys)
	r.values = load.NewValues(s.ValueBytes, s.Seed)
}

func (r *Run) caller() *caller {
	return &caller{store: r.Store, contexts: r.contexts, read: r.Read, write: r.Write}
}

// Do stores the keys, warms up, measures, and reports. A context that ends ends the
// run early: what was measured until then is reported.
func (r *Run) Do(ctx context.Context) (load.Report, error) {
	r.prepare()
	stored, err := r.store(ctx)
	if err != nil {
		return load.Report{}, err
	}
	begin := time.Now()
	from := begin.Add(r.Settings.Warmup)
	r.tally = load.NewTally(from)
	if r.Settings.Rate > 0 {
		r.moments.Arrivals = load.NewArrivals(begin, r.Settings.Rate, r.Settings.Spacing, r.Settings.Seed)
	}
	timed, stop := context.WithDeadline(ctx, from.Add(r.Settings.Time))
	defer stop()
	asked, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	var callers sync.WaitGroup
	for i := range r.Settings.Callers {
		callers.Go(func() { r.call(timed, asked, i) })
	}
	report := r.watch(timed, from, begin)
	report.Stored = stored
	report.Interrupted = ctx.Err() != nil
	late := time.AfterFunc(Grace, giveUp)
	callers.Wait()
	late.Stop()
	r.complete(&report)
	return report, nil
}

// complete adds what is known once every operation has ended.
func (r *Run) complete(report *load.Report) {
	measured := r.tally.Report()
	measured.Began, measured.Stored, measured.Interrupted = report.Began, report.Stored, report.Interrupted
	measured.Client, measured.Intervals = report.Client, report.Intervals
	measured.Settings = r.Settings.Document()
	measured.NotStarted, measured.CutShort = r.notStarted.Load(), r.cutShort.Load()
	measured.SetCPU(report.CPU.Processes)
	*report = measured
}

// call is the life of one caller.
func (r *Run) call(timed, asked context.Context, number int) {
	source, c := load.NewSource(&r.Settings, r.keys, r.values, number), r.caller()
	for {
		meant, ok := r.next(timed)
		if !ok {
			return
		}
		op := source.Next()
		sample, err := c.timed(asked, &op, meant)
		if op.Kind == load.Insert {
			r.keys.Inserted(op.Number)
		}
		if err != nil && asked.Err() != nil {
			r.cutShort.Add(1)
			return
		}
		r.tally.Add(&sample)
		if err != nil && r.moments.Arrivals == nil {
			pause(timed)
		}
	}
}

// failurePause keeps the callers of a closed loop that are refused at once from
// doing nothing else.
const failurePause = 10 * time.Millisecond

// pause waits a little and reports whether to go on.
func pause(timed context.Context) bool { return sleep(timed, failurePause) }

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// next waits for the moment of an operation. In a closed loop that is now, and the
// zero time. False is the end.
func (r *Run) next(timed context.Context) (time.Time, bool) {
	if r.moments.Arrivals == nil {
		return time.Time{}, timed.Err() == nil
	}
	r.moments.Lock()
	meant := r.moments.Next()
	r.moments.Unlock()
	if wait := time.Until(meant); wait > 0 && !sleep(timed, wait) {
		return meant, false
	}
	if timed.Err() == nil {
		return meant, true
	}
	if meant.Before(time.Now()) { // it was due, and all callers were waiting
		r.notStarted.Add(1)
	}
	return meant, false
}

// overdue counts what fell due before the end and has not even been taken.
func (r *Run) overdue(end time.Time) {
	if r.moments.Arrivals == nil {
		return
	}
	r.moments.Lock()
	defer r.moments.Unlock()
	r.notStarted.Add(r.moments.Before(end))
}

// watch measures until the time is up, and says what is known then.
func (r *Run) watch(timed context.Context, from, begin time.Time) load.Report {
	w := watcher{Run: r, every: interval(r.Settings.Time), last: begin}
	w.report.Began = from.UTC().Format(time.RFC3339Nano)
	if r.Settings.Warmup > 0 {
		w.until(timed, from)
	}
	cpu, stats := sampleAll(timed, r.CPU), r.stats()
	w.report.Intervals = []load.Interval{} // the warm-up is shown and not reported
	deadline, _ := timed.Deadline()
	w.until(timed, deadline)
	end := time.Now()
	r.tally.End(end)
	r.overdue(end)
	asked, cancel := context.WithTimeout(context.WithoutCancel(timed), metricsPatience)
	defer cancel()
	w.report.CPU.Processes = cpu.since(asked, r.CPU)
	w.report.Client = since(stats, r.stats())
	return w.report
}

// interval is a whole number of seconds that keeps reports short.
func interval(all time.Duration) time.Duration {
	return max(intervalMin, (all/load.SeriesMax+time.Second-1)/time.Second*time.Second)
}

// watcher ends the intervals.
type watcher struct {
	*Run
	every  time.Duration
	last   time.Time
	report load.Report
}

// until cuts an interval from time to time, and a last one at the end.
func (w *watcher) until(timed context.Context, end time.Time) {
	for {
		next := w.last.Add(w.every)
		if next.After(end) {
			next = end
		}
		over := !sleep(timed, time.Until(next))
		now := time.Now()
		if part := w.tally.Cut(w.last, now); now.After(w.last) {
			w.report.Intervals = append(w.report.Intervals, part)
			if w.Each != nil {
				w.Each(part)
			}
		}
		w.last = now
		if over || !now.Before(end) {
			return
		}
	}
}

func (r *Run) stats() client.Stats {
	if r.Stats == nil {
		return client.Stats{}
	}
	return r.Stats()
}

func since(a, b client.Stats) load.ClientDoc {
	return load.ClientDoc{
		Attempts: b.Attempts - a.Attempts, Retries: b.Retries - a.Retries, Hedges: b.Hedges - a.Hedges,
		RetriesDenied: b.RetriesDenied - a.RetriesDenied,
	}
}

// storeTries is how often a key is tried that could not be stored.
const storeTries = 3

// store makes sure that every key of the settings has a value, so that reads find
// something. What is there already stays, and is remembered.
func (r *Run) store(ctx context.Context) (load.Stored, error) {
	begin := time.Now()
	var next, found, written, failed atomic.Uint64
	var first atomic.Pointer[error]
	var callers sync.WaitGroup
	for i := range min(r.Settings.Callers, storeCallersMax) {
		callers.Go(func() {
			source, c := load.NewSource(&r.Settings, r.keys, r.values, i), r.caller()
			for ctx.Err() == nil {
				number := next.Add(1) - 1
				if number >= r.Settings.Keys {
					return
				}
				was, err := c.fresh(ctx, source.Fresh(number))
				switch {
				case err != nil:
					failed.Add(1)
					first.CompareAndSwap(nil, &err)
				case was:
					found.Add(1)
				default:
					written.Add(1)
				}
				if r.Stored != nil {
					r.Stored(found.Load() + written.Load() + failed.Load())
				}
			}
		})
	}
	callers.Wait()
	s := load.Stored{Found: found.Load(), Written: written.Load(), Failed: failed.Load(), Seconds: time.Since(begin).Seconds()}
	switch err := first.Load(); {
	case ctx.Err() != nil:
		return s, context.Cause(ctx)
	case err != nil && s.Found+s.Written == 0:
		return s, *err
	}
	return s, nil
}

// storeCallersMax keeps storing from being a storm of its own.
const storeCallersMax = 64

// fresh stores a key if it has no value, and reports whether it had one.
func (c *caller) fresh(ctx context.Context, op load.Op) (was bool, err error) {
	for range storeTries {
		var s load.Sample
		obj, getErr := c.get(ctx, &op, &s)
		if err = getErr; err == nil {
			if s.Siblings > 0 {
				return true, nil
			}
			if err = c.keep(ctx, &op, &s, c.contexts.of(op.Number), client.Seen(obj.Context)); err == nil {
				return false, nil
			}
		}
		if errors.Is(err, context.Canceled) || !pause(ctx) {
			break
		}
	}
	return false, err
}
