package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// R8: a delete by name that is sent twice has deleted what its first attempt had
// read. What the second one reads belongs to others: a client that goes on with
// the receipt must not delete it unseen. The simulator found it.
func TestTheReceiptOfARetriedDeleteCoversOnlyWhatItDeleted(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "old"))
	byName := del("k")
	byName.RequestID = kindred.RequestID{1}
	require.Nil(t, r.do("n1", byName).Err)
	r.do("n2", put("k", "of somebody else"))

	again := r.do("n1", byName)
	require.Nil(t, again.Err)
	require.Nil(t, r.do("n1", seen(put("k", "mine"), again.Context)).Err)
	require.ElementsMatch(t, []string{"of somebody else", "mine"}, values(r.do("n3", get("k"))))
	r.idle()
}

// R2: what a delete by name had read is not stored with its dot, so a replica that
// serves it again cannot say. A context with the dot alone would tell the next
// replica of the delete and not of what it deleted, and readers would be shown one in
// spite of the other: here the third home has missed the delete.
func TestTheReceiptOfARetriedDeleteNamesNoDotWithoutItsPast(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	first, second, third := r.home("k", 0), r.home("k", 1), r.home("k", 2)
	r.do(first, put("k", "old"))
	r.lose = func(_, to string, _ wire.Message) bool { return to == third }
	byName := del("k")
	byName.RequestID = kindred.RequestID{1}
	deleted := r.hedged(first, byName)
	require.Nil(t, deleted.Err)
	require.NotEmpty(t, deleted.Context, "the first attempt knows what it has read")
	again := r.hedged(second, byName)
	require.Equal(t, deleted.Receipt.Dot, again.Receipt.Dot)

	r.lose = func(_, to string, _ wire.Message) bool { return to != third }
	after := seen(put("k", "new"), again.Context)
	after.W = 1
	require.Nil(t, r.do(third, after).Err)
	one := get("k")
	one.R = 1
	here := r.do(third, one)
	require.ElementsMatch(t, []string{"old", "new"}, values(here), "it has missed the delete")
	dot, err := vclock.ParseDot(deleted.Receipt.Dot)
	require.NoError(t, err)
	known, bad := replica.DecodeContext("b", "k", here.Context)
	require.Nil(t, bad)
	require.False(t, known.Contains(dot), "nobody who shows the old value has heard of its delete")

	r.lose = func(string, string, wire.Message) bool { return false }
	r.passFor(10*time.Second, time.Second)
	require.Equal(t, []string{"new"}, values(r.do(third, get("k"))))
	r.idle()
}

// I1: who acknowledges a write has it in its clock, also one that the page of a
// rebuild has brought, whose clock comes with the last page. The simulator found it.
func TestARetryOfWhatARebuildHasBroughtIsClaimed(t *testing.T) {
	r := filled(t, 0)
	for i := range 200 {
		named := put(fmt.Sprintf("named-%d", i), "value")
		named.RequestID = kindred.RequestID{1, byte(i)}
		require.Nil(t, r.do("n1", named).Err)
	}
	r.pass(time.Minute)
	r.wipe("n3", 77<<32)
	pages := 0
	r.lose = func(_, _ string, m wire.Message) bool {
		if wire.KindOf(m) == wire.KindRebuildPage {
			pages++
			return pages > 8
		}
		return wire.KindOf(m) == wire.KindPieces || wire.KindOf(m) == wire.KindWrite
	}
	r.rebuild("n3", "n1")
	r.settle()
	retried := 0
	s := r.nodes["n3"].shard
	for _, id := range s.Replicas() {
		snapshot, err := r.nodes["n3"].engine.Snapshot()
		require.NoError(t, err)
		read, err := replica.ReadRange(snapshot, id, replica.Stretch{}, 1<<30)
		require.NoError(t, err)
		require.NoError(t, snapshot.Close())
		for _, item := range read.Items {
			v := item.Object.Versions[0]
			clock := s.Clock(id)
			if v.Value.RequestID.IsZero() || clock.Contains(v.Dot) {
				continue
			}
			retried++
			resp := r.do("n3", kindred.Request{
				Op: kindred.OpPut, Bucket: item.Bucket, Key: item.Key, Value: v.Value.Value, W: 1,
				RequestID: v.Value.RequestID, Resent: true,
			})
			require.Nil(t, resp.Err)
			require.Equal(t, v.Dot.String(), resp.Receipt.Dot)
			clock = s.Clock(id)
			require.True(t, clock.Contains(v.Dot), "%v is acknowledged", v.Dot)
		}
	}
	require.NotZero(t, retried)
}
