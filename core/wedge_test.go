package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

// A home that has lost something waits for another that can tell it what, and the
// others wait for something that it may not give. These are ways out (R20).

// slotOf is the slot of a home of a key.
func (r *rig) slotOf(key, home string) wire.Slots {
	for slot, h := range r.homesOf(key) {
		if h == home {
			return wire.Slots(0).With(slot)
		}
	}
	r.t.Fatalf("%s is no home of %s", home, key)
	return 0
}

// forgets takes a row away from a home and has it find that out.
func (r *rig) forgets(home, key string) {
	id := r.placeOf(key)
	var rows storage.Batch
	rows.Delete(storage.ObjectKey(nil, id.Partition, id.N, "b", key))
	require.NoError(r.t, r.nodes[home].engine.Apply(&rows))
	r.nodes[home].shard.Audit(id)
	r.nodes[home].shard.Tick(r.now)
	r.settle()
	require.True(r.t, r.nodes[home].shard.IsDamaged(id))
}

// demandWhole demands that nothing is damaged or half built, and all homes are equal.
func (r *rig) demandWhole(key string) {
	id, homes := r.placeOf(key), r.homesOf(key)
	for _, h := range homes {
		require.False(r.t, r.nodes[h].shard.IsDamaged(id), "%s: %+v", h, r.nodes[h].shard.Audits()[id])
		require.False(r.t, r.nodes[h].shard.Rebuilding(id), h)
		require.Equal(r.t, r.nodes[homes[0]].shard.Clock(id).String(), r.nodes[h].shard.Clock(id).String(), h)
		require.Equal(r.t, r.stored(homes[0], id), r.stored(h, id), h)
	}
}

// The damaged home's log names no key for what it alone has taken; a guest has it as
// a hint for that very home, which takes none.
func TestAHintForADamagedHomeGoesToTheOthers(t *testing.T) {
	limits := DefaultLimits()
	limits.AuditEvery, limits.LogRows = 0, 8
	r := newRig(t, 4, limits)
	const key = "cart"
	homes, guest := r.homesOf(key), r.away(key)[0]
	other := r.samePlace(key)
	require.Nil(t, r.do(homes[0], put(key, "kept")).Err)
	r.pass(time.Second)

	var hint *wire.Hint
	r.cut(homes[0])
	r.lose = func(_, _ string, m wire.Message) bool {
		if w, ok := m.(*wire.Write); ok && hint == nil {
			hint = &wire.Hint{
				Head: w.Head, Op: w.Op, Durability: w.Durability, Bucket: w.Bucket, Key: w.Key,
				Slots: r.slotOf(key, homes[0]), Delta: w.Delta, RequestIDs: w.RequestIDs,
			}
		}
		return true
	}
	for _, h := range homes[1:] {
		r.nodes[homes[0]].shard.SetLink(r.now, h, true)
	}
	for i := range 30 {
		one := strict(put(other, fmt.Sprintf("beside %d", i)))
		one.W = 1
		require.Nil(t, r.do(homes[0], one).Err)
	}
	r.pass(time.Second)
	r.pass(time.Second)
	require.NotNil(t, hint)
	require.NotZero(t, r.nodes[homes[0]].shard.Stats().PrunedUnshared)
	r.nodes[guest].shard.Message(r.now, homes[0], hint)
	r.settle()
	require.Equal(t, 1, r.hints())
	r.forgets(homes[0], key)

	r.heal()
	r.wait(5 * time.Minute)
	require.Zero(t, r.hints())
	require.NotZero(t, r.nodes[guest].shard.Stats().HintsWidened)
	r.demandWhole(key)
	require.Len(t, r.valuesAt(homes[1], other), 30)
	require.Equal(t, []string{"kept"}, r.valuesAt(homes[0], key))
}

// The other homes have heard in a rebuild of what the damaged home alone has taken,
// and wait for that. They can tell what it has lost all the same.
func TestWhoWaitsAfterARebuildTellsADamagedHome(t *testing.T) {
	r := filled(t, 200)
	id := r.placeOf("key-0")
	r.wipe("n3", 77<<32)
	r.wipe("n2", 78<<32)
	pages := map[string]int{}
	r.lose = func(_, to string, m wire.Message) bool {
		if page, ok := m.(*wire.RebuildPage); ok && replica.ID(page.Head) == id {
			pages[to]++
			return pages[to] > 1
		}
		return false
	}
	r.rebuild("n2", "n1")
	r.rebuild("n3", "n1")
	r.settle()
	var late, early string
	for i := 0; late == ""; i++ { // its delete comes after the first pages
		if name := fmt.Sprintf("key-%d", 4*i+3); r.placeOf(name) == id && name != early {
			if early == "" {
				early = name
			} else {
				late = name
			}
		}
	}
	r.lose = func(from, to string, m wire.Message) bool {
		kind := wire.KindOf(m)
		return from != "n1" && to != "n1" && kind == wire.KindRebuildRead ||
			from == "n1" && (kind == wire.KindWrite || kind == wire.KindClock || kind == wire.KindPieces)
	}
	read := get(late)
	read.R = 1
	one := seen(del(late), r.do("n1", read).Context)
	one.W = 1
	require.Nil(t, r.do("n1", one).Err)
	r.wait(20 * time.Second)
	for _, name := range []string{"n2", "n3"} {
		require.True(t, r.nodes[name].shard.Rebuilding(id), "%s waits for the delete", name)
		_, _, _, copying := r.nodes[name].shard.replicas[id].Copying()
		require.False(t, copying, name)
	}
	s := r.nodes["n1"].shard
	s.replicas[id].Prune(s.Clock(id), &s.out.Rows)
	r.settle()
	r.forgets("n1", early)

	r.heal()
	r.wait(10 * time.Minute)
	r.demandWhole("key-0")
}

// A hint of the damaged home's own is for itself, and no other member is asked for it.
func TestAHintOfItsOwnIsNotLost(t *testing.T) {
	limits := DefaultLimits()
	limits.AuditEvery = 0
	r := newRig(t, 4, limits)
	const key = "cart"
	homes, id := r.homesOf(key), r.placeOf(key)
	r.cut(homes[0])
	var hint *wire.Hint
	r.lose = func(_, _ string, m wire.Message) bool {
		if w, ok := m.(*wire.Write); ok {
			hint = &wire.Hint{
				Head: w.Head, Op: w.Op, Durability: w.Durability, Bucket: w.Bucket, Key: w.Key,
				Slots: r.slotOf(key, homes[0]), Delta: w.Delta, RequestIDs: w.RequestIDs,
			}
		}
		return true
	}
	for _, h := range homes[1:] {
		r.nodes[homes[0]].shard.SetLink(r.now, h, true)
	}
	one := strict(put(key, "kept"))
	one.W = 1
	require.Nil(t, r.do(homes[0], one).Err)
	require.NotNil(t, hint)
	r.nodes[homes[0]].shard.Suspect(id) // before it gives the hint to itself
	r.nodes[homes[0]].shard.Message(r.now, homes[1], hint)
	r.settle()
	r.forgets(homes[0], key)

	r.heal()
	r.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindHintOffer }
	r.wait(2 * time.Minute)
	require.True(t, r.nodes[homes[0]].shard.IsDamaged(id), "it has not given the hint to anybody")
	r.heal()
	r.wait(5 * time.Minute)
	r.demandWhole(key)
	require.Equal(t, []string{"kept"}, r.valuesAt(homes[0], key))
	require.Zero(t, r.nodes[homes[0]].shard.Stats().LostDots)
}

// A page waits for a key that is open, joined with own objects that were read before
// one of them was found to be lost. It is asked for again: what is lost was taken out
// of the hash tree, and would be taken out once more.
func TestR20_APageForgetsWhatWasReadBeforeDamageWasFound(t *testing.T) {
	r := filled(t, 200)
	id := r.placeOf("key-0")
	n := r.nodes["n3"]
	var keys []string
	for i := 0; len(keys) < 2; i++ { // two that are there, on one page
		if name := fmt.Sprintf("key-%d", 4*i+2); r.placeOf(name) == id {
			keys = append(keys, name)
		}
	}
	limits := DefaultLimits()
	limits.RebuildPageBytes = replica.PageBytesMax
	for _, name := range r.names {
		r.nodes[name].shard.cfg.Limits = limits
	}
	read := r.do("n1", get(keys[1]))
	r.noExchange = true
	r.lose = func(_, to string, m wire.Message) bool { return to == "n3" && wire.KindOf(m) == wire.KindWrite }
	require.Nil(t, r.do("n1", seen(put(keys[1], "newer"), read.Context)).Err)
	r.holdReads = true
	r.ask("n3", strict(get(keys[0])))
	n.shard.Rebuild(r.now, id, "n1")
	r.settle()
	require.True(t, n.shard.rebuilds.jobs[id].held, "the page waits for the key")

	var rows storage.Batch
	rows.Delete(storage.ObjectKey(nil, id.Partition, id.N, "b", keys[1]))
	require.NoError(t, n.engine.Apply(&rows))
	r.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindAuditKeys }
	n.shard.Audit(id)
	n.shard.Tick(r.now)
	r.settle()
	require.True(t, n.shard.IsDamaged(id))
	r.holdReads = false
	r.settle()
	snapshot, err := n.engine.Snapshot()
	require.NoError(t, err)
	stored, err := replica.Recount(snapshot, id)
	require.NoError(t, err)
	require.NoError(t, snapshot.Close())
	require.Empty(t, stored.Differing(n.shard.Tree(id)), "the tree is of what is stored")
	r.noExchange = false
	r.heal()
	r.wait(5 * time.Minute)
	r.demandWhole("key-0")
}

// A home is asked what was lost, and before its answer is here a page of a rebuild
// comes from another, which knows of a delete. Nothing is stored of the key that could
// show that it was passed. What the first has sent is of before the delete.
func TestR20_ARestoreDoesNotUndoWhatAPageHasSaid(t *testing.T) {
	a := newAuditRig(t, 30)
	key, n3 := a.keys[4], a.nodes["n3"].shard
	read := a.do("n1", get(key))
	a.link("n1", "n3", false)
	var late *wire.AuditObjects
	a.lose = func(from, _ string, m wire.Message) bool {
		if m, ok := m.(*wire.AuditObjects); ok && late == nil {
			late = m
			return true
		}
		kind := wire.KindOf(m)
		return from == "n1" && (kind == wire.KindWrite || kind == wire.KindClock || kind == wire.KindPieces)
	}
	one := seen(del(key), read.Context)
	one.W = 1
	require.Nil(t, a.do("n1", one).Err)
	a.take("n3", key)
	n3.Audit(a.id)
	n3.Tick(a.now)
	a.settle()
	require.NotNil(t, late, "n2 says what was there")
	a.link("n1", "n3", true)
	n3.Rebuild(a.now, a.id, "n1")
	a.settle()
	require.True(t, n3.Clock(a.id).Covers(a.nodes["n1"].shard.Clock(a.id)), "the page is here")
	n3.Message(a.now, "n2", late)
	a.settle()
	require.Empty(t, a.shown("n3", key), "the delete is known")
	a.lose = func(string, string, wire.Message) bool { return false }
	a.wait(2 * time.Minute)
	for _, name := range a.names {
		require.Empty(t, a.shown(name, key), name)
	}
	a.demandEqual()
}
