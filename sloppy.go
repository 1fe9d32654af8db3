package kindred

import "fmt"

// Sloppiness says whether guests may count toward the quorum of a request: the
// nodes that stand in for home replicas which cannot be reached.
type Sloppiness uint8

const (
	// SloppinessDefault leaves the choice to the bucket, whose own is sloppy.
	SloppinessDefault Sloppiness = iota
	// Sloppy: guests count. A write succeeds where W nodes of the preference list
	// can be reached, and is read everywhere once its hints are delivered.
	Sloppy
	// Strict: only home replicas count.
	Strict
)

var sloppinesses = [...]string{"", "sloppy", "strict"}

// String is the word of answers; the default is empty.
func (s Sloppiness) String() string {
	if int(s) < len(sloppinesses) {
		return sloppinesses[s]
	}
	return fmt.Sprintf("Sloppiness(%d)", uint8(s))
}

// IsSloppy reports whether guests count.
func (s Sloppiness) IsSloppy() bool { return s != Strict }

// SloppyOr is the sloppiness that a yes or no asks for.
func SloppyOr(sloppy bool) Sloppiness {
	if sloppy {
		return Sloppy
	}
	return Strict
}
