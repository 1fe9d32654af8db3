package client_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// dial connects to a fake cluster for the length of a test.
func dial(t testing.TB, f *fakeCluster, opts ...client.Option) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
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

func values(t *testing.T, b *client.Bucket, key string) (found []string) {
	t.Helper()
	obj, err := b.Get(t.Context(), key)
	require.NoError(t, err)
	for _, v := range obj.Values() {
		found = append(found, string(v))
	}
	return found
}

func TestWhatIsPutCanBeReadAndDeleted(t *testing.T) {
	b := dial(t, cluster(t, 3)).Bucket("carts")
	ctx := t.Context()

	rec, err := b.Put(ctx, "alice", []byte("milk"), client.ContentType("text/plain"))
	require.NoError(t, err)
	require.NotEmpty(t, rec.Dot)
	require.Equal(t, kindred.Replicated, rec.Stage)
	require.Equal(t, kindred.Batch, rec.Durability)
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
	require.False(t, obj.Context.IsZero(), "an absent key may still have a context")
}

func TestInvariant1_ABlindPutSupersedesNothing(t *testing.T) {
	b := dial(t, cluster(t, 3)).Bucket("carts")
	ctx := t.Context()
	_, err := b.Put(ctx, "alice", []byte("milk"))
	require.NoError(t, err)
	_, err = b.Put(ctx, "alice", []byte("bread"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"milk", "bread"}, values(t, b, "alice"))

	_, err = b.Delete(ctx, "alice")
	require.NoError(t, err)
	require.Len(t, values(t, b, "alice"), 2, "nor does a blind delete")
}

func TestSiblingsAreAnErrorUntilSomebodyMergesThem(t *testing.T) {
	b := dial(t, cluster(t, 3)).Bucket("carts")
	ctx := t.Context()
	_, err := b.Put(ctx, "alice", []byte("milk"))
	require.NoError(t, err)
	_, err = b.Put(ctx, "alice", []byte("bread"))
	require.NoError(t, err)

	obj, err := b.Get(ctx, "alice")
	require.NoError(t, err)
	_, err = obj.Value()
	var siblings *client.SiblingsError
	require.ErrorAs(t, err, &siblings)
	require.Len(t, siblings.Siblings, 2)

	_, err = b.Put(ctx, "alice", []byte("milk,bread"), client.Seen(siblings.Context))
	require.NoError(t, err)
	require.Equal(t, []string{"milk,bread"}, values(t, b, "alice"))
}

func TestAWriteReplacesWhatItSawAndNothingElse(t *testing.T) {
	b := dial(t, cluster(t, 3)).Bucket("carts")
	ctx := t.Context()
	first, err := b.Put(ctx, "alice", []byte("milk"))
	require.NoError(t, err)
	_, err = b.Put(ctx, "alice", []byte("bread"))
	require.NoError(t, err)
	_, err = b.Put(ctx, "alice", []byte("oat milk"), client.Seen(first.Context))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"bread", "oat milk"}, values(t, b, "alice"))
}

func TestUpdateMergesOnceAndLosesNothingInARace(t *testing.T) {
	b := dial(t, cluster(t, 3)).Bucket("carts")
	ctx := t.Context()
	add := func(item string, meanwhile func()) func([][]byte) ([]byte, error) {
		return func(siblings [][]byte) ([]byte, error) {
			meanwhile()
			return []byte(strings.Join(append(texts(siblings), item), ",")), nil
		}
	}
	_, err := b.Update(ctx, "alice", add("milk", func() {}))
	require.NoError(t, err)
	merges := 0
	_, err = b.Update(ctx, "alice", add("bread", func() {
		merges++
		_, err := b.Update(ctx, "alice", add("jam", func() {}))
		require.NoError(t, err)
	}))
	require.NoError(t, err)
	require.Equal(t, 1, merges)
	require.ElementsMatch(t, []string{"milk,jam", "milk,bread"}, values(t, b, "alice"))
}

func texts(values [][]byte) (out []string) {
	for _, v := range values {
		out = append(out, string(v))
	}
	return out
}

func TestAnErrorOfTheMergeEndsTheUpdate(t *testing.T) {
	f := cluster(t, 3)
	b := dial(t, f).Bucket("carts")
	sour := errors.New("sour milk")
	_, err := b.Update(t.Context(), "alice", func([][]byte) ([]byte, error) { return nil, sour })
	require.Equal(t, sour, err)
	require.Zero(t, f.writes())
}

func TestAContextIsRefusedForAnotherKeyAndNotRetried(t *testing.T) {
	c := dial(t, cluster(t, 3))
	b := c.Bucket("carts")
	rec, err := b.Put(t.Context(), "alice", []byte("milk"))
	require.NoError(t, err)
	_, err = b.Put(t.Context(), "bob", []byte("milk"), client.Seen(rec.Context))
	require.True(t, kindred.HasCode(err, kindred.CodeBadContext), err)
	require.Equal(t, kindred.NotApplied, kindred.OutcomeOf(err))
	require.Zero(t, c.Stats().Retries)
}

func TestBadInputIsRefusedBeforeItIsSent(t *testing.T) {
	c := dial(t, cluster(t, 1))
	b := c.Bucket("carts")
	for field, call := range map[string]func() error{
		"key":          func() error { _, err := b.Get(t.Context(), ""); return err },
		"value":        func() error { _, err := b.Put(t.Context(), "k", make([]byte, kindred.ValueBytesMax+1)); return err },
		"content_type": func() error { _, err := b.Put(t.Context(), "k", nil, client.ContentType("a\nb")); return err },
		"w":            func() error { _, err := b.Put(t.Context(), "k", nil, client.W(17)); return err },
		"r":            func() error { _, err := b.Get(t.Context(), "k", client.R(-7)); return err },
		"timeout":      func() error { _, err := b.Get(t.Context(), "k", client.Timeout(-1)); return err },
		"bucket":       func() error { _, err := c.Bucket("").Get(t.Context(), "k"); return err },
	} {
		err := call()
		var e *kindred.Error
		require.ErrorAs(t, err, &e, field)
		require.Equal(t, field, e.Field)
		require.Equal(t, kindred.NotApplied, e.Outcome)
	}
	require.Zero(t, c.Stats().Attempts)
}

func TestOptionsOfABucketHoldForEveryCallAndGiveWay(t *testing.T) {
	f := cluster(t, 1)
	b := dial(t, f).Bucket("carts", client.W(kindred.CountAll), client.Durability(kindred.Sync))
	_, err := b.Put(t.Context(), "k", nil, client.W(2), client.PW(1))
	require.NoError(t, err)
	q := f.lastRequest()
	require.Equal(t, kindred.Count(2), q.W)
	require.Equal(t, kindred.Count(1), q.PW)
	require.Equal(t, kindred.Sync, q.Durability)
	require.Positive(t, q.Timeout)
	require.False(t, q.RequestID.IsZero())

	_, err = b.Get(t.Context(), "k", client.R(1), client.PR(kindred.CountQuorum))
	require.NoError(t, err)
	q = f.lastRequest()
	require.Equal(t, kindred.Count(1), q.R)
	require.Equal(t, kindred.CountQuorum, q.PR)
}

func TestLargeValuesTravel(t *testing.T) {
	b := dial(t, cluster(t, 3)).Bucket("films")
	film := []byte(strings.Repeat("x", kindred.ValueBytesMax))
	_, err := b.Put(t.Context(), "k", film)
	require.NoError(t, err)
	obj, err := b.Get(t.Context(), "k")
	require.NoError(t, err)
	got, err := obj.Value()
	require.NoError(t, err)
	require.Len(t, got, len(film))
}

func TestAContextSurvivesAsText(t *testing.T) {
	c := client.ContextOf([]byte{0, 0xff, 0xfe, 'x', 0xfb})
	for _, text := range []string{c.String(), c.String() + "=", "AP/+ePs=", "AP/+ePs"} {
		back, err := client.ParseContext(text)
		require.NoError(t, err, text)
		require.Equal(t, c, back)
	}
	var u client.Context
	text, err := c.MarshalText()
	require.NoError(t, err)
	require.NoError(t, u.UnmarshalText(text))
	require.Equal(t, c, u)
	require.Equal(t, []byte{0, 0xff, 0xfe, 'x', 0xfb}, u.Bytes())
	_, err = client.ParseContext("not base64!")
	require.True(t, kindred.HasCode(err, kindred.CodeInvalid))
	empty, err := client.ParseContext("")
	require.NoError(t, err)
	require.True(t, empty.IsZero())
}

func TestInvariant3_CloseLeavesNothingRunning(t *testing.T) {
	f := cluster(t, 3)
	c, err := client.Dial(t.Context(), f.addrs())
	require.NoError(t, err)
	b := c.Bucket("carts")
	_, err = b.Put(t.Context(), "alice", make([]byte, 100<<10)) // opens a second stream as well
	require.NoError(t, err)
	require.True(t, runs("kindred/client.(*"))

	for _, n := range f.nodes {
		n.swallow.Store(true)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := b.Put(t.Context(), "alice", nil)
		failed <- err
	}()
	require.Eventually(t, func() bool { return f.writes() == 2 }, 20*time.Second, time.Millisecond)
	require.NoError(t, c.Close())
	err = <-failed
	require.ErrorIs(t, err, client.ErrClosed)
	require.Equal(t, kindred.Unknown, kindred.OutcomeOf(err), "the node had it")

	_, err = b.Put(t.Context(), "alice", nil)
	require.ErrorIs(t, err, client.ErrClosed)
	require.Equal(t, kindred.NotApplied, kindred.OutcomeOf(err))
	require.NoError(t, c.Close(), "twice is harmless")
	require.Eventually(t, func() bool { return !runs("kindred/client.(*", "http2Client", "grpc.(*ClientConn)") }, 20*time.Second, time.Millisecond)
}

// runs reports whether any goroutine is in a function with one of these names.
func runs(names ...string) bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return slices.ContainsFunc(names, func(name string) bool { return bytes.Contains(stacks, []byte(name)) })
}

func TestABatchAnswersInItsOwnOrder(t *testing.T) {
	b := dial(t, cluster(t, 3)).Bucket("carts")
	var puts, gets []client.Operation
	for i := range 200 {
		key := strings.Repeat("x", i+1)
		puts = append(puts, client.Operation{Op: kindred.OpPut, Key: key, Value: []byte(key)})
		gets = append(gets, client.Operation{Op: kindred.OpGet, Key: key})
	}
	results, err := b.Batch(t.Context(), puts)
	require.NoError(t, err)
	for i, r := range results {
		require.NoError(t, r.Err)
		gets = append(gets, client.Operation{Op: kindred.OpDelete, Key: puts[i].Key + "?", Opts: []client.CallOption{client.Seen(r.Receipt.Context)}})
	}
	results, err = b.Batch(t.Context(), append(gets, client.Operation{Op: kindred.OpScan}))
	require.NoError(t, err)
	for i, r := range results[:200] {
		value, err := r.Object.Value()
		require.NoError(t, err)
		require.Equal(t, gets[i].Key, string(value))
	}
	for _, r := range results[200:400] {
		require.True(t, kindred.HasCode(r.Err, kindred.CodeBadContext), "the context is of another key")
	}
	require.True(t, kindred.HasCode(results[400].Err, kindred.CodeInvalid))

	_, err = b.Batch(t.Context(), make([]client.Operation, kindred.BatchMax+1))
	require.True(t, kindred.HasCode(err, kindred.CodeTooLarge))
	require.EqualError(t, err, "too_large: the batch has 1001 operations, the limit is 1000: split it")
	results, err = b.Batch(t.Context(), make([]client.Operation, kindred.BatchMax))
	require.NoError(t, err)
	require.Len(t, results, kindred.BatchMax)
}

func TestAValueIsToldWhenToExpire(t *testing.T) {
	b := dial(t, cluster(t, 3)).Bucket("carts")
	ctx := t.Context()
	_, err := b.Put(ctx, "alice", []byte("milk"), client.TTL(time.Minute))
	require.NoError(t, err)
	obj, err := b.Get(ctx, "alice")
	require.NoError(t, err)
	require.Equal(t, fakeNow.Add(time.Minute), obj.Siblings[0].ExpiresAt)
	until := fakeNow.Add(time.Hour)
	_, err = b.Put(ctx, "alice", []byte("bread"), client.ExpiresAt(until), client.Seen(obj.Context))
	require.NoError(t, err)
	obj, err = b.Get(ctx, "alice")
	require.NoError(t, err)
	require.Equal(t, until, obj.Siblings[0].ExpiresAt)
	for _, opt := range []client.CallOption{client.TTL(time.Microsecond), client.TTL(-time.Hour), client.ExpiresAt(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))} {
		_, err = b.Put(ctx, "alice", []byte("x"), opt)
		require.True(t, kindred.HasCode(err, kindred.CodeInvalid), "%v", err)
	}
}
