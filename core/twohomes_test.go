package core

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// halfBuilt is a cluster in which one home has lost its disk and taken some pages from
// n1 when no more come. No log names what it lacks, and nothing is closed meanwhile.
type halfBuilt struct {
	*rig
	id   replica.ID
	half string
	// keys are in the order of rows. Those before passed were in the pages.
	keys   []string
	passed int
}

func newHalfBuilt(t *testing.T, nodes int, half string, before func(h *halfBuilt)) *halfBuilt {
	limits := smallPages()
	limits.AuditEvery, limits.CloseAfter = 0, 24*time.Hour
	h := &halfBuilt{rig: newRig(t, nodes, limits), id: replica.ID{N: 3}, half: half}
	for i := 0; len(h.keys) < 60; i++ {
		if key := fmt.Sprintf("key-%06d", i); h.placeOf(key) == h.id {
			h.keys = append(h.keys, key)
			require.Nil(t, h.do("n1", put(key, "value of "+key)).Err)
		}
	}
	before(h)
	n1 := h.nodes["n1"].shard
	n1.replicas[h.id].Prune(n1.Clock(h.id), &n1.out.Rows)
	pages := 0
	h.lose = func(_, to string, m wire.Message) bool {
		page, ok := m.(*wire.RebuildPage)
		if ok && to == half && replica.ID(page.Head) == h.id {
			pages++
			return pages > 8
		}
		return false
	}
	h.nodes[half] = &rigNode{name: half, engine: memstore.New()}
	h.boot(half, 77<<32, limits)
	for _, other := range h.names {
		if other != half {
			h.link(half, other, false)
			h.link(half, other, true)
		}
	}
	h.nodes[half].shard.Rebuild(h.now, h.id, "n1")
	h.settle()
	_, _, key, copying := h.nodes[half].shard.replicas[h.id].Copying()
	require.True(t, copying)
	h.passed = slices.IndexFunc(h.keys, func(k string) bool { return k > key })
	require.Greater(t, h.passed, 10)
	return h
}

// twoOfALeaf names two keys of one leaf that come before all others.
func (h *halfBuilt) twoOfALeaf() (one, other string) {
	leaves := map[int]string{}
	for i := 0; ; i++ {
		key := fmt.Sprintf("early-%06d", i)
		leaf := hashtree.LeafOf(ring.Hash("b", key))
		switch {
		case h.placeOf(key) != h.id:
		case leaves[leaf] != "":
			return leaves[leaf], key
		default:
			leaves[leaf] = key
		}
	}
}

// demandAll demands that two nodes show all keys but for some.
func (h *halfBuilt) demandAll(gone ...string) {
	h.demandWhole(h.keys[0])
	for _, key := range h.keys {
		want := []string{"value of " + key}
		if slices.Contains(gone, key) {
			want = nil
		}
		require.Equal(h.t, want, h.valuesAt("n1", key), key)
	}
}

// Of two homes one is being rebuilt from the other, which finds that it has lost
// something and gives no pages until it has that back. Whom it would have to ask waits
// for its pages. The half that is built can tell what it has; there is nobody else.
func TestOfTwoHomesTheHalfBuiltOneTellsTheOther(t *testing.T) {
	t.Run("a key that a page has brought", func(t *testing.T) {
		h := newHalfBuilt(t, 2, "n2", func(*halfBuilt) {})
		h.forgets("n1", h.keys[h.passed-5])
		h.heal()
		h.wait(5 * time.Minute)
		h.demandAll()
	})
	t.Run("a key that was nowhere else", func(t *testing.T) {
		h := newHalfBuilt(t, 2, "n2", func(*halfBuilt) {})
		lost := h.keys[h.passed+5]
		h.forgets("n1", lost)
		h.heal()
		h.wait(5 * time.Minute)
		h.demandAll(lost)
	})
}

// What a pass that was given up has brought could not be logged, because something in
// front of it could not be read. It is told all the same, and nobody closes its dots.
func TestOfTwoHomesTheHalfBuiltOneTellsWhatItCouldNotClaim(t *testing.T) {
	given := func(t *testing.T) (h *halfBuilt, d vclock.Dot) {
		h = newHalfBuilt(t, 2, "n2", func(*halfBuilt) {})
		n2, lost := h.nodes["n2"], h.keys[h.passed-5]
		h.seen = func(node string, disk storage.Snapshot) storage.Snapshot {
			if node == "n2" && n2.shard.rebuilds.jobs[h.id].state == rebuildClaiming {
				return unreadable{disk}
			}
			return disk
		}
		h.forgets("n1", lost)
		h.heal()
		for i := 0; !n2.shard.gaveUp(h.id); i++ {
			require.Less(t, i, 300)
			h.pass(100 * time.Millisecond)
		}
		h.seen = func(_ string, disk storage.Snapshot) storage.Snapshot { return disk }
		object, err := replica.Load(n2.engine, h.id, "b", lost)
		require.NoError(t, err)
		d = object.Versions[0].Dot
		require.False(t, n2.shard.Clock(h.id).Contains(d))
		return h, d
	}
	t.Run("told", func(t *testing.T) {
		h, _ := given(t)
		h.wait(5 * time.Minute)
		h.demandAll()
	})
	t.Run("promised", func(t *testing.T) {
		h, d := given(t)
		ask := &wire.CloseAsk{
			Head: wire.Head(h.id), Layout: h.layout.Version(), Round: wire.Round{Number: 1, Proposer: 1}, Actors: []vclock.Actor{d.Actor},
		}
		report := h.nodes["n2"].shard.closer.report("n1", ask).Reports[0]
		require.True(t, report.Held.Contains(d), "it lives here")
	})
}

// unreadable is a disk of which no range can be read.
type unreadable struct{ storage.Snapshot }

func (unreadable) Scan([]byte, []byte, func(row, value []byte) bool) error {
	return errors.New("it cannot be read")
}

// A third home that lacks what the pages have brought would bring back what they know to
// be gone, if that passed for lost.
func TestWhatAHalfBuiltHomeKnowsIsNotLostToAThird(t *testing.T) {
	for half, third := range map[string]string{"n2": "n3", "n3": "n2"} {
		t.Run(half, func(t *testing.T) {
			var lost, deleted string
			h := newHalfBuilt(t, 3, half, func(h *halfBuilt) {
				lost, deleted = h.twoOfALeaf()
				require.Nil(t, h.do("n1", put(lost, "kept")).Err)
				require.Nil(t, h.do("n1", put(deleted, "old")).Err)
				one := seen(del(deleted), h.do("n1", get(deleted)).Context)
				one.W = 1
				h.noExchange = true
				h.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindWrite }
				require.Nil(t, h.do("n1", one).Err)
			})
			require.Equal(t, []string{"old"}, h.valuesAt(third, deleted))
			h.noExchange = false
			h.forgets("n1", lost)
			h.lose = func(from, _ string, m wire.Message) bool {
				return wire.KindOf(m) == wire.KindRebuildPage && from == third // or the pass would not wait
			}
			for range 1200 {
				h.pass(100 * time.Millisecond)
				require.Empty(t, h.valuesAt("n1", deleted))
			}
			require.True(t, h.nodes[half].shard.gaveUp(h.id))
		})
	}
}

// What is only known to be gone is joined from whoever knows it, though it lacks dots of
// which no log can say the key.
func TestWhatIsKnownToBeGoneIsToldByAHalfBuiltHome(t *testing.T) {
	var key string
	var late wire.Message
	h := newHalfBuilt(t, 2, "n2", func(h *halfBuilt) {
		key, _ = h.twoOfALeaf()
		require.Nil(t, h.do("n1", put(key, "old")).Err)
		h.noExchange = true
		h.lose = func(_, _ string, m wire.Message) bool {
			if wire.KindOf(m) == wire.KindWrite {
				late = m
			}
			return wire.KindOf(m) == wire.KindWrite
		}
		one, all := put(key, "beside"), get(key)
		one.W, all.R = 1, 1
		require.Nil(t, h.do("n2", one).Err)
		h.lose = func(_, _ string, m wire.Message) bool { return false }
		require.Nil(t, h.do("n2", seen(del(key), h.do("n2", all).Context)).Err)
	})
	n1, row := h.nodes["n1"], storage.ObjectKey(nil, h.id.Partition, h.id.N, "b", key)
	_, err := n1.engine.Get(row)
	require.NoError(t, err, "it keeps in mind what its base does not say")
	n1.engine.Rot(row)
	n1.shard.Audit(h.id)
	n1.shard.Tick(h.now)
	h.settle()
	require.True(t, n1.shard.IsDamaged(h.id))
	h.heal()
	for i := 0; n1.shard.IsDamaged(h.id); i++ {
		require.Less(t, i, 3000)
		h.pass(100 * time.Millisecond)
	}
	h.deliver("n2", Send{To: "n1", Msg: late})
	h.settle()
	require.Empty(t, h.valuesAt("n1", key), "it comes late and is known to be gone")
}
