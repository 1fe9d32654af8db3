package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/wire"
)

// link sets the link of two nodes.
func (r *rig) link(a, b string, up bool) {
	r.nodes[a].shard.SetLink(r.now, b, up)
	r.nodes[b].shard.SetLink(r.now, a, up)
	r.settle()
}

// isolate takes links away, so that each of the three nodes is alone.
func (a *auditRig) isolate() {
	a.link("n1", "n2", false)
	a.link("n1", "n3", false)
	a.link("n2", "n3", false)
}

// spoil takes rows away from a node and lets it find that out while it is alone.
func (a *auditRig) spoil(node string, keys ...string) {
	a.isolate()
	a.take(node, keys...)
	require.NotZero(a.t, a.audit(node).Damaged)
}

func (a *auditRig) demandEverywhere(key string, want ...string) {
	for _, name := range a.names {
		require.Equal(a.t, want, a.shown(name, key), name)
	}
}

// The log of a damaged replica does not name the keys of what was pruned: a home
// that has lost its disk lacks all of that, and has nothing to say about any key.
func TestARestoreIsNotToldByWhoLacksWhatWasPruned(t *testing.T) {
	a := newAuditRig(t, 30)
	a.pass(time.Second)
	a.pass(2 * time.Minute)
	require.NotZero(t, a.nodes["n1"].shard.Stats().PrunedDots)
	key := a.keys[4]
	a.spoil("n1", key)
	a.nodes["n2"] = &rigNode{name: "n2", engine: memstore.New()}
	a.boot("n2", 78<<32, a.nodes["n1"].shard.cfg.Limits)
	a.link("n1", "n2", true)
	a.wait(2 * time.Minute)
	require.True(t, a.nodes["n1"].shard.IsDamaged(a.id), "an empty disk has told it what was there")
	a.link("n1", "n3", true)
	a.link("n2", "n3", true)
	a.wait(2 * time.Minute)
	a.demandEverywhere(key, "value of "+key)
	a.demandEqual()
}

// However long the only other home that took a write is away: what the third one
// lacks is not lost.
func TestWhatAHomeThatIsAwayHoldsIsNotLost(t *testing.T) {
	a := newAuditRig(t, 30)
	key := a.keys[4]
	read := a.do("n1", kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: key})
	a.link("n1", "n2", false)
	a.link("n2", "n3", false)
	a.lose = func(_, to string, m wire.Message) bool { return to == "n2" && wire.KindOf(m) == wire.KindWrite }
	require.Nil(t, a.do("n1", seen(put(key, "new"), read.Context)).Err)
	a.lose = func(string, string, wire.Message) bool { return false }
	a.spoil("n1", key)
	a.link("n1", "n2", true)
	before := a.nodes["n1"].shard.Stats().Audits
	a.wait(5 * time.Minute)
	require.Less(t, a.nodes["n1"].shard.Stats().Audits-before, uint64(30), "each reads all there is")
	a.link("n1", "n3", true)
	a.link("n2", "n3", true)
	a.wait(10 * time.Second)
	a.demandEverywhere(key, "new")
	a.demandEqual()
}

// A dead node takes a dot along that a rebuild has heard of and nobody holds.
// Whoever was rebuilt would wait for it for ever.
func TestR15_WhatARebuildHasHeardOfIsClosed(t *testing.T) {
	r := filled(t, 200)
	id := r.placeOf("key-0")
	r.wipe("n3", 77<<32)
	pages := 0
	r.lose = func(_, _ string, m wire.Message) bool {
		page, ok := m.(*wire.RebuildPage)
		if ok && replica.ID(page.Head) == id {
			pages++
			return pages > 1
		}
		return false
	}
	r.rebuild("n3", "n1")
	r.settle()
	require.True(t, r.nodes["n3"].shard.Rebuilding(id))
	var key string
	for i := 0; key == ""; i++ { // one whose delete comes after the first page
		if name := fmt.Sprintf("key-%d", 4*i+3); r.placeOf(name) == id {
			key = name
		}
	}
	read := r.do("n1", get(key))
	r.lose = func(from, to string, m wire.Message) bool {
		kind := wire.KindOf(m)
		return to == "n2" && kind == wire.KindRebuildRead || from == "n1" && (kind == wire.KindWrite || kind == wire.KindClock || kind == wire.KindPieces)
	}
	one := seen(del(key), read.Context)
	one.W = 1
	require.Nil(t, r.do("n1", one).Err)
	r.wait(20 * time.Second)
	require.True(t, r.nodes["n3"].shard.Rebuilding(id), "it waits for the delete")
	r.lose = func(string, string, wire.Message) bool { return false }
	r.wipe("n1", 79<<32)
	r.wait(10 * time.Minute)
	for _, name := range r.names {
		require.Empty(t, r.nodes[name].shard.Rebuilds(), name)
		require.Empty(t, r.nodes[name].shard.Untrusted(), name)
	}
}

// R15: what a member reports is also what a rebuild has brought it, which is not
// in its clock before the last page.
func TestR15_WhatARebuildHasBroughtIsReported(t *testing.T) {
	r := filled(t, 200)
	r.wipe("n3", 77<<32)
	pages := 0
	r.lose = func(_, _ string, m wire.Message) bool {
		if _, ok := m.(*wire.RebuildPage); ok {
			pages++
			return pages > 8
		}
		return wire.KindOf(m) == wire.KindPieces
	}
	r.rebuild("n3", "n1")
	r.settle()
	checked := 0
	for _, id := range r.nodes["n3"].shard.Replicas() {
		snapshot, err := r.nodes["n3"].engine.Snapshot()
		require.NoError(t, err)
		read, err := replica.ReadRange(snapshot, id, replica.Stretch{}, 1<<30)
		require.NoError(t, err)
		require.NoError(t, snapshot.Close())
		for _, item := range read.Items {
			for _, v := range item.Object.Versions {
				checked++
				held := r.nodes["n3"].shard.closer.holds(id, v.Dot.Actor)
				require.True(t, held.Contains(v.Dot), "%v of %s lives here", v.Dot, item.Key)
			}
		}
	}
	require.NotZero(t, checked)
}

// twoOfALeaf names two keys of one leaf.
func (a *auditRig) twoOfALeaf() (one, other string) {
	leaves := map[int]string{}
	for i := 0; ; i++ {
		key := fmt.Sprintf("more-%06d", i)
		if a.layout.PartitionOf("b", key) != ring.Partition(a.id.Partition) {
			continue
		}
		leaf := hashtree.LeafOf(ring.Hash("b", key))
		if leaves[leaf] != "" {
			return leaves[leaf], key
		}
		leaves[leaf] = key
	}
}

// A disk that is full keeps a replica from noting what it has lost. Then it must
// not be compared either: what it has lost would be deleted everywhere.
func TestWhatCannotBeNotedAsLostIsNotCompared(t *testing.T) {
	a := newAuditRig(t, 60)
	s := a.nodes["n1"].shard
	lost, other := a.twoOfALeaf()
	require.Nil(t, a.do("n1", put(lost, "kept")).Err)
	a.lose = func(_, to string, m wire.Message) bool { return to == "n2" && wire.KindOf(m) == wire.KindWrite }
	require.Nil(t, a.do("n1", put(other, "beside")).Err)
	full := &kindred.Error{Code: kindred.CodeDiskFull, Message: "full"}
	spoilt := false
	a.lose = func(_, _ string, m wire.Message) bool {
		if wire.KindOf(m) == wire.KindAuditTree && !spoilt {
			spoilt = true
			a.take("n1", lost)
			s.SetFull(full)
		}
		return false
	}
	s.Audit(a.id)
	s.Tick(a.now)
	a.settle()
	require.True(t, spoilt)
	require.Equal(t, []string{"kept"}, a.shown("n2", lost))
	require.Equal(t, []string{"kept"}, a.shown("n3", lost))
	s.SetFull(nil)
	a.audit("n1")
	a.demandEverywhere(lost, "kept")
}

// A key that a home has never heard of is not one that it can tell about.
func TestANewKeyIsNotRestoredByWhoHasNeverHeardOfIt(t *testing.T) {
	a := newAuditRig(t, 30)
	key := "fresh"
	for i := 0; a.placeOf(key) != a.id; i++ {
		key = fmt.Sprintf("fresh-%d", i)
	}
	a.link("n1", "n2", false)
	a.link("n2", "n3", false)
	a.lose = func(_, to string, m wire.Message) bool { return to == "n2" && wire.KindOf(m) == wire.KindWrite }
	require.Nil(t, a.do("n1", put(key, "new")).Err)
	a.lose = func(string, string, wire.Message) bool { return false }
	a.spoil("n1", key, a.keys[7])
	a.link("n1", "n2", true)
	a.wait(time.Minute)
	require.Equal(t, 1, a.nodes["n1"].shard.Audits()[a.id].Damaged, "the other leaf does not wait")
	a.link("n1", "n3", true)
	a.link("n2", "n3", true)
	a.wait(time.Minute)
	a.demandEverywhere(key, "new")
	a.demandEqual()
}

// The context of a row can be the only one that tells of a dot beyond the base of its
// home's clock: the others have stripped theirs. With the row gone the home says that
// dot of every key, or it would hand on the delete of a value without what was deleted,
// and the value would be live for ever at who lacks the delete.
func TestWhatALostRowKnewToBeGoneStaysGone(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted %v", restarted), func(t *testing.T) {
			a := newAuditRig(t, 30)
			key := a.keys[4]
			a.noExchange = true
			write := func(without string, req kindred.Request) {
				a.lose = func(_, to string, m wire.Message) bool { return to == without && wire.KindOf(m) == wire.KindWrite }
				require.Nil(t, a.do("n1", req).Err)
			}
			context := func(key string) []byte {
				return a.do("n1", kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: key}).Context
			}
			remove := func(key string) kindred.Request {
				return seen(kindred.Request{Op: kindred.OpDelete, Bucket: "b", Key: key}, context(key))
			}
			empty := "empty"
			for i := 0; a.placeOf(empty) != a.id; i++ {
				empty = fmt.Sprintf("empty-%d", i)
			}
			write("n3", remove(empty)) // a gap at n3 that no audit sees
			write("", seen(put(key, "deleted"), context(key)))
			write("n2", remove(key))
			a.lose = func(from, _ string, m wire.Message) bool { return from == "n3" && wire.KindOf(m) == wire.KindPull }
			require.Equal(t, []string{"deleted"}, a.shown("n2", key))
			_, err := a.nodes["n1"].engine.Get(a.row(key))
			require.ErrorIs(t, err, storage.ErrNotFound)
			_, err = a.nodes["n3"].engine.Get(a.row(key))
			require.NoError(t, err, "it keeps in mind what its base does not say")

			a.link("n1", "n2", false)
			a.link("n2", "n3", false)
			a.nodes["n3"].engine.Rot(a.row(key))
			require.Zero(t, a.audit("n3").Damaged)
			require.NotZero(t, a.nodes["n3"].shard.Stats().MendedLeaves)
			if restarted {
				a.boot("n3", 79<<32, a.nodes["n3"].shard.cfg.Limits)
			}
			a.link("n1", "n3", false)
			a.noExchange = false
			a.link("n2", "n3", true)
			a.wait(time.Minute)
			require.Empty(t, a.shown("n2", key), "n3 has handed the delete on")
			require.Empty(t, a.shown("n3", key))

			a.lose = func(string, string, wire.Message) bool { return false }
			a.link("n1", "n2", true)
			a.link("n1", "n3", true)
			a.wait(time.Minute)
			a.demandEverywhere(key)
			a.demandEqual()
		})
	}
}

// A guest that is away may hold the only copy.
func TestWhatAGuestThatIsAwayHoldsIsNotLost(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, id := r.homesOf(key), r.placeOf(key)
	require.Nil(t, r.do(homes[0], put(key, "old")).Err)
	read := r.do(homes[0], get(key))
	r.link(homes[0], homes[1], false)
	r.link(homes[0], homes[2], false)
	r.lose = func(_, to string, m wire.Message) bool {
		return (to == homes[1] || to == homes[2]) && wire.KindOf(m) == wire.KindWrite || wire.KindOf(m) == wire.KindHintOffer
	}
	resp := r.do(homes[0], seen(put(key, "new"), read.Context))
	require.Nil(t, resp.Err)
	require.NotEmpty(t, resp.Receipt.Guests)
	for _, guest := range r.away(key) {
		for _, home := range homes {
			r.link(guest, home, false)
		}
	}
	var rows storage.Batch
	rows.Delete(storage.ObjectKey(nil, id.Partition, id.N, "b", key))
	require.NoError(t, r.nodes[homes[0]].engine.Apply(&rows))
	r.nodes[homes[0]].shard.Audit(id)
	r.wait(5 * time.Second)
	require.True(t, r.nodes[homes[0]].shard.IsDamaged(id))
	r.lose = func(string, string, wire.Message) bool { return false }
	r.link(homes[0], homes[1], true)
	r.link(homes[0], homes[2], true)
	r.wait(5 * time.Minute)
	for _, guest := range r.away(key) {
		for _, home := range homes {
			r.link(guest, home, true)
		}
	}
	r.wait(5 * time.Minute)
	for _, h := range homes {
		require.False(t, r.nodes[h].shard.IsDamaged(id), h)
		object, err := replica.Load(r.nodes[h].engine, id, "b", key)
		require.NoError(t, err)
		require.Len(t, object.Versions, 1, h)
		require.Equal(t, "new", string(object.Versions[0].Value.Value), h)
		require.Zero(t, r.nodes[h].shard.Stats().LostDots)
	}
}

// A hint may go from a guest that has not answered yet to a home that has. Each says the
// truth, nobody holds it, and it is there: only the second asking finds it.
func TestWhatIsLostIsAskedForTwice(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, id := r.homesOf(key), r.placeOf(key)
	require.Nil(t, r.do(homes[0], put(key, "old")).Err)
	read := r.do(homes[0], get(key))
	r.link(homes[0], homes[1], false)
	r.link(homes[0], homes[2], false)
	quiet := func(m wire.Message) bool { return wire.KindOf(m) == wire.KindHintOffer }
	r.lose = func(_, to string, m wire.Message) bool {
		return (to == homes[1] || to == homes[2]) && wire.KindOf(m) == wire.KindWrite || quiet(m)
	}
	require.NotEmpty(t, r.do(homes[0], seen(put(key, "new"), read.Context)).Receipt.Guests)
	r.forgets(homes[0], key)

	// The homes are asked, the guests not yet.
	unasked := map[string]*wire.CloseAsk{}
	r.lose = func(from, to string, m wire.Message) bool {
		if ask, ok := m.(*wire.CloseAsk); ok && from == homes[0] && ask.Round.IsZero() && to != homes[1] && to != homes[2] {
			unasked[to] = ask
			return true
		}
		return quiet(m)
	}
	r.link(homes[0], homes[1], true)
	r.link(homes[0], homes[2], true)
	for i := 0; len(unasked) < 2; i++ {
		require.Less(t, i, 3000, "nobody asks")
		r.pass(100 * time.Millisecond)
	}
	require.NotZero(t, r.hints())

	// Now the hints go where they belong, and then the guests are asked.
	r.lose = func(from, to string, m wire.Message) bool {
		return to == homes[0] && wire.KindOf(m) == wire.KindHintOffer
	}
	for i := 0; r.hints() > 0 && i < 200; i++ {
		r.pass(100 * time.Millisecond)
	}
	require.Zero(t, r.hints())
	for guest, ask := range unasked {
		r.nodes[guest].shard.Message(r.now, homes[0], ask)
	}
	r.settle()
	r.heal()
	r.wait(5 * time.Minute)
	for _, h := range homes {
		require.Zero(t, r.nodes[h].shard.Stats().LostDots, h)
		require.False(t, r.nodes[h].shard.IsDamaged(id), h)
		require.Equal(t, []string{"new"}, r.valuesAt(h, key), h)
	}
}

// What every member denies to hold is lost: that is counted, and all agree on
// what was there before it.
func TestWhatNobodyHoldsIsGivenUp(t *testing.T) {
	a := newAuditRig(t, 30)
	key := a.keys[4]
	read := a.do("n1", get(key))
	a.isolate()
	one := seen(put(key, "new"), read.Context)
	one.W = 1
	a.lose = func(string, string, wire.Message) bool { return true }
	require.Nil(t, a.do("n1", one).Err)
	a.lose = func(string, string, wire.Message) bool { return false }
	a.spoil("n1", key)
	a.lose = func(string, string, wire.Message) bool { return true }
	sound := put(a.keys[9], "sound")
	sound.W = 1
	require.Nil(t, a.do("n1", sound).Err)
	a.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindPieces }
	for _, pair := range [][2]string{{"n1", "n2"}, {"n1", "n3"}, {"n2", "n3"}} {
		a.link(pair[0], pair[1], true)
	}
	a.wait(2 * time.Minute)
	a.heal()
	a.wait(time.Minute)
	require.Equal(t, uint64(1), a.nodes["n1"].shard.Stats().LostDots)
	a.demandEverywhere(key, "value of "+key)
	a.demandEqual()
	for _, name := range a.names {
		require.Zero(t, a.nodes[name].shard.Held().Auditing)
	}
}

// I7: a home that has lost something does not tell a guest what it has.
func TestADamagedHomeIsOfferedHintsLater(t *testing.T) {
	a := newAuditRig(t, 5)
	a.spoil("n1", a.keys[2])
	var reply *wire.HintLacks
	a.lose = func(from, _ string, m wire.Message) bool {
		if lacks, ok := m.(*wire.HintLacks); ok && from == "n1" {
			reply = lacks
		}
		return true
	}
	a.nodes["n1"].shard.Message(a.now, "n2", &wire.HintOffer{Head: wire.Head(a.id), Op: wire.OpID{Process: 1, Seq: 1}, Dots: a.nodes["n2"].shard.Clock(a.id).Clone()})
	a.settle()
	require.NotNil(t, reply)
	require.NotEmpty(t, reply.Failed)
}

// What a damaged replica may not take it does not ask for without end.
func TestWhatMayNotBeTakenIsNotPulledWithoutEnd(t *testing.T) {
	a := newAuditRig(t, 30)
	key := a.keys[4]
	read := a.do("n1", get(key))
	a.link("n1", "n2", false)
	a.link("n2", "n3", false)
	a.lose = func(_, to string, m wire.Message) bool { return to == "n2" && wire.KindOf(m) == wire.KindWrite }
	require.Nil(t, a.do("n1", seen(put(key, "new"), read.Context)).Err)
	a.spoil("n1", key)
	one := put(key, "beside")
	one.W = 1
	a.lose = func(string, string, wire.Message) bool { return true }
	require.Nil(t, a.do("n2", one).Err)
	pulls := 0
	a.lose = func(_, _ string, m wire.Message) bool {
		if wire.KindOf(m) == wire.KindPull {
			pulls++
		}
		return pulls > 2000
	}
	a.link("n1", "n2", true)
	a.wait(time.Minute)
	require.Less(t, pulls, 100)
}

// What expires in a damaged leaf is looked at again once the replica may speak.
func TestWhatExpiresNearALossIsEndedLater(t *testing.T) {
	a := newAuditRig(t, 1)
	lost, other := a.twoOfALeaf()
	require.Nil(t, a.do("n1", put(lost, "kept")).Err)
	require.Nil(t, a.do("n1", lasting(put(other, "brief"), time.Minute)).Err)
	a.spoil("n1", lost)
	a.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindAuditList }
	a.link("n1", "n2", true)
	a.wait(3 * time.Minute)
	require.NotZero(t, a.nodes["n1"].shard.Stats().Expired)
	require.NotZero(t, a.nodes["n1"].shard.replicas[a.id].Expiries().Soonest(), "it would never be looked at again")
}

// A source that may not speak is no reason to copy another, which lacks the same,
// over and over.
func TestR13_WhatTheOnlyHolderCannotGiveNowIsWaitedFor(t *testing.T) {
	limits := DefaultLimits()
	limits.AuditEvery, limits.LogRows = 0, 8
	a := &auditRig{rig: newRig(t, 3, limits), id: replica.ID{N: 3}}
	lost, other := a.twoOfALeaf()
	require.Nil(t, a.do("n1", put(lost, "kept")).Err)
	a.pass(time.Second)
	a.lose = func(string, string, wire.Message) bool { return true }
	for range 30 {
		one := put(other, "more")
		one.W = 1
		require.Nil(t, a.do("n1", one).Err)
	}
	a.pass(time.Second)
	a.pass(time.Second)
	require.NotZero(t, a.nodes["n1"].shard.Stats().PrunedUnshared)
	a.spoil("n1", lost)
	a.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindCloseAsk }
	a.link("n1", "n2", true)
	a.link("n1", "n3", true)
	a.link("n2", "n3", true)
	a.wait(2 * time.Minute)
	stats := a.nodes["n2"].shard.RebuildStats()
	t.Logf("%+v", stats)
	require.Less(t, stats.Finished, uint64(8))
	a.heal()
	a.wait(3 * time.Minute)
	require.Len(t, a.shown("n2", other), 30)
	a.demandEqual()
}

// R14: a page that waits for room is not taken over once a promise forbids it. What
// it brings was not reported.
func TestR14_APageThatHasWaitedIsCheckedAgain(t *testing.T) {
	r := filled(t, 40)
	r.wipe("n3", 77<<32)
	var page *wire.RebuildPage
	r.lose = func(_, _ string, m wire.Message) bool {
		p, ok := m.(*wire.RebuildPage)
		if ok && page == nil && len(p.Items) > 0 {
			page = p
		}
		return ok
	}
	r.rebuild("n3", "n1")
	r.settle()
	require.NotNil(t, page)
	raw := wire.Append(nil, page)
	m, err := wire.Decode(raw)
	require.NoError(t, err)
	s, id := r.nodes["n3"].shard, replica.ID(page.Head)
	s.SetFull(&kindred.Error{Code: kindred.CodeDiskFull})
	s.Message(r.now, "n1", m)
	s.SetFull(nil)
	ask := &wire.CloseAsk{Head: page.Head, Op: wire.OpID{Process: 1, Seq: 1}, Layout: r.layout.Version(), Round: wire.Round{Number: 1, Proposer: 1}}
	for actor := range page.Clock.Spans() {
		ask.Actors = append(ask.Actors, actor)
	}
	s.Message(r.now, "n2", ask)
	s.tendRebuilds(r.now)
	r.settle()
	require.Empty(t, r.stored("n3", id))
}

// A client has tried again elsewhere what is lost: the second write is not a late
// twin of one that was replaced.
func TestR19_ARetryOfWhatIsLostLives(t *testing.T) {
	a := newAuditRig(t, 30)
	key := a.keys[4]
	read := a.do("n1", get(key))
	a.isolate()
	one := seen(put(key, "new"), read.Context)
	one.W = 1
	one.RequestID = kindred.RequestID{7}
	a.lose = func(string, string, wire.Message) bool { return true }
	require.Nil(t, a.do("n1", one).Err)
	a.lose = func(from, to string, _ wire.Message) bool { return from == "n1" || to == "n1" }
	a.link("n2", "n3", true)
	one.W = 2
	require.Nil(t, a.do("n2", one).Err)
	a.lose = func(string, string, wire.Message) bool { return false }
	a.link("n2", "n3", false)
	a.spoil("n1", key)
	a.heal()
	a.wait(2 * time.Minute)
	require.Equal(t, uint64(1), a.nodes["n1"].shard.Stats().LostDots)
	a.demandEverywhere(key, "new")
	a.demandEqual()
}
