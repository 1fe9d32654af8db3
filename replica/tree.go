package replica

import (
	"fmt"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Tree is the replica's hash tree as it is now, a copy that stays as it is.
func (r *Replica) Tree() *hashtree.Tree { return r.tree.Clone() }

// readTree reads the parts of the hash tree that were saved with the clock.
func (r *Replica) readTree(store storage.Snapshot) error {
	lo, hi := storage.HashTreeRange(r.id.Partition, r.id.N)
	var bad error
	err := store.Scan(lo, hi, func(row, value []byte) bool {
		_, _, _, index, err := storage.ParseCheckpointKey(row)
		if err == nil {
			err = r.tree.SetPart(index, value)
		}
		bad = err
		return err == nil
	})
	if err == nil {
		err = bad
	}
	return err
}

// saveTree writes the parts of the hash tree that have changed.
func (r *Replica) saveTree(rows *storage.Batch) {
	for index, part := range r.tree.Unsaved() {
		r.row = storage.HashTreeKey(r.row[:0], r.id.Partition, r.id.N, index)
		rows.Set(r.row, part)
	}
}

// note remembers the versions of the object as they are before a step.
func (k *Key) note() { k.r.was = append(k.r.was[:0], k.object.Versions...) }

// change brings the hash tree up to what the step since note has made of the
// object, and says by what its leaf changed. A version that was there before and
// after is not looked at: equal dots have equal values (I2).
func (k *Key) change() uint64 {
	was, is := k.r.was, k.object.Versions
	by := uint64(0)
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(was) > 0 && len(is) > 0 && was[0].Dot == is[0].Dot:
			was, is = was[1:], is[1:]
			continue
		case len(is) == 0 || len(was) > 0 && was[0].Dot.Compare(is[0].Dot) < 0:
			by ^= versionHash(k.hash(), &was[0])
			was = was[1:]
		default:
			by ^= versionHash(k.hash(), &is[0])
			is = is[1:]
		}
		k.dirty = true
	}
	clear(k.r.was) // lets go of what the values refer to
	k.r.tree.Change(k.hash(), by)
	return by
}

// versionHash is the canonical hash of a version of the key with that hash.
func versionHash(key uint64, v *vclock.Version[wire.Record]) uint64 {
	canonical := hashtree.Version{
		Key: key, Dot: v.Dot, ContentType: v.Value.ContentType, Expires: int64(v.Value.ExpiresAt), Value: v.Value.Value,
	}
	return canonical.Hash()
}

// objectHash is the hash of a key: that of its live versions together.
func objectHash(key uint64, object *wire.Object) (h uint64) {
	for i := range object.Versions {
		h ^= versionHash(key, &object.Versions[i])
	}
	return h
}

// Recount makes the hash tree of a replica anew from the objects that a store
// holds. It ends at the first that cannot be read.
func Recount(store storage.Snapshot, id ID) (*hashtree.Tree, error) {
	s := Surveyor{id: id}
	found, err := s.Read(store, hashtree.Set{})
	if err == nil && len(found.Unreadable) > 0 {
		err = fmt.Errorf("replica %v: %d ranges of rows cannot be read", id, len(found.Unreadable))
	}
	if err != nil {
		return nil, err
	}
	return found.Tree, nil
}

// readObject decodes an object's row and reads its large values.
func readObject(store Reader, id ID, row, value []byte) (key uint64, object wire.Object, err error) {
	_, _, bucket, name, err := storage.ParseObjectKey(row)
	if err != nil {
		return 0, wire.Object{}, err
	}
	object, err = decodeObject(store, id, string(bucket), string(name), value)
	return ring.Hash(string(bucket), string(name)), object, err
}
