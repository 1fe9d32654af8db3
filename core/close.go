package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// closer closes dead incarnations (R14, R15). As a member of the layout this node
// promises, reports and refuses, for every partition, because anybody may hold a
// hint. As a home it looks for dots that stay away, proposes rounds, and sweeps
// its objects for what lost dots have left behind.
//
// A home proposes when a dot that it has heard of (a gap in its clock, a context
// that cannot be stripped, a delta that it had to refuse) has been lacking for
// Limits.CloseAfter, every member can be reached, and the members then say that
// the actor is dead, and that none of them holds the dot or that some have
// promised a round that nobody has finished. So a gap that an exchange can close
// is left to it.
type closer struct {
	s      *Shard
	places map[replica.ID]*place
	// now is the time of the last event that said it, at when to be woken, seq the
	// number of the last attempt.
	now, at time.Time
	seq     uint64
	stats   CloseStats
}

// place is what the node knows about incarnations of one partition.
type place struct {
	id       replica.ID
	promises *antientropy.Promises
	// missing are dots that were heard of and are not in the clock, suspects the
	// actors of those and of gaps.
	missing  vclock.DotSet
	suspects map[vclock.Actor]suspect
	// lookAt is when to see whether they have come, zero if nothing is missing;
	// tries counts the looks in vain.
	lookAt time.Time
	tries  int
	// number is that of the highest round that this process has proposed here.
	number uint64

	attempt *antientropy.Close
	askAt   time.Time
	asks    int
	sweep   closeSweep
	// told is when each peer was last told all outcomes, alike who was last heard to know
	// the same ones.
	told  map[string]time.Time
	alike map[string]bool
}

// suspect is an actor of which dots are missing: since when, and how often the
// members were asked about it and had a reason to wait.
type suspect struct {
	since time.Time
	vain  uint8
}

// due reports whether it is time to ask, which is later each time.
func (s suspect) due(now time.Time, after time.Duration) bool {
	return now.Sub(s.since) >= after<<min(s.vain, closeDoublings)
}

// CloseStats counts what closing has done at a shard.
type CloseStats struct {
	// Attempts are questions about dead incarnations, Rounds those that went on to
	// promises, Closed the incarnations for which they came to an end, Failed the
	// attempts without an end.
	Attempts, Rounds, Closed, Failed uint64
	// Promises were made for others, Learned are outcomes that were new here.
	Promises, Learned uint64
	// Refused are deltas that a promise kept out (R14), Touches the dots minted for
	// the effect of lost ones, Surveys the pages of objects looked through.
	Refused, Touches, Surveys uint64
}

// Plus adds the counters of another shard.
func (a CloseStats) Plus(b CloseStats) CloseStats {
	a.Attempts += b.Attempts
	a.Rounds += b.Rounds
	a.Closed += b.Closed
	a.Failed += b.Failed
	a.Promises += b.Promises
	a.Learned += b.Learned
	a.Refused += b.Refused
	a.Touches += b.Touches
	a.Surveys += b.Surveys
	return a
}

const (
	// closeLooks is how often a home looks for missing dots before it waits for
	// something to happen. Looks, and questions about one actor, come at intervals
	// that double closeDoublings times.
	closeLooks     = 16
	closeDoublings = 5
	// closeAsk is the time after which a member is asked again; it doubles with
	// each time, closeAsks times.
	closeAsk  = 500 * time.Millisecond
	closeAsks = 9
	// closeTell is the least time between two tellings of all outcomes to a peer.
	closeTell = 10 * time.Second
	// closeAttempts bounds the attempts in progress at one shard.
	closeAttempts = 4
	// missingSpansMax bounds what is remembered of dots that stay away.
	missingSpansMax = 1024
)

func newCloser(s *Shard) *closer { return &closer{s: s, places: map[replica.ID]*place{}} }

// CloseStats returns the counters of closing.
func (s *Shard) CloseStats() CloseStats { return s.closer.stats }

// Promised are this node's promises about the actors of dots, to be sent with
// them (R14). They must be read at the moment at which the dots are, or before.
// What carries any leaves only when all that was applied is durable.
func (s *Shard) Promised(id replica.ID, dots vclock.DotSet) wire.Rounds {
	if p := s.closer.places[id]; p != nil {
		return p.promises.Rounds(dots)
	}
	return nil
}

// vouched is what this node has promised about the live versions of an object, and
// the digest of what it knows to be void.
func (s *Shard) vouched(id replica.ID, o *wire.Object) (promised wire.Rounds, void uint64) {
	p := s.closer.places[id]
	if p == nil {
		return nil, 0
	}
	if len(p.promises.All()) > 0 { // or the dots need not be gathered
		promised = p.promises.Rounds(o.Dots())
	}
	return promised, p.promises.VoidDigest()
}

// voidDigest is of what this node knows to be void.
func (s *Shard) voidDigest(id replica.ID) uint64 {
	if p := s.closer.places[id]; p != nil {
		return p.promises.VoidDigest()
	}
	return 0
}

// RefuseDots is R14 for deltas that do not go into a home replica, such as hints:
// why dots that are news here may not be taken, or nil.
func (s *Shard) RefuseDots(id replica.ID, unknown vclock.DotSet, sent wire.Rounds) error {
	if p := s.closer.places[id]; p != nil {
		return p.promises.Refuse(unknown, sent)
	}
	return nil
}

// RecoverPromises reads back what this node has promised about partitions that
// fall to this shard, whether or not it is a home of them. A shell calls it
// before SetPhase.
func (s *Shard) RecoverPromises(store storage.Snapshot, mine func(partition uint32) bool) error {
	known := map[replica.ID]bool{}
	lo, hi := storage.TableRange(storage.TablePromise)
	err := store.Scan(lo, hi, func(row, _ []byte) bool {
		if _, partition, n, ok := storage.ParseReplica(row); ok && mine(partition) {
			known[replica.ID{Partition: partition, N: n}] = true
		}
		return true
	})
	if err != nil {
		return err
	}
	for id := range known {
		if err := s.closer.recover(id, store); err != nil {
			return err
		}
	}
	return nil
}

// recover reads the promises about one partition, once.
func (c *closer) recover(id replica.ID, store storage.Snapshot) error {
	if c.places[id] != nil {
		return nil
	}
	promises, err := antientropy.ReadPromises(store, id.Partition, id.N)
	if err != nil {
		return err
	}
	c.place(id).promises = promises
	return nil
}

// restore gives a recovered replica back what is void, and its fence.
func (c *closer) restore(r *replica.Replica) error {
	p := c.place(r.ID())
	for _, record := range p.promises.All() {
		if record.Void.IsEmpty() {
			continue
		}
		if err := r.VoidAgain(record.Void, record.Nameless); err != nil {
			return err
		}
		if record.Swept {
			r.Swept(record.Void)
		}
	}
	r.SetFence(fence{c, p})
	return nil
}

// stain keeps of a copy that retires that any object may show the effect of what is void
// and was not swept: its log need not name that for long. A copy that begins anew has no
// objects, and is swept; to say so before the old one is gone for good would be too early.
func (c *closer) stain(id replica.ID) {
	p := c.place(id)
	for _, a := range p.promises.Stain() {
		p.promises.Save(&c.s.out.Rows, id.Partition, id.N, a)
	}
}

func (c *closer) place(id replica.ID) *place {
	p := c.places[id]
	if p == nil {
		p = &place{id: id, promises: &antientropy.Promises{}, suspects: map[vclock.Actor]suspect{}, told: map[string]time.Time{}, alike: map[string]bool{}}
		c.places[id] = p
	}
	return p
}

// fence is R14 at a home. What it keeps out is a reason to propose a round: the
// promise may have been left behind by a proposer that died.
type fence struct {
	c *closer
	p *place
}

func (f fence) VoidDigest() uint64 { return f.p.promises.VoidDigest() }

func (f fence) Refuse(unknown vclock.DotSet, sent wire.Rounds) error {
	err := f.p.promises.Refuse(unknown, sent)
	if err != nil {
		f.c.stats.Refused++
		f.c.notice(f.p, unknown)
	}
	return err
}

// noticeKey looks at a replica and one of its objects after a step.
func (c *closer) noticeKey(now time.Time, r *replica.Replica, k *replica.Key) {
	c.now = now
	clock, context := r.Clock(), k.Object().Context
	if clock.Exceptions() == 0 && context.IsEmpty() {
		return
	}
	c.notice(c.place(r.ID()), context.Minus(clock))
}

// awaits notes what a replica that was rebuilt has heard of and does not hold: if
// its holders are lost, nothing but the end of an incarnation ends the rebuild. A gap
// may be left when all is copied: void dots do not come with a rebuild, and no step
// of a key may ever show it.
func (c *closer) awaits(now time.Time, r *replica.Replica) {
	c.now = now
	c.notice(c.place(r.ID()), r.Lacks())
}

// notice remembers dots that are not here, and that the clock may have a gap.
func (c *closer) notice(p *place, missing vclock.DotSet) {
	if p.missing.Exceptions()+p.missing.Actors() < missingSpansMax {
		p.missing.Union(missing)
	}
	p.tries = 0
	if p.lookAt.IsZero() {
		c.wake(&p.lookAt, c.now.Add(c.s.cfg.Limits.CloseAfter))
	}
}

func (c *closer) wake(when *time.Time, at time.Time) {
	*when = at
	if c.at.IsZero() || at.Before(c.at) {
		c.at = at
	}
}

// began looks at the replicas that have just been recovered.
func (c *closer) began(recovered []*replica.Replica) {
	for _, r := range recovered {
		c.notice(c.place(r.ID()), vclock.DotSet{})
		c.startSweep(r)
	}
}

// linked looks again at what stayed away while a peer did.
func (c *closer) linked(now time.Time, peer string) {
	c.now = now
	for _, p := range c.inOrder() {
		if p.attempt != nil && slices.Contains(p.attempt.Waiting(), peer) {
			p.asks = 0
			c.ask(p, []string{peer})
		}
		c.lookAnew(p)
	}
}

// lookAnew looks again at what has stayed away, as if it had never been in vain.
func (c *closer) lookAnew(p *place) {
	if c.s.replicas[p.id] == nil || p.missing.IsEmpty() && len(p.suspects) == 0 {
		return
	}
	for a, known := range p.suspects {
		p.suspects[a] = suspect{since: known.since}
	}
	c.notice(p, vclock.DotSet{})
}

// settled looks again at what had to wait for a settled layout.
func (c *closer) settled() {
	for _, p := range c.inOrder() {
		if p.attempt != nil {
			c.giveUp(p) // it was only to make promises alike
		}
		if !p.lookAt.IsZero() { // what was noticed of late has not been looked at yet
			p.lookAt = time.Time{}
			c.notice(p, vclock.DotSet{})
		}
		c.lookAnew(p)
	}
}

// busy counts what is going on.
func (c *closer) busy() (n int) {
	for _, p := range c.places {
		if p.attempt != nil {
			n++
		}
		if p.sweep.reading {
			n++
		}
	}
	return n
}

func (c *closer) inOrder() []*place {
	places := make([]*place, 0, len(c.places))
	for _, p := range c.places {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b *place) int {
		return (int(a.id.Partition)-int(b.id.Partition))*256 + int(a.id.N) - int(b.id.N)
	})
	return places
}

// tick does what is due and finds out when to be woken again.
func (c *closer) tick(now time.Time) {
	if c.at.IsZero() || c.at.After(now) {
		return
	}
	c.now, c.at = now, time.Time{}
	for _, p := range c.inOrder() {
		if due(p.askAt, now) {
			c.askAgain(p)
		}
		if due(p.lookAt, now) {
			c.look(p)
		}
		if due(p.sweep.at, now) {
			c.survey(p)
		}
		for _, when := range []time.Time{p.askAt, p.lookAt, p.sweep.at} {
			if !when.IsZero() && (c.at.IsZero() || when.Before(c.at)) {
				c.at = when
			}
		}
	}
}

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// lacking are the dots that a home has heard of and does not have.
func (c *closer) lacking(p *place) vclock.DotSet {
	r := c.s.replicas[p.id]
	if r == nil {
		return vclock.DotSet{}
	}
	clock := r.Clock()
	p.missing = p.missing.Minus(clock)
	lacking := p.missing.Clone()
	for a, span := range clock.Spans() {
		if span.Lo > 1 {
			lacking.AddSpan(a, vclock.Span{Lo: 1, Hi: span.Lo - 1})
		}
	}
	return lacking.Minus(clock)
}

// look sees what is still missing, and begins an attempt for what has been for
// long.
func (c *closer) look(p *place) {
	p.lookAt = time.Time{}
	lacking := c.lacking(p)
	suspects := map[vclock.Actor]suspect{}
	var long []vclock.Actor
	for a := range lacking.Spans() {
		if _, listed := suspects[a]; listed {
			continue
		}
		known, noticed := p.suspects[a]
		if !noticed {
			known.since = c.now
		} else if known.due(c.now, c.s.cfg.Limits.CloseAfter) {
			long = append(long, a)
		}
		suspects[a] = known
	}
	if p.suspects = suspects; len(suspects) == 0 {
		p.tries = 0
		return
	}
	if len(long) > 0 && p.attempt == nil {
		c.begin(p, long)
	}
	if p.tries < closeLooks {
		c.wake(&p.lookAt, c.now.Add(c.s.cfg.Limits.CloseAfter<<min(p.tries, closeDoublings)))
		p.tries++
	}
}
