package replica

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

var (
	here  = ID{Partition: 5, N: 3}
	none  = vclock.DotSet{}
	large = bytes.Repeat([]byte("x"), ApartBytes)
)

// site is one replica with a store of its own.
type site struct {
	t     *testing.T
	store *memstore.Store
	r     *Replica
}

func newSite(t *testing.T, nonce uint64) *site {
	return &site{t, memstore.New(), New(here, vclock.Actor{Disk: 1, Nonce: nonce}, NewRecent(100))}
}

// step opens a key, lets do act on it, and applies what comes of it.
func (s *site) step(key string, do func(k *Key, rows *storage.Batch)) {
	object, err := Load(s.store, here, "b", key)
	require.NoError(s.t, err)
	var rows storage.Batch
	k := s.r.Open("b", key, object)
	do(k, &rows)
	k.Save(&rows)
	if rows.Len() > 0 {
		require.NoError(s.t, s.store.Apply(&rows))
	}
	require.NoError(s.t, s.r.Check())
}

func (s *site) put(key string, seen vclock.DotSet, value []byte) (delta wire.Delta) {
	s.step(key, func(k *Key, rows *storage.Batch) {
		_, delta = k.Write(seen, wire.Record{Node: "n1", Value: value}, rows)
	})
	return delta
}

func (s *site) join(key string, delta wire.Delta) {
	s.step(key, func(k *Key, rows *storage.Batch) { require.NoError(s.t, k.Join(delta, nil, nil, rows)) })
}

func (s *site) filled(key string) (o wire.Object) {
	s.step(key, func(k *Key, _ *storage.Batch) { o = k.Filled() })
	return o
}

// recover starts the replica again on what the store holds.
func (s *site) recover(nonce uint64) error {
	snapshot, err := s.store.Snapshot()
	require.NoError(s.t, err)
	defer snapshot.Close()
	r, err := Recover(here, vclock.Actor{Disk: 1, Nonce: nonce}, NewRecent(100), snapshot)
	if err == nil {
		s.r = r
	}
	return err
}

// rows counts the rows of each table.
func (s *site) rows() map[byte]int {
	snapshot, err := s.store.Snapshot()
	require.NoError(s.t, err)
	defer snapshot.Close()
	n := map[byte]int{}
	require.NoError(s.t, snapshot.Scan(nil, nil, func(row, _ []byte) bool {
		n[row[0]]++
		return true
	}))
	return n
}

func TestAPutIsTwoRows(t *testing.T) {
	s := newSite(t, 1)
	delta := s.put("k", none, []byte("v"))
	require.Equal(t, map[byte]int{storage.TableObject: 1, storage.TableLog: 1}, s.rows())
	other := newSite(t, 2)
	other.join("k", delta)
	require.Equal(t, map[byte]int{storage.TableObject: 1, storage.TableLog: 1}, other.rows())
	other.join("k", delta)
	require.Equal(t, map[byte]int{storage.TableObject: 1, storage.TableLog: 1}, other.rows(), "a repetition adds nothing")
}

func TestAQuietKeyCarriesOneDotAndNoContext(t *testing.T) {
	s := newSite(t, 1)
	for i := range 10 {
		seen := s.filled("k")
		s.put("k", seen.Seen(), []byte(fmt.Sprint(i)))
	}
	object, err := Load(s.store, here, "b", "k")
	require.NoError(t, err)
	require.Len(t, object.Versions, 1)
	require.True(t, object.Context.IsEmpty(), "stripped (R4): %v", object.Context)
}

func TestLargeValuesLieApartAndGoWithTheirVersion(t *testing.T) {
	s := newSite(t, 1)
	delta := s.put("k", none, large)
	require.Equal(t, 1, s.rows()[storage.TableValue])
	object, err := Load(s.store, here, "b", "k")
	require.NoError(t, err)
	require.Equal(t, large, object.Versions[0].Value.Value)
	s.put("k", none, []byte("small sibling"))
	require.Equal(t, 1, s.rows()[storage.TableValue], "the sibling's write leaves the large row alone")

	row, err := s.store.Get(storage.ObjectKey(nil, here.Partition, here.N, "b", "k"))
	require.NoError(t, err)
	require.Less(t, len(row), 1000)

	other := newSite(t, 2)
	other.join("k", delta)
	require.Equal(t, large, other.filled("k").Versions[0].Value.Value)

	s.put("k", s.filled("k").Seen(), []byte("small"))
	require.Zero(t, s.rows()[storage.TableValue])
}

func TestALostValueRowIsDamageNotAnEmptyValue(t *testing.T) {
	s := newSite(t, 1)
	delta := s.put("k", none, large)
	for d := range delta.Dots.Dots() {
		var rows storage.Batch
		rows.Delete(storage.ValueKey(nil, here.Partition, here.N, actorBytes(d.Actor), d.Counter))
		require.NoError(t, s.store.Apply(&rows))
	}
	_, err := Load(s.store, here, "b", "k")
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.ErrorContains(t, err, "damaged")
}

// I4: what a crash leaves is a store whose log rebuilds the clock.
func TestTheClockIsReadBackFromCheckpointAndLog(t *testing.T) {
	s, other := newSite(t, 1), newSite(t, 2)
	for i := range CheckpointEvery + 100 {
		delta := other.put(fmt.Sprint("k", i), none, []byte("v"))
		if i%3 != 0 { // some are lost: the clock has gaps
			s.join(fmt.Sprint("k", i), delta)
		}
		s.put(fmt.Sprint("l", i), none, []byte("v"))
	}
	require.Equal(t, 1+hashtree.Parts, s.rows()[storage.TableCheckpoint], "the clock, and the hash tree")
	want := s.r.Clock().String()
	require.NoError(t, s.recover(3))
	require.Equal(t, want, s.r.Clock().String())

	var rows storage.Batch
	s.r.Checkpoint(&rows)
	require.NoError(t, s.store.Apply(&rows))
	require.NoError(t, s.recover(4))
	require.Equal(t, want, s.r.Clock().String())
}

// R20, I4: what a crash leaves is a store whose log rebuilds the hash tree,
// wherever the checkpoint lies, and whatever changed without a dot.
func TestTheHashTreeIsReadBackFromCheckpointAndLog(t *testing.T) {
	s, other := newSite(t, 1), newSite(t, 2)
	compare := func(nonce uint64) {
		require.NoError(t, s.recover(nonce))
		snapshot, err := s.store.Snapshot()
		require.NoError(t, err)
		defer snapshot.Close()
		stored, err := Recount(snapshot, here)
		require.NoError(t, err)
		require.Empty(t, stored.Differing(s.r.Tree()))
	}
	for i := range CheckpointEvery {
		delta := other.put(fmt.Sprint("k", i), none, []byte("v"))
		if i%3 != 0 { // some are lost: the clock has gaps, and the log is read above them
			s.join(fmt.Sprint("k", i), delta)
		}
		s.put(fmt.Sprint("l", i%500), s.filled(fmt.Sprint("l", i%500)).Seen(), []byte(fmt.Sprint(i)))
	}
	s.put("large", none, large)
	compare(3)
	leaked := s.filled("l7")
	s.join("l7", wire.Delta{Siblings: wire.Object{Context: leaked.Seen()}}) // C8: a delete's effect without its dot
	require.Empty(t, s.filled("l7").Versions)
	compare(4)
	s.put("l8", s.filled("l8").Seen(), []byte("after the checkpoint"))
	compare(5)
	require.False(t, s.r.Tree().Root() == (&hashtree.Tree{}).Root())
	for i := range 500 {
		s.step(fmt.Sprint("l", i), func(k *Key, rows *storage.Batch) { k.Delete(k.Filled().Seen(), kindred.RequestID{}, rows) })
	}
	for i := range CheckpointEvery {
		s.step(fmt.Sprint("k", i), func(k *Key, rows *storage.Batch) { k.Delete(k.Filled().Seen(), kindred.RequestID{}, rows) })
	}
	s.step("large", func(k *Key, rows *storage.Batch) { k.Delete(k.Filled().Seen(), kindred.RequestID{}, rows) })
	require.Equal(t, (&hashtree.Tree{}).Root(), s.r.Tree().Root(), "nothing is stored")
	compare(6)
}

// Lesson 3, I2: a replica that lost the tail of its log, and with it knowledge of
// its own last dots, must not mint them again.
func TestLesson03_ALostTailDoesNotMakeOldDotsNew(t *testing.T) {
	s, other := newSite(t, 1), newSite(t, 2)
	s.put("k", none, []byte("kept"))
	require.NoError(t, s.store.Sync())
	lost := s.put("k", s.filled("k").Seen(), []byte("lost here, held there"))
	other.join("k", lost)
	s.store = s.store.Crash(func(int) int { return 0 })
	require.NoError(t, s.recover(3))
	fresh := s.put("k", none, []byte("new"))
	other.join("k", fresh)
	require.ElementsMatch(t, []string{"lost here, held there", "new"}, texts(other.filled("k")),
		"the new write is not mistaken for the lost one")
}

func TestAnIncarnationThatHasMintedIsRefused(t *testing.T) {
	s := newSite(t, 1)
	s.put("k", none, []byte("v"))
	require.ErrorContains(t, s.recover(1), "has already minted 1 dots")
}

// I2: the replicas of one start are different actors.
func TestEachReplicaOfAStartIsAnActorOfItsOwn(t *testing.T) {
	start, found := vclock.Actor{Disk: 1, Nonce: 7}, map[vclock.Actor]ID{}
	for partition := range uint32(1 << 12) {
		for _, n := range []uint8{1, 3, 5} {
			id := ID{partition, n}
			actor := New(id, start, nil).Actor()
			other, taken := found[actor]
			require.False(t, taken, "%v is %v", id, other)
			found[actor] = id
		}
	}
}

func texts(o wire.Object) (all []string) {
	for _, v := range o.Versions {
		all = append(all, string(v.Value.Value))
	}
	return all
}

func TestADamagedCheckpointOrLogStopsTheStart(t *testing.T) {
	for name, row := range map[string][]byte{
		"checkpoint": storage.ClockKey(nil, here.Partition, here.N),
		"log":        storage.LogKey(nil, here.Partition, here.N, actorBytes(incarnation(here, vclock.Actor{Disk: 1, Nonce: 1})), 1),
	} {
		s := newSite(t, 1)
		var rows storage.Batch
		rows.Set(row, []byte{0xff, 1, 2})
		require.NoError(t, s.store.Apply(&rows))
		require.ErrorContains(t, s.recover(9), "replica 5/3", name)
	}
}

func TestADamagedObjectIsNamed(t *testing.T) {
	s := newSite(t, 1)
	s.put("k", none, []byte("v"))
	row := storage.ObjectKey(nil, here.Partition, here.N, "b", "k")
	whole, err := s.store.Get(row)
	require.NoError(t, err)
	for n := range whole {
		var rows storage.Batch
		rows.Set(row, whole[:n])
		require.NoError(t, s.store.Apply(&rows))
		_, err := Load(s.store, here, "b", "k")
		require.ErrorContains(t, err, `object b/"k" of replica 5/3 is damaged`, "cut to %d bytes", n)
	}
}

// C17, R8: a context is bound to its bucket and key.
func TestAContextFitsItsKeyOnly(t *testing.T) {
	seen := vclock.NewDotSet(vclock.Dot{Actor: vclock.Actor{Disk: 1, Nonce: 2}, Counter: 3})
	token := EncodeContext("b", "k", seen)
	got, err := DecodeContext("b", "k", token)
	require.Nil(t, err)
	require.Equal(t, seen.String(), got.String())
	for _, name := range [][2]string{{"b", "k2"}, {"b2", "k"}, {"bk", ""}} {
		_, err := DecodeContext(name[0], name[1], token)
		require.Equal(t, kindred.CodeBadContext, err.Code)
	}
	for i := range token {
		for bit := range 8 {
			bad := bytes.Clone(token)
			bad[i] ^= 1 << bit
			_, err := DecodeContext("b", "k", bad)
			require.NotNil(t, err, "bit %d of byte %d flipped", bit, i)
		}
	}
	_, err = DecodeContext("b", "k", make([]byte, kindred.ContextBytesMax+1))
	require.Equal(t, kindred.CodeTooLarge, err.Code)
	none, err := DecodeContext("b", "k", nil)
	require.Nil(t, err)
	require.True(t, none.IsEmpty())
}

func FuzzDecodeContext(f *testing.F) {
	f.Add(EncodeContext("b", "k", vclock.NewDotSet(vclock.Dot{Actor: vclock.Actor{Disk: 1, Nonce: 2}, Counter: 3})))
	f.Fuzz(func(t *testing.T, token []byte) {
		seen, err := DecodeContext("b", "k", token)
		if err == nil && len(token) > 0 {
			require.Equal(t, token, EncodeContext("b", "k", seen))
		}
	})
}

func FuzzLoad(f *testing.F) {
	s := &site{store: memstore.New(), r: New(here, vclock.Actor{Disk: 1, Nonce: 1}, NewRecent(1))}
	var rows storage.Batch
	k := s.r.Open("b", "k", wire.Object{})
	k.Write(none, wire.Record{Value: []byte("v")}, &rows)
	k.Write(none, wire.Record{Value: large}, &rows)
	k.Save(&rows)
	require.NoError(f, s.store.Apply(&rows))
	row, err := s.store.Get(storage.ObjectKey(nil, here.Partition, here.N, "b", "k"))
	require.NoError(f, err)
	f.Add(row)
	f.Fuzz(func(t *testing.T, row []byte) {
		store := memstore.New()
		var rows storage.Batch
		rows.Set(storage.ObjectKey(nil, here.Partition, here.N, "b", "k"), row)
		require.NoError(t, store.Apply(&rows))
		_, _ = Load(store, here, "b", "k") // an error or an object, never a panic
	})
}

func TestRecentForgetsTheOldestAndNothingElse(t *testing.T) {
	r := NewRecent(2)
	id := func(n byte) kindred.RequestID { return kindred.RequestID{n} }
	d := vclock.Dot{Actor: vclock.Actor{Disk: 1, Nonce: 2}, Counter: 3}
	for n := byte(1); n <= 3; n++ {
		r.Add(id(n), 7, d)
		r.Add(id(n), 7, d)
	}
	require.Empty(t, r.Dots(id(1), 7))
	require.Equal(t, []vclock.Dot{d}, r.Dots(id(2), 7))
	require.Equal(t, []vclock.Dot{d}, r.Dots(id(3), 7))
	require.Empty(t, r.Dots(id(3), 8), "another key")
	for c := range uint64(3 * dotsPerRequest) {
		r.Add(id(3), 7, vclock.Dot{Actor: d.Actor, Counter: 100 + c})
	}
	require.Len(t, r.Dots(id(3), 7), dotsPerRequest)
}

func TestACursorOfAnotherPrefixShowsNoOtherKeys(t *testing.T) {
	s := newSite(t, 1)
	for _, key := range []string{"a1", "a2", "p1", "p2", "z"} {
		s.put(key, none, []byte("v"))
	}
	snapshot, err := s.store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	for after, want := range map[string]string{"a1": "[p1 p2]", "p1": "[p2]", "q": "[]"} {
		page := Page(snapshot, here, s.r.Base(), &wire.ScanRead{Bucket: "b", Prefix: "p", After: after, From: true, Limit: 10})
		keys := []string{}
		for _, k := range page.Keys {
			keys = append(keys, k.Key)
		}
		require.Equal(t, want, fmt.Sprint(keys), "after %s", after)
	}
}

func TestADotThatNobodyCanMintIsDamage(t *testing.T) {
	for name, c := range map[string]struct {
		actor   [16]byte
		counter uint64
	}{
		"zero actor": {[16]byte{}, 5},
		"huge":       {[16]byte{1}, 1<<64 - 1},
	} {
		s := newSite(t, 1)
		var rows storage.Batch
		rows.Set(storage.LogKey(nil, here.Partition, here.N, c.actor, c.counter), storage.AppendLogEntry(nil, storage.LogEntry{Bucket: []byte("b"), Key: []byte("k")}))
		require.NoError(t, s.store.Apply(&rows))
		require.ErrorContains(t, s.recover(9), "nobody can have minted", name)
	}
}

// What a merge takes out of a context leaves the row as well: who looks at the object
// afterwards sees nothing to strip. The simulator found a deleted key whose row stayed
// for ever.
func TestR4_AMergeThatStripsAContextSavesIt(t *testing.T) {
	s := newSite(t, 1)
	far, other := vclock.Actor{Disk: 2, Nonce: 2}, vclock.Actor{Disk: 3, Nonce: 3}
	unseen := vclock.Dot{Actor: far, Counter: 1}
	removed := func(counter uint64, seen vclock.DotSet) wire.Delta {
		return wire.Delta{Siblings: wire.Object{Context: seen}, Dots: vclock.NewDotSet(vclock.Dot{Actor: other, Counter: counter})}
	}
	s.join("k", removed(1, vclock.NewDotSet(unseen)))
	require.Equal(t, 1, s.rows()[storage.TableObject], "the key remembers what the clock does not know")
	s.join("another", wire.Delta{Siblings: wire.Object{}, Dots: vclock.NewDotSet(unseen)})
	require.Equal(t, 1, s.rows()[storage.TableObject])
	s.join("k", removed(2, none))
	require.Zero(t, s.rows()[storage.TableObject], "nothing is left of a deleted key")
}
