package kindred

import (
	"fmt"
	"math/bits"
	"strings"
)

// Causes are bits that a coordinator stores with a write: the circumstances that
// later explain why a key has siblings, or why a value came late. They inform
// people and decide nothing. A node keeps bits that it does not know.
type Causes uint16

const (
	// CauseBlind: the writer passed no context.
	CauseBlind Causes = 1 << iota
	// CauseBeside: the coordinator held a live value that the writer had not
	// seen, so that the write made a sibling there and then.
	CauseBeside
	// CauseMerge: the writer had seen two or more of the siblings that it replaced.
	CauseMerge
	// CauseRetry: the request had been sent before. Under the same id it may have
	// made another write elsewhere.
	CauseRetry
	// CauseForwarded: the request came through a node that is no home of the key.
	CauseForwarded
	// CauseCut: the coordinator could not reach every home replica.
	CauseCut
	// CauseGuest: a guest coordinated the write; it came to the homes as a hint,
	// perhaps long afterwards.
	CauseGuest
)

var causeNames = [...]string{"blind", "beside", "merge", "retry", "forwarded", "cut", "guest"}

// Has reports whether all bits of c are set.
func (s Causes) Has(c Causes) bool { return s&c == c }

// Names are the words for the bits, the lowest first.
func (s Causes) Names() []string {
	var names []string
	for rest := uint(s); rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros(rest); i < len(causeNames) {
			names = append(names, causeNames[i])
		} else {
			names = append(names, fmt.Sprintf("cause-%d", i))
		}
	}
	return names
}

// String is the names with commas between them.
func (s Causes) String() string { return strings.Join(s.Names(), ", ") }
