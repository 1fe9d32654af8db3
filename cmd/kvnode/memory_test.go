package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Memory that a busy node will want again in a moment stays with it.
func TestMemoryThatIsNotUsedGoesBack(t *testing.T) {
	for _, c := range []struct {
		spare, fresh uint64
		want         bool
	}{
		{300 << 20, 1 << 20, true},
		{300 << 20, 100 << 20, false},
		{spareBytesMin, 0, true},
		{spareBytesMin - 1, 0, false},
	} {
		require.Equal(t, c.want, worthIt(c.spare, c.fresh), "%d and %d", c.spare, c.fresh)
	}
}

// The metrics that are asked for exist in this version of Go.
func TestMemoryIsRead(t *testing.T) {
	m := newMemory()
	_ = m.idle()
	require.NotZero(t, m.made)
}
