package sim

import (
	"slices"
	"strings"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// check compares a stored object with the history of its key (R1, I4, I5). What
// the replica knows is E_k, its stored context and its clock. The live versions
// must be exactly the puts of E_k that nothing in E_k had seen.
//
// Two exceptions are part of the protocol and counted. A request that minted two
// dots shows either (R19). And what a delete did can arrive without its dot, in
// a context (C8): then a put that some write has seen may be missing early.
func (o *oracle) check(n *node, f *found) {
	id, key, object := f.id, f.key, f.object
	if f.err != nil {
		if n.speaks(id, key) {
			o.find("I4", "%s: %v", n.name, f.err)
		}
		return
	}
	o.versions = o.versions[:0]
	for i := range object.Versions {
		o.versions = append(o.versions, o.writes[object.Versions[i].Dot])
	}
	o.noteExpiries(n, object, o.versions)
	if !n.speaks(id, key) {
		return
	}
	s, h := o.shadow(n, id), o.history(key)
	k := s.key(key)
	clock := o.knows(n, s, id, key)
	o.learn(n, key, s, k, object.Context, clock)
	o.checkLive(n, key, object, o.versions, clock)
	if o.finding != nil {
		return
	}
	for _, v := range object.Versions {
		if k.past.Contains(v.Dot) {
			o.find("I5", "%s shows %v of %s, which a write that it knows had seen", n.name, v.Dot, key)
		}
	}
	for _, w := range k.open {
		switch {
		case object.Has(w.dot):
			o.checkTwins(n, s, w, object)
		case o.isVoid(w.dot): // a node that was not asked has had it, and may lose it to those who know
		case w.twins():
			o.run.hits.add(TwinDropped)
		case o.takenAway(n, w):
			o.find("R27", "%s shows %v of %s no more, which could be read before a node came back, and nothing that is not void had seen it", n.name, w.dot, key)
		case h.pasts.Contains(w.dot):
			o.run.hits.add(EffectWithoutDot)
		default:
			o.find("I1", "%s knows %v of %s and does not show it, and no write has ever seen it", n.name, w.dot, key)
		}
	}
}

// checkTwins demands that a live version goes if the replica has served its
// request under another dot, which has been superseded since (R19).
func (o *oracle) checkTwins(n *node, s *shadow, w *write, object wire.Object) {
	for _, twin := range w.op.writes {
		if twin != w && o.remembers(w.op) && s.fresh.Contains(w.dot) && s.fresh.Contains(twin.dot) && !object.Has(twin.dot) {
			o.find("R19", "%s shows %v of %v, whose other dot %v has been superseded there", n.name, w.dot, w.op, twin.dot)
		}
	}
}

// learn brings what is known of a key up to date. It only ever grows (R4).
func (o *oracle) learn(n *node, key string, s *shadow, k *shadowKey, context, clock vclock.DotSet) {
	h := o.history(key)
	for _, w := range h.writes[k.looked:] {
		k.pending = append(k.pending, pending{write: w})
	}
	k.looked = len(h.writes)
	left := k.pending[:0]
	for _, p := range k.pending {
		w := p.write
		if o.isVoid(w.dot) { // known of and held nowhere: it has no effect
			continue
		}
		has := s.clock.Contains(w.dot)
		knows := has || context.Contains(w.dot) || s.passes && clock.Contains(w.dot)
		switch {
		case p.known && !knows:
			o.find("R4", "%s has forgotten that it knew %v of %s", n.name, w.dot, key)
		case knows && !p.known:
			p.known = true
			k.know(w)
		}
		if !has {
			left = append(left, p)
		}
	}
	clear(k.pending[len(left):])
	k.pending = left
	if !context.IsEmpty() {
		o.run.hits.add(ContextKept)
	}
	if clock.Exceptions() > 0 {
		o.run.hits.add(ClockException)
	}
	o.checkMinted(n, key, context)
}

// know takes a write into E_k.
func (k *shadowKey) know(w *write) {
	if !w.blunt {
		k.past.Union(w.past)
		k.open = slices.DeleteFunc(k.open, func(put *write) bool { return w.past.Contains(put.dot) })
	}
	if w.put && !k.past.Contains(w.dot) {
		k.open = append(k.open, w)
	}
}

// checkMinted demands that a set speaks of dots that exist. One that claims the
// future would swallow writes yet to come.
func (o *oracle) checkMinted(n *node, key string, set vclock.DotSet) {
	if !o.beyondMinted(set) {
		return
	}
	for actor, span := range o.notVoid(set).Spans() {
		if span.Hi > o.minted[actor] {
			o.find("I4", "%s speaks of %v:%v at %s, which has not been minted", n.name, actor, span, key)
		}
	}
}

// beyondMinted reports whether some dot of a set, void or not, has not been minted.
func (o *oracle) beyondMinted(set vclock.DotSet) bool {
	for actor, span := range set.Spans() {
		if span.Hi > o.minted[actor] {
			return true
		}
	}
	return false
}

// checkLive demands that every version shown is what its write wrote, under a
// dot that the clock has.
func (o *oracle) checkLive(n *node, key string, object wire.Object, writes []*write, clock vclock.DotSet) {
	for i := range object.Versions {
		v, w := &object.Versions[i], writes[i]
		switch {
		case w == nil || w.key != key:
			o.find("C2", "%s shows %v at %s, which is not a write of that key", n.name, v.Dot, key)
		case !w.sameValue(&v.Value):
			o.find("C2", "%s shows another value under %v at %s than %v wrote", n.name, v.Dot, key, w.op)
		case !clock.Contains(v.Dot):
			o.find("I4", "%s shows %v at %s, which its clock does not have", n.name, v.Dot, key)
		}
	}
}

// crashed compares what a node's disk kept with what it had promised to keep,
// and begins anew from that.
func (o *oracle) crashed(n *node) {
	o.returned[n.index] = vclock.DotSet{}
	for _, id := range n.owned() {
		before := o.shadow(n, id)
		delete(o.shadows, place{n.index, id})
		after := o.shadow(n, id)
		keys := o.readDisk(n, id, after)
		lost := before.clock.Minus(after.clock).Minus(o.void)
		for d := range lost.Dots() {
			o.lose(n, o.writes[d])
		}
		if !lost.IsEmpty() {
			o.lostSome(n, id, lost)
		}
		for d := range after.clock.Minus(before.clock).Minus(o.void).Dots() { // an image of before a loss
			o.regain(n, o.writes[d])
			o.writes[d].durable.add(n)
			o.writes[d].held.reached.add(n)
		}
		o.returned[n.index].Union(after.clock.Intersect(o.void).Minus(after.void))
		for _, key := range sortedKeys(keys) {
			f := load(n.store, id, key)
			o.inherit(n, before, after, &f)
			o.check(n, &f)
		}
	}
	o.hintsCrashed(n)
	o.synced(n) // a restart finds what the disk kept, and it stays
}

// inherit takes over what was known of a key before a crash, if the disk has kept just
// that: it is mostly so, and then the key's history need not be learnt again.
func (o *oracle) inherit(n *node, before, after *shadow, f *found) {
	k := before.keys[f.key]
	if k == nil || f.err != nil {
		return
	}
	clock := o.knows(n, after, f.id, f.key)
	var left []pending
	unsettled := k.pending // in the order of the history, as all that follows
	for _, w := range o.history(f.key).writes[:k.looked] {
		knew := true
		if len(unsettled) > 0 && unsettled[0].write == w {
			knew, unsettled = unsettled[0].known, unsettled[1:]
		}
		has := after.clock.Contains(w.dot)
		if knows := has || f.object.Context.Contains(w.dot) || after.passes && clock.Contains(w.dot); knows != knew || o.isVoid(w.dot) {
			return
		}
		if !has {
			left = append(left, pending{w, knew})
		}
	}
	after.keys[f.key] = &shadowKey{looked: k.looked, pending: left, past: k.past, open: k.open}
}

func (o *oracle) lose(n *node, w *write) {
	o.run.hits.add(CrashLostRows)
	w.applied.remove(n)
	w.lost.add(n)
	if w.acked.has(n) {
		o.run.hits.add(CrashLostAcknowledged)
	}
	switch {
	case w.durable.has(n) && o.replaced:
		w.durable.remove(n)
		w.forgotten.add(n)
		o.durable[n.index] = vclock.DotSet{}
	case w.durable.has(n):
		o.find("S4", "%s lost %v, which it had synced", n.name, w.dot)
	}
}

// knows is what a replica knows of a key, beside the key's context: its clock,
// and what a rebuild lets it know.
func (o *oracle) knows(n *node, s *shadow, id replica.ID, key string) vclock.DotSet {
	clock := s.clock
	if !s.passes {
		return clock
	}
	snapshot, err := n.store.Snapshot()
	if err != nil {
		o.find("S5", "%s: %v", n.name, err)
		return clock
	}
	defer snapshot.Close()
	besides, err := replica.Knows(snapshot, id, bucket, key)
	if err != nil {
		o.find("rows", "%s: %v", n.name, err)
	}
	if besides.IsEmpty() {
		return clock
	}
	besides = besides.Clone()
	besides.Union(clock)
	return besides
}

// readPasses notes whether there are rows about a rebuild.
func (o *oracle) readPasses(n *node, id replica.ID, s *shadow, snapshot storage.Snapshot) {
	s.passes = false
	lo, hi := storage.RebuildRange(id.Partition, id.N)
	if err := snapshot.Scan(lo, hi, func(_, _ []byte) bool { s.passes = true; return false }); err != nil {
		o.find("S6", "%s: %v", n.name, err)
	}
}

// readDisk reads the dots and the names of the keys of a replica.
func (o *oracle) readDisk(n *node, id replica.ID, s *shadow) map[string]bool {
	keys := map[string]bool{}
	snapshot, err := n.store.Snapshot()
	if err != nil {
		o.find("S5", "%s: %v", n.name, err)
		return keys
	}
	defer snapshot.Close()
	o.readCheckpoint(n, id, s, snapshot)
	if err := o.readPromises(n, id, s, snapshot); err != nil {
		o.find("S6", "%s: %v", n.name, err)
	}
	o.readPasses(n, id, s, snapshot)
	lo, hi := storage.LogRange(id.Partition, id.N)
	err = snapshot.Scan(lo, hi, func(row, value []byte) bool {
		_, _, raw, counter, err := storage.ParseLogKey(row)
		actor, _, bad := vclock.DecodeActor(raw[:])
		entry, wrong := storage.ParseLogEntry(value)
		if err != nil || bad != nil || wrong != nil {
			o.find("rows", "%s: the log has a row that cannot be read", n.name)
			return false
		}
		s.clock.Add(vclock.Dot{Actor: actor, Counter: counter})
		keys[string(entry.Key)] = true
		return true
	})
	if err == nil {
		lo, hi = storage.ObjectRange(id.Partition, id.N, bucket, "")
		err = scanAround(snapshot, lo, hi, func(row, _ []byte) bool {
			_, _, _, key, err := storage.ParseObjectKey(row)
			if err != nil {
				o.find("rows", "%s: %v", n.name, err)
			}
			keys[string(key)] = true
			return err == nil
		})
	}
	if err != nil {
		o.find("S6", "%s: %v", n.name, err)
	}
	return keys
}

// sent judges what leaves a replica: a filled object stands for itself (R5).
func (o *oracle) sent(from *node, m wire.Message) {
	switch m := m.(type) {
	case *wire.WriteAck:
		o.countBehind(m.At)
	case *wire.Forward:
		o.passesOn(from, m)
	case *wire.ForwardReply:
		o.countBehind(m.At)
		o.judgePassedOn(from, m)
	case *wire.ReadReply:
		if strings.Contains(m.Failed, "catching up") {
			o.run.hits.add(ReadUntrusted)
		}
		o.countBehind(m.At)
		if m.Failed != "" {
			o.refusedAt[m.Op.Process] = o.run.agenda.now
		} else {
			if key := o.keyOfRead(m); key != "" {
				o.checkFilled(from, key, m.Object)
			}
		}
	case *wire.Clock:
		o.sentClock(from, m)
	case *wire.Pieces:
		o.sentPieces(from, m)
	case *wire.Write:
		if m.Op.IsZero() && !endsExpired(m) {
			o.run.hits.add(ReadRepairSent)
		}
		for d := range m.Delta.Dots.Dots() {
			if w := o.writes[d]; w != nil && m.At.Step != 0 {
				if w.under != m.At.Tip && w.under.Counter != 0 {
					o.run.hits.add(ResentUnderNewTip)
				}
				w.under = m.At.Tip
			}
			if w := o.writes[d]; w == nil || w.key != m.Key {
				o.find("R2", "%s sends %v as a write of %s, which it is not", from.name, d, m.Key)
			}
		}
	}
}

// countBehind counts a refusal because of the layout (R24).
func (o *oracle) countBehind(at ring.Progress) {
	if at.Step != 0 {
		o.run.hits.add(RefusedBehind)
	}
}

// keyOfRead is the key that a reply is about, if its versions tell.
func (o *oracle) keyOfRead(m *wire.ReadReply) string {
	for _, v := range m.Object.Versions {
		if w := o.writes[v.Dot]; w != nil {
			return w.key
		}
	}
	return ""
}

// checkFilled demands that a filled object is the exact set for its context.
func (o *oracle) checkFilled(from *node, key string, object wire.Object) {
	shown := object.Dots()
	o.judgeSet(from.name+" sends", key, shown, object.Seen())
	o.checkMinted(from, key, object.Context)
}

// judgeSet demands that what is shown is what a context leaves alive.
func (o *oracle) judgeSet(who, key string, shown, context vclock.DotSet) {
	h := o.history(key)
	for d := range shown.Dots() {
		for _, w := range h.writes[o.seenFromOn(h, d):] {
			if w.past.Contains(d) && context.Contains(w.dot) && !w.blunt && !o.isVoid(w.dot) {
				o.find("I5", "%s %v of %s with a context that covers %v, which had seen it", who, d, key, w.dot)
			}
		}
	}
	for _, w := range h.bare {
		if context.Contains(w.dot) && !shown.Contains(w.dot) && !w.twins() && !o.isVoid(w.dot) {
			o.find("R5", "%s a context of %s that covers %v, does not show it, and no write has seen it", who, key, w.dot)
		}
	}
}

// notVoid is a set without the dots that are void, of which there are mostly none.
func (o *oracle) notVoid(set vclock.DotSet) vclock.DotSet {
	if o.void.IsEmpty() {
		return set
	}
	return set.Minus(o.void)
}

// isVoid reports whether somebody has called a dot void.
func (o *oracle) isVoid(d vclock.Dot) bool { return !o.void.IsEmpty() && o.void.Contains(d) }

// arrives looks at a message just before a replica takes it.
func (o *oracle) arrives(n *node, from string, m wire.Message) {
	d, ok := m.(*wire.Write)
	if !ok {
		return
	}
	s := o.shadow(n, replica.ID{Partition: d.Partition, N: d.N})
	if s.clock.Covers(d.Delta.Dots) {
		o.run.hits.add(RepeatSeen)
	}
	if endsExpired(d) {
		o.run.hits.add(ExpiryArrived)
		o.run.repairArrived(n)
	} else if d.Op.IsZero() {
		o.run.hits.add(ReadRepairArrived)
		if !s.clock.Covers(d.Delta.Dots) {
			o.run.hits.add(ReadRepairMended)
		}
		o.run.repairArrived(n)
		o.run.leaked(d)
	}
	o.run.hintArrived(n, from, d)
	k := s.key(d.Key)
	for _, v := range d.Delta.Versions {
		if k.past.Contains(v.Dot) {
			o.run.hits.add(LateWriteRefused)
		}
	}
}
