package nemesis

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAStepThatIsCutOffIsNoFailure: a step may be in the middle of something when the
// hurt ends, and say so in words of its own: that a lock was not free, that a node did
// not listen yet. One that fails before is a failure.
func TestAStepThatIsCutOffIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("node n1 did not listen")
		steps := 0
		var r repeated
		r.begin(func(ctx context.Context) (time.Duration, error) {
			if steps++; steps < 3 {
				return time.Second, nil
			}
			<-ctx.Done()
			return 0, failed
		})
		time.Sleep(10 * time.Second)
		require.NoError(t, r.end())
		require.Equal(t, 3, steps)
		require.NoError(t, r.end(), "there is nothing to end")

		r.begin(func(context.Context) (time.Duration, error) { return time.Second, nil })
		time.Sleep(1500 * time.Millisecond)
		require.NoError(t, r.end(), "between two steps")

		r.begin(func(context.Context) (time.Duration, error) { return time.Second, failed })
		time.Sleep(time.Second)
		require.Equal(t, failed, r.end())
	})
}
