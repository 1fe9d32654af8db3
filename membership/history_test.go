package membership

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

func drawHistory(t *rapid.T, label string) (h history) {
	for range rapid.IntRange(0, 6).Draw(t, "layouts "+label) {
		p := past{
			version: ring.Version{Counter: rapid.Uint64Range(2, 90).Draw(t, "counter"), Hash: 1},
			from:    ring.Version{Counter: 1, Hash: 1},
			at:      rapid.Int64Range(1, 3).Draw(t, "at"), by: rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "by"),
			settled: rapid.Bool().Draw(t, "settled"),
		}
		// What is said at a commit is of that node and moment.
		p.copies = uint64(p.at)
		p.changes = []kindred.NodeChange{{Node: p.by, Intent: kindred.IntentLeave}}
		for range rapid.IntRange(0, 3).Draw(t, "nodes") {
			if p.nodes == nil {
				p.nodes = map[string]outcome{}
			}
			p.nodes[rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "node")] = outcome{
				bytes: rapid.Uint64Range(1, 5).Draw(t, "bytes"), took: rapid.Uint64Range(0, 5).Draw(t, "took"), complete: rapid.Int64Range(0, 5).Draw(t, "complete"), alone: rapid.Int64Range(0, 5).Draw(t, "alone"),
			}
		}
		h = h.with(p)
	}
	return h
}

// long is a history that is as long as it may be, of layouts with even numbers.
func long() (h history) {
	for i := range HistoryMax {
		h = h.with(past{version: ring.Version{Counter: 2 * uint64(i+1), Hash: 2}, at: 1, by: "n1", nodes: map[string]outcome{"n1": {bytes: 1}}})
	}
	return h
}

// Whoever hears what of the past in which order, all remember the same.
func TestHistoriesMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawHistory(t, "of a"), drawHistory(t, "of b"), drawHistory(t, "of c")
		if rapid.Bool().Draw(t, "long") {
			a = mergeHistory(a, long())
		}
		same := func(a, b history, why string) {
			t.Helper()
			require.True(t, bytes.Equal(a.appendTo(nil), b.appendTo(nil)), why)
		}
		same(a, mergeHistory(a, a), "idempotent")
		same(mergeHistory(a, b), mergeHistory(b, a), "commutative")
		same(mergeHistory(mergeHistory(a, b), c), mergeHistory(a, mergeHistory(b, c)), "associative")
		require.LessOrEqual(t, len(mergeHistory(a, b)), HistoryMax)

		r := newReader("history", append([]byte{1}, a.appendTo(nil)...), 1)
		read := r.history()
		require.NoError(t, r.end())
		same(a, read, "what is written is read")
	})
}

func TestWhatBecameOfOldLayoutsIsForgottenFirst(t *testing.T) {
	h := long()
	require.Len(t, h, HistoryMax)
	for i, p := range h {
		require.Equal(t, i >= HistoryMax-OutcomesMax, p.nodes != nil, i)
	}
	h = h.with(past{version: ring.Version{Counter: 999, Hash: 1}})
	require.Len(t, h, HistoryMax)
	require.Equal(t, uint64(4), h[0].version.Counter)
}
