package node

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuestionsWaitForBytesThatWereSent(t *testing.T) {
	th := newThrottle(1<<20, 150)
	now := time.Unix(1e9, 0)
	for range 100 {
		th.answered(1 << 17) // an eighth of what may be sent in a second
	}
	require.Zero(t, th.hold(now))
	for i := 1; i <= 16; i++ {
		require.InDelta(t, float64(i)/8, th.hold(now).Seconds(), 0.01)
	}
	require.Equal(t, heldMax, th.hold(now))
	require.Equal(t, heldMax, th.hold(now), "and no longer")
	require.Zero(t, th.hold(now.Add(time.Minute)), "what was not used is not saved up")
	require.InDelta(t, 0.125, th.hold(now.Add(time.Minute)).Seconds(), 0.01)
	require.EqualValues(t, 100<<17, th.total.Load())

	free := newThrottle(0, 0)
	for range 1000 {
		free.answered(1 << 20)
		require.Zero(t, free.hold(now))
	}
}

// second lets a second pass in which clients waited so long, one in twenty of them ten
// times that, and so many bytes were sent.
func (t *throttle) second(now *time.Time, wait time.Duration, sent int) float64 {
	for i := range 200 {
		t.waits.add(wait)
		if i%20 == 0 {
			t.waits.add(10 * wait)
		}
	}
	t.answered(sent)
	*now = now.Add(time.Second)
	t.look(*now)
	limit, _ := t.state()
	return limit
}

// What others take over is sent more slowly as long as clients wait longer than before.
func TestClientsWhoWaitHoldTransfersBack(t *testing.T) {
	const most, sent = 64 << 20, 10 << 20
	th, now := newThrottle(most, 150), time.Unix(1e9, 0)
	for range 5 {
		require.EqualValues(t, most, th.second(&now, time.Millisecond, 1000))
	}
	require.EqualValues(t, most, th.second(&now, time.Millisecond, sent), "they wait no longer than usual")
	limit := th.second(&now, 2*time.Millisecond, sent)
	require.InDelta(t, less*sent, limit, 1000, "less than was sent, not less than might have been")
	lower := th.second(&now, 2*time.Millisecond, int(limit))
	require.Less(t, lower, limit)
	for range 3 { // what was a second ago still counts a half
		limit = th.second(&now, time.Millisecond, int(lower))
	}
	require.Greater(t, th.second(&now, time.Millisecond, int(limit)), limit)
	require.EqualValues(t, most, th.second(&now, time.Millisecond, sent/20), "something else holds it back")

	for range 20 {
		limit = th.second(&now, 4*time.Millisecond, transferFloor)
	}
	require.GreaterOrEqual(t, limit, float64(transferFloor), "it goes on")
	for range 100 {
		limit = th.second(&now, 4*time.Millisecond, transferFloor)
	}
	require.Greater(t, limit, float64(transferFloor), "it was not because of what is sent that they wait")
	require.EqualValues(t, most, th.second(&now, 4*time.Millisecond, 0))

	deaf, now := newThrottle(0, 0), time.Unix(1e9, 0)
	deaf.second(&now, time.Millisecond, 0)
	deaf.second(&now, time.Millisecond, 0)
	require.Equal(t, math.Inf(1), deaf.second(&now, time.Second, sent), "nobody is given way to")
}

func TestAThrottleKnowsWhetherClientsAreThere(t *testing.T) {
	th, now := newThrottle(0, 150), time.Unix(1e9, 0)
	th.second(&now, time.Millisecond, 0)
	_, serves := th.state()
	require.True(t, serves)
	th.look(now.Add(time.Second))
	_, serves = th.state()
	require.False(t, serves)
}

func TestWaitsFallIntoClassesThatAreAFifthApart(t *testing.T) {
	for d := 20 * time.Microsecond; d < 15*time.Second; d = d * 9 / 8 {
		var one tally
		one[waitClass(d)] = 1
		require.InEpsilon(t, float64(d), one.p99(), 0.21, d)
	}
	require.Zero(t, waitClass(0))
	require.Equal(t, waitClasses-1, waitClass(time.Hour))
}
