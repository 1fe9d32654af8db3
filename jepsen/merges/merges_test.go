package merges

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/vclock"
)

// letters is a subject whose values are sets of letters, merged by union.
func letters() Subject[string] {
	return Subject[string]{
		Merge: func(siblings []string) (string, error) { return set(strings.Join(siblings, "")), nil },
		Edit: func(r *rand.Rand, v string) string {
			return set(v + string("abc"[r.IntN(3)]))
		},
		Elements: func(v string) []string { return strings.Split(v, "") },
	}
}

func set(s string) string {
	all := []rune(s)
	slices.Sort(all)
	return string(slices.Compact(all))
}

func playing(t *testing.T, s Subject[string], plan ...step) *run[string] {
	s, err := s.complete()
	require.NoError(t, err)
	for i := range plan {
		plan[i].id = i
	}
	return play(&s, 1, plan, false)
}

// TestRetry: a repeated request is served once by a replica that knows it, becomes
// no sibling where both copies live, and goes where the first one was superseded.
func TestRetry(t *testing.T) {
	r := playing(t, letters(),
		step{do: update},
		step{do: retry},                            // n1 knows it
		step{do: retry, at: 1, via: 1},             // n2 does not
		step{do: sync, at: 0, via: 1},              // n2 has both
		step{do: sync, at: 1, via: 2},              // and so has n3
		step{do: update, at: 2, via: 2, client: 1}) // who supersedes both
	require.True(t, r.scenes[1].idle)
	require.False(t, r.scenes[2].idle)
	require.Len(t, r.scenes[5].read, 1, "one request, one sibling")

	w := newWorld[string]()
	w.write(0, 0, 7, vclock.DotSet{}, &version[string]{op: 7, value: "a"})
	_, seen := w.read(0)
	w.write(1, 0, 8, seen, &version[string]{op: 8, value: "ab"})
	w.write(2, 1, 7, vclock.DotSet{}, &version[string]{op: 7, value: "a"})
	w.heal()
	for at := range replicas {
		shown, _ := w.read(at)
		require.Equal(t, []version[string]{{op: 8, value: "ab"}}, shown, "what was superseded does not come back by a retry")
	}
}

// TestExcuses: what was deleted or has expired is not missed, whoever did not know
// of it keeps what they added.
func TestExcuses(t *testing.T) {
	s := letters()
	s.Merge = func([]string) (string, error) { return "", nil } // loses everything
	write := step{do: update, expires: true}
	elsewhere := step{do: update, at: 1, via: 1, client: 1}
	for name, tt := range map[string]struct {
		plan []step
		lost int
	}{
		"nobody took it away":           {[]step{write}, 1},
		"deleted":                       {[]step{write, elsewhere, {do: remove}}, 1},
		"expired":                       {[]step{write, elsewhere, {do: expire}}, 1},
		"deleted where nobody had it":   {[]step{write, elsewhere, {do: remove, at: 2, via: 2}}, 2},
		"deleted after it was heard of": {[]step{write, elsewhere, {do: deliver, of: 1, via: 0}, {do: remove}}, 0},
		"expired beside what does not":  {[]step{write, elsewhere, {do: sync, at: 1, via: 0}, {do: expire}}, 1},
		"a write that nobody delivered": {[]step{{do: deliver, of: 1}, write, elsewhere}, 2},
		"a blind put is an add as well": {[]step{{do: put}}, 1},
		"a resolved key is no removal":  {[]step{write, elsewhere, {do: sync, at: 1, via: 0}, {do: resolve}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s.Values = []string{"x"}
			r := playing(t, s, tt.plan...)
			lost := 0
			for _, f := range r.found {
				if f.kind == Loses {
					lost++
				}
			}
			require.Equal(t, tt.lost, lost, "%+v", r.found)
		})
	}
}

// TestDiverges: without the laws, a concatenation is found out by those who use it.
func TestDiverges(t *testing.T) {
	s := letters()
	s.Merge = func(siblings []string) (string, error) { return strings.Join(siblings, ""), nil }
	require.True(t, playing(t, s, step{do: update}).shows(Diverges))
	require.Empty(t, playing(t, letters(), step{do: update}).found)
}

// TestNoDeletes: who deletes nothing is not troubled with it.
func TestNoDeletes(t *testing.T) {
	for _, without := range []bool{false, true} {
		s := letters()
		s.NoDeletes = without
		plan := draw(rand.New(rand.NewPCG(1, 1)), 500, s.weights())
		ends := slices.ContainsFunc(plan, func(s step) bool { return s.do == remove || s.do == expire })
		require.Equal(t, !without, ends)
	}
}

// TestSmallDraws: small numbers are small whatever is asked for, and still differ.
func TestSmallDraws(t *testing.T) {
	met := map[uint64]bool{}
	for id := range stepsMax {
		for range drawsMax {
			for n := 2; n < 100; n++ {
				r := rand.New(newDraws(1, &step{id: id, levels: allSmallest}))
				require.Zero(t, r.IntN(n))
			}
		}
		r := rand.New(newDraws(1, &step{id: id, levels: allSmallest}))
		for range drawsMax {
			name := r.Uint64()
			require.False(t, met[name], "a name twice")
			met[name] = true
		}
	}
	for i, l := range []level{smallest, small, larger, largest} {
		for _, n := range []int{4, 60} {
			r := rand.New(newDraws(1, &step{levels: [drawsMax]level{l}}))
			require.Equal(t, i*n/4, r.IntN(n))
		}
	}
}

// TestSame: the same seed, the same story; another seed, other runs.
func TestSame(t *testing.T) {
	s := letters()
	s.Merge = func(siblings []string) (string, error) { return slices.Max(append(siblings, "")), nil }
	story := func(seed uint64) Verdict {
		v, err := Check(s, Options{Seed: seed, Runs: 200})
		require.NoError(t, err)
		require.Equal(t, Loses, v.Kind)
		require.Equal(t, 2, v.Steps, "two writers are needed, and no more:\n%s", v.Fault)
		return v
	}
	require.Equal(t, story(1), story(1))
	require.NotEqual(t, story(1).Merges, story(2).Merges)
}

// TestClone: what is copied shares nothing, and what cannot be copied is named.
func TestClone(t *testing.T) {
	type cart struct {
		Items map[string][][]int
		Next  *cart
		At    time.Time
		n     int
	}
	s, err := Subject[cart]{Merge: func([]cart) (cart, error) { return cart{}, nil }, Values: []cart{{}}}.complete()
	require.NoError(t, err)
	a := cart{Items: map[string][][]int{"tea": {{1}}}, Next: &cart{Items: map[string][][]int{"jam": {{2}}}}, At: time.Unix(5, 0), n: 3}
	b := s.Clone(a)
	require.Equal(t, a, b)
	b.Items["tea"][0][0], b.Next.Items["jam"] = 9, nil
	require.Equal(t, 1, a.Items["tea"][0][0])
	require.Equal(t, [][]int{{2}}, a.Next.Items["jam"])

	type hidden struct{ items map[string]int }
	_, err = Subject[hidden]{Merge: func([]hidden) (hidden, error) { return hidden{}, nil }, Values: []hidden{{items: nil}}}.complete()
	require.ErrorContains(t, err, "its field items: set Clone")
	_, err = Subject[any]{Merge: func([]any) (any, error) { return 0, nil }, Values: []any{1}}.complete()
	require.ErrorContains(t, err, "set Clone")
}

// TestShow: nothing is shown that a reader could not tell apart.
func TestShow(t *testing.T) {
	require.Equal(t, `"a b"`, show([]byte("a b")))
	require.Equal(t, `ff00`, show([]byte{0xff, 0}))
	require.Equal(t, `""`, show([]byte(nil)))
	require.Equal(t, `"a b"`, show("a b"))
	require.Equal(t, `map[a:1]`, show(map[string]int{"a": 1}))
	require.Equal(t, `1s`, show(time.Second))
	require.True(t, equal([]byte(nil), []byte{}), "the store does not tell no bytes from empty ones")
	require.False(t, equal(fmt.Sprint(1), "2"))
}
