package replica

import (
	"bytes"
	"slices"
	"sort"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Knows is what a stored replica knows of a key by its rebuild.
func Knows(store storage.Snapshot, id ID, bucket, key string) (vclock.DotSet, error) {
	ps, err := readPasses(id, store)
	return ps.knows(place(nil, bucket, key)), err
}

// PiecesMax bounds the ranges of keys that a rebuild keeps apart because they
// were copied as of different clocks. A source that takes no writes makes one of
// them, one under load one for each page.
const PiecesMax = 64 << 10

// PassesMax bounds the passes that are kept because the clock does not cover them
// yet; beyond it no other begins, but for one that is needed, up to PassesNeededMax.
const PassesMax, PassesNeededMax = 8, 64

// A rebuild copies the keys of another home replica, the source, in the order of
// rows, a page at a time (R13). A page was read from one snapshot, and for the
// keys in its range the source then knew what its whole clock said: what it shows
// is live, what it does not show and its clock contains is superseded or deleted.
// The replica that takes the page over knows the same of these keys from then on.
// It must not forget it, or a late write to a passed key would be taken for news
// and come back (C13). But the clock speaks of all keys and cannot say it yet.
//
// So the replica keeps, beside its clock, pieces: a range of keys, and the clock
// as of which it was copied. For a key in a piece E_k = V ∪ C ∪ (the piece's
// clock). Pieces are rows, written in one batch with the objects they speak of,
// so that a crash takes both or neither. They cost one row a page instead of a
// context in each object, and they speak of keys that have no record too.
//
// A pass is the walk through all keys. C0 is the clock of its first page; every
// later page has to come from a replica whose clock covers C0, be it the same or
// another. Hence at the end every dot of C0 has its effect here, and the clock
// takes C0 in. Pieces go when the clock covers them.

// piece is a range of keys that was copied as of one clock: those beyond the
// piece before it, up to upto.
type piece struct {
	// clock is that of the source, knows what it knew of these keys: the clock,
	// and more if it was in a rebuild itself.
	clock, knows vclock.DotSet
	// upto is the end of the last row of the range, see place; at the end of all
	// keys it is empty and last is set.
	upto []byte
	last bool
}

// pass is one walk through all keys. Only the newest goes on.
type pass struct {
	number uint32
	pieces []piece
}

type passes []pass

// place is where a key stands in the order of rows, within its replica.
func place(to []byte, bucket, key string) []byte {
	to = append(to, byte(len(bucket)))
	return append(append(to, bucket...), key...)
}

// placeParts takes a place apart.
func placeParts(at []byte) (bucket, key string) {
	n := int(at[0])
	return string(at[1 : 1+n]), string(at[1+n:])
}

// holds reports whether the range of the piece ends at or beyond a place.
func (p *piece) holds(at []byte) bool { return p.last || bytes.Compare(at, p.upto) <= 0 }

func (p *pass) complete() bool { return p.pieces[len(p.pieces)-1].last }

// at finds the piece that a place lies in.
func (p *pass) at(at []byte) *piece {
	i := sort.Search(len(p.pieces), func(i int) bool { return p.pieces[i].holds(at) })
	if i == len(p.pieces) {
		return nil
	}
	return &p.pieces[i]
}

func (ps passes) clone() passes {
	ps = slices.Clone(ps)
	for i := range ps {
		ps[i].pieces = slices.Clone(ps[i].pieces)
	}
	return ps
}

// knows is what the pieces say of the key at that place.
func (ps passes) knows(at []byte) vclock.DotSet {
	var known vclock.DotSet
	for i := range ps {
		if p := ps[i].at(at); p != nil {
			known = joined(known, p.knows)
		}
	}
	return known
}

// besides is what the replica knows of a key and neither its object nor the base of
// its clock says: by a rebuild, or by a row that it may have lost. The set is shared.
func (r *Replica) besides(bucket, key string) vclock.DotSet {
	if len(r.passes) == 0 {
		return r.damage.beyond
	}
	r.row = place(r.row[:0], bucket, key)
	return joined(r.passes.knows(r.row), r.damage.beyond)
}

// joined is a union that shares memory with its parts.
func joined(a, b vclock.DotSet) vclock.DotSet {
	if a.IsEmpty() {
		return b
	}
	if !b.IsEmpty() {
		a = a.Clone()
		a.Union(b)
	}
	return a
}

// Rebuilding reports whether the replica is in a rebuild, or knows things of its
// keys that its clock does not say yet. So long it shows nothing to readers.
func (r *Replica) Rebuilding() bool { return len(r.passes) > 0 }

// Copying reports whether a pass goes on, and after which key; began says whether
// there is one, and c0 is the clock that its sources have to cover.
func (r *Replica) Copying() (c0 vclock.DotSet, bucket, key string, copying bool) {
	if len(r.passes) == 0 {
		return vclock.DotSet{}, "", "", false
	}
	newest := &r.passes[len(r.passes)-1]
	if newest.complete() {
		return vclock.DotSet{}, "", "", false
	}
	bucket, key = placeParts(newest.pieces[len(newest.pieces)-1].upto)
	return newest.pieces[0].clock, bucket, key, true
}

// Copied says what a page of a pass is worth: the range of keys that it speaks of
// ends at End, and its source's clock was Clock.
type Copied struct {
	Clock, Knows vclock.DotSet
	// First: a new pass begins, whatever became of the one before.
	First bool
	// Last: the range goes to the end of all keys; otherwise up to that key.
	Last        bool
	Bucket, Key string
}

// CopiedBy is the worth of a page.
func CopiedBy(page *wire.RebuildPage, first bool) Copied {
	c := Copied{Clock: page.Clock, Knows: page.Clock, First: first, Last: !page.More, Bucket: page.EndBucket, Key: page.EndKey}
	if !page.Knows.IsEmpty() {
		c.Knows = page.Clock.Clone()
		c.Knows.Union(page.Knows)
	}
	return c
}

// Passed notes that all keys up to an end are as they were at a source. Their
// objects must be in the same batch. With the last page the clock takes over what
// the pass began with.
func (r *Replica) Passed(c Copied, rows *storage.Batch) {
	if c.First {
		number := uint32(1)
		if n := len(r.passes); n > 0 {
			number = r.passes[n-1].number + 1
		}
		r.passes = append(r.passes, pass{number: number})
	}
	newest := &r.passes[len(r.passes)-1]
	next := piece{clock: c.Clock, knows: c.Knows, last: c.Last}
	if !c.Last {
		next.upto = place(nil, c.Bucket, c.Key)
	}
	var after []byte
	n := len(newest.pieces)
	if n > 0 {
		after = newest.pieces[n-1].upto
	}
	r.watched.pass(after, next)
	if n > 0 && newest.pieces[n-1].sameClocks(&next) {
		newest.pieces[n-1] = next
	} else {
		newest.pieces = append(newest.pieces, next)
	}
	index := uint32(len(newest.pieces) - 1)
	rows.Set(storage.RebuildKey(nil, r.id.Partition, r.id.N, newest.number, index), appendPiece(nil, next))
	if c.Last {
		r.floor.Union(newest.pieces[0].clock.Minus(r.clock))
		r.clock.Union(newest.pieces[0].clock)
		r.DropCovered(rows)
	}
	r.unsaved++
	r.Checkpoint(rows) // what the page changed in the hash tree is in no log
}

func (p *piece) sameClocks(o *piece) bool {
	return p.clock.Compare(o.clock) == vclock.Equal && p.knows.Compare(o.knows) == vclock.Equal
}

// MayPass reports whether another pass may begin. One is needed that brings dots which
// no log names any more: the passes that are kept may wait for these very dots, and
// then nothing else ends them.
func (r *Replica) MayPass(needed bool) bool {
	if needed {
		return len(r.passes) < PassesNeededMax
	}
	return len(r.passes) < PassesMax
}

// Pieces is the number of pieces that are kept.
func (r *Replica) Pieces() (n int) {
	for i := range r.passes {
		n += len(r.passes[i].pieces)
	}
	return n
}

// Lacks is what the replica knows of keys and its clock does not cover: dots that
// an exchange has to bring yet.
func (r *Replica) Lacks() vclock.DotSet {
	var lacks vclock.DotSet
	for i := range r.passes {
		for _, p := range r.passes[i].pieces {
			lacks.Union(p.knows.Minus(r.clock))
		}
	}
	return lacks
}

// DropCovered forgets passes that have ended and say nothing that the clock does
// not say: complete ones, and ones that another has taken the place of. The newest
// stays as long as any before it does, or one that was given up would be the newest
// and pass for one that goes on.
func (r *Replica) DropCovered(rows *storage.Batch) {
	kept := r.passes[:0]
	var knew vclock.DotSet
	for i, p := range r.passes {
		newest := i == len(r.passes)-1
		open := newest && !p.complete()
		covered := !slices.ContainsFunc(p.pieces, func(p piece) bool { return !r.clock.Covers(p.knows) })
		if open || !covered || newest && len(kept) > 0 {
			kept = append(kept, p)
			continue
		}
		for i := range p.pieces {
			knew.Union(p.pieces[i].knows)
		}
		rows.DeleteRange(storage.RebuildPassRange(r.id.Partition, r.id.N, p.number))
	}
	r.claim(knew, rows) // a source may have lost rows
	clear(r.passes[len(kept):])
	if r.passes = kept; len(kept) == 0 {
		r.passes = nil
	}
}

// CheckPage refuses a page for a rebuild that no honest peer can have sent in
// answer to a question about that stretch, and one that a promise forbids (R14).
func (r *Replica) CheckPage(page *wire.RebuildPage, within Stretch) error {
	if r.forges(page.Clock) || r.forges(page.Knows) {
		return kindred.Invalid("clock", "a page speaks of dots of %v, which this very incarnation has not minted", r.actor)
	}
	if page.More && within.Begun && ComparePlaces(page.EndBucket, page.EndKey, within.Bucket, within.Key) <= 0 {
		return kindred.Invalid("end", "a page ends before it begins")
	}
	after := within
	for i := range page.Items {
		item := &page.Items[i]
		if after.Begun && ComparePlaces(item.Bucket, item.Key, after.Bucket, after.Key) <= 0 ||
			page.More && ComparePlaces(item.Bucket, item.Key, page.EndBucket, page.EndKey) > 0 {
			return kindred.Invalid("items", "a page has keys out of order")
		}
		after = Stretch{Begun: true, Bucket: item.Bucket, Key: item.Key}
		if err := r.checkObject(item.Object); err != nil {
			return err
		}
	}
	return r.CheckPromises(page)
}

// CheckPromises is R14 for a page: a promise that was made after the page had been
// checked forbids it as well, until it is taken over.
func (r *Replica) CheckPromises(page *wire.RebuildPage) error {
	return r.closing.refuse(page.Clock.Minus(r.clock), page.Rounds)
}

// Unclaimed reports whether an object has live versions that the clock does not
// have.
func (r *Replica) Unclaimed(item *wire.RebuildItem) bool {
	return slices.ContainsFunc(item.Object.Versions, func(v vclock.Version[wire.Record]) bool { return !r.clock.Contains(v.Dot) })
}

// Copy takes over the object of a key as it is at the source of a page, empty if
// there is none. C0 is the clock of the pass's first page: live versions beyond it
// are logged, because the end of the pass does not bring them.
//
// Unless the caller notes in the same batch that the key is passed, it has to be
// whole: then what the source knew goes into the key's own context, and all live
// versions are logged.
func (k *Key) Copy(from wire.Object, c Copied, c0 vclock.DotSet, whole bool, rows *storage.Batch) error {
	if err := k.r.checkObject(from); err != nil {
		return err
	}
	had := !k.object.Context.IsEmpty()
	knows, known := c.Knows, k.r.clock
	if !from.Context.IsEmpty() {
		knows = knows.Clone()
		knows.Union(from.Context)
	}
	if !k.besides.IsEmpty() {
		known = known.Clone()
		known.Union(k.besides)
	}
	k.note()
	k.object.MergeVersions(known, wire.Delta{Siblings: wire.Object{Versions: from.Versions, Context: knows}})
	k.object.Context.Union(from.Context)
	if whole {
		k.object.Context.Union(c.Knows)
		c0 = vclock.DotSet{}
	}
	k.dropServed()
	change := k.change()
	change = k.logLive(c0, change, rows)
	k.unlogged = k.unlogged || whole && change != 0 // Passed saves the hash tree too
	k.object.Strip(k.r.clock)
	k.dirty = k.dirty || had || !k.object.Context.IsEmpty()
	return nil
}

// checkObject refuses an object that no honest peer can have.
func (r *Replica) checkObject(o wire.Object) error {
	if err := o.Check(); err != nil {
		return err
	}
	if r.forges(o.Context) || r.forges(o.Dots()) {
		return kindred.Invalid("object", "an object of a page speaks of dots of %v, which this very incarnation has not minted", r.actor)
	}
	return nil
}

// Claim logs the live versions that the clock does not have yet, so that others
// get them from here although the pass that brought them never ends.
func (k *Key) Claim(rows *storage.Batch) { k.logLive(vclock.DotSet{}, 0, rows) }

// logLive logs the live versions that the clock does not have, except for some.
// The first row tells what the step has changed; what no row tells is left.
func (k *Key) logLive(without vclock.DotSet, change uint64, rows *storage.Batch) (left uint64) {
	for _, v := range k.object.Versions {
		if !without.Contains(v.Dot) && k.r.clock.Add(v.Dot) {
			k.r.recent.Add(v.Value.RequestID, k.hash(), v.Dot)
			k.r.log(rows, v.Dot, k, v.Value.RequestID, change)
			change = 0
		}
	}
	return change
}

// mergeBesides is Merge for a key of which the replica knows more than it stores.
// What the delta says is stored as always: the pass may be given up.
func (k *Key) mergeBesides(delta wire.Delta) {
	known := k.r.clock.Clone()
	known.Union(k.besides)
	k.object.MergeVersions(known, delta)
	k.r.clock.Union(delta.Dots)
	k.object.Context.Union(delta.Context)
	k.object.Strip(k.r.clock)
}

func (k *Key) filledBesides() wire.Object {
	filled := k.object.Fill(k.r.clock)
	filled.Context.Union(k.besides)
	return filled
}
