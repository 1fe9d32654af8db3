package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

const (
	// expiriesPerRound bounds the keys that a shard ends at a time.
	expiriesPerRound = 256
	// expiryLook is the longest time between two looks at the wall clock while
	// something expires: so late at most is a jump of it noticed.
	expiryLook = time.Minute
	// expiryPatience is how long a round waits for the clocks of the others, and a
	// replica for its next round when one came to nothing.
	expiryPatience = 2 * time.Second
)

// expiry is when the value of a put expires; wall is the coordinator's clock.
func expiry(req *kindred.Request, wall int64) (wire.Expiry, *kindred.Error) {
	switch {
	case req.TTL > 0:
		ttl := (req.TTL + time.Millisecond - 1).Milliseconds()
		return wire.Expiry(max(1, min(wall+ttl, kindred.ExpiryUnixMax*1000))), nil
	case !req.ExpiresAt.IsZero() && req.ExpiresAt.UnixMilli() <= wall:
		return 0, kindred.Invalid("expires_at", "expires_at=%s has passed by the coordinator's clock, which shows %s",
			req.ExpiresAt.UTC().Format(time.RFC3339Nano), time.UnixMilli(wall).UTC().Format(time.RFC3339Nano))
	}
	return wire.ExpiryAt(req.ExpiresAt), nil
}

// SetWall says how far the wall clock is ahead of the time that comes with
// events; negative is behind. Nothing but expiry and the time shown to people
// follows it. A shell whose events carry the wall clock has no need of it.
func (s *Shard) SetWall(ahead time.Duration) { s.ahead = ahead }

// wall is what the wall clock shows, in milliseconds since 1970.
func (s *Shard) wall(now time.Time) int64 { return now.Add(s.ahead).UnixMilli() }

// expirer ends what has expired, at the replicas of which this node is a home,
// one round after the other: it reads what is due by the index, asks the other
// homes what time it is, and makes a delete event for each key that a majority
// of the clocks, less the grace, calls expired. So one wrong clock removes
// nothing. The first home of a partition does it; the others come later, in
// turn, and find nothing left unless it was away.
type expirer struct {
	// look says when to look at a replica next, at is the earliest of them.
	look  map[replica.ID]time.Time
	at    time.Time
	round *expiryRound
	// rounds numbers the questions.
	rounds uint64
}

// expiryRound is one replica's due keys on their way to their end.
type expiryRound struct {
	replica *replica.Replica
	homes   []string
	// wait is how long after its expiry this home removes a version.
	wait time.Duration
	due  []replica.DueKey
	op   wire.OpID
	// clocks are what homes have told, own included; silent those that have not.
	clocks []int64
	silent []string
	until  time.Time
	// left counts the keys that are being looked at; failed is that some could
	// not be ended.
	left   int
	failed bool
}

func (e *expirer) busy() int {
	if e.round != nil {
		return 1
	}
	return 0
}

// watch begins to look after a replica that was recovered.
func (e *expirer) watch(r *replica.Replica) {
	if r.Expiries().Soonest() != 0 {
		e.plan(r.ID(), time.Unix(0, 0))
	}
}

// saved follows an object that was written.
func (e *expirer) saved(s *Shard, now time.Time, r *replica.Replica) {
	if r.Expiries().Sooner() {
		e.plan(r.ID(), now.Add(e.distance(s, now, r)))
	}
}

// plan says when to look at a replica, unless that is to happen sooner.
func (e *expirer) plan(id replica.ID, at time.Time) {
	if e.look == nil {
		e.look = map[replica.ID]time.Time{}
	}
	if before, ok := e.look[id]; ok && !at.Before(before) {
		return
	}
	e.look[id] = at
	if e.at.IsZero() || at.Before(e.at) {
		e.at = at
	}
}

// rearm finds the earliest look again after some were done.
func (e *expirer) rearm() {
	e.at = time.Time{}
	for _, at := range e.look {
		if e.at.IsZero() || at.Before(e.at) {
			e.at = at
		}
	}
}

// distance is how long it takes until something of r is due, if the wall clock
// goes on as it does.
func (e *expirer) distance(s *Shard, now time.Time, r *replica.Replica) time.Duration {
	due := r.Expiries().Soonest().Time().Add(s.expiryWait(s.expiryRank(r)))
	return min(max(due.Sub(now.Add(s.ahead)), 0), expiryLook)
}

// expiryRank is this node's place among the homes of a replica, -1 if it is none.
func (s *Shard) expiryRank(r *replica.Replica) int {
	id := r.ID()
	return slices.Index(s.homesOf(wire.Head(id)), s.cfg.Node)
}

func (s *Shard) expiryWait(rank int) time.Duration {
	return s.cfg.Limits.ExpiryGrace + time.Duration(max(rank, 0))*s.cfg.Limits.ExpiryStagger
}

// tick looks at the replicas whose time has come, and begins a round for the
// first of them that has something due.
func (e *expirer) tick(s *Shard, now time.Time) {
	if e.at.IsZero() || e.at.After(now) {
		return
	}
	if r := e.round; r != nil && r.due != nil && r.left == 0 {
		e.decide(s, now, true)
	}
	if e.round != nil {
		e.at = now.Add(expiryPatience) // its end comes by itself
		return
	}
	for _, id := range s.Replicas() {
		if at, ok := e.look[id]; ok && !at.After(now) && e.begin(s, now, s.replicas[id]) {
			break
		}
	}
	if e.round == nil {
		e.rearm()
		return
	}
	e.at = now.Add(expiryPatience)
}

// begin starts a round for r, unless nothing is due or this is no time for it.
func (e *expirer) begin(s *Shard, now time.Time, r *replica.Replica) bool {
	delete(e.look, r.ID())
	rank := s.expiryRank(r)
	switch {
	case r.Expiries().Soonest() == 0:
		return false
	case rank < 0 || r.Retired(): // others own it now; this node may come to own it again
		e.look[r.ID()] = now.Add(expiryLook)
		return false
	case s.full != nil:
		e.look[r.ID()] = now.Add(expiryPatience)
		return false
	}
	if far := e.distance(s, now, r); far > 0 {
		e.look[r.ID()] = now.Add(far)
		return false
	}
	id, wait := r.ID(), s.expiryWait(rank)
	e.round = &expiryRound{replica: r, homes: s.homesOf(wire.Head(id)), wait: wait}
	ask := r.Expiries().Read(id, s.wall(now)-wait.Milliseconds(), expiriesPerRound)
	s.lookAt(id, func() Reading {
		return func(store storage.Snapshot) func(time.Time) {
			reply := replica.Due(store, ask)
			return func(now time.Time) { e.found(s, now, ask, reply) }
		}
	})
	return true
}

// found takes what the index says is due.
func (e *expirer) found(s *Shard, now time.Time, ask *replica.DueRead, reply replica.DueReply) {
	r := e.round
	index := r.replica.Expiries()
	if reply.Err != nil {
		index.Back(ask.From)
		e.end(s, now, expiryPatience)
		return
	}
	index.Back(reply.Next)
	if len(reply.Keys) == 0 {
		e.end(s, now, 0)
		return
	}
	r.due = reply.Keys
	e.askTime(s, now)
	e.decide(s, now, false)
}

func (e *expirer) askTime(s *Shard, now time.Time) {
	r, id := e.round, e.round.replica.ID()
	e.rounds++
	r.op, r.until, r.clocks = s.opID(e.rounds), now.Add(expiryPatience), []int64{s.wall(now)}
	e.at = r.until
	for _, h := range r.homes {
		if h != s.cfg.Node && s.linked[h] {
			r.silent = append(r.silent, h)
			s.send(h, &wire.TimeAsk{Head: wire.Head{Partition: id.Partition, N: id.N}, Op: r.op}, false)
		}
	}
}

// told takes the clock of another home, once.
func (e *expirer) told(s *Shard, now time.Time, from string, m *wire.TimeTell) {
	r := e.round
	if r == nil || r.op != m.Op || r.left > 0 || !slices.Contains(r.silent, from) {
		s.stats.Stray++
		return
	}
	r.silent = slices.DeleteFunc(r.silent, func(h string) bool { return h == from })
	r.clocks = append(r.clocks, m.Wall)
	e.decide(s, now, false)
}

// agreed is the latest time that a majority of the homes has reached. It is not
// known before that many have told theirs.
func (r *expiryRound) agreed() (int64, bool) {
	majority := len(r.homes)/2 + 1
	if len(r.clocks) < majority {
		return 0, false
	}
	clocks := slices.SortedFunc(slices.Values(r.clocks), func(a, b int64) int { return cmp.Compare(b, a) })
	return clocks[majority-1], true
}

// decide ends the keys that are agreed on, once all of them are, or nobody is
// left to wait for.
func (e *expirer) decide(s *Shard, now time.Time, late bool) {
	r := e.round
	clock, ok := r.agreed()
	clock -= r.wait.Milliseconds()
	over := 0
	for ok && over < len(r.due) && r.due[over].At.Over(clock) {
		over++
	}
	if over < len(r.due) && len(r.silent) > 0 && !late {
		return
	}
	if over < len(r.due) {
		r.replica.Expiries().Back(r.due[over].At)
	}
	if over == 0 {
		e.end(s, now, expiryPatience)
		return
	}
	r.left = over
	e.at = now.Add(expiryLook)
	for _, due := range r.due[:over] {
		s.stats.Expired++
		s.enter(r.replica, due.Bucket, due.Key, func(now time.Time, k *replica.Key, err error) {
			e.endKey(s, k, due, clock, err)
			if r.left--; r.left > 0 {
				return
			}
			pause := time.Duration(0)
			if r.failed {
				pause = expiryPatience
			}
			e.end(s, now, pause)
		})
	}
}

// endKey is the step on one key. A key that cannot be read is left to whoever
// repairs it; it is looked at again after the grace.
func (e *expirer) endKey(s *Shard, k *replica.Key, due replica.DueKey, clock int64, err error) {
	r := e.round
	switch {
	case err != nil || s.full != nil:
		r.replica.Expiries().Back(due.At)
		r.failed = true
		return
	case !k.Expires(due.At):
		k.Forget(due.At, &s.out.Rows)
		return
	}
	delta, ok := k.Expire(clock, s.lastWins(due.Bucket), &s.out.Rows)
	if !ok { // this replica has lost something there, and speaks for it again later
		r.replica.Expiries().Back(due.At)
		r.failed = true
		return
	}
	s.stats.Expiries++
	s.tellEnd(r.replica.ID(), due.Bucket, due.Key, delta)
}

// tellEnd sends the other homes an event that no client asked for. Nobody waits for
// them to have it: an exchange brings it to those who miss it.
func (s *Shard) tellEnd(id replica.ID, bucket, key string, delta wire.Delta) {
	for _, h := range s.holdersOf(wire.Head(id)) {
		if h != s.cfg.Node {
			s.send(h, &wire.Write{
				Head: wire.Head(id), Durability: kindred.Batch, Bucket: bucket, Key: key, Delta: delta,
			}, false)
		}
	}
}

// end is the end of a round; the replica is looked at again when something is
// due, but not before pause is over.
func (e *expirer) end(s *Shard, now time.Time, pause time.Duration) {
	r := e.round.replica
	e.round = nil
	if r.Expiries().Soonest() != 0 {
		e.look[r.ID()] = now.Add(max(pause, e.distance(s, now, r)))
	}
	e.rearm()
}
