package hashtree

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
)

// SetBytes is the size of a set's binary form.
const SetBytes = Leaves / 8

// Set is a set of leaves. The zero Set is empty; a copy is a set of its own.
type Set [Leaves / 64]uint64

// SetOf is the set of the given leaves.
func SetOf(leaves ...int) (s Set) {
	for _, i := range leaves {
		s.Add(i)
	}
	return s
}

// All is the set of all leaves.
func All() (s Set) {
	for i := range s {
		s[i] = ^uint64(0)
	}
	return s
}

// Add puts a leaf into the set.
func (s *Set) Add(leaf int) { s[leaf/64] |= 1 << (leaf % 64) }

// Remove takes a leaf out.
func (s *Set) Remove(leaf int) { s[leaf/64] &^= 1 << (leaf % 64) }

// Has reports whether the leaf is in the set.
func (s *Set) Has(leaf int) bool { return s[leaf/64]>>(leaf%64)&1 == 1 }

// IsEmpty reports whether no leaf is in the set.
func (s *Set) IsEmpty() bool { return *s == Set{} }

// Len counts the leaves.
func (s *Set) Len() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// Leaves goes through the set in order.
func (s *Set) Leaves() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range s {
			for ; w != 0; w &= w - 1 {
				if !yield(64*i + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// AppendTo appends the binary form.
func (s *Set) AppendTo(b []byte) []byte {
	for _, w := range s {
		b = binary.BigEndian.AppendUint64(b, w)
	}
	return b
}

// DecodeSet reads what AppendTo wrote, and nothing else.
func DecodeSet(b []byte) (s Set, err error) {
	if len(b) != SetBytes {
		return Set{}, fmt.Errorf("hashtree: a set of leaves has %d bytes, not %d", SetBytes, len(b))
	}
	for i := range s {
		s[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return s, nil
}
