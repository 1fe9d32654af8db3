package hashtree

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kindredkv/kindred/vclock"
)

func dot(counter uint64) vclock.Dot {
	return vclock.Dot{Actor: vclock.Actor{Disk: 1, Nonce: 2}, Counter: counter}
}

// Nodes of different versions compare these.
func TestTheHashOfAVersionNeverChanges(t *testing.T) {
	for want, v := range map[uint64]Version{
		0x2130748aaac80268: {},
		0xac9c4ed451953f3a: {Key: 7, Dot: dot(3), Value: []byte("value")},
		0xffe65b3f311db76e: {Key: 7, Dot: dot(3), Value: []byte("value"), ContentType: "text/plain", Expires: 9},
	} {
		require.Equal(t, fmt.Sprintf("%#x", want), fmt.Sprintf("%#x", v.Hash()))
	}
}

func TestEveryFieldOfAVersionCounts(t *testing.T) {
	versions := []Version{
		{Key: 7, Dot: dot(3), Value: []byte("v")},
		{Key: 8, Dot: dot(3), Value: []byte("v")},
		{Key: 7, Dot: dot(4), Value: []byte("v")},
		{Key: 7, Dot: vclock.Dot{Actor: vclock.Actor{Disk: 2, Nonce: 1}, Counter: 3}, Value: []byte("v")},
		{Key: 7, Dot: dot(3), Value: []byte("w")},
		{Key: 7, Dot: dot(3)},
		{Key: 7, Dot: dot(3), Value: []byte("v"), ContentType: "a"},
		{Key: 7, Dot: dot(3), Value: []byte("v"), ContentType: "b"},
		{Key: 7, Dot: dot(3), Value: []byte("v"), Expires: 1},
	}
	seen := map[uint64]int{}
	for i := range versions {
		h := versions[i].Hash()
		other, ok := seen[h]
		require.False(t, ok, "versions %d and %d", i, other)
		seen[h] = i
	}
}

// The tree against a plain list of leaves: invariants 1 and 2, and saving.
func TestATreeIsItsListOfLeaves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree, twin := &Tree{}, [Leaves]uint64{}
		saved := map[uint32][]byte{}
		type frozen struct {
			tree *Tree
			twin [Leaves]uint64
		}
		var clones []frozen
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				clones = append(clones, frozen{tree.Clone(), twin})
			case 1:
				clones = append(clones, frozen{tree, twin})
				tree = tree.Clone() // goes on with the clone
			case 2:
				for i, part := range tree.Unsaved() {
					saved[i] = slices.Clone(part)
				}
			default:
				key, by := rapid.Uint64Range(0, 3*Leaves).Draw(t, "key"), rapid.Uint64Range(0, 3).Draw(t, "by")
				tree.Change(key, by)
				twin[key%Leaves] ^= by
			}
		}
		clones = append(clones, frozen{tree, twin})
		for i, c := range clones {
			var differ []int
			for leaf := range Leaves {
				require.Equal(t, c.twin[leaf], c.tree.Leaf(leaf), "leaf %d of clone %d", leaf, i)
				if c.twin[leaf] != twin[leaf] {
					differ = append(differ, leaf)
				}
			}
			require.Equal(t, differ, c.tree.Differing(tree))
			require.Equal(t, len(differ) == 0, c.tree.Root() == tree.Root())
		}
		for i, part := range tree.Unsaved() {
			saved[i] = slices.Clone(part)
		}
		back := &Tree{}
		for i, part := range saved {
			require.NoError(t, back.SetPart(i, part))
		}
		require.Empty(t, back.Differing(tree))
		for range tree.Unsaved() {
			t.Fatal("saved already")
		}
	})
}

func TestWhatIsNoPartIsRefused(t *testing.T) {
	require.ErrorContains(t, (&Tree{}).SetPart(Parts, make([]byte, PartBytes)), "no part")
	require.ErrorContains(t, (&Tree{}).SetPart(0, make([]byte, PartBytes-1)), "no part")
}

func BenchmarkVersionHash(b *testing.B) {
	v := Version{Key: 7, Dot: dot(3), Value: make([]byte, 100), ContentType: "text/plain"}
	b.ReportAllocs()
	for b.Loop() {
		v.Hash()
	}
}
