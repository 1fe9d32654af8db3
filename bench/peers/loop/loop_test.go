package loop_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/bench/peers/loop"
)

func TestPercentile(t *testing.T) {
	var sorted []time.Duration
	for n := range 1000 {
		sorted = append(sorted, time.Duration(n+1))
	}
	for p, want := range map[float64]time.Duration{0: 1, 50: 500, 99: 990, 99.9: 999, 100: 1000} {
		require.Equal(t, want, loop.Percentile(sorted, p), "%v", p)
	}
	require.Equal(t, time.Duration(7), loop.Percentile([]time.Duration{7}, 99.9))
	require.Zero(t, loop.Percentile(nil, 50))
}

func TestAClosedLoopAsksWhenItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most, now atomic.Int64
		r := loop.Run(t.Context(), loop.Load{Callers: 4, Time: time.Second}, func(_ context.Context, caller int, n int64) error {
			require.Less(t, caller, 4)
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(10 * time.Millisecond) // the answer's time, on the clock of the test
			now.Add(-1)
			return nil
		})
		require.EqualValues(t, 4*100, r.Operations)
		require.EqualValues(t, 4, most.Load())
		require.Equal(t, 10*time.Millisecond, r.P50)
		require.Equal(t, time.Second, r.Took)
	})
}

func TestAnOpenLoopChargesAStallWithAllThatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// For its first half the store answers nobody. A closed loop would see one slow
		// answer for each caller; here half of the operations have waited.
		began := time.Now()
		r := loop.Run(t.Context(), loop.Load{Callers: 2, Time: 10 * time.Second, Rate: 100, Seed: 1}, func(context.Context, int, int64) error {
			time.Sleep(time.Until(began.Add(5 * time.Second)))
			return nil
		})
		require.InDelta(t, 1000, r.Operations, 150)
		require.Greater(t, r.P99, 4*time.Second)
		require.Zero(t, r.NotStarted)
	})
}

func TestAnOpenLoopCountsWhatItCouldNotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := loop.Run(t.Context(), loop.Load{Callers: 1, Time: 10 * time.Second, Rate: 100, Seed: 1}, func(context.Context, int, int64) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		require.InDelta(t, 100, r.Operations, 2)
		require.InDelta(t, 900, r.NotStarted, 150)
	})
}

func TestFailuresAreNoOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := loop.Run(t.Context(), loop.Load{Callers: 1, Time: time.Second}, func(_ context.Context, _ int, n int64) error {
			if n == 1 {
				return errors.New("the first")
			}
			return errors.New("another")
		})
		require.Zero(t, r.Operations)
		require.EqualValues(t, 100, r.Failed, "a caller that is refused pauses")
		require.Equal(t, "the first", r.Failure)
	})
}

func TestALoopEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := loop.Run(ctx, loop.Load{Callers: 3, Time: time.Hour}, func(ctx context.Context, _ int, _ int64) error {
			<-ctx.Done()
			return ctx.Err()
		})
		require.Equal(t, time.Second, r.Took)
		require.Zero(t, r.Failed, "an interrupt is not the store's failure")
	})
}
