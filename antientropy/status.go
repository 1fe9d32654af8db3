package antientropy

import (
	"time"

	"github.com/kindredkv/kindred/vclock"
)

// Settled are the dots that every home has said to be durable at every home. The
// caller must not change it.
func (e *Exchange) Settled() vclock.DotSet {
	settled := e.announced
	for _, p := range e.peers {
		settled = settled.Intersect(p.common)
	}
	return settled
}

// Silent is when the home was last heard of that has been silent longest; zero if
// there is one that this process has not heard of. Without other homes it is now.
func (e *Exchange) Silent(now time.Time) time.Time {
	for _, p := range e.peers {
		if p.heardAt.Before(now) {
			now = p.heardAt
		}
	}
	return now
}
