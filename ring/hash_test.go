package ring

import (
	"fmt"
	"math"
	"testing"

	"github.com/spaolacci/murmur3"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Keys on disk stay where they are only as long as these do not change.
func TestHashIsForEver(t *testing.T) {
	for _, c := range []struct {
		bucket, key string
		want        uint64
	}{
		{"", "", 0x4610abe56eff5cb5},
		{"carts", "ann", 0xbdbc19ebe56d235b},
		{"ab", "c", 0xc6f5b651e15c58a9},
		{"a", "bc", 0x36243ea090cc13bb},
	} {
		require.Equal(t, c.want, Hash(c.bucket, c.key), "%q %q", c.bucket, c.key)
	}
}

func TestHashIsMurmur3OfLengthBucketAndKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bucket := rapid.StringN(0, 300, 1000).Draw(t, "bucket")
		key := rapid.StringN(0, 300, 1000).Draw(t, "key")
		var b []byte
		for n := len(bucket); ; n >>= 7 { // a uvarint, by hand
			if n < 0x80 {
				b = append(b, byte(n))
				break
			}
			b = append(b, byte(n)|0x80)
		}
		require.Equal(t, murmur3.Sum64([]byte(string(b)+bucket+key)), Hash(bucket, key))
	})
}

func TestHashAllocatesNothing(t *testing.T) {
	require.Zero(t, testing.AllocsPerRun(100, func() { Hash("carts", "customer/1234567890/cart") }))
}

func TestPartitionIsTheTopOfTheHash(t *testing.T) {
	for _, q := range []int{1, 2, 256, PartitionsMax} {
		l := mustNew(t, q, 1, cluster(1, 1, equal))
		for i := range 100 {
			key := fmt.Sprint("key", i)
			p := l.PartitionOf("b", key)
			require.Less(t, int(p), q)
			require.Equal(t, math.Floor(float64(Hash("b", key))/math.Exp2(64)*float64(q)), float64(p))
		}
	}
}

func TestNegLog2IsALogarithm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Uint64Min(1).Draw(t, "x")
		want := 64 - math.Log2(float64(x))
		require.InDelta(t, want, float64(negLog2(x))/(1<<logFraction), 1e-6)
	})
	require.Less(t, negLog2(0), uint64(1)<<32)
	require.Greater(t, negLog2(0), negLog2(1)-1)
}

// Three nodes, of which one has the weight of the two others together.
func TestLotteryIsFairToWeights(t *testing.T) {
	weights := []uint32{1, 1, 2}
	wins := make([]int, len(weights))
	const rounds = 40000
	for seed := range rounds {
		best := 0
		for i := range weights {
			if newDraw(uint64(seed), murmurOf(i), weights[i]).before(newDraw(uint64(seed), murmurOf(best), weights[best])) {
				best = i
			}
		}
		wins[best]++
	}
	for i, w := range weights {
		require.InEpsilon(t, rounds*float64(w)/4, wins[i], 0.03, "weight %d", w)
	}
}

func murmurOf(i int) uint64 { return murmur3.Sum64([]byte(fmt.Sprint("node", i))) }

func BenchmarkHash(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Hash("carts", "customer/1234567890/cart")
	}
}
