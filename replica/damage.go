package replica

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// DamageError says that a stored object cannot be read, although it is there. It
// must be restored from other replicas and never be treated as absent.
type DamageError struct {
	ID          ID
	Bucket, Key string
	Cause       error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("object %s/%q of replica %v is damaged: %v", e.Bucket, e.Key, e.ID, e.Cause)
}

func (e *DamageError) Unwrap() error { return e.Cause }

// damaged makes a DamageError of what is the row's fault, and leaves alone what is
// not: a store that was closed.
func damaged(id ID, bucket, key string, err error) error {
	if errors.Is(err, storage.ErrClosed) {
		return err
	}
	return &DamageError{ID: id, Bucket: bucket, Key: key, Cause: err}
}

// damage is what a replica has lost of what its clock claims: its clock says that
// the dots have been applied, and the store does not show what came of them. Such
// a replica must not speak for the keys of a damaged leaf: filled with the clock,
// an object that was lost reads as one that was deleted, and everybody who hears
// that deletes it. Nor does it take anything for them, as if it were down: what it
// alone had taken it could not hand on, and nobody could restore it.
type damage struct {
	leaves hashtree.Set
	// lost are those of the leaves in which the hash tree misses something. In the
	// others all that lives is there, and what may be lost is only known to be gone.
	lost hashtree.Set
	// suspect: everything is doubted until the store has been looked through.
	suspect bool
	// beyond are dots of the clock that lie beyond its bases, and of which the contexts
	// of lost rows may have told. No other home need have such a row: one whose base
	// holds them has stripped it. So they are said of every key, as a base is, until
	// the base holds them.
	beyond vclock.DotSet
}

func (d damage) clone() damage {
	d.beyond = d.beyond.Clone()
	return d
}

// errUnspoken is why a replica has no part in what concerns a key.
var errUnspoken = errors.New("something that was stored near it is lost and is being restored")

func (r *Replica) unspoken(bucket, key string) error {
	return &DamageError{ID: r.id, Bucket: bucket, Key: key, Cause: errUnspoken}
}

// Damage are the leaves whose keys this replica must not speak for.
func (r *Replica) Damage() hashtree.Set {
	if r.damage.suspect {
		return hashtree.All()
	}
	return r.damage.leaves
}

// Damaged reports whether the replica may not speak for a key: it has lost
// something there, and is being restored.
func (r *Replica) Damaged(bucket, key string) bool {
	if !r.damage.suspect && r.damage.leaves.IsEmpty() {
		return false
	}
	leaves := r.Damage()
	return leaves.Has(hashtree.LeafOf(ring.Hash(bucket, key)))
}

// Doubted are the damaged leaves in which nothing that lives is lost, as the hash tree
// says: what is stored there is believed, and others are asked what is gone.
func (r *Replica) Doubted() hashtree.Set {
	doubted := r.damage.leaves
	for leaf := range r.damage.lost.Leaves() {
		doubted.Remove(leaf)
	}
	return doubted
}

// IsDamaged reports whether the replica may not speak for some key.
func (r *Replica) IsDamaged() bool { return r.damage.suspect || !r.damage.leaves.IsEmpty() }

// Suspect makes the replica speak for no key until it has been looked through:
// for a disk that is known to have lost something, nobody knows what.
func (r *Replica) Suspect() { r.damage.suspect = true }

// Damaged is Replica.Damaged for this key.
func (k *Key) Damaged() bool { return k.r.IsDamaged() && k.r.Damaged(k.bucket, k.name) }

func (r *Replica) readDamage(store storage.Snapshot) error {
	saved, err := store.Get(storage.DamageKey(nil, r.id.Partition, r.id.N))
	if err == storage.ErrNotFound {
		return nil
	}
	if err == nil {
		r.damage, err = decodeDamage(saved)
	}
	return err
}

// DecodeDamage reads the damaged leaves from the row of what a replica has lost.
func DecodeDamage(b []byte) (hashtree.Set, error) {
	d, err := decodeDamage(b)
	return d.leaves, err
}

// decodeDamage reads two sets of leaves and a set of dots.
func decodeDamage(b []byte) (d damage, err error) {
	const one, two = hashtree.SetBytes, 2 * hashtree.SetBytes
	if d.leaves, err = hashtree.DecodeSet(b[:min(len(b), one)]); err != nil {
		return d, err
	}
	if d.lost, err = hashtree.DecodeSet(b[one:min(len(b), two)]); err != nil {
		return d, err
	}
	var rest []byte
	d.beyond, rest, err = vclock.DecodeDotSet(b[two:])
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("the row goes on for %d bytes behind its end", len(rest))
	}
	return d, err
}

func (r *Replica) saveDamage(rows *storage.Batch) {
	row := storage.DamageKey(nil, r.id.Partition, r.id.N)
	d := &r.damage
	if d.leaves.IsEmpty() && d.beyond.IsEmpty() {
		rows.Delete(row)
		return
	}
	rows.Set(row, d.beyond.AppendTo(d.lost.AppendTo(d.leaves.AppendTo(nil))))
}

// claim says dots of the clock of every key, as far as its bases do not. Void ones are
// nobody's past: what may show their effect is to be touched (R15), and not filled.
func (r *Replica) claim(dots vclock.DotSet, rows *storage.Batch) {
	dots = dots.Minus(r.clock.Bases()).Minus(r.closing.void)
	if !r.damage.beyond.Covers(dots) {
		r.damage.beyond = joined(dots, r.damage.beyond) // who holds the old one keeps it
		r.saveDamage(rows)
	}
}

// unclaim leaves to the bases of the clock what they hold by now.
func (r *Replica) unclaim(rows *storage.Batch) {
	if r.damage.beyond.IsEmpty() {
		return
	}
	if left := r.damage.beyond.Minus(r.clock.Bases()); left.Compare(r.damage.beyond) != vclock.Equal {
		r.damage.beyond = left
		r.saveDamage(rows)
	}
}

// watchMax bounds what a watch remembers. A watch that saw more is blind: whoever
// asked for it begins again.
const watchMax = 1 << 16

// watch remembers the rows of objects that are written while somebody compares
// what is stored with something of an earlier moment.
type watch struct {
	rows map[string]struct{}
	// passed is a stretch of places that contains all that a rebuild has passed
	// meanwhile. Of its keys the replica has learned what no row need show.
	passed *stretch
}

// stretch is the places beyond after, up to a piece's end.
type stretch struct {
	after []byte
	upto  piece
}

func (w *watch) add(row []byte) {
	if w.rows != nil && len(w.rows) <= watchMax {
		w.rows[string(row)] = struct{}{}
	}
}

// pass remembers that a rebuild has passed the places beyond one, up to the end of
// a piece.
func (w *watch) pass(after []byte, upto piece) {
	if w.rows == nil {
		return
	}
	if w.passed == nil {
		w.passed = &stretch{after, upto}
		return
	}
	if bytes.Compare(after, w.passed.after) < 0 {
		w.passed.after = after
	}
	if upto.last || !w.passed.upto.holds(upto.upto) {
		w.passed.upto = upto
	}
}

// Watch begins to remember of which objects the replica learns from now on.
func (r *Replica) Watch() { r.watched = watch{rows: map[string]struct{}{}} }

// Unwatch stops remembering.
func (r *Replica) Unwatch() { r.watched = watch{} }

// Blind reports whether more was written than is remembered, or nobody watches.
func (r *Replica) Blind() bool { return r.watched.rows == nil || len(r.watched.rows) > watchMax }

// Touched reports whether an object was written since Watch, or a rebuild has passed
// its key: then the replica knows more of it, even if there is no object.
func (r *Replica) Touched(bucket, key string) bool {
	_, touched := r.watched.rows[string(storage.ObjectKey(nil, r.id.Partition, r.id.N, bucket, key))]
	if p := r.watched.passed; p != nil && !touched {
		at := place(nil, bucket, key)
		touched = bytes.Compare(at, p.after) > 0 && p.upto.holds(at)
	}
	return touched
}

// Quarantine takes note of what a survey found missing, changed or unreadable: the
// leaves are marked as damaged, all of them if it is not known which rows are gone;
// what cannot be read is removed, and the hash tree becomes that of what is left, so
// that it says the truth again. It is all in one batch. The ranges that it returns may
// be discarded, if that is possible, once the batch is durable and before anything
// else is written. The survey's moment is that of Watch.
func (r *Replica) Quarantine(found *Survey, rows *storage.Batch) []storage.KeyRange {
	lost, doubted := found.Lost(), found.Doubted()
	if r.damage.suspect { // the tree does not show what was only known to be gone
		doubted = hashtree.All()
	}
	r.damage.suspect = false
	if doubted.IsEmpty() {
		return nil
	}
	for leaf := range lost.Leaves() {
		r.tree.ChangeLeaf(leaf, found.Tree.Leaf(leaf)^found.Expected.Leaf(leaf))
		r.damage.lost.Add(leaf)
	}
	for leaf := range doubted.Leaves() {
		r.damage.leaves.Add(leaf)
	}
	r.claim(r.clock, rows)
	touched := slices.Sorted(maps.Keys(r.watched.rows))
	var discard []storage.KeyRange
	for _, gap := range found.Unreadable {
		if removeUntouched(gap, touched, rows) {
			discard = append(discard, gap)
		}
		if row, ok := bytes.CutSuffix(gap.Low, []byte{0}); ok { // the row before it is moved when it is discarded
			if _, _, bucket, key, err := storage.ParseObjectKey(row); err == nil {
				leaf := hashtree.LeafOf(ring.Hash(string(bucket), string(key)))
				r.damage.leaves.Add(leaf)
				r.damage.lost.Add(leaf)
			}
		}
	}
	r.saveDamage(rows)
	r.unsaved++
	r.Checkpoint(rows)
	return discard
}

// removeUntouched removes the rows of a range but for those that were written
// since it was found unreadable. It reports whether there were none of these.
func removeUntouched(gap storage.KeyRange, touched []string, rows *storage.Batch) bool {
	lo, whole := gap.Low, true
	for _, row := range touched {
		if row >= string(lo) && row < string(gap.High) {
			rows.DeleteRange(lo, []byte(row))
			lo, whole = append([]byte(row), 0), false
		}
	}
	rows.DeleteRange(lo, gap.High)
	return whole
}

// Mend takes the mark of damage off leaves whose keys have all been restored.
func (r *Replica) Mend(leaves hashtree.Set, rows *storage.Batch) {
	for leaf := range leaves.Leaves() {
		r.damage.leaves.Remove(leaf)
		r.damage.lost.Remove(leaf)
	}
	r.saveDamage(rows)
}

// Restore puts back what this replica has lost of a key, from the filled object of
// a home that had applied, of this key, whatever this replica's clock claims: so
// its live versions are live here as well, although the clock would take them for
// superseded (a join would, R3). The replica must not have learned anything of the
// key since that clock (Touched): it may be what superseded them. What the home knows
// beyond it is joined as ever.
func (k *Key) Restore(filled wire.Object, rounds wire.Rounds, rows *storage.Batch) error {
	before := objectHash(k.hash(), &k.object)
	var back vclock.DotSet
	for _, v := range filled.Versions {
		if k.r.clock.Contains(v.Dot) || k.besides.Contains(v.Dot) {
			back.Add(v.Dot)
		}
	}
	k.object.Drop(back) // one whose bytes have changed is not the one that was written
	for _, v := range filled.Versions {
		if back.Contains(v.Dot) {
			k.object.Add(v.Dot, v.Value)
		}
	}
	if by := before ^ objectHash(k.hash(), &k.object); by != 0 {
		k.r.tree.Change(k.hash(), by)
		k.apart = k.apart[:0] // rows of large values may be among what was lost
		k.dirty, k.unlogged = true, true
	}
	return k.Remember(filled, rounds, rows)
}

// Remember joins the filled object of another home, for the sake of what is gone, into
// one of which nothing that lives is lost.
func (k *Key) Remember(filled wire.Object, rounds wire.Rounds, rows *storage.Batch) error {
	return k.join(wire.Delta{Siblings: filled, Dots: filled.Dots()}, nil, rounds, rows)
}

// Diverged reports whether two filled objects cannot both be right: a has seen
// nothing that b has not, and b shows a version that a has seen and does not show.
// Whatever superseded it at a should have done so at b (I9).
func Diverged(a, b wire.Object) bool {
	seenByA, seenByB := a.Seen(), b.Seen()
	if !seenByB.Covers(seenByA) {
		return false
	}
	gone := b.Dots().Intersect(seenByA)
	return !gone.Minus(a.Dots()).IsEmpty()
}
