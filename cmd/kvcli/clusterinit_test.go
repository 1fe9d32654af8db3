package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

func TestAFirstLayoutIsMadeOnce(t *testing.T) {
	f := newFakeCluster()
	f.unborn = true
	o := runWith(t, f, "", "cluster", "init", "--expect", "3")
	require.Equal(t, outcome{stderr: "kvcli: n1 sees 2 nodes (n1, n2), not 3: start the others with --join, or give another --expect; nothing was made\n", exit: 5}, o)
	require.True(t, f.unborn, "nothing was made")
	o = runWith(t, f, "", "cluster", "init", "--expect", "2", "-o", "json")
	require.Zero(t, o.exit, "%s", o)
	var doc clusterDoc
	require.NoError(t, decode(o.stdout, &doc))
	require.NotEmpty(t, doc.LayoutVersion)
	o = runWith(t, f, "", "cluster", "init")
	require.Equal(t, 5, o.exit)
	require.Regexp(t, "^kvcli: cluster 0102030000 has the layout .*: the first one is made once, and nodes that come later get their share with kvcli cluster join\n$", o.stderr)
	require.Equal(t, 1, runWith(t, f, "", "cluster", "init", "--expect", "0").exit)
}

func TestAClusterWithoutALayoutSaysSo(t *testing.T) {
	f := newFakeCluster()
	f.unborn = true
	o := runWith(t, f, "", "key", "where", "b", "k")
	require.Equal(t, 6, o.exit)
	require.Contains(t, o.stderr, "n1 knows no layout yet")
	require.Contains(t, runWith(t, f, "", "cluster", "status").stdout, "no layout yet")
	require.Equal(t, string(kindred.CodeNoLayout), errorOf(t, runWith(t, f, "", "cluster", "ring", "-o", "json")).Code)
}
