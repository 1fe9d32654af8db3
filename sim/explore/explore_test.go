package explore

import (
	"flag"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	writesFlag  = flag.Int("writes", 0, "how many writes TestLarger tries; 0 skips it")
	readsFlag   = flag.Int("reads", 1, "how many reads that send repairs")
	crashesFlag = flag.Int("crashes", 1, "how many crashes")
	limitFlag   = flag.Int("limit", 0, "how many states to visit at most; 0 is no limit")
)

func explore(t *testing.T, bounds Bounds, limit int) *Result {
	began := time.Now()
	r := All(bounds, limit)
	t.Logf("%+v: %d states, %d transitions, up to %d events, in %v; complete: %v",
		bounds, r.States, r.Transitions, r.Longest, time.Since(began).Round(time.Millisecond), r.Complete)
	if r.Finding != nil {
		t.Fatalf("finding after %d states: %v\nafter\n%s", r.States, r.Finding, strings.Join(r.Path, "\n"))
	}
	return r
}

// small is what every test run visits: all that two writes, a repairing read and
// a crash can lead to, and the beginning of what three writes can. The floors
// keep it from becoming empty: whoever makes the search cleverer lowers them
// knowingly.
var small = []struct {
	bounds       Bounds
	limit, floor int
}{
	{Bounds{Writes: 2, Reads: 1, Crashes: 1}, 0, 150_000},
	{Bounds{Writes: 3}, 50_000, 50_000},
}

// TestSmall visits every state within small bounds. The race detector makes that
// ten times slower and has nothing to find in one goroutine, so under it another
// build does the work.
func TestSmall(t *testing.T) {
	if raced {
		out, err := exec.Command("go", "test", "-count=1", "-vet=off", "-v", "-run", "^TestSmall$", ".").CombinedOutput()
		require.NoError(t, err, "%s", out)
		t.Logf("%s", out)
		return
	}
	for _, c := range small {
		r := explore(t, c.bounds, c.limit)
		require.Equal(t, c.limit == 0, r.Complete)
		require.GreaterOrEqual(t, r.States, c.floor, "%+v", c.bounds)
	}
}

// TestLarger visits what the flags ask for, such as make explore.
func TestLarger(t *testing.T) {
	if *writesFlag == 0 {
		t.Skip("give -writes, and -reads, -crashes and -limit as you like")
	}
	explore(t, Bounds{Writes: *writesFlag, Reads: *readsFlag, Crashes: *crashesFlag}, *limitFlag)
}
