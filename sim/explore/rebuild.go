package explore

import (
	"fmt"
	"slices"
	"time"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// pageBytes is one key a page.
const pageBytes = 1

// job is the rebuild of a site: the number of the page that it waits for, zero if
// it waits for none.
type job struct{ next int }

// page is a page of a rebuild on its way.
type page struct {
	to, from, number int
	within           replica.Stretch
	page             *wire.RebuildPage
	raw              string
}

// ask asks for the next page, and reads it at this very moment. A new pass begins
// unless one goes on.
func (w *world) ask(at, from int) error {
	w.spent.rebuilds++
	r := w.sites[at].replica
	read := &wire.RebuildRead{Head: head, BytesMax: pageBytes}
	within := replica.Stretch{}
	if _, b, key, copying := r.Copying(); copying {
		read.From, read.Bucket, read.Key = true, b, key
		within = replica.Stretch{Begun: true, Bucket: b, Key: key}
	}
	source := &w.sites[from]
	m := source.replica.Moment().Serve(source.stored, read)
	if m.Failed != "" {
		return fmt.Errorf("R13: %s cannot serve: %s", siteNames[from], m.Failed)
	}
	w.sync(from) // it leaves after that
	within.Ends, within.ToBucket, within.ToKey = m.More, m.EndBucket, m.EndKey
	w.sites[at].job.next = int(w.spent.rebuilds)
	p := page{to: at, from: from, number: w.sites[at].job.next, within: within, page: m}
	p.raw = string(wire.Append([]byte{byte(at), byte(p.number)}, m))
	w.built = append(w.built, p)
	return nil
}

// take takes over a page: all keys of its range, those of the source and the
// site's own, in one batch with the note of it.
func (w *world) take(p page) error {
	s := &w.sites[p.to]
	s.job.next = 0
	w.built = slices.DeleteFunc(slices.Clone(w.built), func(q page) bool { return q.raw == p.raw })
	sent, err := wire.Decode(wire.Append(nil, p.page))
	if err != nil {
		return err
	}
	m := sent.(*wire.RebuildPage)
	r := s.replica.Clone()
	c0, _, _, copying := r.Copying()
	if !usable(siteNames[p.from], m, c0, copying) {
		return nil
	}
	if !copying {
		c0 = m.Clock
	}
	if err := r.CheckPage(m, p.within); err != nil {
		return err
	}
	copied := replica.CopiedBy(m, !copying)
	var batch storage.Batch
	for _, name := range w.within(p) {
		own, err := replica.Load(s.stored, partition, bucket, name)
		if err != nil {
			return err
		}
		var theirs wire.Object
		if i := slices.IndexFunc(m.Items, func(item wire.RebuildItem) bool { return item.Key == name }); i >= 0 {
			theirs = m.Items[i].Object
		}
		k := r.Open(bucket, name, own)
		if err := k.Copy(theirs, copied, c0, false, &batch); err != nil {
			return err
		}
		k.Save(&batch)
	}
	r.Passed(copied, &batch)
	s.replica, s.stored = r, s.stored.with(&batch)
	return nil
}

// usable asks the machine that decides it whether a pass which began with C0, if
// there is one, can go on with a page of that source.
func usable(from string, m *wire.RebuildPage, c0 vclock.DotSet, copying bool) bool {
	now := time.Unix(0, 0)
	machine := antientropy.NewRebuild(now, []string{from})
	machine.SetLink(now, from, true)
	if copying {
		machine.Resume(c0)
	}
	const op = 1
	machine.Ask(now, op)
	return machine.Answered(now, from, op, m.Clock, false)
}

// within are the keys in the range of a page.
func (w *world) within(p page) (names []string) {
	for _, name := range keyNames[:w.bounds.Keys] {
		if p.within.Begun && replica.ComparePlaces(bucket, name, p.within.Bucket, p.within.Key) <= 0 ||
			p.within.Ends && replica.ComparePlaces(bucket, name, p.within.ToBucket, p.within.ToKey) > 0 {
			continue
		}
		names = append(names, name)
	}
	return names
}

// passed lets a site forget what its clock says by now.
func (w *world) passed(at int) error {
	s := &w.sites[at]
	var batch storage.Batch
	s.replica = s.replica.Clone()
	s.replica.DropCovered(&batch)
	s.stored = s.stored.with(&batch)
	return nil
}

// brought reports whether a page has brought a live version of a key, the dot of which
// the clock does not have.
func (w *world) brought(at, key int) bool {
	s := &w.sites[at]
	own, err := replica.Load(s.stored, partition, bucket, keyNames[key])
	return err == nil && s.replica.Unclaimed(&wire.RebuildItem{Object: own})
}

// again lets a site meet a second attempt at what a page has brought: it sends it to
// the others and acknowledges it.
func (w *world) again(at, key int) error {
	return w.step(at, key, func(k *replica.Key, rows *storage.Batch) error {
		for _, v := range k.Object().Versions {
			delta := k.Again(v.Dot, rows)
			if clock := w.sites[at].replica.Clock(); !clock.Contains(v.Dot) {
				return fmt.Errorf("R10: %s would acknowledge %v, which its clock %v does not have", siteNames[at], v.Dot, clock)
			}
			for to := range w.sites {
				if to != at {
					w.post(letter{to: to, key: key, dot: v.Dot, delta: delta})
				}
			}
		}
		return nil
	})
}

// rebuildMoves lists what can happen to the rebuild of a site.
func (s *search) rebuildMoves(moves []move, w *world, at int) []move {
	site := &w.sites[at]
	for from := range w.sites {
		if from != at && int(w.spent.rebuilds) < w.bounds.Pages && site.job.next == 0 && site.wiped {
			moves = append(moves, move{what: siteNames[at] + " asks " + siteNames[from] + " for a page", at: -1, do: func(w *world) error { return w.ask(at, from) }})
		}
	}
	if site.replica.Rebuilding() {
		for key := range w.bounds.Keys {
			if w.brought(at, key) {
				what := fmt.Sprintf("%s serves %s again", siteNames[at], keyNames[key])
				moves = append(moves, move{what: what, at: at, do: func(w *world) error { return w.again(at, key) }})
			}
		}
		moves = append(moves, move{what: siteNames[at] + " settles", at: at, do: func(w *world) error { return w.passed(at) }})
	}
	return moves
}

// pageMoves lists the pages that may arrive where they are waited for.
func (s *search) pageMoves(moves []move, w *world) []move {
	for _, p := range w.built {
		if w.sites[p.to].job.next == p.number {
			what := fmt.Sprintf("%s takes a page over, clock%v, %d keys, more %v", siteNames[p.to], p.page.Clock, len(p.page.Items), p.page.More)
			moves = append(moves, move{what: what, at: p.to, do: func(w *world) error { return w.take(p) }})
		}
	}
	return moves
}

// passedOf is what the site knows of a key by its rebuild.
func (s *site) passedOf(key int) vclock.DotSet {
	if !s.replica.Rebuilding() {
		return vclock.DotSet{}
	}
	known, err := replica.Knows(s.stored, partition, bucket, keyNames[key])
	if err != nil {
		return vclock.DotSet{}
	}
	return known
}

// source is a home that can go on with the rebuild of another one.
func (w *world) source(at int) int {
	c0, _, _, copying := w.sites[at].replica.Copying()
	return slices.IndexFunc(w.sites, func(s site) bool {
		return s.replica != w.sites[at].replica && (!copying || s.replica.Clock().Covers(c0))
	})
}

// judgeRebuilt demands that the wiped homes, rebuilt one after the other and given
// what they lack then, show the same as the others. It tries that on a copy.
func (w *world) judgeRebuilt() error {
	next := w.clone()
	next.letters, next.built = nil, nil
	for at := range next.sites {
		if !next.sites[at].wiped {
			continue
		}
		for done := false; !done; {
			from := next.source(at)
			if from < 0 {
				return nil // nobody can go on with the pass: that takes time
			}
			if err := next.ask(at, from); err != nil {
				return err
			}
			p := next.built[0]
			if err := next.take(p); err != nil {
				return err
			}
			done = !p.page.More
		}
	}
	return next.judgePulled()
}
