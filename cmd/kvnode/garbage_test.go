package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A small heap is collected seldom, a large one before its garbage is a burden.
func TestGarbageIsBounded(t *testing.T) {
	for _, c := range []struct {
		live    uint64
		percent int
	}{
		{0, 400},
		{8 << 20, 400},
		{32 << 20, 400},
		{64 << 20, 200},
		{128 << 20, 100},
		{4 << 30, 100},
	} {
		require.Equal(t, c.percent, gcPercent(c.live), "%d bytes live", c.live)
		if c.live > 0 && c.live < garbageBytesMax {
			require.LessOrEqual(t, c.live*uint64(c.percent)/100, uint64(garbageBytesMax))
		}
	}
}
