package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

// stepMax is how long one step of a rolling restart may take.
const stepMax = 60 * time.Second

// TestARollingRestartByReadinessAlone restarts each of five nodes in turn, under load,
// as docs/operating.md says: the next goes when it is safe to stop, and when the one
// before says at /readyz that it is ready. The last is drained before. Nothing that was
// acknowledged is lost, nothing that was deleted is back, and no client notices.
func TestARollingRestartByReadinessAlone(t *testing.T) {
	l := live{t, t.TempDir()}
	cluster, _, err := local.Start(t.Context(), local.Options{
		Dir: l.dir, Shape: local.Shape{Nodes: 5, Zones: 3, BasePort: freePorts(t, 5)}, KVNode: program(t, "kvnode"),
		Args: []string{"--partitions", "16"}, // each start leaves an incarnation of each to be closed
	})
	require.NoError(t, err)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })

	run, err := jepsen.Run(t.Context(), jepsen.Plan{
		Cluster: cluster, N: 3, R: 2, W: 2, Seed: 11,
		Workloads: []workload.Kind{workload.Set, workload.Recreate},
		Doors:     libraryOnly,
		Script: func(_ context.Context, e jepsen.Events) error {
			for _, node := range []string{"n1", "n2", "n3", "n4", "n5"} {
				healed := e.Begin("restart", node)
				if err := restartByReadiness(l, cluster, node); err != nil {
					return err
				}
				healed()
			}
			return nil
		},
	})
	require.NoError(t, err)
	require.Empty(t, run.EndedBy)
	require.Len(t, run.Faults, 5)
	for _, f := range run.Faults {
		t.Logf("%s: %v", f.What, (f.End - f.Begin).Round(time.Millisecond))
	}
	t.Logf("worked %v, ended %v", run.Worked, run.Ended)
	requireUnnoticed(t, run)
}

// libraryOnly leaves the doors shut at which nobody tries again: who comes by those
// notices what happens to a node, and has to.
func libraryOnly(ctx context.Context, nodes []local.Node) ([]jepsen.Doorway, error) {
	doors, err := jepsen.Doorways(ctx, nodes)
	if err != nil {
		return nil, err
	}
	for _, d := range doors[1:] {
		if d.Close != nil {
			err = errors.Join(err, d.Close())
		}
	}
	return doors[:1], err
}

// requireUnnoticed demands that every promise held, and that no client was left with a
// failure.
func requireUnnoticed(t *testing.T, run *report.Run) {
	t.Helper()
	require.Equal(t, report.Held, run.Verdict(), run.Headline())
	for i := range run.Parts {
		part := &run.Parts[i]
		tally := part.Tally("")
		t.Logf("%s: %+v", part.Workload, tally)
		require.Greater(t, tally.Operations, 100, part.Workload)
		for j := range part.History.Ops {
			require.Empty(t, part.History.Ops[j].Error, "%s: a client was left with a failure: %v", part.Workload, &part.History.Ops[j])
		}
	}
}

// restartByReadiness is one round of the recipe.
func restartByReadiness(l live, cluster *local.Cluster, node string) error {
	err := eventually(func() error {
		if o := l.run("cluster", "safe-to-stop", node); o.exit != exitDone {
			return fmt.Errorf("%s is not safe to stop: %s", node, o)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if node == "n5" {
		if o := l.run("node", "drain", node, "--stop"); o.exit != exitDone {
			return fmt.Errorf("draining %s: %s", node, o)
		}
	}
	if o := l.run("local", "restart", node, "--no-wait"); o.exit != exitDone {
		return fmt.Errorf("restarting %s: %s", node, o)
	}
	n, err := cluster.Node(node)
	if err != nil {
		return err
	}
	return eventually(func() error {
		answer, err := http.Get("http://" + n.HTTP + "/readyz")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if body, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s says %s: %s", node, answer.Status, body)
		}
		return nil
	})
}

// eventually tries until there is no error, or the last one when the time is over.
func eventually(try func() error) error {
	end := time.Now().Add(stepMax)
	for {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
		pause(context.Background(), 50*time.Millisecond)
	}
}
