package jepsen_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/jepsen"
)

var update = flag.Bool("update", false, "write the counter-examples of bad merges to testdata")

// judged is a test that CheckMerge may fail.
type judged struct{ failure, log string }

func (*judged) Helper() {}

func (j *judged) Logf(format string, args ...any) { j.log += fmt.Sprintf(format, args...) }

// Fatalf returns, as that of a real test does not: only the first failure counts.
func (j *judged) Fatalf(format string, args ...any) {
	if j.failure == "" {
		j.failure = fmt.Sprintf(format, args...)
	}
}

var groceries = []string{"bread", "eggs", "milk", "tea"}

// any of the groceries.
func item(r *rand.Rand) string { return groceries[r.IntN(len(groceries))] }

// words is the cart of the README: names with spaces between them.
func words(v []byte) []string { return strings.Fields(string(v)) }

func addWord(r *rand.Rand, v []byte) []byte {
	all := append(words(v), item(r))
	slices.Sort(all)
	return []byte(strings.Join(slices.Compact(all), " "))
}

func addOrRemoveWord(r *rand.Rand, v []byte) []byte {
	if all := words(v); len(all) > 0 && r.IntN(2) == 1 {
		return []byte(strings.Join(slices.Delete(all, 0, 1), " "))
	}
	return addWord(r, v)
}

func union(siblings [][]byte) ([]byte, error) {
	var all []string
	for _, s := range siblings {
		all = append(all, words(s)...)
	}
	slices.Sort(all)
	return []byte(strings.Join(slices.Compact(all), " ")), nil
}

// orSet is a set whose removals are remembered: every add has a name of its own.
type orSet struct {
	Adds    map[uint32]string
	Removed map[uint32]bool
}

func (s orSet) items() []string {
	var items []string
	for name, item := range s.Adds {
		if !s.Removed[name] {
			items = append(items, item)
		}
	}
	slices.Sort(items)
	return slices.Compact(items)
}

func (s orSet) String() string {
	return fmt.Sprintf("%v (%d removed)", s.items(), len(s.Removed))
}

func mergeORSets(siblings []orSet) (orSet, error) {
	all := orSet{Adds: map[uint32]string{}, Removed: map[uint32]bool{}}
	for _, s := range siblings {
		maps.Copy(all.Adds, s.Adds)
		maps.Copy(all.Removed, s.Removed)
	}
	return all, nil
}

// editORSet works in place, as a program does with what it has just decoded.
func editORSet(r *rand.Rand, s orSet) orSet {
	if there := s.items(); len(there) > 0 && r.IntN(2) == 1 {
		for name, item := range s.Adds {
			if item == there[0] {
				s.Removed[name] = true
			}
		}
		return s
	}
	s.Adds[r.Uint32()] = item(r)
	return s
}

// counts is a cart that says how many of each item were bought, by purchase.
type counts map[string]map[uint32]int

func mergeCounts(siblings []counts) (counts, error) {
	all := counts{}
	for _, s := range siblings {
		for item, purchases := range s {
			if all[item] == nil {
				all[item] = map[uint32]int{}
			}
			maps.Copy(all[item], purchases)
		}
	}
	return all, nil
}

func buy(r *rand.Rand, c counts) counts {
	item := item(r)
	if c[item] == nil {
		c[item] = map[uint32]int{}
	}
	c[item][r.Uint32()] = 1 + r.IntN(3)
	return c
}

func purchases(c counts) (all []string) {
	for item, of := range c {
		for name, n := range of {
			all = append(all, fmt.Sprintf("%d %s by purchase %d", n, item, name))
		}
	}
	return all
}

// stamped is a value with the wall clock of who wrote it.
type stamped struct {
	At    int
	Items []string
}

func (s stamped) String() string { return fmt.Sprintf("%v of %d s", s.Items, s.At) }

func later(siblings []stamped) (stamped, error) {
	var last stamped
	for _, s := range siblings {
		if s.At > last.At || s.At == last.At && slices.Compare(s.Items, last.Items) > 0 {
			last = s
		}
	}
	return last, nil
}

func stamp(r *rand.Rand, s stamped) stamped {
	s.At = 1 + r.IntN(60)
	s.Items = append(s.Items, item(r))
	slices.Sort(s.Items)
	s.Items = slices.Compact(s.Items)
	return s
}

// check is one merge with its options; only the types differ.
type check func(t jepsen.TB)

func of[V any](merge func([]V) (V, error), o ...jepsen.MergeOptions[V]) check {
	return func(t jepsen.TB) { jepsen.CheckMerge(t, merge, o...) }
}

// maximum is a register whose larger value counts.
func maximum(siblings []int) (int, error) { return slices.Max(append(siblings, 0)), nil }

// TestGoodMerges: merges that keep everything pass, and soon.
func TestGoodMerges(t *testing.T) {
	for name, check := range map[string]check{
		"union of what is only added": of(union, jepsen.MergeOptions[[]byte]{Edit: addWord, Elements: words}),
		"as a client takes it":        of(client.MergeFunc(union), jepsen.MergeOptions[[]byte]{Edit: addWord, Elements: words}),
		"union of opaque words":       of(union),
		"values instead of edits":     of(union, jepsen.MergeOptions[[]byte]{Values: [][]byte{[]byte("milk"), []byte("bread tea")}, Elements: words}),
		"set that remembers removals": of(mergeORSets, jepsen.MergeOptions[orSet]{Edit: editORSet, Elements: orSet.items}),
		"largest number":              of(maximum, jepsen.MergeOptions[int]{Edit: func(r *rand.Rand, n int) int { return n + r.IntN(10) }}),
		"counts by purchase":          of(mergeCounts, jepsen.MergeOptions[counts]{Edit: buy, Elements: purchases}),
		"a later register is meant":   of(later, jepsen.MergeOptions[stamped]{Edit: stamp}),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			check(t)
			t.Logf("in %v", time.Since(began))
		})
	}
}

// TestBadMerges: each is caught, with the story in testdata.
func TestBadMerges(t *testing.T) {
	carts := jepsen.MergeOptions[[]byte]{Edit: addWord, Elements: words}
	calls := 0
	for name, check := range map[string]check{
		"concatenation": of(func(siblings []string) (string, error) { return strings.Join(siblings, ""), nil }),
		"concatenation-of-items": of(func(siblings [][]string) ([]string, error) { return slices.Concat(siblings...), nil }, jepsen.MergeOptions[[]string]{
			Edit:     func(r *rand.Rand, v []string) []string { return append(v, item(r)) },
			Elements: func(v []string) []string { return v },
		}),
		"keep-first": of(func(siblings [][]byte) ([]byte, error) { return append(siblings, nil)[0], nil }, carts),
		"last-by-wall-clock": of(later, jepsen.MergeOptions[stamped]{
			Edit: stamp, Elements: func(s stamped) []string { return s.Items },
		}),
		"last-by-wall-clock-without-ties": of(func(siblings []stamped) (stamped, error) {
			var last stamped
			for _, s := range siblings {
				if s.At > last.At {
					last = s
				}
			}
			return last, nil
		}, jepsen.MergeOptions[stamped]{Edit: stamp}),
		"union-with-removals": of(union, jepsen.MergeOptions[[]byte]{Edit: addOrRemoveWord, Elements: words}),
		"removals-forgotten": of(func(siblings []orSet) (orSet, error) {
			all, err := mergeORSets(siblings)
			for name := range all.Removed { // "to save room"
				delete(all.Adds, name)
				delete(all.Removed, name)
			}
			return all, err
		}, jepsen.MergeOptions[orSet]{Edit: editORSet, Elements: orSet.items}),
		"sum": of(func(siblings []int) (int, error) {
			sum := 0
			for _, n := range siblings {
				sum += n
			}
			return sum, nil
		}, jepsen.MergeOptions[int]{Edit: func(r *rand.Rand, n int) int { return n + r.IntN(3) }}),
		"average": of(func(siblings []int) (int, error) {
			sum := 0
			for _, n := range siblings {
				sum += n
			}
			return sum / max(1, len(siblings)), nil
		}, jepsen.MergeOptions[int]{Edit: func(r *rand.Rand, n int) int { return n + r.IntN(3) }}),
		"two-at-most": of(func(siblings [][]byte) ([]byte, error) { return union(siblings[:min(2, len(siblings))]) }, carts),
		"no-new-keys": of(func(siblings [][]byte) ([]byte, error) {
			if siblings[0] == nil {
				return nil, nil
			}
			return union(siblings)
		}, carts),
		"three-are-too-many": of(func(siblings [][]byte) ([]byte, error) {
			if len(siblings) > 2 {
				return nil, errors.New("too many siblings")
			}
			return union(siblings)
		}, carts),
		"counts-calls": of(func(siblings [][]byte) ([]byte, error) {
			calls++
			all, err := union(siblings)
			return fmt.Append(all, " ", calls), err
		}, carts),
	} {
		t.Run(name, func(t *testing.T) {
			var j judged
			check(&j)
			require.NotEmpty(t, j.failure, "nothing was found, and the log says: %s", j.log)
			golden(t, name, j.failure)
		})
	}
}

func golden(t *testing.T, name, got string) {
	file := filepath.Join("testdata", "merges", name+".txt")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got+"\n"), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got+"\n")
}

// TestUnfit: what cannot be checked does not pass for checked.
func TestUnfit(t *testing.T) {
	type point struct{ X, Y int }
	first := func(siblings []point) (point, error) { return append(siblings, point{})[0], nil }
	for name, tt := range map[string]struct {
		check check
		want  string
	}{
		"no merge":              {of[string](nil), "there is no merge function"},
		"no values":             {of(first), "how a value of type jepsen_test.point is made: set Edit, or Values"},
		"edits change nothing":  {of(union, jepsen.MergeOptions[[]byte]{Edit: func(_ *rand.Rand, v []byte) []byte { return v }}), "no two values differed"},
		"nothing is ever added": {of(maximum, jepsen.MergeOptions[int]{Values: []int{1, 2}, Elements: func(int) []string { return nil }}), "no client added an element"},
		"options twice":         {of(union, jepsen.MergeOptions[[]byte]{}, jepsen.MergeOptions[[]byte]{}), "one is enough"},
	} {
		t.Run(name, func(t *testing.T) {
			var j judged
			tt.check(&j)
			require.Contains(t, j.failure, tt.want)
			require.Empty(t, j.log, "it goes on after the test has failed")
		})
	}
}

// TestSaysWhatItDidNotCheck: a pass is no more than it is.
func TestSaysWhatItDidNotCheck(t *testing.T) {
	var j judged
	of(union)(&j)
	require.Contains(t, j.log, "without Elements nothing is known about losses")
	j = judged{}
	of(union, jepsen.MergeOptions[[]byte]{Edit: addWord, Elements: words})(&j)
	require.Contains(t, j.log, "no edit removed an element")
	require.Empty(t, j.failure)
}
