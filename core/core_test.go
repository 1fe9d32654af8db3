package core

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

func TestWhatIsPutAnywhereIsReadEverywhere(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	for i := range 20 {
		key := fmt.Sprint("k", i)
		resp := r.do(r.names[i%5], put(key, key))
		require.Nil(t, resp.Err)
		require.Equal(t, kindred.Replicated, resp.Receipt.Stage)
		require.Equal(t, kindred.Batch, resp.Receipt.Durability)
		require.GreaterOrEqual(t, len(resp.Receipt.Acked), 2)
		for _, node := range r.names {
			require.Equal(t, []string{key}, values(r.do(node, get(key))), "%s at %s", key, node)
		}
	}
	r.idle()
}

func TestConcurrentPutsAreSiblingsUntilAContextMergesThem(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("cart", "milk"))
	r.do("n2", put("cart", "eggs"))
	both := r.do("n3", get("cart"))
	require.ElementsMatch(t, []string{"milk", "eggs"}, values(both))
	for _, s := range both.Siblings {
		want := kindred.CauseBlind
		if s.Node == "n2" {
			want |= kindred.CauseBeside // it saw the other one come first
		}
		require.Equal(t, want, s.Causes)
		require.Equal(t, r.now.UnixMilli(), s.WrittenAt.UnixMilli())
	}
	merged := r.do("n3", seen(put("cart", "milk+eggs"), both.Context))
	require.Nil(t, merged.Err)
	require.Equal(t, []string{"milk+eggs"}, values(r.do("n1", get("cart"))))
	// The context that the put returned covers the put itself.
	r.do("n2", seen(put("cart", "milk+eggs+tea"), merged.Context))
	require.Equal(t, []string{"milk+eggs+tea"}, values(r.do("n1", get("cart"))))
	r.idle()
}

func TestADeleteLeavesNoRow(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("gone", "x"))
	context := r.do("n2", get("gone")).Context
	require.Nil(t, r.do("n3", seen(del("gone"), context)).Err)
	after := r.do("n1", get("gone"))
	require.Empty(t, after.Siblings)
	require.NotEmpty(t, after.Context, "an absent key that existed has a context")
	for _, name := range r.names {
		snapshot, err := r.nodes[name].engine.Snapshot()
		require.NoError(t, err)
		lo, hi := storage.TableRange(storage.TableObject)
		require.NoError(t, snapshot.Scan(lo, hi, func(row, _ []byte) bool {
			t.Errorf("%s still has the row %q", name, row)
			return true
		}))
		require.NoError(t, snapshot.Close())
	}
	r.idle()
}

// objectRows counts the rows of objects at a node.
func (r *rig) objectRows(node string) (n int) {
	snapshot, err := r.nodes[node].engine.Snapshot()
	require.NoError(r.t, err)
	defer snapshot.Close()
	lo, hi := storage.TableRange(storage.TableObject)
	require.NoError(r.t, snapshot.Scan(lo, hi, func(_, _ []byte) bool {
		n++
		return true
	}))
	return n
}

func TestADeleteWithoutContextRemovesWhatAQuorumShows(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	r.do("n1", put("gone", "a"))
	r.do("n2", put("gone", "b"))
	for _, node := range []string{r.home("gone", 1), r.stranger("gone")} {
		require.Nil(t, r.do(node, del("gone")).Err)
		require.Empty(t, r.do("n1", get("gone")).Siblings)
		r.do("n3", put("gone", "again"))
	}
	r.idle()
}

func TestAWriteIsForwardedOnceAndMintedOnce(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	stranger := r.stranger("k")
	require.Nil(t, r.do(stranger, put("k", "v")).Err)
	require.EqualValues(t, 1, r.nodes[stranger].shard.Stats().Forwards)
	require.Len(t, r.do("n1", get("k")).Siblings, 1)
	// A node that forwards by a wrong layout is told so, and nothing is done.
	n := r.nodes[stranger].shard
	n.Message(r.now, r.home("k", 0), &wire.Forward{Op: wire.OpID{Process: 1, Seq: 1}, Request: put("k", "w")})
	reply := n.Effects().Sends[0].Msg.(*wire.ForwardReply)
	require.Equal(t, kindred.CodeWrongRing, reply.Response.Err.Code)
	require.Equal(t, kindred.NotApplied, reply.Response.Err.Outcome)
	r.settle()
	r.idle()
}

func TestAQuorumThatCannotBeMetIsRefusedBeforeADotExists(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "v"))
	before := r.nodes["n1"].shard.Clock(replica.ID{Partition: uint32(r.layout.PartitionOf("b", "k")), N: 3}).String()
	r.cut("n1")
	for _, req := range []kindred.Request{put("k", "w"), get("k"), seen(del("k"), nil)} {
		resp := r.do("n1", req)
		require.NotNil(t, resp.Err)
		require.Equal(t, kindred.CodeUnavailable, resp.Err.Code)
		require.Equal(t, kindred.NotApplied, resp.Err.Outcome)
		require.Equal(t, 2, resp.Err.Need)
		require.Equal(t, 1, resp.Err.Got)
		require.Equal(t, []kindred.NodeFailure{{Node: "n2", Reason: "unreachable"}, {Node: "n3", Reason: "unreachable"}}, sorted(resp.Err.Failed))
	}
	require.Equal(t, before, r.nodes["n1"].shard.Clock(replica.ID{Partition: uint32(r.layout.PartitionOf("b", "k")), N: 3}).String())
	require.Nil(t, r.do("n2", put("k", "w")).Err, "the other side has a quorum")
	w1 := put("k", "one")
	w1.W = 1
	require.Nil(t, r.do("n1", w1).Err, "W=1 is met by the coordinator")
	r.heal()
	r.do("n2", kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: "k", R: kindred.CountAll})
	require.ElementsMatch(t, []string{"v", "w", "one"}, values(r.do("n3", get("k"))))
	r.idle()
}

func sorted(f []kindred.NodeFailure) []kindred.NodeFailure {
	slices.SortFunc(f, func(a, b kindred.NodeFailure) int { return bytes.Compare([]byte(a.Node), []byte(b.Node)) })
	return f
}

func TestAMissedQuorumIsAnUnknownOutcomeThatNamesTheDot(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindWrite }
	token := r.ask("n1", put("k", "v"))
	require.NotContains(t, r.answers, token)
	r.pass(DefaultLimits().Timeout)
	err := r.answers[token].Err
	require.Equal(t, kindred.CodeTimeout, err.Code)
	require.Equal(t, kindred.Unknown, err.Outcome)
	require.NotEmpty(t, err.Dot)
	require.Equal(t, 1, err.Got)
	// It may still spread, and does: by read repair.
	r.heal()
	r.do("n2", kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: "k", R: kindred.CountAll})
	resp := r.do("n3", get("k"))
	require.Equal(t, []string{"v"}, values(resp))
	require.Equal(t, err.Dot, resp.Siblings[0].Dot)
	r.idle()
}

func TestAWriteThatCouldNotBeReadInTimeWasNotApplied(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.holdReads = true
	token := r.ask(r.home("k", 0), put("k", "v"))
	r.pass(DefaultLimits().Timeout)
	require.Equal(t, kindred.CodeTimeout, r.answers[token].Err.Code)
	require.Equal(t, kindred.NotApplied, r.answers[token].Err.Outcome)
	r.holdReads = false
	r.settle()
	r.idle()
	require.Empty(t, r.do("n1", get("k")).Siblings, "not applied means never")
}

func TestWritesAreSentAgainToAPeerThatComesBackInTime(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	lost := 0
	r.lose = func(_, _ string, m wire.Message) bool {
		if wire.KindOf(m) == wire.KindWrite {
			lost++
			return true
		}
		return false
	}
	token := r.ask("n1", put("k", "v"))
	require.Equal(t, 2, lost)
	r.lose = func(string, string, wire.Message) bool { return false }
	r.nodes["n1"].shard.SetLink(r.now, "n2", false)
	r.nodes["n1"].shard.SetLink(r.now, "n2", true)
	r.settle()
	require.Nil(t, r.answers[token].Err)
	require.Equal(t, []string{"n1", "n2"}, r.answers[token].Receipt.Acked)
	require.EqualValues(t, 1, r.nodes["n1"].shard.Stats().Resends)
	r.idle()
}

func TestReadRepairMendsAndThenRests(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.lose = func(_, to string, m wire.Message) bool { return to == "n3" && wire.KindOf(m) == wire.KindWrite }
	r.do("n1", put("k", "v"))
	r.heal()
	require.Equal(t, []string{"v"}, values(r.do("n2", get("k"))))
	require.EqualValues(t, 1, r.nodes["n2"].shard.Stats().Repairs)
	one := get("k")
	one.R = 1
	require.Equal(t, []string{"v"}, values(r.do("n3", one)))
}

// Lesson 34: where only the coordinator mints dots, a read of replicas that
// agree writes nothing.
func TestLesson34_AReadOfReplicasThatAgreeWritesNothing(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	for i := range 10 {
		r.do(r.names[i%3], put(fmt.Sprint("k", i), "v"))
	}
	for range 3 {
		for i := range 10 {
			r.do(r.names[i%3], get(fmt.Sprint("k", i)))
		}
	}
	for _, name := range r.names {
		require.Zero(t, r.nodes[name].shard.Stats().Repairs, name)
	}
}

func TestSyncWaitsForTheDisksOfAWriteQuorum(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.holdSyncs = true
	req := put("k", "v")
	req.Durability = kindred.Sync
	token := r.ask("n1", req)
	require.NotContains(t, r.answers, token, "no disk has it yet")
	require.Equal(t, []string{"v"}, values(r.do("n2", get("k"))), "reads see it: it is applied")
	r.holdSyncs = false
	r.settle()
	require.Nil(t, r.answers[token].Err)
	require.Equal(t, kindred.Sync, r.answers[token].Receipt.Durability)
	r.idle()
}

// R19: a retry of a request that was served answers with the first dot.
func TestARetryThroughAnyReplicaWritesNothingNew(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	req := put("k", "v")
	req.RequestID = kindred.RequestID{7}
	first := r.do("n1", req)
	for _, node := range r.names {
		again := r.do(node, req)
		require.Equal(t, first.Receipt.Dot, again.Receipt.Dot, node)
	}
	require.Len(t, r.do("n2", get("k")).Siblings, 1)

	over := r.do("n2", seen(put("k", "w"), r.do("n2", get("k")).Context))
	require.Nil(t, over.Err)
	require.Equal(t, first.Receipt.Dot, r.do("n3", req).Receipt.Dot, "superseded since, still served")
	require.Equal(t, []string{"w"}, values(r.do("n1", get("k"))), "the old value is not back (C18)")

	gone := del("k")
	gone.RequestID = kindred.RequestID{8}
	gone.Context = r.do("n1", get("k")).Context
	dot := r.do("n1", gone).Receipt.Dot
	require.Equal(t, dot, r.do("n3", gone).Receipt.Dot, "deletes travel with their request ids")
	r.idle()
}

func TestARequestIDOfAnotherKeyServesNothing(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	for _, key := range []string{"k1", "k2"} {
		req := put(key, key)
		req.RequestID = kindred.RequestID{9}
		require.Nil(t, r.do("n1", req).Err)
	}
	require.Equal(t, []string{"k2"}, values(r.do("n2", get("k2"))))
}

// Two dots of one request, minted on two sides of a cut, are one sibling.
func TestTwoDotsOfOneRequestAreShownAsOneSibling(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.lose = func(from, to string, m wire.Message) bool { return wire.KindOf(m) == wire.KindWrite }
	req := put("k", "v")
	req.RequestID, req.W = kindred.RequestID{5}, 1
	a, b := r.do("n1", req), r.do("n2", req)
	require.NotEqual(t, a.Receipt.Dot, b.Receipt.Dot)
	r.heal()
	all := get("k")
	all.R = kindred.CountAll
	require.Len(t, r.do("n3", all).Siblings, 1)
	r.do("n3", all)
	// And a write that saw only one of them does not leave the other behind.
	require.Nil(t, r.do("n1", seen(put("k", "w"), a.Context)).Err)
	require.Equal(t, []string{"w"}, values(r.do("n2", all)))
	r.idle()
}

func TestAContextIsRefusedOnAnotherKeyOrDamaged(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "v"))
	r.do("n1", put("other", "x"))
	token := r.do("n1", get("k")).Context
	damaged := bytes.Clone(token)
	damaged[len(damaged)-1] ^= 1
	for name, c := range map[string]struct {
		req  kindred.Request
		want string
	}{
		"foreign": {seen(put("other", "w"), token), "belongs to another bucket or key"},
		"damaged": {seen(put("k", "w"), damaged), "is damaged"},
		"noise":   {seen(put("k", "w"), []byte("hello")), "is malformed"},
	} {
		resp := r.do("n2", c.req)
		require.NotNil(t, resp.Err, name)
		require.Equal(t, kindred.CodeBadContext, resp.Err.Code, name)
		require.Equal(t, kindred.NotApplied, resp.Err.Outcome, name)
		require.Equal(t, "context", resp.Err.Field, name)
		require.ErrorContains(t, resp.Err, c.want, name)
	}
	require.Equal(t, []string{"x"}, values(r.do("n1", get("other"))))
}

func TestABlindPutOnTooManySiblingsIsRefusedAndAContextIsTheWayOut(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	for i := range kindred.SiblingsMax {
		require.Nil(t, r.do("n1", put("hot", fmt.Sprint(i))).Err)
	}
	resp := r.do("n1", put("hot", "one more"))
	require.Equal(t, kindred.CodeSiblings, resp.Err.Code)
	require.EqualValues(t, kindred.SiblingsMax, resp.Err.Limit)
	require.NotZero(t, r.nodes["n1"].shard.Stats().ManySiblings)
	all := r.do("n2", get("hot"))
	require.Len(t, all.Siblings, kindred.SiblingsMax)
	require.Nil(t, r.do("n2", seen(put("hot", "merged"), all.Context)).Err)
	require.Equal(t, []string{"merged"}, values(r.do("n3", get("hot"))))
	r.idle()
}

func TestAnObjectHasABound(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	big := string(make([]byte, kindred.ValueBytesMax))
	for range kindred.ObjectBytesMax / kindred.ValueBytesMax {
		require.Nil(t, r.do("n1", put("big", big)).Err)
	}
	resp := r.do("n1", put("big", "x"))
	require.Equal(t, kindred.CodeTooLarge, resp.Err.Code)
	require.Equal(t, "object", resp.Err.Field)
	context := r.do("n2", get("big")).Context
	require.Nil(t, r.do("n2", seen(put("big", "small"), context)).Err)
	require.Equal(t, []string{"small"}, values(r.do("n3", get("big"))))
}

func TestLimitsRefuseByName(t *testing.T) {
	limits := DefaultLimits()
	limits.Operations, limits.OperationBytes = 2, 100
	r := newRig(t, 3, limits)
	r.holdReads = true
	large := r.do("n1", put("k", string(make([]byte, 101))))
	require.Equal(t, kindred.CodeOverloaded, large.Err.Code)
	require.EqualValues(t, 100, large.Err.Limit)
	wide := r.do("n1", seen(put("k", "v"), make([]byte, 100)))
	require.Equal(t, kindred.CodeOverloaded, wide.Err.Code, "contexts count too")
	r.ask("n1", put("k1", "v"))
	r.ask("n1", put("k2", "v"))
	resp := r.do("n1", put("k3", "v"))
	require.Equal(t, kindred.CodeOverloaded, resp.Err.Code)
	require.Equal(t, "operations in progress", resp.Err.Field)
	require.Equal(t, kindred.NotApplied, resp.Err.Outcome)
	r.holdReads = false
	r.settle()
	require.Nil(t, r.do("n1", put("k3", "v")).Err)
	r.idle()
}

// Reads of large values count too: beyond half of the limit nobody waits for a
// last replica, beyond the limit new work is refused.
func TestValuesHeldByReadsAreBounded(t *testing.T) {
	limits := DefaultLimits()
	limits.OperationBytes = 10_000
	r := newRig(t, 3, limits)
	r.do("n1", put("k", string(make([]byte, 1000))))
	r.lose = func(_, to string, _ wire.Message) bool { return to == "n3" }
	for range 20 {
		require.Nil(t, r.hedged("n1", get("k")).Err)
		require.LessOrEqual(t, r.nodes["n1"].shard.bytes, 7_000)
	}
	three := get("k")
	three.R = kindred.CountAll
	for range 10 {
		r.ask("n1", three)
	}
	require.Equal(t, kindred.CodeOverloaded, r.do("n1", get("k")).Err.Code)
	r.idle()
	require.Nil(t, r.hedged("n1", get("k")).Err)
}

func TestAReplyOfThisNodeAfterTheEndHoldsNothing(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "some bytes"))
	r.holdReads = true
	token := r.ask("n1", get("k"))
	r.pass(time.Hour)
	require.NotNil(t, r.answers[token].Err)
	r.holdReads = false
	r.settle()
	r.idle()
}

func TestStepsOfPeersAreBounded(t *testing.T) {
	limits := DefaultLimits()
	limits.Steps = 3
	r := newRig(t, 3, limits)
	r.holdReads = true
	for i := range 5 {
		r.nodes["n2"].shard.Message(r.now, "n1", &wire.Read{Head: r.headOf("k"), Op: wire.OpID{Process: 1, Seq: uint64(i)}, Bucket: "b", Key: "k"})
	}
	refused := 0
	for _, s := range r.nodes["n2"].shard.Effects().Sends {
		if m, ok := s.Msg.(*wire.ReadReply); ok && m.Failed != "" {
			refused++
		}
	}
	require.Equal(t, 2, refused)
	r.holdReads = false
	r.settle()
	r.idle()
}

func (r *rig) headOf(key string) wire.Head {
	return wire.Head{Partition: uint32(r.layout.PartitionOf("b", key)), N: 3}
}

func TestAFullDiskRefusesWritesAndServesReads(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "v"))
	full := &kindred.Error{Code: kindred.CodeDiskFull, Outcome: kindred.NotApplied, Message: "n1 takes no writes: the disk is full"}
	r.nodes["n1"].shard.SetFull(full)
	require.Equal(t, full, r.do("n1", put("k", "w")).Err)
	require.Equal(t, []string{"v"}, values(r.do("n1", get("k"))))
	// Elsewhere the quorum is met by the others; n1 counts as having refused.
	resp := r.do("n2", put("k2", "w"))
	require.Nil(t, resp.Err)
	require.NotContains(t, resp.Receipt.Acked, "n1")
	all := put("k3", "w")
	all.W = kindred.CountAll
	err := r.do("n2", all).Err
	require.Equal(t, kindred.Unknown, err.Outcome)
	require.Equal(t, kindred.CodeUnavailable, err.Code, "nobody is waited for in vain, and no time was up")
	require.Equal(t, []kindred.NodeFailure{{Node: "n1", Reason: full.Message}}, err.Failed)
	r.nodes["n1"].shard.SetFull(nil)
	require.Nil(t, r.do("n1", put("k", "w")).Err)
	r.idle()
}

func TestAForgedDeltaChangesNothing(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("k", "v"))
	own := r.nodes["n2"].shard.replicas[replica.ID(r.headOf("k"))].Actor()
	forged := &wire.Write{Head: r.headOf("k"), Op: wire.OpID{Process: 1, Seq: 1}, Bucket: "b", Key: "k"}
	forged.Delta.Dots.AddSpan(own, vclock.Span{Lo: 5, Hi: 5})
	endless := &wire.Write{Head: r.headOf("k"), Op: wire.OpID{Process: 1, Seq: 2}, Bucket: "b", Key: "k"}
	endless.Delta.Dots.Close(r.nodes["n3"].shard.cfg.Start)
	before := r.nodes["n2"].shard.Clock(replica.ID(forged.Head)).String()
	for _, m := range []*wire.Write{forged, endless} {
		r.nodes["n2"].shard.Message(r.now, "n1", m)
		r.settle()
	}
	require.EqualValues(t, 2, r.nodes["n2"].shard.Stats().RefusedJoins)
	require.Equal(t, before, r.nodes["n2"].shard.Clock(replica.ID(forged.Head)).String())
}

// R10: an answer to another process, or to nobody, counts nowhere.
func TestAnswersToADeadProcessCountNowhere(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindWrite }
	token := r.ask("n1", put("k", "v"))
	var seq uint64
	for s := range r.nodes["n1"].shard.operations {
		seq = s
	}
	for _, process := range []uint64{0, 99} {
		r.nodes["n1"].shard.Message(r.now, "n2", &wire.WriteAck{Head: r.headOf("k"), Op: wire.OpID{Process: process, Seq: seq}})
	}
	r.settle()
	require.NotContains(t, r.answers, token)
	require.EqualValues(t, 2, r.nodes["n1"].shard.Stats().Stray)
	r.nodes["n1"].shard.Message(r.now, "n2", &wire.WriteAck{Head: r.headOf("k"), Op: r.nodes["n1"].shard.opID(seq)})
	r.settle()
	require.Contains(t, r.answers, token)
}

func TestARestartKeepsWhatWasSyncedAndMintsAsSomebodyElse(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	first := r.do("n1", put("k", "v"))
	require.NoError(t, r.nodes["n1"].engine.Sync())
	r.nodes["n1"].engine = r.nodes["n1"].engine.Crash(func(int) int { return 0 })
	r.boot("n1", 77, DefaultLimits())
	r.heal()
	require.Equal(t, []string{"v"}, values(r.do("n1", get("k"))))
	second := r.do("n1", put("k", "w"))
	require.NotEqual(t, first.Receipt.Dot[:32], second.Receipt.Dot[:32])
	r.idle()
}

func TestASingleNodeIsAClusterOfOneCopy(t *testing.T) {
	r := newRig(t, 1, DefaultLimits())
	require.Nil(t, r.do("n1", put("k", "v")).Err)
	require.Equal(t, []string{"v"}, values(r.do("n1", get("k"))))
	two := put("k", "w")
	two.W = 2
	err := r.do("n1", two).Err
	require.Equal(t, kindred.CodeInvalid, err.Code)
	require.ErrorContains(t, err, "w=2, but the replicas of a key are 1 here: ask for at most 1")
	r.idle()
}

func TestBeforeThereIsALayoutAndWhileStoppingNothingIsDone(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.nodes["n1"].shard = New(Config{Node: "n1", Start: r.nodes["n1"].shard.cfg.Start, Limits: DefaultLimits()})
	require.Equal(t, kindred.CodeNoLayout, r.do("n1", put("k", "v")).Err.Code)
	r.nodes["n2"].shard.Drain()
	require.Equal(t, kindred.CodeStopping, r.do("n2", put("k", "v")).Err.Code)
}

func TestAnInspectionShowsEachReplicaByItself(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.lose = func(_, to string, m wire.Message) bool { return to == "n3" && wire.KindOf(m) == wire.KindWrite }
	r.do("n1", put("k", "v"))
	r.heal()
	ask := kindred.Request{Op: kindred.OpInspect, Bucket: "b", Key: "k"}
	views := map[string]kindred.ReplicaView{}
	for _, v := range r.do("n1", ask).Replicas {
		views[v.Node] = v
	}
	require.Len(t, views, 3)
	require.Len(t, views["n1"].Siblings, 1)
	require.Equal(t, 1, views["n1"].Siblings[0].Bytes)
	require.Len(t, views["n2"].Siblings, 1)
	require.Empty(t, views["n3"].Siblings)
	for _, name := range r.names {
		require.Zero(t, r.nodes[name].shard.Stats().Repairs, "looking changes nothing")
	}
	r.cut("n3")
	resp := r.do("n1", ask)
	require.Nil(t, resp.Err)
	for _, v := range resp.Replicas {
		require.Equal(t, v.Node == "n3", v.Err != "", "%v", v)
	}
	r.idle()
}

func TestACompleteScanSeesEveryKeyOnce(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	want := map[string]int{}
	for i := range 200 {
		key := fmt.Sprintf("k%03d", i)
		r.do(r.names[i%5], put(key, "v"))
		want[key] = 1
	}
	for i := range 10 {
		key := fmt.Sprintf("k%03d", i)
		r.do(r.home(key, 1), put(key, "sibling"))
		want[key] = 2
	}
	for i := 100; i < 150; i++ {
		key := fmt.Sprintf("k%03d", i)
		r.do(r.names[i%5], del(key))
		delete(want, key)
	}
	require.Equal(t, want, r.scan(kindred.Scan{Limit: 7}))
	conflicts := r.scan(kindred.Scan{ConflictsOnly: true})
	require.Len(t, conflicts, 10)
	require.Len(t, r.scan(kindred.Scan{Prefix: "k00"}), 10)
	resp := r.do("n1", kindred.Request{Op: kindred.OpScan, Bucket: "b", Scan: kindred.Scan{Cursor: []byte("nonsense")}})
	require.Equal(t, "cursor", resp.Err.Field)
	r.idle()
}

// A replica that missed a delete does not bring the key back into a scan.
func TestAScanIsAQuorumRead(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", put("dead", "v"))
	context := r.do("n1", get("dead")).Context
	r.lose = func(_, to string, m wire.Message) bool { return to == "n3" && wire.KindOf(m) == wire.KindWrite }
	require.Nil(t, r.do("n1", seen(del("dead"), context)).Err)
	r.do("n1", put("alive", "v"))
	r.heal()
	for range 2 {
		require.Equal(t, map[string]int{"alive": 1}, r.scan(kindred.Scan{}))
	}
}

// scan drives a scan to its end, as package node does.
func (r *rig) scan(what kindred.Scan) map[string]int {
	found := map[string]int{}
	for i := 0; ; i++ {
		resp := r.do(r.names[i%len(r.names)], kindred.Request{Op: kindred.OpScan, Bucket: "b", Scan: what})
		require.Nil(r.t, resp.Err)
		for _, k := range resp.Keys {
			require.NotContains(r.t, found, k.Key, "seen twice")
			found[k.Key] = k.Siblings
		}
		if what.Cursor = resp.Cursor; len(what.Cursor) == 0 {
			return found
		}
	}
}

func TestStepsOnOneKeyShareOneReadAndOneRow(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.holdReads = true
	for i := range 5 {
		r.ask("n1", put("k", fmt.Sprint(i)))
	}
	require.Len(t, r.nodes["n1"].loads, 1)
	r.holdReads = false
	r.settle()
	require.Len(t, r.do("n2", get("k")).Siblings, 5)
}

func TestAFrozenReplicaHoldsNobodyUpAndLateReadsAreBounded(t *testing.T) {
	limits := DefaultLimits()
	limits.LateReads = 3
	r := newRig(t, 3, limits)
	r.do("n1", put("k", "v"))
	r.lose = func(_, to string, _ wire.Message) bool { return to == "n3" }
	for range 10 {
		require.Equal(t, []string{"v"}, values(r.hedged("n1", get("k"))))
	}
	require.LessOrEqual(t, r.nodes["n1"].shard.late, 4)
	require.Zero(t, r.nodes["n1"].shard.Busy())
	r.pass(limits.RepairWait + time.Second)
	r.idle()
}

// I10: what a home knows of a forwarded write that failed reaches the client.
func TestTheFailureOfAForwardedWriteNamesItsDot(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	r.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindWrite }
	token := r.ask(r.stranger("k"), put("k", "v"))
	r.pass(DefaultLimits().Timeout - time.Millisecond)
	require.NotNil(t, r.answers[token], "before the node that forwarded it gives up")
	require.Equal(t, kindred.Unknown, r.answers[token].Err.Outcome)
	require.NotEmpty(t, r.answers[token].Err.Dot)
	r.idle()
}
