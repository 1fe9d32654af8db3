package antientropy

import "github.com/kindredkv/kindred/vclock"

// Trusted reports whether this replica may count toward a read quorum (R17).
//
// One whose last life ended in good order has lost nothing, unless its disk was
// replaced by an old image since. Its peers remember what it had, so a home that
// is linked has to vouch for it first.
func (e *Exchange) Trusted() bool { return e.trusted }

// needs is how many other homes must have been caught up with: among so many
// there is a holder of every write that W homes have acknowledged.
func (e *Exchange) needs() int {
	return min(len(e.peers)+1-e.w+1, len(e.peers))
}

func (e *Exchange) satisfied(p *peer) bool {
	return p.caught || e.clean && (p.vouched || !p.linked)
}

// consider finds out anew whether the replica may be trusted.
func (e *Exchange) consider(clock vclock.DotSet) {
	satisfied := 0
	for _, p := range e.peers {
		if p.answered && !p.caught && clock.Covers(p.target) {
			p.caught, p.target = true, vclock.DotSet{}
		}
		if e.satisfied(p) {
			satisfied++
		}
	}
	e.trusted = satisfied >= e.needs()
}

// doubt is the answer to a peer who knows of dots that this replica has lost.
func (e *Exchange) doubt() { e.clean = false }

// Waits lists the homes that this replica still has to catch up with, and of
// those the ones that cannot be reached. Both are empty if it is trusted.
func (e *Exchange) Waits() (homes, unreachable []string) {
	if e.trusted {
		return nil, nil
	}
	for _, p := range e.peers {
		if e.satisfied(p) {
			continue
		}
		homes = append(homes, p.name)
		if !p.linked {
			unreachable = append(unreachable, p.name)
		}
	}
	return homes, unreachable
}
