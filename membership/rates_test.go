package membership

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
)

// A prediction goes by what the last changes came to.
func TestRatesAreThoseOfTheLastChanges(t *testing.T) {
	usual := ring.Rates{In: 64 << 20, Out: 64 << 20, Besides: 3 * time.Second}
	var h history
	require.Equal(t, usual, h.rates(usual), "nothing is known")
	change := func(counter uint64, settled bool, nodes map[string]outcome) {
		h = h.with(past{version: ring.Version{Counter: counter, Hash: 1}, at: 10_000, by: "n1", settled: settled, nodes: nodes})
	}
	change(2, true, map[string]outcome{"n4": {bytes: 40 << 20, took: 4000, complete: 15_000, alone: 16_000}, "n1": {bytes: 5, alone: 16_500}})
	require.Equal(t, ring.Rates{In: 10 << 20, Out: 10 << 20, Besides: 2500 * time.Millisecond}, h.rates(usual), "the busiest node has taken 4 of 6.5 s")

	change(3, true, map[string]outcome{"n2": {bytes: 100, took: 10, complete: 11_000, alone: 12_010}})
	require.Equal(t, ring.Rates{In: 10 << 20, Out: 10 << 20, Besides: 2 * time.Second}, h.rates(usual), "100 bytes say nothing of a rate")

	change(4, true, map[string]outcome{"n2": {bytes: 100, took: 10, complete: 11_000, alone: 10_000_000}})
	change(5, false, map[string]outcome{"n2": {bytes: 90 << 20, took: 1000, alone: 11_500}})
	require.Equal(t, ring.Rates{In: 10 << 20, Out: 10 << 20, Besides: 2 * time.Second}, h.rates(usual), "one waited for somebody, one goes on")

	for i := range uint64(measuredBack) {
		change(6+i, true, map[string]outcome{"n2": {bytes: 20 << 20, took: 1000, alone: 14_000}})
	}
	require.Equal(t, ring.Rates{In: 20 << 20, Out: 20 << 20, Besides: 3 * time.Second}, h.rates(usual), "older ones do not count")
}
