package core

import (
	"errors"
	"time"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

// openKey is an object that is being read, and the steps that wait for it. It is
// the latch that orders the steps on one key: while it exists no other step can
// change the object, and all that gathered run on one reading and leave one row.
type openKey struct {
	replica     *replica.Replica
	bucket, key string
	steps       []step
	// first is the room of a list of one, as most are.
	first [1]step
	// tries counts the sweeps of this object so far.
	tries int
}

// step acts on an opened object; err says why it could not be read. The key is of no
// use to anybody afterwards.
type step interface {
	act(s *Shard, now time.Time, k *replica.Key, err error)
}

// stepFunc is a step that nobody takes often.
type stepFunc func(now time.Time, k *replica.Key, err error)

func (do stepFunc) act(_ *Shard, now time.Time, k *replica.Key, err error) { do(now, k, err) }

// sparesMax bounds the latches that are kept for the next keys.
const sparesMax = 64

// latch takes a latch that is not in use, or a new one.
func (s *Shard) latch() *openKey {
	last := len(s.spares) - 1
	if last < 0 {
		return &openKey{}
	}
	o := s.spares[last]
	s.spares = s.spares[:last]
	return o
}

// enter queues a step on an object of r.
func (s *Shard) enter(r *replica.Replica, bucket, key string, do stepFunc) {
	s.enterStep(r, bucket, key, do)
}

func (s *Shard) enterStep(r *replica.Replica, bucket, key string, do step) {
	id := r.ID()
	s.steps++
	s.row = storage.ObjectKey(s.row[:0], id.Partition, id.N, bucket, key)
	if o, ok := s.open[string(s.row)]; ok {
		o.steps = append(o.steps, do)
		return
	}
	row := string(s.row)
	o := s.latch()
	o.replica, o.bucket, o.key = r, bucket, key
	o.steps = append(o.first[:0], do)
	s.open[row] = o
	s.out.Loads = append(s.out.Loads, Load{Row: row, Replica: id, Bucket: bucket, Key: key})
}

// Loaded answers a Load: the object as stored, empty if there is none, or the
// reason why it could not be read.
func (s *Shard) Loaded(now time.Time, row string, object wire.Object, err error) {
	o, ok := s.open[row]
	if !ok {
		return
	}
	delete(s.open, row)
	s.steps -= len(o.steps)
	if err == nil {
		s.loaded(now, row, o, object)
	} else {
		s.unloadable(now, row, o, err)
	}
	if *o = (openKey{}); len(s.spares) < sparesMax {
		s.spares = append(s.spares, o)
	}
}

// unloadable tells the steps of a key why there is no object.
func (s *Shard) unloadable(now time.Time, row string, o *openKey, err error) {
	if damage := (*replica.DamageError)(nil); errors.As(err, &damage) {
		s.auditor.unreadable(s, o.replica)
	}
	for _, do := range o.steps {
		do.act(s, now, nil, err)
	}
	s.rebuildSaved(now, o.replica, row)
}

// loaded lets the steps of a key act on its object, and leaves one row.
func (s *Shard) loaded(now time.Time, row string, o *openKey, object wire.Object) {
	k := &s.key
	o.replica.Reopen(k, o.bucket, o.key, object)
	for _, do := range o.steps {
		do.act(s, now, k, nil)
	}
	s.endBeaten(o, k)
	k.Save(&s.out.Rows)
	s.expirer.saved(s, now, o.replica)
	s.closer.touch(o.replica, o.bucket, o.key, k)
	s.closer.noticeKey(now, o.replica, k)
	if !k.Object().Context.IsEmpty() {
		s.sweeper.remember(now, unstripped{row: row, replica: o.replica, bucket: o.bucket, key: o.key, tries: o.tries}, s.cfg.Limits.Unstripped)
	}
	*k = replica.Key{} // lets go of the values
	s.rebuildSaved(now, o.replica, row)
}
