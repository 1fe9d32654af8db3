package jepsen_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

// TestSyncSurvivesTheLossOfEveryProcess kills all nodes at once, at the moment at
// which the last write was acknowledged: durability sync has promised that W
// disks hold every one of them.
func TestSyncSurvivesTheLossOfEveryProcess(t *testing.T) {
	ctx := context.Background()
	cluster, names, addrs := startCluster(t)
	kv, err := client.Dial(ctx, addrs)
	require.NoError(t, err)
	defer kv.Close()
	bucket := kv.Bucket("synced", client.Durability(kindred.Sync))
	const writers, each = 16, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r, err := bucket.Put(ctx, fmt.Sprintf("%d-%d", w, i), []byte("v"))
				if err != nil {
					t.Error(err)
					return
				}
				if r.Durability != kindred.Sync || len(r.Acked) < 2 {
					t.Errorf("a receipt says %v on %v", r.Durability, r.Acked)
				}
			}
		})
	}
	wg.Wait()
	for _, n := range names {
		require.NoError(t, cluster.Kill(ctx, n))
	}
	for _, n := range names {
		require.NoError(t, cluster.Restart(ctx, n, local.RestartOptions{Ready: -1}))
	}
	_, _, err = local.Start(ctx, local.Options{Dir: cluster.Dir()}) // waits until all are ready
	require.NoError(t, err)
	again, err := client.Dial(ctx, addrs)
	require.NoError(t, err)
	defer again.Close()
	lost := 0
	for w := range writers {
		for i := range each {
			obj, err := again.Bucket("synced").Get(ctx, fmt.Sprintf("%d-%d", w, i))
			require.NoError(t, err)
			if len(obj.Siblings) != 1 {
				lost++
			}
		}
	}
	require.Zero(t, lost, "of %d acknowledged writes", writers*each)
}
