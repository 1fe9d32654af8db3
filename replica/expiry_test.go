package replica

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

func (s *site) putUntil(key string, seen vclock.DotSet, at wire.Expiry) (delta wire.Delta) {
	s.step(key, func(k *Key, rows *storage.Batch) {
		_, delta = k.Write(seen, wire.Record{Node: "n1", Value: []byte("v"), ExpiresAt: at}, rows)
	})
	return delta
}

func (s *site) expire(key string, now int64) (delta wire.Delta, ended bool) {
	s.step(key, func(k *Key, rows *storage.Batch) { delta, ended = k.Expire(now, false, rows) })
	return delta, ended
}

func (s *site) due(from wire.Expiry, until int64, limit int) DueReply {
	snapshot, err := s.store.Snapshot()
	require.NoError(s.t, err)
	defer snapshot.Close()
	return Due(snapshot, &DueRead{Replica: here, From: from, Until: until, Limit: limit})
}

// The event that ends a version is a delete like a client's: wherever it comes
// first, the version it ends never shows again (I5).
func TestAnExpiredVersionEndsByAnEventOfItsOwn(t *testing.T) {
	a, b, c := newSite(t, 1), newSite(t, 2), newSite(t, 3)
	first := a.put("k", none, []byte("stays a while"))
	put := a.putUntil("k", first.Dots, 1000)
	stays := a.put("k", none, []byte("beside it"))
	b.join("k", first)
	b.join("k", put)

	_, ended := a.expire("k", 999)
	require.False(t, ended, "not yet")
	end, ended := a.expire("k", 1000)
	require.True(t, ended)
	require.Equal(t, stays.Dots, a.filled("k").Dots(), "what has not expired stays")
	_, again := a.expire("k", 1000)
	require.False(t, again, "once")

	b.join("k", end)
	require.Empty(t, b.filled("k").Versions)
	// c has only the oldest write: the event has to carry the past of what it ends.
	c.join("k", first)
	c.join("k", end)
	c.join("k", put) // late
	require.Empty(t, c.filled("k").Versions, "neither what expired nor what that had replaced")
	for _, s := range []*site{b, c} {
		s.join("k", stays)
		require.Equal(t, stays.Dots, s.filled("k").Dots())
	}
}

// Two homes may end the same version; that is one event too many and nothing else.
func TestEndedTwiceIsEnded(t *testing.T) {
	a, b := newSite(t, 1), newSite(t, 2)
	b.join("k", a.putUntil("k", none, 1000))
	byA, _ := a.expire("k", 1000)
	byB, _ := b.expire("k", 1000)
	a.join("k", byB)
	b.join("k", byA)
	for _, s := range []*site{a, b} {
		require.Empty(t, s.filled("k").Versions)
		require.Zero(t, s.rows()[storage.TableObject])
		require.Zero(t, s.rows()[storage.TableExpiry])
	}
}

func TestTheIndexFollowsTheObjects(t *testing.T) {
	s := newSite(t, 1)
	s.put("stays", none, []byte("v"))
	require.Zero(t, s.rows()[storage.TableExpiry])
	old := s.putUntil("k", none, 1000)
	s.putUntil("k", none, 1000)
	require.Equal(t, 1, s.rows()[storage.TableExpiry], "two versions that expire together have one row")
	s.putUntil("k", none, 500)
	require.Equal(t, 2, s.rows()[storage.TableExpiry])
	require.EqualValues(t, 500, s.r.Expiries().Soonest())
	require.Equal(t, DueReply{Keys: []DueKey{{500, "b", "k"}}, Next: 1000}, s.due(0, 999, 10))
	require.Equal(t, DueReply{Keys: []DueKey{{500, "b", "k"}}, Next: 1000}, s.due(0, 1000, 1), "the limit")
	require.Equal(t, DueReply{Keys: []DueKey{{1000, "b", "k"}}}, s.due(501, 1000, 10))

	require.NoError(t, s.recover(2))
	require.EqualValues(t, 500, s.r.Expiries().Soonest(), "a start finds it again")
	s.put("k", s.filled("k").Seen(), []byte("stays now"))
	require.Zero(t, s.rows()[storage.TableExpiry])
	require.NoError(t, s.recover(3))
	require.Zero(t, s.r.Expiries().Soonest())
	s.join("k", old)
	require.Zero(t, s.rows()[storage.TableExpiry], "a late version that is superseded leaves no row")
}

// A row of the index whose object has gone without it is taken out when it is met.
func TestAStrayRowOfTheIndexGoes(t *testing.T) {
	s := newSite(t, 1)
	var rows storage.Batch
	rows.Set(storage.ExpiryKey(nil, here.Partition, here.N, 7, "b", "k"), nil)
	require.NoError(t, s.store.Apply(&rows))
	s.step("k", func(k *Key, rows *storage.Batch) {
		require.False(t, k.Expires(7))
		k.Forget(7, rows)
	})
	require.Zero(t, s.rows()[storage.TableExpiry])
	// One that the object has needs no help, and gets none.
	s.putUntil("k", none, 7)
	s.step("k", func(k *Key, rows *storage.Batch) { k.Forget(7, rows) })
	require.Equal(t, 1, s.rows()[storage.TableExpiry])
}

// What expires at the same time in many keys is read in pieces.
func TestDueReadsArePieces(t *testing.T) {
	s := newSite(t, 1)
	for i := range 10 {
		s.putUntil(fmt.Sprint(i), none, wire.Expiry(100+i/3))
	}
	index := s.r.Expiries()
	read := 0
	for index.Soonest() != 0 {
		ask := index.Read(here, 102, 4)
		reply := s.due(ask.From, ask.Until, ask.Limit)
		require.NoError(t, reply.Err)
		index.Back(reply.Next)
		if len(reply.Keys) == 0 {
			break
		}
		for _, due := range reply.Keys {
			_, ended := s.expire(due.Key, 102)
			require.True(t, ended)
			read++
		}
	}
	require.Equal(t, 9, read)
	require.EqualValues(t, 103, index.Soonest())
}
