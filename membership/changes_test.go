package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

func own(name string, capacity uint32) ring.Node {
	return ring.Node{Name: name, Zone: "z" + name[len(name)-1:], Capacity: capacity}
}

func TestANodeJoinsInThreeSteps(t *testing.T) {
	w := newTown(t, 3)
	w.start("n4")
	n1 := w.views["n1"]
	require.Equal(t, n1.Layout().Version(), w.views["n4"].Layout().Version(), "a newcomer routes by what it was told")
	require.Contains(t, w.notes["n4"], Note{Text: "this node is a member without partitions until a plan gives it some"})

	w.stage("n2", own("n4", 1), ring.Own)
	require.Equal(t, []kindred.NodeChange{{Node: "n4", Intent: kindred.IntentOwn, Zone: "z4", Capacity: 1}}, n1.Changes().Staged, "what is staged is known everywhere")
	version := w.commit("n1")
	for _, name := range w.names() {
		require.Empty(t, w.views[name].Changes().Staged)
		p := w.views[name].Changes().Progress
		require.Equal(t, version.String(), p.Tip, name)
		require.Equal(t, kindred.NodeProgress{Node: "n3", Holds: true, Step: kindred.StepBoth}, p.Nodes[2])
		require.False(t, p.Settled)
		require.True(t, epoch.Equal(p.Since))
		require.Equal(t, "does not have all yet that it is to own", p.Waits[0].Reason)
	}
	w.complete("n1", "n2", "n3")
	require.Len(t, n1.Changes().Progress.Waits, 1)
	require.Equal(t, "n4", n1.Changes().Progress.Waits[0].Node)
	w.complete("n4")
	w.settledOn(version)
	require.Equal(t, 4, len(n1.Layout().Nodes()))
	require.True(t, n1.Phase().Settled())
	require.Zero(t, w.tick(10), "all know the same, so nobody tells anything")

	past := n1.Changes().History
	require.Len(t, past, 1)
	require.Equal(t, "n4", past[0].Changes[0].Node)
	require.Equal(t, "settled", past[0].Outcome)
	require.Positive(t, past[0].Copies)
	require.Zero(t, n1.Changes().Progress.Since)
	require.Equal(t, past, w.views["n4"].Changes().History)
}

// M1 for layouts: whatever a node tells, it would tell again after a crash.
func TestAVoteIsSavedBeforeItIsToldInAFormedClusterToo(t *testing.T) {
	w := newTown(t, 3)
	w.stage("n1", own("n2", 2), ring.Own)
	_, d, err := w.views["n1"].Plan(w.now, false, nil)
	require.NoError(t, err)
	e, err := w.views["n1"].Commit(w.now, d.Version(), false)
	require.NoError(t, err)
	require.NotNil(t, e.SaveLayout)
	require.Len(t, e.Send, 2)
	told, err := decodeTold(e.Send[0].Document)
	require.NoError(t, err)

	again, err := New(config("n1", 0), e.SaveLayout, nil)
	require.NoError(t, err)
	require.Equal(t, d.Version(), again.rec.course.Holds().Version())
	require.Equal(t, told.encode(), again.rec.told)
	require.Equal(t, e.Announce, metaOf(again.cfg.Self, again.held()).Append(nil))
	require.Nil(t, again.Start(w.now).SaveLayout, "nothing has changed")
}

// Lesson 26: of what two operators commit on two sides of a cut nobody uses anything
// before they hear one another, and then all use one of the two. What the other was to
// change is staged again.
func TestLesson26_TwoLayoutsWithOneNumber(t *testing.T) {
	w := newTown(t, 4)
	w.sever([]string{"n1", "n2"}, []string{"n3", "n4"})
	w.stage("n1", own("n1", 2), ring.Own)
	w.stage("n3", own("n3", 2), ring.Own)
	left, right := w.commit("n1"), w.commit("n3")
	require.True(t, left.Rivals(right))
	for _, name := range w.names() {
		require.Equal(t, uint64(1), w.views[name].rec.course.Tip().Version().Counter)
	}
	w.mend()
	w.complete(w.names()...)
	version := left
	if right.Compare(left) > 0 {
		version = right
	}
	w.settledOn(version)
	for _, name := range w.names() {
		require.Len(t, w.views[name].Changes().Staged, 1)
		past := w.views[name].Changes().History
		require.Equal(t, []string{"settled", "replaced"}, []string{past[0].Outcome, past[1].Outcome})
	}
}

// The greater of two layouts may be the one that loses: some use the smaller one, which
// all had held, when the greater is committed by one who has not heard of that.
func TestAGreaterLayoutThatLosesIsNotRunning(t *testing.T) {
	w := newTown(t, 3)
	w.gossips = false
	w.stage("n1", own("n1", 2), ring.Own)
	w.sever([]string{"n1"}, []string{"n2"}) // so that n2 hears last, and knows that all hold it
	_, d, err := w.views["n1"].Plan(w.now, false, nil)
	require.NoError(t, err)
	e, err := w.views["n1"].Commit(w.now, d.Version(), false)
	require.NoError(t, err)
	w.carry("n1", e)
	uses := func(name string) bool { return w.views[name].rec.course.Tip().Version() == d.Version() }
	for len(w.mail) > 0 && !uses("n2") {
		m := w.mail[0]
		w.mail = w.mail[1:]
		if !w.cut[[2]string{m.from, m.to}] {
			w.carry(m.to, w.views[m.to].LayoutReceived(w.now, m.from, m.document))
		}
	}
	w.sever([]string{"n1", "n2"}, []string{"n3"})
	delete(w.cut, [2]string{"n1", "n2"})
	delete(w.cut, [2]string{"n2", "n1"})
	w.carry("n1", w.views["n1"].LinkUp(w.now, "n2"))
	w.carry("n2", w.views["n2"].LinkUp(w.now, "n1"))
	w.deliver()
	require.True(t, uses("n1"))
	require.True(t, uses("n2"))
	require.False(t, uses("n3"))
	require.Equal(t, d.Version(), w.views["n3"].rec.course.Holds().Version())

	w.stage("n3", own("n3", 2), ring.Own)
	greater := w.commit("n3")
	require.Positive(t, greater.Compare(d.Version()))
	require.Equal(t, "running", w.views["n3"].Changes().History[0].Outcome)
	w.mend()
	w.complete(w.names()...)
	w.settledOn(d.Version())
	for _, name := range w.names() {
		past := w.views[name].Changes().History
		require.Equal(t, greater.String(), past[0].Version)
		require.Equal(t, []string{"replaced", "settled"}, []string{past[0].Outcome, past[1].Outcome}, name)
		require.Len(t, w.views[name].Changes().Staged, 1, "what it was to change waits again")
	}
}

func TestCommitsAreOfThePlanThatWasSeen(t *testing.T) {
	w := newTown(t, 3)
	v := w.views["n1"]
	plan, d, err := v.Plan(w.now, false, nil)
	require.NoError(t, err)
	require.Equal(t, ring.NothingStaged, plan.Refusals[0].Kind)
	_, err = v.Commit(w.now, d.Version(), false)
	require.ErrorContains(t, err, "nothing is staged")

	w.stage("n1", own("n2", 2), ring.Own)
	_, d, err = v.Plan(w.now, false, nil)
	require.NoError(t, err)
	w.stage("n3", own("n3", 2), ring.Own)
	_, err = v.Commit(w.now, d.Version(), false)
	var refused *ring.CommitError
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, "look at the plan again")

	e, err := w.views["n2"].Clear(w.now)
	require.NoError(t, err)
	w.carry("n2", e)
	w.deliver()
	require.Empty(t, v.Changes().Staged)
}

func TestStagingWhatMakesNoSenseIsRefused(t *testing.T) {
	w := newTown(t, 3)
	refused := func(n ring.Node, intent ring.Intent, why string) {
		t.Helper()
		_, err := w.views["n1"].Stage(w.now, n, intent)
		var refused *StageError
		require.ErrorAs(t, err, &refused)
		require.ErrorContains(t, err, why)
		require.NotEmpty(t, refused.Fix)
	}
	refused(own("n9", 1), ring.Own, "no such node is up")
	refused(own("n9", 0), ring.Leave, "it is no member")
	refused(own("n2", 0), ring.Remove, "it is up")
	refused(own("n2", 0), ring.Keep, "nothing to take back")
	w.stop("n2")
	w.stage("n1", own("n2", 0), ring.Remove)
	w.stage("n3", own("n2", 0), ring.Keep)
	require.Empty(t, w.views["n1"].Changes().Staged)

	v := fresh(t, "n7", 3)
	_, err := v.Stage(w.now, own("n7", 1), ring.Own)
	require.ErrorContains(t, err, "has no layout yet")
	require.Empty(t, v.Changes().Progress.Tip)
}

// A node is declared gone while it is only away. When it comes back it is told, refuses
// everything, drops nothing, and says so.
func TestARemovedNodeThatComesBackIsTold(t *testing.T) {
	w := newTown(t, 4)
	w.stop("n4")
	require.Contains(t, w.views["n1"].dial(), "n4")
	w.stage("n1", own("n4", 0), ring.Remove)
	version := w.commit("n2")
	w.complete("n1", "n2", "n3")
	w.settledOn(version)
	require.NotContains(t, w.views["n1"].dial(), "n4", "who is gone is not dialled")
	require.NotContains(t, w.views["n1"].members, "n4")
	require.Equal(t, []string{"n4"}, w.views["n1"].Changes().Progress.Gone)

	w.start("n4")
	v := w.views["n4"]
	require.True(t, v.Phase().Removed())
	require.Contains(t, v.Problems()[0], "was removed from the cluster by layout "+version.String())
	require.False(t, v.Left())
	require.True(t, w.notes["n4"][len(w.notes["n4"])-1].Loud)
	require.Contains(t, w.views["n1"].dial(), "n4", "it is there, so it is told")
	_, err := v.Stage(w.now, own("n4", 1), ring.Own)
	require.ErrorContains(t, err, "ask a member")

	t.Log("also after a restart; and it may be taken in again")
	w.stop("n4")
	w.start("n4")
	require.True(t, w.views["n4"].Phase().Removed())
	w.stage("n1", own("n4", 1), ring.Own)
	version = w.commit("n1")
	w.complete(w.names()...)
	w.settledOn(version)
	require.False(t, w.views["n4"].Phase().Removed())
}

func TestANodeThatLeftIsForgottenOnceItIsStopped(t *testing.T) {
	w := newTown(t, 4)
	w.stage("n1", own("n4", 0), ring.Leave)
	version := w.commit("n1")
	require.Contains(t, w.views["n1"].dial(), "n4", "an owner of the base")
	w.complete(w.names()...)
	w.settledOn(version)
	require.False(t, w.views["n4"].Phase().Removed())
	require.True(t, w.views["n4"].Left())
	require.Contains(t, w.views["n1"].dial(), "n4")
	w.stop("n4")
	require.NotContains(t, w.views["n1"].dial(), "n4")
	require.NotContains(t, w.views["n1"].members, "n4")
}

func TestALostDiskEntersWhereItsNameWas(t *testing.T) {
	w := newTown(t, 4)
	w.stage("n1", own("n2", 2), ring.Own)
	version := w.commit("n1")
	w.stop("n2")
	delete(w.saved, "n2")
	w.start("n2")
	require.Equal(t, version, w.views["n2"].rec.course.Tip().Version())
	require.Equal(t, ring.Both, w.views["n2"].Phase().Progress().Step)
	w.complete(w.names()...)
	w.settledOn(version)
}

// A node without a disk may have voted: it hears all who are there before it goes by what
// one of them tells.
func TestANewcomerHearsAllWhoAreThere(t *testing.T) {
	w := newTown(t, 3)
	held := w.views["n1"].held()
	v := fresh(t, "n4", 0)
	for _, peer := range w.names() {
		v.Gossip(epoch, joined(peer, held))
		v.LinkUp(epoch, peer)
	}
	v.LayoutReceived(epoch, "n1", w.views["n1"].rec.told)
	v.LayoutReceived(epoch, "n2", w.views["n2"].rec.told)
	require.Nil(t, v.Layout(), "n3 was not heard")
	require.Nil(t, v.Tick(epoch.Add(EnterPatience-1)).SaveLayout)
	require.NotNil(t, v.Tick(epoch.Add(EnterPatience)).SaveLayout, "it was waited for long enough")
	require.NotNil(t, v.Layout())
}

func TestWhoDiffersIsToldAtOnceButNotAllTheTime(t *testing.T) {
	w := newTown(t, 3)
	v := w.views["n1"]
	w.tick(3)
	require.Len(t, v.Differ(w.now, "n2").Send, 1)
	require.Empty(t, v.Differ(w.now.Add(DifferEvery-1), "n2").Send)
	require.Len(t, v.Differ(w.now.Add(DifferEvery), "n2").Send, 1)
	require.Empty(t, v.Differ(w.now, "n9").Send, "nobody has heard of it")
	v.LinkDown(w.now, "n2")
	require.Empty(t, v.Differ(w.now.Add(time.Second), "n2").Send)
}

// What gets lost is sent again, ever more rarely where it changes nothing.
func TestWhatIsLostIsSentAgain(t *testing.T) {
	w := newTown(t, 2)
	w.gossips = false
	e, err := w.views["n1"].Stage(w.now, own("n2", 2), ring.Own)
	require.NoError(t, err)
	require.Len(t, e.Send, 1) // and is lost
	v, times := w.views["n1"], []time.Duration(nil)
	for now := w.now; now.Before(w.now.Add(3 * time.Minute)); now = now.Add(time.Second) {
		if len(v.Tick(now).Send) > 0 {
			times = append(times, now.Sub(w.now))
		}
	}
	require.Equal(t, []time.Duration{2 * time.Second, 6 * time.Second, 14 * time.Second, 30 * time.Second, 62 * time.Second, 122 * time.Second}, times)
	w.now = w.now.Add(5 * time.Minute)
	w.tick(1)
	require.Len(t, w.views["n2"].Changes().Staged, 1)
	require.Positive(t, w.tick(60), "nobody has told that it arrived")
	require.Zero(t, w.tick(300), "who is told what is no news says what it has")
}

// Whoever knows something else after a document than its sender says so.
func TestADocumentIsAnsweredWhenNodesDiffer(t *testing.T) {
	w := newTown(t, 2)
	w.gossips = false
	a, b := w.views["n1"], w.views["n2"]
	stage := func(v *View, n ring.Node) {
		_, err := v.Stage(w.now, n, ring.Own)
		require.NoError(t, err)
	}
	stage(a, own("n2", 2))
	require.Empty(t, b.LayoutReceived(w.now, "n1", a.rec.told).Send, "they hold the same now")
	stage(a, own("n2", 3))
	stage(b, own("n1", 3))
	w.now = w.now.Add(ResendEvery)
	e := b.LayoutReceived(w.now, "n1", a.rec.told)
	require.Len(t, e.Send, 1)
	a.LayoutReceived(w.now, "n2", e.Send[0].Document)
	require.Equal(t, a.rec.told, b.rec.told)
}

func TestWhatBecameOfAChangeIsReported(t *testing.T) {
	w := newTown(t, 4)
	w.stage("n1", own("n4", 2), ring.Own)
	v := w.views["n1"]
	v.SetRates(ring.Rates{In: 1000, Out: 1000, Besides: time.Second}, 0)
	plan, d, err := v.Plan(w.now, false, func(ring.Partition) uint64 { return 500 })
	require.NoError(t, err)
	require.Positive(t, plan.Bytes)
	e, err := v.Commit(w.now, d.Version(), false)
	require.NoError(t, err)
	w.carry("n1", e)
	w.deliver()
	w.now = w.now.Add(time.Minute)
	w.complete("n1", "n3", "n4")
	w.now = w.now.Add(time.Minute)
	w.complete("n2")
	w.carry("n2", w.views["n2"].Report(w.now, d.Version(), 1234, 3*time.Second))
	w.carry("n3", w.views["n3"].Report(w.now, d.Version(), 1000, time.Second))
	w.deliver()
	past := w.views["n2"].Changes().History[0]
	require.Equal(t, plan.Bytes, past.Bytes)
	require.Equal(t, plan.Copies, past.Copies)
	require.Equal(t, plan.Duration(v.cfg.Rates), past.Expected)
	require.Greater(t, past.Expected, time.Second)
	require.Equal(t, uint64(2234), past.Moved, "at all nodes together")
	require.True(t, epoch.Equal(past.Committed))
	require.True(t, epoch.Add(2*time.Minute).Equal(past.Ended))
	require.Equal(t, "1-", past.From[:2])
	nodes := w.views["n3"].rec.history[0].nodes
	require.Equal(t, outcome{bytes: 1234, took: 3000, complete: epoch.Add(2 * time.Minute).UnixMilli(), alone: epoch.Add(2 * time.Minute).UnixMilli()}, nodes["n2"])
	require.Equal(t, epoch.Add(time.Minute).UnixMilli(), nodes["n1"].complete)
}

// A cluster of before layouts could change goes on with what it has saved.
func TestALayoutThatWasSavedBeforeTheyChangedGoesOn(t *testing.T) {
	first := formed(proposal(t, 5, "n1", "n2", "n3"))
	v := holding(t, "n1", first, "n2", "n3")
	p := v.Phase()
	require.Equal(t, ring.Progress{Tip: first.layout.Version(), Step: ring.Alone}, p.Progress())
	require.True(t, p.Settled())
	e, err := v.Stage(epoch, own("n2", 2), ring.Own)
	require.NoError(t, err)
	require.Equal(t, byte(savedVersion), e.SaveLayout[0])
}

func TestSeveralChangesAreStagedOrNone(t *testing.T) {
	w := newTown(t, 3)
	v := w.views["n1"]
	changes := []ring.Staged{{Node: own("n2", 2), Intent: ring.Own}, {Node: own("n9", 0), Intent: ring.Leave}}
	e, err := v.StageAll(w.now, changes)
	require.Error(t, err)
	require.True(t, e.Empty())
	require.Empty(t, v.Changes().Staged)
	changes[1].Name = "n3"
	_, err = v.StageAll(w.now, changes)
	require.NoError(t, err)
	require.Len(t, v.Changes().Staged, 2)
	e, err = v.Clear(w.now)
	require.NoError(t, err)
	require.NotNil(t, e.SaveLayout)
	e, err = v.Clear(w.now)
	require.NoError(t, err)
	require.Nil(t, e.SaveLayout, "nothing was left to take back")
}

// A change that waits for a node which is away is a problem, with what to do.
func TestAChangeThatHangsIsAProblem(t *testing.T) {
	w := newTown(t, 3)
	v := w.views["n1"]
	w.stop("n3")
	hangs := "the change of the layout waits for n3, which cannot be reached: start it, or remove it if it will never come back (kvcli cluster remove n3)"
	require.NotContains(t, v.Problems(), hangs)
	w.stage("n1", own("n2", 2), ring.Own)
	w.commit("n1")
	require.Contains(t, v.Problems(), hangs)
	require.Equal(t, []kindred.NodeFailure{{Node: "n3", Reason: "is not known to hold layout " + v.Changes().Progress.Next + ", and cannot be reached"}}, v.Changes().Progress.Waits)
	w.start("n3")
	require.NotContains(t, v.Problems(), hangs)
}

// An old owner that dies when all are at both has what the new ones wait for: it is named,
// not only those who wait.
func TestAnOldOwnerThatIsAwayIsNamed(t *testing.T) {
	w := newTown(t, 4)
	v := w.views["n1"]
	w.stage("n1", own("n4", 0), ring.Leave)
	w.commit("n1")
	require.Equal(t, kindred.StepBoth, v.Changes().Progress.Nodes[3].Step)
	hangs := "the change of the layout waits for n4, which cannot be reached: start it, or remove it if it will never come back (kvcli cluster remove n4)"
	require.NotContains(t, v.Problems(), hangs)
	w.stop("n4")
	require.Contains(t, v.Problems(), hangs)
	waits := v.Changes().Progress.Waits
	require.Len(t, waits, 4)
	require.Equal(t, kindred.NodeFailure{Node: "n4", Reason: "leaves, and may still owe hints or have what the new owners lack, and cannot be reached"}, waits[3])
	for _, name := range []string{"n1", "n2", "n3"} {
		w.carry(name, w.views[name].Complete(w.now, v.Phase().Progress().Tip))
	}
	w.deliver()
	require.Contains(t, v.Problems(), hangs, "it is waited for itself now")
	require.Len(t, v.Changes().Progress.Waits, 1)
}

// Two of three owners are dead: only a commit that says so by name goes on, whether its
// plan had said so or not.
func TestALossIsAcceptedByName(t *testing.T) {
	for _, planned := range []bool{false, true} {
		w := newTown(t, 3)
		w.stop("n2")
		w.stop("n3")
		w.stage("n1", own("n2", 0), ring.Remove)
		w.stage("n1", own("n3", 0), ring.Remove)
		v := w.views["n1"]
		plan, d, err := v.Plan(w.now, planned, nil)
		require.NoError(t, err)
		require.Equal(t, planned, len(plan.Refusals) == 0)
		if !planned {
			_, err = v.Commit(w.now, d.Version(), false)
			require.ErrorContains(t, err, "acknowledged writes may have been only there")
		}
		e, err := v.Commit(w.now, d.Version(), true)
		require.NoError(t, err)
		w.carry("n1", e)
		require.True(t, v.Phase().Loss())
		require.True(t, v.Changes().Progress.Loss)
		require.True(t, v.Changes().History[0].Loss)
	}
}

// A change that stands for ever, because too few old owners are left, goes on by a commit
// of nothing but the acceptance of the loss.
func TestALossIsAcceptedForAChangeThatGoesOn(t *testing.T) {
	w := newTown(t, 3)
	w.stop("n3")
	w.stage("n1", own("n3", 0), ring.Remove)
	w.commit("n1")
	require.Equal(t, "both", string(w.views["n1"].Changes().Progress.Nodes[0].Step))
	v := w.views["n1"]
	plan, d, err := v.Plan(w.now, false, nil)
	require.NoError(t, err)
	require.Len(t, plan.Refusals, 1)
	_, err = v.Commit(w.now, d.Version(), false)
	require.ErrorContains(t, err, "nothing is staged")
	e, err := v.Commit(w.now, d.Version(), true)
	require.NoError(t, err)
	w.carry("n1", e)
	w.deliver()
	past := v.Changes().History[0]
	require.True(t, past.Loss)
	require.Empty(t, past.Changes)
	require.Contains(t, w.notes["n1"], Note{Text: "layout " + past.Version + " was committed here: what may be lost is accepted"})
	w.complete("n1", "n2")
	w.settledOn(v.Phase().Progress().Tip)
	require.True(t, v.Phase().Loss())
	require.Len(t, v.Layout().Nodes(), 2)
	_, _, err = v.Plan(w.now, true, nil)
	require.NoError(t, err)
}

// Once a change is settled nobody keeps what was staged for it, and all tell the same. What
// a node that was away brings back is news to nobody.
func TestWhatWasStagedIsForgottenWhenItIsSettled(t *testing.T) {
	w := newTown(t, 3)
	w.stage("n1", own("n1", 2), ring.Own)
	old := w.views["n2"].rec.tell()
	version := w.commit("n1")
	require.Len(t, w.views["n2"].rec.staging.All(), 1, "a rival may take its place yet")
	w.complete(w.names()...)
	w.settledOn(version)
	for _, name := range w.names() {
		require.Empty(t, w.views[name].rec.staging.All(), name)
		require.Equal(t, w.views["n1"].held().Hash, w.views[name].held().Hash)
	}
	require.Zero(t, w.tick(10), "all know the same, so nobody tells anything")
	require.False(t, w.views["n3"].rec.hear(old))
	w.stage("n2", own("n1", 3), ring.Own)
	require.Len(t, w.views["n3"].Changes().Staged, 1)
	w.commit("n3")
	w.complete(w.names()...)
	n, _ := w.views["n1"].Layout().Node("n1")
	require.Equal(t, uint32(3), n.Capacity)
}

// On two sides of a cut different things are staged for one node.
func TestWhatIsDroppedOfTwoStagedChangesIsTold(t *testing.T) {
	w := newTown(t, 2)
	w.sever([]string{"n1"}, []string{"n2"})
	w.stage("n1", own("n2", 2), ring.Own)
	w.stage("n2", own("n2", 3), ring.Own)
	w.mend()
	require.Equal(t, w.views["n1"].Changes().Staged, w.views["n2"].Changes().Staged)
	require.Contains(t, w.notes["n1"], Note{Loud: true, Text: "different changes were staged on two sides of a cut for n2, and one of them is dropped: check what is staged"})
}

// Two sides stage more together than any node may hold: each keeps what it has.
func TestStagingsThatAreTooMuchTogetherDoNotMerge(t *testing.T) {
	fill := func(r *record, from, to int) {
		for i := from; i < to; i++ {
			s, err := r.staging.Stage("n1", r.course.Tip(), own(fmt.Sprintf("x%04d", i), 1), ring.Own)
			require.NoError(t, err)
			r.staging = s
		}
	}
	a, b := newTown(t, 2).views["n1"].rec, newTown(t, 2).views["n2"].rec
	fill(a, 0, ring.StagedMax/2)
	fill(b, ring.StagedMax/2, ring.StagedMax+1)
	require.False(t, a.hear(b.tell()))
	require.Len(t, a.staging.All(), ring.StagedMax/2)
	a.seal()
	_, err := decodeTold(a.told)
	require.NoError(t, err)
}

func TestWhoIsCompleteIsSoForOneLayout(t *testing.T) {
	w := newTown(t, 3)
	w.start("n4")
	w.stage("n1", own("n2", 2), ring.Own)
	w.commit("n1")
	v, other := w.views["n1"], w.views["n4"]
	require.Nil(t, v.Complete(w.now, ring.Version{Counter: 1, Hash: 1}).SaveLayout)
	require.Nil(t, other.Complete(w.now, other.rec.course.Tip().Version()).SaveLayout, "it has no part in it")
	e := v.Complete(w.now, v.rec.course.Tip().Version())
	require.NotNil(t, e.SaveLayout)
	require.Len(t, e.Send, 3, "it is told at once")
	require.Nil(t, v.Complete(w.now, v.rec.course.Tip().Version()).SaveLayout)
}

// What a node was told the others were told too. It waits for gossip to show that before
// it tells them: a change would make every node tell it to every other.
func TestOnlyWhatANodeHasDoneItselfIsToldAtOnce(t *testing.T) {
	w := newTown(t, 4)
	w.gossips = false
	v, sender := w.views["n1"], w.views["n2"]
	_, err := sender.Stage(w.now, own("n2", 2), ring.Own)
	require.NoError(t, err)
	now := w.now.Add(time.Hour)
	e := v.LayoutReceived(now, "n2", sender.rec.told)
	require.NotNil(t, e.SaveLayout)
	require.Empty(t, e.Send)
	require.Empty(t, v.Tick(now.Add(ResendEvery-1)).Send)
	e = v.Tick(now.Add(ResendEvery))
	require.Len(t, e.Send, 2)
	require.Equal(t, "n3", e.Send[0].To)
	require.Equal(t, "n4", e.Send[1].To)
}

// A node with a new disk is told again what the cluster began with: that is no vote of its.
func TestANewDiskDoesNotBeginWhereTheClusterDid(t *testing.T) {
	first := proposal(t, 5, "n1", "n2", "n3")
	v := fresh(t, "n3", 0)
	v.Gossip(epoch, joined("n1", formed(first).held()))
	require.Nil(t, v.LayoutReceived(epoch, "n2", first.encode()).SaveLayout)
	v.Gossip(epoch, joined("n2", Held{}))
	require.Nil(t, v.LayoutReceived(epoch, "n2", first.encode()).SaveLayout)
}

// What an operator has decided of a node holds, whatever it was started with: that the
// two differ is no problem then, or set-zone and set-capacity would make one for ever.
func TestWhatAnOperatorDecidedIsNoProblem(t *testing.T) {
	w := newTown(t, 2)
	v := w.views["n1"]
	moved := own("n2", 7)
	moved.Zone = "cellar"
	w.stage("n1", moved, ring.Own)
	version := w.commit("n1")
	w.complete(w.names()...)
	w.settledOn(version)
	require.Empty(t, v.Problems())
}
