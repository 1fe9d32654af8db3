package membership

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// epoch is when the tests begin.
var epoch = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// node describes a test node: its zone is "z" and the last letter of its name.
func node(name string) Node {
	var id [16]byte
	copy(id[:], "disk of "+name)
	return Node{
		Name: name, Zone: "z" + name[len(name)-1:], Capacity: 1, ReplicaID: id,
		ClientAddr: name + ":7400", PeerAddr: name + ":7401", HTTPAddr: name + ":7403", GossipAddr: name + ":7402",
	}
}

func config(name string, expect int) Config {
	return Config{Self: node(name), Expect: expect, Partitions: 16, Replicas: 3}
}

func fresh(t *testing.T, name string, expect int) *View {
	t.Helper()
	v, err := New(config(name, expect), nil, nil)
	require.NoError(t, err)
	v.Start(epoch)
	return v
}

// joined is gossip's news that a node is alive and holds a document.
func joined(name string, h Held) Event {
	n := node(name)
	return Event{Kind: Joined, Name: name, Addr: n.GossipAddr, Meta: metaOf(n, h).Append(nil)}
}

func TestANodeAloneMakesItsCluster(t *testing.T) {
	v, err := New(config("n1", 1), nil, nil)
	require.NoError(t, err)
	e := v.Start(epoch)
	require.NotNil(t, e.SaveLayout)
	require.True(t, e.LayoutChanged)
	require.Equal(t, 16, v.Members()[0].Partitions)
	require.Empty(t, v.Problems())

	t.Log("and has it again after a restart")
	w, err := New(config("n1", 1), e.SaveLayout, nil)
	require.NoError(t, err)
	e = w.Start(epoch)
	require.Nil(t, e.SaveLayout)
	require.Equal(t, v.Layout().Version(), w.Layout().Version())
}

func TestTheSmallestNameMakesTheFirstLayoutWhenAllAreLinked(t *testing.T) {
	v := fresh(t, "n1", 3)
	v.Gossip(epoch, joined("n2", Held{}))
	v.Gossip(epoch, joined("n3", Held{}))
	require.Contains(t, v.Problems(), "waiting: 1 of 3 expected nodes seen")
	v.LinkUp(epoch, "n2")
	require.Contains(t, v.Problems(), "waiting: 2 of 3 expected nodes seen")
	e := v.LinkUp(epoch, "n3")
	require.NotNil(t, e.SaveLayout)
	require.Len(t, e.Send, 2)

	t.Log("it is not used before all hold it")
	require.Nil(t, v.Layout())
	held := v.doc.held()
	e = v.Gossip(epoch, joined("n2", held))
	require.False(t, e.LayoutChanged)
	require.Contains(t, v.Problems(), "the first layout is used once it is held by n3 too")
	e = v.Gossip(epoch, joined("n3", held))
	require.True(t, e.LayoutChanged)
	require.NotNil(t, v.Layout())
	require.Empty(t, v.Problems())
}
