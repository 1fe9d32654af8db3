package antientropy

import "slices"

// Lack is what keeps a home from being complete (R25).
type Lack struct {
	Kind LackKind
	// Homes are those that it waits for.
	Homes []string
	// Need is how many other old owners have to be heard, and Left how many are not gone
	// for ever, where these are too few.
	Need, Left int
}

// LackKind is the first thing that a home lacks.
type LackKind byte

const (
	// LacksNothing: it is complete, or there is nothing to be complete by.
	LacksNothing LackKind = iota
	// LacksTrust: it may have lost something, and has to catch up with homes first (R26).
	LacksTrust
	// LacksFence: homes of the base have not said yet what they have, and that they take
	// nothing more by the layout before.
	LacksFence
	// LacksDots: it does not have all that homes of the base have.
	LacksDots
	// LacksOwners: so many of the base are gone that nobody has every acknowledged write
	// for certain, or that it can never be trusted. Only a layout that accepts the loss
	// ends that.
	LacksOwners
)

// Lack says why this home is not complete.
func (e *Exchange) Lack() Lack {
	if e.Complete() || len(e.owners.Base) == 0 && e.trusted {
		return Lack{}
	}
	if need, left := e.short(); need > left {
		return Lack{Kind: LacksOwners, Need: need, Left: left}
	}
	if !e.trusted {
		homes, _ := e.Waits()
		return Lack{Kind: LacksTrust, Homes: homes}
	}
	unfenced, behind := Lack{Kind: LacksFence}, Lack{Kind: LacksDots}
	for _, p := range e.peers {
		switch {
		case !p.base || p.within:
		case p.fenced:
			behind.Homes = append(behind.Homes, p.name)
		default:
			unfenced.Homes = append(unfenced.Homes, p.name)
		}
	}
	if len(unfenced.Homes) > 0 {
		return unfenced
	}
	return behind
}

// short is how many other homes of the base it takes until this one is complete, and how
// many of them are not gone.
func (e *Exchange) short() (need, left int) {
	base := e.owners.Base
	if len(base) == 0 || e.owners.Loss {
		return 0, 0
	}
	for _, p := range e.peers {
		if p.base {
			left++
		}
	}
	need = len(base) - len(base)/2
	if slices.Contains(base, e.cfg.Self) {
		need--
	}
	if !e.trusted {
		need = max(need, e.needs(base)-e.excused())
	}
	return need, left
}
