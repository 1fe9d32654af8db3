package replica

import (
	"math"
	"slices"
	"strings"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

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
	beyond      vclock.DotSet
	// stained are void dots that a replica holds which has retired.
	stained vclock.DotSet
	// nameless: there are such that no log names.
	nameless bool
}

// Moment is that of now.
func (r *Replica) Moment() *Moment {
	m := &Moment{
		id: r.id, clock: r.clock.Clone(), void: r.closing.void.Clone(), passes: r.passes.clone(),
		damage: r.Damage(), beyond: r.damage.beyond.Clone(),
	}
	if r.Retired() {
		m.stained, m.nameless = m.void.Intersect(r.Logged()), !r.closing.nameless.IsEmpty()
	}
	return m
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

// readRange visits the rows of a stretch, one at least; take makes an item of each and
// says how much it holds beside the row.
func readRange(store storage.Snapshot, id ID, within Stretch, bytesMax int, take func(item *wire.RebuildItem, value []byte) (int, error)) (Range, error) {
	var read Range
	lo, hi := within.rows(id)
	size, bucket := 0, ""
	var bad error
	err := store.Scan(lo, hi, func(row, value []byte) bool {
		if size >= max(1, bytesMax) {
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
