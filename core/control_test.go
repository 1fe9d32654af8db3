package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/membership"
)

func solo(t *testing.T) *Control {
	c, err := NewControl(membership.Config{
		Self: membership.Node{
			Name: "n1", Zone: "z1", Capacity: 1, ReplicaID: [16]byte{1},
			ClientAddr: "127.0.0.1:1", PeerAddr: "127.0.0.1:2", HTTPAddr: "127.0.0.1:3",
		},
		Expect: 1, Partitions: 8, Replicas: 3,
	}, Saved{})
	require.NoError(t, err)
	return c
}

func TestAPeerIsLinkedWhileBothDirectionsAre(t *testing.T) {
	c, now := solo(t), time.Unix(1_790_000_000, 0)
	links := func() []LinkChange { return c.Take().Links }
	c.SetOutbound(now, "n2", true)
	require.Empty(t, links(), "nothing can come back")
	c.SetInbound(now, "n2", true)
	require.Equal(t, []LinkChange{{"n2", true}}, links())
	c.SetInbound(now, "n2", true)
	c.SetInbound(now, "n2", false)
	require.Empty(t, links(), "an old link ended, the new one is there")
	c.SetOutbound(now, "n2", false)
	require.Equal(t, []LinkChange{{"n2", false}}, links())
	c.SetOutbound(now, "n2", true)
	c.SetInbound(now, "n2", false)
	require.Equal(t, []LinkChange{{"n2", true}, {"n2", false}}, links())
	c.SetOutbound(now, "n2", false)
	require.Empty(t, c.ends, "nothing is kept of a peer that is gone")
}

func TestTheFirstLayoutIsSavedBeforeItIsUsed(t *testing.T) {
	c, now := solo(t), time.Unix(1_790_000_000, 0)
	c.Start(now)
	out := c.Take()
	require.NotNil(t, out.SaveLayout)
	require.NotNil(t, out.Phase)
	info := c.Describe()
	require.Equal(t, out.Phase.Tip().Version().String(), info.LayoutVersion)
	require.Len(t, info.ClusterID, 32)
	require.NotEmpty(t, info.Problems)
	require.Contains(t, info.Problems[0], "of 3", "one copy of three is said")

	again, err := NewControl(membership.Config{
		Self: membership.Node{
			Name: "n1", Zone: "z1", Capacity: 1, ReplicaID: [16]byte{1},
			ClientAddr: "127.0.0.1:1", PeerAddr: "127.0.0.1:2", HTTPAddr: "127.0.0.1:3",
		},
		Expect: 1, Partitions: 8, Replicas: 3,
	}, Saved{Layout: out.SaveLayout, Peers: out.SavePeers})
	require.NoError(t, err)
	again.Start(now)
	restarted := again.Take()
	require.Nil(t, restarted.SaveLayout)
	require.Equal(t, out.Phase.Tip().Version(), restarted.Phase.Tip().Version())
}
