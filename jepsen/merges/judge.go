package merges

import (
	"slices"
)

// Kind is what is wrong with a merge, the gravest first.
type Kind int

// What can be wrong.
const (
	Panics Kind = iota
	Refuses
	Wavers
	Loses
	Revives
	NotIdempotent
	NotCommutative
	NotAssociative
	Diverges
)

// String says it of "the merge".
func (k Kind) String() string {
	return [...]string{
		"panics", "refuses what clients have written", "gives different values for the same siblings",
		"loses what was added", "brings back what was removed",
		"is not idempotent", "is not commutative", "is not associative", "does not settle on one value",
	}[k]
}

// finding is one thing that is wrong in one run.
type finding[V any] struct {
	kind    Kind
	element string
	scene   int // where the element was added or removed
	stage   stage
	trouble string // the words of a panic or an error
	calls   []call[V]
}

// shows reports whether a run has found something of a kind.
func (r *run[V]) shows(kind Kind) bool {
	return slices.ContainsFunc(r.found, func(f finding[V]) bool { return f.kind == kind })
}

// valuesOfLaws is how many of the values written in a run are tried in every pair
// and triple.
const valuesOfLaws = 5

func (r *run[V]) find(f finding[V]) {
	f.stage = r.stage
	r.found = append(r.found, f)
}

// end lets everybody hear everything and merge, and looks at what has become of
// the elements.
func (r *run[V]) end() {
	r.stage = atEnd
	r.world.heal()
	siblings, _ := r.world.read(0)
	for i := range replicas {
		others, _ := r.world.read(i)
		if !slices.EqualFunc(siblings, others, func(a, b version[V]) bool { return a.op == b.op }) {
			panic("merges: the replicas have heard everything and differ, which is no fault of the merge")
		}
	}
	if len(siblings) == 0 {
		return
	}
	all := values(siblings)
	final, ok := r.steady(all)
	if !ok {
		return
	}
	last := call[V]{all, final}
	r.judgeElements(r.elements(final), last)
	r.judgeRest(siblings, last)
}

// steady merges twice.
func (r *run[V]) steady(siblings []V) (V, bool) {
	first, ok := r.merge(siblings)
	if !ok {
		return first, false
	}
	second, ok := r.merge(siblings)
	if ok && !r.Equal(first, second) {
		r.find(finding[V]{kind: Wavers, calls: []call[V]{{siblings, first}, {siblings, second}}})
	}
	return first, ok
}

// judgeElements compares what is there in the end with what clients have asked for.
func (r *run[V]) judgeElements(there []string, last call[V]) {
	for i, o := range r.ops {
		for _, e := range o.adds {
			if !slices.Contains(there, e) && !r.excused(i, e) {
				r.find(finding[V]{kind: Loses, element: e, scene: o.step, calls: []call[V]{last}})
			}
		}
		for _, e := range o.removes {
			if slices.Contains(there, e) && r.settled(e) {
				r.find(finding[V]{kind: Revives, element: e, scene: o.step, calls: []call[V]{last}})
			}
		}
	}
}

// excused reports whether somebody who knew of the add of an element took it away.
func (r *run[V]) excused(add int, e string) bool {
	return slices.ContainsFunc(r.ops, func(o op[V]) bool {
		return o.knows&(1<<add) != 0 && (o.ends || slices.Contains(o.removes, e))
	})
}

// settled reports whether each add of an element was removed by somebody who knew
// of it, in a way that has not been deleted since. An edit that changed no name may
// have been one more add of a name that was there.
func (r *run[V]) settled(e string) bool {
	for add, o := range r.ops {
		if (slices.Contains(o.adds, e) || slices.Contains(o.touches, e)) && !slices.ContainsFunc(r.ops, func(o op[V]) bool {
			return o.knows&(1<<add) != 0 && slices.Contains(o.removes, e)
		}) {
			return false
		}
	}
	for i, o := range r.ops {
		if slices.Contains(o.removes, e) && slices.ContainsFunc(r.ops, func(o op[V]) bool { return o.ends && o.knows&(1<<i) != 0 }) {
			return false
		}
	}
	return true
}

// judgeRest lets all clients merge at the same time, each at a replica of its own,
// which must not be the beginning of another round.
func (r *run[V]) judgeRest(siblings []version[V], last call[V]) {
	r.stage = atRest
	_, seen := r.world.read(0)
	for at := range replicas {
		n := len(r.ops)
		r.ops = append(r.ops, op[V]{knows: r.known(siblings)})
		r.world.write(-1, at, n, seen, &version[V]{op: n, value: last.result})
	}
	r.world.heal()
	again, _ := r.world.read(0)
	all := values(again)
	if settled, ok := r.merge(all); ok && !r.Equal(settled, last.result) {
		r.find(finding[V]{kind: Diverges, calls: []call[V]{last, {all, settled}}})
	}
}

// laws tries the values that were written on one another.
func (r *run[V]) laws() {
	r.stage = inLaws
	met := r.written[:min(len(r.written), valuesOfLaws)]
	for i, a := range met {
		r.idempotent(a)
		for j, b := range met[:i] {
			r.commutative(b, a)
			for _, c := range met[:j] {
				r.associative(c, b, a)
				r.associative(b, a, c)
			}
		}
		if r.over() {
			return
		}
	}
}

func (r *run[V]) idempotent(a V) {
	r.compare(NotIdempotent, []V{a}, []V{a, a})
	if once, ok := r.merge([]V{a}); ok {
		r.compareWith(NotIdempotent, call[V]{[]V{a}, once}, []V{once})
	}
}

func (r *run[V]) commutative(a, b V) {
	r.compare(NotCommutative, []V{a, b}, []V{b, a})
	if both, ok := r.merge([]V{a, b}); ok {
		r.compareWith(NotIdempotent, call[V]{[]V{a, b}, both}, []V{both, a})
	}
}

// associative compares the three ways to merge three siblings.
func (r *run[V]) associative(a, b, c V) {
	left, ok1 := r.merge([]V{a, b})
	right, ok2 := r.merge([]V{b, c})
	if !ok1 || !ok2 {
		return
	}
	first, ok1 := r.merge([]V{left, c})
	second, ok2 := r.merge([]V{a, right})
	all, ok3 := r.merge([]V{a, b, c})
	if !ok1 || !ok2 || !ok3 {
		return
	}
	one := []call[V]{{[]V{a, b}, left}, {[]V{left, c}, first}}
	other := []call[V]{{[]V{b, c}, right}, {[]V{a, right}, second}}
	switch {
	case !r.Equal(first, second):
		r.find(finding[V]{kind: NotAssociative, calls: slices.Concat(one, other)})
	case !r.Equal(first, all):
		r.find(finding[V]{kind: NotAssociative, calls: append(one, call[V]{[]V{a, b, c}, all})})
	}
}

// compare finds fault if two lists of siblings give different values.
func (r *run[V]) compare(kind Kind, a, b []V) {
	if first, ok := r.merge(a); ok {
		r.compareWith(kind, call[V]{a, first}, b)
	}
}

func (r *run[V]) compareWith(kind Kind, first call[V], b []V) {
	if second, ok := r.merge(b); ok && !r.Equal(first.result, second) {
		r.find(finding[V]{kind: kind, calls: []call[V]{first, {b, second}}})
	}
}
