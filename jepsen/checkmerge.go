package jepsen

import (
	"math/rand/v2"

	"github.com/kindredkv/kindred/jepsen/merges"
)

// TB is what [CheckMerge] needs of a *testing.T, *testing.B or *testing.F.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// MergeOptions tell [CheckMerge] how clients make values of type V, and what must
// not get lost of them. Every field may be left out; but for types other than bytes
// and strings Edit or Values is needed, and without Elements nothing is said about
// losses.
type MergeOptions[V any] struct {
	// Edit changes a value as a client does between reading and writing: it adds an
	// item, or removes one. It is given what merge has made of the siblings, for a new
	// key what it has made of none, and may change that in place. What it decides by
	// chance it draws from r; then runs can be repeated and made smaller. Two draws of
	// r.Uint32 or r.Uint64 in one run do not give the same, so they may serve as names.
	// Edit should not count per client: here, as in the store, a client may read a
	// replica that has not heard of its own last write.
	Edit func(r *rand.Rand, v V) V

	// Values are written by clients that have read nothing. Without them and without
	// Edit clients write "a", "b" and "c".
	Values []V

	// Elements names what a value is made of in the eyes of its owner: the items of a
	// cart, the members of a team. An edit adds the names that are new after it, and
	// removes those that are gone; what disappears in a merge is lost. An edit should do
	// one thing at a time: that a name was there before and was added once more is only
	// understood of an edit that changes no other. A register, where a later value is
	// meant to take the place of an earlier one, has no elements.
	Elements func(v V) []string

	// Equal reports whether two values mean the same. The default compares bytes, or
	// as reflect.DeepEqual does.
	Equal func(a, b V) bool

	// Show writes a value for the counter-example. The default quotes bytes and
	// strings, and prints all else with fmt.
	Show func(v V) string

	// Clone copies a value. Only types that keep references in unexported fields, or
	// in interfaces, need it.
	Clone func(v V) V

	// NoDeletes leaves out deletes of the key and values that expire, for keys that
	// know neither.
	NoDeletes bool

	// Seed chooses the runs; 0 is 1. Equal seeds give equal runs.
	Seed uint64
	// Runs is how many are played at most; 0 is [MergeRunsDefault]. Time grows with it.
	Runs int
}

// MergeRunsDefault is how many runs [CheckMerge] plays unless told otherwise.
const MergeRunsDefault = 1000

// CheckMerge looks for siblings, edits, retries, deletes and orders in which a merge
// function goes wrong, and fails the test with the shortest counter-example that it
// finds: who read, merged and wrote what, what was expected and what came out.
//
// Merge is a client.MergeFunc, which Update of a bucket takes, or the same for values
// that are decoded already. Clients and replicas are played in memory, with the siblings and
// contexts of the store; nothing is started. Every run ends with all replicas having
// heard everything. Then merge
//
//   - has neither panicked nor refused what clients wrote, and has said the same of
//     the same siblings;
//   - has kept every element that was added and that nobody who had seen it removed,
//     deleted or let expire;
//   - has brought back no element that somebody removed who had seen it added;
//   - is idempotent, commutative and associative on the values that were written;
//   - leaves one value once everybody has merged.
//
// It is a search, not a proof. What was not met at all (no edit removed anything,
// say) is logged, and a check in which there was nothing to merge fails.
func CheckMerge[V any](t TB, merge func(siblings []V) (V, error), options ...MergeOptions[V]) {
	t.Helper()
	var o MergeOptions[V]
	switch len(options) {
	case 0:
	case 1:
		o = options[0]
	default:
		t.Fatalf("CheckMerge: %d MergeOptions, one is enough", len(options))
		return
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Runs <= 0 {
		o.Runs = MergeRunsDefault
	}
	verdict, err := merges.Check(merges.Subject[V]{
		Merge: merge, Edit: o.Edit, Values: o.Values, Elements: o.Elements,
		Equal: o.Equal, Show: o.Show, Clone: o.Clone, NoDeletes: o.NoDeletes,
	}, merges.Options{Seed: o.Seed, Runs: o.Runs})
	switch {
	case err != nil:
		t.Fatalf("CheckMerge: %v", err)
	case verdict.Fault != "":
		t.Fatalf("%s\nThe shortest story of %d runs. To see it again: MergeOptions{Seed: %d, Runs: %d}", verdict.Fault, verdict.Runs, o.Seed, o.Runs)
	case !verdict.Met.Several:
		t.Fatalf("CheckMerge: in %d runs no two values differed, so nothing was checked: let Edit change values, or give Values", verdict.Runs)
	case o.Elements != nil && !verdict.Met.Adds:
		t.Fatalf("CheckMerge: in %d runs no client added an element, so no loss was looked for: see Edit and Elements", verdict.Runs)
	default:
		t.Logf("%d merges in %d runs, nothing wrong%s", verdict.Merges, verdict.Runs, unmet(o.Elements != nil, verdict.Met))
	}
}

// unmet says what has not been checked.
func unmet(elements bool, met merges.Met) string {
	switch {
	case !elements:
		return "; without Elements nothing is known about losses"
	case !met.Removes:
		return "; no edit removed an element, so what removals do is not known"
	}
	return ""
}
