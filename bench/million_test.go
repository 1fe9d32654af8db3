//go:build !race

package bench

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

func TestAMillionKeysFitAndAStartIsQuick(t *testing.T) {
	if !*million {
		t.Skip("loading a million keys takes minutes: run with -million")
	}
	const keys, residentMax, readyMax = 1_000_000, 400, 5 * time.Second
	cluster := startCluster(t, 3)
	bucket := dial(t, cluster).Bucket("million")
	value := bytes.Repeat([]byte("v"), 100)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for n := next.Add(1); n <= keys; n = next.Add(1) {
				if _, err := bucket.Put(context.Background(), keyOf(0, n), value); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	status, err := cluster.Status()
	require.NoError(t, err)
	for _, n := range status.Nodes {
		mib := residentBytes(t, n.PID) >> 20
		t.Logf("%s: %d MiB resident with a million keys loaded", n.Name, mib)
		require.LessOrEqual(t, mib, residentMax, "MiB resident")
	}
	// The worst start: killed, so that no clock was saved at the end.
	ctx := context.Background()
	require.NoError(t, cluster.Kill(ctx, "n2"))
	begin := time.Now()
	require.NoError(t, cluster.Restart(ctx, "n2", local.RestartOptions{}))
	took := time.Since(begin)
	n2, err := cluster.Node("n2")
	require.NoError(t, err)
	t.Logf("n2: ready %v after its start, %d MiB resident", took.Round(time.Millisecond), residentBytes(t, n2.PID)>>20)
	require.LessOrEqual(t, took, readyMax)
	for n := int64(1); n <= keys; n += 997 {
		obj, err := bucket.Get(ctx, keyOf(0, n))
		require.NoError(t, err)
		got, err := obj.Value()
		require.NoError(t, err)
		require.Equal(t, value, got)
	}
}
