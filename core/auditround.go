package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

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
	a.op, a.until, a.seen, a.stuck, a.inquest = wire.OpID{}, time.Time{}, hashtree.Set{}, hashtree.Set{}, nil
	a.lacked = vclock.DotSet{}
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
		if needs := m.Clock.Minus(run.r.Clock()); run.restoring && m.Failed != "" && !needs.IsEmpty() {
			s.rebuildFor(now, run.r.ID(), from, needs) // no exchange brings it: what is damaged takes nothing
		}
		run.nextPeer(s, now, "has no keys to compare: "+m.Failed)
		return
	}
	run.leaves = hashtree.Set{}
	for _, leaf := range m.Leaves {
		run.leaves.Add(int(leaf))
		run.seen.Add(int(leaf))
	}
	run.listed = m.Clock
	lacked := run.lacks(m.Clock)
	missing := lacked.Intersect(run.r.Logged())
	if unnamed := lacked.Minus(missing); run.restoring && !unnamed.IsEmpty() {
		run.again, run.unnamed = run.leaves, true // of any of these keys may be what no log names
		run.lacked.Union(unnamed)
		if !run.doubts() {
			run.endRound(s, now)
			a.wake(now)
			return
		}
	}
	leaves := run.leaves
	s.lookAt(run.r.ID(), func() Reading {
		surveyor := run.r.Surveyor()
		if run.restoring {
			surveyor.Remember()
		}
		return func(store storageSnapshot) func(time.Time) {
			found, err := surveyor.Read(store, leaves)
			var behind map[wire.AuditName]vclock.DotSet
			if err == nil && run.restoring {
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
func (a *audit) compare(s *Shard, now time.Time, found *replica.Survey, theirs []wire.AuditKey, behind map[wire.AuditName]vclock.DotSet) {
	lost := found.Lost()
	if (!a.restoring && !lost.IsEmpty() || len(found.Unreadable) > 0) && !a.quarantine(s, now, found) {
		a.end(s, now, a.problem)
		return
	}
	if a.r.Blind() || found.Cut {
		a.nextPeer(s, now, "too much was written meanwhile")
		return
	}
	if !a.restoring && a.r.IsDamaged() {
		a.next(s, now) // lost since the survey: it must not be compared
		return
	}
	doubted := a.r.Doubted()
	for name, dots := range behind { // whether or not the peer has heard of the key
		leaf := hashtree.LeafOf(ring.Hash(name.Bucket, name.Key))
		if !a.leaves.Has(leaf) {
			continue
		}
		a.again.Add(leaf)
		if !doubted.Has(leaf) { // what came of them is there
			a.lacked.Union(dots)
		}
	}
	for _, name := range differing(found.Keys, theirs, a.restoring) {
		_, lacks := behind[name]
		told := !lacks && !a.unnamed || doubted.Has(hashtree.LeafOf(ring.Hash(name.Bucket, name.Key)))
		if told && (a.restoring || !a.r.Touched(name.Bucket, name.Key)) {
			a.names = append(a.names, name)
		}
	}
	a.work(s, now)
}

// doubts reports whether the leaves that are restored are some in which all that lives is
// there. What a peer knows to be gone of their keys is joined, whatever it lacks: there
// may be nobody who lacks nothing, and then what is stored stands.
func (a *audit) doubts() bool {
	doubted := a.r.Doubted()
	for leaf := range a.leaves.Leaves() {
		if doubted.Has(leaf) {
			return true
		}
	}
	return false
}

// differing lists the keys that are not the same in two lists, or not in both. The
// keys that only this replica has are nothing that it could have restored. A key that
// shows nothing (hash 0) is listed when something is restored: what is known to be gone
// may be all that was lost.
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
	s.startRepair(now, base, s.holdersOf(head), then)
}

// onObjects restores what a peer has sent.
func (a *auditor) onObjects(s *Shard, now time.Time, from string, m *wire.AuditObjects) {
	run := a.answers(s, from, m.Op)
	if run == nil {
		return
	}
	if m.Failed != "" || len(m.Objects) == 0 || !m.Clock.Covers(run.listed) {
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

// restore puts an object back, unless it was written since the round began, or a page
// of a rebuild has passed its key: the peer has not said that it knows what that says.
//
// Where all that lives is there, what the peer knows is joined.
func (a *audit) restore(s *Shard, k *replica.Key, o *wire.AuditObject, rounds wire.Rounds, err error) {
	leaf, doubted := hashtree.LeafOf(ring.Hash(o.Bucket, o.Key)), a.r.Doubted()
	if err == nil && doubted.Has(leaf) && s.full == nil {
		if err = k.Remember(o.Object, rounds, &s.out.Rows); err == nil {
			return
		}
	}
	if err == nil && !a.r.Blind() && !a.r.Touched(o.Bucket, o.Key) && s.full == nil {
		if err = k.Restore(o.Object, rounds, &s.out.Rows); err == nil {
			s.stats.Restored++
			return
		}
	}
	a.again.Add(leaf)
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
		a.blocked(s, now)
		return
	}
	a.status.blocked, a.status.vain, a.status.stumped = 0, 0, nil
	if !a.r.IsDamaged() {
		a.status.lost = vclock.DotSet{}
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
		if status.Audited.Covers(status.goal) {
			status.goal = vclock.DotSet{}
		}
		s.stagesMoved()
	} else if status.FailingSince.IsZero() {
		status.FailingSince = now
	}
	id := a.r.ID()
	switch {
	case a.r.IsDamaged():
		s.auditor.plan(id, now.Add(auditRetry<<min(status.vain, auditDoublings)))
		status.vain++
	case status.Wanted || status.Complete && !status.goal.IsEmpty():
		s.auditor.plan(id, now.Add(auditAgain)) // reading damage calls for it as well
	case !status.Complete && s.cfg.Limits.AuditEvery > 0:
		// A home that was down, or had no layout yet, is back long before it is due.
		s.auditor.plan(id, now.Add(min(auditSoon, s.cfg.Limits.AuditEvery)))
	case s.cfg.Limits.AuditEvery > 0:
		s.auditor.plan(id, now.Add(s.cfg.Limits.AuditEvery))
	}
	s.auditor.wake(now)
}
