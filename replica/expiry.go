package replica

import (
	"fmt"
	"slices"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// A version that expires is a live version like any other, for joins, hashes,
// hints and exchange, until a home replica makes the event that ends it: a
// delete with a dot of its own, which has seen the versions that expired. Only the
// coordinator of a read looks at a clock. See docs/decisions.

// Expire ends the versions whose expiry is over by a clock that shows now. It
// reports false, and does nothing, if there is none. Where the last writer wins and
// the last version has expired, it takes along those that it has beaten: nobody is
// to see them again.
func (k *Key) Expire(now int64, lastWins bool, rows *storage.Batch) (wire.Delta, bool) {
	var over vclock.DotSet
	if last, ok := Last(k.object.Versions); ok && lastWins && last.Value.ExpiresAt.Over(now) {
		over = k.object.Dots()
	}
	for _, v := range k.object.Versions {
		if v.Value.ExpiresAt.Over(now) {
			over.Add(v.Dot)
		}
	}
	if over.IsEmpty() || k.Damaged() {
		return wire.Delta{}, false
	}
	return k.end(over, rows), true
}

// superseded is all that is known of the key but d and what is live. It is what a
// client would have seen that read the key as it was and took only the expired
// versions out of it. R2 demands that much: the causal past of an event holds
// that of the versions which it ends, and this is not stored apart.
func (k *Key) superseded(d vclock.Dot) vclock.DotSet {
	filled := k.Filled()
	rest := filled.Dots()
	rest.Add(d)
	return filled.Context.Minus(rest)
}

// Expires reports whether a live version expires at that very time. A row of the
// index that leads to an object where none does is a stray; see [Key.Forget].
func (k *Key) Expires(at wire.Expiry) bool {
	return slices.ContainsFunc(k.object.Versions, func(v vclock.Version[wire.Record]) bool { return v.Value.ExpiresAt == at })
}

// Forget takes a stray row out of the index. The rows of the object as it was
// opened are for Save to take out.
func (k *Key) Forget(at wire.Expiry, rows *storage.Batch) {
	if !slices.Contains(k.expiries, at) {
		rows.Delete(k.expiryRow(at))
	}
}

func (k *Key) expiryRow(at wire.Expiry) []byte {
	return storage.ExpiryKey(nil, k.r.id.Partition, k.r.id.N, uint64(at), k.bucket, k.name)
}

// expiriesOf lists when versions expire, each time once.
func expiriesOf(object wire.Object) (times []wire.Expiry) {
	for _, v := range object.Versions {
		if at := v.Value.ExpiresAt; at != 0 && !slices.Contains(times, at) {
			times = append(times, at)
		}
	}
	return times
}

// saveExpiries brings the index up to date with the object that is saved.
func (k *Key) saveExpiries(rows *storage.Batch) {
	times := expiriesOf(k.object)
	for _, at := range k.expiries {
		if !slices.Contains(times, at) {
			rows.Delete(k.expiryRow(at))
		}
	}
	for _, at := range times {
		if !slices.Contains(k.expiries, at) {
			rows.Set(k.expiryRow(at), nil)
			k.r.expiries.note(at)
		}
	}
	k.expiries = times
}

// Expiries is what a replica remembers of its index: no row is before Soonest.
type Expiries struct {
	soonest wire.Expiry
	sooner  bool
}

// Expiries is what is known of the replica's index.
func (r *Replica) Expiries() *Expiries { return &r.expiries }

// Soonest is when to look at the index; 0 if nothing in it expires.
func (e *Expiries) Soonest() wire.Expiry { return e.soonest }

// Sooner reports whether Soonest has come nearer since it was last asked.
func (e *Expiries) Sooner() bool {
	sooner := e.sooner
	e.sooner = false
	return sooner
}

// note takes a row that is in the index.
func (e *Expiries) note(at wire.Expiry) {
	if at != 0 && (e.soonest == 0 || at < e.soonest) {
		e.soonest, e.sooner = at, true
	}
}

// Read begins a reading of all that is due. What is noted from now on comes on
// top of what the reading finds.
func (e *Expiries) Read(id ID, until int64, limit int) *DueRead {
	ask := &DueRead{Replica: id, From: e.soonest, Until: until, Limit: limit}
	e.soonest = 0
	return ask
}

// Back takes back what a reading found and nobody has ended.
func (e *Expiries) Back(at wire.Expiry) {
	e.note(at)
	e.sooner = false
}

// DueRead asks for the objects that expire from From up to Until, by the index.
type DueRead struct {
	Replica ID
	From    wire.Expiry
	Until   int64
	Limit   int
}

// DueKey is a row of the index.
type DueKey struct {
	At          wire.Expiry
	Bucket, Key string
}

// DueReply is what a DueRead found. Next is the first row that it left; 0 if
// there is none.
type DueReply struct {
	Keys []DueKey
	Next wire.Expiry
	Err  error
}

// Due reads the index in a snapshot. It need not be of the moment of any clock:
// what it finds is looked at again, key by key.
func Due(store storage.Snapshot, ask *DueRead) (reply DueReply) {
	_, hi := storage.ExpiryRange(ask.Replica.Partition, ask.Replica.N)
	lo := storage.ExpiryKey(nil, ask.Replica.Partition, ask.Replica.N, uint64(ask.From), "", "")
	lo = lo[:len(lo)-1] // the length of no bucket
	var bad error
	err := store.Scan(lo, hi, func(row, _ []byte) bool {
		_, _, at, bucket, key, err := storage.ParseExpiryKey(row)
		if err != nil {
			bad = err
			return false
		}
		if len(reply.Keys) >= ask.Limit || int64(at) > ask.Until {
			reply.Next = wire.Expiry(at)
			return false
		}
		reply.Keys = append(reply.Keys, DueKey{At: wire.Expiry(at), Bucket: string(bucket), Key: string(key)})
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return DueReply{Err: fmt.Errorf("replica %v: reading what expires: %w", ask.Replica, err)}
	}
	return reply
}

// recoverExpiries finds the first row of the index.
func (r *Replica) recoverExpiries(store storage.Snapshot) error {
	reply := Due(store, &DueRead{Replica: r.id, Until: -1})
	r.expiries.note(reply.Next)
	return reply.Err
}
