package driver

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/bench/load"
	"github.com/kindredkv/kindred/client"
)

// store is a cluster of one map: a context is the number of writes that it has
// seen of the key, and what it has not seen stays as a sibling.
type store struct {
	mu sync.Mutex
	// takes is how long each answer takes, at a moment of the run.
	takes func(since time.Duration) time.Duration
	fail  func(since time.Duration) error
	begin time.Time

	values map[string][]kindred.Sibling
	writes map[string]int
	most   int // siblings that a key had
	calls  map[kindred.Op]int
	ttl    time.Duration
}

func newStore() *store {
	return &store{begin: time.Now(), values: map[string][]kindred.Sibling{}, writes: map[string]int{}, calls: map[kindred.Op]int{},
		takes: func(time.Duration) time.Duration { return time.Millisecond }, fail: func(time.Duration) error { return nil }}
}

// starts begins the store's time anew.
func (s *store) starts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin = time.Now()
}

// wait is the time on the way and in the store; the calls go on side by side.
func (s *store) wait(ctx context.Context, op kindred.Op) error {
	s.mu.Lock()
	since := time.Since(s.begin)
	s.calls[op]++
	s.mu.Unlock()
	if !sleep(ctx, s.takes(since)) {
		return ctx.Err()
	}
	return s.fail(since)
}

func (s *store) Get(ctx context.Context, key string, _ ...client.CallOption) (*client.Object, error) {
	if err := s.wait(ctx, kindred.OpGet); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &client.Object{Siblings: s.values[key], Context: contextOf(s.writes[key])}, nil
}

func contextOf(writes int) client.Context { return client.ContextOf(fmt.Appendf(nil, "%d", writes)) }

func (s *store) write(ctx context.Context, op kindred.Op, key string, value []byte, opts []client.CallOption) (*client.Receipt, error) {
	req := kindred.Request{Op: op}
	for _, o := range opts {
		o(&req)
	}
	if err := s.wait(ctx, op); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := 0
	if len(req.Context) > 0 {
		if _, err := fmt.Sscan(string(req.Context), &seen); err != nil {
			return nil, err
		}
	}
	var left []kindred.Sibling
	for _, v := range s.values[key] {
		var n int
		if _, err := fmt.Sscan(v.Dot, &n); err != nil {
			return nil, err
		}
		if n > seen {
			left = append(left, v)
		}
	}
	s.writes[key]++
	if op == kindred.OpPut {
		left = append(left, kindred.Sibling{Dot: fmt.Sprint(s.writes[key]), Value: value})
	}
	s.values[key], s.most, s.ttl = left, max(s.most, len(left)), req.TTL
	// The receipt of a write that did not see another one does not cover it.
	covers := s.writes[key]
	if len(left) > 1 {
		covers = seen
	}
	return &client.Receipt{Context: contextOf(covers), Durability: kindred.Batch}, nil
}

func (s *store) Put(ctx context.Context, key string, value []byte, opts ...client.CallOption) (*client.Receipt, error) {
	return s.write(ctx, kindred.OpPut, key, value, opts)
}

func (s *store) Delete(ctx context.Context, key string, opts ...client.CallOption) (*client.Receipt, error) {
	return s.write(ctx, kindred.OpDelete, key, nil, opts)
}

func (s *store) Page(ctx context.Context, _ ...client.ScanOption) (*client.Page, error) {
	if err := s.wait(ctx, kindred.OpScan); err != nil {
		return nil, err
	}
	return &client.Page{Entries: []client.Entry{{Key: "k"}}}, nil
}

// settings are those of a short run on few keys.
func settings(t *testing.T, profile string) load.Settings {
	t.Helper()
	p, err := load.FindProfile(profile)
	require.NoError(t, err)
	s := load.Settings{Callers: 4, Spacing: load.Even, Warmup: time.Second, Time: 10 * time.Second, Keys: 20, Seed: 1}
	s.Use(p)
	require.NoError(t, s.Validate())
	return s
}

// do stores the keys, so that the store's time begins with the run, and runs.
func do(t *testing.T, s *store, settings load.Settings) load.Report {
	t.Helper()
	r := Run{Settings: settings, Store: s, Stored: func(uint64) { s.starts() }}
	report, err := r.Do(t.Context())
	require.NoError(t, err)
	return report
}

func kindOf(t *testing.T, r load.Report, kind load.Kind) load.KindReport {
	t.Helper()
	for _, k := range r.Kinds {
		if k.Kind == kind {
			return k
		}
	}
	require.Fail(t, "no such kind", kind)
	return load.KindReport{}
}

// stall answers in a millisecond, but for two seconds in which nothing is answered.
func stall(since time.Duration) time.Duration {
	const from, to = 4 * time.Second, 6 * time.Second
	if since >= from && since < to {
		return to - since + time.Millisecond
	}
	return time.Millisecond
}

// TestAStallIsChargedToEverythingThatWaited: the store stands still for 2 of 10
// seconds. At 100 operations a second 200 of 1,000 fall due meanwhile, and each has
// waited; four callers in a closed loop see four slow answers and call it a p99 of
// a millisecond (B1).
func TestAStallIsChargedToEverythingThatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settings(t, "ycsb-c")
		s.Rate = 100
		store := newStore()
		store.takes = stall
		r := do(t, store, s)
		k := kindOf(t, r, load.Get)
		require.EqualValues(t, 1000, k.Latency.Count)
		require.Zero(t, r.NotStarted)
		require.InDelta(t, 1, k.Latency.P50, 0.1)
		require.InDelta(t, 1000, k.Latency.P90, 30, "half of the stalled waited longer than a second")
		require.InDelta(t, 1900, k.Latency.P99, 30)
		require.InDelta(t, 1, k.Service.P99, 0.1, "of four callers only four were asked meanwhile")

		s.Rate = 0
		store = newStore()
		store.takes = stall
		closed := kindOf(t, do(t, store, s), load.Get)
		require.InDelta(t, 1, closed.Latency.P99, 0.1, "which is why docs tell to use a rate")
		require.InDelta(t, 2000, closed.Latency.Max, 5)
	})
}

// A cluster that does not keep up owes operations at the end; they are counted, and
// its latencies grow with the queue (B3).
func TestWhatNeverStartedIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settings(t, "ycsb-c")
		s.Rate, s.Callers, s.Warmup = 100, 2, 0
		store := newStore()
		store.takes = func(time.Duration) time.Duration { return 40 * time.Millisecond } // two callers do 50/s
		r := do(t, store, s)
		require.InDelta(t, 50, r.Throughput, 1)
		require.InDelta(t, 500, r.NotStarted, 3)
		require.InDelta(t, 1000, r.Operations+r.NotStarted, 3, "nothing is lost between the two")
		require.Greater(t, kindOf(t, r, load.Get).Latency.Max, 4900.0)
	})
}

func TestAClosedLoopIsAsFastAsItsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settings(t, "ycsb-c")
		var intervals []load.Interval
		store := newStore()
		run := Run{Settings: s, Store: store, Each: func(i load.Interval) { intervals = append(intervals, i) }}
		r, err := run.Do(t.Context())
		require.NoError(t, err)
		require.InDelta(t, 4000, r.Throughput, 8)
		require.InDelta(t, 10, r.Seconds, 0.001)
		require.Len(t, r.Intervals, 10)
		require.Len(t, intervals, 11, "the warm-up is shown too")
		require.Negative(t, intervals[0].At)
		require.EqualValues(t, 20, r.Stored.Written)
		require.Zero(t, kindOf(t, r, load.Get).Misses, "every key was stored first")
	})
}

// Writers of hot keys race all the time, and nobody reads: siblings do not pile up,
// because what a race has left is read before the next put.
func TestPutsDoNotPileUpSiblings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settings(t, "ycsb-a")
		s.Mix, s.Keys, s.Callers, s.Warmup, s.Time = load.Mix{load.Put: 1}, 3, 16, 0, 300*time.Millisecond
		store := newStore()
		k := kindOf(t, do(t, store, s), load.Put)
		require.Zero(t, k.Failed)
		require.Positive(t, k.ReadFirst)
		require.LessOrEqual(t, store.most, 2*s.Callers)
	})
}

func TestBlindWritersMakeSiblingsAndUpdatesMergeThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		r := do(t, store, settings(t, "siblings"))
		require.Greater(t, store.most, 1)
		require.Positive(t, kindOf(t, r, load.Get).WithSiblings)
		require.Equal(t, []string{"batch"}, r.Durability)
		require.Zero(t, r.Failed)
	})
}

func TestKeysComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		r := do(t, store, settings(t, "deletes"))
		require.Positive(t, kindOf(t, r, load.Get).Misses)
		require.Positive(t, kindOf(t, r, load.Delete).Operations)
		r = do(t, newStore(), settings(t, "ycsb-e"))
		require.Positive(t, kindOf(t, r, load.Scan).Operations)
		require.Positive(t, kindOf(t, r, load.Insert).Operations)
		store = newStore()
		do(t, store, settings(t, "expiry"))
		require.Equal(t, 10*time.Second, store.ttl)
	})
}

// A second run finds the keys of the first and adds none of its own to them.
func TestTheNextRunFindsTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := newStore(), settings(t, "ycsb-d")
		require.EqualValues(t, 20, do(t, store, s).Stored.Written)
		again := do(t, store, s)
		require.EqualValues(t, 20, again.Stored.Found)
		require.Equal(t, 1, store.most, "inserts of two runs have different keys")
	})
}

func TestFailuresAreShownAndSortedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		store.fail = func(since time.Duration) error {
			if since > 6*time.Second {
				return &kindred.Error{Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied, Message: "n2 is down"}
			}
			return nil
		}
		r := do(t, store, settings(t, "ycsb-c"))
		k := kindOf(t, r, load.Get)
		require.InDelta(t, 20_000, k.Operations, 50)
		require.InDelta(t, 4*5000/11, k.Failed, 20, "a pause of 10 ms after each")
		require.Equal(t, "unavailable", k.Failures[0].Code)
		require.Equal(t, "not_applied", k.Failures[0].Outcome)
		require.Contains(t, k.Failures[0].Example, "n2 is down")
		require.Positive(t, r.Intervals[8].Failed)
	})
}

func TestACutShortRunIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		store := newStore()
		store.takes = func(since time.Duration) time.Duration {
			if since > 3*time.Second {
				return time.Hour // nothing is answered any more
			}
			return time.Millisecond
		}
		time.AfterFunc(4*time.Second, interrupt)
		begin := time.Now()
		run := Run{Settings: settings(t, "ycsb-c"), Store: store}
		r, err := run.Do(ctx)
		require.NoError(t, err)
		require.True(t, r.Interrupted)
		require.InDelta(t, 3, r.Seconds, 0.1)
		require.Positive(t, r.Operations)
		require.EqualValues(t, 4, r.CutShort)
		require.Less(t, time.Since(begin), 4*time.Second+2*Grace)
	})
}

func TestKeysThatCannotBeStoredEndTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		down := &kindred.Error{Code: kindred.CodeUnavailable, Message: "down"}
		store.fail = func(time.Duration) error { return down }
		run := Run{Settings: settings(t, "ycsb-c"), Store: store}
		_, err := run.Do(t.Context())
		require.ErrorIs(t, err, down)
	})
}

func TestProcessorTimeIsReadOrSaidToBeUnknown(t *testing.T) {
	served := "process_cpu_seconds_total 7.5\nprocess_start_time_seconds 1.7e+09\n"
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, served) }))
	defer node.Close()
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "other 1") }))
	defer empty.Close()
	all := []Process{
		Own("me"), ByPID("me by /proc", os.Getpid()), ByPID("nobody", 1<<30), ByMetrics("n1", node.URL, node.Client()),
		ByMetrics("n2", empty.URL, empty.Client()), ByMetrics("n3", empty.URL+"0", empty.Client()),
	}
	before := sampleAll(t.Context(), all)
	served = "process_cpu_seconds_total 9\nprocess_start_time_seconds 1.7e+09\n"
	got := before.since(t.Context(), all)
	require.Empty(t, got[0].Unknown)
	require.Positive(t, got[0].Seconds)
	require.Empty(t, got[1].Unknown)
	require.GreaterOrEqual(t, got[1].Seconds, 0.0)
	require.Contains(t, got[2].Unknown, "does not run")
	require.Equal(t, load.ProcessCPU{Name: "n1", Source: "metrics", Seconds: 1.5}, got[3])
	require.Contains(t, got[4].Unknown, "process_cpu_seconds_total")
	require.NotEmpty(t, got[5].Unknown)

	served = "process_cpu_seconds_total 0.1\nprocess_start_time_seconds 1.8e+09\n"
	require.Contains(t, before.since(t.Context(), all)[3].Unknown, "started anew")
}

func TestAProcessWithAnOddNameIsRead(t *testing.T) {
	seconds, started, err := parseStat("12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 5 0 777 0 0")
	require.NoError(t, err)
	require.InDelta(t, 3, seconds, 1e-9)
	require.Equal(t, "777", started)
	for _, text := range []string{"", "12 (a) S 1", "12 (a) S 1 2 3 4 5 6 7 8 9 10 x 50 0 0 20 0 5 0 777 0 0"} {
		_, _, err := parseStat(text)
		require.Error(t, err, text)
	}
}
