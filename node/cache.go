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

	// freshShare is the part of the room that rows have which were not asked for yet.
	freshShare = 4

	entryBytes = 128 // what an entry takes beside its row, about
	stamps     = 1 << 10
)

// cache keeps the stored rows of objects that were written or read lately, so that
// the next step of a key need not wait for the store. A row that is asked for moves
// from the new ones to the used ones, which have most of the room: what exchange,
// hints, rebuilds and floods of new keys touch once does not drive out what clients
// ask for again and again.
//
// Invariants:
//
//  1. A row that is here is the last one that was noted for its key. So it is what
//     the store holds, or will once the noted rows are applied.
//  2. Rows are never changed: objects that were made of them share their memory.
//  3. A key is in one generation at most.
//
// Only the worker of the shard uses it.
type cache struct {
	fresh, used generations

	// A row that was read is kept unless a newer one was noted meanwhile. noted
	// counts the rows; last is the latest of them, by the hash of its key, and all that
	// of the latest range.
	noted, all uint64
	last       [stamps]uint64
	seed       maphash.Seed
}

func newCache(bytesMax int) *cache {
	fresh := bytesMax / freshShare
	return &cache{fresh: newGenerations(fresh), used: newGenerations(bytesMax - fresh), seed: maphash.MakeSeed()}
}

// get is the stored row of an object, nil if it is not here.
func (c *cache) get(key string) []byte {
	if row := c.used.young[key]; row != nil {
		return row
	}
	row := c.used.take(key)
	if row == nil {
		row = c.fresh.take(key)
	}
	if row == nil {
		return nil
	}
	c.used.keep(key, row)
	return row
}

// bytes is the memory that the rows take, about.
func (c *cache) bytes() int { return c.fresh.bytes() + c.used.bytes() }

// reset drops all rows.
func (c *cache) reset() {
	c.fresh, c.used = newGenerations(c.fresh.room), newGenerations(c.used.room)
	c.all = c.noted
}

// note takes what a batch writes, from that offset in it on.
func (c *cache) note(rows *storage.Batch, since int) {
	_ = rows.EachSince(since, func(op storage.Op) error {
		switch {
		case op.Kind == storage.OpDeleteRange:
			if holdsObjects(op.Key, op.Value) {
				c.noted++
				c.reset()
			}
		case op.Key[0] == storage.TableObject:
			c.noted++
			c.last[maphash.Bytes(c.seed, op.Key)%stamps] = c.noted
			c.write(string(op.Key), op)
		}
		return nil
	})
}

// holdsObjects reports whether objects can lie in a range of rows. Most ranges that
// are deleted are of the dot log.
func holdsObjects(lo, hi []byte) bool {
	return bytes.Compare(lo, []byte{storage.TableObject + 1}) < 0 && bytes.Compare(hi, []byte{storage.TableObject}) > 0
}

// write takes what a batch writes for one key. That is no use of the row: what comes
// by itself is written too.
func (c *cache) write(key string, op storage.Op) {
	where := &c.fresh
	if c.used.take(key) != nil {
		where = &c.used
	} else {
		c.fresh.take(key)
	}
	if op.Kind == storage.OpSet && len(op.Value) <= cachedBytesMax {
		where.keep(key, bytes.Clone(op.Value))
	}
}

// add takes a row that was read when the rows up to then had been noted.
func (c *cache) add(key string, row []byte, then uint64) {
	stale := max(c.all, c.last[maphash.String(c.seed, key)%stamps]) > then
	if stale || len(row) == 0 || len(row) > cachedBytesMax || c.fresh.has(key) || c.used.has(key) {
		return
	}
	c.fresh.keep(key, row)
}

// generations keep rows in two maps: what comes goes into the young one, and once
// that has half of the room, the old one is forgotten and the young one grows old.
type generations struct {
	young, old                 map[string][]byte
	youngBytes, oldBytes, room int
}

func newGenerations(room int) generations {
	return generations{young: map[string][]byte{}, room: room}
}

func (g *generations) bytes() int { return g.youngBytes + g.oldBytes }

// weigh is the memory that an entry takes, about.
func weigh(key string, row []byte) int { return len(key) + len(row) + entryBytes }

func (g *generations) has(key string) bool { return g.young[key] != nil || g.old[key] != nil }

func (g *generations) keep(key string, row []byte) {
	g.young[key] = row
	g.youngBytes += weigh(key, row)
	if 2*g.youngBytes > g.room {
		g.young, g.old = make(map[string][]byte, len(g.young)), g.young
		g.youngBytes, g.oldBytes = 0, g.youngBytes
	}
}

// take removes a key and returns what was kept for it, nil if nothing was.
func (g *generations) take(key string) []byte {
	if row := g.young[key]; row != nil {
		g.youngBytes -= weigh(key, row)
		delete(g.young, key)
		return row
	}
	row := g.old[key]
	if row != nil {
		g.oldBytes -= weigh(key, row)
		delete(g.old, key)
	}
	return row
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
