package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
)

// unshared is what a node lists of one partition, as a home and as a guest.
func (r *rig) unshared(node string, id replica.ID) (home, guest Holding) {
	for _, h := range r.nodes[node].shard.Unshared() {
		switch {
		case h.Replica != id:
		case h.Guest:
			guest = h
		default:
			home = h
		}
	}
	return home, guest
}

// A home that is cut off lacks a write. The others list it until it is back, a guest
// lists its hint, and who is asked for the write says what it has.
func TestWhatIsNotEverywhereIsListed(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	r.passFor(5*time.Second, time.Second)
	key := "k"
	id := replica.ID{Partition: uint32(r.layout.PartitionOf("b", key)), N: 3}
	first, gone := r.home(key, 0), r.home(key, 2)
	home, _ := r.unshared(first, id)
	require.True(t, home.Dots.IsEmpty(), "a quiet cluster lists nothing")

	r.cut(gone)
	began := r.now
	w := put(key, "v")
	w.W = kindred.CountAll // the third is a guest's
	answer := r.do(first, w)
	require.Nil(t, answer.Err)
	require.Len(t, answer.Receipt.Guests, 1)
	r.passFor(10*time.Second, time.Second)

	home, _ = r.unshared(first, id)
	require.EqualValues(t, 1, antientropy.Count(home.Dots))
	require.Less(t, home.Since.Sub(began), 3*time.Second, "it is known for how long")
	_, debt := r.unshared(answer.Receipt.Guests[0], id)
	require.Equal(t, home.Dots.String(), debt.Dots.String(), "the guest owes the same")
	require.False(t, debt.Since.IsZero())
	exposed := r.nodes[first].shard.Exposure()
	require.EqualValues(t, 1, exposed.Paired)
	require.Zero(t, exposed.Alone)
	require.Equal(t, home.Since, exposed.Since)

	asked := []Holding{{Replica: id, Dots: home.Dots}}
	has := func(node string) []Holding { return r.nodes[node].shard.Holds(asked) }
	require.Len(t, has(r.home(key, 1)), 1)
	require.Empty(t, has(gone))
	require.True(t, has(answer.Receipt.Guests[0])[0].Guest)
	require.Empty(t, r.nodes[first].shard.Holds([]Holding{{Replica: id, Dots: vclock.NewDotSet(vclock.Dot{Actor: vclock.Actor{Disk: 9, Nonce: 9}, Counter: 1})}}))

	r.heal()
	r.passFor(10*time.Second, time.Second)
	for _, node := range r.names {
		home, debt := r.unshared(node, id)
		require.True(t, home.Dots.IsEmpty(), node)
		require.True(t, debt.Dots.IsEmpty(), node)
		require.Equal(t, Exposure{}, r.nodes[node].shard.Exposure(), node)
	}
	require.Len(t, has(gone), 1)

	// What is missed next is as old as it is, not as what was missed before.
	r.cut(gone)
	began = r.now
	require.Nil(t, r.do(first, put(key, "w")).Err)
	r.passFor(5*time.Second, time.Second)
	home, _ = r.unshared(first, id)
	require.WithinRange(t, home.Since, began, began.Add(3*time.Second))
}

// A home that may have lost what its clock says does not say that it holds it.
func TestADamagedHomeHoldsNothing(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	require.Nil(t, r.do("n1", put("k", "v")).Err)
	id := replica.ID{Partition: uint32(r.layout.PartitionOf("b", "k")), N: 3}
	asked := []Holding{{Replica: id, Dots: r.nodes["n1"].shard.Clock(id).Clone()}}
	require.Len(t, r.nodes["n1"].shard.Holds(asked), 1)
	r.nodes["n1"].shard.replicas[id].Suspect()
	require.Empty(t, r.nodes["n1"].shard.Holds(asked))
}
