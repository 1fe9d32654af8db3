package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/bulk"
	"github.com/kindredkv/kindred/local"
)

// The demo claims much, so each of its checks must be able to fail.

// serving pretends to be a node that answers every key with its name, but for
// one answer.
func serving(t *testing.T, name string, reads *atomic.Int64, odd string, answer http.HandlerFunc) local.Node {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads.Add(1)
		if r.URL.Query().Get("r") != "2" {
			http.Error(w, "the demo promises R=2", http.StatusBadRequest)
			return
		}
		key := strings.TrimPrefix(r.URL.Path, "/v1/buckets/b/keys/")
		if key == odd {
			answer(w, r)
			return
		}
		fmt.Fprint(w, "value of "+key)
	}))
	t.Cleanup(s.Close)
	return local.Node{Name: name, HTTP: strings.TrimPrefix(s.URL, "http://")}
}

func items(n int) []item {
	var out []item
	for i := range n {
		out = append(out, item{"b", fmt.Sprintf("k/%d", i), fmt.Sprintf("value of k/%d", i)})
	}
	return out
}

func TestVerifyReadsEverythingThroughEveryNode(t *testing.T) {
	var reads atomic.Int64
	nodes := []local.Node{serving(t, "n1", &reads, "", nil), serving(t, "n2", &reads, "", nil)}
	var last atomic.Int64
	n, err := verify(t.Context(), nodes, items(100), func(done, total int64) {
		if done == total {
			last.Store(done)
		}
	})
	require.NoError(t, err)
	require.EqualValues(t, 200, n)
	require.EqualValues(t, 200, reads.Load())
	require.EqualValues(t, 200, last.Load())
}

func TestVerifyFindsOneWrongAnswer(t *testing.T) {
	for want, answer := range map[string]http.HandlerFunc{
		"n2: missing":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"n2: several values": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMultipleChoices) },
		"n2: 503":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		`"old", written was`: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "old") },
		"EOF":                func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		var reads atomic.Int64
		nodes := []local.Node{serving(t, "n1", &reads, "", nil), serving(t, "n2", &reads, "k/42", answer)}
		_, err := verify(t.Context(), nodes, items(100), func(int64, int64) {})
		require.ErrorContains(t, err, "1 of 200 reads went wrong")
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "b/k/42")
	}
}

func TestVerifyThatWasStoppedDoesNotPass(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var reads atomic.Int64
	_, err := verify(ctx, []local.Node{serving(t, "n1", &reads, "", nil)}, items(10), func(int64, int64) {})
	require.ErrorIs(t, err, context.Canceled)

	partly := &verifier{total: 3}
	partly.done.Store(2)
	require.ErrorContains(t, partly.verdict(t.Context()), "only 2 of 3 reads")
}

func TestTheShopFailsOnOneFailure(t *testing.T) {
	good := &shop{acknowledged: items(60), reads: 60}
	require.NoError(t, good.verdict())
	good.fail(errors.New("no quorum"))
	require.ErrorContains(t, good.verdict(), "no quorum")
	idle := &shop{acknowledged: items(3), reads: 3}
	require.ErrorContains(t, idle.verdict(), "shows nothing")
}

func TestCartsAreComparedAsSets(t *testing.T) {
	obj := &client.Object{Siblings: []client.Sibling{{Value: cart("milk", "eggs")}, {Value: cart("milk", "bread")}}}
	require.NoError(t, haveExactly(obj, cart("milk", "bread"), cart("milk", "eggs")))
	require.Error(t, haveExactly(obj, cart("milk", "bread")))
	require.Error(t, haveExactly(obj, cart("milk", "bread"), cart("milk")))
	require.Error(t, haveExactly(&client.Object{}, cart("milk")))
}

func TestFilesThatTheDemoCannotVouchFor(t *testing.T) {
	for text, want := range map[string]string{
		"k,v\n":                "no records",
		"k,v\n1,a\n2,b\n1,c\n": `lines 2 and 4 have the same key "1"`,
		"k,v\n1,a\n,b\n":       "line 3",
	} {
		src, err := bulk.NewSource(strings.NewReader(text), "csv", "k")
		require.NoError(t, err)
		_, err = readAll(src)
		require.ErrorContains(t, err, want)
	}
}

func TestANodeThatDoesNotStartFailsTheDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	var out bytes.Buffer
	err := Run(t.Context(), Options{Dir: dir, KVNode: "/bin/false", Data: "none.csv", KeyColumn: "k", Out: &out, ErrOut: &out})
	require.ErrorContains(t, err, "step 1")
	require.ErrorContains(t, err, "n1 ended before it was ready")
	require.ErrorContains(t, err, dir, "where the logs are")
	require.FileExists(t, filepath.Join(dir, "n1", "kvnode.log"))
	_, err = os.Stat(filepath.Join(dir, "cluster.json"))
	require.NoError(t, err)

	err = Run(t.Context(), Options{Dir: dir, KVNode: "/bin/false", Out: &out, ErrOut: &out})
	require.ErrorContains(t, err, "holds a cluster already")
}
