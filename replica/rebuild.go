package replica

import (
	"bytes"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy/hashtree"
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
// yet; beyond it no other begins.
const PassesMax = 8

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
		switch p := ps[i].at(at); {
		case p == nil:
		case known.IsEmpty():
			known = p.knows // shared: whoever changes it copies it first
		default:
			known = known.Clone()
			known.Union(p.knows)
		}
	}
	return known
}

// passed is what the replica knows of a key because of a rebuild. The set is
// shared.
func (r *Replica) passed(bucket, key string) vclock.DotSet {
	if len(r.passes) == 0 {
		return vclock.DotSet{}
	}
	r.row = place(r.row[:0], bucket, key)
	return r.passes.knows(r.row)
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
	if n := len(newest.pieces); n > 0 && newest.pieces[n-1].sameClocks(&next) {
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

// Passes is the number of passes that are kept.
func (r *Replica) Passes() int { return len(r.passes) }

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
// not say: complete ones, and ones that another has taken the place of.
func (r *Replica) DropCovered(rows *storage.Batch) {
	kept := r.passes[:0]
	for i, p := range r.passes {
		open := i == len(r.passes)-1 && !p.complete()
		covered := !slices.ContainsFunc(p.pieces, func(p piece) bool { return !r.clock.Covers(p.knows) })
		if open || !covered {
			kept = append(kept, p)
			continue
		}
		rows.DeleteRange(storage.RebuildPassRange(r.id.Partition, r.id.N, p.number))
	}
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
	if !k.passed.IsEmpty() {
		known = known.Clone()
		known.Union(k.passed)
	}
	k.note()
	k.object.MergeVersions(known, wire.Delta{Siblings: wire.Object{Versions: from.Versions, Context: knows}})
	k.object.Context.Union(from.Context)
	if whole {
		k.object.Context.Union(c.Knows)
		c0 = vclock.DotSet{}
	}
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

// mergePassed is Merge for a key of which a rebuild lets the replica know more.
// What the delta says is stored as always: the pass may be given up.
func (k *Key) mergePassed(delta wire.Delta) {
	known := k.r.clock.Clone()
	known.Union(k.passed)
	k.object.MergeVersions(known, delta)
	k.r.clock.Union(delta.Dots)
	k.object.Context.Union(delta.Context)
	k.object.Strip(k.r.clock)
}

func (k *Key) filledPassed() wire.Object {
	filled := k.object.Fill(k.r.clock)
	filled.Context.Union(k.passed)
	return filled
}

const pieceForm = 1

// appendPiece appends the stored form: the form, whether it goes to the end, the
// two clocks, the place.
func appendPiece(b []byte, p piece) []byte {
	last := byte(0)
	if p.last {
		last = 1
	}
	b = p.clock.AppendTo(append(b, pieceForm, last))
	return append(p.knows.Minus(p.clock).AppendTo(b), p.upto...)
}

func parsePiece(b []byte) (piece, error) {
	refuse := func(reason string) (piece, error) {
		return piece{}, &storage.RowError{Row: "piece of a rebuild", Bytes: b, Reason: reason}
	}
	if len(b) < 2 || b[0] != pieceForm || b[1] > 1 {
		return refuse("its head is unknown")
	}
	clock, rest, err := vclock.DecodeDotSet(b[2:])
	if err != nil {
		return refuse(err.Error())
	}
	besides, upto, err := vclock.DecodeDotSet(rest)
	if err != nil {
		return refuse(err.Error())
	}
	p := piece{clock: clock, knows: clock, last: b[1] == 1}
	if !besides.IsEmpty() {
		p.knows = clock.Clone()
		p.knows.Union(besides)
	}
	if !p.last {
		p.upto = slices.Clone(upto)
	}
	if p.last != (len(upto) == 0) || !p.last && len(upto) < 1+int(upto[0]) {
		return refuse("its end is no key")
	}
	return p, nil
}

// readPasses reads the pieces of a replica.
func readPasses(id ID, store storage.Snapshot) (ps passes, err error) {
	lo, hi := storage.RebuildRange(id.Partition, id.N)
	var bad error
	err = store.Scan(lo, hi, func(row, value []byte) bool {
		var p piece
		var number uint32
		if _, _, number, _, bad = storage.ParseRebuildKey(row); bad == nil {
			p, bad = parsePiece(slices.Clone(value))
		}
		if bad != nil {
			return false
		}
		if n := len(ps); n == 0 || ps[n-1].number != number {
			ps = append(ps, pass{number: number})
		}
		newest := &ps[len(ps)-1]
		newest.pieces = append(newest.pieces, p)
		return true
	})
	if err == nil {
		err = bad
	}
	return ps, err
}

// Moment is what of a replica has to be of the moment of a snapshot, so that its
// objects can be read from that.
type Moment struct {
	id ID
	// clock is the whole clock, void are the dots of it that nobody has.
	clock, void vclock.DotSet
	passes      passes
	damage      hashtree.Set
}

// Moment is that of now.
func (r *Replica) Moment() *Moment {
	return &Moment{id: r.id, clock: r.clock.Clone(), void: r.closing.void.Clone(), passes: r.passes.clone(), damage: r.Damage()}
}

// Stretch is a part of a replica's keys in the order of rows: those beyond After,
// if it is Begun, up to To, if it Ends.
type Stretch struct {
	Begun           bool
	Bucket, Key     string
	Ends            bool
	ToBucket, ToKey string
}

// Range is what is stored in a stretch.
type Range struct {
	Items []wire.RebuildItem
	// More: the reading ended at its limit, at the last of the items.
	More bool
}

// ReadRange reads objects as they are stored, with all their values, up to a
// limit of bytes, of which the last object may be beyond.
func ReadRange(store storage.Snapshot, id ID, within Stretch, bytesMax int) (Range, error) {
	return readRange(store, id, within, bytesMax, func(item *wire.RebuildItem, value []byte) (size int, err error) {
		if item.Object, err = decodeObject(store, id, item.Bucket, item.Key, slices.Clone(value)); err != nil {
			return 0, err
		}
		for _, v := range item.Object.Versions {
			if v.Value.Apart {
				size += len(v.Value.Value)
			}
		}
		return size, nil
	})
}

// readRange visits the rows of a stretch; take makes an item of each and says how
// much it holds beside the row.
func readRange(store storage.Snapshot, id ID, within Stretch, bytesMax int, take func(item *wire.RebuildItem, value []byte) (int, error)) (Range, error) {
	var read Range
	lo, hi := within.rows(id)
	size, bucket := 0, ""
	var bad error
	err := store.Scan(lo, hi, func(row, value []byte) bool {
		if size >= bytesMax {
			read.More = true
			return false
		}
		var b, key []byte
		if _, _, b, key, bad = storage.ParseObjectKey(row); bad != nil {
			return false
		}
		if string(b) != bucket {
			bucket = string(b)
		}
		item := wire.RebuildItem{Bucket: bucket, Key: string(key)}
		var besides int
		if besides, bad = take(&item, value); bad != nil {
			return false
		}
		size += len(row) + len(value) + besides
		read.Items = append(read.Items, item)
		return true
	})
	if err == nil {
		err = bad
	}
	return read, err
}

// hasValuesApart reports whether any value of a replica lies in its own row.
func hasValuesApart(store storage.Snapshot, id ID) (found bool, err error) {
	values := storage.ReplicaRanges(id.Partition, id.N)[3]
	err = store.Scan(values.Low, values.High, func(_, _ []byte) bool {
		found = true
		return false
	})
	return found, err
}

// rows is the range of the rows of a stretch.
func (s Stretch) rows(id ID) (lo, hi []byte) {
	objects := storage.ReplicaObjects(id.Partition, id.N)
	lo, hi = objects.Low, objects.High
	if s.Begun {
		lo = append(storage.ObjectKey(nil, id.Partition, id.N, s.Bucket, s.Key), 0)
	}
	if s.Ends {
		hi = append(storage.ObjectKey(nil, id.Partition, id.N, s.ToBucket, s.ToKey), 0)
	}
	return lo, hi
}

// Serve answers a rebuilding replica from a snapshot (R13). An object that cannot
// be read fails the page: one that skipped it would say that the key was deleted.
func (m *Moment) Serve(store storage.Snapshot, ask *wire.RebuildRead) *wire.RebuildPage {
	if !m.damage.IsEmpty() { // a page without what was lost says that it was deleted
		return &wire.RebuildPage{Head: ask.Head, Op: ask.Op, Failed: "has lost something itself and is being restored"}
	}
	within := Stretch{Begun: ask.From, Bucket: ask.Bucket, Key: ask.Key}
	knows := m.passes.from(&within)
	read, err := m.read(store, within, min(int(min(ask.BytesMax, math.MaxInt32)), PageBytesMax))
	if err != nil {
		return &wire.RebuildPage{Head: ask.Head, Op: ask.Op, Failed: err.Error()}
	}
	// Void dots come with the record that made them void.
	page := &wire.RebuildPage{Head: ask.Head, Op: ask.Op, Clock: m.clock.Minus(m.void), Knows: knows, Items: read.Items}
	switch {
	case read.More:
		last := page.Items[len(page.Items)-1]
		page.More, page.EndBucket, page.EndKey = true, last.Bucket, last.Key
	case within.Ends:
		page.More, page.EndBucket, page.EndKey = true, within.ToBucket, within.ToKey
	}
	return page
}

// read reads objects in the form in which they travel: the stored one, unless
// values have to be brought in.
func (m *Moment) read(store storage.Snapshot, within Stretch, bytesMax int) (Range, error) {
	apart, err := hasValuesApart(store, m.id)
	if err != nil {
		return Range{}, err
	}
	if !apart {
		return readRange(store, m.id, within, bytesMax, func(item *wire.RebuildItem, value []byte) (int, error) {
			item.Stored = slices.Clone(value)
			return 0, nil
		})
	}
	read, err := ReadRange(store, m.id, within, bytesMax)
	for i := range read.Items {
		for j := range read.Items[i].Object.Versions {
			read.Items[i].Object.Versions[j].Value.Apart = false
		}
	}
	return read, err
}

// from is what the pieces say of the keys of a stretch, and ends the stretch where
// they begin to say something else.
func (ps passes) from(within *Stretch) vclock.DotSet {
	if len(ps) == 0 {
		return vclock.DotSet{}
	}
	var next []byte // the least place of the stretch
	if within.Begun {
		next = append(place(nil, within.Bucket, within.Key), 0)
	}
	for i := range ps {
		p := ps[i].at(next)
		if p == nil || p.last {
			continue
		}
		if b, k := placeParts(p.upto); !within.Ends || ComparePlaces(b, k, within.ToBucket, within.ToKey) < 0 {
			within.Ends, within.ToBucket, within.ToKey = true, b, k
		}
	}
	return ps.knows(next)
}

// ComparePlaces orders keys as their rows lie.
func ComparePlaces(bucketA, keyA, bucketB, keyB string) int {
	if len(bucketA) != len(bucketB) {
		return len(bucketA) - len(bucketB)
	}
	if c := strings.Compare(bucketA, bucketB); c != 0 {
		return c
	}
	return strings.Compare(keyA, keyB)
}
