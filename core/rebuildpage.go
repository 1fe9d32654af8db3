package core

import (
	"maps"
	"slices"
	"time"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// askPage asks for the page after the last that is here.
func (s *Shard) askPage(now time.Time, j *rebuildJob) {
	if !j.room() {
		return
	}
	pieces := j.r.Pieces()
	if _, held := s.pacing.holdsPages(now); held || pieces >= replica.PiecesMax {
		return
	}
	from, ok := j.machine.Ask(now, s.seq+1)
	if !ok {
		return
	}
	s.seq++
	id := j.r.ID()
	ask := &wire.RebuildRead{
		Head: wire.Head{Partition: id.Partition, N: id.N}, Op: s.opID(s.seq), BytesMax: uint32(s.cfg.Limits.RebuildPageBytes),
	}
	switch {
	case pieces > manyPieces:
		ask.BytesMax = replica.PageBytesMax
	case s.pacing.serving(now):
		ask.BytesMax /= smallerPages
	}
	switch _, bucket, key, copying := j.r.Copying(); {
	case j.taking != nil:
		ask.From, ask.Bucket, ask.Key = true, j.taking.EndBucket, j.taking.EndKey
	case copying:
		ask.From, ask.Bucket, ask.Key = true, bucket, key
	}
	if _, begun := j.machine.C0(); !begun {
		ask.From, ask.Bucket, ask.Key = false, "", ""
	}
	s.send(from, ask, false)
}

// onRebuildRead reads a page for a home that is being rebuilt. It leaves when
// what it shows is durable: its clock must not know more than a crash leaves.
func (s *Shard) onRebuildRead(from string, m *wire.RebuildRead) {
	r := s.replicas[replica.ID{Partition: m.Partition, N: m.N}]
	failed := ""
	switch {
	case r == nil:
		failed = notHome
	case r.Retired():
		failed = isRetired
	case !s.mayHandOn(r.ID(), from):
		failed = unheard
	case s.rebuilds.serving >= s.cfg.Limits.RebuildPages:
		failed = s.overloaded("pages being read for rebuilds", s.cfg.Limits.RebuildPages).Message
	}
	if failed != "" {
		s.send(from, &wire.RebuildPage{Head: m.Head, Op: m.Op, Failed: failed}, false)
		return
	}
	s.rebuilds.serving++
	s.lookAt(r.ID(), func() Reading {
		moment, rounds := r.Moment(), s.Promised(r.ID(), r.Clock())
		return func(store storage.Snapshot) func(time.Time) {
			page := moment.Serve(store, m)
			page.Rounds = rounds
			return func(time.Time) {
				s.rebuilds.serving--
				s.rebuilds.stats.Served++
				if page.Failed != "" && !r.IsDamaged() { // who waits for it may never get it elsewhere
					s.auditor.unreadable(s, r)
				}
				s.send(from, page, true)
			}
		}
	})
}

func (s *Shard) onRebuildPage(now time.Time, from string, m *wire.RebuildPage) {
	j := s.rebuilds.jobs[replica.ID{Partition: m.Partition, N: m.N}]
	if j == nil || m.Op.Process != s.cfg.Start.Nonce || j.state != rebuildCopying || j.next != nil {
		s.stats.Stray++
		return
	}
	_, begun := j.machine.C0()
	before := j.machine.Progress()
	bad := m.Failed != "" || s.checkPage(j, m) != nil
	if j.machine.Answered(now, from, m.Op.Seq, m.Clock, bad) {
		j.next = &rebuildPage{m, pageWeight(m)}
		if !begun {
			j.first = true
			s.rebuilds.stats.Begun++
		}
	}
	s.rebuilds.stats.Refused += j.machine.Progress().Refused - before.Refused
	s.tendRebuilds(now)
}

// pageWeight is about what a page holds in memory.
func pageWeight(m *wire.RebuildPage) (bytes int) {
	for i := range m.Items {
		bytes += len(m.Items[i].Key) + 64
		for j := range m.Items[i].Object.Versions {
			bytes += len(m.Items[i].Object.Versions[j].Value.Value)
		}
	}
	return bytes
}

// checkPage refuses what no honest peer can have sent.
func (s *Shard) checkPage(j *rebuildJob, m *wire.RebuildPage) error {
	within := replica.Stretch{Ends: m.More, ToBucket: m.EndBucket, ToKey: m.EndKey}
	_, begun := j.machine.C0()
	switch _, bucket, key, copying := j.r.Copying(); {
	case j.taking != nil:
		within.Begun, within.Bucket, within.Key = true, j.taking.EndBucket, j.taking.EndKey
	case copying && begun:
		within.Begun, within.Bucket, within.Key = true, bucket, key
	}
	return j.r.CheckPage(m, within)
}

// takePage begins to take over the page that is next.
func (s *Shard) takePage(now time.Time, j *rebuildJob) {
	if j.taking != nil || j.next == nil {
		return
	}
	j.taking, j.next = j.next, nil
	j.done = map[string]bool{}
	s.readOwn(j)
}

// readOwn reads the own objects of the range of the page, or of what is left of
// it.
func (s *Shard) readOwn(j *rebuildJob) {
	within := replica.Stretch{Ends: j.taking.More, ToBucket: j.taking.EndBucket, ToKey: j.taking.EndKey}
	if _, bucket, key, copying := j.r.Copying(); copying && !j.first {
		within.Begun, within.Bucket, within.Key = true, bucket, key
	}
	j.looking = true
	id, page := j.r.ID(), j.taking
	s.lookAt(id, func() Reading {
		j.touched = map[string]bool{}
		return func(store storage.Snapshot) func(time.Time) {
			own, err := replica.ReadRange(store, id, within, ownPages*s.cfg.Limits.RebuildPageBytes)
			return func(now time.Time) {
				if s.rebuilds.jobs[id] != j || j.taking != page {
					return
				}
				j.looking, j.own = false, own
				if err != nil { // no source makes up for it: every page would be let go
					s.auditor.unreadable(s, j.r)
					s.dropPage(now, j)
					return
				}
				s.takeOver(now, j)
			}
		}
	})
}

// dropPage lets go of a page that cannot be taken over now; it is asked for
// again.
func (s *Shard) dropPage(now time.Time, j *rebuildJob) {
	j.taking, j.next, j.touched = nil, nil, nil
	j.machine.Useless(now, j.first)
	j.first = false
	s.rebuilds.stats.Refused++
	s.tendRebuilds(now)
}

// forgetOwn lets go of a page for which the own objects were read before damage was
// found: what is lost by now may be among them, and would be counted as still there.
func (s *Shard) forgetOwn(now time.Time, id replica.ID) {
	if j := s.rebuilds.jobs[id]; j != nil && j.taking != nil {
		j.held = false
		s.dropPage(now, j)
	}
}

// takeOver joins the page with the own objects, or the part of it up to which the
// own objects were read.
func (s *Shard) takeOver(now time.Time, j *rebuildJob) {
	if j.busy > 0 || j.looking || j.taking == nil {
		return
	}
	if len(j.touched) > touchedMax {
		s.readOwn(j)
		return
	}
	if j.r.CheckPromises(j.taking.RebuildPage) != nil {
		s.dropPage(now, j)
		return
	}
	copied := replica.CopiedBy(j.taking.RebuildPage, j.first)
	if j.own.More {
		last := j.own.Items[len(j.own.Items)-1]
		copied.Last, copied.Bucket, copied.Key = false, last.Bucket, last.Key
	}
	pairs := pairUp(j.taking.Items, j.own.Items, copied)
	if s.enterBusy(j, pairs, copied) {
		return
	}
	c0, _ := j.machine.C0()
	for i := range pairs {
		p := &pairs[i]
		if len(j.done) > 0 && j.done[s.rowOf(j.r.ID(), p.bucket, p.key)] {
			continue
		}
		k := j.r.Open(p.bucket, p.key, p.own)
		if err := k.Copy(p.theirs, copied, c0, false, &s.out.Rows); err != nil {
			panic("core: a page that was checked is refused: " + err.Error())
		}
		k.Save(&s.out.Rows)
		if !k.Object().Context.IsEmpty() {
			s.sweeper.forget(j.r.ID())
		}
	}
	s.expirer.saved(s, now, j.r) // nobody else may be left who looks
	j.r.Passed(copied, &s.out.Rows)
	j.first = false
	s.tookOver(now, j, len(pairs), copied)
}

// tookOver goes on after a part of a page.
func (s *Shard) tookOver(now time.Time, j *rebuildJob, keys int, copied replica.Copied) {
	st := &s.rebuilds.stats
	st.Keys += uint64(keys)
	s.charge(&s.pacing.pages, now, uint64(keys), 0)
	if j.own.More {
		j.taking.dropUpTo(copied)
		j.machine.Took(keys, 0)
		s.readOwn(j)
		return
	}
	j.machine.Took(keys, j.taking.bytes)
	s.charge(&s.pacing.pages, now, 0, j.taking.bytes)
	st.Pages++
	st.Bytes += uint64(j.taking.bytes)
	j.taking, j.touched, j.own = nil, nil, replica.Range{}
	if copied.Last {
		st.Finished++
		st.SourcesChanged += j.machine.Progress().Changes
		j.state = rebuildSettling
		s.settle(now, j)
	}
	s.tendRebuilds(now)
}

// dropUpTo takes out of the page what has been taken over.
func (p *rebuildPage) dropUpTo(c replica.Copied) {
	at := slices.IndexFunc(p.Items, func(item wire.RebuildItem) bool {
		return replica.ComparePlaces(item.Bucket, item.Key, c.Bucket, c.Key) > 0
	})
	if at < 0 {
		at = len(p.Items)
	}
	p.Items = p.Items[at:]
}

// pair is one key of a range as it is at the source and here.
type pair struct {
	bucket, key string
	theirs, own wire.Object
}

// pairUp merges two lists in the order of rows, up to the end of the range.
func pairUp(theirs, own []wire.RebuildItem, end replica.Copied) []pair {
	pairs := make([]pair, 0, len(theirs)+len(own))
	for len(theirs)+len(own) > 0 {
		c := 0
		switch {
		case len(own) == 0:
			c = -1
		case len(theirs) == 0:
			c = 1
		default:
			c = replica.ComparePlaces(theirs[0].Bucket, theirs[0].Key, own[0].Bucket, own[0].Key)
		}
		var p pair
		if c >= 0 {
			p.bucket, p.key, p.own = own[0].Bucket, own[0].Key, own[0].Object
			own = own[1:]
		}
		if c <= 0 {
			p.bucket, p.key, p.theirs = theirs[0].Bucket, theirs[0].Key, theirs[0].Object
			theirs = theirs[1:]
		}
		if !end.Last && replica.ComparePlaces(p.bucket, p.key, end.Bucket, end.Key) > 0 {
			break
		}
		pairs = append(pairs, p)
	}
	return pairs
}

func (s *Shard) rowOf(id replica.ID, bucket, key string) string {
	s.row = storage.ObjectKey(s.row[:0], id.Partition, id.N, bucket, key)
	return string(s.row)
}

// enterBusy sends the keys of a range that are not as they were read, or that are
// open, through their latch, and reports whether there are any. Such a key is
// taken over wholly: the range that it lies in is not passed yet.
func (s *Shard) enterBusy(j *rebuildJob, pairs []pair, copied replica.Copied) bool {
	if len(j.touched)+len(s.open) == 0 {
		return false
	}
	id := j.r.ID()
	known := map[string]bool{}
	for i := range pairs {
		p := &pairs[i]
		row := s.rowOf(id, p.bucket, p.key)
		if (j.touched[row] || s.open[row] != nil) && !j.done[row] {
			s.enterCopy(j, row, p.bucket, p.key, p.theirs, copied)
		}
		if len(j.touched) > 0 {
			known[row] = true
		}
	}
	for _, row := range slices.Sorted(maps.Keys(j.touched)) {
		if known[row] || j.done[row] {
			continue
		}
		// It was at neither side when they were read.
		_, _, bucket, key, err := storage.ParseObjectKey([]byte(row))
		if err != nil || !copied.Last && replica.ComparePlaces(string(bucket), string(key), copied.Bucket, copied.Key) > 0 {
			continue
		}
		if held, _ := j.passedAlready(string(bucket), string(key)); !held {
			s.enterCopy(j, row, string(bucket), string(key), wire.Object{}, copied)
		}
	}
	j.held = j.busy > 0
	return j.held
}

// passedAlready reports whether the pass has passed a key.
func (j *rebuildJob) passedAlready(bucket, key string) (held, copying bool) {
	_, b, k, copying := j.r.Copying()
	if !copying || j.first {
		return false, copying
	}
	return replica.ComparePlaces(bucket, key, b, k) <= 0, true
}

func (s *Shard) enterCopy(j *rebuildJob, row, bucket, key string, theirs wire.Object, copied replica.Copied) {
	j.done[row] = true
	j.busy++
	s.enter(j.r, bucket, key, func(_ time.Time, k *replica.Key, err error) {
		j.busy--
		if err == nil {
			err = k.Copy(theirs, copied, vclock.DotSet{}, true, &s.out.Rows)
		}
		if err != nil {
			delete(j.done, row) // it is tried again
		}
	})
}

// rebuildSaved takes note that an object was saved, or was to be, and goes on
// with what has waited for that.
func (s *Shard) rebuildSaved(now time.Time, r *replica.Replica, row string) {
	j := s.rebuilds.jobs[r.ID()]
	if j == nil {
		return
	}
	if j.touched != nil && !j.done[row] {
		j.touched[row] = true
	}
	if !j.held || j.busy > 0 {
		return
	}
	j.held = false
	if j.state == rebuildCopying {
		s.takeOver(now, j)
	} else {
		s.walkNext(now, j)
	}
}
