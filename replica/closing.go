package replica

import (
	"fmt"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Fence says which dots of dead incarnations may still come in (R14).
type Fence interface {
	// Refuse says why dots that are news here may not be taken from a sender with
	// these promises, or nil.
	Refuse(unknown vclock.DotSet, sent wire.Rounds) error
	// VoidDigest tells whether two know the same to be void.
	VoidDigest() uint64
}

// closing is what a replica knows of incarnations that are being closed.
type closing struct {
	fence Fence
	// void holds the dots that nobody has and nobody will have. Objects that may
	// show the effect of those in unswept have not all been looked at.
	void, unswept vclock.DotSet
	// nameless are those of unswept that were held here, perhaps, before they were known
	// to be void, and that no log names: their effect may show in any object.
	nameless vclock.DotSet
	// retired: objects stay as they are stored.
	retired bool
}

func (c *closing) refuse(unknown vclock.DotSet, sent wire.Rounds) error {
	if c.fence == nil || unknown.IsEmpty() {
		return nil
	}
	return c.fence.Refuse(unknown, sent)
}

// unheld are the dots of a delta that the replica does not hold: those that are
// fresh, and those that are void, which its clock has. A write of a dead incarnation
// may come after all have learned that its dot is void: it brings no version any
// more, and must not take away what it had seen.
func (c *closing) unheld(fresh, dots vclock.DotSet) vclock.DotSet {
	if c.void.IsEmpty() {
		return fresh
	}
	late := dots.Intersect(c.void)
	if late.IsEmpty() {
		return fresh
	}
	late.Union(fresh)
	return late
}

func (c *closing) clone() closing {
	return closing{fence: c.fence, void: c.void.Clone(), unswept: c.unswept.Clone(), nameless: c.nameless.Clone(), retired: c.retired}
}

// SetFence makes the replica ask before it takes dots that are news to it.
func (r *Replica) SetFence(fence Fence) { r.closing.fence = fence }

// Void takes in that these dots are held nowhere and never will be (R15): the
// clock has them from now on, so that it has no gap there. Who calls it writes a
// row that says so in the same batch, and gives it back after every Recover with
// VoidAgain. No log has void dots, but for those that an old disk brought back, which
// Prune takes out. It refuses dots of this very incarnation.
//
// Until Swept is called for them, an object that is opened and remembers one of
// them is touched when it is saved.
func (r *Replica) Void(dots vclock.DotSet) error {
	held := dots.Minus(r.closing.void).Intersect(r.floor)
	if err := r.VoidAgain(dots, false); err != nil {
		return err
	}
	r.closing.nameless.Union(held)
	return nil
}

// VoidAgain is Void for dots that were void before a start, which are below the floor
// since then, held or not. Nameless is what Nameless has said of them.
func (r *Replica) VoidAgain(dots vclock.DotSet, nameless bool) error {
	if dots.Max(r.actor) > 0 {
		return kindred.Invalid("dots", "%v is this very incarnation and cannot be closed", r.actor)
	}
	if nameless {
		r.closing.nameless.Union(dots.Intersect(r.floor))
	}
	r.closing.void.Union(dots)
	r.closing.unswept.Union(dots)
	r.floor.Union(dots.Minus(r.Logged()))
	r.clock.Union(dots)
	return nil
}

// Nameless reports whether some of these void dots were held here, perhaps, before they
// were known to be void, and no log names them: their effect may show in any object.
func (r *Replica) Nameless(dots vclock.DotSet) bool {
	return !r.closing.nameless.Intersect(dots).IsEmpty()
}

// Held is the clock without the dots that are void. The caller must not change it.
func (r *Replica) Held() vclock.DotSet {
	if r.closing.void.IsEmpty() {
		return r.clock
	}
	return r.clock.Minus(r.closing.void)
}

// Swept takes in that every stored object that remembered one of these dots has
// been opened and saved since Void.
func (r *Replica) Swept(dots vclock.DotSet) {
	r.closing.unswept = r.closing.unswept.Minus(dots)
	r.closing.nameless = r.closing.nameless.Minus(dots)
}

// dropVoid takes void dots out of an object that has just been read. If it
// remembered any, it shows the effect of an event that nobody can name any more:
// the event's dot was lost, and what it had superseded is gone here and may be
// alive elsewhere (C8).
func (k *Key) dropVoid() {
	unswept := k.r.closing.unswept
	if unswept.IsEmpty() || k.r.closing.retired {
		return
	}
	if !k.object.Context.Intersect(unswept).IsEmpty() {
		k.object.Context = k.object.Context.Minus(unswept)
		k.leaked, k.dirty = true, true
	}
	if !k.object.Dots().Intersect(unswept).IsEmpty() {
		k.note()
		k.object.Drop(unswept)
		k.unlogged = k.change() != 0 || k.unlogged
	}
}

// Mend is Join for read repair, which brings what replicas showed before it was
// durable there. If it takes a version away and speaks of void dots, that may be
// the effect of an event whose dot is lost: the object is touched. So it is if the
// repair leaves a memory, by which a version that comes later passes for gone, and
// was made by somebody who knew other dots to be void than this replica does: it may be
// of before they were. Void is the digest of what its makers knew.
//
// What brings a dot without its version is no repair: it names the event.
func (k *Key) Mend(delta wire.Delta, rounds wire.Rounds, void uint64, rows *storage.Batch) error {
	if delta.Dots.Compare(delta.Siblings.Dots()) != vclock.Equal {
		return k.Join(delta, nil, rounds, rows)
	}
	before, knew := k.object.Dots(), k.object.Context.Clone()
	if err := k.Join(delta, nil, rounds, rows); err != nil {
		return err
	}
	gone := before.Minus(k.object.Dots())
	if !gone.IsEmpty() || !k.r.closing.same(void) && !knew.Covers(k.object.Context) {
		k.leaked = k.leaked || !delta.Context.Intersect(k.r.closing.void).IsEmpty()
	}
	return nil
}

// same reports whether the digest is of what this replica knows to be void.
func (c *closing) same(void uint64) bool { return c.fence != nil && c.fence.VoidDigest() == void }

// touch mints a dot without a value, so that what this object shows travels: the
// dot is news to the others, and goes out with the whole filled object only.
func (k *Key) touch(rows *storage.Batch) {
	d := k.r.mint()
	k.leaked, k.touched = false, d
	k.note()
	k.commit(d, kindred.RequestID{}, rows)
}

// Touched is the dot of the touch that Save has made, if it has: the owner sends
// Whole of it to the other homes.
func (k *Key) Touched() (vclock.Dot, bool) { return k.touched, !k.touched.IsZero() }

// MemoryPage is a part of the objects of a replica that are worth opening.
type MemoryPage struct {
	Objects []NamedObject
	// Next is where to go on, nil after the last object of the replica.
	Next   []byte
	Failed error
}

// NamedObject names an object.
type NamedObject struct{ Bucket, Key string }

const (
	// memoryObjects bounds the objects that one page names, memoryRows those that
	// it looks at.
	memoryObjects = 256
	memoryRows    = 8 << 10
)

// Remembering looks through a part of the stored objects of a replica, from a row on
// (nil: the first), for those that remember anything in a context, which may be
// void or said by the clock by now, or that show a void dot.
func Remembering(store storage.Snapshot, id ID, void vclock.DotSet, from []byte) MemoryPage {
	ranges := storage.ReplicaObjects(id.Partition, id.N)
	if from != nil {
		ranges.Low = from
	}
	var page MemoryPage
	seen := 0
	err := store.Scan(ranges.Low, ranges.High, func(row, value []byte) bool {
		if len(page.Objects) >= memoryObjects || seen >= memoryRows {
			page.Next = append([]byte(nil), row...)
			return false
		}
		seen++
		object, _, err := vclock.DecodeSiblings(value, wire.DecodeRecord)
		_, _, bucket, key, bad := storage.ParseObjectKey(row)
		if err != nil || bad != nil {
			page.Failed = fmt.Errorf("the object at row %q of replica %v is damaged (%w)", row, id, err)
			return false
		}
		if !object.Context.IsEmpty() || !object.Dots().Intersect(void).IsEmpty() {
			page.Objects = append(page.Objects, NamedObject{Bucket: string(bucket), Key: string(key)})
		}
		return true
	})
	if err != nil {
		page.Failed = err
	}
	return page
}
