package explore

import (
	"fmt"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// judge says which demand on a site the world does not meet, if any: 2 and 3 of
// the package comment.
func (w *world) judge(at int) error {
	s := &w.sites[at]
	if err := s.replica.Check(); err != nil {
		return err
	}
	logged, err := s.logged()
	if err != nil {
		return err
	}
	if logged.Compare(s.replica.Logged()) != vclock.Equal {
		return fmt.Errorf("R1: the clock of %s is %v above the floor, its log says %v", siteNames[at], s.replica.Logged(), logged)
	}
	stored, err := replica.Recount(s.stored, partition)
	if err != nil {
		return err
	}
	if len(stored.Differing(s.replica.Tree())) > 0 {
		return fmt.Errorf("R20: the hash tree of %s is not that of what it stores", siteNames[at])
	}
	for key := range w.bounds.Keys {
		object, err := replica.Load(s.stored, partition, bucket, keyNames[key])
		if err != nil {
			return err
		}
		clock := s.replica.Clock()
		if passed := s.passedOf(key); !passed.IsEmpty() {
			clock = clock.Clone()
			clock.Union(passed)
		}
		if err := w.judgeKey(siteNames[at], key, object, clock); err != nil {
			return err
		}
		if _, _, _, copying := s.replica.Copying(); !copying && !s.replica.Clock().Covers(object.Dots()) {
			return fmt.Errorf("I4: %s shows %v of %s, and its clock is %v", siteNames[at], object.Dots(), keyNames[key], s.replica.Clock())
		}
	}
	return nil
}

// logged are the dots of the log.
func (s *site) logged() (dots vclock.DotSet, err error) {
	lo, hi := storage.LogRange(partition.Partition, partition.N)
	bad := s.stored.Scan(lo, hi, func(row, _ []byte) bool {
		var actor [16]byte
		var d vclock.Dot
		if _, _, actor, d.Counter, err = storage.ParseLogKey(row); err == nil {
			d.Actor, _, err = vclock.DecodeActor(actor[:])
		}
		if err == nil {
			dots.Add(d)
		}
		return err == nil
	})
	if err == nil {
		err = bad
	}
	return dots, err
}

// judgeKey compares an object with what the writes leave alive for somebody who
// knows its context and that clock.
func (w *world) judgeKey(who string, key int, object wire.Object, clock vclock.DotSet) error {
	known := object.Context.Clone()
	known.Union(clock)
	known = known.Minus(w.closes.void)
	if err := w.judgeMinted(who, known); err != nil {
		return err
	}
	for _, v := range object.Versions {
		number, found := w.find(v.Dot)
		switch {
		case !found || w.writes[number].key != key || !w.writes[number].put:
			return fmt.Errorf("C2: %s shows %v at %s, which is no put of it", who, v.Dot, keyNames[key])
		case string(v.Value.Value) != string([]byte{byte(number)}):
			return fmt.Errorf("C2: %s shows another value under %v than was written", who, v.Dot)
		case !clock.Contains(v.Dot):
			return fmt.Errorf("I4: %s shows %v, which its clock does not have", who, v.Dot)
		}
	}
	return w.judgeSet(who, key, object.Dots(), known)
}

// judgeSet demands of what is shown of a key that it is what the writes in known
// leave alive. What is void is no write: if it was a put, it has no effect.
func (w *world) judgeSet(who string, key int, shown, known vclock.DotSet) error {
	var past, pasts vclock.DotSet
	for _, e := range w.writes {
		if e.key == key && !(e.put && w.closes.void.Contains(e.dot)) {
			pasts.Union(e.past)
			if known.Contains(e.dot) {
				past.Union(e.past)
			}
		}
	}
	for _, e := range w.writes {
		if e.key != key || !e.put || !known.Contains(e.dot) {
			continue
		}
		switch live, dead := shown.Contains(e.dot), past.Contains(e.dot); {
		case live && dead:
			return fmt.Errorf("I5: %s shows %v of %s and knows a write that had seen it", who, e.dot, keyNames[key])
		case !live && !dead && !pasts.Contains(e.dot):
			return fmt.Errorf("I1: %s knows %v of %s and does not show it, and no write has seen it", who, e.dot, keyNames[key])
		}
	}
	return nil
}

func (w *world) find(d vclock.Dot) (int, bool) {
	for i, e := range w.writes {
		if e.dot == d {
			return i, true
		}
	}
	return 0, false
}

// judgeMinted demands that a set speaks of dots that exist.
func (w *world) judgeMinted(who string, set vclock.DotSet) error {
	for d := range set.Dots() {
		if _, found := w.find(d); !found {
			return fmt.Errorf("I4: %s speaks of %v, which has not been minted", who, d)
		}
	}
	return nil
}

// judgeMemory is demand 4: what a site knew of a key, it knows.
func (w *world) judgeMemory(at int, before *site) error {
	for _, e := range w.writes {
		if w.closes.void.Contains(e.dot) {
			continue
		}
		was, err := before.knows(e)
		if err != nil {
			return err
		}
		is, err := w.sites[at].knows(e)
		if err != nil {
			return err
		}
		if was && !is {
			return fmt.Errorf("R4: %s has forgotten that it knew %v", siteNames[at], e.dot)
		}
	}
	return nil
}

func (s *site) knows(e write) (bool, error) {
	if s.replica.Clock().Contains(e.dot) {
		return true, nil
	}
	object, err := replica.Load(s.stored, partition, bucket, keyNames[e.key])
	return object.Context.Contains(e.dot) || s.passedOf(e.key).Contains(e.dot), err
}

// judgeMended is demand 6, on a copy of the world.
func (w *world) judgeMended() error {
	for key := range w.bounds.Keys {
		next := w.clone()
		if err := next.learnAll(); err != nil {
			return err
		}
		next.letters = nil
		if err := next.read(key, []int{0, 1, 2}[:len(w.sites)]); err != nil {
			return err
		}
		if err := next.deliverAll(); err != nil {
			return err
		}
		if err := next.judgeSame("a read of all", key); err != nil {
			return err
		}
	}
	return nil
}
