package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
)

func TestARemovalIsConfirmedOnATerminalByTheName(t *testing.T) {
	s := newScreen(t, 100)
	f := newFakeCluster()
	s.on(f, noColour, "cluster", "remove", "n3", "n4")
	s.answer("type: n3 n4", "n3")
	s.await(`nothing was staged: "n3" is not "n3 n4"`)
	s.await("exit 5.")
	require.Empty(t, f.staging.All())

	s.on(f, noColour, "cluster", "remove", "n3", "n4")
	shown := s.await("type: n3 n4")
	require.Contains(t, shown, "n3 was a home of 8 partitions. What only n3 had is lost for ever once it is removed.")
	_, err := s.person.WriteString(" n3   n4\n")
	require.NoError(t, err)
	s.await("staged; nothing moves yet. Next: kvcli cluster plan")
	s.await("exit 0.")
	require.Len(t, f.staging.All(), 2)
}

// TestWhatWasLookedAtIsCommittedAndNothingElse: between the plan that commit shows to
// itself and its commit somebody stages more.
func TestWhatWasLookedAtIsCommittedAndNothingElse(t *testing.T) {
	f := newFakeCluster()
	f.started = []string{"n5", "n6"}
	require.Zero(t, runWith(t, f, "", "cluster", "join", "n5").exit)
	f.meanwhile = func() {
		_, err := f.Stage(t.Context(), "n2", kindred.NodeChange{Node: "n6", Intent: kindred.IntentOwn, Capacity: 1})
		require.NoError(t, err)
	}
	o := runWith(t, f, "", "cluster", "commit")
	require.Equal(t, exitUnsafe, o.exit, "%s", o)
	require.Contains(t, o.stderr, "by now")
	require.Nil(t, f.next)
	f.meanwhile = nil
	require.Zero(t, runWith(t, f, "", "cluster", "commit").exit)
	require.NotNil(t, f.next)
}

// TestAChangeThatHangsIsNotWaitedForWithoutEnd: the change goes on, and who is waited for
// is named.
func TestAChangeThatHangsIsNotWaitedForWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCluster()
		f.hangs = true
		require.Zero(t, runWith(t, f, "", "cluster", "set-capacity", "n1", "300").exit)
		o := runWith(t, f, "", "cluster", "commit", "--wait", "--timeout", "300ms", "-o", "json")
		require.Equal(t, exitUnavailable, o.exit)
		require.Contains(t, o.stderr, "it goes on by itself (kvcli cluster wait --for changed)")
		var doc commitDoc
		require.NoError(t, decode(o.stdout, &doc))
		require.False(t, doc.Settled)
		require.Equal(t, "n3", doc.WaitsFor[0].Node)
		require.Equal(t, f.next.Version().String(), doc.Version)

		o = runWith(t, f, "", "cluster", "wait", "--for", "changed", "--timeout", "300ms")
		require.Equal(t, exitUnavailable, o.exit)
		require.Contains(t, o.stderr, "it waits for n3, which is not known to hold layout")
		f.hangs = false
		require.Zero(t, runWith(t, f, "", "cluster", "wait", "--for", "changed", "--timeout", "20s").exit)
	})
}

// TestAnOldOwnerIsAskedUntilTheChangeIsDone: one that leaves and was stopped in order is
// no member any more, and may have what nobody else has: not to ask it and to say nothing
// would be to call unknown healthy.
func TestAnOldOwnerIsAskedUntilTheChangeIsDone(t *testing.T) {
	info, err := newFakeCluster().Cluster(t.Context())
	require.NoError(t, err)
	info.Members = append(info.Members, kindred.Member{Name: "n7", State: kindred.Left})
	change := changeDoc{Nodes: []api.NodeProgressDoc{{Node: "n1"}, {Node: "n7"}, {Node: "n8", Gone: true}}}
	names, err := everyNode(info, change)
	require.NoError(t, err)
	require.Equal(t, []string{"n1", "n2", "n3", "n4", "n7"}, names)
	change.Settled = true
	names, err = everyNode(info, change)
	require.NoError(t, err)
	require.Equal(t, []string{"n1", "n2", "n3", "n4"}, names)
}

// TestMembersAreAsTheLayoutHasThem: not as they were started.
func TestMembersAreAsTheLayoutHasThem(t *testing.T) {
	f := newFakeCluster()
	f.started = []string{"n5"}
	info, err := f.Cluster(t.Context())
	require.NoError(t, err)
	for i := range info.Members {
		info.Members[i].Zone, info.Members[i].Capacity = "as started", 9
	}
	for _, m := range memberDocs(info) {
		if m.Name == "n5" {
			require.Equal(t, "as started", m.Zone, "it is no member yet")
			continue
		}
		require.NotEqual(t, "as started", m.Zone, m.Name)
		require.Equal(t, uint32(100), m.Capacity, m.Name)
	}
}

// TestALayoutHasOneVersion: what shows a layout calls it what was committed, also where
// two decisions may have made the same one.
func TestALayoutHasOneVersion(t *testing.T) {
	f := newFakeCluster()
	require.Zero(t, runWith(t, f, "", "cluster", "set-capacity", "n1", "300").exit)
	require.Zero(t, runWith(t, f, "", "cluster", "commit").exit)
	version := f.next.Version().String()
	require.NotEqual(t, version, f.next.Layout().Version().String())
	require.Zero(t, runWith(t, f, "", "cluster", "wait", "--for", "changed", "--timeout", "20s").exit)
	for _, line := range [][]string{{"cluster", "status"}, {"cluster", "ring"}, {"key", "where", "carts", "alice"}} {
		require.Contains(t, runWith(t, f, "", line...).stdout, "layout "+version, line)
	}
}

// TestACommitThatWaitsIsTakenBack: what waits for a node that is away is not committed
// twice, and a plan says what it takes the place of.
func TestACommitThatWaitsIsTakenBack(t *testing.T) {
	f := newFakeCluster()
	f.hangs = true
	require.Zero(t, runWith(t, f, "", "cluster", "set-capacity", "n1", "300").exit)
	require.Zero(t, runWith(t, f, "", "cluster", "commit").exit)
	require.NoError(t, f.course.Commit(f.next)) // the plans of the fake are those of its course
	waits := f.next.Version().String()
	o := runWith(t, f, "", "cluster", "plan")
	require.Contains(t, o.stdout, "nothing is staged beyond layout "+waits+", which was committed and is not in use yet: kvcli cluster join")
	o = runWith(t, f, "", "cluster", "commit")
	require.Equal(t, exitError, o.exit)
	require.Contains(t, o.stderr, "nothing is staged beyond layout "+waits)
	require.Equal(t, waits, f.next.Version().String())

	require.Zero(t, runWith(t, f, "", "cluster", "set-zone", "n2", "z9").exit)
	o = runWith(t, f, "", "cluster", "plan")
	require.Regexp(t, `n1 +own a share +z1 +300`, o.stdout, "it takes in what waits")
	require.Regexp(t, `n1 +own a share +z8 +300`, runWith(t, f, "", "cluster", "set-zone", "n1", "z8").stdout, "and more of the same node")
	require.Regexp(t, `n2 +own a share +z9`, o.stdout)
	require.Contains(t, o.stdout, "it takes the place of layout "+waits)

	o = runWith(t, f, "", "cluster", "clear")
	require.Contains(t, o.stderr, "layout "+waits+" was committed and goes on; to take that back as well")
	require.Contains(t, o.stdout, "nothing is staged")
	o = runWith(t, f, "", "cluster", "plan")
	require.Contains(t, o.stdout, "no data moves")
	require.Contains(t, o.stdout, "it takes the place of layout "+waits)
	require.Zero(t, runWith(t, f, "", "cluster", "commit").exit)
	require.NotEqual(t, waits, f.next.Version().String())
}

// TestACommitThatLosesAgainstAnotherSaysSo: on the other side of a cut somebody committed
// as well, and that one goes on.
func TestACommitThatLosesAgainstAnotherSaysSo(t *testing.T) {
	f := newFakeCluster()
	require.Zero(t, runWith(t, f, "", "cluster", "set-capacity", "n1", "300").exit)
	f.rival = "3-00000000000000ff"
	o := runWith(t, f, "", "cluster", "commit", "--wait", "--timeout", "20s")
	require.Equal(t, exitUnavailable, o.exit)
	require.Contains(t, o.stderr, "was replaced by 3-00000000000000ff, which is settled")
}

// TestANodeThatDoesNotSayWhetherTheLayoutChangesIsAProblem: unknown is never healthy.
func TestANodeThatDoesNotSayWhetherTheLayoutChangesIsAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCluster()
		f.well, f.mute = true, fmt.Errorf("no answer: %w", context.DeadlineExceeded)
		o := runWith(t, f, "", "cluster", "health")
		require.Equal(t, exitUnavailable, o.exit)
		require.Contains(t, o.stdout, "whether the layout changes is not known: no answer")
		require.Contains(t, runWith(t, f, "", "cluster", "status").stdout, "whether the layout changes is not known")
		require.Equal(t, exitUnavailable, runWith(t, f, "", "cluster", "wait", "--for", "changed", "--timeout", "300ms").exit)
	})
}

// TestAChangeThatCanNeverEndIsNamedAndLeft: whoever shows the change says so, what waits
// for it ends, and what goes on is a commit that accepts the loss and nothing else.
func TestAChangeThatCanNeverEndIsNamedAndLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stuckCluster(t)
		f.asked = 0 // nobody works by it yet
		o := runWith(t, f, "", "cluster", "commit", "--accept-loss")
		require.Equal(t, exitUnsafe, o.exit, "%s", o)
		require.Contains(t, o.stderr, "there is no loss to accept")
		f.asked = 4

		const never = "the change can never end: 2 copies at n2 (partitions 1, 2) will never be complete: n2 may have lost writes when it went down"
		for _, line := range []string{"status", "ring", "health", "plan", "wait --for changed --timeout 300ms"} {
			o := runWith(t, f, "", append([]string{"cluster"}, strings.Fields(line)...)...)
			require.Contains(t, o.stdout, never, line)
			require.Contains(t, o.stdout, "kvcli cluster commit --accept-loss; nothing has to be staged for it", line)
			require.Contains(t, o.stdout, "5 copies at n1 (partitions 1, 2, 5 and 2 more) wait for n2: n1 has not heard yet what they have", line)
		}
		require.Contains(t, runWith(t, f, "", "cluster", "status", "-o", "json").stdout, `"hopeless": true`)
		var plan planDoc
		require.NoError(t, decode(runWith(t, f, "", "cluster", "plan", "-o", "json").stdout, &plan))
		require.Equal(t, []int{1, 2}, plan.Incomplete[0].Partitions)

		require.Equal(t, exitError, runWith(t, f, "", "cluster", "commit").exit, "nothing is staged")
		o = runWith(t, f, "", "cluster", "commit", plan.Version, "--wait", "--accept-loss", "--timeout", "20s")
		require.Zero(t, o.exit, "%s", o)
		require.True(t, f.course.Tip().Loss())
		require.Contains(t, runWith(t, f, "", "cluster", "history").stdout, "n1 owns 300 in z1, the loss is accepted")
	})
}

// TestMoreThanTheLossCanBeCommittedWhenNothingGoesOn: but not without it.
func TestMoreThanTheLossCanBeCommittedWhenNothingGoesOn(t *testing.T) {
	f := stuckCluster(t)
	require.Zero(t, runWith(t, f, "", "cluster", "set-zone", "n2", "z9").exit)
	o := runWith(t, f, "", "cluster", "commit")
	require.Equal(t, exitUnsafe, o.exit, "%s", o)
	require.Contains(t, o.stderr, "can never end, nor could this one")
	require.Contains(t, runWith(t, f, "", "cluster", "plan").stdout, "without the loss accepted it could not end either. To accept that: kvcli cluster commit 3-")
	o = runWith(t, f, "", "cluster", "commit", "--wait", "--accept-loss", "--timeout", "20s")
	require.Zero(t, o.exit, "%s", o)
	require.True(t, f.course.Tip().Loss())
}

// stuckCluster has a change in use that can never end.
func stuckCluster(t *testing.T) *fakeCluster {
	f := newFakeCluster()
	f.hangs = true
	require.Zero(t, runWith(t, f, "", "cluster", "set-capacity", "n1", "300").exit)
	require.Zero(t, runWith(t, f, "", "cluster", "commit").exit)
	require.NoError(t, f.course.Commit(f.next)) // the plans of the fake are those of its course
	f.hangs, f.stuck, f.asked = false, true, 4
	return f
}

// TestAWaitForAChangeThatCanNeverEndEnds: it would be for ever.
func TestAWaitForAChangeThatCanNeverEndEnds(t *testing.T) {
	f := newFakeCluster()
	require.Zero(t, runWith(t, f, "", "cluster", "set-capacity", "n1", "300").exit)
	f.stuck = true
	o := runWith(t, f, "", "cluster", "commit", "--wait", "-o", "json")
	require.Equal(t, exitUnavailable, o.exit, "%s", o)
	require.Contains(t, o.stderr, `"code":"hopeless"`)
	require.Contains(t, o.stderr, "can never be settled: the change can never end: 2 copies at n2")
	var doc commitDoc
	require.NoError(t, decode(o.stdout, &doc))
	require.True(t, doc.Incomplete[0].Hopeless)
}

// TestAPersonSeesHowFarAChangeIs: the line on the terminal adds up what all nodes take
// over, and names who is waited for.
func TestAPersonSeesHowFarAChangeIs(t *testing.T) {
	s, f := newScreen(t, 200), newFakeCluster()
	require.Zero(t, runWith(t, f, "", "cluster", "set-capacity", "n1", "300").exit)
	s.on(f, noColour, "cluster", "commit", "--wait", "--timeout", "20s")
	s.await("waits for n3, which is not known to hold layout")
	s.await("2 of 8 copies complete; 6.0 MiB of about ")
	s.await(" at 2.0 MiB/s; about 9s left; waits for n2, which does not have all yet that it is to own; n3, n4 cannot be asked")
	s.await("settled after")
	s.await("exit 0.")
}
