package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAChangeThatLosesTooManyOwnersIsLeftByAcceptingTheLoss removes one of four nodes for
// ever, and another loses its disk while that goes on: of the partitions that both owned
// nobody is left who knows every acknowledged write. All that shows the change says so, and
// a commit of nothing but the acceptance of the loss ends it.
func TestAChangeThatLosesTooManyOwnersIsLeftByAcceptingTheLoss(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.status("local", "start", "--nodes", "4", "--base-port", fmt.Sprint(freePorts(t, 4)), "--kvnode", program(t, "kvnode"))
	fill(t, l, 100)
	l.ok("cluster", "wait", "--for", "settled")

	l.ok("local", "kill", "n3")
	require.Eventually(t, func() bool { return l.run("cluster", "remove", "n3", "--yes").exit == exitDone }, time.Minute, 200*time.Millisecond)
	l.ok("local", "cut", "2/4") // so that neither has all of what the other has
	version := strings.Fields(l.ok("cluster", "commit"))[1]
	version = strings.TrimSuffix(version, ";")
	status := func() (doc clusterDoc) {
		require.NoError(t, decode(l.ok("cluster", "status", "-o", "json"), &doc))
		return doc
	}
	require.Eventually(t, func() bool { return status().LayoutVersion == version }, time.Minute, 50*time.Millisecond)
	waits := func() bool {
		for _, c := range status().Change.Incomplete {
			if c.Node == "n4" && slices.Equal(c.Waits, []string{"n2"}) && len(c.Partitions) > 0 && !c.Hopeless {
				return true
			}
		}
		return false
	}
	require.Eventually(t, waits, time.Minute, 50*time.Millisecond, "it is said for whom copies wait")

	l.ok("local", "kill", "n2")
	l.ok("local", "wipe", "n2")
	l.ok("local", "restart", "n2", "--no-wait")
	l.ok("local", "heal")
	require.Eventually(t, func() bool { return hopeless(status().Change.Incomplete) }, time.Minute, 100*time.Millisecond)
	first := status().Change.Incomplete[0]
	require.Equal(t, "n2", first.Node)
	require.NotEmpty(t, first.Partitions)
	o := l.run("cluster", "wait", "--for", "changed", "--timeout", "2s")
	require.Equal(t, exitUnavailable, o.exit)
	require.Contains(t, o.stdout, "the change can never end")
	require.Contains(t, l.ok("cluster", "plan"), "kvcli cluster commit --accept-loss; nothing has to be staged for it")

	var doc commitDoc
	require.NoError(t, decode(l.ok("cluster", "commit", "--accept-loss", "--wait", "--timeout", changeMax, "-o", "json"), &doc))
	require.True(t, doc.Settled)
	all(t, l, 100)
	require.False(t, hopeless(status().Change.Incomplete))
	require.Contains(t, l.ok("cluster", "history"), "the loss is accepted")
	require.Equal(t, exitError, l.run("cluster", "commit", "--accept-loss").exit, "there is no change any more")
}
