package replica

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// pull reads pieces of a site and joins them at another, each by itself.
func (s *site) pull(from *site, dots vclock.DotSet, bytesMax int) *wire.Pieces {
	snapshot, err := from.store.Snapshot()
	require.NoError(s.t, err)
	defer snapshot.Close()
	pieces := from.r.Moment().Pieces(snapshot, &wire.Pull{Dots: dots}, bytesMax)
	require.Empty(s.t, pieces.Failed)
	m, err := wire.Decode(wire.Append(nil, pieces))
	require.NoError(s.t, err)
	for i := range m.(*wire.Pieces).Pieces {
		p := &pieces.Pieces[i]
		s.step(p.Key, func(k *Key, rows *storage.Batch) {
			require.NoError(s.t, k.Join(p.Delta(pieces.Base), p.Events, nil, rows))
		})
	}
	return pieces
}

func (s *site) remove(key string) {
	seen := s.filled(key).Seen()
	s.step(key, func(k *Key, rows *storage.Batch) { k.Delete(seen, kindred.RequestID{}, rows) })
}

func TestR9_PiecesBringWhatIsMissingAndNothingElse(t *testing.T) {
	x, r := newSite(t, 1), newSite(t, 2)
	x.put("a", none, []byte("1"))
	seen := x.filled("a").Seen()
	x.put("a", seen, []byte("2"))
	x.put("b", none, []byte("3"))
	x.put("big", none, large)
	x.remove("b")
	missing := x.r.Clock().Minus(r.r.Clock())

	pieces := r.pull(x, missing, 1<<20)
	require.Len(t, pieces.Pieces, 3, "an object is sent once, however many of its dots are missing")
	require.Equal(t, vclock.Equal, x.r.Clock().Compare(r.r.Clock()))
	for _, key := range []string{"a", "b", "big"} {
		require.Equal(t, x.filled(key), r.filled(key), key)
	}
	require.Equal(t, x.r.Tree().Root(), r.r.Tree().Root())
}

// C5: without the piece of a key that is gone its receiver would keep the value.
func TestC5_AKeyThatIsGoneTravels(t *testing.T) {
	x, r := newSite(t, 1), newSite(t, 2)
	r.join("k", x.put("k", none, []byte("v")))
	x.remove("k")
	pieces := r.pull(x, x.r.Clock().Minus(r.r.Clock()), 1<<20)
	require.True(t, pieces.Pieces[0].Object.IsGone())
	require.Empty(t, r.filled("k").Versions)
}

func TestR9_AnAnswerIsCutShortAndGoneOnWith(t *testing.T) {
	x, r := newSite(t, 1), newSite(t, 2)
	for i := range 20 {
		x.put(fmt.Sprintf("k%d", i), none, []byte("value"))
	}
	pulls := 0
	for r.r.Clock().Compare(x.r.Clock()) != vclock.Equal {
		pieces := r.pull(x, x.r.Clock().Minus(r.r.Clock()), 200)
		require.NotEmpty(t, pieces.Pieces, "one object at least, however large")
		pulls++
	}
	require.Greater(t, pulls, 3)
}

// C12: what was pruned is reported. A receiver that took silence for nothing would
// claim dots that it does not hold.
func TestR12_WhatWasPrunedIsReportedAndTheClockSurvives(t *testing.T) {
	x, r := newSite(t, 1), newSite(t, 2)
	for i := range 40 {
		x.put(fmt.Sprintf("k%d", i), none, []byte("v"))
	}
	var gone vclock.DotSet
	gone.AddSpan(x.r.Actor(), vclock.Span{Lo: 3, Hi: 4})
	gone.AddSpan(x.r.Actor(), vclock.Span{Lo: 10, Hi: 39})
	var rows storage.Batch
	x.r.Prune(gone, &rows)
	require.NoError(t, x.store.Apply(&rows))
	require.Equal(t, 40-32, x.rows()[storage.TableLog])
	require.Equal(t, vclock.Equal, gone.Compare(x.r.Floor()))

	pieces := r.pull(x, x.r.Clock(), 1<<20)
	require.Equal(t, vclock.Equal, gone.Compare(pieces.Absent))
	require.Len(t, pieces.Pieces, 8)
	require.Equal(t, vclock.Equal, r.r.Clock().Compare(x.r.Clock().Minus(gone)), "nothing is claimed that did not come")

	snapshot, err := x.store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	again, err := Recover(here, vclock.Actor{Disk: 1, Nonce: 99}, NewRecent(1), snapshot)
	require.NoError(t, err)
	require.Equal(t, vclock.Equal, again.Clock().Compare(x.r.Clock()))
	require.Equal(t, vclock.Equal, again.Floor().Compare(gone))
}

func TestI11_APullForTooMuchIsRefused(t *testing.T) {
	var dots vclock.DotSet
	dots.AddSpan(vclock.Actor{Disk: 1}, vclock.Span{Lo: 1, Hi: wire.PullDotsMax})
	require.NoError(t, CheckPull(&wire.Pull{Dots: dots}))
	dots.Add(vclock.Dot{Actor: vclock.Actor{Disk: 2}, Counter: 5})
	require.ErrorContains(t, CheckPull(&wire.Pull{Dots: dots}), "1000 dots")
	dots = vclock.DotSet{}
	dots.Close(vclock.Actor{Disk: 1})
	require.Error(t, CheckPull(&wire.Pull{Dots: dots}))
}
