package core

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// What was broken on purpose in the code of R23 to R27, and the test that failed:
//
//   - a quorum of the new, or of the old homes is enough: TestAWriteNeedsAQuorumOfEachLayout
//   - the old quorum is not looked at before: TestAWriteThatOneLayoutCannotTakeIsNotMade
//   - reads ask the new homes at both: TestAReadAsksTheOldHomesUntilAllAreAhead
//   - acknowledgements outlive their tip, the base counts when alone:
//     TestAcknowledgementsDoNotOutliveTheirLayout
//   - homes that count no more are guests, or answers to wait for:
//     TestOldHomesAreForgottenWhenTheyCountNoMore
//   - what a home has said counts when it stands in for another:
//     TestAnOldHomeThatStandsInCountsByItsHint
//   - a guest that becomes a home counts by its hint: TestAGuestThatBecomesAHomeCountsByItsReplica
//   - a removed node drops hints: TestWhoWasRemovedKeepsWhatItOwes
//   - a guest counts for the new homes only: TestAGuestCountsInEachLayoutThatItServes
//   - older requests are served, a refusal is a failure, nobody tells or asks:
//     TestWhoIsBehindWaitsAndGoesOn, TestWhoStaysBehindIsToldWhy
//   - nobody is asked again: TestWhoHasNotHeardIsAskedAgain
//   - one step behind is refused, two are served: TestWhoIsServed
//   - a write that waited for the disk is taken: TestAWriteThatWaitedForTheDiskComesTooLate
//   - a removed node coordinates: TestARemovedNodeRefuses
//   - a clock of before the fence, or of one that is not trusted, counts:
//     TestAClockOfBeforeTheFenceDoesNotCount, TestAnOldOwnerThatLostItsDiskIsWaitedFor
//   - a fence outlives its disk: TestNobodyWaitsForAClockThatIsLost
//   - one source is enough, who stays is complete: TestCompleteNeedsEveryOldOwner
//   - a volatile clock counts: TestCompleteIsByDurableClocksOfFencedHomes (antientropy)
//   - a loss is not accepted: TestWhoIsGoneIsMadeUpFor
//   - the incomplete are read: TestWhoIsNotCompleteAnswersNoRead
//   - trust by the homes of one layout: TestTrustIsAskedOfBothLayouts
//   - promises that were left stay different, or a round ends: TestPromisesAreMadeAlikeDuringAChange
//   - closes are looked for when their next look is due: TestClosesGoOnOnceThePhaseIsSettled
//   - a former home is not welcome: TestAFormerHomeIsWelcomeAtAnOwnerThatHasStarted
//   - a copy that holds what is void goes on as a home, or tells what is gone there:
//     TestWhoReturnsTakesNothingAwayByWhatIsVoid
//   - a copy is sound if its log has forgotten what is void:
//     TestWhoReturnsTakesNothingAwayByWhatNoLogNames
//   - it answers reads, pages, audits, makes writes, is complete: TestWhoHandsOnIsNoHome
//   - it gives before it has heard what is void, or has its log pruned of that:
//     TestAnOldCopyGivesNothingBeforeItKnowsWhatIsVoid
//   - a node that was removed goes on in its incarnations when it comes back:
//     TestWhoReturnsInTheSameLifeIsAnotherIncarnation,
//     TestAGuestThatReturnsInTheSameLifeIsAnotherIncarnation
//   - it goes on with what it had asked for: TestWhoRetiresWantsNothingMore,
//     TestWhoRetiresWantsNothing (antientropy)
//   - it is asked for what others have, or may have, whole:
//     TestWhoHandsOnIsAskedBareForWhatNobodyElseCanGive (antientropy)
//   - who comes stands in for homes of the base: TestWhoComesStandsInForNobodyBeforeTheBaseIsLeft
//   - it is no source, whatever the homes lack: TestR20_AnOldCopyEndsTheWaitForADamagedHome

// mover is a rig whose owners change: each node has its own way through layouts, as the
// control core has it, and hears of the others' when the test lets it.
type mover struct {
	*rig
	courses map[string]*ring.Course
	staging ring.Staging
	// deaf nodes hear nothing of layouts and take no steps.
	deaf map[string]bool
	// differ counts how often shards asked for an exchange of what is known of layouts.
	differ map[string]int
	// hush keeps nodes from saying that they are complete.
	hush bool
}

// newMover is a cluster with three copies of each partition, of which the first nodes
// own something and the spare ones nothing yet.
func newMover(t testing.TB, owners, spare int) *mover {
	r := newRigOf(t, owners, spare, DefaultLimits())
	m := &mover{rig: r, courses: map[string]*ring.Course{}, deaf: map[string]bool{}, differ: map[string]int{}}
	for _, name := range r.names {
		m.courses[name] = ring.NewCourse(name, ring.First(r.layout))
	}
	r.differed = func(_, peer string) { m.differ[peer]++ }
	return m
}

// commit decides on changes at a node, which tells nobody yet.
func (m *mover) commit(at string, loss bool, changes ...ring.Staged) {
	c := m.courses[at]
	for _, change := range changes {
		staged, err := m.staging.Stage(at, c.Tip(), change.Node, change.Intent)
		require.NoError(m.t, err)
		m.staging = staged
	}
	d, err := c.Propose(m.staging, loss)
	require.NoError(m.t, err)
	require.NoError(m.t, c.Commit(d))
}

func joins(name string) ring.Staged {
	return ring.Staged{Node: ring.Node{Name: name, Zone: name, Capacity: 1}, Intent: ring.Own}
}

func leaves(name string) ring.Staged {
	return ring.Staged{Node: ring.Node{Name: name}, Intent: ring.Leave}
}

func removes(name string) ring.Staged {
	return ring.Staged{Node: ring.Node{Name: name}, Intent: ring.Remove}
}

// spread lets everybody who is not deaf tell everybody, and go on as far as the rules
// allow, until nothing moves.
func (m *mover) spread() {
	for m.spread1() {
		continue
	}
}

// spread1 lets everybody hear what is known by now and take one step.
func (m *mover) spread1() (moved bool) {
	for _, name := range m.names {
		if m.deaf[name] {
			continue
		}
		c := m.courses[name]
		for _, other := range m.names {
			if other != name && !m.deaf[other] {
				moved = c.Hear(m.courses[other].Files()) || moved
			}
		}
		moved = m.step(name) || moved
	}
	return moved
}

// step lets one node do what it may by what it has heard.
func (m *mover) step(name string) (moved bool) {
	c := m.courses[name]
	if tip, complete := m.nodes[name].shard.Complete(); complete && !m.hush && tip == c.Tip().Version() && !m.completed(name) {
		c.SetComplete()
		moved = true
	}
	for c.Turn() {
		moved = true
	}
	m.follow(name)
	return moved
}

func (m *mover) completed(name string) bool {
	c := m.courses[name]
	for _, f := range c.Files() {
		if f.Decision.Version() == c.Tip().Version() {
			return f.Mark(name).Complete
		}
	}
	return false
}

// follow gives a shard the phase of its node, if it is another.
func (m *mover) follow(name string) {
	n, phase := m.nodes[name], m.courses[name].Phase()
	if was := n.shard.phase; was.Progress() == phase.Progress() && was.Settled() == phase.Settled() && was.Removed() == phase.Removed() {
		return
	}
	n.shard.SetPhase(phase, m.recover(n, phase))
	m.settle()
}

func (m *mover) recover(n *rigNode, phase *ring.Phase) (recovered []*replica.Replica) {
	snapshot, err := n.engine.Snapshot()
	require.NoError(m.t, err)
	defer func() { require.NoError(m.t, snapshot.Close()) }()
	for _, p := range phase.Owned(n.name, 3) {
		id := replica.ID{Partition: uint32(p), N: 3}
		if n.shard.Has(id) {
			continue
		}
		one, err := n.shard.Recover(id, snapshot)
		require.NoError(m.t, err)
		recovered = append(recovered, one)
	}
	return recovered
}

// restart gives a node another life, on its disk or on an empty one.
func (m *mover) restart(name string, nonce uint64, wipe, clean bool) {
	n := m.nodes[name]
	n.inbox, n.loads, n.syncs, n.held = nil, nil, nil, nil
	if wipe {
		n.engine = memstore.New()
	}
	n.shard = New(Config{Node: name, Start: vclock.Actor{Disk: nonce, Nonce: nonce}, Limits: DefaultLimits(), Clean: clean})
	snapshot, err := n.engine.Snapshot()
	require.NoError(m.t, err)
	require.NoError(m.t, n.shard.RecoverHints(snapshot, func(uint32) bool { return true }))
	require.NoError(m.t, n.shard.RecoverPromises(snapshot, func(uint32) bool { return true }))
	require.NoError(m.t, snapshot.Close())
	if wipe {
		var files []ring.File
		for _, other := range m.names {
			if other != name && !m.deaf[other] {
				files = m.courses[other].Files()
			}
		}
		m.courses[name], err = ring.Enter(name, files)
		require.NoError(m.t, err)
	}
	n.shard.SetPhase(m.courses[name].Phase(), m.recover(n, m.courses[name].Phase()))
	for _, other := range m.names {
		if other != name {
			n.shard.SetLink(m.now, other, true)
			m.nodes[other].shard.SetLink(m.now, name, false)
			m.nodes[other].shard.SetLink(m.now, name, true)
		}
	}
	m.settle()
}

// run lets time pass, and everybody hear of layouts now and then.
func (m *mover) run(seconds int) {
	for range seconds {
		m.pass(time.Second)
		m.spread()
	}
}

// moved is a key of a partition that gets another owner: the homes by the layout before
// and by the one that a node works by.
func (m *mover) moved(at string) (key string, was, is []string) {
	return m.movedWhere(at, func(ring.Partition, []string, []string) bool { return true })
}

// movedWhere is one of which more is wanted.
func (m *mover) movedWhere(at string, fits func(p ring.Partition, was, is []string) bool) (key string, was, is []string) {
	phase := m.courses[at].Phase()
	for _, key := range keysOf(m.rig) {
		p := m.layout.PartitionOf("b", key)
		if !phase.Moves(p, 3) {
			continue
		}
		was, is := phase.Base().Homes(p, 3), phase.Tip().Homes(p, 3)
		if len(onlyIn(was, is)) > 0 && len(onlyIn(is, was)) > 0 && fits(p, was, is) {
			return key, was, is
		}
	}
	m.t.Fatal("nothing moves")
	return "", nil, nil
}

func keysOf(*rig) (keys []string) {
	for i := range 500 {
		keys = append(keys, string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	return keys
}

func onlyIn(some, others []string) (rest []string) {
	for _, n := range some {
		if !slices.Contains(others, n) {
			rest = append(rest, n)
		}
	}
	return rest
}

func (m *mover) head(key string) wire.Head {
	return wire.Head{Partition: uint32(m.layout.PartitionOf("b", key)), N: 3}
}

// at is how far a node is.
func (m *mover) at(name string) ring.Step { return m.nodes[name].shard.phase.Progress().Step }
