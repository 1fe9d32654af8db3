package sim

import (
	"fmt"
	"strings"
)

// Fault is a disturbance that begins at some moment. What the network does to single
// messages, and disks to single syncs, is none.
type Fault int

const (
	FaultCut Fault = iota
	FaultOneWay
	FaultLinks
	FaultKill
	FaultPower
	FaultBlackout
	FaultStop
	FaultAway
	FaultPause
	FaultFull
	FaultSlow
	FaultClock
	FaultRot
	FaultVanish
	FaultWipe
	FaultImage
	FaultZoneCut
	FaultBridge
	FaultRing
	FaultSwizzle
	FaultZone
	FaultLame
	FaultJoin
	FaultLeave
	FaultReplace
	FaultReshape
	FaultRemove
	FaultRivals
	FaultReturn
	FaultRejoin
	FaultRemoveAgain
	faultKinds
)

var faultNames = [faultKinds]string{
	"cut into two sides", "one-way cut", "links cut at random",
	"kill, all rows kept", "power loss, unsynced rows gone", "blackout of all nodes", "orderly stop", "long absence",
	"pause", "disk full", "disk slow", "wall clock jump",
	"rotten row", "vanished row or spoilt tree", "disk lost", "old image of a disk",
	"cut around a zone", "cut with a bridge", "ring of majorities", "nodes cut off one by one", "power loss of a zone", "process slow",
	"node joins", "node leaves", "node replaced", "other capacity or zone", "dead node removed", "operators on two sides of a cut",
	"removed node is a member again", "node that left rejoins with what it has", "returned node removed again",
}

// FaultCount is how many faults of each kind have begun.
type FaultCount [faultKinds]uint64

// Plus adds the counts of another run.
func (f FaultCount) Plus(o FaultCount) FaultCount {
	for i := range f {
		f[i] += o[i]
	}
	return f
}

// Total is how many there were.
func (f FaultCount) Total() (all uint64) {
	for _, n := range f {
		all += n
	}
	return all
}

// String is a line for each kind.
func (f FaultCount) String() string {
	var s strings.Builder
	for i, n := range f {
		fmt.Fprintf(&s, "%10d  %s\n", n, faultNames[i])
	}
	return s.String()
}

func (r *run) broke(f Fault) { r.faults[f]++ }
