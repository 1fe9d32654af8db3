package hashtree

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"

	"github.com/spaolacci/murmur3"

	"github.com/kindredkv/kindred/vclock"
)

const (
	// Leaves is the number of leaves. More make a difference narrower, and the
	// tree, which is compared whole in the worst case, larger.
	Leaves = Parts * partLeaves
	// Parts is the number of parts in which a tree is saved.
	Parts = 64
	// PartBytes is the size of a saved part.
	PartBytes = 8 * partLeaves

	partLeaves = 16
)

// Version is what the hash of a version covers.
type Version struct {
	// Key is ring.Hash of the bucket and the key.
	Key         uint64
	Dot         vclock.Dot
	ContentType string
	// Expires is when the version expires, in milliseconds since 1970; 0 is never.
	Expires int64
	Value   []byte
}

// Hash is never 0 but by chance. It is part of what nodes compare and of the
// format on disk, and must never change.
func (v *Version) Hash() uint64 {
	h := murmur3.Sum64(v.Value)
	h = mix(h ^ v.Key)
	h = mix(h ^ v.Dot.Actor.Disk)
	h = mix(h ^ v.Dot.Actor.Nonce)
	h = mix(h ^ v.Dot.Counter)
	if v.Expires != 0 || v.ContentType != "" {
		h = mix(h ^ uint64(v.Expires))
		for i := 0; i < len(v.ContentType); i += 8 {
			h = mix(h ^ word(v.ContentType[i:]))
		}
		h = mix(h ^ uint64(len(v.ContentType)))
	}
	return h
}

// word is the first 8 bytes of a text, as many as there are.
func word(text string) (w uint64) {
	for i := range min(len(text), 8) {
		w = w<<8 | uint64(text[i])
	}
	return w
}

// mix spreads every bit over the word: the step and the finisher of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// LeafOf is the leaf of a key. The high bits of the hash choose the partition.
func LeafOf(key uint64) int { return int(key % Leaves) }

// part is 16 leaves; an absent one is all zero.
type part [partLeaves]uint64

// Tree is the hashes of one replica. The zero value is that of an empty replica.
// It must not be copied; see [Tree.Clone].
type Tree struct {
	parts [Parts]*part
	// own marks the parts that no clone shares, changed those that differ from
	// what was saved last.
	own, changed uint64
}

// Leaf is the number of a leaf.
func (t *Tree) Leaf(i int) uint64 {
	if p := t.parts[i/partLeaves]; p != nil {
		return p[i%partLeaves]
	}
	return 0
}

// Change applies the XOR of the hashes that came and went at a key.
func (t *Tree) Change(key, by uint64) { t.ChangeLeaf(LeafOf(key), by) }

// ChangeLeaf applies a change to a leaf.
func (t *Tree) ChangeLeaf(leaf int, by uint64) {
	if by == 0 {
		return
	}
	i := leaf / partLeaves
	t.writable(i)[leaf%partLeaves] ^= by
	t.changed |= 1 << i
}

// writable gives a part that is t's alone.
func (t *Tree) writable(i int) *part {
	if t.own>>i&1 == 0 {
		fresh := part{}
		if t.parts[i] != nil {
			fresh = *t.parts[i]
		}
		t.parts[i] = &fresh
		t.own |= 1 << i
	}
	return t.parts[i]
}

// Clone is the tree as it is now. It costs little: parts are shared until one
// side changes them.
func (t *Tree) Clone() *Tree {
	t.own = 0
	return &Tree{parts: t.parts, changed: t.changed}
}

// Root is one number for the whole tree.
func (t *Tree) Root() uint64 {
	h := uint64(0)
	for i := range Parts {
		h = mix(h ^ t.Part(i))
	}
	return h
}

// Part is one number for part i.
func (t *Tree) Part(i int) uint64 {
	p := t.parts[i]
	if p == nil {
		p = &part{}
	}
	h := uint64(0)
	for _, leaf := range p {
		h = mix(h ^ leaf)
	}
	return h
}

// Unsaved goes through the parts that have changed since they were saved, with
// their bytes, and counts them as saved. The bytes are valid during the visit.
func (t *Tree) Unsaved() iter.Seq2[uint32, []byte] {
	return func(yield func(uint32, []byte) bool) {
		var buf [PartBytes]byte
		for t.changed != 0 {
			i := bits.TrailingZeros64(t.changed)
			t.changed &^= 1 << i
			if !yield(uint32(i), t.AppendPart(buf[:0], i)) {
				return
			}
		}
	}
}

// AppendPart appends the leaves of part i, 8 bytes each, big endian.
func (t *Tree) AppendPart(b []byte, i int) []byte {
	for j := range partLeaves {
		b = binary.BigEndian.AppendUint64(b, t.Leaf(i*partLeaves+j))
	}
	return b
}

// SetPart takes a part as it was saved.
func (t *Tree) SetPart(index uint32, saved []byte) error {
	if index >= Parts || len(saved) != PartBytes {
		return fmt.Errorf("hashtree: part %d with %d bytes is no part: there are %d of %d bytes", index, len(saved), Parts, PartBytes)
	}
	p := t.writable(int(index))
	for j := range p {
		p[j] = binary.BigEndian.Uint64(saved[8*j:])
	}
	return nil
}

// Differing lists the leaves in which two trees differ, in order.
func (t *Tree) Differing(o *Tree) []int {
	var leaves []int
	for i := range Parts {
		if t.parts[i] == o.parts[i] {
			continue
		}
		for leaf := i * partLeaves; leaf < (i+1)*partLeaves; leaf++ {
			if t.Leaf(leaf) != o.Leaf(leaf) {
				leaves = append(leaves, leaf)
			}
		}
	}
	return leaves
}
