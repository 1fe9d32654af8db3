package jepsen_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/nemesis"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

// forgetful is a door behind which every tenth write is acknowledged and thrown away,
// as a store would do whose log is not what it seems.
type forgetful struct {
	jepsen.Door
	writes atomic.Int64
}

func (f *forgetful) Do(ctx context.Context, i workload.Intent) workload.Result {
	if i.Kind == history.Put && f.writes.Add(1)%10 == 0 {
		return workload.Result{Outcome: kindred.Applied, Node: "n1"}
	}
	return f.Door.Do(ctx, i)
}

// TestABrokenPromiseIsFoundAndShown: a store that loses what it has acknowledged. The
// run says so, and what it saves has the write, the read that missed it, and what the
// read should have shown. Histories can be read back, and the run is among those of
// its folder.
func TestABrokenPromiseIsFoundAndShown(t *testing.T) {
	cluster, _, _ := startCluster(t)
	ctx, enough := context.WithCancel(t.Context())
	told := 0
	run, err := jepsen.Run(ctx, jepsen.Plan{
		Cluster: cluster, N: 3, Seed: 7, Workloads: []workload.Kind{workload.Blind}, Nemeses: kinds(t, "slow"), Time: time.Hour,
		Doors: func(ctx context.Context, nodes []local.Node) ([]jepsen.Doorway, error) {
			doors, err := jepsen.Doorways(ctx, nodes)
			for i := range doors {
				doors[i].Door = &forgetful{Door: doors[i].Door}
			}
			return doors, err
		},
		Tell: func(f history.Fault) {
			if told++; f.End == 0 && f.Begin > 1500*time.Millisecond {
				enough() // as Ctrl-C does, in the middle of a fault
			}
		},
	})
	require.NoError(t, err)
	require.True(t, run.Interrupted)
	require.Equal(t, report.Broken, run.Verdict())
	require.Equal(t, 3*len(run.Faults), told, "every fault began, was healed, and was over")
	status, err := cluster.Status()
	require.NoError(t, err)
	for _, n := range status.Nodes {
		require.False(t, n.Faults.Any(), "who interrupts leaves a whole cluster")
	}
	kept := run.Parts[0].Report.Verdict(checker.Kept)
	require.Equal(t, checker.Violated, kept.Status)

	dir := t.TempDir()
	require.NoError(t, jepsen.Save(run, filepath.Join(dir, "one")))
	page, err := os.ReadFile(filepath.Join(dir, "one", jepsen.PageName))
	require.NoError(t, err)
	require.Contains(t, string(page), "Broken: “acknowledged writes are kept”")
	require.Contains(t, string(page), "was acknowledged, nothing had seen it, and it is gone")
	f, err := os.Open(filepath.Join(dir, "one", "blind.jsonl"))
	require.NoError(t, err)
	defer f.Close()
	again, err := history.Read(f)
	require.NoError(t, err)
	require.Equal(t, run.Parts[0].Report, *checker.Check(&again, checker.Options{DisksKept: true}), "the history alone proves it")
	require.FileExists(t, filepath.Join(dir, "one", "edn", "blind.edn"))

	require.NoError(t, os.Mkdir(filepath.Join(dir, "other"), 0o755))
	runs, err := jepsen.Runs(dir)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	require.Equal(t, "broken", runs[0].Verdict)
	require.Equal(t, uint64(7), runs[0].Seed)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other", jepsen.DocumentName), []byte("{"), 0o644))
	runs, err = jepsen.Runs(dir)
	require.ErrorContains(t, err, filepath.Join("other", jepsen.DocumentName))
	require.Len(t, runs, 1, "and the others are there")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other", jepsen.DocumentName), []byte("{}"), 0o644))
	_, err = jepsen.Runs(dir)
	require.ErrorContains(t, err, "not a report of version 1", "a run without a verdict is none")
}

// TestWhatCannotBeSavedKeepsNothingElse: the disk may be full after a few files, and a
// run cannot be made again.
func TestWhatCannotBeSavedKeepsNothingElse(t *testing.T) {
	op := history.Op{Kind: history.Put, Bucket: "b", Key: "k", Write: 1, Outcome: kindred.Applied}
	run := &report.Run{}
	for _, workload := range []string{"set", "blind"} {
		run.Parts = append(run.Parts, report.Part{Workload: workload, History: history.History{Ops: []history.Op{op}}})
	}
	dir := t.TempDir()
	inTheWay := filepath.Join(dir, "set.jsonl")
	require.NoError(t, os.MkdirAll(filepath.Join(inTheWay, "file"), 0o755))
	require.ErrorContains(t, jepsen.Save(run, dir), inTheWay)
	for _, name := range []string{jepsen.DocumentName, jepsen.PageName, "blind.jsonl", "edn/set.edn", "edn/blind.edn"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
	parts, err := filepath.Glob(filepath.Join(dir, "*.part"))
	require.NoError(t, err)
	require.Empty(t, parts)
}

// TestANemesisThatFailsEndsTheStormAndNotTheRun: what happened until then is judged, but
// the verdict does not pretend that all was tried.
func TestANemesisThatFailsEndsTheStormAndNotTheRun(t *testing.T) {
	cluster, _, _ := startCluster(t)
	weak := nemesis.Kind{Name: "weak", Doc: "fails", Holds: "everything", Touches: nemesis.Nodes, New: func(nemesis.Target) nemesis.Nemesis { return weakling{} }}
	run, err := jepsen.Run(t.Context(), jepsen.Plan{
		Cluster: cluster, N: 3, Seed: 7, Workloads: []workload.Kind{workload.Set}, Nemeses: []nemesis.Kind{weak}, Time: time.Hour,
	})
	require.NoError(t, err)
	require.Equal(t, report.Undecided, run.Verdict())
	require.Contains(t, run.EndedBy, "nemesis weak: n1 looked at: no strength")
	require.Equal(t, checker.OK, run.Parts[0].Report.Status())
}

// TestAProcessThatEndsByItselfBreaksTheRun: a node that panics is started again like one
// that was killed on purpose, and clients hardly notice; but that nobody killed it has to
// be said.
func TestAProcessThatEndsByItselfBreaksTheRun(t *testing.T) {
	cluster, _, _ := startCluster(t)
	n2, err := cluster.Node("n2")
	require.NoError(t, err)
	run, err := jepsen.Run(t.Context(), jepsen.Plan{
		Cluster: cluster, N: 3, Seed: 7, Workloads: []workload.Kind{workload.Set}, Nemeses: kinds(t, "slow"), Time: time.Hour,
		Tell: func(f history.Fault) {
			if f.End == 0 {
				require.NoError(t, syscall.Kill(n2.PID, syscall.SIGABRT)) // as a panic does
			}
		},
	})
	require.NoError(t, err)
	require.Equal(t, report.Broken, run.Verdict())
	require.Len(t, run.Faults, 1)
	require.Contains(t, run.Rest.Problem, "the cluster has not come back after slow")
	require.Contains(t, run.Rest.Problem, "the process of n2 has ended by itself; it said: ")
}

type weakling struct{}

func (weakling) Hurt(context.Context) (string, error) {
	return "n1 looked at", errors.New("no strength")
}
func (weakling) Heal(context.Context) error { return nil }

// TestAPlanThatCannotBeIsRefused, before anything is started.
func TestAPlanThatCannotBeIsRefused(t *testing.T) {
	good := jepsen.Plan{Workloads: workload.Kinds(), N: 3, Time: time.Second}
	require.NoError(t, good.Check(3))
	tests := map[string]struct {
		change func(*jepsen.Plan)
		nodes  int
		want   string
	}{
		"nothing to do":     {func(p *jepsen.Plan) { p.Workloads = nil }, 3, "no workload was named: use [set "},
		"too many copies":   {func(p *jepsen.Plan) {}, 2, "3 copies in a cluster of 2 nodes"},
		"more than all":     {func(p *jepsen.Plan) { p.W = 4 }, 3, "w of 4 with 3 copies: use 1 to 3"},
		"fewer than none":   {func(p *jepsen.Plan) { p.R = -1 }, 3, "r of -1 with 3 copies"},
		"no time":           {func(p *jepsen.Plan) { p.Time = 0 }, 3, "a time of 0s: use a time above 0"},
		"negative pause":    {func(p *jepsen.Plan) { p.Pause = -1 }, 3, "a pause of -1ns"},
		"nobody":            {func(p *jepsen.Plan) { p.Clients = -1 }, 3, "-1 clients: use at least 1"},
		"nowhere":           {func(p *jepsen.Plan) { p.Keys = -1 }, 3, "-1 keys: use at least 1"},
		"more lost than is": {func(p *jepsen.Plan) { p.W, p.Nemeses = 1, kinds(t, "wipe") }, 3, "nemesis wipe takes a disk, and with w=1 of n=3 what was acknowledged may be nowhere else"},
		"unsynced and lost": {func(p *jepsen.Plan) { p.W, p.Nemeses = 1, kinds(t, "kill") }, 3, "nemesis kill takes what was not synced"},
		"nobody to cut off": {func(p *jepsen.Plan) { p.N, p.Nemeses = 1, kinds(t, "cut") }, 1, "nemesis cut takes at least 2 nodes, and there are 1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := good
			tt.change(&p)
			err := p.Check(tt.nodes)
			var bad *jepsen.PlanError
			require.ErrorAs(t, err, &bad)
			require.ErrorContains(t, err, tt.want)
		})
	}
	over := good
	over.W, over.Nemeses, over.OverBudget = 1, []nemesis.Kind{kinds(t, "wipe")[0]}, true
	require.NoError(t, over.Check(3), "who asks for it may have it")
}
