package antientropy

import (
	"slices"

	"github.com/kindredkv/kindred/vclock"
)

// Trusted reports whether this replica may count toward a read quorum (R17).
//
// One whose last life ended in good order has lost nothing, unless its disk was
// replaced by an old image since. Its peers remember what it had, so a home that
// is linked has to vouch for it first. One that is gone for ever is one that is not
// linked.
func (e *Exchange) Trusted() bool { return e.trusted }

// needs is how many other homes of a layout must have been caught up with: among so
// many there is a holder of every write that W homes have acknowledged.
func (e *Exchange) needs(homes []string) int {
	others := len(homes)
	if slices.Contains(homes, e.cfg.Self) {
		others--
	}
	return min(len(homes)-len(homes)/2, others)
}

func (e *Exchange) satisfied(p *peer) bool {
	return p.caught || e.clean && (p.vouched || !p.linked)
}

// sure is to be satisfied for good, whoever is linked.
func (e *Exchange) sure(p *peer) bool { return p.caught || e.clean && p.vouched }

// consider finds out anew whether the replica may be trusted: by the homes of each
// layout that counts (R26).
func (e *Exchange) consider(clock vclock.DotSet) {
	for _, p := range e.peers {
		if p.answered && !p.caught && clock.Covers(p.target) {
			p.caught, p.target = true, vclock.DotSet{}
		}
	}
	before := e.trusted
	e.trusted = e.earned || e.enough(e.satisfied, e.excused())
	if e.trusted && !before && len(e.owners.Base) > 0 { // they may wait for a clock to go by
		e.announce()
	}
	e.contain()
}

// excused are the homes of the base that are gone, of which a replica that has lost
// nothing asks nothing.
func (e *Exchange) excused() (gone int) {
	if !e.clean {
		return 0
	}
	for _, name := range e.owners.Base {
		if name != e.cfg.Self && e.peer(name) == nil {
			gone++
		}
	}
	return gone
}

// enough reports whether so many homes of each layout that counts are as asked. So many
// of the base are excused.
func (e *Exchange) enough(is func(*peer) bool, excused int) bool {
	tip, base, left := 0, 0, 0
	for _, p := range e.peers {
		if p.base {
			left++
		}
		if p.former || !is(p) {
			continue
		}
		if p.tip {
			tip++
		}
		if p.base {
			base++
		}
	}
	if tip < e.needs(e.owners.Tip) {
		return false
	}
	needs := e.needs(e.owners.Base)
	if e.owners.Loss {
		needs = min(needs, left)
	}
	return base+excused >= needs
}

// doubt is the answer to a peer who knows of dots that this replica has lost.
func (e *Exchange) doubt() {
	e.clean, e.earned, e.complete = false, false, false
	for _, p := range e.peers {
		p.within = false
	}
}

// Waits lists the homes that this replica still has to catch up with, and of
// those the ones that cannot be reached. Both are empty if it is trusted.
func (e *Exchange) Waits() (homes, unreachable []string) {
	if e.trusted {
		return nil, nil
	}
	for _, p := range e.peers {
		if p.former || e.satisfied(p) {
			continue
		}
		homes = append(homes, p.name)
		if !p.linked {
			unreachable = append(unreachable, p.name)
		}
	}
	return homes, unreachable
}
