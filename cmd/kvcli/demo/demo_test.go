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
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/bulk"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/local"
)

// The demo claims much, so each of its checks must be able to fail.

// serving pretends to be a node that answers every key with its name, but for
// one answer.
func serving(t *testing.T, name string, reads *atomic.Int64, odd string, answer http.HandlerFunc) local.Node {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads.Add(1)
		if q := r.URL.Query(); q.Get("r") != "2" || q.Get("sloppy") != "false" {
			http.Error(w, "the demo promises R=2 of the homes", http.StatusBadRequest)
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
		out = append(out, item{bucket: "b", key: fmt.Sprintf("k/%d", i), value: fmt.Sprintf("value of k/%d", i)})
	}
	return out
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
		nodes := []local.Node{serving(t, "n1", &reads, "", nil), serving(t, "n2", &reads, "k/41", answer)}
		_, err := verify(t.Context(), nodes, items(100), func(int64, int64) {})
		require.ErrorContains(t, err, "1 of 100 reads went wrong")
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "b/k/41")
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

func TestVerifyReadsEverythingInTurns(t *testing.T) {
	var first, second atomic.Int64
	nodes := []local.Node{serving(t, "n1", &first, "", nil), serving(t, "n2", &second, "", nil)}
	var last atomic.Int64
	n, err := verify(t.Context(), nodes, items(101), func(done, total int64) {
		if done == total {
			last.Store(done)
		}
	})
	require.NoError(t, err)
	require.EqualValues(t, 101, last.Load())
	require.EqualValues(t, 101, n)
	require.EqualValues(t, 51, first.Load())
	require.EqualValues(t, 50, second.Load())
}

func TestWhatIsGoneMustStayGone(t *testing.T) {
	for problem, answer := range map[string]http.HandlerFunc{
		"": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		`the value is "milk", and it was deleted`: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "milk") },
		"several values": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMultipleChoices) },
	} {
		var reads atomic.Int64
		nodes := []local.Node{serving(t, "n1", &reads, "dave", answer)}
		_, err := verify(t.Context(), nodes, []item{{bucket: "b", key: "dave", gone: true}}, func(int64, int64) {})
		if problem == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, problem)
		}
	}
}

func TestTheShopFailsOnOneFailure(t *testing.T) {
	good := &shop{name: "left", acknowledged: items(200), reads: 200}
	require.NoError(t, good.verdict())
	good.fail(errors.New("no quorum"))
	require.ErrorContains(t, good.verdict(), "left: 1 operations failed")
	require.ErrorContains(t, good.verdict(), "no quorum")
	idle := &shop{acknowledged: items(200), reads: 3}
	require.ErrorContains(t, idle.verdict(), "shows nothing")
}

func TestCartsAreComparedAsSets(t *testing.T) {
	siblings := []kindred.Sibling{{Value: goods("milk", "eggs")}, {Value: goods("milk", "bread")}}
	require.NoError(t, haveExactly("k", siblings, goods("milk", "bread"), goods("milk", "eggs")))
	require.Error(t, haveExactly("k", siblings, goods("milk", "bread")))
	require.Error(t, haveExactly("k", siblings, goods("milk", "bread"), goods("milk")))
	require.Error(t, haveExactly("k", nil, goods("milk")))
	require.Error(t, haveExactly("k", siblings[:1]))
}

func TestBothSidesOfACartCount(t *testing.T) {
	kinds := map[int]int{}
	keys := map[string]bool{}
	for _, c := range newCarts() {
		kinds[len(c.values())]++
		keys[c.key] = true
		if c.right.adds == "" && c.left.adds != "" {
			require.Equal(t, [][]byte{[]byte(`["milk","bread"]`)}, c.values(), "a delete takes what it has seen")
		}
	}
	require.Equal(t, map[int]int{0: cartsPerKind, 1: 2 * cartsPerKind, 2: cartsPerKind}, kinds)
	require.Len(t, keys, 4*cartsPerKind)
	require.True(t, keys["alice"])
}

// answers are what home replicas hold of keys.
type answers map[string][]kindred.ReplicaView

func (a answers) Inspect(_ context.Context, _, key string, _ ...client.CallOption) ([]kindred.ReplicaView, error) {
	if views, ok := a[key]; ok {
		return views, nil
	}
	return nil, errors.New("nobody answers")
}

func holding(dots ...string) []kindred.ReplicaView {
	views := make([]kindred.ReplicaView, len(dots))
	for i, d := range dots {
		views[i].Node = fmt.Sprintf("n%d", i+1)
		if d != "" {
			views[i].Siblings = []kindred.SiblingView{{Dot: d}}
		}
	}
	return views
}

func TestReplicasAreEqualOnlyIfAllSaySo(t *testing.T) {
	silent := holding("a:1", "a:1", "a:1")
	silent[2].Err = "timeout"
	held := answers{
		"same": holding("a:1", "a:1", "a:1"), "gone": holding("", "", ""),
		"older": holding("a:1", "a:2", "a:2"), "lost": holding("a:1", "", "a:1"),
		"two": holding("a:1", "a:1"), "silent": silent,
	}
	for key, problem := range map[string]string{
		"same": "", "gone": "", "older": `n1 holds ["a:1"] and n2 ["a:2"]`, "lost": `n1 holds ["a:1"] and n2 []`,
		"two": "2 of 3 replicas", "silent": "n3 did not answer: timeout",
	} {
		left, why, err := unequal(t.Context(), held, []item{{bucket: "b", key: key}})
		require.NoError(t, err)
		require.Equal(t, problem != "", len(left) == 1, key)
		require.Contains(t, why, problem)
	}
	_, _, err := unequal(t.Context(), held, []item{{bucket: "b", key: "same"}, {bucket: "b", key: "nowhere"}})
	require.ErrorContains(t, err, "nobody answers")
}

func TestEachStopsAtTheFirstError(t *testing.T) {
	var done atomic.Int64
	err := each(t.Context(), items(10_000), func(it item) error {
		if done.Add(1) == 100 {
			return errors.New("no more")
		}
		return nil
	})
	require.ErrorContains(t, err, "no more")
	require.Less(t, done.Load(), int64(10_000))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, each(ctx, items(10), func(item) error { return nil }), context.Canceled)
}

func TestAwaitSaysWhatItWaitedFor(t *testing.T) {
	err := await(t.Context(), time.Millisecond, func(context.Context) (string, error) { return "7 hints are not delivered", nil })
	require.ErrorContains(t, err, "7 hints are not delivered")
	require.ErrorContains(t, await(t.Context(), time.Minute, func(context.Context) (string, error) { return "", errors.New("gone") }), "gone")
	answers := []string{"", "7 hints", "", "", "never asked"}
	require.NoError(t, await(t.Context(), time.Minute, func(context.Context) (string, error) {
		next := answers[0]
		answers = answers[1:]
		return next, nil
	}))
	require.Len(t, answers, 1, "one good answer is not enough")
}

// TestAStateThatIsNotKnownIsAnError: unknown is not healthy (I12).
func TestAStateThatIsNotKnownIsAnError(t *testing.T) {
	replicas := []kindred.ReplicaStatus{{Trusted: true}, {Trusted: true, Unsettled: 1}}
	s, err := stateIn("n1", &kindred.Replication{Replicas: replicas, Hints: kindred.HintStatus{Hints: 7}})
	require.NoError(t, err)
	require.Equal(t, 2, s.Replicas)
	require.Equal(t, 1, s.Settled)
	require.Equal(t, 7, s.hints)
	_, err = stateIn("n1", &kindred.Replication{Replicas: replicas, Unknown: "a shard says nothing"})
	require.ErrorContains(t, err, "a shard says nothing")
	_, err = stateIn("n1", &kindred.Replication{})
	require.ErrorContains(t, err, "n1 does not know")
	_, err = stateIn("n1", nil)
	require.ErrorContains(t, err, "n1 does not say")
}

func TestTheTimelineIsInOrder(t *testing.T) {
	begin := time.Now()
	line := timeline{begin: begin}
	line.markAt(begin.Add(3*time.Second), "equal")
	line.markAt(begin.Add(2*time.Second), "delivered")
	var out bytes.Buffer
	line.write(&out, term.Style{})
	require.Equal(t, "\nWhat happened when\n     2.0 s  delivered\n     3.0 s  equal\n", out.String())
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
