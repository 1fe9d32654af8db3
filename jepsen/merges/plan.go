package merges

import "math/rand/v2"

const (
	clients  = 3
	replicas = 3
	// stepsMax is how long plans become. Nothing needs more than a few steps; longer
	// plans only find sooner what shorter ones contain.
	stepsMax = 12
	// drawsMax is how many of the numbers that an edit draws can be made smaller.
	drawsMax = 8
)

// action is what happens in a step.
type action int

const (
	update  action = iota // read, merge, edit, write
	put                   // write without reading
	resolve               // read, merge, write
	retry                 // repeat the last write of the client
	remove                // read, delete
	expire                // what is to expire and is at this replica ends
	deliver               // one write reaches one replica
	sync                  // one replica tells another all it has
)

// step is one thing that happens. Not every field means something to every action.
type step struct {
	id      int // of the plan as it was drawn; survives shortening
	do      action
	client  int
	at      int  // the replica that is read, or tells
	via     int  // the replica that is written to, or is told
	of      int  // the id of the step whose write is delivered
	value   int  // of Values
	expires bool // what is written will expire
	levels  [drawsMax]level
}

// level says which number a draw gives: a small one, or by chance.
type level uint8

const (
	byChance level = iota
	largest
	larger
	small
	smallest
)

// draw makes the plan of one run.
func draw(r *rand.Rand, length int, weights []int) []step {
	plan := make([]step, length)
	for i := range plan {
		plan[i] = step{
			id: i, do: action(weighted(r, weights)), client: r.IntN(clients),
			at: r.IntN(replicas), of: r.IntN(length), value: r.IntN(1 << 16), expires: r.IntN(4) == 0,
		}
		s := &plan[i]
		s.via = s.at
		if s.do == sync {
			s.via = (s.at + 1 + r.IntN(replicas-1)) % replicas
		} else if s.do == deliver || r.IntN(4) == 0 {
			s.via = r.IntN(replicas)
		}
	}
	return plan
}

func weighted(r *rand.Rand, weights []int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	n := r.IntN(sum)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	panic("merges: weights without a sum")
}

// weights say how often each action is drawn.
func (s *Subject[V]) weights() []int {
	w := []int{update: 10, put: 2, resolve: 4, retry: 2, remove: 2, expire: 1, deliver: 3, sync: 8}
	if s.Edit == nil {
		w[update], w[put] = 0, 10
	}
	if len(s.Values) == 0 {
		w[put] = 0
	}
	if s.NoDeletes {
		w[remove], w[expire] = 0, 0
	}
	return w
}

// draws is the source of what one edit draws. Its numbers depend on the run and on
// the step alone, and those of small levels are different all the same: who names
// things by random numbers gets different names, and IntN gives small numbers.
type draws struct {
	step   *step
	chance *rand.PCG
	drawn  int
}

func newDraws(seed uint64, s *step) *draws {
	return &draws{step: s, chance: rand.NewPCG(seed, uint64(s.id)+1)}
}

// Uint64 implements rand.Source.
func (d *draws) Uint64() uint64 {
	i := d.drawn
	d.drawn++
	n := d.chance.Uint64()
	if i >= drawsMax || d.step.levels[i] == byChance {
		return n
	}
	// IntN looks at the low half where its argument is a power of two, and else at
	// the high half, as a fraction.
	quarter := uint64(smallest - d.step.levels[i])
	name := uint64(d.step.id*drawsMax + i + 1)
	return (quarter<<30+name)<<32 | quarter
}
