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
		if !p.former {
			settled = settled.Intersect(p.common)
		}
	}
	return settled
}

// Silent is when the home was last heard of that has been silent longest; zero if
// there is one that this process has not heard of. Without other homes it is now.
func (e *Exchange) Silent(now time.Time) time.Time {
	for _, p := range e.peers {
		if !p.former && p.heardAt.Before(now) {
			now = p.heardAt
		}
	}
	return now
}

// Unshared are those of the dots that not every other home is known to hold for
// certain: none without other homes.
func (e *Exchange) Unshared(dots vclock.DotSet) vclock.DotSet {
	if len(e.peers) == 0 {
		return vclock.DotSet{}
	}
	return finite(dots.Minus(e.Others()))
}

// Rare are those of the dots that no other home is known to hold for certain, and
// those that just one is, of several.
func (e *Exchange) Rare(dots vclock.DotSet) (alone, paired vclock.DotSet) {
	alone = e.Unshared(dots)
	var more vclock.DotSet
	for _, p := range e.peers {
		if alone.IsEmpty() && paired.IsEmpty() {
			break
		}
		more.Union(paired.Intersect(p.durable))
		paired.Union(alone.Intersect(p.durable))
		alone = alone.Minus(p.durable)
	}
	return alone, paired.Minus(more)
}
