package replica

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
)

// A pass is given up and another comes to its end, with a source that knew less. What
// the first says of its keys is kept until the clock says it, and it does not pass for
// one that goes on: nobody would go on with it.
func TestR13_APassThatWasGivenUpDoesNotGoOn(t *testing.T) {
	s := newSite(t, 1)
	source := vclock.Actor{Disk: 2, Nonce: 2}
	early, late := vclock.Dot{Actor: source, Counter: 1}, vclock.Dot{Actor: source, Counter: 2}
	knew := vclock.NewDotSet(early)
	knew.Add(late)
	pass := func(c Copied) {
		var rows storage.Batch
		s.r.Passed(c, &rows)
		require.NoError(t, s.store.Apply(&rows))
	}
	pass(Copied{Clock: knew, Knows: knew, First: true, Bucket: "b", Key: "m"})
	pass(Copied{Clock: vclock.NewDotSet(early), Knows: vclock.NewDotSet(early), First: true, Last: true})
	for _, when := range []string{"at once", "after a start"} {
		require.True(t, s.r.Rebuilding(), when)
		require.Equal(t, vclock.NewDotSet(late).String(), s.r.Lacks().String(), when)
		_, _, _, copying := s.r.Copying()
		require.False(t, copying, when)
		require.NoError(t, s.store.Sync())
		require.NoError(t, s.recover(7))
	}
	s.r.clock.Union(knew)
	var rows storage.Batch
	s.r.DropCovered(&rows)
	require.False(t, s.r.Rebuilding())
}

// Passes wait for the clock to say what their sources knew. Where no log names that
// any more another pass has to bring it, however many wait. The simulator found a
// replica that waited for ever.
func TestR13_APassThatIsNeededBeginsBesideThoseThatWait(t *testing.T) {
	s := newSite(t, 1)
	source := vclock.Actor{Disk: 2, Nonce: 2}
	for i := range uint64(PassesNeededMax) {
		require.Equal(t, i < PassesMax, s.r.MayPass(false), i)
		require.True(t, s.r.MayPass(true), i)
		knew := vclock.NewDotSet(vclock.Dot{Actor: source, Counter: 2 * (i + 1)})
		var rows storage.Batch
		s.r.Passed(Copied{Clock: vclock.DotSet{}, Knows: knew, First: true, Last: true}, &rows)
		require.NoError(t, s.store.Apply(&rows))
	}
	require.False(t, s.r.MayPass(true), "it is bounded all the same (I11)")
}
