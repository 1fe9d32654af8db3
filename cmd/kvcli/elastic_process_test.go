package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

// TestOwnersChangeUnderFaults lets real nodes become six and then four under load, while
// one is cut off in the middle of a change, one loses its disk, and one that was killed
// is replaced. Nothing that was acknowledged is lost, nothing that was deleted is back,
// and the client library carries everything to success at R = W = 2.
func TestOwnersChangeUnderFaults(t *testing.T) {
	l := live{t, t.TempDir()}
	base, kvnode := freePorts(t, 7), program(t, "kvnode")
	cluster, _, err := local.Start(t.Context(), local.Options{
		Dir: l.dir, Shape: local.Shape{Nodes: 3, Zones: 3, BasePort: base}, KVNode: kvnode, Args: []string{"--partitions", "16"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })

	run, err := jepsen.Run(t.Context(), jepsen.Plan{
		Cluster: cluster, N: 3, R: 2, W: 2, Seed: 7,
		Workloads: []workload.Kind{workload.Set, workload.Recreate},
		Doors:     libraryOnly,
		Script: func(_ context.Context, e jepsen.Events) error {
			joined := map[string]func(){}
			for i := 4; i <= 7; i++ {
				joined[fmt.Sprintf("n%d", i)] = joinNode(t, kvnode, base, i)
			}
			for _, step := range elasticSteps(l, joined) {
				healed := e.Begin(step.name, step.what)
				if err := step.do(); err != nil {
					return fmt.Errorf("%s %s: %w", step.name, step.what, err)
				}
				healed()
			}
			return nil
		},
	})
	require.NoError(t, err)
	require.Empty(t, run.EndedBy)
	for _, f := range run.Faults {
		t.Logf("%s: %v", f.What, (f.End - f.Begin).Round(time.Millisecond))
	}
	requireUnnoticed(t, run)
	require.Equal(t, map[string]int{"n1": 16, "n2": 16, "n3": 8, "n6": 8}, shares(l))
}

type elasticStep struct {
	name, what string
	do         func() error
}

// elasticSteps are what happens to the cluster, one after another. Kill ends a node that
// is not one of the local cluster.
func elasticSteps(l live, kill map[string]func()) []elasticStep {
	command := func(args ...string) error {
		if o := l.run(args...); o.exit != exitDone {
			return errors.New(o.String())
		}
		return nil
	}
	in := func(commands ...[]string) func() error {
		return func() error {
			for _, c := range commands {
				if err := command(c...); err != nil {
					return err
				}
			}
			return nil
		}
	}
	commit := []string{"cluster", "commit", "--wait", "--timeout", changeMax}
	trusted := []string{"cluster", "wait", "--for", "trusted", "--timeout", changeMax}
	return []elasticStep{
		{"join", "n4, n5, n6", func() error {
			return eventually(in([]string{"cluster", "join", "n4", "n5", "n6"}))
		}},
		{"commit", "which is cut in the middle", in(
			[]string{"cluster", "commit"}, []string{"local", "cut", "1,2/3"}, []string{"local", "heal"}, []string{"cluster", "wait", "--for", "changed", "--timeout", changeMax})},
		{"wipe", "n2", in([]string{"local", "kill", "2"}, []string{"local", "wipe", "2"}, []string{"local", "restart", "2"}, trusted)},
		{"replace", "n5 with n7", func() error {
			kill["n5"]()
			return in([]string{"cluster", "remove", "n5", "--yes"}, []string{"cluster", "join", "n7"}, commit)()
		}},
		{"leave", "n4, n7", in([]string{"cluster", "leave", "n4", "n7"}, commit)},
	}
}
