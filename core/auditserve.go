package core

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// storageSnapshot is what a reading reads.
type storageSnapshot = storage.Snapshot

// auditListBytes bounds the keys of one answer, auditFetchBytes the objects, but
// for the first leaf and the first object.
const (
	auditListBytes  = 256 << 10
	auditFetchBytes = 1 << 20
)

const (
	isDamaged = "has lost something itself and is being restored"
	hasPruned = "no longer knows the keys of what the damaged replica lacks, which has to be rebuilt first"
)

// cannotSpeak says why a replica has no part in audits now, "" if it has. One that
// is not trusted has: what it has lost its clock does not claim, and who restores
// from it goes by the clock.
func (s *Shard) cannotSpeak(id replica.ID) string {
	switch {
	case s.replicas[id] == nil:
		return notHome
	case s.Rebuilding(id):
		return beingRebuilt
	case s.replicas[id].Retired():
		return isRetired
	case s.incoming(id):
		return notComplete
	}
	return ""
}

// incoming reports whether this node is to become a home, and has not yet all that was
// acknowledged before: what is not there says nothing.
func (s *Shard) incoming(id replica.ID) bool {
	base := s.baseOf(wire.Head(id))
	return base != nil && !slices.Contains(base, s.cfg.Node) && !s.complete(id)
}

// cannotTell says why a replica cannot tell another what that has lost. Once all pages
// of a rebuild are taken over it can, although dots of which they spoke are still to
// come: they may be the other's to give, when it has been restored. Its clock does not
// claim them. So can one whose pass was given up, if there is nobody else to ask.
func (s *Shard) cannotTell(id replica.ID, asker string) string {
	r := s.replicas[id]
	switch {
	case r == nil:
		return notHome
	case s.auditor.status[id].waits: // to look would only meet the damage again
		return isDamaged
	case r.Retired():
		return isRetired
	case s.incoming(id):
		return notComplete
	}
	if _, _, _, copying := r.Copying(); copying && !s.lastToAsk(id, asker) {
		return beingRebuilt
	}
	return ""
}

// lastToAsk reports whether the pass of a replica was given up, and whoever asks is the
// only other home. Then that is damaged, gives no pages, and gets back what it has lost
// from here or not at all. All that the pass has brought of a key is in what is told of
// it: versions that live, and what is known to be gone.
func (s *Shard) lastToAsk(id replica.ID, asker string) bool {
	return s.onlyOther(id, asker) && s.gaveUp(id)
}

// onlyOther reports whether a replica has no other home than one whose word counts: as
// long as there is a base, a new one has nothing to say that those of the base have not.
func (s *Shard) onlyOther(id replica.ID, home string) bool {
	others := s.others(id)
	return len(others) == 1 && others[0] == home
}

// onAuditTree answers with the parts of the hash tree that differ.
func (s *Shard) onAuditTree(from string, m *wire.AuditTree) {
	reply := &wire.AuditLeaves{Head: m.Head, Op: m.Op, Failed: s.cannotSpeak(replica.ID(m.Head))}
	r := s.replicas[replica.ID(m.Head)]
	switch {
	case reply.Failed != "":
	case r.IsDamaged():
		reply.Failed = isDamaged
	case len(m.Parts) != hashtree.Parts:
		reply.Failed = "wants a hash tree of another shape"
	default:
		tree := r.Tree()
		for i := range hashtree.Parts {
			if tree.Part(i) != m.Parts[i] {
				reply.Parts = append(reply.Parts, wire.AuditPart{Index: uint8(i), Leaves: tree.AppendPart(nil, i)})
			}
		}
	}
	s.send(from, reply, false)
}

// onAuditList answers with the keys of leaves in which what is stored is what it
// should be. Who has lost something is also told what is known to be gone: of the keys
// whose rows say so, and of those that dots have changed which it lacks. Where the log
// has no names for these any more it has to be rebuilt first (R12): a late write could
// bring back what they have deleted.
func (s *Shard) onAuditList(from string, m *wire.AuditList) {
	r := s.replicas[replica.ID(m.Head)]
	failed := s.cannotTell(replica.ID(m.Head), from)
	if failed == "" && s.auditor.surveys >= surveysMax {
		failed = s.overloaded("surveys being read", surveysMax).Message
	}
	if failed != "" {
		s.send(from, &wire.AuditKeys{Head: m.Head, Op: m.Op, Failed: failed}, false)
		return
	}
	s.auditor.surveys++
	s.lookAt(r.ID(), func() Reading {
		surveyor, leaves := r.Surveyor(), hashtree.Set{}
		damage, ahead := r.Damage(), vclock.DotSet{}
		if !m.Known.IsEmpty() {
			surveyor.Remember()
			ahead = r.Clock().Minus(m.Known).Minus(r.Voided())
		}
		named := ahead.Intersect(r.Logged())
		for _, leaf := range m.Leaves {
			if !damage.Has(int(leaf)) {
				leaves.Add(int(leaf))
			}
		}
		return func(store storageSnapshot) func(time.Time) {
			found, err := surveyor.Read(store, leaves)
			reply := &wire.AuditKeys{Head: m.Head, Op: m.Op}
			var names map[wire.AuditName]vclock.DotSet
			if err == nil {
				names, err = replica.Logged(store, r.ID(), named)
			}
			switch {
			case err != nil:
				reply.Failed = err.Error()
			case !named.Covers(ahead):
				reply.Failed, reply.Clock = hasPruned, found.Clock
			default:
				listKeys(reply, found, leaves, names)
			}
			return func(time.Time) {
				s.auditor.surveys--
				if err == nil && found.IsDamaged() {
					s.Audit(r.ID())
				}
				s.send(from, reply, false)
			}
		}
	})
}

// listKeys fills an answer with whole leaves, as many as fit. Names are keys to be
// listed although nothing need be stored of them.
func listKeys(reply *wire.AuditKeys, found *replica.Survey, leaves hashtree.Set, names map[wire.AuditName]vclock.DotSet) {
	doubted := found.Doubted()
	byLeaf := map[int][]wire.AuditKey{}
	for _, k := range found.Keys {
		leaf := hashtree.LeafOf(ring.Hash(k.Bucket, k.Key))
		byLeaf[leaf] = append(byLeaf[leaf], k)
		delete(names, wire.AuditName{Bucket: k.Bucket, Key: k.Key})
	}
	order := func(a, b wire.AuditName) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Key, b.Key))
	}
	for _, name := range slices.SortedFunc(maps.Keys(names), order) {
		leaf := hashtree.LeafOf(ring.Hash(name.Bucket, name.Key))
		byLeaf[leaf] = append(byLeaf[leaf], wire.AuditKey{Bucket: name.Bucket, Key: name.Key})
	}
	reply.Clock = found.Clock
	for leaf := range leaves.Leaves() {
		keys := byLeaf[leaf]
		if doubted.Has(leaf) || found.Cut || len(reply.Keys)+len(keys) > wire.AuditKeysMax {
			continue
		}
		if reply.Bytes() > auditListBytes {
			break
		}
		reply.Leaves = append(reply.Leaves, uint32(leaf))
		reply.Keys = append(reply.Keys, keys...)
	}
	if len(reply.Leaves) == 0 {
		reply.Failed = isDamaged
	}
}

// onAuditFetch answers with filled objects and the clock of their moment.
func (s *Shard) onAuditFetch(from string, m *wire.AuditFetch) {
	r := s.replicas[replica.ID(m.Head)]
	failed := s.cannotTell(replica.ID(m.Head), from)
	if failed == "" && s.auditor.surveys >= surveysMax {
		failed = s.overloaded("surveys being read", surveysMax).Message
	}
	if failed != "" {
		s.send(from, &wire.AuditObjects{Head: m.Head, Op: m.Op, Failed: failed}, false)
		return
	}
	s.auditor.surveys++
	s.lookAt(r.ID(), func() Reading {
		moment, rounds := r.Moment(), s.Promised(r.ID(), r.Clock())
		return func(store storageSnapshot) func(time.Time) {
			reply := &wire.AuditObjects{Head: m.Head, Op: m.Op, Clock: moment.Clock(), Rounds: rounds}
			fetchObjects(reply, store, moment, m.Keys)
			return func(time.Time) {
				s.auditor.surveys--
				s.send(from, reply, true)
			}
		}
	})
}

// fetchObjects fills an answer with objects in the order in which they were asked
// for, up to the first that this replica cannot speak for.
func fetchObjects(reply *wire.AuditObjects, store storageSnapshot, moment *replica.Moment, names []wire.AuditName) {
	size := 0
	for _, name := range names {
		if size > auditFetchBytes || moment.Damaged(name.Bucket, name.Key) {
			return
		}
		object, err := moment.Filled(store, name.Bucket, name.Key)
		if err != nil {
			reply.Failed = err.Error()
			return
		}
		for _, v := range object.Versions {
			size += len(v.Value.Value)
		}
		reply.Objects = append(reply.Objects, wire.AuditObject{AuditName: name, Object: object})
	}
}
