package replica

import (
	"bytes"
	"errors"
	"slices"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Survey is what was found in a store about one replica: what its objects hash to,
// and what cannot be read.
type Survey struct {
	// Tree is of what is stored, Expected the replica's own at the same moment.
	Tree, Expected *hashtree.Tree
	// Clock is the replica's at that moment.
	Clock vclock.DotSet
	// Unreadable are ranges whose rows cannot be read.
	Unreadable []storage.KeyRange
	// Keys are those of the leaves that were asked for, in the order of their rows.
	Keys []wire.AuditKey
	// Objects and Bytes count what was read.
	Objects, Bytes int
	// Cut: there were more keys than may be listed.
	Cut bool
	// memories: keys without a live version are listed too.
	memories bool
}

// Lost are the leaves in which the store is not what the replica made it.
func (s *Survey) Lost() hashtree.Set { return hashtree.SetOf(s.Tree.Differing(s.Expected)...) }

// Doubted are the leaves that may have lost something, be it only what is known to
// be gone of a key: the lost ones, those of rows that cannot be read, and all if it
// is not known which rows these are.
func (s *Survey) Doubted() hashtree.Set {
	doubted := s.Lost()
	for _, gap := range s.Unreadable {
		leaf, ok := leafOfRow(gap)
		if !ok {
			return hashtree.All()
		}
		doubted.Add(leaf)
	}
	return doubted
}

// leafOfRow is the leaf of a range that holds one object's row and no other.
func leafOfRow(gap storage.KeyRange) (leaf int, ok bool) {
	if row, one := bytes.CutSuffix(gap.High, []byte{0}); !one || !bytes.Equal(row, gap.Low) {
		return 0, false
	}
	_, _, bucket, key, err := storage.ParseObjectKey(gap.Low)
	return hashtree.LeafOf(ring.Hash(string(bucket), string(key))), err == nil
}

// IsDamaged reports whether anything is not as it should be.
func (s *Survey) IsDamaged() bool {
	lost := s.Lost()
	return !lost.IsEmpty() || len(s.Unreadable) > 0
}

// KeysListedMax bounds the keys that one survey lists.
const KeysListedMax = 64 << 10

// Surveyor takes along what a survey has to be compared with. It is to be made at
// the moment of the snapshot (R5).
func (r *Replica) Surveyor() *Surveyor {
	return &Surveyor{id: r.id, expected: r.tree.Clone(), clock: r.clock.Clone()}
}

// Surveyor reads every object of a replica from a snapshot.
type Surveyor struct {
	id       ID
	expected *hashtree.Tree
	clock    vclock.DotSet
	memories bool
}

// Remember makes the survey list the keys without a live version too, for who has
// lost what it knew to be gone.
func (s *Surveyor) Remember() { s.memories = true }

// Read reads all objects and lists the keys of the leaves in list. Damage does not
// end it; an error is not of the disk's making.
func (s *Surveyor) Read(store storage.Snapshot, list hashtree.Set) (*Survey, error) {
	found := &Survey{Tree: &hashtree.Tree{}, Expected: s.expected, Clock: s.clock, memories: s.memories}
	objects := storage.ReplicaRanges(s.id.Partition, s.id.N)[2]
	for lo := objects.Low; bytes.Compare(lo, objects.High) < 0; {
		err := store.Scan(lo, objects.High, func(row, value []byte) bool {
			found.add(store, s.id, row, value, &list)
			return true
		})
		var damage *storage.CorruptError
		switch {
		case err == nil:
			return found, nil
		case !errors.As(err, &damage):
			return nil, err
		}
		lo = objects.High // what is behind damage of unknown extent is not known
		if bytes.Compare(damage.Resume, damage.Key) > 0 {
			lo = damage.Resume
		}
		found.Unreadable = append(found.Unreadable, storage.KeyRange{Low: damage.Key, High: lo})
	}
	return found, nil
}

// add takes an object. One that cannot be understood, or whose large values cannot
// be read, is as good as unreadable.
func (s *Survey) add(store Reader, id ID, row, value []byte, list *hashtree.Set) {
	key, object, err := readObject(store, id, row, value)
	if err != nil {
		row = slices.Clone(row)
		s.Unreadable = append(s.Unreadable, storage.KeyRange{Low: row, High: append(slices.Clone(row), 0)})
		return
	}
	hash := objectHash(key, &object)
	s.Tree.Change(key, hash)
	s.Objects++
	s.Bytes += len(value)
	if !list.Has(hashtree.LeafOf(key)) || hash == 0 && !s.memories {
		return
	}
	if len(s.Keys) >= KeysListedMax {
		s.Cut = true
		return
	}
	_, _, bucket, name, _ := storage.ParseObjectKey(row) // it was read
	s.Keys = append(s.Keys, wire.AuditKey{Bucket: string(bucket), Key: string(name), Hash: hash})
}

// Logged names the keys that some dots have changed, each with its dots, as far as
// the log still says so.
func Logged(store storage.Snapshot, id ID, dots vclock.DotSet) (map[wire.AuditName]vclock.DotSet, error) {
	names := map[wire.AuditName]vclock.DotSet{}
	for actor, span := range dots.Spans() {
		lo, hi := storage.LogActorRange(id.Partition, id.N, actorBytes(actor), span.Lo, min(span.Hi, vclock.CounterMax))
		var bad error
		err := store.Scan(lo, hi, func(row, value []byte) bool {
			var entry storage.LogEntry
			var counter uint64
			if _, _, _, counter, bad = storage.ParseLogKey(row); bad == nil {
				entry, bad = storage.ParseLogEntry(value)
			}
			if bad == nil {
				name := wire.AuditName{Bucket: string(entry.Bucket), Key: string(entry.Key)}
				of := names[name]
				of.Add(vclock.Dot{Actor: actor, Counter: counter})
				names[name] = of
			}
			return bad == nil
		})
		if err == nil {
			err = bad
		}
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}
