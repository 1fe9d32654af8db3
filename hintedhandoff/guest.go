package hintedhandoff

import (
	"github.com/kindredkv/kindred/vclock"
)

// Guest mints dots for the writes of one partition that this node coordinates
// without being a home of it. It keeps no clock: what it holds are its hints.
type Guest struct {
	actor vclock.Actor
	last  uint64
}

// NewGuest is a guest in that incarnation, which has minted nothing yet (I2).
func NewGuest(actor vclock.Actor) *Guest { return &Guest{actor: actor} }

// Actor is the guest's incarnation.
func (g *Guest) Actor() vclock.Actor { return g.actor }

// Mint takes the next dot.
func (g *Guest) Mint() vclock.Dot {
	g.last++
	return vclock.Dot{Actor: g.actor, Counter: g.last}
}

// Forges reports whether a set holds dots that only this incarnation can mint and
// has not.
func (g *Guest) Forges(set vclock.DotSet) bool { return set.Max(g.actor) > g.last }
