package membership

import (
	"fmt"
	"strings"
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
	v.Gossip(epoch, joined("n4", Held{}))
	require.Empty(t, v.LinkUp(epoch, "n4").Send, "n4 came too late to have a vote")

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

func TestOthersWaitForTheSmallestName(t *testing.T) {
	v := fresh(t, "n2", 2)
	v.Gossip(epoch, joined("n1", Held{}))
	v.Gossip(epoch, joined("n3", Held{}))
	require.Nil(t, v.LinkUp(epoch, "n3").SaveLayout)
	require.Contains(t, v.Problems(), "waiting for n1 to make the first layout")
	e := v.Gossip(epoch, Event{Kind: Died, Name: "n1"})
	require.NotNil(t, e.SaveLayout)
}

func TestARestartedNodeDialsItsPeersWithoutGossip(t *testing.T) {
	v := fresh(t, "n1", 0)
	v.Gossip(epoch, joined("n2", Held{}))
	e := v.Gossip(epoch, joined("n3", Held{}))
	require.Equal(t, map[string]string{"n2": "n2:7401", "n3": "n3:7401"}, e.Dial)

	w, err := New(config("n1", 0), nil, e.SavePeers)
	require.NoError(t, err)
	again := w.Start(epoch)
	require.Equal(t, e.Dial, again.Dial)
	require.Nil(t, again.SavePeers, "nothing has changed")
	require.Equal(t, "n3:7402", w.Peers()[1].GossipAddr, "gossip can call it again")
	require.EqualValues(t, "dead", w.Members()[2].State)
}

func TestAMemberThatReturnsElsewhereIsDialledThere(t *testing.T) {
	v := fresh(t, "n1", 0)
	v.Gossip(epoch, joined("n2", Held{}))
	v.Gossip(epoch, Event{Kind: Died, Name: "n2"})
	moved := node("n2")
	moved.PeerAddr = "elsewhere:7401"
	e := v.Gossip(epoch, Event{Kind: Joined, Name: "n2", Meta: metaOf(moved, Held{}).Append(nil)})
	require.Equal(t, map[string]string{"n2": "elsewhere:7401"}, e.Dial)
	require.NotNil(t, e.SavePeers)
}

func TestWhoIsDialled(t *testing.T) {
	v := holding(t, "n1", formed(proposal(t, 5, "n1", "n2", "n3")), "n2", "n3", "n4", "n5")
	in := func(name string) bool { _, ok := v.dial()[name]; return ok }

	t.Log("the dead are, as long as the layout has them")
	require.True(t, in("n2") && in("n4"))
	v.Gossip(epoch, Event{Kind: Died, Name: "n2"})
	v.Gossip(epoch, Event{Kind: Died, Name: "n4"})
	require.True(t, in("n2") && in("n4"), "its link works")
	v.LinkDown(epoch, "n4")
	require.False(t, in("n4"))
	require.NotContains(t, strings.Join(v.Problems(), "\n"), "n4", "nobody misses it")

	t.Log("those that left are only while the layout has them")
	v.Gossip(epoch, Event{Kind: Left, Name: "n3"})
	v.Gossip(epoch, Event{Kind: Left, Name: "n5"})
	require.True(t, in("n3"))
	require.False(t, in("n5"))
	require.False(t, v.Up("n3"), "it is about to stop, whatever its link says")
}

func TestLinksSayWhoIsUp(t *testing.T) {
	v := fresh(t, "n1", 0)
	require.True(t, v.Up("n1"))
	require.False(t, v.Up("n2"))
	state := func() string { return string(v.Members()[1].State) }

	v.Gossip(epoch, joined("n2", Held{}))
	require.False(t, v.Up("n2"))
	require.Equal(t, "suspect", state(), "alive, but not linked")
	v.LinkUp(epoch, "n2")
	require.True(t, v.Up("n2"))
	require.Equal(t, "alive", state())
	v.Gossip(epoch, Event{Kind: Died, Name: "n2"})
	require.True(t, v.Up("n2"))
	require.Equal(t, "suspect", state(), "linked, but dead for gossip")
	require.Contains(t, v.Problems(), "gossip calls n2 dead, but its link works: check that UDP reaches n2:7402")
	v.LinkDown(epoch, "n2")
	require.Equal(t, "dead", state())
}

func TestMembersSayWhatTheyAre(t *testing.T) {
	v := holding(t, "n1", formed(proposal(t, 5, "n1", "n2", "n3")), "n2")
	all := v.Members()
	require.Len(t, all, 3)
	require.Equal(t, "n1:7402", all[0].GossipAddr)
	require.Equal(t, "z2", all[1].Zone)
	require.Equal(t, 16, all[1].Partitions)
	require.Equal(t, "n3", all[2].Name, "known from the layout only")
	require.Contains(t, v.Problems(), "n3 is in the layout, but its address is not known")

	t.Log("a zone that differs from the layout's is a problem")
	moved := node("n2")
	moved.Zone = "elsewhere"
	v.Gossip(epoch, Event{Kind: Updated, Name: "n2", Meta: metaOf(moved, Held{}).Append(nil)})
	require.Contains(t, v.Problems()[1], `n2 says zone "elsewhere" and capacity 1, the layout has "z2" and 1`)
}

func TestTroubleIsToldOnceAndStands(t *testing.T) {
	v := fresh(t, "n1", 0)
	e := v.Gossip(epoch, Event{Kind: Joined, Name: "n2", Meta: []byte{9}})
	require.Contains(t, e.Notes[0].Text, "ignoring n2: unreadable meta: format version 9, this program knows 2")
	require.Empty(t, v.Gossip(epoch, Event{Kind: Joined, Name: "n2", Meta: []byte{9}}).Notes)
	require.Contains(t, v.Problems()[1], "format version 9")

	v.Gossip(epoch, joined("n2", Held{}))
	e = v.LayoutReceived(epoch, "n2", []byte("garbage"))
	require.Contains(t, e.Notes[0].Text, "ignoring what n2 sent: unreadable layout document")

	conflict := Event{Kind: Conflict, Name: "n1", Addr: "a:1", Other: "b:1"}
	e = v.Gossip(epoch, conflict)
	require.Len(t, e.Notes, 1)
	require.True(t, e.Notes[0].Loud)
	require.Contains(t, e.Notes[0].Text, "two nodes are called n1, at a:1 and at b:1: give one of them another name")
	require.Empty(t, v.Gossip(epoch.Add(ConflictFor), conflict).Notes)
	require.Len(t, v.Problems(), 4)
	v.Tick(epoch.Add(2 * ConflictFor))
	require.Len(t, v.Problems(), 4, "gossip has told of it in between")
	v.Tick(epoch.Add(2*ConflictFor + 1))
	require.Len(t, v.Problems(), 3)
}

func TestMembersAreLimited(t *testing.T) {
	v := fresh(t, "self", 0)
	for i := range MembersMax {
		v.Gossip(epoch, joined(fmt.Sprintf("n%04d", i), Held{}))
	}
	e := v.Gossip(epoch, joined("x", Held{}))
	require.Len(t, v.members, MembersMax)
	require.True(t, e.Notes[0].Loud)
	require.Contains(t, v.Problems()[len(v.Problems())-1], "newcomers are ignored")

	t.Log("the dead make room")
	v.Gossip(epoch, Event{Kind: Died, Name: "n0007"})
	v.Gossip(epoch, joined("x", Held{}))
	require.Len(t, v.members, MembersMax)
	require.Nil(t, v.members["n0007"])
	require.NotNil(t, v.members["x"])
}
