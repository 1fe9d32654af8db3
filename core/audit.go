package core

import (
	"bytes"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
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
	// auditRetry is how soon a replica that is still damaged is looked at again.
	auditRetry = time.Second
	// auditSoon is how soon one is that could not be compared with every home.
	auditSoon = time.Minute
	// auditAgain is the least time between two audits of a replica.
	auditAgain = 10 * time.Second
	// auditLeaves and auditKeys bound what one round compares or restores.
	auditLeaves, auditKeys = 64, 256
	// auditBlocked is how often the other homes may lack something that a damaged
	// replica had of a key, before that is taken for lost: nobody else ever had it.
	auditBlocked = 32
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
	// blocked counts the times that no other home could say what was lost.
	blocked int
	// Audited holds the dots that every home had, as far as was known here, when
	// the last complete audit began.
	Audited vclock.DotSet
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
	// since is the replica's clock when the round began.
	since vclock.DotSet
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

// Audit asks for an audit of a replica, as soon as its turn comes.
func (s *Shard) Audit(id replica.ID) {
	if status := s.auditor.status[id]; status != nil && !status.Wanted {
		status.Wanted = true
		s.auditor.asked++
		s.auditor.plan(id, time.Unix(0, s.auditor.asked)) // in the order of asking
	}
}

// notice asks for an audit because the disk has been met to be damaged. An audit
// meets it as well, and so do reads until it is mended: that is no reason for one
// after the other.
func (a *auditor) notice(id replica.ID) {
	status := a.status[id]
	if status == nil || status.Wanted || status.Running {
		return
	}
	status.Wanted = true
	at := status.Ended.Add(auditAgain)
	if status.Ended.IsZero() {
		a.asked++
		at = time.Unix(0, a.asked)
	}
	a.plan(id, at)
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
		if ok && !at.After(now) && s.Rebuilding(id) && !a.status[id].Wanted && !s.IsDamaged(id) {
			a.due[id] = now.Add(auditRetry) // what is there is not all yet
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
	run.status.Running, run.status.Wanted = true, false
	if x := s.exchange.of[first.ID()]; x != nil {
		run.common = x.Common().Clone()
	}
	a.run = run
	s.stats.Audits++
	s.survey(run)
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
	s.look(func() Reading {
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
				a.quarantine(s, found)
				a.r.Unwatch()
				a.peers = s.others(a.r.ID())
				a.next(s, now)
				s.auditor.wake(now)
			}
		}
	})
}

// quarantine takes note of what a survey found.
func (a *audit) quarantine(s *Shard, found *replica.Survey) {
	lost := found.Lost()
	if a.r.Blind() || s.full != nil {
		a.problem = "too much was written meanwhile"
		return
	}
	s.stats.LostLeaves += uint64(lost.Len())
	s.stats.UnreadableRanges += uint64(len(found.Unreadable))
	s.out.Discards = append(s.out.Discards, a.r.Quarantine(found, &s.out.Rows)...)
}

// others are the other homes of a replica.
func (s *Shard) others(id replica.ID) []string {
	homes := slices.Clone(s.layout.Homes(ring.Partition(id.Partition), int(id.N)))
	return slices.DeleteFunc(homes, func(h string) bool { return h == s.cfg.Node })
}

// next goes on with what is left to do: restoring comes first, because a replica
// that has lost something has nothing to compare.
func (a *audit) next(s *Shard, now time.Time) {
	a.names, a.asked, a.again, a.leaves = nil, nil, hashtree.Set{}, hashtree.Set{}
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
	a.r.Watch()
	if a.restoring {
		damage := a.r.Damage()
		a.ask(s, now, &wire.AuditList{Head: head, Op: a.newOp(s), Leaves: firstLeaves(damage)})
		return
	}
	tree := a.r.Tree()
	m := &wire.AuditTree{Head: head, Op: a.newOp(s)}
	for i := range hashtree.Parts {
		m.Parts = append(m.Parts, tree.Part(i))
	}
	a.ask(s, now, m)
}

func firstLeaves(set hashtree.Set) (leaves []uint32) {
	for leaf := range set.Leaves() {
		if len(leaves) < auditLeaves {
			leaves = append(leaves, uint32(leaf))
		}
	}
	return leaves
}

func headOf(r *replica.Replica) wire.Head {
	return wire.Head{Partition: r.ID().Partition, N: r.ID().N}
}

func (a *audit) newOp(s *Shard) wire.OpID {
	s.seq++
	a.op = s.opID(s.seq)
	return a.op
}

func (a *audit) ask(s *Shard, now time.Time, m wire.Message) {
	a.until = now.Add(auditPatience)
	s.send(a.peers[0], m, false)
}

// answers reports whether a message answers the question of this very audit.
func (a *auditor) answers(s *Shard, from string, op wire.OpID) *audit {
	run := a.run
	if run == nil || run.op != op || op.IsZero() || len(run.peers) == 0 || run.peers[0] != from {
		s.stats.Stray++
		return nil
	}
	run.op, run.until = wire.OpID{}, time.Time{}
	return run
}

// nextPeer gives up on the peer that was asked.
func (a *audit) nextPeer(s *Shard, now time.Time, problem string) {
	if problem != "" {
		a.problem = a.peers[0] + ": " + problem
	}
	a.op, a.until, a.seen = wire.OpID{}, time.Time{}, hashtree.Set{}
	a.peers = a.peers[1:]
	a.next(s, now)
	s.auditor.wake(now)
}

// onLeaves compares the leaves of a peer with this replica's.
func (a *auditor) onLeaves(s *Shard, now time.Time, from string, m *wire.AuditLeaves) {
	run := a.answers(s, from, m.Op)
	if run == nil {
		return
	}
	theirs, own := run.r.Tree(), run.r.Tree()
	var bad error
	for _, p := range m.Parts {
		if err := theirs.SetPart(uint32(p.Index), p.Leaves); err != nil {
			bad = err
		}
	}
	leaves := slices.DeleteFunc(own.Differing(theirs), func(leaf int) bool { return run.seen.Has(leaf) })
	switch {
	case m.Failed != "":
		run.nextPeer(s, now, m.Failed)
	case bad != nil:
		run.nextPeer(s, now, bad.Error())
	case len(leaves) == 0:
		run.nextPeer(s, now, "")
	default:
		s.stats.DifferingLeaves += uint64(len(leaves))
		run.ask(s, now, &wire.AuditList{Head: headOf(run.r), Op: run.newOp(s), Leaves: firstLeaves(hashtree.SetOf(leaves...))})
	}
	a.wake(now)
}

// onKeys compares the keys of some leaves with those that are stored here.
func (a *auditor) onKeys(s *Shard, now time.Time, from string, m *wire.AuditKeys) {
	run := a.answers(s, from, m.Op)
	if run == nil {
		return
	}
	if m.Failed != "" || len(m.Leaves) == 0 {
		run.nextPeer(s, now, "has no keys to compare: "+m.Failed)
		return
	}
	run.leaves = hashtree.Set{}
	for _, leaf := range m.Leaves {
		run.leaves.Add(int(leaf))
		run.seen.Add(int(leaf))
	}
	missing := run.since.Minus(m.Clock)
	leaves := run.leaves
	s.look(func() Reading {
		surveyor := run.r.Surveyor()
		return func(store storageSnapshot) func(time.Time) {
			found, err := surveyor.Read(store, leaves)
			var behind map[wire.AuditName]bool
			if err == nil {
				behind, err = replica.Logged(store, run.r.ID(), missing)
			}
			return func(now time.Time) {
				if a.run != run {
					return
				}
				if err != nil {
					run.end(s, now, err.Error())
					return
				}
				run.compare(s, now, found, m.Keys, behind)
				a.wake(now)
			}
		}
	})
}

// compare finds the keys that differ, and restores or repairs them. Behind are
// keys of which the peer lacks something that this replica has: it cannot say what
// was lost of them.
func (a *audit) compare(s *Shard, now time.Time, found *replica.Survey, theirs []wire.AuditKey, behind map[wire.AuditName]bool) {
	lost := found.Lost()
	if !a.restoring && !lost.IsEmpty() || len(found.Unreadable) > 0 {
		a.quarantine(s, found)
	}
	if a.r.Blind() || found.Cut {
		a.nextPeer(s, now, "too much was written meanwhile")
		return
	}
	if !a.restoring && a.r.IsDamaged() {
		a.next(s, now) // lost since the survey: it must not be compared
		return
	}
	for _, name := range differing(found.Keys, theirs, a.restoring) {
		switch {
		case a.r.Touched(name.Bucket, name.Key) && !a.restoring:
		case a.restoring && behind[name] && a.status.blocked < auditBlocked:
			a.again.Add(hashtree.LeafOf(ring.Hash(name.Bucket, name.Key)))
		default:
			a.names = append(a.names, name)
		}
	}
	a.work(s, now)
}

// differing lists the keys that are not the same in two lists, or not in both. The
// keys that only this replica has are nothing that it could have restored.
func differing(own, theirs []wire.AuditKey, restoring bool) (names []wire.AuditName) {
	hashes := make(map[wire.AuditName]uint64, len(own))
	for _, k := range own {
		hashes[wire.AuditName{Bucket: k.Bucket, Key: k.Key}] = k.Hash
	}
	for _, k := range theirs {
		name := wire.AuditName{Bucket: k.Bucket, Key: k.Key}
		if hash, ok := hashes[name]; !ok || hash != k.Hash {
			names = append(names, name)
		}
		delete(hashes, name)
	}
	if restoring {
		return names
	}
	for _, k := range own {
		if name := (wire.AuditName{Bucket: k.Bucket, Key: k.Key}); hashes[name] != 0 {
			names = append(names, name)
		}
	}
	return names
}

// work takes up the next keys of the round, or ends it.
func (a *audit) work(s *Shard, now time.Time) {
	switch {
	case len(a.names) == 0:
		a.endRound(s, now)
	case a.restoring:
		a.asked, a.names = a.names[:min(len(a.names), auditKeys)], a.names[min(len(a.names), auditKeys):]
		a.ask(s, now, &wire.AuditFetch{Head: headOf(a.r), Op: a.newOp(s), Keys: a.asked})
	default:
		names := a.names[:min(len(a.names), auditKeys)]
		a.names = a.names[len(names):]
		a.busy = len(names)
		for _, name := range names {
			s.repairKey(now, headOf(a.r), name, func(now time.Time, f repaired) {
				if f.diverged {
					s.stats.Diverged++
				}
				if f.conflict {
					s.stats.Conflicts++
				}
				s.stats.AuditRepairs += uint64(f.mended)
				if f.heard < f.homes {
					a.problem = "a key that differs could not be repaired at all homes"
				}
				a.done(s, now)
			})
		}
	}
}

// repairKey makes the homes of a key equal.
func (s *Shard) repairKey(now time.Time, head wire.Head, name wire.AuditName, then func(time.Time, repaired)) {
	req := &kindred.Request{Op: kindred.OpRepair, Bucket: name.Bucket, Key: name.Key}
	base := request{req: req, head: head, deadline: now.Add(s.timeout(req))}
	s.startRepair(now, base, s.layout.Homes(ring.Partition(head.Partition), int(head.N)), then)
}

// onObjects restores what a peer has sent.
func (a *auditor) onObjects(s *Shard, now time.Time, from string, m *wire.AuditObjects) {
	run := a.answers(s, from, m.Op)
	if run == nil {
		return
	}
	if m.Failed != "" || len(m.Objects) == 0 {
		run.nextPeer(s, now, "has sent nothing to restore: "+m.Failed)
		return
	}
	asked := run.asked
	run.names = append(slices.Clone(asked[min(len(m.Objects), len(asked)):]), run.names...)
	run.busy = len(m.Objects)
	for i, o := range m.Objects {
		if i >= len(asked) || asked[i] != o.AuditName {
			run.again.Add(hashtree.LeafOf(ring.Hash(o.Bucket, o.Key)))
			run.done(s, now)
			continue
		}
		s.enter(run.r, o.Bucket, o.Key, func(now time.Time, k *replica.Key, err error) {
			run.restore(s, k, &o, m.Rounds, err)
			run.done(s, now)
		})
	}
	a.wake(now)
}

// restore puts an object back, unless it was written since the round began.
func (a *audit) restore(s *Shard, k *replica.Key, o *wire.AuditObject, rounds wire.Rounds, err error) {
	if err == nil && !a.r.Blind() && !a.r.Touched(o.Bucket, o.Key) && s.full == nil {
		if err = k.Restore(o.Object, rounds, &s.out.Rows); err == nil {
			s.stats.Restored++
			return
		}
	}
	a.again.Add(hashtree.LeafOf(ring.Hash(o.Bucket, o.Key)))
}

// done counts a key whose work has ended.
func (a *audit) done(s *Shard, now time.Time) {
	if a.busy--; a.busy == 0 && s.auditor.run == a {
		a.work(s, now)
		s.auditor.wake(now)
	}
}

// endRound takes the marks off what was restored, and goes on.
func (a *audit) endRound(s *Shard, now time.Time) {
	if !a.restoring {
		a.next(s, now) // until the trees are equal
		return
	}
	mended := a.leaves
	for leaf := range a.again.Leaves() {
		mended.Remove(leaf)
	}
	a.r.Mend(mended, &s.out.Rows)
	s.stats.MendedLeaves += uint64(mended.Len())
	if mended.IsEmpty() {
		a.status.blocked++
		a.nextPeer(s, now, "cannot say yet what was lost")
		return
	}
	a.status.blocked = 0
	if !a.r.IsDamaged() {
		a.problem, a.seen = "", hashtree.Set{}
		a.peers = s.others(a.r.ID()) // what was restored is compared with all
	}
	a.next(s, now)
}

// end notes what came of the audit and when the next is due.
func (a *audit) end(s *Shard, now time.Time, problem string) {
	a.r.Unwatch()
	s.auditor.run = nil
	status := a.status
	status.Running, status.Ended, status.Problem = false, now, problem
	status.Complete = problem == "" && !a.r.IsDamaged()
	if status.Complete {
		status.Audited, status.FailingSince = a.common, time.Time{}
		s.stagesMoved()
	} else if status.FailingSince.IsZero() {
		status.FailingSince = now
	}
	id := a.r.ID()
	switch {
	case a.r.IsDamaged():
		s.auditor.plan(id, now.Add(auditRetry))
	case status.Wanted:
		s.auditor.plan(id, now.Add(auditAgain)) // reading damage calls for it as well
	case !status.Complete && s.cfg.Limits.AuditEvery > 0:
		// A home that was down, or had no layout yet, is back long before it is due.
		s.auditor.plan(id, now.Add(min(auditSoon, s.cfg.Limits.AuditEvery)))
	case s.cfg.Limits.AuditEvery > 0:
		s.auditor.plan(id, now.Add(s.cfg.Limits.AuditEvery))
	}
	s.auditor.wake(now)
}
