package ring

import (
	"encoding/binary"
	"math/bits"
)

// Partition numbers one of the equal arcs of the key space, from 0.
type Partition uint32

// Hash places a key on the ring: MurmurHash3 (x64, the first 64 of 128 bits, seed
// 0) of uvarint(len(bucket)), bucket and key one after the other. The length keeps
// ("ab", "c") and ("a", "bc") apart. The hash is part of the on-disk format and
// must never change.
func Hash(bucket, key string) uint64 {
	var room [hashRoom]byte
	b := binary.AppendUvarint(room[:0], uint64(len(bucket)))
	b = append(b, bucket...)
	b = append(b, key...)
	return murmur(b)
}

// hashRoom is up to how many bytes a name costs no allocation.
const hashRoom = 256

// murmur is MurmurHash3 as Hash says. The library lets its argument escape, and every
// operation hashes its key several times.
func murmur(b []byte) uint64 {
	const c1, c2 = 0x87c37b91114253d5, 0x4cf5ad432745937f
	var h1, h2 uint64
	size := uint64(len(b))
	for ; len(b) >= 16; b = b[16:] {
		h1 ^= bits.RotateLeft64(binary.LittleEndian.Uint64(b)*c1, 31) * c2
		h1 = (bits.RotateLeft64(h1, 27)+h2)*5 + 0x52dce729
		h2 ^= bits.RotateLeft64(binary.LittleEndian.Uint64(b[8:])*c2, 33) * c1
		h2 = (bits.RotateLeft64(h2, 31)+h1)*5 + 0x38495ab5
	}
	var tail [16]byte // zeros change nothing
	copy(tail[:], b)
	h1 ^= bits.RotateLeft64(binary.LittleEndian.Uint64(tail[:])*c1, 31) * c2
	h2 ^= bits.RotateLeft64(binary.LittleEndian.Uint64(tail[8:])*c2, 33) * c1
	h1, h2 = h1^size, h2^size
	h1 += h2
	h2 += h1
	return finish(h1) + finish(h2)
}

// finish is the last mixing of MurmurHash3.
func finish(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// mix spreads every bit of two words over one (the finisher of splitmix64).
func mix(a, b uint64) uint64 {
	x := a ^ (b+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// logFraction is the number of binary digits after the point in negLog2.
const logFraction = 25

// negLog2 returns −log2(x / 2⁶⁴) in fixed point, below 2³². It is done in
// integers because every node and every client must draw the same homes, and
// floating-point logarithms differ in their last digits between machines.
func negLog2(x uint64) uint64 {
	if x == 0 {
		return 64 << logFraction
	}
	zeros := bits.LeadingZeros64(x)
	m := x << zeros // the mantissa, 1 ≤ m/2⁶³ < 2
	log := uint64(63-zeros) << logFraction
	for digit := uint64(1) << (logFraction - 1); digit > 0; digit >>= 1 {
		hi, lo := bits.Mul64(m, m)
		if hi>>63 == 1 {
			m = hi
			log |= digit
		} else {
			m = hi<<1 | lo>>63
		}
	}
	return 64<<logFraction - log
}

// draw is a node's ticket in a weighted lottery (rendezvous hashing): the
// smallest time wins, and a node wins as often as its weight says. A node
// that joins or leaves changes nothing in the order of the others.
type draw struct {
	time   uint64 // −log2 of a uniform number: exponentially distributed
	weight uint64
	hash   uint64
}

func newDraw(seed, id uint64, weight uint32) draw {
	h := mix(seed, id)
	return draw{time: negLog2(h), weight: uint64(weight), hash: h}
}

// before reports whether d wins against e: d.time/d.weight < e.time/e.weight.
func (d draw) before(e draw) bool {
	a, b := d.time*e.weight, e.time*d.weight
	if a != b {
		return a < b
	}
	return d.hash > e.hash
}
