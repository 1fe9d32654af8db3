package client

import (
	"sync"
	"time"
)

// How the time until a hedge is chosen.
const (
	hedgeQuantile = 0.95
	// hedgeFloor and hedgeCeiling bound it: below the floor a hedge is noise,
	// above the ceiling it comes too late to help.
	hedgeFloor   = 2 * time.Millisecond
	hedgeCeiling = 250 * time.Millisecond
	// hedgeStep is how far one get moves the estimate, as a part of it.
	hedgeStep = 0.02
)

// quantile follows a quantile of a stream of durations with one number: it
// goes up a little for each longer one and down for each shorter one, in such
// a proportion that it rests where the quantile is (stochastic approximation,
// Robbins and Monro 1951).
type quantile struct {
	mu       sync.Mutex
	estimate float64
}

func newQuantile(first time.Duration) *quantile {
	return &quantile{estimate: float64(first)}
}

// observe takes one duration into account.
func (q *quantile) observe(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	step := q.estimate * hedgeStep
	if float64(d) > q.estimate {
		q.estimate += step * hedgeQuantile
	} else {
		q.estimate -= step * (1 - hedgeQuantile)
	}
	q.estimate = min(max(q.estimate, float64(hedgeFloor)), float64(hedgeCeiling))
}

// value is the present estimate.
func (q *quantile) value() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.Duration(q.estimate)
}
