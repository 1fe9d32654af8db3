package replica

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

var source = vclock.Actor{Disk: 2, Nonce: 2}

// gaps is every second dot of the source, from the second on.
func gaps(n uint64) (set vclock.DotSet) {
	for c := range n {
		set.Add(vclock.Dot{Actor: source, Counter: 2*c + 2})
	}
	return set
}

// What is said of every key may grow while a key is open.
func TestWhatAnOpenKeySaysStaysWhatItWas(t *testing.T) {
	s := newSite(t, 1)
	var rows storage.Batch
	s.r.clock.Union(gaps(3))
	s.r.claim(s.r.clock, &rows)
	k := s.r.Open("b", "k", wire.Object{})
	before := k.Filled()
	require.True(t, before.Context.Covers(gaps(3)))
	s.r.clock.AddSpan(source, vclock.Span{Lo: 3, Hi: 5})
	s.r.claim(s.r.clock, &rows)
	after := k.Filled()
	require.NoError(t, after.Check())
	require.True(t, after.Context.Covers(before.Context))
}

// Nobody has a void dot, so no key has it in its past.
func TestVoidDotsAreNotSaidOfEveryKey(t *testing.T) {
	s := newSite(t, 1)
	s.r.clock.Union(gaps(3))
	s.r.closing.void = vclock.NewDotSet(vclock.Dot{Actor: source, Counter: 4})
	var rows storage.Batch
	s.r.claim(s.r.clock, &rows)
	require.Equal(t, gaps(3).Minus(s.r.closing.void).String(), s.r.damage.beyond.String())
}

// A pass can have thousands of pieces. When it goes, what they knew is one row.
func TestWhatAPassKnewIsOneRow(t *testing.T) {
	const pieces = 2000
	s := newSite(t, 1)
	knew := gaps(50)
	s.r.clock.Union(knew)
	s.r.passes = passes{{number: 1}}
	for i := range pieces {
		s.r.passes[0].pieces = append(s.r.passes[0].pieces, piece{clock: knew, knows: knew, last: i == pieces-1})
	}
	var rows storage.Batch
	s.r.DropCovered(&rows)
	require.False(t, s.r.Rebuilding())
	require.Less(t, rows.Bytes(), 4<<10)
	require.NoError(t, s.store.Apply(&rows))
	require.True(t, s.filled("k").Context.Covers(knew))
}
