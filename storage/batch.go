package storage

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Limits of one batch. An Apply beyond them is a *LimitError.
const (
	// BatchBytesMax bounds Batch.Bytes: eight of the largest objects (32 MiB).
	BatchBytesMax = 256 << 20
	// KeyBytesMax bounds one key: the longest bucket and key, with room for the
	// numbers of a row.
	KeyBytesMax = 8 << 10
)

// OpKind says what an Op does.
type OpKind uint8

const (
	// OpSet writes Value at Key.
	OpSet OpKind = iota + 1
	// OpDelete removes Key, which need not be there.
	OpDelete
	// OpDeleteRange removes the keys from Key up to, without, Value.
	OpDeleteRange
)

// Op is one change of a batch, as Batch.Each shows it.
type Op struct {
	Kind OpKind
	Key  []byte
	// Value is what OpSet writes; for OpDeleteRange, the end of the range.
	Value []byte
}

// Batch is a list of changes that an engine applies wholly or not at all, in the
// order they were added: a later change of a key wins. The zero Batch is empty
// and ready.
//
// All changes are copied into one growing buffer, so that a batch that is reset
// and used again allocates nothing. It is not safe for concurrent use.
type Batch struct {
	buf       []byte
	count     int
	sets      int
	keyMin    int // meaningful once count > 0
	keyMax    int
	essential bool
}

// Set writes value at key. Both are copied.
func (b *Batch) Set(key, value []byte) {
	b.sets++
	b.add(OpSet, key, value)
}

// Delete removes key; a key that is not there is no error.
func (b *Batch) Delete(key []byte) { b.add(OpDelete, key, nil) }

// DeleteRange removes the keys with lo <= key < hi. A range with lo >= hi is
// empty and is not even recorded: there is no open end. Ranges are dear to read
// over until they are compacted, so use one for many keys, not for each.
func (b *Batch) DeleteRange(lo, hi []byte) {
	if bytes.Compare(lo, hi) < 0 {
		b.add(OpDeleteRange, lo, hi)
	}
}

func (b *Batch) add(kind OpKind, key, value []byte) {
	b.buf = append(b.buf, byte(kind))
	b.buf = binary.AppendUvarint(b.buf, uint64(len(key)))
	b.buf = append(b.buf, key...)
	b.buf = binary.AppendUvarint(b.buf, uint64(len(value)))
	b.buf = append(b.buf, value...)
	if b.keyMax = max(b.keyMax, len(key)); b.count == 0 || len(key) < b.keyMin {
		b.keyMin = len(key)
	}
	if kind == OpDeleteRange {
		b.keyMax = max(b.keyMax, len(value))
	}
	b.count++
}

// MarkEssential says that the node cannot run, or cannot give space back,
// without this batch: an incarnation, a layout, a prune. An engine takes
// essential batches for longer when the disk fills up. Keep them small.
func (b *Batch) MarkEssential() { b.essential = true }

// Essential reports whether the batch may pass where others are refused for want
// of space: it was marked so, or it only deletes.
func (b *Batch) Essential() bool { return b.essential || b.sets == 0 }

// Len returns the number of changes.
func (b *Batch) Len() int { return b.count }

// Bytes returns the size of the batch: keys, values and a few bytes for each.
func (b *Batch) Bytes() int { return len(b.buf) }

// Reset empties the batch and keeps its buffer.
func (b *Batch) Reset() { *b = Batch{buf: b.buf[:0]} }

// Check returns a *LimitError if the batch is larger than an engine takes, and a
// *RowError if it names an empty key: no table has one, and Pebble trips over it.
// Every engine calls it first.
func (b *Batch) Check() error {
	if b.count > 0 && b.keyMin == 0 {
		return &RowError{Row: "key", Reason: "it is empty; a key begins with the letter of its table"}
	}
	if b.keyMax > KeyBytesMax {
		return &LimitError{What: "key", Bytes: b.keyMax, LimitBytes: KeyBytesMax}
	}
	if len(b.buf) > BatchBytesMax {
		return &LimitError{What: "batch", Bytes: len(b.buf), LimitBytes: BatchBytesMax}
	}
	return nil
}

// Each visits the changes in the order they were added and stops at the first
// error, which it returns. The slices of an Op are valid until the next change
// of the batch and must not be modified.
func (b *Batch) Each(visit func(Op) error) error { return b.EachSince(0, visit) }

// EachSince visits as Each does the changes that were added since Bytes was that
// many.
func (b *Batch) EachSince(bytes int, visit func(Op) error) error {
	for rest := b.buf[bytes:]; len(rest) > 0; {
		var op Op
		op.Kind, rest = OpKind(rest[0]), rest[1:]
		op.Key, rest = cut(rest)
		op.Value, rest = cut(rest)
		if err := visit(op); err != nil {
			return err
		}
	}
	return nil
}

// cut takes one length-prefixed slice off the front. The batch wrote it itself,
// so that a bad length can only be a bug here.
func cut(buf []byte) (field, rest []byte) {
	n, used := binary.Uvarint(buf)
	if used <= 0 || n > math.MaxInt32 {
		panic("storage: a batch does not hold what it wrote")
	}
	end := used + int(n)
	return buf[used:end:end], buf[end:]
}
