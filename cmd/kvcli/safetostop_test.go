package main

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
)

// safe asks whether n1 can stop; what is on its way gets no time to arrive.
func safe(t *testing.T, f *fakeCluster) safeDoc {
	t.Helper()
	doc, err := safeToStop(t.Context(), f, "n1", 0)
	require.NoError(t, err)
	return doc
}

func kinds(doc safeDoc) (kinds []string) {
	for _, r := range doc.Reasons {
		kinds = append(kinds, r.Kind)
	}
	return kinds
}

func TestAWellNodeIsSafeToStop(t *testing.T) {
	f := stopCluster()
	f.hold(1, events(1, 9), "n1", "n2", "n3")
	doc := safe(t, f)
	require.Equal(t, safeYes, doc.Safe, doc)
	require.Empty(t, doc.Reasons)
	require.Equal(t, 2, doc.Homes)
	require.Equal(t, 2, doc.Copies)
	o := runWith(t, f, "", "cluster", "safe-to-stop", "n1")
	require.Zero(t, o.exit, o.stdout)
	require.Contains(t, o.stdout, "yes: n1 is safe to stop now")
}

// What only the node has would be lost with its disk, and what one other has is on one
// disk then where two were asked for.
func TestAWriteThatTooFewOthersHaveSpeaksAgainstAStop(t *testing.T) {
	f := stopCluster()
	f.hold(1, events(1, 9), "n1")
	f.hold(1, events(1, 7), "n2")
	f.hold(1, events(1, 4), "n3")
	doc := safe(t, f)
	require.Equal(t, safeNo, doc.Safe)
	require.Equal(t, []string{"copies"}, kinds(doc))
	require.EqualValues(t, 5, doc.Reasons[0].Dots, "5 to 9 are on fewer than two other disks")
	require.Equal(t, []int{1}, doc.Reasons[0].Examples)
	require.NotZero(t, doc.Reasons[0].Seconds)
}

func TestAGuestsDebtIsACopy(t *testing.T) {
	f := stopCluster()
	f.hold(1, events(1, 4), "n1", "n2")
	require.Equal(t, []string{"copies"}, kinds(safe(t, f)))
	f.owe(1, events(1, 4), "n4") // for n3
	require.Equal(t, safeYes, safe(t, f).Safe)

	// The same of the guest itself: n1 is none of the homes of partition 4.
	f = stopCluster()
	f.owe(4, events(1, 6), "n1")
	f.hold(4, events(1, 6), "n4")
	f.hold(4, events(1, 2), "n2")
	f.ail = func(node string, l *kindred.Local) {
		if node == "n1" {
			l.Replication.Hints = kindred.HintStatus{Hints: 3, Debts: []kindred.HintDebt{{Target: "n3", Hints: 3}}}
		}
	}
	doc := safe(t, f)
	require.Equal(t, []string{"hints"}, kinds(doc))
	require.EqualValues(t, 4, doc.Reasons[0].Dots)
	require.NotZero(t, doc.Reasons[0].Seconds, "n3 is up, so they are on their way")
	f.apart = "n3"
	doc = safe(t, f)
	require.Equal(t, []string{"quorum", "hints"}, kinds(doc))
	require.Contains(t, doc.Reasons[1].Fix, "bring back n3")
}

// A home that does not count is no copy either: what it says that it has may not be
// there when it is needed.
func TestOnlyHomesThatAreWellCount(t *testing.T) {
	for name, c := range map[string]struct {
		ail func(l *kindred.Local)
		why string
	}{
		"rebuilt":     {func(l *kindred.Local) { l.Replication.Replicas[0].Rebuild.State = "copying" }, "n2 is being rebuilt"},
		"catching up": {func(l *kindred.Local) { l.Replication.Replicas[0].Trusted = false }, "n2 is catching up"},
		"damaged":     {func(l *kindred.Local) { l.Replication.Replicas[0].Audit.Damaged = 1 }, "n2 is damaged"},
		"not ready":   {func(l *kindred.Local) { l.Ready, l.Reason = false, "reading" }, "n2 is not ready: reading"},
		"no replica":  {func(l *kindred.Local) { l.Replication.Replicas = nil }, "n2 has no replica of it yet"},
	} {
		t.Run(name, func(t *testing.T) {
			f := stopCluster()
			f.ail = func(node string, l *kindred.Local) {
				if node == "n2" {
					all := l.Replication.Replicas
					for i := range all { // each is ill in the same way
						l.Replication.Replicas = all[i:]
						c.ail(l)
					}
					if l.Replication.Replicas != nil {
						l.Replication.Replicas = all
					}
				}
			}
			f.hold(1, events(1, 4), "n1", "n2")
			f.owe(1, events(1, 4), "n4")
			doc := safe(t, f)
			require.Equal(t, safeNo, doc.Safe)
			require.Equal(t, []string{"quorum", "copies"}, kinds(doc), "n2's copy counts for nothing")
			require.Contains(t, doc.Reasons[0].Reason, c.why)
		})
	}
}

func TestHomesThatDoNotReachOneAnotherAreNoQuorum(t *testing.T) {
	f := stopCluster()
	f.apart = "n3"
	doc := safe(t, f)
	require.Equal(t, []string{"quorum"}, kinds(doc))
	require.Contains(t, doc.Reasons[0].Reason, "n2 and n3 have no link")
}

// A bucket may ask for more than a quorum: then that is what has to be left.
func TestABucketThatAsksForAllHomesLetsNoneStop(t *testing.T) {
	f := stopCluster()
	_, err := f.CreateBucket(t.Context(), "strict", kindred.BucketOptions{R: 1, W: kindred.CountAll}.Complete(3))
	require.NoError(t, err)
	doc := safe(t, f)
	require.Equal(t, []string{"quorum"}, kinds(doc))
	require.Contains(t, doc.Reasons[0].Reason, "the 3 homes that bucket strict asks for")
	require.Equal(t, 2, doc.Copies, "more than all others cannot have it")
}

// What could not be asked is never a yes (I12), and whoever shares nothing with the
// node does not matter.
func TestWhatCouldNotBeAskedIsUnknown(t *testing.T) {
	f := stopCluster()
	f.silent["n2"] = "a shard of n2 has not said what it holds"
	f.hold(1, events(1, 4), "n1")
	doc := safe(t, f)
	require.Equal(t, safeNo, doc.Safe)
	require.Equal(t, []string{"unknown", "quorum", "copies"}, kinds(doc))

	f = stopCluster()
	f.silent["n1"] = "n1 is shutting down"
	doc = safe(t, f)
	require.Equal(t, safeUnknown, doc.Safe, "of the node itself nothing is known")
	o := runWith(t, f, "", "cluster", "safe-to-stop", "n1")
	require.Equal(t, 6, o.exit)
	require.Contains(t, o.stdout, "unknown: nobody can say")

	f = stopCluster()
	f.lost = kindred.Invalid("buckets", "no buckets today")
	require.Equal(t, safeUnknown, safe(t, f).Safe)

	f = stopCluster()
	f.owe(4, events(1, 4), "n1")
	f.hold(4, events(1, 4), "n2", "n3")
	f.silent["n4"] = "it is slow" // it shares no partition with n1
	require.Equal(t, safeYes, safe(t, f).Safe)

	_, err := safeToStop(t.Context(), stopCluster(), "n9", 0)
	require.True(t, kindred.HasCode(err, kindred.CodeInvalid))
}

func TestARebuildThatHasNoOtherSourceSpeaksAgainstAStop(t *testing.T) {
	f := stopCluster()
	f.ail = func(node string, l *kindred.Local) {
		for i := range l.Replication.Replicas {
			switch s := &l.Replication.Replicas[i]; {
			case node == "n2" && s.Partition == 1:
				s.Rebuild = kindred.Rebuild{State: "copying", Source: "n1", Began: fakeNow.Add(-time.Minute)}
			case node == "n3" && s.Partition == 1:
				s.Trusted = false
			}
		}
	}
	doc := safe(t, f)
	require.Equal(t, []string{"quorum", "rebuild"}, kinds(doc))
	require.Contains(t, doc.Reasons[1].Reason, "n2 is copied anew from n1")

	ail := f.ail
	f.ail = func(node string, l *kindred.Local) {
		if ail(node, l); node == "n3" {
			for i := range l.Replication.Replicas {
				l.Replication.Replicas[i].Trusted = true
			}
		}
	}
	require.Equal(t, []string{"quorum"}, kinds(safe(t, f)), "n3 can go on with it")
}

// A write that is on its way when the question is asked gets the time to arrive.
func TestWhatIsOnItsWayMayArrive(t *testing.T) {
	f := stopCluster()
	f.hold(1, events(1, 9), "n1", "n2")
	f.hold(1, events(1, 8), "n3")
	counts := 0
	f.arrives = func(f *fakeCluster) {
		if counts++; counts > 7 { // the list, and two counts of three nodes
			f.disks[2].dots = events(1, 9)
		}
	}
	doc, err := safeToStop(t.Context(), f, "n1", 5*time.Second)
	require.NoError(t, err)
	require.Equal(t, safeYes, doc.Safe)
	require.Equal(t, 10, counts)
}

func TestWritesAreCountedByTheirHolders(t *testing.T) {
	shares := []share{{node: "n1", dots: events(1, 9)}, {node: "n2", dots: events(1, 7)}, {node: "n3", dots: events(1, 4), guest: true}}
	require.Equal(t, "5-9", spans(heldByFewer(events(1, 9), shares, 3)))
	require.Equal(t, "8-9", spans(heldByFewer(events(1, 9), shares, 2)))
	require.Equal(t, "10-12", spans(heldByFewer(events(1, 12), shares, 1)))

	groups := byHolders(events(1, 12), shares, 2)
	got := map[string]string{}
	for _, g := range groups {
		name := ""
		for _, n := range g.nodes {
			name += n
		}
		got[name] = spans(g.dots)
	}
	require.Equal(t, map[string]string{"": "10-12", "n1": "8-9", "n1n2": "5-7"}, got)

	both := eachOnce([]share{{node: "n1", dots: events(1, 2)}, {node: "n1", guest: true, dots: events(5, 6)}})
	require.Len(t, both, 1, "one disk is one copy")
	require.False(t, both[0].guest)
}

// spans shows the dots of the one actor of a set.
func spans(dots vclock.DotSet) (text string) {
	for _, span := range dots.Spans() {
		text += span.String()
	}
	return text
}

// Thousands of partitions with a gap each stay far below the limit of a question.
func TestAQuestionAboutThousandsOfPartitionsIsSmall(t *testing.T) {
	c := newCensus()
	for p := range 4096 {
		c.listed[placed{p, 3}] = []listing{{node: "n1", dots: events(5, 9)}, {node: "n2", dots: events(7, 20)}}
	}
	bytes := 0
	for _, h := range c.question() {
		bytes += len(h.Dots)
	}
	require.Less(t, bytes, kindred.HoldingsBytesMax/10)
}

func TestExposureShowsWhoHoldsWhat(t *testing.T) {
	f := stopCluster()
	f.hold(1, events(1, 9), "n1")
	f.hold(1, events(1, 7), "n2")
	f.hold(1, events(1, 4), "n3")
	f.hold(4, events(1, 2), "n4")
	f.owe(4, events(1, 2), "n1")
	var doc exposureDoc
	o := runWith(t, f, "", "cluster", "exposure", "-o", "json")
	require.Zero(t, o.exit, o.stderr)
	require.NoError(t, decode(o.stdout, &doc))
	require.EqualValues(t, 7, doc.Dots)
	require.Equal(t, []partitionExposedDoc{
		{1, []string{"n1", "n2", "n3"}, []string{"n1"}, []string{}, 2, 40},
		{1, []string{"n1", "n2", "n3"}, []string{"n1", "n2"}, []string{}, 3, 40},
		{4, []string{"n4", "n3", "n2"}, []string{"n1", "n4"}, []string{"n1"}, 2, 40},
	}, doc.Partitions)
	require.Equal(t, nodeExposureDoc{Node: "n1", Alone: 2, Paired: 5, Partitions: 2, Oldest: 40}, doc.Nodes[0])

	f.silent["n4"] = "it is slow"
	o = runWith(t, f, "", "cluster", "exposure")
	require.Equal(t, 6, o.exit)
	require.Contains(t, o.stdout, "n4 is not known: it is slow")
	require.Equal(t, 1, runWith(t, f, "", "cluster", "exposure", "--watch", "-o", "json").exit)
}

// While owners change, homes of two layouts count, and the change may wait for whoever
// stops.
func TestNobodyStopsWhileOwnersChange(t *testing.T) {
	f := stopCluster()
	next, err := f.course.Propose(f.staging, false)
	require.NoError(t, err)
	f.next, f.asked, f.hangs = next, 4, true
	doc := safe(t, f)
	require.Equal(t, safeNo, doc.Safe)
	require.Equal(t, []string{"change"}, kinds(doc))
	require.Contains(t, doc.Reasons[0].Reason, "the layout changes")

	f.mute = context.DeadlineExceeded
	doc = safe(t, f)
	require.Equal(t, safeUnknown, doc.Safe, "who is not told of a change does not know that there is none")
	require.Contains(t, doc.Reasons[0].Reason, "whether the layout changes is not known")
}

// Where waiting cannot help, nobody waits: the time that a drain has is 5 minutes.
func TestADrainThatCanNeverEndEndsAtOnce(t *testing.T) {
	f := stopCluster()
	_, err := f.CreateBucket(t.Context(), "strict", kindred.BucketOptions{R: 1, W: kindred.CountAll}.Complete(3))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	verdict, err := (&app{errOut: io.Discard}).awaitSafe(ctx, f, "n1")
	require.NoError(t, err)
	require.NoError(t, ctx.Err())
	require.Equal(t, []string{"quorum"}, kinds(verdict))
	require.True(t, verdict.Reasons[0].Lasting)
}

// A drain waits until the node is safe to stop, and only then may it end.
func TestADrainWaitsUntilTheNodeIsSafeToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stopCluster()
		f.hold(1, events(1, 9), "n1", "n2")
		f.hold(1, events(1, 8), "n3")
		o := runWith(t, f, "", "node", "drain", "n1", "--stop", "--timeout", "50ms")
		require.Equal(t, exitUnsafe, o.exit, o)
		require.Contains(t, o.stdout, "n1 is drained and serves no clients")
		require.Contains(t, o.stdout, "copies: 1 write events")
		require.Equal(t, []string{"n1 undo=false stop=false"}, f.drains, "it was not told to end")

		counts := 0
		f.arrives = func(f *fakeCluster) {
			if counts++; counts > 7 {
				f.disks[2].dots = events(1, 9)
			}
		}
		f.drains = nil
		var doc drainDoc
		o = runWith(t, f, "", "node", "drain", "n1", "--stop", "-o", "json")
		require.Zero(t, o.exit, o)
		require.NoError(t, decode(o.stdout, &doc))
		require.True(t, doc.Drained && doc.Stopped)
		require.Equal(t, safeYes, doc.Safe)
		require.Equal(t, []string{"n1 undo=false stop=false", "n1 undo=false stop=true"}, f.drains)
		require.Equal(t, exitError, runWith(t, f, "", "node", "drain", "n1", "--undo", "--stop").exit)
	})
}
