package antientropy

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// R25: what is contained has to be durable, of every home of the base, of after it began
// to refuse what is older, and of one that has all that it ever had.
func TestCompleteIsByDurableClocksOfFencedHomes(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	actors := map[string]vclock.Actor{"a": {Disk: 1, Nonce: 1}, "b": {Disk: 2, Nonce: 2}, "c": {Disk: 3, Nonce: 3}, "d": {Disk: 4, Nonce: 4}}
	dots := vclock.NewDotSet(vclock.Dot{Actor: actors["b"], Counter: 1})
	tip := ring.Progress{Tip: ring.Version{Counter: 2}, Step: ring.Both}
	before := ring.Progress{Tip: ring.Version{Counter: 1}, Step: ring.Alone}
	begin := func(gone ...string) *Exchange {
		return NewExchange(Config{
			Self: "a", Actor: actors["a"], Clean: true,
			Owners: Owners{At: tip, Tip: []string{"a", "b", "c"}, Base: []string{"b", "c", "d"}, Gone: gone},
		})
	}
	seq := uint64(0)
	tell := func(e *Exchange, name string, at ring.Progress, trusted bool, clock vclock.DotSet) {
		seq++
		e.Heard(now, name, &wire.Clock{
			Actor: actors[name], Seq: seq, EchoActor: actors["a"], Durable: dots, Digest: digest(dots, vclock.DotSet{}), Vouch: true, At: at, Trusted: trusted,
		}, clock)
	}

	e := begin()
	for _, name := range []string{"b", "c", "d"} {
		require.False(t, e.Complete())
		e.Tick(now, dots) // it has captured all of it, to tell the others
		tell(e, name, tip, true, dots)
	}
	require.False(t, e.Complete(), "it has all of it, and a crash may take it")
	e.Synced(dots)
	require.True(t, e.Complete())
	e.doubt()
	require.False(t, e.Complete(), "it has lost something")

	for what, last := range map[string]func(e *Exchange){
		"by the layout before": func(e *Exchange) { tell(e, "d", before, true, dots) },
		"not trusted":          func(e *Exchange) { tell(e, "d", tip, false, dots) },
	} {
		e := begin()
		tell(e, "b", tip, true, dots)
		tell(e, "c", tip, true, dots)
		last(e)
		e.Synced(dots)
		require.False(t, e.Complete(), what)
		tell(e, "d", tip, true, dots)
		require.True(t, e.Complete(), what)
	}

	e = begin("d")
	tell(e, "b", tip, true, dots)
	e.Synced(dots)
	require.False(t, e.Complete())
	tell(e, "c", tip, true, dots)
	require.True(t, e.Complete(), "two of three are enough for one that is gone")
	e = begin("c", "d")
	tell(e, "b", tip, true, dots)
	e.Synced(dots)
	require.False(t, e.Complete(), "one of three is not")
}

// A home of the base that works by the tip before another has heard of that says so too
// early. It is asked again at once, and not heard of with the next digest only.
func TestAWordThatCameBeforeTheLayoutIsAskedForAgain(t *testing.T) {
	b := newTable(t, "n1", "n2", "n3")
	b.linkAll()
	b.pass(3)
	o := Owners{
		At:  ring.Progress{Tip: ring.Version{Counter: 2}, Step: ring.Both},
		Tip: []string{"n1", "n2"}, Base: []string{"n1", "n2", "n3"},
	}
	for _, late := range []string{"n3", "n2", "n1"} {
		b.homes[late].SetOwners(o, b.homes[late].clock)
		b.pass(1)
	}
	b.pass(3)
	require.True(t, b.homes["n2"].Complete())
	require.True(t, b.homes["n1"].Complete())
}

// What was wanted, or had been asked for, before a home retired is not taken in after that.
func TestWhoRetiresWantsNothing(t *testing.T) {
	for _, asked := range []bool{false, true} {
		b := newTable(t, "a", "b", "c")
		b.linkAll()
		b.pass(1)
		b.write("a", 1)
		b.pass(1) // it is advertised
		c := b.homes["c"]
		c.Hurry()
		b.now = b.now.Add(time.Second)
		c.Tick(b.now, c.clock)
		if asked {
			c.Pull(b.now, c.clock, 8, math.MaxUint64)
			require.Equal(t, 1, c.Pulling())
		}
		require.True(t, c.Retire())
		c.Pull(b.now, c.clock, 8, math.MaxUint64)
		require.Zero(t, c.Pulling())
		b.pass(10)
		require.True(t, c.clock.IsEmpty())
	}
}

// What a copy that hands on has is asked of those who can tell all that it did, as long as
// one of them may: also of one that is not linked, and of one that can do so by pages only.
// Only what nobody else has, or can read, or would give pages of, is taken bare (R27).
func TestWhoHandsOnIsAskedBareForWhatNobodyElseCanGive(t *testing.T) {
	for name, a := range map[string]struct {
		told   bool // c has heard what b has
		has    bool // b has the write
		answer wire.Pieces
		pages  bool // b gives pages, which c has to take then
		bare   bool
	}{
		"nobody else has it":            {told: true, bare: true},
		"another has it":                {told: true, has: true},
		"another may have it":           {},
		"another gives pages only":      {told: true, has: true, answer: wire.Pieces{Absent: vclock.NewDotSet(dot(1, 1, 1))}, pages: true},
		"another gives no pages either": {told: true, has: true, answer: wire.Pieces{Absent: vclock.NewDotSet(dot(1, 1, 1))}, bare: true},
		"another cannot read it":        {told: true, has: true, answer: wire.Pieces{Damaged: vclock.NewDotSet(dot(1, 1, 1))}, bare: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTable(t, "a", "b", "c")
			b.write("a", 1)
			if a.has {
				b.homes["b"].clock.Union(b.homes["a"].clock)
			}
			var bare, whole int
			b.lost = func(from, to string, m wire.Message) bool {
				_, clock := m.(*wire.Clock)
				pull, asks := m.(*wire.Pull)
				switch {
				case asks && to == "b" && from == "c":
					answer := a.answer
					answer.Op = pull.Op
					require.False(t, pull.Bare)
					b.homes["c"].Answered(b.now, "b", &answer)
					if !answer.Absent.IsEmpty() && !a.pages {
						b.homes["c"].Unpaged(b.now.Add(time.Minute))
					}
				case asks && to == "a" && from == "c" && pull.Bare:
					bare++
				case asks && to == "a" && from == "c":
					whole++
				}
				return asks || clock && !a.told && from == "b"
			}
			b.linkAll()
			require.True(t, b.homes["a"].Retire())
			b.pass(20)
			unserved, from := b.homes["c"].Unserved(b.homes["c"].clock)
			require.Equal(t, !a.answer.Absent.IsEmpty(), unserved.Contains(dot(1, 1, 1)))
			if from != "" {
				require.Equal(t, "b", from)
			}
			require.Equal(t, a.bare, bare > 0)
			require.Positive(t, bare+whole)
		})
	}
}
