package kindred_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

func TestBadOptionsOfABucketAreNamed(t *testing.T) {
	for _, c := range []struct {
		options kindred.BucketOptions
		field   string
		limit   int64
		message string
	}{
		{kindred.BucketOptions{N: 5}, "n", 3, "n=5, but this cluster keeps 3 replicas of everything, and a bucket cannot differ from that: leave n out, or start a cluster with --replicas 5"},
		{kindred.BucketOptions{N: -1}, "n", 16, "n=-1 is no number of replicas: leave n out for those of the cluster"},
		{kindred.BucketOptions{R: 4}, "r", 3, "r=4, but this cluster keeps 3 replicas: use a number from 1 to 3, one, quorum or all"},
		{kindred.BucketOptions{W: -7}, "w", 0, "w=-7 is not a replica count: use a number from 1 to 3, one, quorum or all"},
		{kindred.BucketOptions{Sloppy: 9}, "sloppy", 0, "Sloppiness(9) is no answer to whether guests count: use true or false"},
		{kindred.BucketOptions{Siblings: 9}, "siblings", 0, "Siblings(9) does not say what becomes of siblings: use keep or lww"},
		{kindred.BucketOptions{Durability: 9}, "durability", 0, "Durability(9) is not a durability: use memory, batch or sync"},
		{kindred.BucketOptions{ValueBytesMax: kindred.ValueBytesMax + 1}, "max_value_bytes", 8388608, "max_value_bytes=8388609: use a number from 1 to 8388608, which no value may pass anyway, or leave it out"},
		{kindred.BucketOptions{TTL: time.Microsecond}, "ttl", 0, "ttl=1µs is too short: use at least 1ms, or leave it out for values that stay"},
		{kindred.BucketOptions{TTL: kindred.BucketTTLMax + 1}, "ttl", 0, "ttl=876000h0m0.000000001s is longer than 876000h0m0s: leave it out for values that stay"},
	} {
		err := kindred.CheckBucketOptions(&c.options, 3)
		require.NotNil(t, err, c.message)
		require.Equal(t, c.message, err.Message)
		require.Equal(t, c.field, err.Field)
		require.Equal(t, c.limit, err.Limit)
		require.Equal(t, kindred.NotApplied, err.Outcome)
	}
	require.Nil(t, kindred.CheckBucketOptions(&kindred.BucketOptions{}, 3))
	complete := kindred.BucketOptions{}.Complete(3)
	require.Nil(t, kindred.CheckBucketOptions(&complete, 3))
	require.Equal(t, complete, complete.Complete(5), "what is complete stays")
}
