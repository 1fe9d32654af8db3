package node

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// TestABucketMadeOnOneNodeIsABucketOfAll: the answer comes when the others go by
// it, and it is there after every node was stopped.
func TestABucketMadeOnOneNodeIsABucketOfAll(t *testing.T) {
	nodes, _ := three(t)
	change := kindred.BucketChange{Bucket: "b", Options: kindred.BucketOptions{W: kindred.CountAll, Durability: kindred.Sync, ValueBytesMax: 10}}
	changed, err := nodes[0].ChangeBucket(context.Background(), change)
	require.Nil(t, err)
	require.Equal(t, []string{"n1", "n2", "n3"}, changed.KnownBy)
	require.Empty(t, changed.Unheard)
	for _, n := range nodes {
		b, err := n.Bucket("b")
		require.Nil(t, err)
		require.Equal(t, changed.Bucket, b)
		all, err := n.Buckets()
		require.Nil(t, err)
		require.Equal(t, []kindred.Bucket{b}, all)
		resp := do(t, n, put("k", "milk"))
		require.Nil(t, resp.Err)
		require.Len(t, resp.Receipt.Acked, 3, "w=all by the bucket")
		require.Equal(t, kindred.Sync, resp.Receipt.Durability)
		require.Equal(t, kindred.CodeTooLarge, do(t, n, put("k", "more than ten bytes")).Err.Code)
	}
	other, err := nodes[1].Bucket("other")
	require.Nil(t, err)
	require.False(t, other.Created)
	require.Equal(t, kindred.BucketOptions{}.Complete(3), other.Options)

	for _, n := range nodes {
		require.NoError(t, n.Stop(context.Background()))
	}
	_, err = nodes[2].ChangeBucket(context.Background(), change)
	require.Equal(t, kindred.CodeStopping, err.Code)
	again := start(t, nodes[2].cfg)
	require.Eventually(t, func() bool { b, err := again.Bucket("b"); return err == nil && b.Created }, patience, 10*time.Millisecond)
}
