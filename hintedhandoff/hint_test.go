package hintedhandoff

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

var (
	head  = wire.Head{Partition: 7, N: 3}
	me    = vclock.Actor{Disk: 1, Nonce: 11}
	other = vclock.Actor{Disk: 2, Nonce: 22}
	now   = time.UnixMilli(1_790_000_000_000)
)

func dot(a vclock.Actor, c uint64) vclock.Dot { return vclock.Dot{Actor: a, Counter: c} }

// put is the delta of a write by somebody who had seen seen.
func put(d vclock.Dot, value string, seen ...vclock.Dot) wire.Delta {
	return wire.Delta{
		Siblings: vclock.New(d, wire.Record{Value: []byte(value), RequestID: kindred.RequestID{byte(d.Counter), 9}}, vclock.NewDotSet(seen...)),
		Dots:     vclock.NewDotSet(d),
	}
}

func values(o wire.Object) (all []string) {
	for _, v := range o.Versions {
		all = append(all, string(v.Value.Value))
	}
	return all
}

// Invariants 1 and 2: hints of one key join, and the dots are those that came.
func TestHintsOfOneKeyJoin(t *testing.T) {
	var h Hint
	h.Owe(wire.AllSlots(3), put(dot(me, 2), "milk"), nil, now)
	h.Owe(wire.Slots(0).With(1), put(dot(other, 5), "eggs"), nil, now.Add(time.Second))
	require.Equal(t, []string{"milk", "eggs"}, values(h.Object()))
	h.Owe(wire.AllSlots(3), put(dot(me, 4), "both", dot(me, 2), dot(other, 5)), nil, now)
	require.Equal(t, []string{"both"}, values(h.Object()))
	require.Equal(t, vclock.NewDotSet(dot(me, 2), dot(me, 4), dot(other, 5)), h.Dots(), "no dot between them")
	require.False(t, h.Object().Context.Contains(dot(me, 3)), "filled with no clock")
	require.Equal(t, now, h.Since(), "the age is that of the oldest")

	d, ok := h.Served(kindred.RequestID{2, 9})
	require.True(t, ok, "the request of a version that is gone")
	require.Equal(t, dot(me, 2), d)
	_, ok = h.Served(kindred.RequestID{8, 9})
	require.False(t, ok)
}

// Invariant 3.
func TestASlotIsPaidForWhatItHoldsAndNoMore(t *testing.T) {
	var h Hint
	h.Owe(wire.AllSlots(2), put(dot(me, 1), "milk"), nil, now)
	offered := h.Dots().Clone()
	h.Owe(wire.AllSlots(2), put(dot(me, 2), "eggs"), nil, now)
	require.False(t, h.Pay(0, offered), "it has grown since it was offered")
	require.True(t, h.Pay(0, h.Dots()))
	require.False(t, h.Pay(0, h.Dots()), "once")
	require.False(t, h.IsPaid())
	require.True(t, h.Pay(1, h.Dots()))
	require.True(t, h.IsPaid())
	require.Zero(t, h.Entry())
}

// A hint in pieces does to a replica what the whole would, in any order (R2).
func TestPiecesDoWhatTheWholeWould(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		var h Hint
		for c := range uint64(10) {
			var seen []vclock.Dot
			for before := range c {
				if r.IntN(3) == 0 {
					seen = append(seen, dot(me, 2*before+1))
				}
			}
			h.Owe(1, put(dot(me, 2*c+1), fmt.Sprint(c), seen...), nil, now)
		}
		parts := split(h.Dots(), 3)
		require.Greater(t, len(parts), 3)
		clock, object := vclock.DotSet{}, wire.Object{}
		whole, _ := h.Whole()
		object.Merge(&clock, whole)

		pieces := piecesOf(&h, 3)
		r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		clock2, object2 := vclock.DotSet{}, wire.Object{}
		for _, p := range pieces {
			require.NoError(t, p.Check())
			object2.Merge(&clock2, p)
		}
		require.Equal(t, clock, clock2, "seed %d", seed)
		require.Equal(t, values(object), values(object2), "seed %d", seed)
	}
}

func TestARowComesBackAsItWas(t *testing.T) {
	store := memstore.New()
	var h Hint
	h.Owe(wire.AllSlots(3), put(dot(me, 1), "milk"), []wire.DotRequest{{Dot: dot(other, 3), ID: kindred.RequestID{1}}}, now)
	save(t, store, &h, "k")
	back, err := Load(store, head, "b", "k")
	require.NoError(t, err)
	require.Equal(t, h, back)
	require.Positive(t, back.Entry().Bytes)

	back.Pay(0, back.Dots())
	back.Pay(1, back.Dots())
	back.Pay(2, back.Dots())
	save(t, store, &back, "k")
	gone, err := Load(store, head, "b", "k")
	require.NoError(t, err)
	require.True(t, gone.IsPaid())

	var batch storage.Batch
	batch.Set(storage.HintKey(nil, head.Partition, head.N, "b", "k"), []byte("rot"))
	require.NoError(t, store.Apply(&batch))
	_, err = Load(store, head, "b", "k")
	require.ErrorContains(t, err, `hint of b/"k" of partition 7/3 is damaged`)
}

func save(t require.TestingT, store *memstore.Store, h *Hint, key string) {
	var batch storage.Batch
	h.Save(head, "b", key, &batch)
	h.Save(head, "b", key, &batch) // nothing the second time
	require.LessOrEqual(t, batch.Len(), 1)
	require.NoError(t, store.Apply(&batch))
}

func TestARowHasALimit(t *testing.T) {
	var h Hint
	require.Nil(t, h.CheckRoom(wire.Delta{}, HintBytesMax-100))
	err := h.CheckRoom(wire.Delta{}, HintBytesMax+1)
	require.Equal(t, kindred.CodeTooLarge, err.Code)
	require.EqualValues(t, HintBytesMax, err.Limit)
}

func TestRequestsOfAHintAreBounded(t *testing.T) {
	var h Hint
	for c := range uint64(3 * RequestsMax) {
		h.Owe(1, wire.Delta{Dots: vclock.NewDotSet(dot(me, c+1))}, []wire.DotRequest{{Dot: dot(me, c+1), ID: kindred.RequestID{byte(c), byte(c >> 8), 1}}}, now)
	}
	_, ids := h.Whole()
	require.Len(t, ids, RequestsMax)
	require.Equal(t, dot(me, 3*RequestsMax), ids[RequestsMax-1].Dot, "the latest stay")
}

// A request that was forgotten comes back with the list of another guest. It is not
// news: it takes the place of nothing that is younger, least of the write that this
// guest has just made. The simulator found it.
func TestTheListOfAnotherGuestPushesOutNothingYounger(t *testing.T) {
	var mine Hint
	for c := range uint64(RequestsMax) {
		mine.Owe(1, wire.Delta{Dots: vclock.NewDotSet(dot(other, c+1))}, named(dot(other, c+1)), now)
	}
	theirs, list := mine.Whole()
	for c := range uint64(2) {
		mine.Owe(1, wire.Delta{Dots: vclock.NewDotSet(dot(me, c+1))}, named(dot(me, c+1)), now)
	}
	_, before := mine.Whole()
	mine.Owe(1, theirs, list, now)
	_, after := mine.Whole()
	require.ElementsMatch(t, before, after)

	for c := range uint64(3 * RequestsMax) { // and if all of it is news, the latest of each stay
		d := dot(vclock.Actor{Disk: 3}, c+1)
		mine.Owe(1, wire.Delta{Dots: vclock.NewDotSet(d)}, named(d), now)
	}
	for _, d := range []vclock.Dot{dot(me, 1), dot(me, 2), dot(other, RequestsMax), dot(vclock.Actor{Disk: 3}, 3*RequestsMax)} {
		got, ok := mine.Served(named(d)[0].ID)
		require.True(t, ok, "%v is forgotten", d)
		require.Equal(t, d, got)
	}
}

// Two guests that have heard of the same requests remember the same ones: a retry is
// known at both or at neither.
func TestGuestsForgetTheSameRequests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []wire.DotRequest
		for disk := range uint64(rapid.IntRange(1, 6).Draw(t, "actors")) {
			for c := range uint64(rapid.IntRange(1, RequestsMax+8).Draw(t, "dots")) {
				all = append(all, named(dot(vclock.Actor{Disk: disk}, c+1))...)
			}
		}
		var one, two Hint
		one.Owe(1, wire.Delta{}, all, now)
		for rest := rapid.Permutation(all).Draw(t, "order"); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "at once")
			two.Owe(1, wire.Delta{}, rest[:n], now)
			rest = rest[n:]
		}
		_, first := one.Whole()
		_, second := two.Whole()
		require.ElementsMatch(t, first, second)
	})
}

// named is the request that made that dot.
func named(d vclock.Dot) []wire.DotRequest {
	return []wire.DotRequest{{Dot: d, ID: kindred.RequestID{byte(d.Actor.Disk), byte(d.Counter), byte(d.Counter >> 8), 1}}}
}

// Guests of a node have actors of their own: no dot of theirs is a replica's (I2).
func TestAGuestIsNoReplica(t *testing.T) {
	seen := map[vclock.Actor]bool{}
	recent := replica.NewRecent(1)
	for p := range uint32(2000) {
		id := replica.ID{Partition: p, N: 3}
		seen[replica.New(id, me, recent).Actor()] = true
		seen[replica.GuestIncarnation(id, me)] = true
	}
	require.Len(t, seen, 4000)
	g := NewGuest(me)
	require.Equal(t, dot(me, 1), g.Mint())
	require.Equal(t, dot(me, 2), g.Mint())
	require.False(t, g.Forges(vclock.NewDotSet(dot(me, 2), dot(other, 9))))
	require.True(t, g.Forges(vclock.NewDotSet(dot(me, 3))))
}

// Invariant 5: the ledger counts what the rows are, whatever was changed.
func TestTheLedgerIsTheSumOfTheRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store, ledger := memstore.New(), NewLedger(1000, 1<<30)
		c := uint64(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
			h, err := Load(store, head, "b", key)
			require.NoError(t, err)
			before := h.Entry()
			if rapid.Bool().Draw(t, "pay") {
				h.Pay(rapid.IntRange(0, 2).Draw(t, "slot"), h.Dots())
			} else {
				c++
				slots := wire.Slots(rapid.Uint32Range(1, 7).Draw(t, "slots"))
				h.Owe(slots, put(dot(me, c), key), nil, now.Add(time.Duration(c)*time.Second))
			}
			save(t, store, &h, key)
			ledger.Change(head, before, h.Entry())
		}
		fresh := NewLedger(1000, 1<<30)
		snapshot, err := store.Snapshot()
		require.NoError(t, err)
		defer snapshot.Close()
		require.NoError(t, fresh.Recover(snapshot, func(p uint32) bool { return p == head.Partition }))
		require.Equal(t, fresh.Hints(), ledger.Hints())
		require.Equal(t, fresh.Bytes(), ledger.Bytes())
		require.Equal(t, fresh.Lines(), ledger.Lines())
		for _, line := range fresh.Lines() {
			a, b := ledger.Owed(line), fresh.Owed(line)
			require.False(t, a.Since.After(b.Since), "never younger than it is")
			a.Since, b.Since = time.Time{}, time.Time{}
			require.Equal(t, b, a)
		}
		none := NewLedger(1, 1)
		require.NoError(t, none.Recover(snapshot, func(uint32) bool { return false }))
		require.Zero(t, none.Hints())
	})
}

func TestTheLedgerRefusesAtItsLimits(t *testing.T) {
	l := NewLedger(1, 1<<20)
	require.Nil(t, l.CheckRoom())
	l.Change(head, Entry{}, Entry{Slots: 1, Bytes: 10})
	err := l.CheckRoom()
	require.Equal(t, kindred.CodeOverloaded, err.Code)
	require.Equal(t, "hints", err.Field)
	require.EqualValues(t, 1, l.Refused())
	l = NewLedger(10, 5)
	l.Change(head, Entry{}, Entry{Slots: 1, Bytes: 10})
	require.Equal(t, "bytes of hints", l.CheckRoom().Field)
}

// A rotten block and a row of nonsense cost what they held, and nothing else: the
// node starts, and the other hints are delivered.
func TestDamagedHintsArePassedOver(t *testing.T) {
	store := memstore.New()
	for i := range 5 {
		var h Hint
		h.Owe(wire.AllSlots(1), put(dot(me, uint64(i+1)), "v"), nil, now)
		save(t, store, &h, fmt.Sprint("k", i))
	}
	rowOf := func(key string) []byte { return storage.HintKey(nil, head.Partition, head.N, "b", key) }
	store.Rot(rowOf("k1"))
	var nonsense storage.Batch
	nonsense.Set(rowOf("k3"), []byte("nonsense"))
	require.NoError(t, store.Apply(&nonsense))
	snapshot, err := store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()

	ledger := NewLedger(10, 1<<20)
	require.NoError(t, ledger.Recover(snapshot, func(uint32) bool { return true }))
	require.Equal(t, 3, ledger.Hints())
	require.Equal(t, 2, ledger.Damaged())

	page := ReadPage(snapshot, &Ask{Line: Line{head, 0}, Limit: 10, Bytes: 1 << 20})
	require.NoError(t, page.Err)
	require.Equal(t, 2, page.Damaged)
	var keys []string
	for _, f := range page.Found {
		keys = append(keys, f.Key)
	}
	require.Equal(t, []string{"k0", "k2", "k4"}, keys)
}

// What was delivered is not said to be held any more, unless it comes again.
func TestTheLedgerHoldsWhatIsOwed(t *testing.T) {
	l := NewLedger(10, 1<<20)
	actor := vclock.Actor{Disk: 1, Nonce: 1}
	one, other := vclock.NewDotSet(vclock.Dot{Actor: actor, Counter: 1}), vclock.NewDotSet(vclock.Dot{Actor: actor, Counter: 2})
	both := one.Clone()
	both.Union(other)
	owed := Entry{Slots: wire.AllSlots(1), Bytes: 1}
	for _, dots := range []vclock.DotSet{one, other} {
		l.Change(head, Entry{}, owed)
		l.Hold(head, dots)
	}
	require.Equal(t, both.String(), l.Held(head).String())
	l.Change(head, owed, Entry{})
	l.Release(head, one)
	require.Equal(t, other.String(), l.Held(head).String())
	l.Change(head, owed, Entry{})
	l.Release(head, other)
	l.Change(head, Entry{}, owed)
	l.Change(head, Entry{}, owed)
	l.Hold(head, both)
	l.Change(head, owed, Entry{})
	l.Release(head, one)
	l.Change(head, Entry{}, owed)
	l.Hold(head, one)
	require.Equal(t, both.String(), l.Held(head).String(), "it has come again")
}
