package replica

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
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

// The source of a page may have lost a row and say of every key what that row may have
// told. Who was rebuilt from it goes on saying so when its clock says all that the
// pages knew, for it was not sent the row either.
func TestR13_WhatASourceHasLostIsSaidOn(t *testing.T) {
	s := newSite(t, 1)
	source := vclock.Actor{Disk: 2, Nonce: 2}
	gap, beyond := vclock.Dot{Actor: source, Counter: 1}, vclock.Dot{Actor: source, Counter: 2}
	var rows storage.Batch
	s.r.Passed(Copied{Clock: vclock.NewDotSet(beyond), Knows: vclock.NewDotSet(beyond), First: true, Last: true}, &rows)
	require.NoError(t, s.store.Apply(&rows))
	require.False(t, s.r.Rebuilding(), "the clock says it all")
	for _, when := range []string{"at once", "after a start"} {
		require.True(t, s.filled("k").Seen().Contains(beyond), when)
		require.NoError(t, s.store.Sync())
		require.NoError(t, s.recover(7))
	}

	s.r.clock.Add(gap)
	s.r.unsaved++
	rows.Reset()
	s.r.Checkpoint(&rows)
	require.NoError(t, s.store.Apply(&rows))
	_, err := s.store.Get(storage.DamageKey(nil, here.Partition, here.N))
	require.ErrorIs(t, err, storage.ErrNotFound, "the base of the clock says it now")
	require.True(t, s.filled("k").Seen().Contains(beyond))
}

// A page brings the late twin of a put that was made here under another dot and has
// been overwritten since: the old intention does not come back (R19).
func TestR19_ARebuildDropsLateTwins(t *testing.T) {
	s := newSite(t, 1)
	once := wire.Record{RequestID: kindred.RequestID{1}, Value: []byte("old")}
	s.step("k", func(k *Key, rows *storage.Batch) { k.Write(vclock.DotSet{}, once, rows) })
	shown := s.filled("k")
	s.put("k", shown.Seen(), []byte("new"))

	twin := vclock.Dot{Actor: vclock.Actor{Disk: 2, Nonce: 2}, Counter: 1}
	knew := vclock.NewDotSet(twin)
	c := Copied{Clock: knew, Knows: knew, First: true, Last: true, Bucket: "b", Key: "k"}
	s.step("k", func(k *Key, rows *storage.Batch) {
		require.NoError(t, k.Copy(vclock.New(twin, once, vclock.DotSet{}), c, vclock.DotSet{}, false, rows))
		k.Save(rows)
		s.r.Passed(c, rows)
	})
	require.Equal(t, []string{"new"}, texts(s.filled("k")))
}

// Void dots are told with the record that made them void, and a page has none: whoever
// copied them without it would speak of dots that nobody can bring.
func TestR14_APageOfARebuildSpeaksOfNoVoidDots(t *testing.T) {
	s := newSite(t, 1)
	dead := vclock.Actor{Disk: 2, Nonce: 2}
	s.put("k", vclock.DotSet{}, []byte("v"))
	void := from(dead, 2)
	require.NoError(t, s.r.Void(void))
	snapshot, err := s.store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	page := s.r.Moment().Serve(snapshot, &wire.RebuildRead{BytesMax: 1 << 20})
	require.Empty(t, page.Failed)
	require.NotEmpty(t, page.Items)
	require.False(t, page.Clock.IsEmpty())
	require.False(t, page.Clock.Contains(vclock.Dot{Actor: dead, Counter: 2}), page.Clock)
}
