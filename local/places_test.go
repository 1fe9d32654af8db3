package local_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

// TestNodesHaveHostsOfTheirOwn: as in network namespaces, which package netns tests.
func TestNodesHaveHostsOfTheirOwn(t *testing.T) {
	o := options(t, 2)
	o.Places = []local.Place{{Host: "127.0.0.21"}, {Host: "127.0.0.22"}}
	c := start(t, o)
	require.Contains(t, node(t, c, "n1").HTTP, "127.0.0.21:")
	require.Contains(t, node(t, c, "n2").Gossip, "127.0.0.22:")
	_, err := c.Cut(t.Context(), sides(t, "1/2"), false)
	require.NoError(t, err)
	require.Equal(t, "cut from n2", inForce(t, c, "n1"))
	require.NoError(t, c.Restart(t.Context(), "2", local.RestartOptions{}), "its place is remembered")
	require.Equal(t, "cut from n1", inForce(t, c, "n2"))
}

func TestPlacesThatCannotBe(t *testing.T) {
	o := options(t, 3)
	o.Places = make([]local.Place, 2)
	_, _, err := local.Start(t.Context(), o)
	var few *local.PlacesError
	require.ErrorAs(t, err, &few)

	o.Places = []local.Place{{Host: "127.0.0.21", Namespace: "/gone"}, {Host: "127.0.0.22"}, {Host: "127.0.0.23"}}
	o.Ready = time.Second
	_, _, err = local.Start(t.Context(), o)
	require.ErrorContains(t, err, "the network namespace of the node is gone")
}
