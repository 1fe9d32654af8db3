package ownership

import (
	"flag"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	larger = flag.Bool("larger", false, "visit the larger worlds as well, which takes minutes and gigabytes")
	limit  = flag.Int("limit", 0, "how many states of a larger world to visit at most; 0 is no limit")
)

const (
	a = iota
	b
	c
	d
)

// change is a layout that follows on another one, in a cluster of those nodes.
func change(nodes set, parent int, owners set, gone ...int) layout {
	return layout{parent: parent, owners: owners, members: nodes &^ of(gone...), gone: of(gone...)}
}

var (
	two   = of(a, b)
	three = of(a, b, c)
	four  = of(a, b, c, d)
)

// worlds are visited whole by every test run.
var worlds = map[string]bounds{
	"a partition gains an owner": {agreed: true, nodes: 2, writes: 2, reads: 1,
		layouts: []layout{change(two, 0, of(a)), change(two, 0, two)}},
	"a partition loses an owner": {agreed: true, nodes: 2, writes: 2,
		layouts: []layout{change(two, 0, two), change(two, 0, of(b))}},
	"a partition loses two of three": {agreed: true, nodes: 3, writes: 1,
		layouts: []layout{change(three, 0, three), change(three, 0, of(c))}},
	"an owner is exchanged": {agreed: true, nodes: 3, writes: 1, reads: 1,
		layouts: []layout{change(three, 0, two), change(three, 0, of(a, c))}},
	"an owner is exchanged, W=1 and R=n": {agreed: true, nodes: 3, writes: 1, one: true,
		layouts: []layout{change(three, 0, two), change(three, 0, of(a, c))}},
	"two leave and one comes": {agreed: true, nodes: 4, writes: 1,
		layouts: []layout{change(four, 0, three), change(four, 0, of(a, d))}},

	"two operators commit": {nodes: 2, writes: 1,
		layouts: []layout{change(two, 0, two), change(two, 0, of(a)), change(two, 0, of(b))}},
	"two operators commit, one of them says who is gone": {nodes: 3, writes: 1, writers: of(a),
		layouts: []layout{change(three, 0, two), change(three, 0, of(a), c), change(three, 0, of(b, c))}},
	"a commit hangs on a dead node": {nodes: 3, writes: 1, writers: of(a), mortal: of(c),
		layouts: []layout{change(three, 0, two), change(three, 0, of(a)), change(three, 0, of(b), c)}},
	"a commit hangs on a dead owner, others hear of it late": {nodes: 4, writes: 1, writers: of(a), mortal: of(c),
		layouts: []layout{change(three, 0, of(a)), change(four, 0, of(b)), change(four, 0, of(a), c)}},
	"a removal is replaced before anybody uses it": {nodes: 2, writes: 1,
		layouts: []layout{change(two, 0, two), change(two, 0, of(a)), change(two, 1, of(a), b), change(two, 1, two)}},
	"a change after one that is settled": {agreed: true, nodes: 3, writes: 1, writers: of(a), mortal: of(c),
		layouts: []layout{change(three, 0, of(a, c)), {owners: two, members: two}, {parent: 1, owners: of(b), members: two, settled: true}}},
	"two sides remove each other": {nodes: 2, writes: 1, returns: true,
		layouts: []layout{change(two, 0, two), change(two, 0, of(a), b), change(two, 0, of(b), a)}},
	"a second change during the first": {nodes: 3, writes: 1, writers: of(b),
		layouts: []layout{change(three, 0, of(a)), change(three, 0, of(b)), change(three, 1, of(c))}},
	"a second change gives an owner its partition back": {moving: true, nodes: 3, writes: 1, writers: of(b),
		layouts: []layout{change(three, 0, two), change(three, 0, of(a, c)), change(three, 1, two)}},

	"a dead owner is replaced": {agreed: true, nodes: 4, writes: 1, mortal: of(c),
		layouts: []layout{change(four, 0, three), change(four, 0, of(a, b, d), c)}},
	"more are gone than can be made up for": {agreed: true, nodes: 3, writes: 1, over: true, mortal: of(b, c),
		layouts: []layout{change(three, 0, three), change(three, 0, of(a), b, c)}},
	"a new owner dies on the way": {moving: true, nodes: 3, writes: 1, writers: of(b), mortal: of(c),
		layouts: []layout{change(three, 0, two), change(three, 0, of(a, c)), change(three, 1, two, c)}},
	"a removed node is alive, and returns": {agreed: true, nodes: 4, writes: 1, returns: true, closes: true,
		layouts: []layout{change(four, 0, three), change(four, 0, of(a, b, d), c)}},
	"what a dead owner wrote is closed": {agreed: true, nodes: 4, writes: 1, writers: of(c), mortal: of(c), closes: true,
		layouts: []layout{change(four, 0, three), change(four, 0, of(a, d), c)}},
	"an owner loses its disk on the way": {moving: true, nodes: 4, writes: 1, writers: of(a), wipes: 1, fragile: of(a),
		layouts: []layout{change(four, 0, three), change(four, 0, of(a, b, d))}},

	"a guest owes to the old home": {agreed: true, nodes: 3, writes: 1, guest: c, one: true,
		layouts: []layout{change(three, 0, of(a)), change(three, 0, of(b))}},
	"a guest owes to a home that is gone": {agreed: true, nodes: 4, writes: 1, guest: d, writers: of(d), mortal: of(b),
		layouts: []layout{change(four, 0, two), change(four, 0, of(a, c), b)}},
}

// explore visits a world. The race detector makes that many times slower and has
// nothing to find in one goroutine, so under it another build does the work.
func explore(t *testing.T, name string, b bounds, limit int) result {
	began := time.Now()
	r := b.all(limit)
	t.Logf("%s: %d states, %d transitions, in %v; complete: %v",
		name, r.states, r.moves, time.Since(began).Round(time.Millisecond), r.complete)
	return r
}

func otherwise(t *testing.T) (done bool) {
	if raced {
		out, err := exec.Command("go", "test", "-count=1", "-vet=off", "-v", "-run", "^"+t.Name()+"$", ".").CombinedOutput()
		require.NoError(t, err, "%s", out)
		t.Logf("%s", out)
	}
	return raced
}

// I8: whatever happens in whatever order, reads miss no acknowledged write, none is lost,
// and in the end the owners of the newest layout have everything and nobody else has
// anything.
func TestOwnershipMovesLoseNothing(t *testing.T) {
	if otherwise(t) {
		return
	}
	states := 0
	for name, b := range worlds {
		r := explore(t, name, b, 0)
		require.NoError(t, r.finding, "%s\nafter\n%s", name, strings.Join(r.path, "\n"))
		require.True(t, r.complete)
		states += r.states
	}
	require.Greater(t, states, 300_000, "the search has become empty")
}

// Each clause is needed: without it some order of events goes wrong, and this is how.
func TestOwnershipMovedOtherwiseGoesWrong(t *testing.T) {
	if otherwise(t) {
		return
	}
	for name, c := range map[string]struct {
		rules rules
		world string
		says  string
		// anybody coordinates writes, not only those whom the world names.
		anybody bool
	}{
		"layouts are used when heard of":                {rules: rules{noVote: true}, world: "two operators commit", says: "layouts: "},
		"who has left a layout uses it":                 {rules: rules{noPromise: true}, world: "a commit hangs on a dead node", says: "layouts: "},
		"who votes goes on":                             {rules: rules{noFreeze: true}, world: "a second change during the first", says: "I9: ", anybody: true},
		"voters need not be equally far":                {rules: rules{mixed: true}, world: "a second change during the first", says: "I8: "},
		"a successor always takes over from the old":    {rules: rules{keepBase: true}, world: "a second change during the first", says: "I8: "},
		"a successor always takes over from its parent": {rules: rules{takeParent: true}, world: "a second change during the first", says: "I8: "},

		"a quorum of the old owners is enough":    {rules: rules{oldQuorum: true}, world: "an owner is exchanged", says: "I8: "},
		"a quorum of the new owners is enough":    {rules: rules{newQuorum: true}, world: "an owner is exchanged", says: "I8: "},
		"new owners are read early":               {rules: rules{readIncomplete: true}, world: "an owner is exchanged", says: "I8: "},
		"an old layout is served":                 {rules: rules{noRefusal: true}, world: "a dead owner is replaced", says: "I8: "},
		"the old owners are left out early":       {rules: rules{earlyAlone: true}, world: "an owner is exchanged", says: "I8: "},
		"acknowledgements outlive their layout":   {rules: rules{carryAcks: true}, world: "a second change gives an owner its partition back", says: "I8: "},
		"clocks count that still take old writes": {rules: rules{noFence: true}, world: "an owner is exchanged", says: "I8: "},
		"one source is enough":                    {rules: rules{oneSource: true}, world: "two leave and one comes", says: "I8: "},
		"owners that stay need nothing":           {rules: rules{newOnly: true}, world: "a partition loses two of three", says: "I8: "},
		"who is gone is not made up for":          {rules: rules{countGone: true}, world: "more are gone than can be made up for", says: "I8: "},

		"complete for ever, whatever is lost": {rules: rules{keepComplete: true}, world: "an owner loses its disk on the way", says: "I8: "},
		"complete is trusted":                 {rules: rules{wipedComplete: true}, world: "an owner loses its disk on the way", says: "I8: "},
		"the old homes say who is trusted":    {rules: rules{trustOld: true}, world: "an owner loses its disk on the way", says: "I8: "},

		"a removed node cleans up":       {rules: rules{dropUnasked: true}, world: "two sides remove each other", says: "I1: "},
		"an old copy goes unseen":        {rules: rules{dropUncontained: true}, world: "two sides remove each other", says: "I1: "},
		"hints for the dead are dropped": {rules: rules{hintOfGone: true}, world: "a guest owes to a home that is gone", says: "I1: "},
		"a close asks the new owners":    {rules: rules{closeInMove: true}, world: "what a dead owner wrote is closed", says: "I1: "},
	} {
		b := worlds[c.world]
		b.rules = c.rules
		if c.anybody {
			b.writers = 0
		}
		r := explore(t, name, b, 0)
		require.Error(t, r.finding, name)
		require.Contains(t, r.finding.Error(), c.says, "%s\nafter\n%s", name, strings.Join(r.path, "\n"))
		t.Logf("%s: %v\nafter %s", name, r.finding, strings.Join(r.path, ", "))
	}
}

// TestLargerWorlds visits what takes too long for every day.
func TestLargerWorlds(t *testing.T) {
	if !*larger {
		t.Skip("give -larger, and -limit as you like")
	}
	for name, b := range map[string]bounds{
		"an owner is exchanged, two writes": {agreed: true, nodes: 3, writes: 2, reads: 1,
			layouts: []layout{change(three, 0, two), change(three, 0, of(a, c))}},
		"one of three is exchanged": {agreed: true, nodes: 4, writes: 1, reads: 1,
			layouts: []layout{change(four, 0, three), change(four, 0, of(a, b, d))}},
		"one of three is exchanged, two writes": {moving: true, nodes: 4, writes: 2,
			layouts: []layout{change(four, 0, three), change(four, 0, of(a, b, d))}},
		"two operators commit among three": {nodes: 3, writes: 1,
			layouts: []layout{change(three, 0, two), change(three, 0, of(a, c)), change(three, 0, of(b, c))}},
		"a second change, anybody writes": {nodes: 3, writes: 1,
			layouts: []layout{change(three, 0, of(a)), change(three, 0, of(b)), change(three, 1, of(c))}},
		"a new owner dies on the way, anybody writes": {agreed: true, nodes: 3, writes: 1, mortal: of(c),
			layouts: []layout{change(three, 0, two), change(three, 0, of(a, c)), change(three, 1, two, c)}},
		"two sides remove each other, two writes": {nodes: 2, writes: 2, returns: true,
			layouts: []layout{change(two, 0, two), change(two, 0, of(a), b), change(two, 0, of(b), a)}},
		"two sides of two remove each other": {nodes: 4, writes: 1, returns: true,
			layouts: []layout{change(four, 0, two), change(four, 0, of(a, c), b, d), change(four, 0, of(b, d), a, c)}},
		"any owner loses its disk": {agreed: true, nodes: 4, writes: 1, wipes: 1, fragile: of(a, b, d),
			layouts: []layout{change(four, 0, three), change(four, 0, of(a, b, d))}},
	} {
		r := explore(t, name, b, *limit)
		require.NoError(t, r.finding, "%s\nafter\n%s", name, strings.Join(r.path, "\n"))
	}
}
