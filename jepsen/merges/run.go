package merges

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/kindredkv/kindred/vclock"
)

// run is one plan being carried out.
type run[V any] struct {
	*Subject[V]
	seed    uint64
	world   *world[V]
	ops     []op[V]
	last    [clients]int // the op of each client's last write, or -1
	written []V          // each value once
	scenes  []scene[V]
	found   []finding[V]
	merges  int
	stage   stage
}

// stage is where a run has come to.
type stage int

const (
	inSteps stage = iota
	atEnd
	atRest
	inLaws
)

// op is one intention: a write with its retries, a delete or an expiry.
type op[V any] struct {
	step          int // the scene
	knows         uint64
	adds, removes []string
	touches       []string // what an edit may have added again
	ends          bool     // a delete or an expiry
	seen          vclock.DotSet
	version       version[V]
}

// scene is what a step came to.
type scene[V any] struct {
	step          step
	read          []V
	merged, wrote V
	adds, removes []string
	idle          bool // nothing happened
	halted        bool // the merge gave no value
	of            int  // the scene of the write that is repeated or delivered
}

// play carries out a plan. It judges by laws only if asked: they take the most time.
func play[V any](s *Subject[V], seed uint64, plan []step, laws bool) *run[V] {
	r := &run[V]{Subject: s, seed: seed, world: newWorld[V](), last: [clients]int{-1, -1, -1}}
	for i := range plan {
		r.scenes = append(r.scenes, scene[V]{step: plan[i]})
		r.do(&r.scenes[i])
		if r.over() {
			return r
		}
	}
	r.end()
	if laws && !r.over() {
		r.laws()
	}
	return r
}

// over reports whether it makes no sense to go on.
func (r *run[V]) over() bool {
	return slices.ContainsFunc(r.found, func(f finding[V]) bool { return f.kind <= Refuses })
}

func (r *run[V]) do(c *scene[V]) {
	s := &c.step
	switch s.do {
	case update, resolve:
		r.update(c)
	case put:
		v := r.Clone(r.Values[s.value%len(r.Values)])
		c.wrote, c.adds = v, r.elements(v)
		r.write(c, op[V]{adds: c.adds}, v)
	case retry:
		r.retry(c)
	case remove, expire:
		r.remove(c)
	case deliver:
		c.of = r.sceneOf(s.of)
		c.idle = len(r.world.writes[s.of]) == 0
		for _, event := range r.world.writes[s.of] {
			r.world.learn(s.via, event)
		}
	case sync:
		c.idle = !r.world.sync(s.at, s.via)
	}
}

// sceneOf finds the scene of a step of the plan; -1 if it has none yet.
func (r *run[V]) sceneOf(id int) int {
	return slices.IndexFunc(r.scenes, func(c scene[V]) bool { return c.step.id == id })
}

// update reads, merges, edits unless it only resolves, and writes.
func (r *run[V]) update(c *scene[V]) {
	s := &c.step
	siblings, seen := r.world.read(s.at)
	if c.idle = s.do == resolve && len(siblings) < 2; c.idle {
		return
	}
	c.read = values(siblings)
	merged, ok := r.merge(c.read)
	if c.halted = !ok; !ok {
		return
	}
	c.merged, c.wrote = merged, merged
	o := op[V]{seen: seen, knows: r.known(siblings)}
	if s.do == update {
		c.wrote = r.Clone(r.Edit(rand.New(newDraws(r.seed, s)), r.Clone(merged)))
		had, has := r.elements(merged), r.elements(c.wrote)
		c.adds, c.removes = without(has, had), without(had, has)
		if len(c.adds)+len(c.removes) == 0 {
			o.touches = has
		}
	}
	o.adds, o.removes = c.adds, c.removes
	r.write(c, o, c.wrote)
}

// write makes an op of what a client writes.
func (r *run[V]) write(c *scene[V], o op[V], v V) {
	n := r.intend(c, o)
	made := &r.ops[n]
	made.version = version[V]{op: n, value: v, expires: c.step.expires && !r.NoDeletes}
	r.last[c.step.client] = n
	if !slices.ContainsFunc(r.written, func(w V) bool { return r.Equal(w, v) }) {
		r.written = append(r.written, v)
	}
	r.world.write(c.step.id, c.step.via, n, o.seen, &made.version)
}

// intend notes an op.
func (r *run[V]) intend(c *scene[V], o op[V]) int {
	n := len(r.ops)
	o.step = r.sceneOf(c.step.id)
	o.knows |= 1 << n
	r.ops = append(r.ops, o)
	return n
}

func (r *run[V]) retry(c *scene[V]) {
	n := r.last[c.step.client]
	if c.idle = n < 0 || r.world.served(c.step.via, n); c.idle {
		return
	}
	o := &r.ops[n]
	c.of, c.wrote = o.step, o.version.value
	r.world.write(c.step.id, c.step.via, n, o.seen, &o.version)
}

// remove deletes what a client has read, or what has expired.
func (r *run[V]) remove(c *scene[V]) {
	s := &c.step
	gone, seen := r.world.read(s.at)
	if s.do == expire {
		s.via = s.at
		gone, seen = r.world.expired(s.at)
	}
	if c.idle = len(gone) == 0; c.idle {
		return
	}
	c.read = values(gone)
	r.world.write(s.id, s.via, r.intend(c, op[V]{ends: true, knows: r.known(gone)}), seen, nil)
}

// known are the ops that versions were made of.
func (r *run[V]) known(versions []version[V]) (ops uint64) {
	for _, v := range versions {
		ops |= r.ops[v.op].knows
	}
	return ops
}

func values[V any](versions []version[V]) []V {
	all := make([]V, len(versions))
	for i, v := range versions {
		all[i] = v.value
	}
	return all
}

// without lists what is in all and not in some.
func without(all, some []string) (rest []string) {
	for _, e := range all {
		if !slices.Contains(some, e) && !slices.Contains(rest, e) {
			rest = append(rest, e)
		}
	}
	return rest
}

// call is one use of the merge function.
type call[V any] struct {
	siblings []V
	result   V
}

// merge asks the user's function. Where that gives no value the run has found
// something and is over.
func (r *run[V]) merge(siblings []V) (V, bool) {
	r.merges++
	handed := make([]V, len(siblings))
	for i, v := range siblings {
		handed[i] = r.Clone(v)
	}
	if len(handed) == 0 {
		handed = nil
	}
	v, kind, trouble := guarded(r.Merge, handed)
	if trouble != "" {
		r.find(finding[V]{kind: kind, trouble: trouble, calls: []call[V]{{siblings: siblings}}})
		return v, false
	}
	return r.Clone(v), true
}

func guarded[V any](merge func([]V) (V, error), siblings []V) (v V, kind Kind, trouble string) {
	defer func() {
		if p := recover(); p != nil {
			kind, trouble = Panics, fmt.Sprint(p)
		}
	}()
	v, err := merge(siblings)
	if err != nil {
		return v, Refuses, err.Error()
	}
	return v, 0, ""
}
