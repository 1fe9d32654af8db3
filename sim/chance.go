package sim

import (
	"encoding/binary"
	"math"
	"math/bits"
	"time"
)

// chance is a draw that depends on what is drawn for and on nothing else: the
// fate of a message is a hash of the seed, the time, the two nodes, the kind and
// the content. So one fault that is taken out leaves the rest of the run as it
// was, which a shared generator would not.
type chance uint64

// with is another draw for every list of words.
func (c chance) with(words ...uint64) chance {
	x := uint64(c)
	for _, w := range words {
		x ^= (w + 1) * 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
	}
	return chance(x)
}

// unit is in [0, 1).
func (c chance) unit() float64 { return float64(c.with(0xA)>>11) / (1 << 53) }

// happens is true with probability p.
func (c chance) happens(p float64) bool { return c.with(0xB).unit() < p }

// below is in [0, n).
func (c chance) below(n int) int { return int(uint64(c.with(0xC)>>1) % uint64(n)) }

// about is exponentially distributed with that mean, and at most 20 times it.
func (c chance) about(mean time.Duration) time.Duration {
	return time.Duration(float64(mean) * min(-math.Log(1-c.with(0xD).unit()), 20))
}

// hashBytes is FNV-1a.
func hashBytes[B string | []byte](h uint64, b B) uint64 {
	for i := range len(b) {
		h = (h ^ uint64(b[i])) * fnvPrime
	}
	return h
}

// hashMessage is a hash of many bytes, eight at a time.
func hashMessage(b []byte) uint64 {
	h := chance(fnvOffset)
	for ; len(b) >= 8; b = b[8:] {
		h = h.with(binary.LittleEndian.Uint64(b))
	}
	return hashBytes(uint64(h), b)
}

// mix is a hash of a word beside a hash of what came before.
func mix(h, word uint64) uint64 {
	hi, lo := bits.Mul64(h^0x9e3779b97f4a7c15, word^0xbf58476d1ce4e5b9)
	return hi ^ lo ^ h
}

const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)
