package security

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStrangersDoNotFillTheLog(t *testing.T) {
	var s Strangers
	at := time.Unix(1e9, 0)
	require.True(t, s.Met(at, "a"))
	require.False(t, s.Met(at.Add(999*time.Millisecond), "b"), "one a second")
	require.True(t, s.Met(at.Add(time.Second), "b"), "news")
	require.False(t, s.Met(at.Add(30*time.Second), "b"))
	require.True(t, s.Met(at.Add(61*time.Second), "b"), "it goes on")
	require.EqualValues(t, 5, s.Count())
}
