package replica

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

var homes = []string{"a", "b", "c"}

func event(n uint64) vclock.Dot {
	return vclock.Dot{Actor: vclock.Actor{Disk: 1, Nonce: 1}, Counter: n}
}

// A put counts each home once, whatever is repeated or comes from elsewhere: the
// clever machine against a set.
func TestPutAgreesWithASet(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		q := kindred.Quorum{N: 3, W: 1 + random.IntN(3)}
		p := NewPut(homes, q, event(1))
		acked, failed := map[string]bool{}, map[string]bool{}
		for range random.IntN(8) {
			node := []string{"a", "b", "c", "stranger"}[random.IntN(4)]
			if random.IntN(3) > 0 {
				p.Ack(node)
				if node != "stranger" {
					acked[node] = true
					delete(failed, node)
				}
			} else {
				p.Fail(node, "disk full")
				if node != "stranger" && !acked[node] {
					failed[node] = true
				}
			}
			require.Equal(t, len(acked) >= q.W, p.Enough())
			require.Equal(t, len(acked) < q.W && len(acked)+len(failed) == 3, p.Hopeless())
			require.Len(t, p.Waiting(), 3-len(acked))
		}
		err := p.Timeout(kindred.OpPut)
		require.Equal(t, kindred.Unknown, err.Outcome)
		require.Equal(t, event(1).String(), err.Dot)
		require.Len(t, err.Failed, 3-len(acked), "each home that did not acknowledge is named, with a reason")
	}
}

// R23: as long as two layouts count each has a quorum and guests of its own. When the old
// one counts no more, neither do those who were asked for its sake.
func TestAPutForgetsTheLayoutBefore(t *testing.T) {
	p := NewPut(homes, kindred.Quorum{N: 3, W: 2, Sloppy: true}, event(1))
	p.SetBase([]string{"a", "old", "older"}, kindred.Quorum{N: 3, W: 2, Sloppy: true})
	p.Invite("guest")
	p.InviteBase("old guest")
	for _, node := range []string{"a", "old", "old guest"} {
		require.True(t, p.Ack(node))
	}
	p.Fail("older", "disk full")
	p.Fail("b", "disk full")
	require.Equal(t, []string{"old guest"}, p.Guests())
	require.False(t, p.Enough(), "the new layout has one of two")

	p.DropBase()
	require.False(t, p.Enough())
	require.False(t, p.Hopeless(), "c and the guest may yet take it")
	require.Equal(t, []string{"b", "c", "guest"}, p.Waiting())
	require.Equal(t, []string{"a"}, p.Acked())
	require.Empty(t, p.Guests(), "a home of the layout before is not one")
	require.Len(t, p.Timeout(kindred.OpPut).Failed, 3)
	require.False(t, p.Ack("old"))
	require.True(t, p.Ack("guest"))
	require.True(t, p.Enough())
	require.Equal(t, []string{"guest"}, p.Guests())
}

func TestAGetAnswersAtRAndMendsWhoDiffers(t *testing.T) {
	old := vclock.New(event(1), wire.Record{Value: []byte("old")}, none)
	old = old.Fill(vclock.NewDotSet(event(1)))
	fresh := vclock.New(event(2), wire.Record{Value: []byte("new")}, old.Seen())
	fresh = fresh.Fill(vclock.NewDotSet(event(1), event(2)))

	g := NewGet(homes, kindred.Quorum{N: 3, R: 2})
	g.Add("a", old)
	g.Add("a", old)
	g.Add("stranger", fresh)
	require.False(t, g.Enough(), "a repetition and a stranger count for nothing")
	g.Add("b", fresh)
	require.True(t, g.Enough())
	require.Equal(t, []string{"new"}, texts(g.Merged()))
	require.False(t, g.Over())
	g.Fail("c", "unreachable")
	require.True(t, g.Over())

	repairs := g.Repairs()
	require.Len(t, repairs, 1)
	require.Equal(t, "a", repairs[0].Node)
	require.NoError(t, repairs[0].Delta.Check())
	require.Equal(t, g.Merged().Dots().String(), repairs[0].Delta.Dots.String(), "the dots of its live versions, no other (R8)")
}

// Guests that hold nothing stand in for homes that cannot be reached. If the homes
// are merely slow, their word would hide what is there.
func TestIdleGuestsDoNotOutvoteSlowHomes(t *testing.T) {
	hint := vclock.New(event(1), wire.Record{Value: []byte("new")}, none)
	nothing := wire.Object{}
	sloppy := func(unlinked ...string) *Get {
		g := NewGet(homes, kindred.Quorum{N: 3, R: 2, Sloppy: true})
		for _, home := range unlinked {
			g.Unlinked(home)
		}
		g.Invite("x")
		g.Invite("y")
		g.Invite("z")
		return g
	}
	g := sloppy()
	g.Add("x", nothing)
	g.Add("y", nothing)
	require.False(t, g.Enough(), "nobody who could know has answered")
	g.Add("a", hint)
	require.True(t, g.Enough(), "a home has")

	g = sloppy("a")
	g.Add("x", nothing)
	g.Add("y", nothing)
	require.False(t, g.Enough(), "one home cannot be reached, two are slow")
	g.Unlinked("a")
	require.False(t, g.Enough(), "it is the same one")
	g.Unlinked("b")
	require.True(t, g.Enough())

	g = sloppy()
	g.Add("x", hint)
	g.Add("y", hint)
	require.True(t, g.Enough(), "they hold something")

	g = sloppy()
	g.Add("x", nothing)
	g.Add("y", nothing)
	g.Late()
	require.True(t, g.Enough(), "there is no time left")

	g = sloppy()
	g.Add("x", nothing)
	g.Add("y", nothing)
	for _, home := range homes {
		g.Fail(home, "is catching up")
	}
	require.False(t, g.Enough())
	g.Fail("z", "is full")
	require.True(t, g.Enough(), "nobody is left to wait for")
}

// A get gives what the join of its replies gives, in every order.
func TestAGetDoesNotDependOnTheOrderOfReplies(t *testing.T) {
	seen := vclock.NewDotSet(event(1))
	replies := map[string]wire.Object{
		"a": vclock.New(event(1), wire.Record{Value: []byte("1")}, none).Fill(vclock.NewDotSet(event(1))),
		"b": vclock.New(event(2), wire.Record{Value: []byte("2")}, seen).Fill(vclock.NewDotSet(event(1), event(2))),
		"c": wire.Object{}.Fill(vclock.NewDotSet(event(1), event(3))),
	}
	for _, order := range [][]string{{"a", "b", "c"}, {"c", "b", "a"}, {"b", "a", "c"}, {"c", "a", "b"}} {
		g := NewGet(homes, kindred.Quorum{N: 3, R: 3})
		for _, node := range order {
			g.Add(node, replies[node])
		}
		require.Equal(t, []string{"2"}, texts(g.Merged()), "%v", order)
		var mended []string
		for _, r := range g.Repairs() {
			mended = append(mended, r.Node)
		}
		slices.Sort(mended)
		require.Equal(t, []string{"a", "c"}, mended)
	}
}

func TestTwoSiblingsOfOneRequestAreShownOnce(t *testing.T) {
	id := kindred.RequestID{1}
	o := vclock.New(event(1), wire.Record{RequestID: id}, none)
	o.Add(event(2), wire.Record{RequestID: id})
	o.Add(event(3), wire.Record{})
	o.Add(event(4), wire.Record{})
	g := NewGet(homes, kindred.Quorum{N: 3, R: 1})
	g.Add("a", o)
	require.Len(t, g.Siblings(0), 3, "writes without an id are never taken for one another")
	require.Len(t, g.Merged().Versions, 4, "the context covers all")
}

func TestAPageOutOfOrderIsNotBelieved(t *testing.T) {
	s := NewScanPage(homes, kindred.Quorum{N: 3, R: 1})
	s.Add("a", &wire.ScanReply{Keys: []wire.ScanKey{{Key: "b"}, {Key: "a"}}})
	s.Add("b", &wire.ScanReply{More: true})
	require.False(t, s.Enough())
	s.Fail("c", "unreachable")
	require.True(t, s.Hopeless())
	require.Len(t, s.Timeout().Failed, 3)
}

// A page counts for a home once, whatever was said of it before and after.
func TestAPageCountsHomesOnce(t *testing.T) {
	s := NewScanPage(homes, kindred.Quorum{N: 3, R: 2})
	s.Fail("stranger", "unreachable")
	s.Fail("a", "unreachable")
	s.Add("a", &wire.ScanReply{})
	s.Fail("a", "unreachable")
	s.Fail("b", "unreachable")
	require.False(t, s.Hopeless(), "c has not spoken")
	s.Add("c", &wire.ScanReply{})
	require.True(t, s.Enough())
}

// Beyond the end of the shortest page some home has not spoken yet: a scan that went on
// behind a longer one would leave out what that home alone holds there.
func TestAPageEndsWhereTheShortestDoes(t *testing.T) {
	page := func(keys ...string) *wire.ScanReply {
		p := &wire.ScanReply{More: true}
		for i, key := range keys {
			dots := vclock.Siblings[wire.Expiry]{}
			dots.Add(event(uint64(i+1)), 0)
			p.Keys = append(p.Keys, wire.ScanKey{Key: key, Dots: dots})
		}
		return p
	}
	short, long := page("a", "b"), page("c", "d")
	for _, pages := range [][]*wire.ScanReply{{short, long}, {long, short}} {
		s := NewScanPage(homes, kindred.Quorum{N: 3, R: 2})
		s.Add("a", pages[0])
		s.Add("b", pages[1])
		keys, last, more := s.Keys(false, 0)
		require.Equal(t, "b", last)
		require.True(t, more)
		require.Len(t, keys, 2, "c and d come with the next page, and what lies between them")
	}
}
