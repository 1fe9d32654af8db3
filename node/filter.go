package node

import (
	"hash/maphash"
	"math/bits"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
)

const (
	// FilterBytesMax bounds the filters of all shards of a node. It is enough for
	// 16 million objects; beyond them more and more new keys pass for ones that
	// may exist, and cost a read of the store as all did.
	FilterBytesMax = 32 << 20

	blockBytes    = 64 // a cache line
	keysPerBlock  = 32 // two bytes for each key: one in a thousand passes wrongly
	blocksMin     = 1 << 10
	layersGrowBy  = 4
	golden        = 0x9e3779b97f4a7c15
	bitsPerWord   = 6 // of the hash, for one of 64 bits
	wordsPerBlock = blockBytes / 8
)

// filter knows which objects of a shard are certainly not stored, so that a put
// of a new key need not ask the store. It is a Bloom filter whose bits for a key
// lie in one cache line (Putze, Sanders and Singler, Cache-, Hash- and
// Space-Efficient Bloom Filters, 2007), in layers that are added as the keys
// become more (Almeida, Baquero, Preguiça and Hutchison, Scalable Bloom Filters,
// 2007).
//
// Invariants:
//
//  1. The row of every object that the store holds for a replica that is whole
//     has been added. So what is absent here is absent there.
//  2. The layers take no more memory than they were allowed.
//
// Rows that are deleted stay in it until the next start. Only the worker of the
// shard uses it.
type filter struct {
	seed   maphash.Seed
	layers []layer
	// room is how many more blocks the layers may have.
	room int
	// whole are the replicas whose stored rows have all been added.
	whole map[replica.ID]bool
}

type layer struct {
	blocks []block
	keys   int
}

// block has one bit in each word for each of its keys.
type block [wordsPerBlock]uint64

// newFilter is a filter of no whole replica that may take that much memory, at
// least one block.
func newFilter(bytesMax int) *filter {
	f := &filter{seed: maphash.MakeSeed(), room: max(bytesMax/blockBytes, 1), whole: map[replica.ID]bool{}}
	f.extend(blocksMin)
	return f
}

// hash is what the filter keeps of a row's key.
func (f *filter) hash(row []byte) uint64 { return maphash.Bytes(f.seed, row) }

// absent reports whether an object is certainly not stored.
func (f *filter) absent(id replica.ID, row string) bool {
	return f.whole[id] && !f.has(maphash.String(f.seed, row))
}

func (f *filter) has(hash uint64) bool {
	for i := range f.layers {
		if b := f.layers[i].find(hash); b.has(hash) {
			return true
		}
	}
	return false
}

// add makes the object of that hash one that may exist.
func (f *filter) add(hash uint64) {
	if f.has(hash) {
		return
	}
	last := &f.layers[len(f.layers)-1]
	if full := len(last.blocks) * keysPerBlock; last.keys >= full && f.room > 0 {
		f.extend(len(last.blocks) * layersGrowBy)
		last = &f.layers[len(f.layers)-1]
	}
	last.keys++
	last.find(hash).add(hash)
}

// extend adds a layer, as large as there is room for. Without room the last one
// goes on filling up.
func (f *filter) extend(blocks int) {
	blocks = min(blocks, f.room)
	f.room -= blocks
	f.layers = append(f.layers, layer{blocks: make([]block, blocks)})
}

// bytes is the memory that the layers take.
func (f *filter) bytes() (sum int) {
	for i := range f.layers {
		sum += len(f.layers[i].blocks) * blockBytes
	}
	return sum
}

// note adds the objects that a batch writes, from that offset in it on.
func (f *filter) note(rows *storage.Batch, since int) {
	_ = rows.EachSince(since, func(op storage.Op) error {
		if op.Kind == storage.OpSet && op.Key[0] == storage.TableObject {
			f.add(f.hash(op.Key))
		}
		return nil
	})
}

func (l *layer) find(hash uint64) *block {
	i, _ := bits.Mul64(hash, uint64(len(l.blocks)))
	return &l.blocks[i]
}

func (b *block) has(hash uint64) bool {
	pick := hash * golden
	for i := range b {
		if b[i]&(1<<(pick&63)) == 0 {
			return false
		}
		pick >>= bitsPerWord
	}
	return true
}

func (b *block) add(hash uint64) {
	pick := hash * golden
	for i := range b {
		b[i] |= 1 << (pick & 63)
		pick >>= bitsPerWord
	}
}
