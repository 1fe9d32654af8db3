package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

// TestALocalClusterGrowsAndShrinks: three nodes with TLS become six, a first one and a new
// one go, and what is left starts again as one cluster with all that was written. Names
// of those who went are not used again.
func TestALocalClusterGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.status("local", "start", "--nodes", "3", "--tls", "--base-port", fmt.Sprint(freePorts(t, 7)), "--kvnode", program(t, "kvnode"))
	fill(t, l, 100)

	grown := l.changed("local", "add", "3", "--commit", "--wait", "--timeout", changeMax)
	require.Equal(t, []string{"n4", "n5", "n6"}, grown.Added)
	require.True(t, grown.Commit.Settled)
	require.Empty(t, grown.Staged)
	require.Equal(t, map[string]int{"n1": 128, "n2": 128, "n3": 128, "n4": 128, "n5": 128, "n6": 128}, shares(l))

	staged := l.changed("local", "remove", "1", "n5")
	require.Len(t, staged.Staged, 2)
	require.Empty(t, staged.Removed)
	require.Nil(t, staged.Commit)
	committed := l.changed("local", "remove", "n5", "1", "--commit")
	require.Empty(t, committed.Removed, "nobody has waited")
	gone := l.changed("local", "remove", "1", "5", "--timeout", changeMax)
	require.Equal(t, []removedDoc{{"n1", filepath.Join(l.dir, "n1")}, {"n5", filepath.Join(l.dir, "n5")}}, gone.Removed)
	require.DirExists(t, filepath.Join(l.dir, "n1", "data"))

	l.ok("local", "kill", "6")
	o := l.run("local", "remove", "6", "--commit", "--wait")
	require.Equal(t, exitError, o.exit)
	require.Contains(t, o.stderr, "node n6 is stopped, and to give away what it has it must run: kvcli local restart n6 --dir "+l.dir)
	l.ok("local", "stop")
	o = l.run("local", "add")
	require.Equal(t, exitUnavailable, o.exit)
	require.Contains(t, o.stderr, "kvcli local start --dir "+l.dir)
	again := l.status("local", "start", "--kvnode", program(t, "kvnode"))
	require.Equal(t, []string{"n2", "n3", "n4", "n6"}, again.Started)
	require.Equal(t, map[string]int{"n2": 256, "n3": 128, "n4": 256, "n6": 128}, shares(l))
	all(t, l, 100)

	next := l.changed("local", "add")
	require.Equal(t, []string{"n7"}, next.Added)
	require.Len(t, next.Staged, 1)
	back := l.changed("local", "remove", "7", "--delete-data")
	require.Equal(t, []removedDoc{{Name: "n7"}}, back.Removed)
	require.Empty(t, back.Staged, "what was staged for it is taken back")
	require.NoDirExists(t, filepath.Join(l.dir, "n7"))
	require.Len(t, shares(l), 4)
	for _, n := range l.status("local", "status").Nodes {
		require.Equal(t, local.Running, n.State)
	}
}

// changed runs a command that adds or removes nodes.
func (l live) changed(args ...string) (doc membersChangedDoc) {
	l.t.Helper()
	require.NoError(l.t, decode(l.ok(append(args, "-o", "json")...), &doc))
	return doc
}
