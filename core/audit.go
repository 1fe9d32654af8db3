package core

import (
	"bytes"
	"slices"
	"time"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

const (
	// auditPatience is how long a peer may take to answer a question of an audit.
	auditPatience = 30 * time.Second
	// auditRetry is how soon a replica that is still damaged is looked at again; it
	// doubles with each time in vain, auditDoublings times, because it is read as a
	// whole, here and at its peers.
	auditRetry     = time.Second
	auditDoublings = 4
	// auditSoon is how soon one is that could not be compared with every home.
	auditSoon = time.Minute
	// auditAgain is the least time between two audits of a replica.
	auditAgain = 10 * time.Second
	// auditLeaves and auditKeys bound what one round compares or restores.
	auditLeaves, auditKeys = 64, 256
	// auditBlocked is how often the other homes may lack something that a damaged
	// replica had of a key, before all members are asked whether anybody holds it.
	auditBlocked = 4
)

// AuditStatus is what audits have found out about one replica.
type AuditStatus struct {
	// Damaged counts the leaves, of hashtree.Leaves, that this replica does not
	// speak for until they are restored.
	Damaged int
	// Running: an audit is under way. Wanted: one was asked for.
	Running, Wanted bool
	// Ended is when the last one ended, zero if none has. Complete: it compared the
	// replica with every other home, and left no difference.
	Ended    time.Time
	Complete bool
	// Problem says why it was not complete, FailingSince when the first ended of
	// those in a row that were not; zero if the last one was.
	Problem      string
	FailingSince time.Time
	// blocked counts the times that no other home could say what was lost, vain the
	// audits in a row that have mended nothing of it.
	blocked, vain int
	// waits: it has noted what cannot be read, and that has not been discarded yet.
	waits bool
	// stumped are the homes that could not, since something was mended.
	stumped map[string]bool
	// lost are dots that no other member of the cluster holds.
	lost vclock.DotSet
	// Audited holds the dots that every home had, as far as was known here, when
	// the last complete audit began.
	Audited vclock.DotSet
	// goal is what the replica had when an audit was asked for: until all of that is
	// audited, another follows as soon as every home has it.
	goal vclock.DotSet
}

// auditor proves that what the replicas of a shard store is what they should
// store (R20), one replica at a time: it reads all their objects and compares them
// with the replica's own hash tree, restores from other homes what was lost, and
// then compares the tree with those of the other homes, top down, and makes the
// keys equal that differ.
type auditor struct {
	// due is when each replica is looked at next, at the earliest of them.
	due    map[replica.ID]time.Time
	at     time.Time
	run    *audit
	fresh  []replica.ID
	status map[replica.ID]*AuditStatus
	// asked counts the audits that were asked for.
	asked int64
	// surveys being read for peers.
	surveys int
}

// surveysMax bounds the readings of whole replicas for peers at one time.
const surveysMax = 2

// audit is one replica being audited.
type audit struct {
	r      *replica.Replica
	status *AuditStatus
	// peers are the homes that have not been compared with yet, the first of them
	// the one that is being asked.
	peers []string
	op    wire.OpID
	until time.Time
	// common is what every home was known to have when the audit began.
	common vclock.DotSet
	// restoring: leaves are those being restored, else those being compared.
	restoring bool
	leaves    hashtree.Set
	// since is what the replica knew of any key when the round began, lacked what
	// this peer has not applied of that and of the leaves that are restored.
	since, lacked vclock.DotSet
	// unnamed: of what it has not applied there are dots that no log names.
	unnamed bool
	// listed is the clock of the peer when it named its keys.
	listed vclock.DotSet
	// stuck are the leaves that this peer could not say anything about.
	stuck hashtree.Set
	// inquest asks for holders of what is lacking.
	inquest *inquest
	// names are the keys of the round that have not been taken up; busy counts
	// those that are being worked on.
	names []wire.AuditName
	asked []wire.AuditName
	busy  int
	// again are the leaves that could not be restored this time.
	again hashtree.Set
	// seen are the leaves that were compared with this peer already: what differs
	// in them now is on its way.
	seen    hashtree.Set
	problem string
}

// busy counts what is going on.
func (a *auditor) busy(s *Shard) int {
	n := a.surveys
	if a.run != nil {
		n++
	}
	for _, r := range s.replicas {
		if r.IsDamaged() {
			n++
		}
	}
	return n
}

// watch begins to look after a replica.
func (a *auditor) watch(s *Shard, r *replica.Replica) {
	if a.due == nil {
		a.due, a.status = map[replica.ID]time.Time{}, map[replica.ID]*AuditStatus{}
	}
	a.status[r.ID()] = &AuditStatus{}
	switch {
	case r.IsDamaged():
		a.plan(r.ID(), time.Unix(0, 0))
	case s.cfg.Limits.AuditEvery > 0:
		// Each replica has its place in the cycle, so that a start begins none of
		// them at once and a node that starts often gets around all the same.
		a.fresh = append(a.fresh, r.ID())
		a.at = time.Unix(0, 0)
	}
}

// spread gives new replicas their places in the cycle.
func (a *auditor) spread(s *Shard, now time.Time) {
	for _, id := range a.fresh {
		share := time.Duration(ring.Hash(s.cfg.Node, id.String()) % 1000)
		if _, ok := a.due[id]; !ok {
			a.plan(id, now.Add(s.cfg.Limits.AuditEvery*share/1000))
		}
	}
	a.fresh = nil
}

func (a *auditor) plan(id replica.ID, at time.Time) {
	a.due[id] = at
	if a.at.IsZero() || at.Before(a.at) {
		a.at = at
	}
}

// Audit asks for an audit of a replica, as soon as its turn comes, and for others
// until what the replica has now is audited.
func (s *Shard) Audit(id replica.ID) {
	if status := s.auditor.status[id]; status != nil && !status.Wanted {
		status.Wanted, status.goal = true, s.replicas[id].Clock().Clone()
		s.auditor.plan(id, s.auditor.turn())
	}
}

// turn is the next in the order of asking, before all that is due by the clock.
func (a *auditor) turn() time.Time {
	a.asked++
	return time.Unix(0, a.asked)
}

// Discarded says that ranges of Effects.Discards have gone. The replicas that wait for
// that may be restored now.
func (s *Shard) Discarded() {
	for _, id := range s.Replicas() {
		if status := s.auditor.status[id]; status.waits {
			status.waits, status.vain = false, 0
			s.auditor.plan(id, s.auditor.turn())
		}
	}
}

// notice asks for an audit because the disk has been met to be damaged. An audit
// meets it as well, and so do reads until it is mended: that is no reason for one
// after the other. Who waits for the damage to go has noted it.
func (a *auditor) notice(id replica.ID) {
	status := a.status[id]
	if status == nil || status.Wanted || status.Running || status.waits {
		return
	}
	status.Wanted = true
	at := status.Ended.Add(auditAgain)
	if status.Ended.IsZero() {
		at = a.turn()
	}
	a.plan(id, at)
}

// linked looks again at what could not be restored while a peer was away.
func (a *auditor) linked(s *Shard, now time.Time) {
	for _, id := range s.Replicas() {
		if status := a.status[id]; status != nil && status.vain > 0 && s.IsDamaged(id) && !status.Running && !status.waits {
			status.vain = 0
			a.plan(id, now)
		}
	}
}

// AuditRange asks for audits of the replicas that have objects in a range of rows.
// Nil bounds mean everything.
func (s *Shard) AuditRange(low, high []byte) {
	for _, id := range s.Replicas() {
		lo, hi := storage.ObjectsRange(id.Partition, id.N)
		if (high == nil || bytes.Compare(lo, high) < 0) && (low == nil || bytes.Compare(low, hi) < 0) {
			s.auditor.notice(id)
		}
	}
}

// Suspect keeps a replica from speaking for its keys until it has been looked
// through and restored: for a disk that is known to have lost something.
func (s *Shard) Suspect(id replica.ID) {
	if r := s.replicas[id]; r != nil {
		r.Suspect()
		s.Audit(id)
	}
}

// Audits is what audits have found out about each replica.
func (s *Shard) Audits() map[replica.ID]AuditStatus {
	all := map[replica.ID]AuditStatus{}
	for id, status := range s.auditor.status {
		damage := s.replicas[id].Damage()
		status.Damaged = damage.Len()
		all[id] = *status
	}
	return all
}

// Damage are the leaves of a replica that it does not speak for.
func (s *Shard) Damage(id replica.ID) hashtree.Set {
	if r := s.replicas[id]; r != nil {
		return r.Damage()
	}
	return hashtree.Set{}
}

// IsDamaged reports whether there are keys for which a replica does not speak.
func (s *Shard) IsDamaged(id replica.ID) bool {
	r := s.replicas[id]
	return r != nil && r.IsDamaged()
}

// unreadable notes that an object could not be read. Its replica is looked
// through, which finds out how far the damage goes.
func (a *auditor) unreadable(s *Shard, r *replica.Replica) {
	s.stats.Unreadable++
	if !r.IsDamaged() {
		a.notice(r.ID())
	}
}

// tick begins the audit that is due, and gives up a question that has no answer.
func (a *auditor) tick(s *Shard, now time.Time) {
	if a.at.IsZero() || a.at.After(now) {
		return
	}
	a.spread(s, now)
	if a.run != nil {
		if !a.run.until.IsZero() && !a.run.until.After(now) {
			a.run.nextPeer(s, now, "did not answer")
		}
	} else if s.full == nil {
		a.begin(s, now)
	}
	a.wake(now)
	if a.run == nil && !a.at.IsZero() && !a.at.After(now) {
		a.at = now.Add(auditRetry) // a shard that may not write waits
	}
}

// begin starts with the replica that has waited longest.
func (a *auditor) begin(s *Shard, now time.Time) {
	var first *replica.Replica
	for _, id := range s.Replicas() {
		at, ok := a.due[id]
		if ok && !at.After(now) && (s.Rebuilding(id) || s.incoming(id)) && !a.status[id].Wanted && !s.IsDamaged(id) {
			a.due[id] = now.Add(auditRetry) // what is there is not all yet
			continue
		}
		if ok && !at.After(now) && s.early(now, id) {
			a.due[id] = now.Add(auditRetry)
			continue
		}
		if ok && !at.After(now) && (first == nil || at.Before(a.due[first.ID()])) {
			first = s.replicas[id]
		}
	}
	if first == nil {
		return
	}
	delete(a.due, first.ID())
	run := &audit{r: first, status: a.status[first.ID()]}
	run.status.Running, run.status.Wanted, run.status.waits = true, false, false
	if x := s.exchange.of[first.ID()]; x != nil {
		run.common = x.Common().Clone()
	}
	a.run = run
	s.stats.Audits++
	s.survey(run)
}

// early reports whether the next audit of a replica is for the sake of dots that not
// every home has yet.
func (s *Shard) early(now time.Time, id replica.ID) bool {
	status, x := s.auditor.status[id], s.exchange.of[id]
	if status.Wanted || status.goal.IsEmpty() || x == nil || s.IsDamaged(id) {
		return false
	}
	cycle := s.cfg.Limits.AuditEvery
	return !x.Common().Covers(status.goal) && (cycle <= 0 || now.Before(status.Ended.Add(cycle)))
}

// wake says when tick is wanted next.
func (a *auditor) wake(now time.Time) {
	a.at = time.Time{}
	if a.run != nil {
		a.at = a.run.until
		return
	}
	for _, at := range a.due {
		if a.at.IsZero() || at.Before(a.at) {
			a.at = at
		}
	}
}

// survey reads the whole replica and compares it with its own hash tree.
func (s *Shard) survey(a *audit) {
	s.lookAt(a.r.ID(), func() Reading {
		surveyor := a.r.Surveyor()
		a.r.Watch()
		return func(store storageSnapshot) func(time.Time) {
			found, err := surveyor.Read(store, hashtree.Set{})
			return func(now time.Time) {
				if s.auditor.run != a {
					return
				}
				if err != nil {
					a.end(s, now, err.Error())
					return
				}
				s.stats.AuditedObjects += uint64(found.Objects)
				if !a.quarantine(s, now, found) {
					a.end(s, now, a.problem)
					return
				}
				a.r.Unwatch()
				a.peers = s.others(a.r.ID())
				a.next(s, now)
				s.auditor.wake(now)
			}
		}
	})
}

// awaitsDiscard is why an audit ends with its marks: a block can hold rows of many
// replicas, and goes when all of them have noted what they lose. So none keeps the
// others from their turn, nor is anything put back where it could not be read.
const awaitsDiscard = "waits for a damaged block to be discarded, which can have rows of other replicas too"

// quarantine takes note of what a survey found. It reports false if the audit has to
// end: what was lost could not be noted, so that it would pass for deleted, or it is
// still in the way.
func (a *audit) quarantine(s *Shard, now time.Time, found *replica.Survey) bool {
	lost := found.Lost()
	if a.r.Blind() || s.full != nil {
		a.problem = "what it has lost cannot be noted now"
		return !found.IsDamaged()
	}
	s.stats.LostLeaves += uint64(lost.Len())
	s.stats.UnreadableRanges += uint64(len(found.Unreadable))
	s.out.Discards = append(s.out.Discards, a.r.Quarantine(found, &s.out.Rows)...)
	if found.IsDamaged() {
		s.forgetOwn(now, a.r.ID())
	}
	if len(found.Unreadable) > 0 {
		a.status.waits, a.problem = true, awaitsDiscard
	}
	return !a.status.waits
}

// others are the other homes of a replica that can tell what was lost. As long as those
// of the base count they have every write, and those that come may not.
func (s *Shard) others(id replica.ID) []string {
	homes := slices.Clone(s.baseOf(wire.Head(id)))
	if len(homes) == 0 {
		homes = slices.Clone(s.homesOf(wire.Head(id)))
	}
	return slices.DeleteFunc(homes, func(h string) bool { return h == s.cfg.Node || s.phase.Gone(h) })
}

// next goes on with what is left to do: restoring comes first, because a replica
// that has lost something has nothing to compare.
func (a *audit) next(s *Shard, now time.Time) {
	a.names, a.asked, a.again, a.leaves, a.unnamed = nil, nil, hashtree.Set{}, hashtree.Set{}, false
	a.restoring = a.r.IsDamaged()
	for len(a.peers) > 0 && !s.linked[a.peers[0]] {
		a.problem = a.peers[0] + " cannot be reached"
		a.peers = a.peers[1:]
	}
	switch {
	case len(a.peers) == 0:
		a.end(s, now, a.problem)
		return
	case !a.restoring && s.Rebuilding(a.r.ID()):
		a.end(s, now, beingRebuilt) // its disk is sound again, and that is all to be said
		return
	}
	head := headOf(a.r)
	a.since = a.r.Clock().Clone()
	a.since.Union(a.r.Lacks())
	a.r.Watch()
	if a.restoring {
		damage := a.damage()
		a.ask(s, now, &wire.AuditList{Head: head, Op: a.newOp(s), Leaves: firstLeaves(damage), Known: a.r.Clock().Clone()})
		return
	}
	tree := a.r.Tree()
	m := &wire.AuditTree{Head: head, Op: a.newOp(s)}
	for i := range hashtree.Parts {
		m.Parts = append(m.Parts, tree.Part(i))
	}
	a.ask(s, now, m)
}
