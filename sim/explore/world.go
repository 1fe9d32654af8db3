package explore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

const bucket = "b"

var (
	partition = replica.ID{Partition: 1, N: 3}
	siteNames = []string{"a", "b", "c"}
	keyNames  = []string{"k", "l"}
)

// world is one state of everything.
type world struct {
	bounds *Bounds
	sites  []site
	guests []guest
	writes []write
	// letters are all deltas that were ever sent, in canonical order.
	letters []letter
	// spent is how many of the bounded events have happened.
	spent  spent
	closes closes
	talk   talk
	// built are the pages of rebuilds that were ever sent.
	built []page
}

// spent counts the events that are bounded; see Bounds.
type spent struct {
	reads, crashes, pulls, keeps, handovers, tells, wipes, rebuilds int8
}

// site is one replica: what it holds in memory, in its store, and for sure.
type site struct {
	replica       *replica.Replica
	stored, saved rows
	// synced is the clock that is in saved.
	synced vclock.DotSet
	lives  uint64
	// wiped: the site has lost its disk once.
	wiped bool
	// met are the homes that it has found again since, by number.
	met    uint8
	member member
	job    job
}

// write is a write event with the context that it really had.
type write struct {
	dot  vclock.Dot
	key  int
	put  bool
	past vclock.DotSet
	// touch: it is no client's, but tells what had lost its own dot (R15). Given: it
	// was there from the beginning.
	touch, given bool
	// firm are the slots that a guest owes it to for sure, acked says that it was
	// at a quorum of the homes for sure.
	firm  wire.Slots
	acked bool
}

// letter is a delta on its way to one site. The dot is that of the write which
// it carries; a repair has none.
type letter struct {
	to, key int
	dot     vclock.Dot
	delta   wire.Delta
	rounds  wire.Rounds
	void    uint64
	raw     string
}

func newWorld(bounds *Bounds) (*world, error) {
	w := &world{bounds: bounds, sites: make([]site, bounds.Homes), guests: make([]guest, bounds.Guests)}
	for i := range w.sites {
		if err := w.sites[i].start(i); err != nil {
			return nil, err
		}
	}
	for i := range w.guests {
		w.guests[i].start(i)
	}
	if bounds.Filled {
		if err := w.fill(); err != nil {
			return nil, err
		}
	}
	return w, w.greet()
}

// fill lets every home have every key from the beginning. That of the first key may
// come again.
func (w *world) fill() error {
	for key := range w.bounds.Keys {
		if err := w.write(0, key, true, vclock.DotSet{}); err != nil {
			return err
		}
	}
	if err := w.deliverAll(); err != nil {
		return err
	}
	for at := range w.sites {
		w.sync(at)
	}
	for i := range w.writes {
		w.writes[i].given = true
	}
	w.letters = slices.DeleteFunc(w.letters, func(l letter) bool { return l.key > 0 })
	return nil
}

// start begins a life of the site, the incarnation of which is a new one.
func (s *site) start(number int) error {
	s.lives++
	r, err := replica.Recover(partition, vclock.Actor{Disk: uint64(number + 1), Nonce: s.lives}, replica.NewRecent(1), s.stored)
	if err != nil {
		return err
	}
	s.replica = r
	return s.recall()
}

// clone is the same world, to be changed. What it shares is never changed.
func (w *world) clone() *world {
	next := *w
	next.sites, next.guests = slices.Clone(w.sites), slices.Clone(w.guests)
	next.writes, next.built = slices.Clone(w.writes), slices.Clip(w.built)
	next.letters = slices.Clip(w.letters)
	next.talk = w.talk.clone()
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
	if d, touched := k.Touched(); touched {
		return w.touched(at, key, d, k.Whole(d))
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
		return w.minted(write{dot: d, key: key, put: put, past: seen.Clone()}, at, delta)
	})
}

// minted notes a write event and sends its delta to all homes but one.
func (w *world) minted(e write, but int, delta wire.Delta) error {
	if _, before := w.find(e.dot); before {
		return fmt.Errorf("I2: %v is minted twice", e.dot)
	}
	w.writes = append(w.writes, e)
	for to := range w.sites {
		if to != but {
			w.post(letter{to: to, key: e.key, dot: e.dot, delta: delta})
		}
	}
	return nil
}

// post adds a letter, unless the same was sent before.
func (w *world) post(l letter) {
	l.raw = string(wire.Append([]byte{byte(l.to)}, &wire.Write{Bucket: bucket, Key: keyNames[l.key], Delta: l.delta, Rounds: l.rounds, Void: l.void}))
	at, found := slices.BinarySearchFunc(w.letters, l, func(a, b letter) int { return cmp.Compare(a.raw, b.raw) })
	if !found {
		w.letters = slices.Insert(slices.Clone(w.letters), at, l)
	}
}

func (w *world) deliver(l letter) error {
	return w.step(l.to, l.key, func(k *replica.Key, rows *storage.Batch) error {
		join := func(delta wire.Delta, rounds wire.Rounds, rows *storage.Batch) error {
			return k.Mend(delta, rounds, l.void, rows) // what asks for no answer is a repair
		}
		if !l.dot.IsZero() {
			join = func(delta wire.Delta, rounds wire.Rounds, rows *storage.Batch) error {
				return k.Join(delta, nil, rounds, rows)
			}
		}
		err := join(wire.Delta{Siblings: l.delta.Siblings.Clone(), Dots: l.delta.Dots.Clone()}, l.rounds, rows)
		if refused := new(antientropy.PromiseError); errors.As(err, &refused) {
			return nil // R14: it is dropped
		}
		if err != nil {
			return fmt.Errorf("R3: %s refuses what another site has sent: %w", siteNames[l.to], err)
		}
		if clock := w.sites[l.to].replica.Clock(); !l.dot.IsZero() && !clock.Contains(l.dot) {
			return fmt.Errorf("R10: %s would acknowledge %v, which its clock %v does not have", siteNames[l.to], l.dot, clock)
		}
		return nil
	})
}

// read reads a key at some sites, and guests, together and posts the repairs.
func (w *world) read(key int, sites []int, guests ...int) error {
	names := make([]string, len(sites))
	for i, at := range sites {
		names[i] = siteNames[at]
	}
	get := replica.NewGet(names, kindred.Quorum{N: len(sites), R: len(sites), Sloppy: len(guests) > 0})
	for i, at := range sites {
		filled, err := w.filled(at, key)
		if err != nil {
			return err
		}
		get.Add(names[i], filled)
		get.Promised(names[i], w.sites[at].member.promises.Rounds(filled.Dots()), w.sites[at].member.promises.VoidDigest())
	}
	for _, at := range guests {
		get.Invite(guestNames[at])
		shown, err := w.guests[at].shown(key)
		if err != nil {
			return err
		}
		get.Add(guestNames[at], shown)
	}
	for _, r := range get.Repairs() {
		w.post(letter{to: slices.Index(siteNames, r.Node), key: key, delta: r.Delta, rounds: r.Rounds, void: r.Void})
	}
	return nil
}

func (w *world) strip(at, key int) error {
	return w.step(at, key, func(k *replica.Key, _ *storage.Batch) error {
		k.Strip()
		return nil
	})
}

func (w *world) sync(at int) {
	s := &w.sites[at]
	s.saved, s.synced = s.stored, s.replica.Held().Clone()
	w.talk.synced(at, s.synced)
	for i := range w.writes {
		w.writes[i].acked = w.writes[i].acked || w.atQuorum(w.writes[i].dot)
	}
}

// atQuorum reports whether most homes have a dot for sure.
func (w *world) atQuorum(d vclock.Dot) bool {
	n := 0
	for i := range w.sites {
		if w.sites[i].synced.Contains(d) {
			n++
		}
	}
	return n > len(w.sites)/2
}

func (w *world) crash(at int) error {
	w.spent.crashes++
	s := &w.sites[at]
	s.stored = s.saved
	s.job = job{}
	if err := s.start(at); err != nil {
		return err
	}
	return w.restarted(at)
}

// untouched reports whether nothing has happened to a site yet.
func (w *world) untouched(at int) bool {
	s := &w.sites[at]
	return s.lives == 1 && len(s.stored) == 0
}

// appendTo appends a form that is equal for worlds with an equal future. What is
// safe in the stores matters only if there may be another crash, or if somebody
// asks.
func (w *world) appendTo(b []byte) []byte {
	for i := range w.sites {
		s := &w.sites[i]
		b = append(b, byte(s.lives))
		b = s.replica.Clock().AppendTo(b)
		b = s.stored.appendTo(b)
		switch {
		case int(w.spent.crashes) < w.bounds.Crashes:
			b = s.saved.appendTo(b)
		case w.canLose():
			b = s.synced.AppendTo(b)
		}
		b = s.member.appendTo(b)
		b = fmt.Append(b, s.job.next, s.wiped, s.met)
	}
	for i := range w.guests {
		b = w.guests[i].appendTo(b)
	}
	for _, l := range w.letters {
		b = append(append(b, byte(len(l.raw)>>8), byte(len(l.raw))), l.raw...)
	}
	for _, e := range w.writes {
		b = e.past.AppendTo(append(e.dot.AppendTo(b), byte(e.key), byte(e.firm)))
		if w.bounds.Wipes > 0 {
			b = fmt.Append(b, e.acked)
		}
	}
	for _, p := range w.built {
		b = append(append(b, byte(len(p.raw)>>8), byte(len(p.raw))), p.raw...)
	}
	b = w.talk.appendTo(w.closes.appendTo(b))
	return fmt.Append(b, w.spent)
}

// canLose reports whether it still matters what is safe.
func (w *world) canLose() bool {
	b := w.bounds
	return int(w.spent.crashes) < b.Crashes || b.Guests+b.Pulls+b.Tells > 0 || b.Prunes
}
