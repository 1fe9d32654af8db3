package sim

import (
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Wall clocks (F16) and expiry (W8). A node's wall clock may be off by hours from
// its start, and jump while it runs; timers do not follow it. The oracle knows
// what every clock shows, and demands
//
//   - that no answer shows a version which has expired by the clock of the node
//     that gives it, and none hides one that has not,
//   - that a version is ended for its expiry only once a majority of its homes
//     have seen that time, by what their clocks have shown,
//   - that in the end, when all clocks agree, nothing that expires is left.

// wall is what the node's wall clock shows.
func (n *node) wall() int64 { return n.clock().Add(n.skew).UnixMilli() }

// setWall makes the wall clock jump to so much ahead of the time of events.
func (n *node) setWall(skew time.Duration) {
	n.skew = skew
	for _, s := range n.shards {
		s.shard.SetWall(skew)
	}
	n.sawWall()
}

// sawWall remembers the latest time that the wall clock has shown.
func (n *node) sawWall() { n.wallMax = max(n.wallMax, n.wall()) }

// jumpOne is the fault: a wall clock is set, to anything between an hour behind
// and an hour ahead, or, more rarely, to 1970 or 2262.
func (r *run) jumpOne(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if !n.up {
		return
	}
	if draw.with(4).happens(r.cfg.Fault.Strobe) {
		r.broke(FaultClock)
		r.strobe(n, draw.with(5))
		return
	}
	n.sawWall()
	to := time.Duration((draw.with(2).unit() - 0.5) * float64(2*time.Hour))
	switch draw.with(3).below(10) {
	case 0:
		to = time.UnixMilli(0).Sub(n.clock())
	case 1:
		to = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC).Sub(n.clock())
	}
	r.trace.say(n.name, "jump", "wall clock to %v", to)
	r.hits.add(WallJumped)
	r.broke(FaultClock)
	n.setWall(to)
}

const (
	// strobes is how often a clock goes back and forth, strobeEvery how fast; drifts
	// and driftBy say the same of one that runs ten times as fast, or backwards.
	strobes, strobeEvery = 20, 50 * time.Millisecond
	drifts, driftBy      = 40, 500 * time.Millisecond
)

// strobe lets a wall clock go back and forth, or run too fast or backwards for a while.
func (r *run) strobe(n *node, draw chance) {
	life, by := n.lives, time.Duration(draw.with(1).unit()*float64(time.Hour))
	steps, change := strobes, func(i int) time.Duration { return by * time.Duration(1-i%2*2) }
	if draw.with(2).happens(0.5) {
		way := driftBy * time.Duration(1-draw.with(3).below(2)*2)
		steps, change = drifts, func(int) time.Duration { return way }
		r.hits.add(ClockDrifted)
	} else {
		r.hits.add(ClockStrobed)
	}
	r.trace.say(n.name, "strobe", "%d steps, the first by %v", steps, change(0))
	for i := range steps {
		r.agenda.after(time.Duration(i)*strobeEvery, func() {
			if n.lives == life && n.up && !r.calm {
				n.sawWall()
				n.setWall(n.skew + change(i))
			}
		})
	}
}

// over reports whether it has expired by a wall clock.
func (w *write) over(wall int64) bool { return w.expiry.Over(wall) }

// noteExpiry takes over the expiry of a put from what its coordinator sends
// and stores, and demands that it is what the client asked for.
func (o *oracle) noteExpiry(n *node, object wire.Object) {
	writes := make([]*write, len(object.Versions))
	for i := range object.Versions {
		writes[i] = o.writes[object.Versions[i].Dot]
	}
	o.noteExpiries(n, object, writes)
}

// noteExpiries is noteExpiry for a caller who knows the writes of the versions.
func (o *oracle) noteExpiries(n *node, object wire.Object, writes []*write) {
	for i, w := range writes {
		if w == nil {
			continue
		}
		v := &object.Versions[i]
		w.written = v.Value.WrittenAt
		ttl := w.op.request.TTL
		if w.expiry == v.Value.ExpiresAt && (w.expiry != 0 || ttl == 0) {
			continue
		}
		if w.expiry != 0 || ttl == 0 || !o.expiresRightly(&v.Value, ttl) {
			o.find("W8", "%s stores %v to expire at %d, it was %d; its client asked for %v", n.name, w.dot, v.Value.ExpiresAt, w.expiry, ttl)
		}
		w.expiry = v.Value.ExpiresAt
	}
}

// noteSent takes over the expiry of a new put from what its coordinator tells the
// others. No row may ever show it: all that waited for the same object runs on one
// reading and leaves one row, and a read among it sees what a later write ends.
func (b *batch) noteSent(w *write) {
	for _, send := range b.out.Sends {
		if m, ok := send.Msg.(*wire.Write); ok && m.Delta.Has(w.dot) {
			b.oracle.noteExpiry(b.shell.node, m.Delta.Siblings)
		}
	}
}

// expiresRightly: a time to live counts from the write, which may say that it was
// made later than it was where the last writer wins. A clock may show less than 1970,
// and an expiry cannot.
func (o *oracle) expiresRightly(rec *wire.Record, ttl time.Duration) bool {
	want := wire.Expiry(max(1, rec.WrittenAt+ttl.Milliseconds()))
	return rec.ExpiresAt == want || o.run.cfg.LastWins && 0 < rec.ExpiresAt && rec.ExpiresAt < want
}

// endExpired records a delete event that no client asked for: the end of what has
// expired, or was beaten. What it has seen and nothing else had, must have expired,
// or been beaten.
func (o *oracle) endExpired(b *batch, d vclock.Dot, key string) {
	n := b.shell.node
	op := &operation{client: &client{run: o.run, number: -1}, request: kindred.Request{Op: kindred.OpDelete}, record: -1}
	op.intent.Key = key
	w := &write{dot: d, key: key, op: op, past: b.seenByExpiry(d)}
	op.writes = []*write{w}
	if w.past.Contains(d) { // a whole filled object
		o.touched(b, d, key)
		return
	}
	h, ends := o.history(key), 0
	for _, ended := range h.writes {
		switch {
		case !ended.put || !w.past.Contains(ended.dot) || o.void.Contains(ended.dot):
		case ended.expiry != 0 && o.majorityOver(ended):
			ends++
		case o.beaten(n, b.idOf(key), ended):
			ends++
		case !h.pasts.Contains(ended.dot) && !ended.twins():
			o.find("W8", "%s ends %v of %s by %v, and no majority of its homes has seen the time %d at which it expires", n.name, ended.dot, key, d, ended.expiry)
			return
		}
	}
	if ends == 0 {
		o.touched(b, d, key)
		return
	}
	o.run.hits.add(ExpiredEnded)
	o.writes[d] = w
	o.minted[d.Actor] = max(o.minted[d.Actor], d.Counter)
	h.add(w)
}

// seenByExpiry is what an expiry event says it ends.
func (b *batch) seenByExpiry(d vclock.Dot) vclock.DotSet {
	for _, send := range b.out.Sends {
		if m, ok := send.Msg.(*wire.Write); ok && m.Delta.Dots.Contains(d) {
			return m.Delta.Context.Clone()
		}
	}
	return vclock.DotSet{}
}

// expiryAsked is longer than a home asks others for their clocks.
const expiryAsked = 5 * time.Second

func (o *oracle) majorityOver(w *write) bool {
	var seen nodes
	for _, n := range o.run.nodes {
		n.sawWall()
		if w.over(n.wallMax) {
			seen.add(n)
		}
	}
	most := false
	o.run.inUse(o.history(w.key).id.Partition, o.run.agenda.now-expiryAsked, func(by *owners) bool {
		for _, group := range by.writers {
			most = most || (seen&group).len() > group.len()/2
		}
		return !most
	})
	return most
}

// hidden adds to the dots that an answer shows those that it hides because they
// have expired by its coordinator's clock, and demands that it shows none of them.
func (o *oracle) hidden(who, key string, shown vclock.DotSet, wall int64) vclock.DotSet {
	h, all := o.history(key), shown.Clone()
	for _, w := range h.writes {
		switch {
		case !w.put || !w.over(wall):
		case shown.Contains(w.dot):
			o.find("W8", "%s shows %v of %s, which expired at %d; the clock there is at %d", who, w.dot, key, w.expiry, wall)
		case !h.pasts.Contains(w.dot):
			all.Add(w.dot)
			o.run.hits.add(ExpiredHidden)
		}
	}
	return all
}

// endEverything sets all clocks to one time at which everything has expired, and
// lets the homes end it.
//
// Shards look at the wall clock once a minute; and all that has not been done when
// faults ended, late messages too, has its time here.
func (r *run) endEverything() {
	last := r.agenda.now
	for _, w := range r.oracle.writes {
		if w.expiry != 0 {
			last = max(last, w.expiry.Time().Sub(epoch))
		}
	}
	last += time.Duration(r.cfg.Replicas) * (r.cfg.Limits.ExpiryGrace + r.cfg.Limits.ExpiryStagger)
	for _, n := range r.nodes {
		n.setWall(last - r.agenda.now + time.Second)
	}
	r.pass(expiryWithin)
	r.settle()
}

// demandNothingExpires demands that no object with an expiry is left, and no row
// of the index (I5).
func (r *run) demandNothingExpires() {
	for _, n := range r.nodes {
		for _, id := range n.owned() {
			if r.isHome(n, id) {
				r.oracle.demandNoExpiry(n, id)
			}
		}
	}
}

func (o *oracle) demandNoExpiry(n *node, id replica.ID) {
	snapshot, err := n.store.Snapshot()
	if err != nil {
		o.find("S5", "%s: snapshot: %v", n.name, err)
		return
	}
	defer snapshot.Close()
	lo, hi := storage.ExpiryRange(id.Partition, id.N)
	err = snapshot.Scan(lo, hi, func(row, _ []byte) bool {
		o.find("W8", "%s still has %q in the index of what expires, when everything has expired", n.name, row)
		return false
	})
	for _, key := range o.run.allKeys() {
		object, bad := replica.Load(snapshot, id, bucket, key)
		if bad != nil {
			err = bad
		}
		for _, v := range object.Versions {
			if v.Value.ExpiresAt != 0 {
				o.find("I5", "%s still holds %v of %s, which has expired", n.name, v.Dot, key)
			}
		}
	}
	if err != nil {
		o.find("S6", "%s: %v", n.name, err)
	}
}

// endsExpired reports whether a write carries the end of something expired: a
// dot without a value, for which nobody waits.
func endsExpired(m *wire.Write) bool {
	return m.Op.IsZero() && len(m.Delta.Versions) == 0 && !m.Delta.Dots.IsEmpty()
}
