package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/wire"
)

// lww is a cluster in whose bucket the last writer wins.
func lww(t *testing.T, nodes int) *rig {
	r := newRig(t, nodes, DefaultLimits())
	registry := registryOf(t, "b", kindred.BucketOptions{Siblings: kindred.SiblingsLWW})
	for _, n := range r.nodes {
		n.shard.SetBuckets(registry)
	}
	return r
}

// total adds up the counters of all nodes.
func (r *rig) total() (sum Stats) {
	for _, n := range r.nodes {
		sum = sum.Plus(n.shard.Stats())
	}
	return sum
}

// held are the dots that each home holds of the key.
func (r *rig) held(key string) (versions []int) {
	resp := r.do("n1", kindred.Request{Op: kindred.OpInspect, Bucket: "b", Key: key})
	require.Nil(r.t, resp.Err)
	for _, v := range resp.Replicas {
		versions = append(versions, len(v.Siblings))
	}
	return versions
}

func TestTheLastBlindPutReplacesTheOthers(t *testing.T) {
	r := lww(t, 3)
	for i, value := range []string{"milk", "bread", "eggs"} {
		require.Nil(t, r.do(r.names[i], put("k", value)).Err)
	}
	require.Equal(t, []string{"eggs"}, values(r.do("n1", get("k"))))
	require.Equal(t, []int{1, 1, 1}, r.held("k"))
	require.EqualValues(t, 2, r.total().Overwritten, "milk and bread, which nobody had seen")
	require.Zero(t, r.total().Beaten)

	seen := r.do("n2", get("k"))
	after := put("k", "ham")
	after.Context = seen.Context
	require.Nil(t, r.do("n2", after).Err)
	require.EqualValues(t, 2, r.total().Overwritten, "what its writer has seen is not counted")
	del := kindred.Request{Op: kindred.OpDelete, Bucket: "b", Key: "k"}
	require.Nil(t, r.do("n3", del).Err)
	require.Empty(t, r.do("n1", get("k")).Siblings)
	r.idle()
}

// Two homes that do not hear one another each take a put. Both are stored, one is
// shown, and once the first home has heard of both, one is left.
func TestOfTwoConcurrentPutsTheLaterIsLeft(t *testing.T) {
	r := lww(t, 3)
	first, second := r.home("k", 0), r.home("k", 1)
	deaf := true
	r.lose = func(string, string, wire.Message) bool { return deaf }
	write := func(node, value string) {
		q := put("k", value)
		q.W = 1
		require.Nil(t, r.do(node, q).Err)
	}
	write(first, "early")
	r.now = r.now.Add(time.Second)
	write(second, "late")
	r.now = r.now.Add(-time.Minute) // its clock is behind
	write(second, "later still, whatever the clock says")
	r.now = r.now.Add(time.Minute)

	deaf = false
	r.passFor(10*time.Second, time.Second) // the exchange
	for _, n := range r.names {
		require.Equal(t, []string{"later still, whatever the clock says"}, values(r.do(n, get("k"))), n)
	}
	require.Equal(t, []int{1, 1, 1}, r.held("k"))
	require.EqualValues(t, 1, r.total().Beaten)
	require.EqualValues(t, 1, r.total().Overwritten, "late, which the same home held")
	r.idle()
}

// While the first home is away nobody ends what was beaten; reads show one value all
// the same, and the next put replaces both.
func TestWhileTheFirstHomeIsAwayOneValueIsShown(t *testing.T) {
	r := lww(t, 3)
	first, second, third := r.home("k", 0), r.home("k", 1), r.home("k", 2)
	r.cut(first)
	r.lose = func(from, to string, m wire.Message) bool { return true }
	for i, node := range []string{second, third} {
		q := put("k", []string{"early", "late"}[i])
		q.W, q.Sloppy = 1, kindred.Strict
		require.Nil(t, r.do(node, q).Err)
		r.now = r.now.Add(time.Second)
	}
	r.lose = func(string, string, wire.Message) bool { return false }
	r.cut(first)
	r.passFor(10*time.Second, time.Second)
	require.Equal(t, []string{"late"}, values(r.do(second, get("k"))))
	scan := r.do(second, kindred.Request{Op: kindred.OpScan, Bucket: "b", R: 2})
	for _, k := range scan.Keys {
		require.Equal(t, 1, k.Siblings)
	}
	require.Zero(t, r.total().Beaten)
	r.heal()
	r.passFor(10*time.Second, time.Second)
	require.Equal(t, []string{"late"}, values(r.do(first, get("k"))))
	require.Equal(t, []int{1, 1, 1}, r.held("k"))
	require.EqualValues(t, 1, r.total().Beaten)
}

// When the last value expires, those that it has beaten do not come back (I5).
func TestWhatWasBeatenDoesNotComeBackWhenTheLastExpires(t *testing.T) {
	r := lww(t, 3)
	first, second, third := r.home("k", 0), r.home("k", 1), r.home("k", 2)
	r.cut(first) // so that nobody ends what is beaten
	r.lose = func(string, string, wire.Message) bool { return true }
	q := put("k", "stays")
	q.W, q.Sloppy = 1, kindred.Strict
	require.Nil(t, r.do(second, q).Err)
	r.now = r.now.Add(time.Second)
	q = lasting(put("k", "for a minute"), time.Minute)
	q.W, q.Sloppy = 1, kindred.Strict
	require.Nil(t, r.do(third, q).Err)
	r.lose = func(string, string, wire.Message) bool { return false }
	r.cut(first)
	r.passFor(10*time.Second, time.Second)
	require.Equal(t, []string{"for a minute"}, values(r.do(second, get("k"))))
	r.passFor(time.Minute, time.Second)
	require.Empty(t, r.do(second, get("k")).Siblings, "hidden")
	r.passFor(DefaultLimits().ExpiryGrace+2*DefaultLimits().ExpiryStagger, time.Second)
	require.Empty(t, r.do(second, get("k")).Siblings, "ended")
	r.heal()
	r.passFor(10*time.Second, time.Second)
	require.Empty(t, r.do(first, get("k")).Siblings)
	require.Equal(t, []int{0, 0, 0}, r.held("k"))
}
