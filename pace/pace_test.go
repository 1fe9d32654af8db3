package pace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var now = time.Unix(1_790_000_000, 0)

func TestWorkKeepsToItsRateAndGivesWayToRequests(t *testing.T) {
	for _, tt := range []struct{ busy, want int }{{0, 100}, {100, 50}, {300, 25}} {
		m := NewMeter(Rate{ItemsPerSecond: 10, BytesPerSecond: 1000, Busy: 100})
		done := 0
		for at := now; at.Before(now.Add(10 * time.Second)); at = at.Add(10 * time.Millisecond) {
			if m.Ahead(at) == 0 {
				done += 2
				m.Charge(at, 2, 100, tt.busy)
			}
		}
		require.InDelta(t, tt.want, done, 4, "with %d requests in progress", tt.busy)
	}
}

func TestWhatIsLargePaysForItsBytes(t *testing.T) {
	m := NewMeter(Rate{ItemsPerSecond: 10, BytesPerSecond: 1000, Busy: 100})
	m.Charge(now, 1, 2000, 0)
	require.Equal(t, now.Add(2*time.Second), m.Free())
	require.Equal(t, time.Second, m.Ahead(now.Add(time.Second)))
	require.Zero(t, m.Ahead(now.Add(3*time.Second)), "what was not used is not saved up")
	m.Charge(now.Add(4*time.Second), 1, 0, 0)
	require.Equal(t, now.Add(4100*time.Millisecond), m.Free())
}
