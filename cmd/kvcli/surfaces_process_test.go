package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func (l live) health(exit int) healthDoc {
	l.t.Helper()
	o := l.run("cluster", "health", "-o", "json")
	require.Equal(l.t, exit, o.exit, "%s", o)
	var doc healthDoc
	require.NoError(l.t, decode(o.stdout, &doc))
	return doc
}

func (d healthDoc) has(kind, node string) bool {
	for _, p := range d.Problems {
		if p.Kind == kind && p.Node == node {
			return true
		}
	}
	return false
}

// TestACutIsSeenAndHeals: five real nodes, writes on both sides of a cut. Health
// tells of it while it lasts, and of a node that is down; afterwards the cluster
// settles, is audited, and is healthy.
func TestACutIsSeenAndHeals(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 5)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.ok("local", "start", "--nodes", "5", "--zones", "3", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	l.ok("cluster", "wait", "--for", "trusted", "--timeout", "30s")
	l.ok("cluster", "wait", "--for", "settled", "--timeout", "30s")
	l.ok("cluster", "wait", "--for", "healthy", "--timeout", "30s")
	l.health(0)
	l.ok("put", "carts", "before", "milk", "--wait", "settled", "--timeout", "20s")

	l.ok("local", "cut", "1,2/3,4,5")
	side := func(port int, args ...string) outcome {
		return l.run(append(args, "--cluster", fmt.Sprintf("127.0.0.1:%d", base+10*(port-1)))...)
	}
	for i := range 20 {
		for node, value := range map[int]string{1: "left", 4: "right"} {
			o := side(node, "put", "carts", fmt.Sprint("k", i), value, "--blind", "--timeout", "10s")
			require.Zero(t, o.exit, "%s", o)
		}
	}
	cut := l.health(6)
	require.True(t, cut.has("faults", "n1"), "%v", cut.Problems)
	require.True(t, cut.has("faults", "n5"), "%v", cut.Problems)
	require.Equal(t, 6, l.run("cluster", "wait", "--for", "settled", "--timeout", "2s").exit)

	l.ok("local", "heal")
	l.ok("cluster", "wait", "--for", "settled", "--timeout", "40s")
	l.ok("cluster", "wait", "--for", "healthy", "--timeout", "40s") // gossip needs longer than data
	l.health(0)
	require.Contains(t, l.ok("hints", "list"), "no hints")
	var inspected inspectDoc
	require.NoError(t, decode(l.ok("key", "inspect", "carts", "k7", "-o", "json"), &inspected))
	require.Equal(t, verdictEqual, inspected.Verdict)
	require.NotEmpty(t, inspected.Replicas[0].Siblings)

	l.ok("local", "kill", "3")
	down := l.health(6)
	require.True(t, down.has("unreachable", "n3"), "%v", down.Problems)
	require.Equal(t, 6, l.run("repair", "status").exit)
	l.ok("put", "carts", "while down", "v")
	l.ok("local", "restart", "3")
	l.ok("cluster", "wait", "--for", "settled", "--timeout", "40s")

	l.ok("repair", "run", "--timeout", "60s")
	l.ok("cluster", "wait", "--for", "audited", "--timeout", "30s")
	l.ok("cluster", "wait", "--for", "healthy", "--timeout", "40s")
	l.ok("key", "repair", "carts", "while down")
}
