package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// dial connects to a fake cluster for the length of a test.
func dial(t testing.TB, f *fakeCluster, opts ...client.Option) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, f.addrs(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func cluster(t testing.TB, n int) *fakeCluster {
	t.Helper()
	f := startCluster(n)
	t.Cleanup(f.stop)
	return f
}

func TestWhatIsPutCanBeRead(t *testing.T) {
	b := dial(t, cluster(t, 3)).Bucket("carts")
	ctx := t.Context()

	rec, err := b.Put(ctx, "alice", []byte("milk"), client.ContentType("text/plain"))
	require.NoError(t, err)
	require.NotEmpty(t, rec.Dot)
	require.Equal(t, kindred.Replicated, rec.Stage)
	require.Equal(t, []string{"n1", "n2"}, rec.Acked)

	obj, err := b.Get(ctx, "alice")
	require.NoError(t, err)
	value, err := obj.Value()
	require.NoError(t, err)
	require.Equal(t, "milk", string(value))
	require.Equal(t, "text/plain", obj.Siblings[0].ContentType)

	_, err = b.Delete(ctx, "alice", client.Seen(obj.Context))
	require.NoError(t, err)
	obj, err = b.Get(ctx, "alice")
	require.NoError(t, err)
	_, err = obj.Value()
	require.ErrorIs(t, err, client.ErrNotFound)
}
