package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// smallPages makes a rebuild of a few keys take many pages.
func smallPages() Limits {
	limits := DefaultLimits()
	limits.RebuildPageBytes = 200
	return limits
}

// filled is a cluster of three nodes with keys of all sorts, deleted ones too.
func filled(t *testing.T, keys int) *rig {
	r := newRig(t, 3, smallPages())
	for i := range keys {
		key := fmt.Sprintf("key-%d", i)
		r.do("n1", put(key, "old"))
		resp := r.do("n2", get(key))
		switch i % 4 {
		case 0:
			r.do("n2", seen(put(key, "new"), resp.Context))
		case 1:
			r.do("n2", seen(del(key), resp.Context))
		case 2:
			r.do("n1", put(key, "beside"))
		}
	}
	r.do("n1", put("large", strings.Repeat("x", replica.ApartBytes+1)))
	r.pass(time.Minute)
	return r
}

// wipe gives a node an empty disk and starts it on that.
func (r *rig) wipe(name string, nonce uint64) {
	r.nodes[name] = &rigNode{name: name, engine: memstore.New()}
	r.boot(name, nonce, smallPages())
	for _, other := range r.names {
		if other != name {
			r.nodes[name].shard.SetLink(r.now, other, true)
			r.nodes[other].shard.SetLink(r.now, name, false)
			r.nodes[other].shard.SetLink(r.now, name, true)
		}
	}
}

// rebuild begins to rebuild all replicas of a node.
func (r *rig) rebuild(name, from string) {
	for _, id := range r.nodes[name].shard.Replicas() {
		r.nodes[name].shard.Rebuild(r.now, id, from)
	}
}

// same demands that two nodes hold the same objects and the same clocks.
func (r *rig) same(a, b string) {
	for _, id := range r.nodes[a].shard.Replicas() {
		require.Equal(r.t, r.nodes[a].shard.Clock(id).String(), r.nodes[b].shard.Clock(id).String(), "clocks of %v", id)
		require.Equal(r.t, r.stored(a, id), r.stored(b, id), "objects of %v", id)
	}
}

func (r *rig) stored(name string, id replica.ID) map[string]string {
	snapshot, err := r.nodes[name].engine.Snapshot()
	require.NoError(r.t, err)
	defer snapshot.Close()
	all, err := replica.ReadRange(snapshot, id, replica.Stretch{}, 1<<30)
	require.NoError(r.t, err)
	shown := map[string]string{}
	for _, item := range all.Items {
		text := item.Object.Context.String()
		for _, v := range item.Object.Versions {
			text += fmt.Sprintf(" %v=%.8s(%d)", v.Dot, v.Value.Value, len(v.Value.Value))
		}
		shown[item.Key] = text
	}
	return shown
}

func TestR13_AWipedNodeIsRebuilt(t *testing.T) {
	r := filled(t, 200)
	r.wipe("n3", 77<<32)
	r.rebuild("n3", "n1")
	r.settle()
	r.pass(time.Second)
	r.same("n1", "n3")
	stats := r.nodes["n3"].shard.RebuildStats()
	require.EqualValues(t, 16, stats.Finished)
	require.Greater(t, stats.Pages, uint64(32))
	require.Empty(t, r.nodes["n3"].shard.Rebuilds())

	// What was rebuilt is there after a restart too.
	r.boot("n3", 78<<32, smallPages())
	r.same("n1", "n3")
	require.Empty(t, r.nodes["n3"].shard.Rebuilds())
}

// A replica that is half built serves no reads, takes writes, and loses neither.
func TestR13_ReadsNeverSeeAReplicaHalfBuilt(t *testing.T) {
	r := filled(t, 200)
	r.wipe("n3", 77<<32)
	pages := 0
	r.lose = func(from, to string, m wire.Message) bool {
		if _, ok := m.(*wire.RebuildPage); ok {
			pages++
			return pages > 8
		}
		return false
	}
	r.rebuild("n3", "n1")
	r.settle()
	half := 0
	for i := range 200 {
		key := fmt.Sprintf("key-%d", i)
		id := replica.ID{Partition: uint32(r.layout.PartitionOf("b", key)), N: 3}
		if !r.nodes["n3"].shard.Rebuilding(id) {
			continue
		}
		half++
		one := get(key)
		one.R = 1
		resp := r.do("n3", one)
		require.Nil(t, resp.Err)
		require.NotContains(t, resp.Replied, "n3")
		context := resp.Context
		require.Nil(t, r.do("n3", seen(put(key, "while rebuilt"), context)).Err)
	}
	require.NotZero(t, half)
	r.lose = func(string, string, wire.Message) bool { return false }
	r.pass(antientropyAnswer)
	r.pass(time.Second)
	r.pass(time.Second)
	r.pass(time.Minute)
	r.same("n1", "n3")
	r.same("n2", "n3")
}

// antientropyAnswer is longer than a page is waited for.
const antientropyAnswer = 6 * time.Second

// Another source goes on where the first one left off.
func TestR13_AnotherSourceGoesOn(t *testing.T) {
	r := filled(t, 200)
	r.wipe("n3", 77<<32)
	served := map[string]int{}
	r.lose = func(from, to string, m wire.Message) bool {
		if _, ok := m.(*wire.RebuildPage); ok {
			served[from]++
			return from == "n1" && served[from] > 10
		}
		return false
	}
	r.rebuild("n3", "n1")
	r.settle()
	keys := r.nodes["n3"].shard.RebuildStats().Keys
	require.NotZero(t, keys)
	r.nodes["n3"].shard.SetLink(r.now, "n1", false)
	r.settle()
	r.pass(time.Second)
	r.same("n1", "n3")
	stats := r.nodes["n3"].shard.RebuildStats()
	require.Zero(t, stats.Restarted)
	require.NotZero(t, stats.SourcesChanged)
	require.NotZero(t, served["n2"])
}

// A crash in the middle costs nothing but what was not written.
func TestR13_ARebuildGoesOnAfterACrash(t *testing.T) {
	r := filled(t, 200)
	r.wipe("n3", 77<<32)
	pages := 0
	r.lose = func(from, to string, m wire.Message) bool {
		if _, ok := m.(*wire.RebuildPage); ok {
			pages++
			return pages > 12
		}
		return false
	}
	r.rebuild("n3", "n1")
	r.settle()
	r.lose = func(string, string, wire.Message) bool { return false }
	require.NoError(t, r.nodes["n3"].engine.Sync())
	r.boot("n3", 78<<32, smallPages())
	for _, other := range []string{"n1", "n2"} {
		r.nodes["n3"].shard.SetLink(r.now, other, true)
	}
	r.settle()
	require.NotZero(t, r.nodes["n3"].shard.RebuildStats().Resumed)
	r.rebuild("n3", "n1") // those that had not begun
	r.settle()
	r.pass(time.Second)
	r.same("n1", "n3")
}

// C13: an old write that comes late, to a key that was passed and is gone at the
// source, or superseded there, must not come back.
func TestC13_ALateWriteToAPassedKeyIsRecognised(t *testing.T) {
	for _, gone := range []bool{true, false} {
		r := newRig(t, 3, smallPages())
		var late []letter
		r.lose = func(from, to string, m wire.Message) bool {
			if w, ok := m.(*wire.Write); ok && to == "n3" && w.Key == "a" {
				late = append(late, letter{from, wire.Append(nil, m)})
			}
			return false
		}
		r.do("n1", put("a", "old"))
		old := late[:1]
		r.lose = func(string, string, wire.Message) bool { return false }
		id := replica.ID{Partition: uint32(r.layout.PartitionOf("b", "a")), N: 3}
		same := 0
		for i := 0; same < 30; i++ { // keys of the same partition, so that there are more pages
			if key := fmt.Sprintf("k%d", i); uint32(r.layout.PartitionOf("b", key)) == id.Partition {
				r.do("n1", put(key, "v"))
				same++
			}
		}
		context := r.do("n1", get("a")).Context
		if gone {
			r.do("n1", seen(del("a"), context))
		} else {
			r.do("n1", seen(put("a", "new"), context))
		}
		r.wipe("n3", 77<<32)
		pages := 0
		r.lose = func(from, to string, m wire.Message) bool {
			if _, ok := m.(*wire.RebuildPage); ok {
				pages++
				return pages > 3
			}
			return false
		}
		r.nodes["n3"].shard.Rebuild(r.now, id, "n1")
		r.settle()
		require.True(t, r.nodes["n3"].shard.Rebuilding(id))
		r.nodes["n3"].inbox = append(r.nodes["n3"].inbox, old...)
		r.settle()
		object, err := replica.Load(r.nodes["n3"].engine, id, "b", "a")
		require.NoError(t, err)
		for _, v := range object.Versions {
			require.NotEqual(t, "old", string(v.Value.Value))
		}
		r.lose = func(string, string, wire.Message) bool { return false }
		r.pass(antientropyAnswer)
		r.pass(time.Second)
		require.Equal(t, r.stored("n1", id), r.stored("n3", id))
	}
}

// The clock of a page that does not cover what the pass began with: the source
// was restored from an old image meanwhile.
func TestR13_ASourceThatHasForgottenIsNotUsed(t *testing.T) {
	r := filled(t, 200)
	image := r.nodes["n1"].engine
	require.NoError(t, image.Sync())
	r.wipe("n3", 77<<32)
	pages := 0
	r.lose = func(from, to string, m wire.Message) bool {
		if _, ok := m.(*wire.RebuildPage); ok {
			pages++
			return pages > 10
		}
		return false
	}
	r.noExchange = true
	r.rebuild("n3", "n1")
	r.settle()
	began := map[replica.ID]vclock.DotSet{}
	for _, id := range r.nodes["n3"].shard.Replicas() {
		if c0, _, _, copying := r.nodes["n3"].shard.replicas[id].Copying(); copying {
			began[id] = c0
		}
	}
	require.NotEmpty(t, began)
	r.wipe("n1", 99<<32) // the source comes back empty
	r.nodes["n3"].shard.SetLink(r.now, "n2", false)
	r.lose = func(string, string, wire.Message) bool { return false }
	r.settle()
	r.pass(antientropyAnswer)
	r.pass(time.Second)
	for id := range began {
		require.True(t, r.nodes["n3"].shard.Rebuilding(id), "it waits for a source that covers C0")
	}
	r.nodes["n3"].shard.SetLink(r.now, "n2", true)
	r.settle()
	r.pass(time.Second)
	r.pass(time.Second)
	for id := range began {
		require.Equal(t, r.stored("n2", id), r.stored("n3", id))
		require.False(t, r.nodes["n3"].shard.Rebuilding(id))
	}
}

// Whoever began a pass is gone for good with writes that nobody else has: the pass
// is given up, another one begins, and what only this replica has is not lost.
func TestR13_APassThatNobodyCanGoOnWithIsGivenUp(t *testing.T) {
	r := filled(t, 100)
	r.lose = func(from, to string, m wire.Message) bool { return from == "n1" && to != "n1" }
	one := put("a-first", "n1 has it")
	one.W = 1
	require.Nil(t, r.do("n1", one).Err)
	id := replica.ID{Partition: uint32(r.layout.PartitionOf("b", "a-first")), N: 3}
	pages := 0
	r.lose = func(from, to string, m wire.Message) bool {
		if p, ok := m.(*wire.RebuildPage); ok {
			if pages > 0 {
				return true
			}
			for _, item := range p.Items {
				if item.Key == "a-first" {
					pages++
				}
			}
		}
		return false
	}
	r.noExchange = true
	r.wipe("n3", 77<<32)
	r.nodes["n3"].shard.Rebuild(r.now, id, "n1")
	r.settle()
	r.lose = func(string, string, wire.Message) bool { return false }
	require.NotZero(t, pages)
	require.False(t, r.nodes["n3"].shard.Clock(id).Covers(r.nodes["n1"].shard.Clock(id)))
	r.wipe("n1", 99<<32)
	r.nodes["n3"].shard.SetLink(r.now, "n1", false)
	for range 20 {
		r.pass(time.Second)
	}
	require.EqualValues(t, 1, r.nodes["n3"].shard.RebuildStats().Restarted)
	require.Contains(t, r.stored("n3", id), "a-first")
	object, err := replica.Load(r.nodes["n3"].engine, id, "b", "a-first")
	require.NoError(t, err)
	require.True(t, r.nodes["n3"].shard.Clock(id).Contains(object.Versions[0].Dot), "others can get it from here")
	require.True(t, r.nodes["n3"].shard.Clock(id).Covers(r.nodes["n2"].shard.Clock(id)))
}

// Passes that were given up are kept as long as their pages knew dots that the clock
// lacks, and there may only be so many of them. Where these very dots are in nobody's log any more, nothing
// but another pass brings them: it begins all the same.
func TestR13_APassThatIsNeededBeginsBesideThoseThatWait(t *testing.T) {
	r := filled(t, 100)
	r.noExchange = true
	id := replica.ID{Partition: uint32(r.layout.PartitionOf("b", "k")), N: 3}
	n3 := r.nodes["n3"]
	for i := range replica.PassesMax {
		r.lose = func(from, to string, m wire.Message) bool { return from == "n1" && to != "n1" }
		only := put("k", fmt.Sprint("n1 alone has write ", i))
		only.W = 1
		resp := r.do("n1", only)
		require.Nil(t, resp.Err)
		r.lose = func(string, string, wire.Message) bool { return false }
		var rows storage.Batch
		dot, err := vclock.ParseDot(resp.Receipt.Dot)
		require.NoError(t, err)
		n3.shard.replicas[id].Passed(replica.Copied{Knows: vclock.NewDotSet(dot), First: true, Bucket: "b", Key: "a"}, &rows)
		require.NoError(t, n3.engine.Apply(&rows))
	}
	lacks := n3.shard.replicas[id].Lacks()
	require.False(t, n3.shard.replicas[id].MayPass(false))

	n3.shard.Rebuild(r.now, id, "n1")
	r.settle()
	require.Zero(t, n3.shard.RebuildStats().Begun, "there are enough that wait")
	n3.shard.rebuildFor(r.now, id, "n1", lacks)
	r.settle()
	r.pass(time.Second)
	require.EqualValues(t, 1, n3.shard.RebuildStats().Finished, "this one is needed")
	require.True(t, n3.shard.Clock(id).Covers(lacks))
	require.False(t, n3.shard.Rebuilding(id))
	require.Equal(t, r.stored("n1", id), r.stored("n3", id))
}

// A pass is over, but the clock does not say all of it yet, so contexts are kept. They
// go once it does, though another pass comes between that nobody can begin.
func TestR13_ContextsAreStrippedOnceTheClockSaysAll(t *testing.T) {
	r := filled(t, 200)
	id, n2 := r.placeOf("key-0"), r.nodes["n2"].shard
	r.noExchange = true
	var first *wire.RebuildPage
	r.lose = func(from, to string, m wire.Message) bool {
		p, ok := m.(*wire.RebuildPage)
		if ok && first == nil {
			first = p
			return false
		}
		return ok
	}
	n2.Rebuild(r.now, id, "n1")
	r.settle()
	require.True(t, first.More)

	var late []Send
	r.lose = func(from, to string, m wire.Message) bool {
		if to == "n2" && wire.KindOf(m) == wire.KindWrite {
			late = append(late, Send{To: to, Msg: m})
		}
		return to == "n2"
	}
	only := put(first.Items[0].Key, "the pages that follow know of it")
	only.W = 1
	require.Nil(t, r.do("n1", only).Err)
	r.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindRebuildPage }
	seenIt := r.do("n1", get("key-0")).Context
	require.Nil(t, r.do("n1", seen(put("key-0", "a write that has seen it"), seenIt)).Err)
	r.lose = func(string, string, wire.Message) bool { return false }
	r.wait(2 * antientropy.AnswerWithin)
	j := n2.rebuilds.jobs[id]
	require.NotNil(t, j)
	require.Equal(t, rebuildSettling, j.state)

	n2.rebuildFor(r.now, id, "n1", vclock.NewDotSet(vclock.Dot{Actor: vclock.Actor{Disk: 9, Nonce: 9}, Counter: 1}))
	r.settle()
	r.wait(time.Minute)
	require.NotEqual(t, r.stored("n1", id), r.stored("n2", id))
	for _, s := range late {
		r.deliver("n1", s)
	}
	r.settle()
	r.wait(5 * time.Second)
	require.Nil(t, n2.rebuilds.jobs[id])
	require.Equal(t, r.stored("n1", id), r.stored("n2", id))
}

// The first page of a pass is let go before anything of it was taken over. The one that
// begins the pass in its place shows a later clock, and the end of the pass makes that
// clock the replica's own: whoever does not cover it can bring none of the pages after
// it. The simulator found a write that was lost this way.
func TestR13_APassBeginsWithTheFirstPageThatIsTaken(t *testing.T) {
	r := filled(t, 200)
	last := "z"
	id := replica.ID{Partition: uint32(r.layout.PartitionOf("b", last)), N: 3}
	r.do("n1", put(last, "old"))
	r.noExchange = true
	r.wipe("n3", 77<<32)
	n3 := r.nodes["n3"].shard
	n3.SetLink(r.now, "n2", false)

	var page *wire.RebuildPage
	r.lose = func(from, to string, m wire.Message) bool {
		p, ok := m.(*wire.RebuildPage)
		if ok {
			page = p
		}
		return ok
	}
	n3.Rebuild(r.now, id, "n1")
	r.settle()
	n3.Message(r.now, "n1", page)
	n3.forgetOwn(r.now, id)

	r.lose = func(from, to string, m wire.Message) bool { return from == "n1" && to != "n1" }
	only := put(last, "n1 alone has it")
	only.W = 1
	resp := r.do("n1", only)
	require.Nil(t, resp.Err)
	dot, err := vclock.ParseDot(resp.Receipt.Dot)
	require.NoError(t, err)

	taken := 0
	r.lose = func(from, to string, m wire.Message) bool {
		_, ok := m.(*wire.RebuildPage)
		if ok {
			taken++
		}
		return ok && taken > 1
	}
	r.pass(antientropy.RefusedFor)
	require.Equal(t, 2, taken, "the first and the one after it, which is lost")
	r.lose = func(string, string, wire.Message) bool { return false }
	n3.SetLink(r.now, "n1", false)
	n3.SetLink(r.now, "n2", true)
	r.settle()
	for range 5 {
		r.pass(antientropy.RefusedFor)
	}
	require.False(t, n3.Clock(id).Contains(dot), "nobody has brought it")
	require.True(t, n3.Rebuilding(id))

	n3.SetLink(r.now, "n1", true)
	r.settle()
	r.pass(time.Second)
	require.Equal(t, r.stored("n1", id), r.stored("n3", id))
	require.False(t, n3.Rebuilding(id))
}

// An answer to a question of an earlier rebuild may come late, and where its page
// begins is in the question only: taken for the answer to one that begins before,
// it would pass over keys that nobody has copied.
func TestR13_NoTwoQuestionsOfAProcessHaveOneNumber(t *testing.T) {
	r := filled(t, 40)
	r.wipe("n3", 77<<32)
	asked := map[wire.OpID]bool{}
	r.lose = func(from, to string, m wire.Message) bool {
		if read, ok := m.(*wire.RebuildRead); ok {
			require.False(t, asked[read.Op], "%v asks %v twice", from, read.Op)
			asked[read.Op] = true
		}
		return false
	}
	for range 3 {
		r.rebuild("n3", "n1")
		r.settle()
		r.pass(time.Minute)
	}
	require.Greater(t, len(asked), 20)
	r.same("n1", "n3")
}

func TestAPageFromNowhereIsStray(t *testing.T) {
	r := newRig(t, 3, smallPages())
	before := r.nodes["n1"].shard.Stats().Stray
	id := r.nodes["n1"].shard.Replicas()[0]
	r.nodes["n1"].shard.Message(r.now, "n2", &wire.RebuildPage{Head: wire.Head{Partition: id.Partition, N: id.N}})
	require.Equal(t, before+1, r.nodes["n1"].shard.Stats().Stray)
	require.Nil(t, r.do("n1", kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: "k"}).Err)
}
