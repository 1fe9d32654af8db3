package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheLastWriterWins plays storms in a bucket that keeps only what was written
// last: one value is shown, replicas become equal, nothing comes back, and whatever
// goes was beaten by something that was there.
func TestTheLastWriterWins(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 10
	}
	var hits Hits
	for seed := range seeds {
		cfg := Draw(seed)
		cfg.LastWins = true
		r := Play(seed, cfg, Options{Events: 40})
		if r.Finding != nil {
			for _, line := range r.Last {
				t.Log(line)
			}
		}
		require.Nil(t, r.Finding, "seed %d: %v\n%v", seed, r.Finding, cfg)
		hits = hits.Plus(r.Hits)
	}
	for _, b := range []Branch{Overruled, BeatenUnshown, BeatenEnded} {
		require.NotZero(t, hits[b], "%v", b)
	}
}
