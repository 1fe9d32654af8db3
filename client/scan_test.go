package client_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// filled has ten keys, of which k3 has siblings.
func filled(t *testing.T) (*fakeCluster, *client.Bucket) {
	t.Helper()
	f := cluster(t, 3)
	b := dial(t, f).Bucket("carts")
	for i := range 10 {
		_, err := b.Put(t.Context(), fmt.Sprintf("k%d", i), nil)
		require.NoError(t, err)
	}
	_, err := b.Put(t.Context(), "k3", nil)
	require.NoError(t, err)
	return f, b
}

func scan(t *testing.T, b *client.Bucket, opts ...client.ScanOption) (keys []string) {
	t.Helper()
	for e, err := range b.Scan(t.Context(), opts...) {
		require.NoError(t, err)
		keys = append(keys, e.String())
	}
	return keys
}

func TestAScanSeesEveryKey(t *testing.T) {
	_, b := filled(t)
	require.Len(t, scan(t, b), 10)
	require.Contains(t, scan(t, b), "k3 (2 siblings)")
	require.Equal(t, []string{"k7"}, scan(t, b, client.Prefix("k7")))
	require.Equal(t, []string{"k3 (2 siblings)"}, scan(t, b, client.ConflictsOnly()))
	require.Len(t, scan(t, b, client.Limit(4)), 4)
	require.Empty(t, scan(t, b, client.Prefix("x")))
}

func TestAScanEndsWhenItsReaderDoes(t *testing.T) {
	_, b := filled(t)
	for range b.Scan(t.Context()) {
		break
	}
}

func TestAScanGoesOnElsewhereWhenItsNodeDies(t *testing.T) {
	f, b := filled(t)
	seen := map[string]int{}
	for e, err := range b.Scan(t.Context()) {
		require.NoError(t, err)
		seen[e.Key]++
		if len(seen) == 2 { // within the first page: cursors are for whole pages
			f.nodes[0].kill()
			f.nodes[1].kill()
		}
	}
	require.Len(t, seen, 10)
	for key, times := range seen {
		require.Equal(t, 1, times, key)
	}
}

func TestPagesFollowOneAnotherByCursor(t *testing.T) {
	_, b := filled(t)
	page, err := b.Page(t.Context(), client.Limit(4))
	require.NoError(t, err)
	require.Len(t, page.Entries, 4)
	require.NotEmpty(t, page.Cursor)
	rest, err := b.Page(t.Context(), client.Cursor(page.Cursor))
	require.NoError(t, err)
	require.Len(t, rest.Entries, 6)
	require.Empty(t, rest.Cursor)
}

func TestAScanThatFailsSaysSo(t *testing.T) {
	f, b := filled(t)
	for _, n := range f.nodes {
		n.refusal.Store(&kindred.Error{Code: kindred.CodeInvalid, Message: "no such thing", Outcome: kindred.NotApplied})
	}
	var last error
	for _, err := range b.Scan(t.Context()) {
		last = err
	}
	require.ErrorContains(t, last, "no such thing")

	_, err := b.Page(t.Context(), client.Limit(-1))
	require.True(t, kindred.HasCode(err, kindred.CodeInvalid))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Page(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
