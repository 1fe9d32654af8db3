package ring

import (
	"encoding/binary"
	"math/bits"
)

// The two multipliers of MurmurHash3 for x64, 128 bit.
const (
	murmur1 = 0x87c37b91114253d5
	murmur2 = 0x4cf5ad432745937f
)

// murmur is murmur3.Sum64 of github.com/spaolacci/murmur3, which the tests hold
// it to. That one lets its argument escape, which costs an allocation for every
// key that is routed; this one does not.
func murmur(data []byte) uint64 {
	var h1, h2 uint64
	rest := data
	for ; len(rest) >= 16; rest = rest[16:] {
		h1 ^= murmurLow(binary.LittleEndian.Uint64(rest))
		h1 = (bits.RotateLeft64(h1, 27)+h2)*5 + 0x52dce729
		h2 ^= murmurHigh(binary.LittleEndian.Uint64(rest[8:]))
		h2 = (bits.RotateLeft64(h2, 31)+h1)*5 + 0x38495ab5
	}
	var tail [16]byte
	copy(tail[:], rest)
	h1 ^= murmurLow(binary.LittleEndian.Uint64(tail[:]))
	h2 ^= murmurHigh(binary.LittleEndian.Uint64(tail[8:]))

	size := uint64(len(data))
	h1, h2 = h1^size, h2^size
	h1 += h2
	h2 += h1
	return murmurFinish(h1) + murmurFinish(h2)
}

func murmurLow(k uint64) uint64  { return bits.RotateLeft64(k*murmur1, 31) * murmur2 }
func murmurHigh(k uint64) uint64 { return bits.RotateLeft64(k*murmur2, 33) * murmur1 }

func murmurFinish(k uint64) uint64 {
	k = (k ^ k>>33) * 0xff51afd7ed558ccd
	k = (k ^ k>>33) * 0xc4ceb9fe1a85ec53
	return k ^ k>>33
}
