package vclock

import (
	"crypto/sha256"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each further move takes about ten times as long; see depthDefault.
var depthFlag = flag.Int("vclock.depth", depthDefault, "length of the histories to try exhaustively")

// possibleMoves lists everything that can happen next in the small scope: one
// client with one remembered reading of key 0, puts to key 1 only to make gaps
// and bases that key 0 did not cause, and every message to every home, again
// and again. Replicas that nothing has happened to are alike, so only the first
// of them moves.
func (w *world) possibleMoves() []move {
	var moves []move
	for at := range homes {
		if at > 0 && w.untouched(at-1) {
			break
		}
		moves = append(moves, move{do: readOne, home: at}, move{do: putBlind, home: at},
			move{do: putBlind, home: at, key: 1}, move{do: sendWhole, home: at}, move{do: strip, home: at})
		if len(w.readings[0]) > 0 {
			moves = append(moves, move{do: putSeen, home: at}, move{do: deleteSeen, home: at})
		}
		for i := range w.messages {
			moves = append(moves, move{do: deliver, home: at, item: i})
		}
	}
	return moves
}

func (w *world) untouched(at int) bool {
	return w.homes[at].clock.IsEmpty() && w.homes[at].applied == [keys]history{}
}

// after gives the world one move later. A new reading replaces the old.
func (w *world) after(m move) *world {
	next := w.clone()
	next.apply(m)
	if readings := next.readings[m.key]; len(readings) > 1 {
		next.readings[m.key] = readings[len(readings)-1:]
	}
	return next
}

// exploration counts what an exhaustive search has seen.
type exploration struct {
	histories uint64 // distinct sequences of moves
	worlds    int    // distinct worlds that they lead to
}

// explore tries all sequences of depth moves. Sequences that lead to the same
// world share their future, so that future is tried once and counted for all.
// It stops at the first that the twin does not agree with.
func explore(r rules, depth int) (exploration, error) {
	type group struct {
		world *world
		ways  uint64
	}
	var seen exploration
	level := map[[sha256.Size]byte]*group{{}: {newWorld(r), 1}}
	for step := range depth {
		next := map[[sha256.Size]byte]*group{}
		for _, g := range level {
			for _, m := range g.world.possibleMoves() {
				w := g.world.after(m)
				if err := w.verify(); err != nil {
					return seen, err
				}
				print := w.fingerprint()
				if next[print] == nil {
					next[print] = &group{}
					if step < depth-1 {
						next[print].world = w
					}
				}
				next[print].ways += g.ways
			}
		}
		seen.worlds += len(next)
		for _, g := range next {
			seen.histories += g.ways
		}
		level = next
	}
	return seen, nil
}

// I3, I4: all short histories, with every interleaving of reads, puts with and
// without context, deletes, deliveries, repeats and strips.
func TestI3_AllShortHistoriesShowWhatTheTwinSays(t *testing.T) {
	seen, err := explore(sound(), *depthFlag)
	require.NoError(t, err)
	t.Logf("%d histories of up to %d moves of three replicas, leading to %d different worlds", seen.histories, *depthFlag, seen.worlds)
	if *depthFlag >= depthDefault {
		require.GreaterOrEqual(t, seen.histories, uint64(historiesMin), "the scope has shrunk")
	}
}

// The scope is large enough for the mutants that need no guest and no long gap.
func TestMutantsFallInShortHistories(t *testing.T) {
	falls := map[string]bool{}
	for _, mutant := range mutants() {
		if seen, err := explore(mutant, 4); err != nil {
			falls[mutant.name] = true
			t.Logf("%s: %v, after %d histories", mutant.name, err, seen.histories)
		}
	}
	for _, name := range []string{
		"strips by the maximum of the clock",
		"puts the context into the clock",
		"keeps contexts as vectors of maxima (C1)",
		"gives readers a context without the live dots",
	} {
		require.True(t, falls[name], name)
	}
}
