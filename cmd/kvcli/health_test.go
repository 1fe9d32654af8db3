package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

func wellCluster() *fakeCluster {
	f := newFakeCluster()
	f.well = true
	return f
}

func health(t *testing.T, f *fakeCluster) (healthDoc, outcome) {
	t.Helper()
	o := runWith(t, f, "", "cluster", "health", "-o", "json")
	var doc healthDoc
	require.NoError(t, decode(o.stdout, &doc))
	return doc, o
}

func TestAWellClusterIsHealthy(t *testing.T) {
	doc, o := health(t, wellCluster())
	require.Zero(t, o.exit, o.stdout)
	require.True(t, doc.Healthy)
	require.Empty(t, doc.Problems)
	require.Len(t, doc.Nodes, 4)
	require.Contains(t, runWith(t, wellCluster(), "", "cluster", "health").stdout, "healthy: 4 nodes asked, no problem found")
}

// Each thing that may be the matter, and nothing else, makes a cluster unhealthy:
// the kinds of the problems, and words of the sentence and the fix.
func TestEveryAilmentIsNamed(t *testing.T) {
	long, short := fakeNow.Add(-time.Minute-time.Second), fakeNow.Add(-time.Second)
	for name, c := range map[string]struct {
		change func(l *kindred.Local)
		kind   string
		words  string
	}{
		"not ready": {func(l *kindred.Local) { l.Ready, l.Reason = false, "reading the clocks" }, "not_ready", "n2 is not ready: reading the clocks"},
		"removed": {func(l *kindred.Local) {
			l.Ready, l.Reason = false, "it was removed from the cluster"
			l.Replication.Replicas[0].Trusted = false // and more that nobody has to mend
		}, "removed", "n2 was removed from the cluster and is up"},
		"shard silent":   {func(l *kindred.Local) { l.Replication.Unknown = "a shard has not said" }, "unknown", "is not known: a shard has not said"},
		"an old version": {func(l *kindred.Local) { l.Replication = nil }, "unknown", "of another version"},
		"rebuilding":     {func(l *kindred.Local) { l.Replication.Replicas[0].Rebuild.State = "copying" }, "rebuilding", "1 replica of n2 is copied anew"},
		"catching up": {func(l *kindred.Local) {
			l.Replication.Replicas[0].Trusted = false
			l.Replication.Replicas[0].Waits = []string{"n3"}
		}, "catching_up", "catch up with n3"},
		"long behind":    {func(l *kindred.Local) { l.Replication.Replicas[0].Lag = 3; l.Replication.Replicas[0].LagSince = long }, "behind", "without 3 write events"},
		"damaged":        {func(l *kindred.Local) { l.Replication.Replicas[0].Audit.Damaged = 1 }, "damaged", "lost data on disk"},
		"audits in vain": {auditsFail(fakeNow.Add(-6 * time.Minute)), "audit", "for 6m0s: n3 did not answer"},
		"one in vain":    {auditsFail(short), "", ""},
		"two values":     {func(l *kindred.Local) { l.Replication.Repairs.Conflicts = 1 }, "conflict", "dots with two values"},
		"old hints": {func(l *kindred.Local) {
			l.Replication.Hints.Debts = []kindred.HintDebt{{Target: "n3", Hints: 1, Oldest: long}}
		}, "hints", "n2 owes n3 1 hint, the oldest for 1m1s"},
		"hints full": {func(l *kindred.Local) { l.Replication.Hints.Hints, l.Replication.Hints.HintsMax = 95, 100 }, "hints", "95 of 100 hints"},
		"missing": {func(l *kindred.Local) {
			l.Replication.Replicas[0].Missing = 2
			l.Replication.Replicas[0].MissingSince = long
		}, "missing", "2 write events of processes that are gone"},
		"behind shortly": {func(l *kindred.Local) { l.Replication.Replicas[0].Lag = 3; l.Replication.Replicas[0].LagSince = short }, "", ""},
		"new hints": {func(l *kindred.Local) {
			l.Replication.Hints.Debts = []kindred.HintDebt{{Target: "n3", Hints: 1, Oldest: short}}
		}, "", ""},
		"unsettled":     {func(l *kindred.Local) { l.Replication.Replicas[0].Unsettled = 9 }, "", ""},
		"never audited": {func(l *kindred.Local) { l.Replication.Replicas[0].Audit = kindred.Audit{Unaudited: 4} }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := wellCluster()
			f.change = func(node string, _ int, l *kindred.Local) {
				if node == "n2" {
					c.change(l)
				}
			}
			doc, o := health(t, f)
			if c.kind == "" {
				require.Zero(t, o.exit, o.stdout)
				return
			}
			require.Equal(t, 6, o.exit)
			require.False(t, doc.Healthy)
			require.Len(t, doc.Problems, 1)
			require.Equal(t, c.kind, doc.Problems[0].Kind)
			require.Equal(t, "n2", doc.Problems[0].Node)
			require.Contains(t, doc.Problems[0].Problem, c.words)
			require.NotEmpty(t, doc.Problems[0].Fix)
		})
	}
}

func auditsFail(since time.Time) func(*kindred.Local) {
	return func(l *kindred.Local) {
		a := &l.Replication.Replicas[0].Audit
		a.Complete, a.Problem, a.FailingSince = false, "n3 did not answer", since
	}
}

func waitFor(t *testing.T, f *fakeCluster, what string) (waitDoc, outcome) {
	t.Helper()
	o := runWith(t, f, "", "cluster", "wait", "--for", what, "--timeout", "1s", "-o", "json")
	var doc waitDoc
	require.NoError(t, decode(o.stdout, &doc))
	return doc, o
}

func TestWaitingEndsWhenAllNodesHaveIt(t *testing.T) {
	for _, what := range []string{"ready", "trusted", "settled", "audited", "healthy"} {
		doc, o := waitFor(t, wellCluster(), what)
		require.Zero(t, o.exit, o.stdout)
		require.True(t, doc.Reached)
		require.Empty(t, doc.WaitingFor)

		doc, o = waitFor(t, newFakeCluster(), what)
		require.Equal(t, 6, o.exit)
		require.False(t, doc.Reached)
		require.Contains(t, strings.Join(doc.WaitingFor, "; "), "n4 cannot be asked")
	}
	require.Equal(t, 1, runWith(t, wellCluster(), "", "cluster", "wait", "--for", "peace").exit)
}

// A removed node that was started again never gets anything more, and nobody needs it.
func TestNobodyWaitsForARemovedNode(t *testing.T) {
	for _, what := range []string{"ready", "trusted", "settled", "audited"} {
		f := wellCluster()
		f.change = func(node string, _ int, l *kindred.Local) {
			if node == "n3" {
				l.Ready, l.Reason = false, "it was removed from the cluster"
				l.Replication.Replicas[0].Trusted, l.Replication.Replicas[0].Unsettled = false, 1
			}
		}
		doc, o := waitFor(t, f, what)
		require.Zero(t, o.exit, o.stdout)
		require.True(t, doc.Reached)
	}
}

// A guest delivers its hint to a home that had been asked before in the same round:
// that round saw nothing of the write, and is not believed by itself.
func TestOneRoundIsNotEnoughToBeSettled(t *testing.T) {
	f := wellCluster()
	f.change = func(node string, round int, l *kindred.Local) {
		if node == "n1" && round == 2 {
			l.Replication.Replicas[0].Unsettled = 1
		}
	}
	_, o := waitFor(t, f, "settled")
	require.Zero(t, o.exit)
	require.Equal(t, 4, f.rounds["n1"], "clear, not clear, clear, clear")
}

func TestWhatKeepsAClusterFromSettling(t *testing.T) {
	for words, change := range map[string]func(*kindred.Replication){
		"not settled":                func(r *kindred.Replication) { r.Replicas[0].Audit.Damaged = 1 },
		"n2 still keeps 1 hint":      func(r *kindred.Replication) { r.Hints.Hints = 1 },
		"0 write events lacking, 1 ": func(r *kindred.Replication) { r.Replicas[1].Unsettled = 1 },
		"2 write events lacking, 0 ": func(r *kindred.Replication) { r.Replicas[1].Lag = 2 },
		"a shard":                    func(r *kindred.Replication) { r.Unknown = "a shard has not said" },
	} {
		f := wellCluster()
		f.change = func(node string, _ int, l *kindred.Local) {
			if node == "n2" {
				change(l.Replication)
			}
		}
		doc, o := waitFor(t, f, "settled")
		require.Equal(t, 6, o.exit, words)
		require.Contains(t, strings.Join(doc.WaitingFor, "; "), words)
	}
	f := wellCluster()
	f.change = func(_ string, _ int, l *kindred.Local) { l.Replication.Replicas[0].Audit.Unaudited = 1 }
	_, o := waitFor(t, f, "settled")
	require.Zero(t, o.exit)
	doc, o := waitFor(t, f, "audited")
	require.Equal(t, 6, o.exit)
	require.Contains(t, doc.WaitingFor[0], "1 replica of n1 not audited")
}

func TestARepairWaitsForItsAudits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := wellCluster()
		f.change = func(node string, round int, l *kindred.Local) {
			audits := l.Replication.Replicas
			switch {
			case round == 2:
				audits[0].Audit.Wanted = true
			case round > 2:
				audits[0].Audit.Ended, audits[1].Audit.Ended = fakeNow.Add(time.Second), fakeNow.Add(time.Second)
				l.Replication.Repairs.KeysRepaired = 3
			}
		}
		o := runWith(t, f, "", "repair", "run", "-o", "json")
		require.Zero(t, o.exit, o.stderr)
		var doc repairRunDoc
		require.NoError(t, decode(o.stdout, &doc))
		require.True(t, doc.Complete)
		require.Len(t, doc.Nodes, 4)
		require.EqualValues(t, 3, doc.Nodes[0].Done.KeysRepaired)
		require.Zero(t, doc.Nodes[0].Done.AuditedObjects, "what was done before does not count")

		o = runWith(t, wellCluster(), "", "repair", "run", "--timeout", "300ms")
		require.Equal(t, 6, o.exit)
		require.Contains(t, o.stdout, "2 replicas of n1 not audited in time")
		for _, wrong := range [][]string{{"--node", "n9"}, {"--partition", "9"}, {"--partition", "-1"}} {
			require.Equal(t, 1, runWith(t, wellCluster(), "", append([]string{"repair", "run"}, wrong...)...).exit, wrong)
		}
		o = runWith(t, newFakeCluster(), "", "repair", "run", "--timeout", "300ms")
		require.Equal(t, 6, o.exit)
		require.Contains(t, o.stderr, "n4 cannot be asked")
	})
}

// Whoever waits for readiness may be about to stop the next node: then a link that is
// missing is one that is needed.
func TestAClusterWithoutALinkIsNotReady(t *testing.T) {
	f := wellCluster()
	f.apart = "n3"
	doc, o := waitFor(t, f, "ready")
	require.Equal(t, 6, o.exit)
	require.Equal(t, []string{"n1 has no link to n3", "n2 has no link to n3", "n4 has no link to n3"}, doc.WaitingFor)
}
