package replica

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// from is every dot of an actor from a counter on.
func from(a vclock.Actor, lo uint64) (s vclock.DotSet) {
	s.AddSpan(a, vclock.Span{Lo: lo, Hi: math.MaxUint64})
	return s
}

// C8: a deletes, unsynced; a read of a and b repairs b; a loses power. Nobody has
// the delete's dot any more, c still shows the value, and the clocks agree. Once
// the dead incarnation is closed, b's touch carries to c what b shows.
func TestC08_ATouchCarriesTheEffectOfALostDelete(t *testing.T) {
	a, b, c := newSite(t, 1), newSite(t, 2), newSite(t, 3)
	v := a.put("k", none, []byte("v"))
	b.join("k", v)
	c.join("k", v)
	require.NoError(t, a.store.Sync())
	dead := a.r.Actor()

	shown := a.filled("k")
	a.step("k", func(k *Key, rows *storage.Batch) { k.Delete(shown.Seen(), kindred.RequestID{}, rows) })
	get := NewGet([]string{"a", "b"}, kindred.Quorum{N: 3, R: 2})
	get.Add("a", a.filled("k"))
	get.Add("b", b.filled("k"))
	repairs := get.Repairs()
	require.Len(t, repairs, 1)
	b.step("k", func(k *Key, rows *storage.Batch) {
		require.NoError(t, k.Mend(repairs[0].Delta, repairs[0].Rounds, 0, rows))
	})
	a.store = a.store.Crash(func(int) int { return 0 })
	require.NoError(t, a.recover(4))
	require.Equal(t, vclock.Equal, b.r.Clock().Compare(c.r.Clock()))
	require.Empty(t, texts(b.filled("k")))
	require.Equal(t, []string{"v"}, texts(c.filled("k")), "the divergence that no clock shows")

	void := from(dead, 2)
	require.NoError(t, b.r.Void(void))
	snapshot, err := b.store.Snapshot()
	require.NoError(t, err)
	page := Remembering(snapshot, here, void, nil)
	require.NoError(t, snapshot.Close())
	require.Equal(t, MemoryPage{Objects: []NamedObject{{Bucket: "b", Key: "k"}}}, page)

	var touch wire.Delta
	object, err := Load(b.store, here, "b", "k")
	require.NoError(t, err)
	k := b.r.Open("b", "k", object)
	var rows storage.Batch
	k.Save(&rows)
	d, touched := k.Touched()
	require.True(t, touched)
	touch = k.Whole(d)
	require.NoError(t, b.store.Apply(&rows))
	require.Zero(t, b.rows()[storage.TableObject], "nothing is left to remember")
	c.join("k", touch)
	require.Empty(t, texts(c.filled("k")), "what b shows has arrived")

	b.step("k", func(k *Key, rows *storage.Batch) { k.Strip() })
	require.Equal(t, uint64(1), b.r.Clock().Max(b.r.Actor()), "one touch was enough")
}

// C8 again, with a repair that arrives after everything was closed and swept.
func TestC08_ALateRepairOfALostDeleteIsTouchedToo(t *testing.T) {
	a, b := newSite(t, 1), newSite(t, 2)
	v := a.put("k", none, []byte("v"))
	b.join("k", v)
	dead := a.r.Actor()
	shown := a.filled("k")
	a.step("k", func(k *Key, rows *storage.Batch) { k.Delete(shown.Seen(), kindred.RequestID{}, rows) })
	late := wire.Delta{Siblings: a.filled("k")}

	void := from(dead, 2)
	require.NoError(t, b.r.Void(void))
	b.r.Swept(void)
	mend := func() {
		b.step("k", func(k *Key, rows *storage.Batch) { require.NoError(t, k.Mend(late, nil, 0, rows)) })
	}
	mend()
	require.Equal(t, uint64(1), b.r.Clock().Base(b.r.Actor()), "the touch")
	mend()
	require.Equal(t, uint64(1), b.r.Clock().Base(b.r.Actor()), "a repetition takes nothing away")
}

// The same where something of the key still lives, which the repair brings with its dot.
func TestC08_ALateRepairThatBringsAVersionIsTouchedToo(t *testing.T) {
	a, b := newSite(t, 1), newSite(t, 2)
	b.join("k", a.put("k", none, []byte("v")))
	shown, stays := a.filled("k"), newSite(t, 4).put("k", none, []byte("stays"))
	a.join("k", stays)
	b.join("k", stays)
	a.step("k", func(k *Key, rows *storage.Batch) { k.Delete(shown.Seen(), kindred.RequestID{}, rows) })
	late := wire.Delta{Siblings: a.filled("k")}
	late.Dots = late.Siblings.Dots()
	require.Equal(t, []string{"stays"}, texts(late.Siblings))

	void := from(a.r.Actor(), 2)
	require.NoError(t, b.r.Void(void))
	b.r.Swept(void)
	b.step("k", func(k *Key, rows *storage.Batch) { require.NoError(t, k.Mend(late, nil, 0, rows)) })
	require.Equal(t, uint64(1), b.r.Clock().Base(b.r.Actor()), "the touch")
}

// C8 once more: the late repair takes nothing away, because the version has not come
// yet. What it leaves would make that pass for deleted, here and nowhere else. Of
// whoever knows the same to be void, a repair is not from before.
func TestC08_ALateRepairThatLeavesOnlyAMemoryIsTouchedToo(t *testing.T) {
	a, c := newSite(t, 1), newSite(t, 3)
	v := a.put("k", none, []byte("v"))
	c.join("k", v)
	shown := a.filled("k")
	a.step("k", func(k *Key, rows *storage.Batch) { k.Delete(shown.Seen(), kindred.RequestID{}, rows) })
	late := wire.Delta{Siblings: a.filled("k")}
	void := from(a.r.Actor(), 2)
	for _, same := range []bool{false, true} {
		b := newSite(t, 2)
		b.r.SetFence(fence(func(vclock.DotSet, wire.Rounds) error { return nil }))
		require.NoError(t, b.r.Void(void))
		b.r.Swept(void)
		knew := uint64(1)
		if same {
			knew = fence(nil).VoidDigest()
		}
		b.step("k", func(k *Key, rows *storage.Batch) {
			require.NoError(t, k.Mend(late, nil, knew, rows))
			k.Save(rows)
			d, touched := k.Touched()
			require.Equal(t, !same, touched)
			if touched {
				c.join("k", k.Whole(d))
				require.Empty(t, texts(c.filled("k")), "the touch carries it to who has the version")
			}
		})
	}
}

// A closed actor is a base without end: reading the log back leaps over it to
// the next actor, in a finite time, whatever rows are left.
func TestAClosedActorInTheCheckpointIsLeapt(t *testing.T) {
	s, other, third := newSite(t, 1), newSite(t, 2), newSite(t, 3)
	for i := range 3 {
		s.join("k", other.put("k", none, fmt.Append(nil, i)))
		s.join("l", third.put("l", none, fmt.Append(nil, i)))
	}
	for _, closed := range []*site{other, third} {
		require.NoError(t, s.r.Void(from(closed.r.Actor(), 4)))
		require.Equal(t, uint64(math.MaxUint64), s.r.Clock().Base(closed.r.Actor()))
	}
	s.put("k", none, []byte("own"))
	var rows storage.Batch
	s.r.Checkpoint(&rows)
	require.NoError(t, s.store.Apply(&rows))
	want := s.r.Clock().String()
	require.NoError(t, s.recover(9))
	require.Equal(t, want, s.r.Clock().String())
	require.NoError(t, s.r.Check())
}

// A context of somebody who has closed an actor names dots without end.
func TestContextsWithoutEndAreTaken(t *testing.T) {
	s, other, dead := newSite(t, 1), newSite(t, 2), newSite(t, 3)
	lost := dead.put("k", none, []byte("lost"))
	require.NoError(t, other.r.Void(from(dead.r.Actor(), 1)))
	delta := other.put("k", other.filled("k").Seen(), []byte("v"))
	s.join("k", delta)
	s.join("k", lost)
	require.Equal(t, []string{"v"}, texts(s.filled("k")), "the context has seen it")
	token := EncodeContext("b", "k", s.filled("k").Seen())
	seen, err := DecodeContext("b", "k", token)
	require.Nil(t, err)
	require.Nil(t, s.r.CheckContext(seen))
	require.NotNil(t, s.r.CheckContext(from(s.r.Actor(), 1)), "dots of this very incarnation that do not exist")

	endless := wire.Delta{Dots: from(dead.r.Actor(), 1)}
	s.step("k", func(k *Key, rows *storage.Batch) { require.Error(t, k.Join(endless, nil, nil, rows)) })
}

func TestAnIncarnationDoesNotCloseItself(t *testing.T) {
	s := newSite(t, 1)
	require.Error(t, s.r.Void(from(s.r.Actor(), 1)))
	require.True(t, s.r.Clock().IsEmpty())
}

type fence func(unknown vclock.DotSet, sent wire.Rounds) error

func (f fence) Refuse(unknown vclock.DotSet, sent wire.Rounds) error { return f(unknown, sent) }

func (f fence) VoidDigest() uint64 { return 0 }

// R14: the fence is asked only about what is not held, and what it refuses changes nothing.
func TestR14_AFenceStopsNewsAndNothingElse(t *testing.T) {
	s, other := newSite(t, 1), newSite(t, 2)
	first := other.put("k", none, []byte("first"))
	s.join("k", first)
	asked := 0
	s.r.SetFence(fence(func(unknown vclock.DotSet, sent wire.Rounds) error {
		asked++
		return errors.New("promised")
	}))
	s.join("k", first)
	require.Zero(t, asked)
	second := other.put("k", none, []byte("second"))
	before := s.rows()
	s.step("k", func(k *Key, rows *storage.Batch) { require.EqualError(t, k.Join(second, nil, nil, rows), "promised") })
	require.Equal(t, []string{"first"}, texts(s.filled("k")))
	require.Equal(t, before, s.rows())
}

// R8: a repair carries the promises that all who replied have made alike.
func TestARepairCarriesCommonPromises(t *testing.T) {
	a, b := newSite(t, 1), newSite(t, 2)
	a.put("k", none, []byte("v"))
	one, two := wire.Round{Number: 1, Proposer: 1}, wire.Round{Number: 2, Proposer: 1}
	x, y := vclock.Actor{Disk: 7, Nonce: 1}, vclock.Actor{Disk: 7, Nonce: 2}
	get := NewGet([]string{"a", "b"}, kindred.Quorum{N: 2, R: 2})
	get.Add("a", a.filled("k"))
	get.Promised("a", wire.Rounds{{Actor: x, Round: one}, {Actor: y, Round: one}}, 0)
	get.Add("b", b.filled("k"))
	get.Promised("b", wire.Rounds{{Actor: x, Round: one}, {Actor: y, Round: two}}, 0)
	repairs := get.Repairs()
	require.Len(t, repairs, 1)
	require.Equal(t, wire.Rounds{{Actor: x, Round: one}}, repairs[0].Rounds)
}

// A write of a dead incarnation may be so late that all have learned by then that
// its dot is void. It cannot bring its value any more, so it must not take away what
// its writer had seen: the key would be left with neither.
func TestR14_ALateWriteWhoseDotIsVoidChangesNothing(t *testing.T) {
	a, b := newSite(t, 1), newSite(t, 2)
	v := a.put("k", none, []byte("v"))
	b.join("k", v)
	require.NoError(t, a.store.Sync())
	dead := a.r.Actor()
	late := a.put("k", a.filled("k").Seen(), []byte("w"))

	b.r.SetFence(fence(func(unknown vclock.DotSet, _ wire.Rounds) error {
		if unknown.Intersect(from(dead, 2)).IsEmpty() {
			return nil
		}
		return errVoid
	}))
	require.NoError(t, b.r.Void(from(dead, 2)))
	b.step("k", func(k *Key, rows *storage.Batch) {
		require.ErrorIs(t, k.Join(late, nil, nil, rows), errVoid)
		require.ErrorIs(t, k.Mend(late, nil, 0, rows), errVoid)
		require.NoError(t, k.Join(v, nil, nil, rows), "what somebody held is taken as ever")
	})
	require.Equal(t, []string{"v"}, texts(b.filled("k")))
}

// An old disk brings back a row of the log whose dot has become void since: held by
// nobody when all were asked. No other home will ever have it, and it goes all the same.
// The simulator found it.
func TestC14_AVoidDotThatAnOldDiskBringsBackLeavesTheLog(t *testing.T) {
	a, b := newSite(t, 1), newSite(t, 2)
	dead := a.r.Actor()
	b.join("k", a.put("k", none, []byte("v")))
	require.NoError(t, b.r.Void(from(dead, 1)))
	require.Equal(t, 1, b.rows()[storage.TableLog])
	require.Equal(t, from(dead, 1).Intersect(b.r.Clock()), b.r.Clock(), "the clock has all of it")
	void := b.r.Voided()
	b.step("other", func(_ *Key, rows *storage.Batch) { b.r.Prune(void.Intersect(b.r.Logged()), rows) })
	require.Zero(t, b.rows()[storage.TableLog])
}

var errVoid = errors.New("void")
