package membership

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// proposal is a first layout of some nodes with a chosen cluster id.
func proposal(t *testing.T, id byte, names ...string) document {
	t.Helper()
	var nodes []ring.Node
	for _, name := range names {
		n := node(name)
		nodes = append(nodes, ring.Node{Name: n.Name, Zone: n.Zone, Capacity: n.Capacity})
	}
	l, err := ring.New([16]byte{id}, 16, 3, nodes)
	require.NoError(t, err)
	return document{layout: l}
}

func formed(d document) document {
	d.formed = true
	return d
}

// holding is a node that was started with a document on its disk and is linked
// to some others.
func holding(t *testing.T, name string, d document, linked ...string) *View {
	t.Helper()
	v, err := New(config(name, 0), d.encode(), nil)
	require.NoError(t, err)
	v.Start(epoch)
	for _, p := range linked {
		v.Gossip(epoch, joined(p, Held{}))
		v.LinkUp(epoch, p)
	}
	return v
}

func TestAProposalIsLeftOnlyWhenItIsKnownToBeDead(t *testing.T) {
	mine := proposal(t, 5, "n1", "n2", "n3")
	smaller := proposal(t, 3, "n1", "n4", "n5")
	larger := proposal(t, 8, "n1", "n4")

	t.Run("not for a smaller one, because the own one may be formed already", func(t *testing.T) {
		v := holding(t, "n1", mine, "n2", "n3", "n4")
		v.LayoutReceived(epoch, "n4", smaller.encode())
		require.Equal(t, mine.held(), v.doc.held())
	})
	t.Run("for a smaller one, when a member holds something smaller", func(t *testing.T) {
		v := holding(t, "n1", mine, "n2", "n3", "n4")
		v.Gossip(epoch, joined("n2", proposal(t, 4, "n2", "n5").held()))
		e := v.LayoutReceived(epoch, "n4", smaller.encode())
		require.Equal(t, smaller.encode(), e.SaveLayout)
	})
	t.Run("never for a larger one", func(t *testing.T) {
		v := holding(t, "n1", mine, "n2", "n3", "n4")
		v.Gossip(epoch, joined("n2", proposal(t, 4, "n2", "n5").held()))
		v.LayoutReceived(epoch, "n4", larger.encode())
		require.Equal(t, mine.held(), v.doc.held())
	})
	t.Run("not for one that it has no part in", func(t *testing.T) {
		v := holding(t, "n1", mine, "n2", "n3", "n4")
		v.LayoutReceived(epoch, "n2", proposal(t, 3, "n2", "n4").encode())
		require.Equal(t, mine.held(), v.doc.held())
	})
	t.Run("not for a formed one that no member holds", func(t *testing.T) {
		v := holding(t, "n1", mine, "n2", "n3", "n4")
		v.LayoutReceived(epoch, "n4", formed(proposal(t, 3, "n4", "n5")).encode())
		require.Equal(t, mine.held(), v.doc.held())
	})
	t.Run("for a formed one that a member holds", func(t *testing.T) {
		v := holding(t, "n1", mine, "n2", "n3", "n4")
		other := formed(proposal(t, 9, "n2", "n4"))
		e := v.LayoutReceived(epoch, "n2", other.encode())
		require.NotNil(t, e.SaveLayout)
		require.Equal(t, other.layout.ClusterID(), v.ClusterID())
		require.Nil(t, v.rec.course.Holds(), "it has no part in that")
	})
}

func TestANodeVotesOnlyForProposalsItIsPartOf(t *testing.T) {
	v := fresh(t, "n1", 0)
	v.Gossip(epoch, joined("n2", Held{}))
	v.LayoutReceived(epoch, "n2", proposal(t, 3, "n2", "n3").encode())
	require.Nil(t, v.doc.layout)
	e := v.LayoutReceived(epoch, "n2", proposal(t, 4, "n1", "n2").encode())
	require.NotNil(t, e.SaveLayout)
	require.True(t, e.LayoutChanged, "n2 holds it as well, so it is formed")
}

func TestTheVoteIsSavedBeforeItIsTold(t *testing.T) {
	v := fresh(t, "n2", 0)
	v.Gossip(epoch, joined("n1", Held{}))
	v.LinkUp(epoch, "n1")
	p := proposal(t, 3, "n1", "n2", "n3")
	e := v.LayoutReceived(epoch, "n1", p.encode())
	require.Equal(t, p.encode(), e.SaveLayout)
	require.NotNil(t, e.Announce)
	require.Equal(t, []Outgoing{{To: "n1", Document: p.encode()}}, e.Send, "the vote travels by link too")
	require.False(t, e.LayoutChanged)
}

func TestFormedClustersAreNeverMixed(t *testing.T) {
	ours := formed(proposal(t, 5, "n1", "n2"))
	v := holding(t, "n1", ours, "n2", "n4")
	require.Contains(t, v.dial(), "n4")

	t.Log("not even when a member of ours lost its disk and joined the others")
	theirs := formed(proposal(t, 3, "n2", "n4"))
	e := v.LayoutReceived(epoch, "n2", theirs.encode())
	require.Nil(t, e.SaveLayout)
	require.Equal(t, ours.held(), v.doc.held())
	require.False(t, v.Up("n2"), "a foreign node is not up")
	require.NotContains(t, e.Dial, "n2")
	require.Len(t, e.Notes, 1)
	require.True(t, e.Notes[0].Loud)
	require.Contains(t, v.Problems()[0], "they can never be one")

	t.Log("nor is any client sent to one: it would write there")
	v.LayoutReceived(epoch, "n4", theirs.encode())
	names := map[string]kindred.Member{}
	for _, m := range v.Members() {
		names[m.Name] = m
	}
	require.NotContains(t, names, "n4", "it has no name here")
	require.Equal(t, kindred.Dead, names["n2"].State)
	require.Empty(t, names["n2"].ClientAddr)

	t.Log("the problem stands, and is told once")
	e = v.LayoutReceived(epoch, "n2", theirs.encode())
	require.Empty(t, e.Notes)
	require.Contains(t, v.Problems()[0], "they can never be one")
}

func TestANewcomerJoinsNoneOfTwoClusters(t *testing.T) {
	v := fresh(t, "n9", 3)
	one, two := formed(proposal(t, 1, "n1", "n2")), formed(proposal(t, 2, "n3", "n4"))
	v.Gossip(epoch, joined("n1", one.held()))
	v.Gossip(epoch, joined("n3", two.held()))
	v.LayoutReceived(epoch, "n1", one.encode())
	require.Nil(t, v.Layout())
	require.Contains(t, v.Problems()[1], "members of 2 clusters were found")

	t.Log("until one of them is gone")
	v.Gossip(epoch, Event{Kind: Died, Name: "n3"})
	e := v.LayoutReceived(epoch, "n1", one.encode())
	require.True(t, e.LayoutChanged)
	require.Contains(t, e.Notes, Note{Text: "this node is a member without partitions until a plan gives it some"})
}

func TestTheClusterIDFollowsFromItsMembersAndTheirDisks(t *testing.T) {
	nodes := proposal(t, 0, "n1", "n2").layout.Nodes()
	ids := map[string][16]byte{"n1": {1}, "n2": {2}}
	id := clusterID(16, 3, nodes, ids)
	reversed := []ring.Node{nodes[1], nodes[0]}
	require.Equal(t, id, clusterID(16, 3, reversed, ids), "whoever makes it")

	require.NotEqual(t, id, clusterID(16, 3, nodes, map[string][16]byte{"n1": {1}, "n2": {3}}), "another disk")
	require.NotEqual(t, id, clusterID(32, 3, nodes, ids), "another number of partitions")
	require.NotEqual(t, id, clusterID(16, 2, nodes, ids), "another number of replicas")
	require.NotEqual(t, id, clusterID(16, 3, nodes[:1], ids), "other members")
}

func TestInitMakesTheFirstLayoutOfThoseWhoAreThere(t *testing.T) {
	v := fresh(t, "n2", 0)
	v.Gossip(epoch, joined("n1", Held{}))
	v.Gossip(epoch, joined("n3", Held{}))
	v.LinkUp(epoch, "n1")
	e, err := v.Init(epoch)
	require.NoError(t, err)
	require.NotNil(t, e.SaveLayout)
	require.Len(t, v.doc.layout.Nodes(), 2, "n3 is not linked")

	t.Log("and only once")
	_, err = v.Init(epoch)
	require.ErrorContains(t, err, "waits for n1")

	t.Log("nor where somebody has one already")
	v = fresh(t, "n3", 0)
	v.Gossip(epoch, joined("n1", proposal(t, 3, "n1", "n2").held()))
	_, err = v.Init(epoch)
	require.ErrorContains(t, err, "n1 already has one")
}
