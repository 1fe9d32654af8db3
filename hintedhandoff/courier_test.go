package hintedhandoff

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/wire"
)

func slow() Pace {
	return Pace{
		HintsPerSecond: 10, BytesPerSecond: 1 << 20, PageHints: 2, PageBytes: 1 << 20,
		Sessions: 2, Patience: time.Second, Again: time.Second, Busy: 100,
	}
}

func always(Line) bool { return true }

// A line is served page by page, then rests, then is begun anew.
func TestALineIsServedPageByPage(t *testing.T) {
	store := memstore.New()
	for i := range 5 {
		var h Hint
		slots := wire.AllSlots(2)
		if i == 3 {
			slots = 2 // nothing for slot 0
		}
		h.Owe(slots, put(dot(me, uint64(i+1)), "v"), nil, now.Add(-time.Duration(i)*time.Minute))
		save(t, store, &h, fmt.Sprint("k", i))
	}
	snapshot, err := store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	line := Line{head, 0}
	c := NewCourier(slow())
	var keys []string
	for clock := now; ; clock = clock.Add(time.Second) {
		ask := c.Next(clock, []Line{line}, always)
		require.NotNil(t, ask)
		require.Nil(t, c.Next(clock, []Line{line}, always), "one page of a line at a time")
		page := ReadPage(snapshot, ask)
		require.NoError(t, page.Err)
		for _, f := range page.Found {
			keys = append(keys, f.Key)
			c.Saw(line, f.Hint.Since())
		}
		if oldest, through := c.Done(clock, line, page.Last, page.More); through {
			require.Equal(t, now.Add(-4*time.Minute), oldest)
			require.Nil(t, c.Next(clock, []Line{line}, always), "it rests")
			at, ok := c.Wake(clock, []Line{line}, always)
			require.True(t, ok)
			require.Equal(t, clock.Add(time.Second), at)
			break
		}
	}
	require.Equal(t, []string{"k0", "k1", "k2", "k4"}, keys)
	require.Zero(t, c.Running())
}

// Lines take turns, and those whose target cannot be reached are left out.
func TestLinesTakeTurns(t *testing.T) {
	c := NewCourier(slow())
	lines := []Line{{head, 0}, {head, 1}, {head, 2}}
	up := func(l Line) bool { return l.Slot != 1 }
	var served []int
	for range 4 {
		ask := c.Next(now, lines, up)
		require.NotNil(t, ask)
		served = append(served, ask.Line.Slot)
		c.Done(now, ask.Line, []byte("k"), true)
	}
	require.Equal(t, []int{0, 2, 0, 2}, served)
	require.Nil(t, c.Next(now, lines, func(Line) bool { return false }))
	_, ok := c.Wake(now, lines, func(Line) bool { return false })
	require.False(t, ok, "nobody to deliver to: no reason to wake")
}

// The pace holds over time, whatever is paid for at once, and yields to requests.
func TestThePaceHolds(t *testing.T) {
	for _, tt := range []struct{ busy, want int }{{0, 100}, {100, 50}, {300, 25}} {
		c := NewCourier(slow())
		line, clock, hints := Line{head, 0}, now, 0
		for clock.Before(now.Add(10 * time.Second)) {
			if ask := c.Next(clock, []Line{line}, always); ask != nil {
				hints += 2
				c.Charge(clock, 2, 100, tt.busy)
				c.Done(clock, line, []byte("k"), true)
			}
			clock = clock.Add(10 * time.Millisecond)
		}
		require.InDelta(t, tt.want, hints, 4, "with %d requests in progress", tt.busy)
	}
	c := NewCourier(slow())
	c.Charge(now, 1, 2<<20, 0)
	at, ok := c.Wake(now, []Line{{head, 0}}, always)
	require.True(t, ok)
	require.Equal(t, now.Add(2*time.Second), at, "large values cost their bytes")
}

// A page that fails is tried again from where it began, after a rest that ends when
// its target comes back.
func TestAFailedPageIsTriedAgain(t *testing.T) {
	c := NewCourier(slow())
	line := Line{head, 0}
	ask := c.Next(now, []Line{line}, always)
	c.Done(now, line, []byte("here"), true)
	require.Nil(t, ask.After)
	ask = c.Next(now, []Line{line}, always)
	require.Equal(t, []byte("here"), ask.After)
	c.Failed(now, line)
	require.Nil(t, c.Next(now, []Line{line}, always))
	c.Hurry(line)
	require.Equal(t, []byte("here"), c.Next(now, []Line{line}, always).After)
	c.Failed(now, line)
	c.Forget(line)
	require.Nil(t, c.Next(now.Add(time.Hour), []Line{line}, always).After, "a line without debts has no place")
}

// A home that takes nothing now does not keep its guest from looking further.
func TestBehindARefusedPageTheLineGoesOn(t *testing.T) {
	c := NewCourier(slow())
	line := Line{head, 0}
	require.Nil(t, c.Next(now, []Line{line}, always).After)
	c.Passed(now, line, []byte("here"), true)
	require.Nil(t, c.Next(now, []Line{line}, always), "it rests between pages")
	now := now.Add(slow().Again)
	require.Equal(t, []byte("here"), c.Next(now, []Line{line}, always).After)
	c.Passed(now, line, []byte("there"), false)
	require.Nil(t, c.Next(now.Add(slow().Again), []Line{line}, always).After, "it begins anew")
}
