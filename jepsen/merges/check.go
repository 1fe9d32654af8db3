package merges

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Options bound a search.
type Options struct {
	Seed uint64
	Runs int
}

// Verdict is what a search came to.
type Verdict struct {
	// Fault says what is wrong: a story of several lines. Empty if nothing was found.
	Fault string
	// Kind is what is wrong, if anything is.
	Kind Kind
	// Steps is how many the story has.
	Steps int
	// Runs and Merges is how much was tried.
	Runs, Merges int
	// Met is what was met at least once; what was not has not been checked.
	Met Met
}

// Met says what the runs have contained.
type Met struct {
	// Several: clients wrote different values in one run.
	Several bool
	// Adds, Removes: an edit added an element, removed one.
	Adds, Removes bool
}

// candidatesMax is how many failing runs are shortened to find the shortest story.
const candidatesMax = 10

// failure is a run in which something is wrong.
type failure struct {
	seed uint64
	plan []step
	kind Kind
}

// Check plays runs, short ones first, until it has enough that fail. The error says
// that a subject cannot be checked.
func Check[V any](subject Subject[V], o Options) (Verdict, error) {
	s, err := subject.complete()
	if err != nil {
		return Verdict{}, err
	}
	var v Verdict
	failures := map[Kind][]failure{}
	for i := 0; i < o.Runs && !enough(failures); i++ {
		chance := rand.New(rand.NewPCG(o.Seed, uint64(i)))
		f := failure{seed: chance.Uint64(), plan: draw(chance, 1+i*stepsMax/o.Runs, s.weights())}
		r := play(&s, f.seed, f.plan, true)
		v.Runs++
		v.Merges += r.merges
		note(&v.Met, r)
		for kind := range Diverges + 1 {
			if r.shows(kind) {
				f.kind = kind
				failures[kind] = append(failures[kind], f)
			}
		}
	}
	if len(failures) > 0 {
		tell(&v, &s, failures)
	}
	return v, nil
}

// note adds what one run has contained.
func note[V any](m *Met, r *run[V]) {
	for _, c := range r.scenes {
		m.Adds = m.Adds || len(c.adds) > 0
		m.Removes = m.Removes || len(c.removes) > 0
	}
	m.Several = m.Several || len(r.written) > 1
}

// enough: a story about lost or returned elements says more than one about laws, and
// takes longer to find.
func enough(failures map[Kind][]failure) bool {
	for kind, f := range failures {
		if kind <= Revives && len(f) >= candidatesMax {
			return true
		}
	}
	return false
}

// tell makes the shortest story of the gravest kind.
func tell[V any](v *Verdict, s *Subject[V], failures map[Kind][]failure) {
	kinds := slices.Sorted(maps.Keys(failures))
	v.Kind = kinds[0]
	var best failure
	candidates := failures[v.Kind]
	for _, f := range candidates[:min(len(candidates), candidatesMax)] {
		f.plan = shorten(f.plan, func(plan []step) bool { return fails(s, f.seed, plan, f.kind) })
		text := newStory(s, f, kinds[1:])
		if v.Fault == "" || shorter(f.plan, best.plan) || !shorter(best.plan, f.plan) && len(text) < len(v.Fault) {
			best, v.Fault = f, text
		}
	}
	v.Steps = len(best.plan)
}

// fails reports whether a plan still shows what is wrong.
func fails[V any](s *Subject[V], seed uint64, plan []step, kind Kind) bool {
	if s.Edit == nil && slices.ContainsFunc(plan, func(s step) bool { return s.do == update }) {
		return false
	}
	return play(s, seed, plan, kind.isLaw()).shows(kind)
}
