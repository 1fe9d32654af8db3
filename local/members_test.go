package local_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

func namesAndZones(t *testing.T, c *local.Cluster) (out []string) {
	t.Helper()
	s, err := c.Status()
	require.NoError(t, err)
	for _, n := range s.Nodes {
		out = append(out, n.Name+" "+n.Zone)
	}
	return out
}

// TestNodesComeAndGo: names are never used again, and what is left starts again with its
// names, ports and data.
func TestNodesComeAndGo(t *testing.T) {
	o := options(t, 3)
	o.Zones = 3
	c := start(t, o)
	for range 2 {
		_, err := c.Add(t.Context(), 1, local.AddOptions{})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"n1 z1", "n2 z2", "n3 z3", "n4 z1", "n5 z2"}, namesAndZones(t, c))

	folder, err := c.Remove(t.Context(), "2", local.RemoveOptions{})
	require.NoError(t, err)
	require.DirExists(t, filepath.Join(folder, "data"), "data stays")
	folder, err = c.Remove(t.Context(), "n5", local.RemoveOptions{DeleteData: true})
	require.NoError(t, err)
	require.NoDirExists(t, folder)

	added, err := c.Add(t.Context(), 2, local.AddOptions{})
	require.NoError(t, err)
	require.Len(t, added, 2)
	require.Equal(t, []string{"n1 z1", "n3 z3", "n4 z1", "n6 z2", "n7 z2"}, namesAndZones(t, c), "the emptiest zone is filled")
	_, port, err := net.SplitHostPort(added[0].HTTP)
	require.NoError(t, err)
	require.Equal(t, o.BasePort+53, atoi(t, port), "node 6 serves HTTP at base+10(6-1)+3")

	require.NoError(t, os.WriteFile(filepath.Join(added[1].DataDir, "something"), nil, 0o600))
	stopped, err := c.Stop(t.Context(), 10*time.Second)
	require.NoError(t, err)
	require.Len(t, stopped, 5)
	_, started, err := local.Start(t.Context(), local.Options{Dir: o.Dir, Ready: o.Ready})
	require.NoError(t, err)
	require.Equal(t, []string{"n1", "n3", "n4", "n6", "n7"}, started.Nodes)
	require.FileExists(t, filepath.Join(added[1].DataDir, "something"))

	var ne *local.NodeError
	require.ErrorAs(t, c.Kill(t.Context(), "2"), &ne)
	require.ErrorContains(t, ne, "has n1, n3, n4, n6, n7")
	require.NoError(t, c.Kill(t.Context(), "7"))
	require.Equal(t, local.Stopped, node(t, c, "n7").State)
	_, _, err = local.Start(t.Context(), local.Options{Dir: o.Dir, Shape: local.Shape{Nodes: 3}})
	require.ErrorContains(t, err, "has 5 nodes in 3 zones")
	require.ErrorContains(t, err, "'kvcli local add' and 'remove' change it")
}

// TestTheOthersForgetWhatWasCutFromARemovedNode: a fault with a node that is no more could
// not be healed by naming it.
func TestTheOthersForgetWhatWasCutFromARemovedNode(t *testing.T) {
	c := start(t, options(t, 3))
	_, err := c.Cut(t.Context(), sides(t, "1/2,3"), false)
	require.NoError(t, err)
	_, err = c.Remove(t.Context(), "n3", local.RemoveOptions{})
	require.NoError(t, err)
	require.Equal(t, "cut from n2", inForce(t, c, "n1"))
	require.Equal(t, "cut from n2", node(t, c, "n1").Faults.String())

	require.NoError(t, c.Kill(t.Context(), "n2"))
	_, err = c.Remove(t.Context(), "n2", local.RemoveOptions{})
	require.NoError(t, err, "one that is stopped goes too")
	_, err = c.Remove(t.Context(), "n1", local.RemoveOptions{})
	var ne *local.NodeError
	require.ErrorAs(t, err, &ne)
	require.ErrorContains(t, err, "kvcli local stop --dir "+c.Dir())
	require.Equal(t, []local.State{"running"}, states(t, c))
}

// TestAnAddThatFailsLeavesTheClusterAsItWas, but for the numbers, which are used up.
func TestAnAddThatFailsLeavesTheClusterAsItWas(t *testing.T) {
	o := options(t, 2)
	o.Args = []string{"--fake-mode", "die-n4"}
	c := start(t, o)
	_, err := c.Add(t.Context(), 3, local.AddOptions{})
	require.ErrorContains(t, err, "the moon is wrong")
	require.Equal(t, []local.State{"running", "running"}, states(t, c))

	l, err := net.Listen("tcp", "127.0.0.1:"+itoa(o.BasePort+52))
	require.NoError(t, err)
	defer l.Close()
	_, err = c.Add(t.Context(), 1, local.AddOptions{})
	var pe *local.PortError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, "n6", pe.Node)
	require.Len(t, states(t, c), 2)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Add(over, 1, local.AddOptions{})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, states(t, c), 2)

	for _, n := range []int{0, -1, local.NodesMax - 1} {
		_, err = c.Add(t.Context(), n, local.AddOptions{})
		require.ErrorContains(t, err, "use 1 to 62, a local cluster has at most 64")
	}
}
