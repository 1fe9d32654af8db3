package ring

import (
	"cmp"
	"fmt"
)

// Version names one layout: how many decisions led to it and a hash of what it
// says. Equal versions mean equal layouts.
type Version struct {
	Counter uint64
	Hash    uint64
}

// String prints a version as counter and hash: "3-9f2c66d01e6a74b8".
func (v Version) String() string { return fmt.Sprintf("%d-%016x", v.Counter, v.Hash) }

// Compare orders versions totally, by counter and then by hash. The order of
// hashes means nothing; it only has to be the same everywhere.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Counter, w.Counter), cmp.Compare(v.Hash, w.Hash))
}

// Rivals reports whether v and w are two different decisions with one counter:
// someone changed the layout on both sides of a cut, and one of the two
// decisions will be lost.
func (v Version) Rivals(w Version) bool {
	return v.Counter == w.Counter && v.Hash != w.Hash
}
