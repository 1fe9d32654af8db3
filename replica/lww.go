package replica

import (
	"cmp"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// In a bucket in which the last writer wins, siblings are versions like any others
// for joins, hashes, hints and exchange. Who shows them shows the last one; a put
// supersedes whatever its coordinator holds; and one home of the partition makes
// events that end what was beaten. See docs/decisions.

// Last is the version that was written last: the one with the latest time, and of
// several the one with the largest dot. It reports false if there is none.
func Last(versions []vclock.Version[wire.Record]) (last vclock.Version[wire.Record], ok bool) {
	for i, v := range versions {
		if i == 0 || after(v, last) {
			last = v
		}
	}
	return last, len(versions) > 0
}

// after orders versions. No two have the same dot.
func after(v, w vclock.Version[wire.Record]) bool {
	return cmp.Or(cmp.Compare(v.Value.WrittenAt, w.Value.WrittenAt), v.Dot.Compare(w.Dot)) > 0
}

// Later is the time of a write that supersedes those versions: by the wall clock,
// but after all of them, so that the order of times agrees with that of causes.
func Later(wall int64, superseded []vclock.Version[wire.Record]) int64 {
	if last, ok := Last(superseded); ok {
		return max(wall, last.Value.WrittenAt+1)
	}
	return wall
}

// Unseen counts the versions that a write with that context and request replaces
// without having seen them.
func Unseen(versions []vclock.Version[wire.Record], seen vclock.DotSet, id kindred.RequestID) (n uint64) {
	for _, v := range versions {
		if !seen.Contains(v.Dot) && (id.IsZero() || v.Value.RequestID != id) {
			n++
		}
	}
	return n
}

// EndBeaten ends the versions that were not written last. Of two that one request
// made neither beats the other: a replica that knows one of them superseded drops
// the other (R19). It returns how many it has ended, and the delta for the others.
func (k *Key) EndBeaten(rows *storage.Batch) (wire.Delta, uint64) {
	last, _ := Last(k.object.Versions)
	var beaten vclock.DotSet
	ended := uint64(0)
	for _, v := range k.object.Versions {
		if v.Dot != last.Dot && (last.Value.RequestID.IsZero() || v.Value.RequestID != last.Value.RequestID) {
			beaten.Add(v.Dot)
			ended++
		}
	}
	if ended == 0 || k.Damaged() {
		return wire.Delta{}, 0
	}
	return k.end(beaten, rows), ended
}

// end makes the event that ends those live versions. What it has seen is all that
// is known of the key but what is live (see superseded).
func (k *Key) end(dots vclock.DotSet, rows *storage.Batch) wire.Delta {
	d, delta := k.Delete(dots, kindred.RequestID{}, rows)
	delta.Context = k.superseded(d)
	return delta
}
