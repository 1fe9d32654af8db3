package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/buckets"
	"github.com/kindredkv/kindred/wire"
)

func registryOf(t *testing.T, bucket string, o kindred.BucketOptions) *buckets.Registry {
	var none *buckets.Registry
	r, err := none.Change(bucket, o.Complete(3), "n1", time.UnixMilli(1_790_000_000_000))
	if err != nil {
		require.NoError(t, err)
	}
	return r
}

// TestABucketDecidesWhatARequestLeavesOpen: and nothing else.
func TestABucketDecidesWhatARequestLeavesOpen(t *testing.T) {
	s := New(Config{Node: "n1", Limits: DefaultLimits()})
	s.SetBuckets(registryOf(t, "carts", kindred.BucketOptions{
		R: 1, W: kindred.CountAll, Sloppy: kindred.Strict, Durability: kindred.Sync, ValueBytesMax: 4, TTL: time.Hour,
	}))
	open := &kindred.Request{Op: kindred.OpPut, Bucket: "carts", Key: "k", Value: []byte("1234")}
	got, options, err := s.choose(open)
	require.Nil(t, err)
	require.Equal(t, kindred.Request{
		Op: kindred.OpPut, Bucket: "carts", Key: "k", Value: []byte("1234"),
		R: 1, W: kindred.CountAll, Sloppy: kindred.Strict, Durability: kindred.Sync, TTL: time.Hour,
	}, *got)
	require.Equal(t, 4, options.ValueBytesMax)
	require.Zero(t, open.W, "the client's request is left alone")

	own := &kindred.Request{
		Op: kindred.OpPut, Bucket: "carts", Key: "k", R: 2, W: 1, Sloppy: kindred.Sloppy, Durability: kindred.Memory,
		ExpiresAt: time.Unix(1_900_000_000, 0),
	}
	got, _, err = s.choose(own)
	require.Nil(t, err)
	require.Equal(t, *own, *got, "a request's own options win")

	got, _, _ = s.choose(&kindred.Request{Op: kindred.OpGet, Bucket: "carts", Key: "k"})
	require.Zero(t, got.TTL, "a read has none")

	_, _, err = s.choose(&kindred.Request{Op: kindred.OpPut, Bucket: "carts", Key: "k", Value: []byte("12345")})
	require.EqualError(t, err, "too_large: value has 5 bytes, the limit is 4: the bucket allows no more (max-value-bytes): split the value over several keys, or raise the limit of the bucket")
	require.Equal(t, "value", err.Field)
	require.Equal(t, kindred.NotApplied, err.Outcome)

	other := &kindred.Request{Op: kindred.OpPut, Bucket: "other", Key: "k", Value: make([]byte, 100)}
	got, options, err = s.choose(other)
	require.Nil(t, err)
	require.Same(t, other, got, "a bucket that nobody has created has the defaults")
	require.Nil(t, options)
}

// TestAScanIsSloppyOnDemandOnly: also in a bucket whose writes are.
func TestAScanIsSloppyOnDemandOnly(t *testing.T) {
	s := New(Config{Node: "n1", Limits: DefaultLimits()})
	for bucket, want := range map[kindred.Sloppiness]kindred.Sloppiness{
		kindred.Sloppy: kindred.SloppinessDefault, kindred.Strict: kindred.Strict,
	} {
		s.SetBuckets(registryOf(t, "carts", kindred.BucketOptions{Sloppy: bucket}))
		got, _, err := s.choose(&kindred.Request{Op: kindred.OpScan, Bucket: "carts"})
		require.Nil(t, err)
		require.Equal(t, want, got.Sloppy)
	}
}

// TestABucketIsSavedBeforeItIsUsedOrTold is B2, through the control core.
func TestABucketIsSavedBeforeItIsUsedOrTold(t *testing.T) {
	c, now := solo(t), time.Unix(1_790_000_000, 0)
	change := kindred.BucketChange{Bucket: "carts", Options: kindred.BucketOptions{W: kindred.CountAll}}
	require.Equal(t, kindred.CodeNoLayout, c.ChangeBucket(now, 1, change).Code, "no cluster, no buckets")
	c.Start(now)
	c.Take()
	require.Nil(t, c.ChangeBucket(now, 2, change))
	out := c.Take()
	require.Equal(t, c.Buckets().Bytes(), out.SaveBuckets)
	require.Same(t, c.Buckets(), out.Buckets)
	require.Len(t, out.Changes, 1)
	require.Equal(t, []string{"n1"}, out.Changes[0].Changed.KnownBy)
	require.Empty(t, out.Changes[0].Changed.Unheard)
	require.Equal(t, uint64(1), out.Changes[0].Changed.Bucket.Version)

	c.SetOutbound(now, "n2", true)
	c.SetInbound(now, "n2", true)
	sends := c.Take().Sends
	require.NotEmpty(t, sends)
	m := sends[len(sends)-1].Msg.(*wire.Buckets)
	require.Equal(t, c.ClusterID(), m.Cluster)
	require.Equal(t, c.Buckets().Bytes(), m.Registry, "a peer that is linked is told at once")

	bad := change
	bad.Options.N = 5
	require.EqualError(t, c.ChangeBucket(now, 3, bad),
		"invalid: n=5, but this cluster keeps 3 replicas of everything, and a bucket cannot differ from that: leave n out, or start a cluster with --replicas 5")
}
