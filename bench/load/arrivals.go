package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// Spacing is how operations follow one another at a rate.
type Spacing string

const (
	// Even: at equal distances.
	Even Spacing = "even"
	// Poisson: independently of one another, as many users come.
	Poisson Spacing = "poisson"
)

// Arrivals are the moments at which operations are meant to begin. They depend on
// the rate alone: not on how the store is doing.
type Arrivals struct {
	start   time.Time
	rate    float64 // per second
	spacing Spacing
	chance  *rand.Rand

	n       int64
	seconds float64 // after start, for Poisson
}

// NewArrivals begins at start.
func NewArrivals(start time.Time, rate float64, spacing Spacing, seed uint64) *Arrivals {
	return &Arrivals{start: start, rate: rate, spacing: spacing, chance: rand.New(rand.NewPCG(seed, math.MaxUint64))}
}

// Next is the next moment.
func (a *Arrivals) Next() time.Time {
	after := a.next()
	a.n++
	if a.spacing == Poisson {
		a.seconds += a.chance.ExpFloat64() / a.rate
	}
	return a.start.Add(time.Duration(after * float64(time.Second)))
}

// next is in seconds after start.
func (a *Arrivals) next() float64 {
	if a.spacing == Poisson {
		return a.seconds
	}
	return float64(a.n) / a.rate
}

// Before is how many moments before end Next has yet to name; as many as are to be
// expected, if chance decides.
func (a *Arrivals) Before(end time.Time) int64 {
	left := end.Sub(a.start).Seconds() - a.next()
	return max(0, int64(math.Ceil(left*a.rate)))
}
