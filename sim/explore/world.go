package explore

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// The size of the world.
const (
	siteCount = 3
	keyCount  = 2
	bucket    = "b"
)

var (
	partition = replica.ID{Partition: 1, N: siteCount}
	siteNames = []string{"a", "b", "c"}
	keyNames  = [keyCount]string{"k", "l"}
)

// world is one state of everything.
type world struct {
	sites  [siteCount]site
	writes []write
	// letters are all deltas that were ever sent, in canonical order.
	letters []letter
	// crashes and reads are how many of the bounded events have happened.
	crashes, reads int
}

// site is one replica: what it holds in memory, in its store, and for sure.
type site struct {
	replica       *replica.Replica
	stored, saved rows
	lives         uint64
}

// write is a write event with the context that it really had.
type write struct {
	dot  vclock.Dot
	key  int
	put  bool
	past vclock.DotSet
}

// letter is a delta on its way to one site. The dot is that of the write which
// it carries; a repair has none.
type letter struct {
	to, key int
	dot     vclock.Dot
	delta   wire.Delta
	raw     string
}

func newWorld() (*world, error) {
	w := &world{}
	for i := range w.sites {
		if err := w.sites[i].start(i); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// start begins a life of the site, the incarnation of which is a new one.
func (s *site) start(number int) error {
	s.lives++
	r, err := replica.Recover(partition, vclock.Actor{Disk: uint64(number + 1), Nonce: s.lives}, replica.NewRecent(1), s.stored)
	s.replica = r
	return err
}

// clone is the same world, to be changed. What it shares is never changed.
func (w *world) clone() *world {
	next := *w
	next.writes = slices.Clip(w.writes)
	next.letters = slices.Clip(w.letters)
	return &next
}

// step lets do act on a key of a site, and applies what comes of it.
func (w *world) step(at, key int, do func(k *replica.Key, rows *storage.Batch) error) error {
	s := &w.sites[at]
	object, err := replica.Load(s.stored, partition, bucket, keyNames[key])
	if err != nil {
		return err
	}
	s.replica = s.replica.Clone()
	k := s.replica.Open(bucket, keyNames[key], object)
	var batch storage.Batch
	if err := do(k, &batch); err != nil {
		return err
	}
	k.Save(&batch)
	if batch.Len() > 0 {
		s.stored = s.stored.with(&batch)
	}
	return nil
}

func (w *world) filled(at, key int) (o wire.Object, err error) {
	err = w.step(at, key, func(k *replica.Key, _ *storage.Batch) error {
		o = k.Filled()
		return nil
	})
	return o, err
}

// write puts or deletes a key at a site, and sends the delta to the others.
func (w *world) write(at, key int, put bool, seen vclock.DotSet) error {
	return w.step(at, key, func(k *replica.Key, rows *storage.Batch) error {
		var d vclock.Dot
		var delta wire.Delta
		if put {
			d, delta = k.Write(seen, wire.Record{Value: []byte{byte(len(w.writes))}}, rows)
		} else {
			d, delta = k.Delete(seen, kindred.RequestID{}, rows)
		}
		for _, before := range w.writes {
			if before.dot == d {
				return fmt.Errorf("I2: %v is minted twice", d)
			}
		}
		w.writes = append(w.writes, write{dot: d, key: key, put: put, past: seen.Clone()})
		for to := range w.sites {
			if to != at {
				w.post(to, key, d, delta)
			}
		}
		return nil
	})
}

// post adds a letter, unless the same was sent before.
func (w *world) post(to, key int, d vclock.Dot, delta wire.Delta) {
	raw := wire.Append([]byte{byte(to)}, &wire.Write{Bucket: bucket, Key: keyNames[key], Delta: delta})
	l := letter{to, key, d, delta, string(raw)}
	at, found := slices.BinarySearchFunc(w.letters, l, func(a, b letter) int { return cmp.Compare(a.raw, b.raw) })
	if !found {
		w.letters = slices.Insert(slices.Clone(w.letters), at, l)
	}
}

func (w *world) deliver(l letter) error {
	return w.step(l.to, l.key, func(k *replica.Key, rows *storage.Batch) error {
		err := k.Join(wire.Delta{Siblings: l.delta.Siblings.Clone(), Dots: l.delta.Dots.Clone()}, nil, nil, rows)
		if err != nil {
			return fmt.Errorf("R3: %s refuses what another site has sent: %w", siteNames[l.to], err)
		}
		if clock := w.sites[l.to].replica.Clock(); !l.dot.IsZero() && !clock.Contains(l.dot) {
			return fmt.Errorf("R10: %s would acknowledge %v, which its clock %v does not have", siteNames[l.to], l.dot, clock)
		}
		return nil
	})
}

// read reads a key at some sites together and posts the repairs.
func (w *world) read(key int, sites ...int) error {
	names := make([]string, len(sites))
	for i, at := range sites {
		names[i] = siteNames[at]
	}
	get := replica.NewGet(names, kindred.Quorum{N: len(sites), R: len(sites)})
	for i, at := range sites {
		filled, err := w.filled(at, key)
		if err != nil {
			return err
		}
		get.Add(names[i], filled)
	}
	for _, r := range get.Repairs() {
		w.post(slices.Index(siteNames, r.Node), key, vclock.Dot{}, r.Delta)
	}
	return nil
}

func (w *world) strip(at, key int) error {
	return w.step(at, key, func(k *replica.Key, _ *storage.Batch) error {
		k.Strip()
		return nil
	})
}

func (w *world) sync(at int) { w.sites[at].saved = w.sites[at].stored }

func (w *world) crash(at int) error {
	w.crashes++
	s := &w.sites[at]
	s.stored = s.saved
	return s.start(at)
}

// untouched reports whether nothing has happened to a site yet.
func (w *world) untouched(at int) bool {
	s := &w.sites[at]
	return s.lives == 1 && len(s.stored) == 0
}

// appendTo appends a form that is equal for worlds with an equal future. What is
// safe in the stores matters only if there may be another crash.
func (w *world) appendTo(b []byte, crashes int) []byte {
	for i := range w.sites {
		s := &w.sites[i]
		b = append(b, byte(s.lives))
		b = s.replica.Clock().AppendTo(b)
		b = s.stored.appendTo(b)
		if w.crashes < crashes {
			b = s.saved.appendTo(b)
		}
	}
	for _, l := range w.letters {
		b = append(append(b, byte(len(l.raw)>>8), byte(len(l.raw))), l.raw...)
	}
	for _, e := range w.writes {
		b = e.past.AppendTo(append(e.dot.AppendTo(b), byte(e.key)))
	}
	return append(b, byte(w.crashes), byte(w.reads))
}

// writeSeen writes with the context of what another site shows.
func (w *world) writeSeen(at, key int, put bool, shownAt int) error {
	filled, err := w.filled(shownAt, key)
	if err != nil {
		return err
	}
	seen := filled.Seen()
	if !seen.Covers(filled.Dots()) {
		return fmt.Errorf("R8: the context %v of what %s shows does not cover it", seen, siteNames[shownAt])
	}
	return w.write(at, key, put, seen)
}
