package loop

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/bench/load"
)

// OpenCallers is how many operations of an open loop can be under way.
const OpenCallers = 512

// failurePause keeps callers that are refused at once from doing nothing else.
const failurePause = 10 * time.Millisecond

// Op is one operation. Caller is below the number of callers; n is this operation's
// own, from 1 on.
type Op func(ctx context.Context, caller int, n int64) error

// Load says how to ask.
type Load struct {
	Callers int
	Time    time.Duration
	// Rate is that of an open loop, in operations per second. 0 is a closed loop.
	Rate float64
	Seed uint64
}

// Result is what became of it.
type Result struct {
	Operations, Failed int64
	// NotStarted fell due in an open loop and were never begun.
	NotStarted     int64
	Took           time.Duration
	P50, P99, P999 time.Duration
	// Failure is the first one, empty if there is none.
	Failure string
}

// Run asks until the time is over and waits for the last answers.
func Run(ctx context.Context, l Load, op Op) Result {
	r := run{Load: l, op: op, began: time.Now(), latencies: make([][]time.Duration, l.Callers)}
	if l.Rate > 0 {
		r.moments.Arrivals = load.NewArrivals(r.began, l.Rate, load.Poisson, l.Seed)
	}
	var callers sync.WaitGroup
	for i := range l.Callers {
		callers.Go(func() { r.latencies[i] = r.call(ctx, i) })
	}
	callers.Wait()
	if r.moments.Arrivals != nil {
		r.notStarted.Add(r.moments.Before(r.began.Add(l.Time)))
	}
	return r.result()
}

type run struct {
	Load
	op        Op
	began     time.Time
	latencies [][]time.Duration

	moments struct {
		sync.Mutex
		*load.Arrivals
	}
	numbers, failed, notStarted atomic.Int64
	first                       atomic.Pointer[error]
}

// call is the life of one caller.
func (r *run) call(ctx context.Context, number int) (took []time.Duration) {
	end := r.began.Add(r.Time)
	for {
		from, ok := r.next(ctx, end)
		if !ok {
			return took
		}
		err := r.op(ctx, number, r.numbers.Add(1))
		if err == nil {
			took = append(took, time.Since(from))
			continue
		}
		if ctx.Err() != nil {
			return took
		}
		r.failed.Add(1)
		r.first.CompareAndSwap(nil, &err)
		if r.Rate == 0 {
			wait(ctx, failurePause)
		}
	}
}

// next is the moment from which the next operation counts.
func (r *run) next(ctx context.Context, end time.Time) (time.Time, bool) {
	now := time.Now()
	if r.moments.Arrivals == nil {
		return now, now.Before(end) && ctx.Err() == nil
	}
	r.moments.Lock()
	meant := r.moments.Next()
	r.moments.Unlock()
	if !meant.Before(end) {
		return meant, false
	}
	if !now.Before(end) { // it fell due while all callers were waiting
		r.notStarted.Add(1)
		return meant, false
	}
	return meant, wait(ctx, time.Until(meant))
}

func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (r *run) result() Result {
	all := slices.Concat(r.latencies...)
	slices.Sort(all)
	out := Result{
		Operations: int64(len(all)), Failed: r.failed.Load(), NotStarted: r.notStarted.Load(), Took: time.Since(r.began),
		P50: Percentile(all, 50), P99: Percentile(all, 99), P999: Percentile(all, 99.9),
	}
	if err := r.first.Load(); err != nil {
		out.Failure = (*err).Error()
	}
	return out
}

// Percentile of sorted latencies: the least of them that at least p of a hundred do
// not exceed; 0 if there are none.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	const slip = 1e-9 // of the multiplication
	i := int(math.Ceil(p/100*float64(len(sorted))-slip)) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}
