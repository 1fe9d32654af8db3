package ring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A partition whose owners change has two groups of writers until the old ones count no
// more, and is read from the old ones until all are complete.
func TestAPhaseSaysWhoseQuorumsCount(t *testing.T) {
	c := three(t, "dog", "eel")
	ant, eel := c.courses["ant"], c.courses["eel"]
	require.NoError(t, c.commit(t, "ant", Node{"dog", "", 1}, Own))
	before := ant.Phase()
	require.Equal(t, Progress{Tip: ant.Tip().Version(), Step: Alone}, before.Progress())
	require.True(t, before.Settled())

	c.settle("ant", "bee", "cat")
	both := ant.Phase()
	require.Positive(t, both.Progress().Compare(before.Progress()))
	moved, stayed := 0, 0
	for p := range Partition(8) {
		was, is := both.Base().Homes(p, 2), both.Tip().Homes(p, 2)
		if !both.Moves(p, 2) {
			require.ElementsMatch(t, was, is)
			require.Equal(t, [][]string{is}, both.Writers(p, 2))
			require.Equal(t, is, both.Homes(p, 2))
			stayed++
			continue
		}
		require.Equal(t, [][]string{was, is}, both.Writers(p, 2))
		require.Equal(t, was, both.Readers(p, 2))
		require.Subset(t, both.Homes(p, 2), was)
		require.Equal(t, is, both.Homes(p, 2)[:2])
		require.NotContains(t, both.Homes(p, 2), "")
		for _, name := range both.Homes(p, 2) {
			require.Contains(t, both.Owned(name, 2), p)
		}
		moved++
	}
	require.Positive(t, moved)
	require.Positive(t, stayed)
	require.Equal(t, []string{"ant", "bee", "cat", "dog"}, both.Members())

	eel.Hear(ant.Files())
	for eel.Turn() {
		continue
	}
	require.Zero(t, eel.Step(), "nobody waits for it")
	require.Equal(t, both.Progress(), eel.Phase().Progress(), "it goes as far as others have")

	c.settle("ant", "bee", "cat", "dog")
	after := ant.Phase()
	require.True(t, after.Settled())
	for p := range Partition(8) {
		require.Equal(t, after.Tip().Homes(p, 2), after.Readers(p, 2))
		require.Len(t, after.Writers(p, 2), 1)
	}
	for _, phase := range []*Phase{before, both, after} {
		again, err := DecodePhase(phase.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, phase, again)
		require.Equal(t, phase.base == phase.tip, again.base == again.tip)
		_, err = DecodePhase(append(phase.AppendTo(nil), 0))
		require.Error(t, err)
	}
}
