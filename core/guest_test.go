package core

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/hintedhandoff"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// split lets only nodes of one side hear one another, and lets them know it.
func (r *rig) split(sides ...[]string) {
	side := func(node string) int {
		return slices.IndexFunc(sides, func(s []string) bool { return slices.Contains(s, node) })
	}
	r.lose = func(from, to string, _ wire.Message) bool { return side(from) != side(to) }
	for _, a := range r.names {
		for _, b := range r.names {
			if a != b {
				r.nodes[a].shard.SetLink(r.now, b, side(a) == side(b))
			}
		}
	}
	r.settle()
}

// away are the nodes that are no homes of a key.
func (r *rig) away(key string) (nodes []string) {
	for _, n := range r.names {
		if !slices.Contains(r.homesOf(key), n) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (r *rig) homesOf(key string) []string { return r.layout.Homes(r.layout.PartitionOf("b", key), 3) }

func strict(q kindred.Request) kindred.Request {
	q.Sloppy = kindred.Strict
	return q
}

// stored is what a home shows of a key by itself.
func (r *rig) valuesAt(node, key string) (values []string) {
	id := replica.ID{Partition: uint32(r.layout.PartitionOf("b", key)), N: 3}
	object, err := replica.Load(r.nodes[node].engine, id, "b", key)
	require.NoError(r.t, err)
	for _, v := range object.Versions {
		values = append(values, string(v.Value.Value))
	}
	return values
}

func (r *rig) hints() (sum int) {
	for _, n := range r.names {
		sum += r.nodes[n].shard.Hints().Hints
	}
	return sum
}

// payHints lets time go by until every debt is paid.
func (r *rig) payHints() {
	for range 100 {
		r.pass(200 * time.Millisecond)
	}
	require.Zero(r.t, r.hints(), "hints that were not delivered")
}

func TestACutStopsNobodyAndAfterwardsAllAgree(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	r.split(homes, away)

	here := r.do(homes[0], put(key, "milk"))
	require.Nil(t, here.Err)
	require.Empty(t, here.Receipt.Guests, "all homes are on this side")
	there := r.do(away[0], put(key, "eggs"))
	require.Nil(t, there.Err, "no home can be reached, two guests can")
	require.ElementsMatch(t, away, there.Receipt.Guests)
	require.Equal(t, kindred.Sloppy, there.Receipt.Sloppiness())

	read := r.do(away[1], get(key))
	require.Nil(t, read.Err)
	require.Equal(t, []string{"eggs"}, values(read))
	require.ElementsMatch(t, away, read.Guests, "the answer says who gave it")
	require.Nil(t, r.do(away[1], seen(put(key, "eggs and ham"), read.Context)).Err)

	r.heal()
	r.payHints()
	for _, h := range homes {
		require.ElementsMatch(t, []string{"milk", "eggs and ham"}, r.valuesAt(h, key), h)
	}
	require.ElementsMatch(t, []string{"milk", "eggs and ham"}, values(r.do(away[0], strict(get(key)))))
	r.idle()
}

// What a guest coordinated says so for ever: where it is kept, and where it is delivered.
func TestALateHintIsKnownAsOne(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	r.split(homes, away)
	require.Nil(t, r.do(homes[0], put(key, "milk")).Err)
	require.Nil(t, r.do(away[0], put(key, "eggs")).Err)
	r.heal()
	r.payHints()
	views := r.do(homes[1], kindred.Request{Op: kindred.OpInspect, Bucket: "b", Key: key}).Replicas
	require.Len(t, views, 3)
	for _, v := range views {
		require.Len(t, v.Siblings, 2)
		for _, s := range v.Siblings {
			require.Equal(t, s.Node == away[0], s.Causes.Has(kindred.CauseGuest), "%s: %s", s.Node, s.Causes)
		}
	}
	read := r.do(homes[2], get(key))
	for _, s := range read.Siblings {
		if s.Node == away[0] {
			require.Equal(t, kindred.CauseBlind|kindred.CauseGuest|kindred.CauseCut, s.Causes)
		}
	}
	r.idle()
}

func TestAStrictRequestTakesNoGuests(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	r.split(homes[:1], append(slices.Clone(away), homes[1:]...))

	resp := r.do(homes[0], strict(put(key, "milk")))
	require.Equal(t, kindred.CodeUnavailable, resp.Err.Code)
	require.Equal(t, kindred.NotApplied, resp.Err.Outcome)
	resp = r.do(homes[0], strict(get(key)))
	require.Equal(t, kindred.CodeUnavailable, resp.Err.Code)

	r.split([]string{homes[0], away[0]}, append(slices.Clone(away[1:]), homes[1:]...))
	resp = r.do(homes[0], strict(put(key, "milk")))
	require.Equal(t, kindred.CodeUnavailable, resp.Err.Code, "a guest is no replica")
	resp = r.do(homes[0], put(key, "milk"))
	require.Nil(t, resp.Err)
	require.Equal(t, []string{away[0]}, resp.Receipt.Guests)
	resp = r.do(away[0], strict(get(key)))
	require.Equal(t, kindred.CodeUnavailable, resp.Err.Code)

	both := put(key, "eggs")
	both.PW = 2
	require.Equal(t, kindred.CodeUnavailable, r.do(homes[0], both).Err.Code, "pw counts homes, whatever is sloppy")
}

// The delta of a guest has one dot. A fallback that sent a range, or filled what it
// reads, would claim writes that others have not got (R7, C1, C2).
func TestAGuestSpeaksOnlyOfWhatItHolds(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	r.split(homes, away)
	var other string // another key of the same partition
	for i := 0; other == ""; i++ {
		if k := fmt.Sprint("k", i); k != key && r.layout.PartitionOf("b", k) == r.layout.PartitionOf("b", key) {
			other = k
		}
	}
	lost := r.lose
	r.lose = func(from, to string, m wire.Message) bool {
		if h, ok := m.(*wire.Hint); ok {
			n := 0
			for range h.Delta.Dots.Dots() {
				n++
			}
			require.Equal(t, 1, n, "%v", h.Delta.Dots)
		}
		if reply, ok := m.(*wire.ReadReply); ok {
			require.LessOrEqual(t, reply.Object.Context.Exceptions(), 2)
		}
		return lost(from, to, m)
	}
	require.Nil(t, r.do(away[0], put(other, "x")).Err)
	require.Nil(t, r.do(away[0], put(key, "milk")).Err)
	require.Nil(t, r.do(away[0], put(other, "y")).Err)
	read := r.do(away[0], get(key))
	require.Equal(t, []string{"milk"}, values(read))
	context, err := replica.DecodeContext("b", key, read.Context)
	require.Nil(t, err)
	n := 0
	for range context.Dots() {
		n++
	}
	require.Equal(t, 1, n, "the context of %q speaks of other keys: %v", key, context)
}

func TestADeleteByNameAtAGuestDeletesWhatItReaches(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	r.split(homes, away)
	require.Nil(t, r.do(homes[0], put(key, "milk")).Err)
	require.Nil(t, r.do(away[0], put(key, "eggs")).Err)
	require.Nil(t, r.do(away[1], del(key)).Err)
	require.Empty(t, values(r.do(away[0], get(key))))
	r.heal()
	r.payHints()
	for _, h := range homes {
		require.Equal(t, []string{"milk"}, r.valuesAt(h, key), "the delete had not seen it")
	}
	r.idle()
}

// A home that is frozen keeps its link and says nothing.
func TestASilentHomeIsReplacedByItsFallback(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes := r.homesOf(key)
	r.lose = func(from, to string, _ wire.Message) bool {
		return slices.Contains(homes[1:], from) || slices.Contains(homes[1:], to)
	}
	token := r.ask(homes[0], put(key, "milk"))
	require.Nil(t, r.answers[token], "one home has it")
	read := r.ask(homes[0], get(key))
	require.Nil(t, r.answers[read])
	r.pass(hedgeMax)
	r.pass(DefaultLimits().GuestAfter)
	require.NotNil(t, r.answers[token], "the fallbacks stand in")
	require.Nil(t, r.answers[token].Err)
	require.Len(t, r.answers[token].Receipt.Guests, 1, "one of them is enough")
	require.NotNil(t, r.answers[read])
	require.Equal(t, []string{"milk"}, values(r.answers[read]))
	r.heal()
	r.payHints()
	for _, h := range homes {
		require.Equal(t, []string{"milk"}, r.valuesAt(h, key))
	}
	r.idle()
}

// All homes are slow, and no fallback holds anything of the key: that they say so
// does not make it absent.
func TestASlowHomeIsNotTakenForAnEmptyOne(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	require.Nil(t, r.do(homes[0], put(key, "milk")).Err)
	var held []func()
	slow := true
	r.lose = func(from, to string, m wire.Message) bool {
		if _, ok := m.(*wire.ReadReply); ok && slow && slices.Contains(homes, from) {
			held = append(held, func() { r.nodes[to].shard.Message(r.now, from, m) })
			return true
		}
		return false
	}
	read := r.ask(away[0], get(key))
	r.pass(DefaultLimits().GuestAfter)
	r.pass(DefaultLimits().GuestAfter)
	require.Nil(t, r.answers[read], "%v", r.answers[read])
	slow = false
	for _, deliver := range held {
		deliver()
	}
	r.settle()
	require.NotNil(t, r.answers[read])
	require.Equal(t, []string{"milk"}, values(r.answers[read]))
	r.idle()
}

// R10 and I7: what the home has taken but not made durable is not dropped.
func TestAHintAcknowledgedWhileVolatileIsKept(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	r.split(homes, away)
	require.Nil(t, r.do(away[0], put(key, "milk")).Err)
	r.heal()
	r.holdSyncs = true
	for range 10 {
		r.pass(200 * time.Millisecond)
	}
	require.Equal(t, 2, r.hints(), "no home has said that anything is durable")

	victim := homes[0]
	r.nodes[victim].engine = r.nodes[victim].engine.Crash(func(int) int { return 0 })
	r.nodes[victim].held, r.nodes[victim].syncs = nil, nil
	r.boot(victim, 99<<32, DefaultLimits())
	require.Empty(t, r.valuesAt(victim, key))
	r.holdSyncs = false
	for _, n := range r.names {
		if n != victim {
			r.nodes[n].shard.SetLink(r.now, victim, false)
			r.nodes[victim].shard.SetLink(r.now, n, true)
			r.nodes[n].shard.SetLink(r.now, victim, true)
		}
	}
	r.settle()
	r.payHints()
	for _, h := range homes {
		require.Equal(t, []string{"milk"}, r.valuesAt(h, key), h)
	}
}

// A guest that starts again finds what it owes, and a request that it has served.
func TestAGuestRemembersItsDebtsAcrossAStart(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	r.split(homes, away)
	q := put(key, "milk")
	q.RequestID = kindred.RequestID{7}
	first := r.do(away[0], q)
	require.Nil(t, first.Err)
	r.boot(away[0], 98<<32, DefaultLimits())
	require.Equal(t, 1, r.nodes[away[0]].shard.Hints().Hints)
	r.split(homes, away)
	again := r.do(away[0], q)
	require.Nil(t, again.Err)
	require.Equal(t, first.Receipt.Dot, again.Receipt.Dot, "the same intention")
	r.heal()
	r.payHints()
	for _, h := range homes {
		require.Equal(t, []string{"milk"}, r.valuesAt(h, key), h)
	}
}

// A hint that speaks of dots of this very guest is a lie before its first write too: what
// it writes next would count as seen, and be dropped by whoever believed that.
func TestAGuestKnowsItsOwnDotsBeforeItsFirst(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	homes, away := r.homesOf("cart"), r.away("cart")
	guest := r.nodes[away[0]].shard
	head := wire.Head(r.placeOf("cart"))
	d := vclock.Dot{Actor: vclock.Actor{Disk: 77, Nonce: 1}, Counter: 1}
	lie := vclock.NewDotSet(vclock.Dot{Actor: replica.GuestIncarnation(replica.ID(head), guest.cfg.Start), Counter: 1})
	guest.Message(r.now, homes[0], &wire.Hint{
		Head: head, Op: wire.OpID{Process: 1, Seq: 1}, Bucket: "b", Key: "cart", Slots: wire.AllSlots(3),
		Delta: wire.Delta{Siblings: vclock.New(d, wire.Record{Value: []byte("forged")}, lie), Dots: vclock.NewDotSet(d)},
	})
	r.settle()
	require.EqualValues(t, 1, guest.Stats().HintsRefused)
	require.Zero(t, guest.Hints().Hints)

	r.split(homes, away)
	require.Nil(t, r.do(away[0], put("cart", "milk")).Err)
	r.heal()
	r.payHints()
	for _, h := range homes {
		require.Equal(t, []string{"milk"}, r.valuesAt(h, "cart"), h)
	}
}

func TestHintsHaveALimitThatIsRefusedByName(t *testing.T) {
	limits := DefaultLimits()
	limits.Hints = 3
	r := newRig(t, 5, limits)
	homes, away := r.homesOf("cart"), r.away("cart")
	r.split(homes, away)
	refused := 0
	for i := range 40 {
		token := r.ask(away[0], put(fmt.Sprint("k", i), "v"))
		r.pass(limits.Timeout)
		resp := r.answers[token]
		if resp.Err != nil {
			refused++
			require.NotEqual(t, kindred.Applied, resp.Err.Outcome)
		}
	}
	require.Positive(t, refused)
	require.LessOrEqual(t, r.nodes[away[1]].shard.Hints().Hints, 3)
	require.Positive(t, r.nodes[away[0]].shard.Stats().HintsRefused)
	r.heal()
	r.payHints()
}

// A node that no layout gives a place on the list hands the write to one that is.
func TestAStrangerForwardsToAGuest(t *testing.T) {
	r := newRig(t, 8, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	r.split(homes, away)
	for _, n := range away {
		resp := r.do(n, put(key, n))
		require.Nil(t, resp.Err, n)
		require.GreaterOrEqual(t, len(resp.Receipt.Guests), 2)
	}
	require.Len(t, values(r.do(away[4], get(key))), len(away))
	r.heal()
	r.payHints()
	for _, h := range homes {
		require.ElementsMatch(t, away, r.valuesAt(h, key))
	}
}

func TestAScanShowsWhatGuestsHold(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	homes, away := r.homesOf("cart"), r.away("cart")
	r.split(homes, away)
	want := map[string]bool{}
	for i := range 20 {
		k := fmt.Sprint("k", i)
		require.Nil(t, r.do(away[0], put(k, "v")).Err)
		want[k] = true
	}
	found := map[string]bool{}
	q := kindred.Request{Op: kindred.OpScan, Bucket: "b"}
	require.Equal(t, kindred.CodeUnavailable, r.do(away[0], q).Err.Code, "a page that may lack keys is asked for by name")
	q.Sloppy = kindred.Sloppy
	for {
		resp := r.do(away[0], q)
		require.Nil(t, resp.Err)
		for _, k := range resp.Keys {
			found[k.Key] = true
		}
		if len(resp.Cursor) == 0 {
			break
		}
		q.Scan.Cursor = resp.Cursor
	}
	require.Equal(t, want, found)
}

// Peers can send what they like: nothing is kept that no honest peer can have sent,
// and nothing is dropped because of an answer that nobody was asked for.
func TestHostileHintsAreRefused(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	r.split(homes, away)
	require.Nil(t, r.do(away[0], put(key, "milk")).Err)
	guest := r.nodes[away[0]].shard
	head := wire.Head{Partition: uint32(r.layout.PartitionOf("b", key)), N: 3}
	read := r.do(away[0], get(key))
	context, err := replica.DecodeContext("b", key, read.Context)
	require.Nil(t, err)

	for name, m := range map[string]wire.Message{
		"an acknowledgement of nothing": &wire.WriteAck{Head: head, Op: wire.OpID{Process: guest.cfg.Start.Nonce, Seq: 1}},
		"an answer to no offer":         &wire.HintLacks{Head: head, Op: wire.OpID{Process: guest.cfg.Start.Nonce, Seq: 1}},
		"slots that do not exist":       &wire.Hint{Head: head, Bucket: "b", Key: key, Slots: wire.AllSlots(9), Delta: wire.Delta{Dots: context}},
		"a version without its dot": &wire.Hint{Head: head, Bucket: "b", Key: key, Slots: wire.AllSlots(1), Delta: wire.Delta{
			Siblings: hintOf(r, away[0], head, key).Object(),
		}},
		"a partition that does not exist": &wire.Hint{Head: wire.Head{Partition: 999, N: 3}, Bucket: "b", Key: key, Slots: 1, Delta: wire.Delta{Dots: context}},
	} {
		guest.Message(r.now, homes[0], m)
		r.settle()
		h := hintOf(r, away[0], head, key)
		require.Equal(t, wire.AllSlots(3), h.Slots(), name)
		require.Equal(t, 1, guest.Hints().Hints, name)
	}
	// A home that is not one answers no offer.
	r.nodes[away[1]].shard.Message(r.now, away[0], &wire.HintOffer{Head: head, Op: wire.OpID{Process: 1, Seq: 1}, Dots: context})
	out := r.nodes[away[1]].shard.Effects().Sends
	require.Len(t, out, 1)
	require.NotEmpty(t, out[0].Msg.(*wire.HintLacks).Failed)
	require.True(t, out[0].Sync)
}

func hintOf(r *rig, node string, head wire.Head, key string) *hintedhandoff.Hint {
	h, err := hintedhandoff.Load(r.nodes[node].engine, head, "b", key)
	require.NoError(r.t, err)
	return &h
}

// A peer that has linked and says nothing is waited for once: what comes after goes
// around it, writes of strangers too, until it says something.
func TestASilentPeerIsWaitedForOnce(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	frozen := homes[0] // who would be asked first
	r.lose = func(from, to string, _ wire.Message) bool { return from == frozen || to == frozen }
	first := r.ask(away[0], put(key, "lost"))
	r.pass(2 * DefaultLimits().GuestAfter)
	require.Nil(t, r.answers[first], "it may have been made there")
	require.Nil(t, r.do(away[0], put(key, "milk")).Err, "the next write goes to another home")

	all := put(key, "eggs")
	all.W = kindred.CountAll
	one := r.ask(homes[1], all)
	require.Nil(t, r.answers[one])
	r.pass(DefaultLimits().GuestAfter)
	require.Nil(t, r.answers[one].Err)
	require.Len(t, r.answers[one].Receipt.Guests, 1)
	require.Len(t, r.do(homes[1], all).Receipt.Guests, 1, "at once")

	r.heal()
	read := get(key)
	read.R = kindred.CountAll
	require.Nil(t, r.do(homes[1], read).Err)
	require.Empty(t, r.do(homes[1], all).Receipt.Guests, "it has spoken")
}

// A disk that was slow once is waited for once: the node does not take itself for a
// silent peer, of whom it would have to hear.
func TestASlowDiskIsWaitedForOnce(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	home := r.homesOf(key)[0]
	r.holdSyncs = true
	synced := put(key, "milk")
	synced.Durability = kindred.Sync
	first := r.ask(home, synced)
	r.pass(DefaultLimits().GuestAfter)
	r.holdSyncs = false
	r.settle()
	require.Nil(t, r.answers[first].Err)
	require.NotZero(t, r.total().HintsAsked, "the fallbacks were asked while the disks were slow")

	before := r.total().HintsAsked
	require.Nil(t, r.do(home, put(key, "eggs")).Err)
	require.Equal(t, before, r.total().HintsAsked, "nobody has to stand in")
	asked := r.questions()
	require.Nil(t, r.do(home, get(key)).Err)
	require.Len(t, asked, 1, "the quorum is asked, and no more: %v", asked)
}

// R19: a guest knows the retry of what it has just minted, whatever lists of old
// requests the other guest brings in between. Without that the retry is a new write,
// and the value that somebody has replaced is back. The simulator found it.
func TestAGuestForgetsOldRequestsBeforeItsOwn(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	here, there := away[0], away[1]
	r.split(homes, away)
	var old kindred.Request
	for i := range hintedhandoff.RequestsMax + 2 {
		old = kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: key, Value: []byte("old"), RequestID: kindred.RequestID{byte(i), 1}}
		old.Context = r.do(there, get(key)).Context
		require.Nil(t, r.do(there, old).Err)
	}

	r.lose = func(from, to string, _ wire.Message) bool { return from == here || to == here }
	one := func(q kindred.Request) kindred.Request { q.R, q.W = 1, 1; return q }
	read := r.do(here, one(get(key)))
	milk := one(seen(put(key, "milk"), read.Context))
	milk.RequestID = kindred.RequestID{1, 2}
	bought := r.do(here, milk)
	require.Nil(t, bought.Err)
	cheese := one(seen(put(key, "cheese"), bought.Context))
	cheese.RequestID = kindred.RequestID{2, 2}
	require.Nil(t, r.do(here, cheese).Err)

	r.lose = func(from, to string, _ wire.Message) bool {
		return slices.Contains(away, from) != slices.Contains(away, to)
	}
	require.Nil(t, r.do(there, old).Err, "served again: it sends all that it holds")
	again := r.do(here, milk)
	require.Nil(t, again.Err)
	require.Equal(t, bought.Receipt.Dot, again.Receipt.Dot)
	require.Equal(t, []string{"cheese"}, values(r.do(here, one(get(key)))))
	r.heal()
	r.payHints()
	for _, h := range homes {
		require.Equal(t, []string{"cheese"}, r.valuesAt(h, key), h)
	}
	r.idle()
}
