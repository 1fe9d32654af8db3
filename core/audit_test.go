package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// auditRig is a cluster of three nodes with keys in one partition. It audits what
// it is asked to audit and nothing else, and counts what audits move.
type auditRig struct {
	*rig
	id    replica.ID
	keys  []string
	bytes int
}

func newAuditRig(t *testing.T, keys int) *auditRig {
	limits := DefaultLimits()
	limits.AuditEvery = 0
	a := &auditRig{rig: newRig(t, 3, limits), id: replica.ID{N: 3}}
	a.lose = func(_, _ string, m wire.Message) bool {
		if wire.KindOf(m) >= wire.KindAuditTree && wire.KindOf(m) <= wire.KindAuditObjects {
			a.bytes += len(wire.Append(nil, m))
		}
		return false
	}
	for i := 0; len(a.keys) < keys; i++ {
		if key := fmt.Sprintf("key-%06d", i); a.layout.PartitionOf("b", key) == ring.Partition(a.id.Partition) {
			a.keys = append(a.keys, key)
			resp := a.do("n1", kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: key, Value: []byte("value of " + key)})
			require.Nil(t, resp.Err)
		}
	}
	for range 5 {
		a.pass(time.Second) // until each knows that all have it
	}
	return a
}

func (a *auditRig) row(key string) []byte {
	return storage.ObjectKey(nil, a.id.Partition, a.id.N, "b", key)
}

// lose takes rows away behind the back of a node.
func (a *auditRig) take(node string, keys ...string) {
	var rows storage.Batch
	for _, key := range keys {
		rows.Delete(a.row(key))
	}
	require.NoError(a.t, a.nodes[node].engine.Apply(&rows))
}

// audit lets a node audit its replica, and all that follows from it.
func (a *auditRig) audit(node string) AuditStatus {
	a.nodes[node].shard.Audit(a.id)
	a.ticks()
	return a.nodes[node].shard.Audits()[a.id]
}

func (a *auditRig) ticks() {
	for range 10 {
		for _, name := range a.names {
			a.nodes[name].shard.Tick(a.now)
		}
		a.settle()
		a.now = a.now.Add(2 * time.Second)
	}
}

// shown is what a node stores of a key.
func (a *auditRig) shown(node, key string) []string {
	object, err := replica.Load(a.nodes[node].engine, a.id, "b", key)
	require.NoError(a.t, err)
	var values []string
	for _, v := range object.Versions {
		values = append(values, string(v.Value.Value))
	}
	return values
}

// demandEqual demands that all nodes store the same, and that their trees say so.
func (a *auditRig) demandEqual() {
	var trees []*hashtree.Tree
	for _, name := range a.names {
		snapshot, err := a.nodes[name].engine.Snapshot()
		require.NoError(a.t, err)
		stored, err := replica.Recount(snapshot, a.id)
		require.NoError(a.t, err)
		require.NoError(a.t, snapshot.Close())
		require.Empty(a.t, stored.Differing(a.nodes[name].shard.Tree(a.id)), name)
		damage := a.nodes[name].shard.Damage(a.id)
		require.True(a.t, damage.IsEmpty(), name)
		trees = append(trees, stored)
	}
	require.Empty(a.t, trees[0].Differing(trees[1]))
	require.Empty(a.t, trees[0].Differing(trees[2]))
}

func TestAnAuditOfEqualReplicasFindsNothing(t *testing.T) {
	a := newAuditRig(t, 50)
	status := a.audit("n2")
	require.True(t, status.Complete, status.Problem)
	stats := a.nodes["n2"].shard.Stats().AuditStats
	require.Equal(t, AuditStats{Audits: 1, AuditedObjects: 50}, stats)
	require.Less(t, a.bytes, 2<<10, "two comparisons of 64 numbers")
}

// R20: a row that is gone behind the store's back is found and put back, although
// the clock says that it was superseded. It costs what is missing.
func TestARowThatWasLostIsPutBack(t *testing.T) {
	a := newAuditRig(t, 400)
	lost := a.keys[123]
	a.take("n1", lost)
	status := a.audit("n1")
	require.True(t, status.Complete, status.Problem)
	require.Equal(t, []string{"value of " + lost}, a.shown("n1", lost))
	a.demandEqual()
	stats := a.nodes["n1"].shard.Stats()
	require.Equal(t, uint64(1), stats.LostLeaves)
	require.Equal(t, uint64(1), stats.Restored)
	require.Zero(t, stats.Diverged)
	t.Logf("%d bytes moved", a.bytes)
	require.Less(t, a.bytes, 64<<10)
}

// A replica that knows that it has lost something speaks for none of the keys it
// may have lost: to a reader they would look deleted.
func TestADamagedReplicaDoesNotSpeak(t *testing.T) {
	a := newAuditRig(t, 20)
	lost := a.keys[3]
	a.take("n1", lost)
	for _, peer := range []string{"n2", "n3"} {
		a.nodes["n1"].shard.SetLink(a.now, peer, false) // it cannot be restored now
	}
	status := a.audit("n1")
	require.Equal(t, 1, status.Damaged)
	require.False(t, status.Complete)
	snapshot, err := a.nodes["n1"].engine.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()

	resp := a.do("n1", kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: lost, R: 1})
	require.NotNil(t, resp.Err)
	resp = a.do("n1", kindred.Request{Op: kindred.OpScan, Bucket: "b", R: 1})
	require.NotNil(t, resp.Err, "a page without the key says that it is absent")
	resp = a.do("n2", kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: lost, R: 2})
	require.Nil(t, resp.Err, "the others answer")
	require.Len(t, resp.Siblings, 1)
	require.Len(t, a.shown("n2", lost), 1, "and nobody has deleted it")

	// The mark is on the disk: a start does not forget it.
	a.boot("n1", 77<<32, a.nodes["n1"].shard.cfg.Limits)
	require.Equal(t, 1, a.nodes["n1"].shard.Audits()[a.id].Damaged)
	for _, peer := range []string{"n2", "n3"} {
		a.nodes["n1"].shard.SetLink(a.now, peer, true)
	}
	a.ticks()
	require.Len(t, a.shown("n1", lost), 1)
	a.demandEqual()
}

// A row that rots is an error to its reader and nobody else; that error calls for
// the audit which mends it.
func TestARottenRowIsMendedByTheReadThatMeetsIt(t *testing.T) {
	a := newAuditRig(t, 30)
	rotten := a.keys[7]
	a.nodes["n1"].engine.Rot(a.row(rotten))
	resp := a.do("n1", kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: rotten})
	require.Nil(t, resp.Err)
	require.Len(t, resp.Siblings, 1)
	a.ticks()
	require.Equal(t, []string{"value of " + rotten}, a.shown("n1", rotten))
	a.demandEqual()
	require.Equal(t, uint64(1), a.nodes["n1"].shard.Stats().Unreadable)
	require.Equal(t, uint64(1), a.nodes["n1"].shard.Stats().UnreadableRanges)
}

// So does the page of a rebuild, for whoever waits for it may get it from nobody else.
func TestARottenRowIsMendedByTheRebuildThatMeetsIt(t *testing.T) {
	a := newAuditRig(t, 30)
	rotten := a.keys[7]
	a.nodes["n1"].engine.Rot(a.row(rotten))
	a.deliver("n2", Send{To: "n1", Msg: &wire.RebuildRead{Head: wire.Head(a.id), Op: wire.OpID{Process: 1, Seq: 1}, BytesMax: 1 << 20}})
	a.settle()
	a.ticks()
	require.Equal(t, []string{"value of " + rotten}, a.shown("n1", rotten))
	a.demandEqual()
}

// And whoever is rebuilt itself: its own objects are joined with each page, and with one of
// them that cannot be read no page could ever be taken over.
func TestARottenRowIsMendedAtWhoIsRebuilt(t *testing.T) {
	a := newAuditRig(t, 30)
	rotten := a.keys[7]
	a.nodes["n1"].engine.Rot(a.row(rotten))
	a.nodes["n1"].shard.Rebuild(a.now, a.id, "n2")
	a.settle()
	a.ticks()
	require.Equal(t, []string{"value of " + rotten}, a.shown("n1", rotten))
	a.demandEqual()
	require.EqualValues(t, 1, a.nodes["n1"].shard.RebuildStats().Finished)
	require.Empty(t, a.nodes["n1"].shard.Rebuilds())
}

// Whatever looks through own objects calls for the audit.
func TestARottenRowIsMendedByTheWalkThatMeetsIt(t *testing.T) {
	for what, walk := range map[string]func(now time.Time, s *Shard, r *replica.Replica){
		"after a pass that was given up": func(now time.Time, s *Shard, r *replica.Replica) {
			s.claim(now, s.addRebuild(now, r, "n2"))
		},
		"after a close": func(now time.Time, s *Shard, r *replica.Replica) {
			s.closer.now = now
			s.closer.startSweep(r)
		},
	} {
		t.Run(what, func(t *testing.T) {
			a := newAuditRig(t, 30)
			a.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindRebuildRead }
			rotten, s := a.keys[7], a.nodes["n1"].shard
			a.nodes["n1"].engine.Rot(a.row(rotten))
			walk(a.now, s, s.replicas[a.id])
			a.ticks()
			require.Equal(t, []string{"value of " + rotten}, a.shown("n1", rotten))
		})
	}
}

// A key whose row is damaged at one home is answered by the others; at so many homes
// that R cannot be met its reader and its writer are told at once which homes do not
// count, and why. Nothing is shown in place of what was lost.
func TestAKeyThatIsDamagedAtTooManyHomesIsRefused(t *testing.T) {
	a := newAuditRig(t, 20)
	lost := a.keys[3]
	read := kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: lost}
	for _, node := range []string{"n1", "n2"} {
		a.spoil(node, lost)
	}
	a.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) > wire.KindScanReply } // nobody is restored now
	a.link("n1", "n2", true)
	a.link("n1", "n3", true)
	a.link("n2", "n3", true)
	for _, node := range a.names {
		resp := a.do(node, read)
		require.NotNil(t, resp.Err, node)
		require.Equal(t, kindred.CodeUnavailable, resp.Err.Code)
		require.Equal(t, "get: 1 of 3 replicas answered, 2 wanted", resp.Err.Message)
		require.ElementsMatch(t, []kindred.NodeFailure{{Node: "n1", Reason: isDamaged}, {Node: "n2", Reason: isDamaged}}, resp.Err.Failed)
		require.Empty(t, resp.Siblings)
	}
	require.EqualError(t, a.do("n3", read).Err, "unavailable: get: 1 of 3 replicas answered, 2 wanted "+
		"(n1 has lost something itself and is being restored; n2 has lost something itself and is being restored)")
	require.EqualError(t, a.do("n1", put(lost, "new")).Err, "unavailable: put: the coordinator has lost something near the object "+
		"and is being restored; nothing was done (n1 has lost something itself and is being restored)")
	one := read
	one.R = 1
	require.Equal(t, []string{"value of " + lost}, values(a.do("n3", one)), "who has it says it, to those who ask for no more")
	half := a.do("n3", put(lost, "new")).Err
	require.NotNil(t, half)
	require.Equal(t, kindred.Unknown, half.Outcome, "n3 has it")
	damaged := fmt.Sprintf("object b/%q of replica 0/3 is damaged: something that was stored near it is lost and is being restored", lost)
	require.Equal(t, []kindred.NodeFailure{{Node: "n1", Reason: damaged}, {Node: "n2", Reason: damaged}}, half.Failed)
}

// What was written to a damaged leaf meanwhile is kept, and what was deleted stays
// deleted.
func TestARestoreKeepsWhatCameMeanwhile(t *testing.T) {
	a := newAuditRig(t, 30)
	over, gone, same := a.keys[1], a.keys[2], a.keys[3]
	a.take("n1", over, gone, same)
	for _, peer := range []string{"n2", "n3"} {
		a.nodes["n1"].shard.SetLink(a.now, peer, false)
	}
	require.Equal(t, 3, a.audit("n1").Damaged)
	for _, key := range []string{over, gone} {
		seen := a.do("n2", kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: key, R: 2})
		require.Nil(t, seen.Err)
		req := kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: key, Value: []byte("new"), Context: seen.Context}
		if key == gone {
			req.Op, req.Value = kindred.OpDelete, nil
		}
		require.Nil(t, a.do("n2", req).Err)
	}
	for _, peer := range []string{"n2", "n3"} {
		a.nodes["n1"].shard.SetLink(a.now, peer, true)
	}
	a.ticks()
	require.Equal(t, []string{"new"}, a.shown("n1", over))
	require.Empty(t, a.shown("n1", gone))
	require.Equal(t, []string{"value of " + same}, a.shown("n1", same))
	a.demandEqual()
}

// A replica that holds something which the others lack cannot be told by them what
// it has lost of that very key: they would bring back what that superseded.
func TestARestoreWaitsForWhatTheOthersLack(t *testing.T) {
	a := newAuditRig(t, 30)
	key := a.keys[5]
	seen := a.do("n1", kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: key})
	count := a.lose
	a.lose = func(from, to string, m wire.Message) bool { return wire.KindOf(m) == wire.KindWrite }
	require.Nil(t, a.do("n1", kindred.Request{Op: kindred.OpDelete, Bucket: "b", Key: key, Context: seen.Context, W: 1}).Err)
	a.lose = count
	a.take("n1", a.keys[6])
	other := a.audit("n1")
	require.True(t, other.Complete || other.Damaged == 0, other.Problem)
	require.Len(t, a.shown("n1", a.keys[6]), 1, "other keys do not wait")
	require.Empty(t, a.shown("n1", key), "the delete has won by the comparison that followed")
	a.demandEqual()
}

// C8: the effect of a delete arrived without its dot, so that the clocks agree and
// the replicas do not. Nothing but the audit sees that.
func TestAnAuditMendsWhatClocksDoNotShow(t *testing.T) {
	a := newAuditRig(t, 30)
	key := a.keys[9]
	object, err := replica.Load(a.nodes["n3"].engine, a.id, "b", key)
	require.NoError(t, err)
	leaked := &wire.Write{Head: wire.Head{N: 3}, Bucket: "b", Key: key, Delta: wire.Delta{Siblings: wire.Object{Context: object.Dots()}}}
	a.nodes["n3"].shard.Message(a.now, "n1", leaked)
	a.settle()
	require.Empty(t, a.shown("n3", key))
	require.True(t, a.nodes["n3"].shard.Clock(a.id).Compare(a.nodes["n1"].shard.Clock(a.id)) == vclock.Equal)

	status := a.audit("n1")
	require.True(t, status.Complete, status.Problem)
	require.Equal(t, uint64(1), a.nodes["n1"].shard.Stats().Diverged)
	a.demandEqual()
}

func TestARepairSaysWhatItMended(t *testing.T) {
	a := newAuditRig(t, 1)
	key := a.keys[0]
	a.lose = func(_, to string, m wire.Message) bool { return wire.KindOf(m) == wire.KindWrite && to == "n3" }
	require.Nil(t, a.do("n1", kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: key, Value: []byte("sibling")}).Err)
	a.lose = func(string, string, wire.Message) bool { return false }
	resp := a.do("n2", kindred.Request{Op: kindred.OpRepair, Bucket: "b", Key: key})
	require.Nil(t, resp.Err)
	require.Len(t, resp.Replicas, 3)
	for _, v := range resp.Replicas {
		require.Empty(t, v.Err)
		require.Equal(t, v.Node == "n3", v.Repaired, v.Node)
	}
	a.demandEqual()
	for _, name := range a.names {
		require.True(t, a.nodes[name].shard.Held().IsZero(), name)
	}
	a.nodes["n2"].shard.SetLink(a.now, "n3", false)
	resp = a.do("n2", kindred.Request{Op: kindred.OpRepair, Bucket: "b", Key: key})
	require.Equal(t, "unreachable", resp.Replicas[2].Err)
}

// Who orders audits of all replicas waits for reading, not for the clock.
func TestAuditsThatAreWantedFollowOneAnother(t *testing.T) {
	a := newAuditRig(t, 5)
	s := a.nodes["n2"].shard
	require.Greater(t, s.Repair(a.now, kindred.AllPartitions), 10)
	for range 100 {
		if at, ok := s.Deadline(); ok && !at.After(a.now) {
			s.Tick(a.now)
			a.settle()
		}
	}
	for id, status := range s.Audits() {
		require.True(t, status.Complete, "%v: %s", id, status.Problem)
	}
}

// A shard that may not write does not audit, and does not spin either.
func TestAShardThatIsFullAuditsLater(t *testing.T) {
	a := newAuditRig(t, 5)
	s := a.nodes["n2"].shard
	s.SetFull(&kindred.Error{Code: kindred.CodeDiskFull})
	a.pass(0)
	s.Audit(a.id)
	s.Tick(a.now)
	at, ok := s.Deadline()
	require.True(t, ok)
	require.True(t, at.After(a.now), "it would be ticked without end")
	require.True(t, s.Audits()[a.id].Wanted)
	s.SetFull(nil)
	a.ticks()
	require.True(t, s.Audits()[a.id].Complete)
}

// TestAnAuditThatWasAskedForCoversWhatWasThere: an audit confirms only what every
// home is known to hold. Who asks for one too early need not ask again.
func TestAnAuditThatWasAskedForCoversWhatWasThere(t *testing.T) {
	a := newAuditRig(t, 5)
	silent := true
	a.lose = func(from, _ string, m wire.Message) bool {
		return silent && from == "n3" && wire.KindOf(m) == wire.KindClock
	}
	require.Nil(t, a.do("n1", put(a.keys[0], "new")).Err)
	status := a.audit("n1")
	require.True(t, status.Complete, status.Problem)
	clock := a.nodes["n1"].shard.Clock(a.id)
	require.False(t, status.Audited.Covers(clock), "n3 has not said that it holds the write")
	begun := a.nodes["n1"].shard.Stats().Audits
	a.ticks()
	require.Equal(t, begun, a.nodes["n1"].shard.Stats().Audits, "another audit would find no more")

	silent = false
	a.ticks()
	a.ticks()
	require.True(t, a.nodes["n1"].shard.Audits()[a.id].Audited.Covers(clock))
	begun = a.nodes["n1"].shard.Stats().Audits
	a.ticks()
	require.Equal(t, begun, a.nodes["n1"].shard.Stats().Audits, "and that was that")
}

// An audit may end because the time of a repair that it waits for is up; the next
// audit, which waits for its turn, begins in the same tick. The simulator found
// that the shard asked for a tick that came too late for it.
func TestAnAuditThatRunsOutOfTimeLetsTheNextBegin(t *testing.T) {
	a := newAuditRig(t, 5)
	object, err := replica.Load(a.nodes["n3"].engine, a.id, "b", a.keys[0])
	require.NoError(t, err)
	leaked := wire.Delta{Siblings: wire.Object{Context: object.Dots()}}
	a.nodes["n3"].shard.Message(a.now, "n1", &wire.Write{Head: wire.Head{N: 3}, Bucket: "b", Key: a.keys[0], Delta: leaked})
	a.settle()
	a.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindReadReply }
	s := a.nodes["n1"].shard
	require.Greater(t, s.Repair(a.now, kindred.AllPartitions), 10)
	waited := false
	for range 200 {
		if at, ok := s.Deadline(); ok && !at.After(a.now) {
			s.Tick(a.now)
			at, ok = s.Deadline()
			require.True(t, !ok || at.After(a.now) || !s.Effects().Empty(), "it wants to be woken and does nothing")
		}
		a.settle()
		if !waited && s.Busy() > 0 {
			waited = true
			for _, peer := range []string{"n2", "n3"} {
				s.SetLink(a.now, peer, false)
			}
			a.settle()
			require.Positive(t, s.Busy())
		}
		a.now = a.now.Add(100 * time.Millisecond)
	}
	require.True(t, waited, "no audit has waited for a repair")
}
