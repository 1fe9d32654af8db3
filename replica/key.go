package replica

import (
	"fmt"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Reader is what loading an object needs of the store.
type Reader interface {
	Get(key []byte) ([]byte, error)
}

// Load reads a stored object with all its values. An absent one is empty.
func Load(store Reader, id ID, bucket, key string) (wire.Object, error) {
	row, err := store.Get(storage.ObjectKey(nil, id.Partition, id.N, bucket, key))
	if err == storage.ErrNotFound {
		return wire.Object{}, nil
	}
	if err != nil {
		return wire.Object{}, damaged(id, bucket, key, err)
	}
	return decodeObject(store, id, bucket, key, row)
}

// decodeObject makes the object of its row, which it keeps, with all its values.
func decodeObject(store Reader, id ID, bucket, key string, row []byte) (wire.Object, error) {
	object, rest, err := vclock.DecodeSiblings(row, wire.DecodeRecord)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes too many", len(rest))
	}
	for i := range object.Versions {
		if err == nil {
			err = loadValue(store, id, &object.Versions[i])
		}
	}
	if err != nil {
		return wire.Object{}, damaged(id, bucket, key, err)
	}
	return object, nil
}

// loadValue brings in a value that lies in its own row. The record stays marked
// Apart, by which Save knows that the row exists.
func loadValue(store Reader, id ID, v *vclock.Version[wire.Record]) error {
	if !v.Value.Apart {
		return nil
	}
	value, err := store.Get(storage.ValueKey(nil, id.Partition, id.N, actorBytes(v.Dot.Actor), v.Dot.Counter))
	if err != nil {
		return fmt.Errorf("the value of %v: %w", v.Dot, err)
	}
	if uint64(len(value)) != v.Value.ValueBytes {
		return fmt.Errorf("the value of %v has %d bytes, its object says %d", v.Dot, len(value), v.Value.ValueBytes)
	}
	v.Value.Value = value
	return nil
}

// Key is one object opened for a step.
type Key struct {
	r            *Replica
	bucket, name string
	object       wire.Object
	dirty        bool
	// unlogged: the object has changed without a dot whose row could say so.
	unlogged bool
	// keyHash is ring.Hash of the names once it was needed.
	keyHash uint64
	hashed  bool
	// besides is what the replica knows of this key and does not store with it.
	besides vclock.DotSet
	// apart holds the dots whose values have rows of their own.
	apart []vclock.Dot
	// leaked: the object shows the effect of a dot that is void; touched is the
	// dot that tells others.
	leaked  bool
	touched vclock.Dot
	// expiries are the times at which the index has a row for the object.
	expiries []wire.Expiry
}

// Open takes an object as it was loaded. The Key owns it from here on.
func (r *Replica) Open(bucket, key string, object wire.Object) *Key {
	k := new(Key)
	r.Reopen(k, bucket, key, object)
	return k
}

// Reopen is Open with the memory of a key that nobody uses any more.
func (r *Replica) Reopen(k *Key, bucket, key string, object wire.Object) {
	*k = Key{r: r, bucket: bucket, name: key, object: object, expiries: expiriesOf(object), besides: r.besides(bucket, key)}
	for i := range object.Versions {
		if v := &object.Versions[i]; v.Value.Apart {
			k.apart = append(k.apart, v.Dot)
			v.Value.Apart = false
		}
	}
	k.dropVoid()
}

// hash is what request ids of this key are filed under.
func (k *Key) hash() uint64 {
	if !k.hashed {
		k.keyHash, k.hashed = ring.Hash(k.bucket, k.name), true
	}
	return k.keyHash
}

// ID names the replica that the object is of.
func (k *Key) ID() ID { return k.r.id }

// Object is the object as stored: unfilled.
func (k *Key) Object() wire.Object { return k.object }

// Filled is what may leave this replica (R5). It shares no memory that a later
// step changes.
func (k *Key) Filled() wire.Object {
	if !k.besides.IsEmpty() {
		return k.filledBesides()
	}
	return k.object.Fill(k.r.clock)
}

// Whole is the delta of the whole filled object that also carries d: what a
// coordinator sends when it meets a request that it has already served (R6).
func (k *Key) Whole(d vclock.Dot) wire.Delta {
	whole := wire.Delta{Siblings: k.Filled()}
	whole.Dots = whole.Siblings.Dots()
	whole.Dots.Add(d)
	return whole
}

// Again is Whole for a request that this replica has served before, to be acknowledged
// once more. A rebuild may have brought its value, and the clock comes with the last
// page: but who acknowledges a dot has it in its clock (R10), which others trust (R17).
func (k *Key) Again(d vclock.Dot, rows *storage.Batch) wire.Delta {
	k.Claim(rows)
	return k.Whole(d)
}

// Served finds the dot of a request this replica has seen before (R19).
func (k *Key) Served(id kindred.RequestID) (vclock.Dot, bool) {
	if id.IsZero() {
		return vclock.Dot{}, false
	}
	for _, v := range k.object.Versions {
		if v.Value.RequestID == id {
			return v.Dot, true
		}
	}
	for _, d := range k.r.recent.Dots(id, k.hash()) {
		if k.r.clock.Contains(d) {
			return d, true
		}
	}
	return vclock.Dot{}, false
}

// CheckRoom refuses a write that would make the object larger than its limits. It
// is asked before the dot is minted.
func (k *Key) CheckRoom(seen vclock.DotSet, blind bool, rec wire.Record) *kindred.Error {
	return CheckRoom(k.object.Versions, seen, blind, rec)
}

// CheckRoom refuses a write beside those versions that would pass the limits of an
// object: a blind put on too many siblings, or one that grows it beyond its size.
func CheckRoom(versions []vclock.Version[wire.Record], seen vclock.DotSet, blind bool, rec wire.Record) *kindred.Error {
	if n := len(versions); blind && n >= kindred.SiblingsMax {
		return &kindred.Error{
			Code: kindred.CodeSiblings, Field: "context", Limit: kindred.SiblingsMax, Got: n, Outcome: kindred.NotApplied,
			Message: fmt.Sprintf("the key has %d siblings, the limit for a blind put is %d: read it and put again with its context", n, kindred.SiblingsMax),
		}
	}
	before, after := 0, len(rec.Value)
	for _, v := range versions {
		before += len(v.Value.Value)
		if !seen.Contains(v.Dot) {
			after += len(v.Value.Value)
		}
	}
	if after > kindred.ObjectBytesMax && after > before {
		return kindred.TooLarge("object", kindred.ObjectBytesMax, after, "read the key and put again with its context, so that old siblings go")
	}
	return nil
}

// Write is a put at this replica, its coordinator (R6): it mints the dot,
// replaces what the writer had seen, and returns the delta for the others.
func (k *Key) Write(seen vclock.DotSet, rec wire.Record, rows *storage.Batch) (vclock.Dot, wire.Delta) {
	d := k.r.mint()
	delta := wire.Delta{Siblings: vclock.New(d, rec, seen), Dots: vclock.NewDotSet(d)}
	k.note()
	k.object.Discard(seen)
	k.object.Add(d, rec)
	k.commit(d, rec.RequestID, rows)
	return d, delta
}

// Delete is a delete at this replica: an event with a dot and no value.
func (k *Key) Delete(seen vclock.DotSet, id kindred.RequestID, rows *storage.Batch) (vclock.Dot, wire.Delta) {
	d := k.r.mint()
	delta := wire.Delta{Siblings: wire.Object{Context: seen.Clone()}, Dots: vclock.NewDotSet(d)}
	k.note()
	k.object.Discard(seen)
	k.commit(d, id, rows)
	return d, delta
}

func (k *Key) commit(d vclock.Dot, id kindred.RequestID, rows *storage.Batch) {
	k.r.clock.Add(d)
	k.r.recent.Add(id, k.hash(), d)
	k.dropServed()
	k.object.Strip(k.r.clock)
	k.r.log(rows, d, k, id, k.change())
	k.dirty = true
}

// Join merges what another replica sent with its promises (R3). It refuses a
// delta that no honest peer can have made, and one that a promise forbids (R14);
// then nothing has changed.
func (k *Key) Join(delta wire.Delta, ids []wire.DotRequest, rounds wire.Rounds, rows *storage.Batch) error {
	if k.Damaged() {
		return k.r.unspoken(k.bucket, k.name)
	}
	return k.join(delta, ids, rounds, rows)
}

func (k *Key) join(delta wire.Delta, ids []wire.DotRequest, rounds wire.Rounds, rows *storage.Batch) error {
	if err := k.r.admit(delta); err != nil {
		return err
	}
	fresh := delta.Dots.Minus(k.r.clock)
	if err := k.r.closing.refuse(k.r.closing.unheld(fresh, delta.Dots), rounds); err != nil {
		return err
	}
	for d := range fresh.Dots() {
		k.r.recent.Add(requestOf(d, delta, ids), k.hash(), d)
	}
	k.note()
	had := !k.object.Context.IsEmpty() // a merge strips it, and the row has to follow
	if k.besides.IsEmpty() {
		k.object.Merge(&k.r.clock, delta)
	} else {
		k.mergeBesides(delta)
	}
	k.dropServed()
	change := k.change()
	k.dirty = k.dirty || had || !delta.Context.IsEmpty()
	for d := range fresh.Dots() {
		k.r.log(rows, d, k, requestOf(d, delta, ids), change)
		change = 0 // the first dot's row says it for all
	}
	k.unlogged = k.unlogged || change != 0
	return nil
}

func requestOf(d vclock.Dot, delta wire.Delta, ids []wire.DotRequest) kindred.RequestID {
	for _, v := range delta.Versions {
		if v.Dot == d {
			return v.Value.RequestID
		}
	}
	for _, dr := range ids {
		if dr.Dot == d {
			return dr.ID
		}
	}
	return kindred.RequestID{}
}

// dropServed removes a live version whose request was also served by another
// dot that has been superseded since: it is a late retry of an old intention
// (R19). The dots of both are in the clock already.
func (k *Key) dropServed() {
	var late vclock.DotSet
	for _, v := range k.object.Versions {
		if v.Value.RequestID.IsZero() {
			continue
		}
		for _, d := range k.r.recent.Dots(v.Value.RequestID, k.hash()) {
			if d != v.Dot && k.r.clock.Contains(d) && !k.object.Has(d) {
				late.Add(v.Dot)
			}
		}
	}
	if !late.IsEmpty() {
		k.object.Discard(late)
		k.object.Strip(k.r.clock)
		k.dirty = true // what came and went at once is remembered too
	}
}

// Strip drops what the clock says by itself (R4).
func (k *Key) Strip() {
	before := k.object.Context.Exceptions() + k.object.Context.Actors()
	k.object.Strip(k.r.clock)
	k.dirty = k.dirty || k.object.Context.Exceptions()+k.object.Context.Actors() != before
}

// Save writes the object's row if a step changed it: one row however many steps
// there were. Large values get rows of their own, once.
func (k *Key) Save(rows *storage.Batch) {
	if k.leaked && !k.Damaged() && !k.r.Retired() {
		k.touch(rows)
	}
	if !k.dirty {
		return
	}
	k.dirty = false
	k.saveValues(rows)
	k.saveExpiries(rows)
	r := k.r
	r.row = storage.ObjectKey(r.row[:0], r.id.Partition, r.id.N, k.bucket, k.name)
	r.watched.add(r.row)
	if k.object.IsGone() {
		rows.Delete(r.row)
	} else {
		r.value = vclock.AppendSiblings(r.value[:0], k.object, appendStored)
		rows.Set(r.row, r.value)
	}
	if cap(r.value) > scratchBytesMax {
		r.value = nil
	}
	if k.unlogged {
		k.unlogged = false
		r.unsaved++
		r.Checkpoint(rows) // or a start would find the tree as it was before
	}
	if r.unsaved >= CheckpointEvery {
		r.Checkpoint(rows)
	}
}

func (k *Key) saveValues(rows *storage.Batch) {
	id := k.r.id
	var had, has vclock.DotSet
	for _, d := range k.apart {
		had.Add(d)
		if !k.object.Has(d) {
			rows.Delete(storage.ValueKey(nil, id.Partition, id.N, actorBytes(d.Actor), d.Counter))
		}
	}
	k.apart = k.apart[:0]
	for _, v := range k.object.Versions {
		if len(v.Value.Value) < ApartBytes {
			continue
		}
		if !had.Contains(v.Dot) && !has.Contains(v.Dot) {
			rows.Set(storage.ValueKey(nil, id.Partition, id.N, actorBytes(v.Dot.Actor), v.Dot.Counter), v.Value.Value)
		}
		has.Add(v.Dot)
		k.apart = append(k.apart, v.Dot)
	}
}

func appendStored(b []byte, rec wire.Record) []byte {
	if len(rec.Value) >= ApartBytes {
		return wire.AppendApart(b, rec)
	}
	return wire.AppendRecord(b, rec)
}
