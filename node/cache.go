package node

import (
	"bytes"
	"hash/maphash"

	"github.com/kindredkv/kindred/storage"
)

const (
	// CacheBytesMax bounds the objects that all shards of a node keep in memory, as
	// they are stored. It is enough for some 80,000 of 100 bytes.
	CacheBytesMax = 32 << 20
	// cachedBytesMax is the size of the largest object that is kept: larger ones
	// would drive out too many others.
	cachedBytesMax = 8 << 10

	entryBytes = 128 // what an entry takes beside its row, about
	stamps     = 1 << 10
)

// cache keeps the stored rows of objects that were written or read lately, so that
// the next step of a key need not wait for the store. It has two generations: what
// is used moves to the young one, and once that has half of the room, the old one is
// forgotten and the young one grows old.
//
// Invariants:
//
//  1. A row that is here is the last one that was noted for its key. So it is what
//     the store holds, or will once the noted rows are applied.
//  2. Rows are never changed: objects that were made of them share their memory.
//
// Only the worker of the shard uses it.
type cache struct {
	young, old map[string]*entry
	// youngBytes and oldBytes are theirs, room is for both.
	youngBytes, oldBytes, room int

	// A row that was read is kept unless a newer one was noted meanwhile. noted
	// counts the rows; last is the latest of them, by the hash of its key, and all that
	// of the latest range.
	noted, all uint64
	last       [stamps]uint64
	seed       maphash.Seed
}

type entry struct{ row []byte }

func newCache(bytesMax int) *cache {
	return &cache{young: map[string]*entry{}, room: bytesMax, seed: maphash.MakeSeed()}
}

// get is the stored row of an object, nil if it is not here.
func (c *cache) get(key string) []byte {
	if e := c.young[key]; e != nil {
		return e.row
	}
	e := c.old[key]
	if e == nil {
		return nil
	}
	c.dropOld(key, e)
	c.keep(key, e)
	return e.row
}

// bytes is the memory that the rows take, about.
func (c *cache) bytes() int { return c.youngBytes + c.oldBytes }

func (e *entry) bytes(key string) int { return len(key) + len(e.row) + entryBytes }

func (c *cache) keep(key string, e *entry) {
	c.young[key] = e
	c.youngBytes += e.bytes(key)
	if 2*c.youngBytes > c.room {
		c.young, c.old = make(map[string]*entry, len(c.young)), c.young
		c.youngBytes, c.oldBytes = 0, c.youngBytes
	}
}

func (c *cache) dropOld(key string, e *entry) {
	c.oldBytes -= e.bytes(key)
	delete(c.old, key)
}

// forget drops a row.
func (c *cache) forget(key string) {
	if e := c.young[key]; e != nil {
		c.youngBytes -= e.bytes(key)
		delete(c.young, key)
	}
	if e := c.old[key]; e != nil {
		c.dropOld(key, e)
	}
}

// reset drops all rows.
func (c *cache) reset() {
	c.young, c.old, c.youngBytes, c.oldBytes = map[string]*entry{}, nil, 0, 0
	c.all = c.noted
}

// note takes what a batch writes, from that offset in it on.
func (c *cache) note(rows *storage.Batch, since int) {
	_ = rows.EachSince(since, func(op storage.Op) error {
		switch {
		case op.Kind == storage.OpDeleteRange:
			c.noted++
			c.reset()
		case op.Key[0] == storage.TableObject:
			c.noted++
			c.last[maphash.Bytes(c.seed, op.Key)%stamps] = c.noted
			key := string(op.Key)
			c.forget(key)
			if op.Kind == storage.OpSet && len(op.Value) <= cachedBytesMax {
				c.keep(key, &entry{bytes.Clone(op.Value)})
			}
		}
		return nil
	})
}

// add takes a row that was read when the rows up to then had been noted.
func (c *cache) add(key string, row []byte, then uint64) {
	stale := max(c.all, c.last[maphash.String(c.seed, key)%stamps]) > then
	if stale || len(row) == 0 || len(row) > cachedBytesMax || c.young[key] != nil || c.old[key] != nil {
		return
	}
	c.keep(key, &entry{row})
}

// cachedReader reads objects from the cache alone.
type cachedReader struct{ row []byte }

// Get implements replica.Reader. A value that lies in a row of its own is not here.
func (r cachedReader) Get(key []byte) ([]byte, error) {
	if key[0] != storage.TableObject {
		return nil, storage.ErrNotFound
	}
	return r.row, nil
}
