package antientropy

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// home is one exchange whose clock the test moves.
type home struct {
	*Exchange
	name  string
	clock vclock.DotSet
}

// table is some homes of one partition whose messages the test carries.
type table struct {
	t     *testing.T
	now   time.Time
	homes map[string]*home
	names []string
	lost  func(from, to string, m wire.Message) bool
	sent  []letter
}

type letter struct {
	from, to string
	msg      wire.Message
}

func newTable(t *testing.T, names ...string) *table {
	b := &table{t: t, now: time.Unix(1_790_000_000, 0), homes: map[string]*home{}, names: names}
	b.lost = func(string, string, wire.Message) bool { return false }
	for i, name := range names {
		b.start(name, uint64(i+1), 1, vclock.DotSet{}, false)
	}
	return b
}

func (b *table) start(name string, disk, nonce uint64, clock vclock.DotSet, clean bool) {
	b.homes[name] = &home{name: name, clock: clock.Clone(), Exchange: NewExchange(Config{
		Self: name, Owners: Owners{Tip: b.names}, Head: wire.Head{N: uint8(len(b.names))},
		Actor: vclock.Actor{Disk: disk, Nonce: nonce}, Process: nonce, Clock: clock, Clean: clean,
	})}
}

func (b *table) link(x, y string, up bool) {
	b.homes[x].SetLink(b.now, y, up, b.homes[x].clock)
	b.homes[y].SetLink(b.now, x, up, b.homes[y].clock)
}

func (b *table) linkAll() {
	for i, x := range b.names {
		for _, y := range b.names[:i] {
			b.link(x, y, true)
		}
	}
	b.settle()
}

// settle carries messages until there are none. Syncs take no time.
func (b *table) settle() {
	for moved := true; moved; {
		moved = false
		for _, name := range b.names {
			h := b.homes[name]
			h.Exchange.Pull(b.now, h.clock, 8, math.MaxUint64)
			for _, send := range h.Take() {
				moved = true
				b.sent = append(b.sent, letter{name, send.To, send.Msg})
				if !b.lost(name, send.To, send.Msg) {
					b.deliver(name, send.To, send.Msg)
				}
			}
			if clock, volatile := h.Captured(); volatile {
				h.Synced(clock)
			}
		}
	}
}

func (b *table) deliver(from, to string, m wire.Message) {
	h := b.homes[to]
	switch m := m.(type) {
	case *wire.Clock:
		h.Heard(b.now, from, m, h.clock)
	case *wire.Pull: // answered at once, with everything that is there
		giver, taker := h, b.homes[from]
		got := m.Dots.Intersect(giver.clock)
		pieces := &wire.Pieces{Head: m.Head, Op: m.Op, Pieces: make([]wire.Piece, 1)}
		if taker.Answered(b.now, to, pieces) {
			taker.clock.Union(got)
			taker.Joined(b.now, to, m.Op, vclock.DotSet{})
		}
	}
}

func (b *table) pass(seconds int) {
	for range seconds {
		b.now = b.now.Add(time.Second)
		for _, name := range b.names {
			b.homes[name].Tick(b.now, b.homes[name].clock)
		}
		b.settle()
	}
}

// write makes the home mint so many dots.
func (b *table) write(name string, dots int) {
	h := b.homes[name]
	for range dots {
		h.clock.Add(vclock.Dot{Actor: h.cfg.Actor, Counter: h.clock.Max(h.cfg.Actor) + 1})
	}
}

func (b *table) asked(kind wire.Kind) (n int) {
	for _, l := range b.sent {
		if wire.KindOf(l.msg) == kind {
			n++
		}
	}
	return n
}

func dot(disk, nonce, counter uint64) vclock.Dot {
	return vclock.Dot{Actor: vclock.Actor{Disk: disk, Nonce: nonce}, Counter: counter}
}

func TestR9_HomesBecomeEqualAndFallSilent(t *testing.T) {
	b := newTable(t, "a", "b", "c")
	b.linkAll()
	b.write("a", 5)
	b.write("b", 3)
	b.pass(6)
	for _, name := range b.names {
		require.Equal(t, vclock.Equal, b.homes["a"].clock.Compare(b.homes[name].clock), name)
		require.Equal(t, kindred.Settled, b.homes[name].Stage(dot(1, 1, 5), b.homes[name].clock))
		require.True(t, b.homes[name].Common().Contains(dot(2, 1, 3)))
		require.Zero(t, b.homes[name].Pulling())
	}
	b.sent = nil
	b.pass(25)
	require.Empty(t, b.sent, "equal homes say nothing")
	b.pass(10)
	require.Len(t, b.sent, 6, "but for a digest")
}

func TestR9_AWriteOnItsWayIsNotPulled(t *testing.T) {
	b := newTable(t, "a", "b", "c")
	b.linkAll()
	b.pass(1)
	b.write("a", 1)
	b.pass(1) // it is advertised
	b.homes["c"].Hurry()
	b.pass(1)
	require.Equal(t, 1, b.asked(wire.KindPull), "c was told to hurry; b has missed it at one look")
	b.pass(1)
	require.Equal(t, 2, b.asked(wire.KindPull))
}

func TestR9_EachDotIsAskedOfOneHomeAndOfAnotherIfThatOneFails(t *testing.T) {
	b := newTable(t, "a", "b", "c")
	b.linkAll()
	b.link("c", "a", false)
	b.link("c", "b", false)
	b.write("a", 10)
	b.pass(4)
	b.sent = nil
	deaf := true
	b.lost = func(from, to string, m wire.Message) bool {
		_, pull := m.(*wire.Pull)
		return deaf && pull && to == "a"
	}
	b.link("c", "a", true)
	b.link("c", "b", true)
	b.settle()
	pulls := b.asked(wire.KindPull)
	require.Equal(t, 1, pulls, "both have it, one is asked")
	b.pass(7)
	require.True(t, b.homes["c"].clock.Covers(b.homes["a"].clock))
}

func TestR9_ALostAdvertisementIsNoticed(t *testing.T) {
	b := newTable(t, "a", "b", "c")
	b.linkAll()
	b.write("a", 1)
	b.lost = func(from, _ string, m wire.Message) bool { return from == "a" }
	b.pass(1)
	b.lost = func(string, string, wire.Message) bool { return false }
	b.write("a", 1)
	b.pass(4)
	require.True(t, b.homes["b"].clock.Covers(b.homes["a"].clock), "the first dot was in the message that was lost")
}

// PROTOCOL C15: a replica that lost data and trusts itself after one join answers
// reads that miss an acknowledged write.
func TestR17_CatchingUpWithOneHomeIsNotEnough(t *testing.T) {
	b := newTable(t, "a", "b", "c")
	b.linkAll()
	b.pass(2)
	for _, name := range b.names {
		require.True(t, b.homes[name].Trusted(), name)
	}
	b.homes["b"].clock.Add(dot(9, 9, 1)) // held by b alone, and by a before it lost it
	b.link("a", "b", false)
	b.link("a", "c", false)
	b.start("a", 1, 2, vclock.DotSet{}, false)
	require.False(t, b.homes["a"].Trusted())
	b.link("a", "c", true)
	b.pass(3)
	waits, unreachable := b.homes["a"].Waits()
	require.False(t, b.homes["a"].Trusted())
	require.Equal(t, []string{"b"}, waits)
	require.Equal(t, []string{"b"}, unreachable)
	b.link("a", "b", true)
	b.pass(3)
	require.True(t, b.homes["a"].Trusted())
	require.True(t, b.homes["a"].clock.Contains(dot(9, 9, 1)))
}

func TestR17_ACleanStartIsReadAtOnceUnlessAPeerRemembersMore(t *testing.T) {
	b := newTable(t, "a", "b", "c")
	b.linkAll()
	b.write("a", 3)
	b.pass(4)
	all := b.homes["a"].clock.Clone()
	b.link("a", "b", false)
	b.link("a", "c", false)

	b.start("a", 1, 2, all, true)
	require.True(t, b.homes["a"].Trusted())
	b.link("a", "b", true)
	b.settle()
	require.True(t, b.homes["a"].Trusted())
	b.link("a", "b", false)

	old := vclock.NewDotSet(dot(1, 1, 1)) // an image of the disk, taken after an orderly stop
	b.start("a", 1, 3, old, true)
	b.homes["a"].SetLink(b.now, "b", true, b.homes["a"].clock)
	require.False(t, b.homes["a"].Trusted(), "a linked peer has to vouch first")
	b.homes["b"].SetLink(b.now, "a", true, b.homes["b"].clock)
	b.lost = func(_, _ string, m wire.Message) bool { _, pull := m.(*wire.Pull); return pull }
	b.settle()
	require.False(t, b.homes["a"].Trusted(), "b has been told of more than that as durable")
	b.lost = func(string, string, wire.Message) bool { return false }
	b.link("a", "c", true)
	b.pass(8)
	require.True(t, b.homes["a"].Trusted())
}

// A message of an earlier life of a peer comes when that life has ended. What it
// says is not true of the disk that the peer has now.
func TestR12_AMessageOfADeadIncarnationIsNotBelieved(t *testing.T) {
	b := newTable(t, "a", "b", "c")
	b.linkAll()
	b.write("a", 3)
	b.pass(4)
	var late *wire.Clock
	for _, l := range b.sent {
		if m, ok := l.msg.(*wire.Clock); ok && l.from == "c" && l.to == "a" {
			late = m
		}
	}
	b.link("c", "a", false)
	b.link("c", "b", false)
	b.lost = func(_, to string, m wire.Message) bool { _, pull := m.(*wire.Pull); return pull }
	b.start("c", 77, 9, vclock.DotSet{}, false) // with an empty disk
	b.link("c", "a", true)
	b.link("c", "b", true)
	b.settle()
	require.True(t, b.homes["a"].Common().IsEmpty(), "c holds nothing")
	b.homes["a"].Heard(b.now, "c", late, b.homes["a"].clock)
	require.True(t, b.homes["a"].Common().IsEmpty())
	b.pass(3)
	require.True(t, b.homes["a"].Common().IsEmpty())
	b.lost = func(string, string, wire.Message) bool { return false }
	b.pass(8)
	require.True(t, b.homes["a"].Common().Contains(dot(1, 1, 3)))
}

func TestI6_WhatIsNotDurableIsNotCommon(t *testing.T) {
	b := newTable(t, "a")
	h := b.homes["a"]
	b.write("a", 1)
	h.Tick(b.now, h.clock)
	clock, volatile := h.Captured()
	require.True(t, volatile)
	require.True(t, h.Common().IsEmpty())
	require.Equal(t, kindred.Accepted, h.Stage(dot(1, 1, 1), h.clock))
	h.Synced(clock)
	require.Equal(t, kindred.Settled, h.Stage(dot(1, 1, 1), h.clock), "it is its only home")
}

func TestI11_TheOldestOfALongLogGo(t *testing.T) {
	var log vclock.DotSet
	log.AddSpan(vclock.Actor{Disk: 1}, vclock.Span{Lo: 1, Hi: 100})
	require.True(t, func() bool { o := Oldest(log, 100); return o.IsEmpty() }())
	require.EqualValues(t, 30, Count(Oldest(log, 80)), "what is beyond the limit, and an eighth of it for some peace")
	log.Close(vclock.Actor{Disk: 2})
	require.EqualValues(t, 100, Count(log), "closed actors have no rows")
}

// What is rare is counted by what the others have said to be on their disks, and by
// nothing else: a home that was not heard of holds nothing.
func TestRareDotsAreThoseThatFewHomesHaveSaidToHold(t *testing.T) {
	b := newTable(t, "a", "b", "c", "d")
	a := b.homes["a"]
	b.write("a", 4)
	rare := func() [2]uint64 {
		alone, paired := a.Rare(a.clock)
		return [2]uint64{Count(alone), Count(paired)}
	}
	require.Equal(t, [2]uint64{4, 0}, rare(), "nobody was heard of")
	require.EqualValues(t, 4, Count(a.Unshared(a.clock)))

	b.link("a", "b", true)
	b.pass(3)
	require.Equal(t, [2]uint64{0, 4}, rare())
	b.write("a", 1)
	require.Equal(t, [2]uint64{1, 4}, rare())

	b.link("a", "c", true)
	b.pass(3)
	require.Equal(t, [2]uint64{0, 0}, rare(), "three homes have them")
	require.EqualValues(t, 5, Count(a.Unshared(a.clock)), "and the fourth has not")
	b.link("a", "d", true)
	b.pass(3)
	require.Zero(t, Count(a.Unshared(a.clock)))

	// Who is an only home shares with nobody, and lacks nobody.
	alone := newTable(t, "a")
	alone.write("a", 3)
	require.True(t, alone.homes["a"].Unshared(alone.homes["a"].clock).IsEmpty())
}
