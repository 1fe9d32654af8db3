package sim

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	shrinkFlag    = flag.Bool("shrink", false, "let TestSeed look for a shorter run with the same finding")
	triesFlag     = flag.Int("tries", 3000, "how many runs -shrink makes at most")
	shrinkForFlag = flag.Duration("shrinkfor", 10*time.Minute, "how long -shrink takes at most")
	partFlag      = flag.String("part", "", "the part of the seed's run that TestSeed plays, as -shrink prints it")
)

// shrinkSeed prints the shortest run that it finds, and the command that plays it.
func shrinkSeed(t *testing.T, seed uint64, from Part) {
	collectLess(t)
	began := time.Now()
	s := Shrinker{
		Play:  func(p Part) *Result { return Play(seed, p.Of(drawn(seed)), Options{Events: *eventsFlag}) },
		Tries: *triesFlag,
		Spent: func() bool { return time.Since(began) > *shrinkForFlag },
		Log:   func(step string) { fmt.Println(step) },
	}
	shrunk := s.Shrink(from)
	if shrunk == nil {
		t.Logf("seed %d: no finding, nothing to shrink", seed)
		return
	}
	again := s.Play(shrunk.Part)
	require.Equal(t, shrunk.Last.Hash, again.Hash, "the part is another run when it is played again")
	t.Fatalf("%v and %v\n\nreplay: %s -v\n\nhash %016x\n\n%s", shrunk, time.Since(began).Round(time.Millisecond), command(again), again.Hash, report(again))
}

// fewestOf is what is left of so many numbers, and after how many tries.
func fewestOf(n int, most int, enough func(has func(int) bool) bool) (left []int, tries int) {
	var all []int
	for i := range n {
		all = append(all, i)
	}
	left = fewest(all, func() bool { return tries >= most }, func(rest []int) bool {
		if tries >= most {
			return false
		}
		tries++
		return enough(func(x int) bool { return slices.Contains(rest, x) })
	})
	return left, tries
}

func TestFewestFindsWhatIsNeeded(t *testing.T) {
	left, tries := fewestOf(1000, 1e6, func(has func(int) bool) bool { return has(3) && has(511) && has(998) })
	require.Equal(t, []int{3, 511, 998}, left)
	require.Less(t, tries, 150)

	left, tries = fewestOf(1000, 1e6, func(func(int) bool) bool { return true })
	require.Empty(t, left)
	require.Equal(t, 1, tries)

	left, _ = fewestOf(20, 1e6, func(has func(int) bool) bool {
		for i := range 20 {
			if !has(i) {
				return false
			}
		}
		return true
	})
	require.Len(t, left, 20, "everything is needed")

	left, _ = fewestOf(0, 1e6, func(func(int) bool) bool { return false })
	require.Empty(t, left)
}

// Where one thing may stand for another, or hides it, no single one of what is left
// can be left out.
func TestFewestLeavesNothingThatIsNotNeeded(t *testing.T) {
	enough := func(has func(int) bool) bool {
		return (has(10) || has(20)) && (has(30) || has(31) && !has(10)) && (!has(40) || has(41))
	}
	left, _ := fewestOf(64, 1e6, enough)
	require.True(t, enough(func(x int) bool { return slices.Contains(left, x) }))
	for _, x := range left {
		require.False(t, enough(func(y int) bool { return y != x && slices.Contains(left, y) }), "%d of %v", x, left)
	}
}

func TestFewestKeepsToItsBudget(t *testing.T) {
	needs := func(has func(int) bool) bool { return has(7) && has(900) }
	left, tries := fewestOf(1000, 12, needs)
	require.Equal(t, 12, tries)
	require.Less(t, len(left), 1000, "it came some way")
	require.True(t, needs(func(x int) bool { return slices.Contains(left, x) }))
}

// imagined is a run that breaks a rule where cut 3 comes before an operation of client
// 1 and nobody is refused; with fewer than two keys it breaks another one.
func imagined(p Part) *Result {
	did := Part{Incidents: map[Incident]Numbers{}, Clients: map[int]Numbers{}}
	for i := range uint64(40) {
		for _, kind := range []Incident{IncidentCut, IncidentKill, IncidentLost} {
			if p.keeps(kind, i+1) {
				did.Incidents[kind] = numbersOf(append(did.Incidents[kind].list(), i+1))
			}
		}
		for client := range 3 {
			if p.does(client, i+1) {
				did.Clients[client] = numbersOf(append(did.Clients[client].list(), i+1))
			}
		}
	}
	cfg := p.Of(Config{Nodes: 5, Keys: 4, Storm: time.Minute, Replicas: 3})
	r := &Result{Config: cfg, Kept: did, Stormed: cfg.Storm}
	if p.keeps(IncidentCut, 3) && p.does(1, 17) && cfg.Storm > 3*time.Second {
		r.Finding = &Finding{Rule: "I1", At: 3 * time.Second}
		if cfg.Keys < 2 {
			r.Finding.Rule = "I2"
		}
	}
	return r
}

func TestShrinkKeepsTheRule(t *testing.T) {
	s := Shrinker{Play: imagined, Tries: 1000}
	shrunk := s.Shrink(Part{})
	require.Equal(t, "I1", shrunk.Last.Finding.Rule)
	require.Equal(t, "end=3.001s nodes=3 keys=2 plain="+strings.Join(allPlain(), ",")+" incidents=cut:3 clients=1:17", shrunk.Part.String())
	require.False(t, shrunk.Spent)
	require.Contains(t, shrunk.String(), "to   3.001s of storm, 3 nodes, 1 clients, 0 operations, 1 incidents of 1 kinds")
}

func TestShrinkOfASoundRunIsNothing(t *testing.T) {
	s := Shrinker{Play: imagined, Tries: 1000}
	require.Nil(t, s.Shrink(Part{Clients: map[int]Numbers{}}))
}

func TestShrinkKeepsToItsBudget(t *testing.T) {
	s := Shrinker{Play: imagined, Tries: 5}
	shrunk := s.Shrink(Part{})
	require.Equal(t, 5, shrunk.Tries)
	require.True(t, shrunk.Spent)
	require.Contains(t, shrunk.String(), "a shorter run may exist")

	late := false
	s = Shrinker{Play: imagined, Tries: 1000, Spent: func() bool { late = !late; return !late }}
	require.True(t, s.Shrink(Part{}).Spent)
}

func allPlain() (names []string) {
	for _, setting := range plains {
		names = append(names, setting.name)
	}
	return names
}

// replayed finds in the output of TestSeed with -shrink what to play again.
var replayed = regexp.MustCompile(`replay: go test ./sim -run 'TestSeed\$' -seed=(\d+) -part='([^']*)' -v\s+hash ([0-9a-f]+)`)

// Whoever strips by the maximum of a clock forgets what is missing below it. The run
// that shows it shrinks to a part of it, which is the same run in another process.
func TestAMutantsFindingShrinks(t *testing.T) {
	i := slices.IndexFunc(mutants, func(m mutant) bool { return m.name == shrunkMutant })
	binary := filepath.Join(t.TempDir(), "mutant.test")
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", mutants[i].overlay(t), "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	play := func(args ...string) string {
		args = append([]string{"-test.run", "^TestSeed$", "-seed", "2", "-events", "1"}, args...)
		out, err := exec.Command(binary, args...).CombinedOutput()
		require.Error(t, err, "%s", out)
		return string(out)
	}
	extents := regexp.MustCompile(`(from|to  ) .* of storm, \d nodes, \d+ clients, (\d+) operations, (\d+) incidents of \d+ kinds, (\d+) events`)
	text := play("-shrink", "-tries", "400", "-shrinkfor", "1h")
	found := extents.FindAllStringSubmatch(text, -1)
	require.Len(t, found, 2, text)
	for k, less := range map[int]float64{2: 5, 3: 10, 4: 5} {
		before, _ := strconv.ParseFloat(found[0][k], 64)
		after, _ := strconv.ParseFloat(found[1][k], 64)
		require.Less(t, after*less, before+less, "%q became %q", found[0][0], found[1][0])
	}
	t.Log(found[0][0] + "\n" + found[1][0])
	again := replayed.FindStringSubmatch(text)
	require.NotNil(t, again, text)
	rule := caught.FindStringSubmatch(text)[2]
	for range 2 {
		text := play("-part", again[2], "-test.v")
		require.Contains(t, text, "hash "+again[3])
		require.Equal(t, rule, caught.FindStringSubmatch(text)[2])
	}
}

const shrunkMutant = "strip by the maximum"
