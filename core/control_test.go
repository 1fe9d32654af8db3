package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/membership"
	"github.com/kindredkv/kindred/ring"
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

// controls are the control cores of some nodes whose links are up; all that they send
// arrives.
type controls map[string]*Control

func (c controls) add(t *testing.T, now time.Time, name string, expect int) {
	one, err := NewControl(membership.Config{
		Self: membership.Node{
			Name: name, Zone: "z" + name, Capacity: 1, ReplicaID: [16]byte{name[1]},
			ClientAddr: name + ":1", PeerAddr: name + ":2", HTTPAddr: name + ":3",
		},
		Expect: expect, Partitions: 8, Replicas: 3,
	}, Saved{})
	require.NoError(t, err)
	one.Start(now)
	meta := one.Take().Announce
	for other, peer := range c {
		peer.Gossip(now, membership.Event{Kind: membership.Joined, Name: name, Meta: meta})
		about := membership.Meta{Zone: "z" + other, Capacity: 1, ReplicaID: [16]byte{other[1]}, PeerAddr: other + ":2"}
		one.Gossip(now, membership.Event{Kind: membership.Joined, Name: other, Meta: about.Append(nil)})
		for at, to := range map[*Control]string{one: other, peer: name} {
			at.SetOutbound(now, to, true)
			at.SetInbound(now, to, true)
		}
	}
	c[name] = one
	c.settle(now)
}

// settle carries out what the cores want until nothing is left. Saving comes first, so
// that a phase is given with what it needs saved.
func (c controls) settle(now time.Time) {
	for busy := true; busy; {
		busy = false
		for name, one := range c {
			out := one.Take()
			for _, s := range out.Sends {
				if peer := c[s.To]; peer != nil {
					peer.Message(now, name, s.Msg)
					busy = true
				}
			}
			if out.Announce != nil {
				for other, peer := range c {
					if other != name {
						peer.Gossip(now, membership.Event{Kind: membership.Updated, Name: name, Meta: out.Announce})
						busy = true
					}
				}
			}
		}
	}
}

// An operator lets one node join and leave again through another; shards say that they are
// complete, and peers that are behind are told.
func TestOwnersChangeThroughTheControlCore(t *testing.T) {
	c, now := controls{}, time.Unix(1_790_000_000, 0)
	c.add(t, now, "n1", 1)
	c.add(t, now, "n2", 0)
	n1, n2 := c["n1"], c["n2"]
	require.Contains(t, n2.Describe().Problems, "n2 is a member without partitions until a plan gives it some")

	change := func(stage func() error) ring.Version {
		t.Helper()
		require.NoError(t, stage())
		_, d, err := n1.Plan(now, false, nil)
		require.NoError(t, err)
		require.NoError(t, n1.Commit(now, d.Version(), false))
		c.settle(now)
		require.Equal(t, d.Version(), n2.Phase().Progress().Tip)
		return d.Version()
	}
	version := change(func() error { return n1.Stage(now, ring.Node{Name: "n2", Zone: "zn2", Capacity: 1}, ring.Own) })
	require.Equal(t, ring.Both, n1.Phase().Progress().Step)
	for _, one := range c {
		one.Complete(now, version)
	}
	c.settle(now)
	require.True(t, n1.Phase().Settled())
	require.Equal(t, "settled", n2.Changes().History[0].Outcome)
	n2.Report(now, version, 99, time.Second)
	require.Equal(t, uint64(99), n2.Changes().History[0].Moved)

	c.settle(now)
	now = now.Add(time.Second)
	n1.Differ(now, "n2")
	require.Len(t, n1.Take().Sends, 1)

	version = change(func() error {
		return n1.StageAll(now, []ring.Staged{{Node: ring.Node{Name: "n2"}, Intent: ring.Leave}})
	})
	n1.Complete(now, version)
	c.settle(now)
	require.Equal(t, ring.Both, n1.Phase().Progress().Step, "n2 may owe something")
	n2.Complete(now, version)
	c.settle(now)
	require.True(t, n2.Phase().Settled())
	require.Contains(t, n2.Describe().Problems, "n2 has left the layout: stop it once it has no partitions and owes no hints")
	require.NoError(t, n1.Clear(now))
}
