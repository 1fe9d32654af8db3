package report

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
)

// stepsMax bounds the points of a series.
const stepsMax = 180

// Point is what clients were told in one step of time, by when they had asked.
type Point struct {
	At time.Duration
	Tally
	// P50, P99 and Longest are how long the answers took; zero if there were none.
	P50, P99, Longest time.Duration
}

// Latency is how long answers took.
type Latency struct{ P50, P99, P999, Longest time.Duration }

// steps are lengths for a step of time that people can count with.
var steps = []time.Duration{
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
}

// Step is the shortest step of which the run has no more than stepsMax.
func (r *Run) Step() time.Duration {
	for _, s := range steps {
		if r.Worked <= s*stepsMax {
			return s
		}
	}
	return r.Worked/stepsMax + 1
}

// Series are the operations of all parts but the final reads, in steps of time.
func (r *Run) Series() []Point {
	step := r.Step()
	points := make([]Point, int(r.Worked/step)+1)
	took := make([][]time.Duration, len(points))
	for i := range points {
		points[i].At = time.Duration(i) * step
	}
	for i := range r.Parts {
		for j := range r.Parts[i].History.Ops {
			op := &r.Parts[i].History.Ops[j]
			if op.Final {
				continue
			}
			at := min(int(op.Invoke/step), len(points)-1)
			points[at].Add(op)
			if op.Outcome == kindred.Applied {
				took[at] = append(took[at], op.Complete-op.Invoke)
			}
		}
	}
	for i, t := range took {
		l := latencyOf(t)
		points[i].P50, points[i].P99, points[i].Longest = l.P50, l.P99, l.Longest
	}
	return points
}

// latencyOf sorts what it is given.
func latencyOf(took []time.Duration) (l Latency) {
	if len(took) == 0 {
		return l
	}
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[min(int(share*float64(len(took))), len(took)-1)]
	}
	return Latency{P50: at(0.5), P99: at(0.99), P999: at(0.999), Longest: took[len(took)-1]}
}

// Doors are the ways that clients took, in the order in which they are first named.
func (r *Run) Doors() (names []string) {
	for i := range r.Parts {
		for _, d := range r.Parts[i].Doors {
			if !slices.Contains(names, d) {
				names = append(names, d)
			}
		}
	}
	return names
}

// ByDoor counts the operations of all parts that went through a door, and says how
// long their answers took.
func (r *Run) ByDoor(door string) (t Tally, l Latency) {
	var took []time.Duration
	for i := range r.Parts {
		p := &r.Parts[i]
		for j := range p.History.Ops {
			op := &p.History.Ops[j]
			if op.Final || p.Door(op.Process) != door {
				continue
			}
			t.Add(op)
			if op.Outcome == kindred.Applied {
				took = append(took, op.Complete-op.Invoke)
			}
		}
	}
	return t, latencyOf(took)
}

// Tally counts the operations of all parts but the final reads.
func (r *Run) Tally() (sum Tally) {
	for i := range r.Parts {
		sum.plus(r.Parts[i].Tally(""))
	}
	return sum
}

func (t *Tally) plus(o Tally) {
	t.Operations, t.Answered, t.Sloppy = t.Operations+o.Operations, t.Answered+o.Answered, t.Sloppy+o.Sloppy
	t.Refused, t.Unknown = t.Refused+o.Refused, t.Unknown+o.Unknown
}
