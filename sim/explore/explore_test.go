package explore

import (
	"encoding/json"
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
	boundsFlag  = flag.String("bounds", "", "the bounds that TestBounds tries, as JSON; it is skipped without them")
)

func explore(t *testing.T, bounds Bounds, limit int) *Result {
	began := time.Now()
	r := All(bounds, limit)
	t.Logf("%v: %d states, %d transitions, up to %d events, in %v; complete: %v",
		bounds, r.States, r.Transitions, r.Longest, time.Since(began).Round(time.Millisecond), r.Complete)
	if r.Finding != nil {
		t.Fatalf("finding after %d states: %v\nafter\n%s", r.States, r.Finding, strings.Join(r.Path, "\n"))
	}
	return r
}

// scope is what a test visits: all within the bounds, or the beginning of it. The
// floor keeps it from becoming empty: whoever makes the search cleverer lowers it
// knowingly.
type scope struct {
	bounds       Bounds
	limit, floor int
}

// visit visits scopes. The race detector makes that ten times slower and has
// nothing to find in one goroutine, so under it another build does the work.
func visit(t *testing.T, scopes ...scope) {
	if raced {
		out, err := exec.Command("go", "test", "-count=1", "-vet=off", "-v", "-run", "^"+t.Name()+"$", ".").CombinedOutput()
		require.NoError(t, err, "%s", out)
		t.Logf("%s", out)
		return
	}
	for _, s := range scopes {
		r := explore(t, s.bounds, s.limit)
		require.Equal(t, s.limit == 0, r.Complete)
		require.GreaterOrEqual(t, r.States, s.floor, "%v", s.bounds)
	}
}

// TestSmall visits all that two writes, a repairing read and a crash can lead to,
// and the beginning of what three writes can.
func TestSmall(t *testing.T) {
	visit(t,
		scope{bounds: Partition(2, 1, 1), floor: 147_000},
		scope{bounds: Partition(3, 0, 0), limit: 50_000, floor: 50_000},
	)
}

// TestGuests lets a guest coordinate, keep, and hand over.
func TestGuests(t *testing.T) {
	visit(t,
		scope{bounds: Bounds{Homes: 2, Guests: 1, Keys: 1, Writes: 1, Reads: 1, Crashes: 1, Keeps: 1, Handovers: 1}, floor: 3_000},
		scope{bounds: Bounds{Homes: 2, Guests: 1, Keys: 1, Writes: 2, Handovers: 1}, floor: 10_000},
		scope{bounds: Bounds{Homes: 1, Guests: 1, Keys: 1, Writes: 2, Reads: 1, Handovers: 2}, floor: 2_000},
		scope{bounds: Bounds{Homes: 2, Guests: 1, Keys: 1, Writes: 2, Prunes: true}, floor: 5_000},
	)
}

// TestExchange lets homes pull and prune: from each other directly, and as their
// exchanges of package antientropy say.
func TestExchange(t *testing.T) {
	visit(t,
		scope{bounds: Bounds{Homes: 2, Keys: 1, Writes: 2, Crashes: 1, Pulls: 1, Prunes: true}, floor: 9_000},
		scope{bounds: Bounds{Homes: 2, Keys: 2, Writes: 2, Pulls: 1}, floor: 1_200},
		scope{bounds: Bounds{Homes: 2, Keys: 1, Writes: 1, Crashes: 1, Tells: 3, Prunes: true}, floor: 9_000},
		scope{bounds: Bounds{Homes: 2, Keys: 1, Writes: 2, Tells: 2, Prunes: true}, floor: 20_000},
		scope{bounds: Bounds{Homes: 3, Keys: 1, Writes: 1, Tells: 3, Prunes: true}, floor: 5_000},
		scope{bounds: Bounds{Homes: 3, Keys: 1, Writes: 1, Tells: 1, Wipes: 1}, floor: 15_000},
	)
}

// TestCloses lets dead incarnations be closed, after writes of theirs were lost,
// leaked, or delayed.
func TestCloses(t *testing.T) {
	visit(t,
		scope{bounds: Bounds{Homes: 2, Keys: 1, Writes: 2, Reads: 1, Crashes: 1, Closes: true}, floor: 4_000},
		scope{bounds: Bounds{Homes: 2, Keys: 1, Writes: 2, Crashes: 1, Pulls: 1, Closes: true}, floor: 4_000},
	)
}

// TestRebuild wipes homes and rebuilds them, page by page.
func TestRebuild(t *testing.T) {
	visit(t,
		scope{bounds: Bounds{Homes: 2, Keys: 2, Writes: 2, Wipes: 1, Pages: 3}, floor: 4_000},
		scope{bounds: Bounds{Homes: 2, Keys: 1, Writes: 2, Crashes: 1, Wipes: 1, Pages: 1}, floor: 5_000},
		scope{bounds: Bounds{Homes: 2, Keys: 1, Writes: 2, Prunes: true, Wipes: 1, Pages: 2}, floor: 10_000},
		scope{bounds: Bounds{Homes: 3, Keys: 2, Filled: true, Writes: 1, Wipes: 1, Pages: 2}, floor: 3_500},
		scope{bounds: Bounds{Homes: 2, Keys: 2, Filled: true, Writes: 1, Crashes: 1, Wipes: 1, Pages: 2}, floor: 12_000},
	)
}

// TestLarger visits what the flags ask for, such as make explore.
func TestLarger(t *testing.T) {
	if *writesFlag == 0 {
		t.Skip("give -writes, and -reads, -crashes and -limit as you like")
	}
	explore(t, Partition(*writesFlag, *readsFlag, *crashesFlag), *limitFlag)
}

// TestBounds visits what the flag asks for.
func TestBounds(t *testing.T) {
	if *boundsFlag == "" {
		t.Skip(`give -bounds, such as '{"Homes": 2, "Guests": 1, "Keys": 1, "Writes": 2, "Reads": 1}'`)
	}
	var bounds Bounds
	require.NoError(t, json.Unmarshal([]byte(*boundsFlag), &bounds))
	explore(t, bounds, *limitFlag)
}
