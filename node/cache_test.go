package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
)

// Rows are written, deleted one by one and by ranges, and read while that goes on.
// Whatever the cache says then is what the store has.
func TestACacheSaysWhatTheStoreHas(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, room := range []int{1 << 20, 4 << 10} {
		c, store := newCache(room), memstore.New()
		key := func() string { return fmt.Sprintf("o-%02d", rng.IntN(40)) }
		type reading struct {
			key  string
			row  []byte
			then uint64
		}
		var underWay []reading
		hits := 0
		for range 20_000 {
			switch n := rng.IntN(100); {
			case n < 30:
				k := key()
				if row, err := store.Get([]byte(k)); err == nil {
					underWay = append(underWay, reading{k, row, c.noted})
				}
			case n < 60 && len(underWay) > 0:
				r := underWay[0]
				underWay = underWay[1:]
				c.add(r.key, r.row, r.then)
			default:
				batch := someRows(rng, key)
				c.note(batch, 0)
				require.NoError(t, store.Apply(batch))
			}
			require.LessOrEqual(t, c.bytes(), room+2*(cachedBytesMax+entryBytes), "seed %d", seed)
			k := key()
			if row := c.get(k); row != nil {
				stored, err := store.Get([]byte(k))
				require.NoError(t, err, "seed %d: %s is in the cache", seed, k)
				require.Equal(t, stored, row, "seed %d: %s", seed, k)
				hits++
			}
		}
		require.Greater(t, hits, 1_000, "seed %d", seed)
		c.reset()
		require.Zero(t, c.bytes())
		require.Nil(t, c.get("o-01"))
	}
}

// someRows are a few changes of objects, and of rows that are none.
func someRows(rng *rand.Rand, key func() string) *storage.Batch {
	var batch storage.Batch
	for range 1 + rng.IntN(3) {
		switch n := rng.IntN(100); {
		case n < 20:
			batch.Delete([]byte(key()))
		case n < 22:
			batch.DeleteRange([]byte(key()), []byte(key()))
		case n < 30:
			batch.Set([]byte("v"+key()), []byte("not an object"))
		case n < 35:
			batch.Set([]byte(key()), make([]byte, cachedBytesMax+rng.IntN(2)))
		default:
			batch.Set([]byte(key()), fmt.Appendf(nil, "%d", rng.Uint64()))
		}
	}
	return &batch
}

// What is used stays, what is not goes.
func TestACacheKeepsWhatIsUsed(t *testing.T) {
	c := newCache(100 * (entryBytes + 10))
	for i := range 1_000 {
		c.add(fmt.Sprintf("o-%03d", i), []byte("row"), c.noted)
		require.NotNil(t, c.get("o-000"), "after %d others", i)
	}
	require.Nil(t, c.get("o-500"))
	require.NotNil(t, c.get("o-990"))
}

// What comes by itself, a rebuild or a flood of new keys, does not drive out what was
// asked for, although that is only written meanwhile.
func TestACacheKeepsWhatIsUsedThroughAFlood(t *testing.T) {
	const hot = 30
	c := newCache(100 * (entryBytes + 10))
	name := func(i int) string { return fmt.Sprintf("o-%05d", i) }
	for i := range hot {
		c.add(name(i), []byte("row"), c.noted)
		require.NotNil(t, c.get(name(i)))
	}
	for i := hot; i < 10_000; i++ {
		var batch storage.Batch
		if i%2 == 0 {
			batch.Set([]byte(name(i)), []byte("row"))
			batch.Set([]byte(name(i%hot)), []byte("new"))
		}
		c.note(&batch, 0)
		c.add(name(i), []byte("row"), c.noted)
	}
	for i := range hot {
		require.NotNil(t, c.get(name(i)), "%d", i)
	}
}

// Pruning the dot log, which goes on all the time, forgets no object.
func TestACacheOutlivesThePruningOfTheLog(t *testing.T) {
	c := newCache(100 * (entryBytes + 10))
	c.add("o-1", []byte("row"), c.noted)
	var prune, objects storage.Batch
	prune.DeleteRange(storage.LogActorRange(0, 3, [16]byte{}, 1, 100))
	prune.DeleteRange([]byte{storage.TableObject - 1}, []byte{storage.TableObject})
	c.note(&prune, 0)
	require.NotNil(t, c.get("o-1"))

	objects.DeleteRange([]byte{storage.TableObject - 1}, []byte{storage.TableObject, 0})
	c.note(&objects, 0)
	require.Nil(t, c.get("o-1"))
}

// A value that has a row of its own is not in the cache, so its object is read.
func TestALargeValueIsReadFromTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &readDisk{Store: memstore.New()}
		w, stop := soloWorker(t, disk, func(err error) { t.Error(err) })
		defer stop()
		synctest.Wait()
		s := session{t, w}
		s.do(put("k", string(make([]byte, replica.ApartBytes))))
		require.Len(t, s.do(get("k")).Siblings[0].Value, replica.ApartBytes)
		require.Zero(t, w.cached.Load())
		require.EqualValues(t, 2, disk.reads.Load(), "the object and its value")
	})
}

// Once blocks were thrown away nothing is taken from memory.
func TestADiscardEmptiesTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := soloWorker(t, memstore.New(), func(err error) { t.Error(err) })
		synctest.Wait()
		session{t, w}.do(put("k", "one"))
		stop()
		require.Positive(t, w.cache.bytes())
		lo, hi := storage.ObjectsRange(0, 3)
		w.shard.Effects().Discards = []storage.KeyRange{{Low: lo, High: hi}}
		err := w.perform()
		require.True(t, err == nil || errors.Is(err, storage.ErrClosed), "%v", err)
		require.Zero(t, w.cache.bytes())
	})
}
