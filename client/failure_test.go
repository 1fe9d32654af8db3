package client_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// load keeps writing and reading back from many goroutines until stop is
// called, which returns the number of operations and every error.
func load(t *testing.T, b *client.Bucket) (done *atomic.Int64, stop func() []error) {
	t.Helper()
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		errs   []error
		halted atomic.Bool
	)
	done = new(atomic.Int64)
	ctx := context.WithoutCancel(t.Context())
	for w := range 16 {
		all.Go(func() {
			for i := 0; !halted.Load(); i++ {
				if err := writeAndReadBack(ctx, b, fmt.Sprintf("worker-%d-%d", w, i)); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
				done.Add(2)
			}
		})
	}
	return done, func() []error {
		halted.Store(true)
		all.Wait()
		return errs
	}
}

func writeAndReadBack(ctx context.Context, b *client.Bucket, key string) error {
	if _, err := b.Put(ctx, key, []byte(key), client.W(2)); err != nil {
		return err
	}
	obj, err := b.Get(ctx, key, client.R(2))
	if err != nil {
		return err
	}
	value, err := obj.Value()
	if err == nil && string(value) != key {
		err = fmt.Errorf("%s holds %q", key, value)
	}
	return err
}

// progress waits for a number of further operations.
func progress(t *testing.T, done *atomic.Int64, n int64) {
	t.Helper()
	target := done.Load() + n
	require.Eventually(t, func() bool { return done.Load() >= target }, 20*time.Second, time.Millisecond)
}

func TestANodeKilledUnderLoadFailsNoOperation(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f)
	done, stop := load(t, c.Bucket("carts"))
	progress(t, done, 500)
	f.nodes[1].kill()
	progress(t, done, 1500)
	f.revive(1)
	require.Eventually(t, func() bool { return f.nodes[1].calls.Load() > 100 }, 20*time.Second, time.Millisecond, "it is used again")
	f.nodes[2].kill()
	progress(t, done, 1500)
	require.Empty(t, stop())
	require.Equal(t, done.Load()/2, int64(f.writes()), "every write took effect exactly once")
	require.NotZero(t, c.Stats().Retries)
}

func TestAFrozenNodeUnderLoadFailsNoOperation(t *testing.T) {
	f := cluster(t, 3)
	done, stop := load(t, dial(t, f, client.WithTimeout(3*time.Second)).Bucket("carts"))
	progress(t, done, 500)
	f.nodes[1].freezer.freeze(true)
	progress(t, done, 4000)
	f.nodes[1].freezer.freeze(false)
	calls := f.nodes[1].calls.Load()
	require.Eventually(t, func() bool { return f.nodes[1].calls.Load() > calls+1000 }, 20*time.Second, time.Millisecond, "it is used again")
	require.Empty(t, stop())
}

func TestAFrozenNodeCostsAPartOfTheDeadlineOnce(t *testing.T) {
	bubble(t, 3, func(t *testing.T, f *fakeCluster, c *client.Client) {
		b := c.Bucket("carts")
		for i := range 30 {
			_, err := b.Put(t.Context(), fmt.Sprint(i), nil)
			require.NoError(t, err)
		}
		f.nodes[0].freezer.freeze(true)
		before := c.Stats().Retries
		for i := range 30 {
			_, err := b.Put(t.Context(), fmt.Sprint(i), nil, client.Timeout(3*time.Second))
			require.NoError(t, err)
		}
		require.Equal(t, before+1, c.Stats().Retries, "the first call that meets the frozen node finds it out for the others")
	})
}

func TestARetryRepeatsTheRequestID(t *testing.T) {
	bubble(t, 3, func(t *testing.T, f *fakeCluster, c *client.Client) {
		b := c.Bucket("carts")
		for _, n := range f.nodes[:2] {
			n.swallow.Store(true) // these act and do not answer
		}
		resent := false
		for i := range 3 {
			_, err := b.Put(t.Context(), "alice", []byte{byte(i)}, client.Timeout(3*time.Second))
			require.NoError(t, err)
			resent = resent || f.lastRequest().Resent
		}
		require.Equal(t, c.Stats().Retries > 0, resent, "and says that it is one")
		require.Equal(t, 3, f.writes())
		for _, n := range f.nodes {
			n.swallow.Store(false)
		}
		require.Len(t, values(t, b, "alice"), 3)
	})
}

func TestOneIntentionKeepsItsIDOverRepetitionsByHand(t *testing.T) {
	bubble(t, 1, func(t *testing.T, f *fakeCluster, c *client.Client) {
		b := c.Bucket("carts")
		f.nodes[0].swallow.Store(true)
		_, err := b.Put(t.Context(), "alice", []byte("milk"), client.Timeout(300*time.Millisecond))
		require.Equal(t, kindred.Unknown, kindred.OutcomeOf(err))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var failed *client.Error
		require.ErrorAs(t, err, &failed)

		f.nodes[0].swallow.Store(false)
		_, err = b.Put(t.Context(), "alice", []byte("milk"), client.RequestID(failed.RequestID))
		require.NoError(t, err)
		require.Equal(t, []string{"milk"}, values(t, b, "alice"))
	})
}

func TestARefusalIsRetriedElsewhere(t *testing.T) {
	for _, code := range []kindred.Code{kindred.CodeUnavailable, kindred.CodeOverloaded, kindred.CodeStopping, kindred.CodeNoLayout, kindred.CodeWrongRing} {
		t.Run(string(code), func(t *testing.T) {
			f := cluster(t, 3)
			b := dial(t, f).Bucket("carts")
			for _, n := range f.nodes[:2] {
				n.refusal.Store(&kindred.Error{Code: code, Outcome: kindred.NotApplied})
			}
			for range 6 {
				_, err := b.Put(t.Context(), "alice", nil)
				require.NoError(t, err)
			}
		})
	}
}

// untilExhausted is time enough for all attempts of an operation that is refused
// everywhere: it ends with the last of them, and none is on its way when it does.
const untilExhausted = time.Minute

func TestWhenEveryNodeRefusesNothingWasApplied(t *testing.T) {
	t.Parallel()
	f := cluster(t, 3)
	b := dial(t, f).Bucket("carts")
	for _, n := range f.nodes {
		n.refusal.Store(&kindred.Error{Code: kindred.CodeUnavailable, Message: "w=3, reachable 2", Outcome: kindred.NotApplied, Need: 3, Got: 2})
	}
	_, err := b.Put(t.Context(), "alice", nil, client.Timeout(untilExhausted))
	require.True(t, kindred.HasCode(err, kindred.CodeUnavailable))
	require.Equal(t, kindred.NotApplied, kindred.OutcomeOf(err))
	var failed *client.Error
	require.ErrorAs(t, err, &failed)
	require.GreaterOrEqual(t, len(failed.Attempts), 3, "every node was asked")
	require.Equal(t, 3, failed.Err.Need)
	require.ErrorContains(t, err, "w=3, reachable 2")
}

func TestInvariant2_OneDoubtMakesTheWholeCallUnknown(t *testing.T) {
	t.Parallel()
	f := cluster(t, 3)
	b := dial(t, f).Bucket("carts")
	for _, n := range f.nodes[1:] {
		n.refusal.Store(&kindred.Error{Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied})
	}
	f.nodes[0].refusal.Store(&kindred.Error{Code: kindred.CodeTimeout, Outcome: kindred.Unknown, Dot: "n1.7"})
	_, err := b.Put(t.Context(), "alice", nil, client.Timeout(untilExhausted))
	require.Equal(t, kindred.Unknown, kindred.OutcomeOf(err))
	var e *kindred.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "n1.7", e.Dot)
}

func TestADeadClusterAppliesNothingAndSaysSo(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f)
	b := c.Bucket("carts")
	_, err := b.Put(t.Context(), "alice", nil)
	require.NoError(t, err)
	f.stop()
	require.Eventually(t, func() bool {
		_, err = b.Put(t.Context(), "alice", nil, client.Timeout(300*time.Millisecond))
		return err != nil && kindred.OutcomeOf(err) == kindred.NotApplied
	}, 20*time.Second, time.Millisecond, "once the connections are known to be lost nothing is sent")
	f.revive(2)
	require.Eventually(t, func() bool {
		_, err = b.Put(t.Context(), "alice", nil)
		return err == nil
	}, 20*time.Second, time.Millisecond, "it comes back by itself")
}

func TestACallerThatGivesUpIsReleasedAtOnce(t *testing.T) {
	f := cluster(t, 1)
	b := dial(t, f).Bucket("carts")
	f.nodes[0].swallow.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := b.Put(ctx, "alice", nil)
		failed <- err
	}()
	require.Eventually(t, func() bool { return f.writes() == 1 }, 20*time.Second, time.Millisecond)
	cancel()
	err := <-failed
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, kindred.Unknown, kindred.OutcomeOf(err))
}

func TestASlowNodeDoesNotSlowGets(t *testing.T) {
	bubble(t, 3, func(t *testing.T, f *fakeCluster, c *client.Client) {
		b := c.Bucket("carts")
		_, err := b.Put(t.Context(), "alice", nil)
		require.NoError(t, err)
		for range 100 { // to learn how fast gets are
			_, err := b.Get(t.Context(), "alice")
			require.NoError(t, err)
		}
		f.nodes[0].delay.Store(int64(time.Minute))
		began := time.Now()
		for range 15 {
			_, err := b.Get(t.Context(), "alice")
			require.NoError(t, err)
		}
		require.Less(t, time.Since(began), 10*time.Second)
		require.NotZero(t, c.Stats().Hedges)
	})
}

func TestHedgesAreFew(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f, client.WithHedgeAfter(time.Microsecond)) // every get looks slow
	b := c.Bucket("carts")
	for range 1000 {
		_, err := b.Get(t.Context(), "alice")
		require.NoError(t, err)
	}
	require.NotZero(t, c.Stats().Hedges)
	require.LessOrEqual(t, c.Stats().Hedges, uint64(60), "a twentieth, and what was saved up")
}

func TestWithoutHedgingThereIsNone(t *testing.T) {
	bubble(t, 3, func(t *testing.T, f *fakeCluster, c *client.Client) {
		for _, n := range f.nodes {
			n.delay.Store(int64(60 * time.Millisecond))
		}
		_, err := c.Bucket("carts").Get(t.Context(), "alice")
		require.NoError(t, err)
		require.Equal(t, uint64(1), c.Stats().Attempts)
	}, client.WithoutHedging())
}

func TestASlowNodeThatLivesIsWaitedFor(t *testing.T) {
	bubble(t, 3, func(t *testing.T, f *fakeCluster, c *client.Client) {
		for _, n := range f.nodes {
			n.delay.Store(int64(700 * time.Millisecond))
		}
		_, err := c.Bucket("carts").Put(t.Context(), "alice", nil)
		require.NoError(t, err)
		require.Equal(t, uint64(1), c.Stats().Attempts, "it answers probes, so it is slow and not dead")
	})
}

func TestRetriesDoNotMultiplyTheLoadOfARefusingCluster(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f)
	for _, n := range f.nodes {
		n.refusal.Store(&kindred.Error{Code: kindred.CodeOverloaded, Outcome: kindred.NotApplied})
	}
	b := c.Bucket("carts")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 60 {
				_, err := b.Put(t.Context(), "alice", nil, client.Timeout(200*time.Millisecond))
				if err == nil {
					t.Error("a refused put succeeded")
				}
			}
		})
	}
	all.Wait()
	s := c.Stats()
	require.Equal(t, uint64(3000), s.Operations)
	require.LessOrEqual(t, s.Retries, uint64(1000+3000/5), "the burst, and a fifth")
	require.NotZero(t, s.RetriesDenied)
}

func TestCallsGoToHomeReplicasAndSpreadOverThem(t *testing.T) {
	f := cluster(t, 6)
	b := dial(t, f, client.WithoutHedging()).Bucket("carts")
	warm(t, f, b)
	before := f.calls()
	for range 300 {
		_, err := b.Get(t.Context(), "alice")
		require.NoError(t, err)
	}
	homes := f.homes("carts", "alice")
	for name, calls := range f.calls() {
		if got := calls - before[name]; slices.Contains(homes, name) {
			require.Greater(t, got, int64(60), name)
		} else {
			require.Zero(t, got, name)
		}
	}
}

func TestStrangersForwardWhenNoHomeReplicaAnswers(t *testing.T) {
	f := cluster(t, 6)
	b := dial(t, f).Bucket("carts")
	warm(t, f, b)
	for _, name := range f.homes("carts", "alice") {
		f.node(name).kill()
	}
	for range 10 {
		_, err := b.Put(t.Context(), "alice", nil, client.Timeout(3*time.Second))
		require.NoError(t, err)
	}
}

// warm waits until the client is connected to every node.
func warm(t *testing.T, f *fakeCluster, b *client.Bucket) {
	t.Helper()
	for _, n := range f.nodes {
		require.Eventually(t, func() bool {
			_, err := b.Get(t.Context(), f.keyOf(b.Name(), n.name))
			return err == nil && n.calls.Load() > 0
		}, 20*time.Second, time.Millisecond)
	}
}

func TestInvariant5_CallsInFlightAreBounded(t *testing.T) {
	f := cluster(t, 1)
	b := dial(t, f, client.WithOutstanding(4)).Bucket("carts")
	f.nodes[0].delay.Store(int64(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	outcomes := make(chan kindred.Outcome)
	for range 20 {
		go func() {
			_, err := b.Put(ctx, "alice", nil)
			outcomes <- kindred.OutcomeOf(err)
		}()
	}
	require.Eventually(t, func() bool { return f.nodes[0].calls.Load() == 4 }, 20*time.Second, time.Millisecond)
	_, err := b.Put(t.Context(), "alice", nil, client.Timeout(200*time.Millisecond))
	require.Equal(t, kindred.NotApplied, kindred.OutcomeOf(err), "it never left the queue")
	require.ErrorContains(t, err, "not sent in time")
	require.Equal(t, int64(4), f.nodes[0].calls.Load())
	cancel()
	count := map[kindred.Outcome]int{}
	for range 20 {
		count[<-outcomes]++
	}
	// A call that is given up makes room for one that is not yet.
	require.GreaterOrEqual(t, count[kindred.Unknown], 4)
	require.Equal(t, 20, count[kindred.Unknown]+count[kindred.NotApplied])
}

func TestAValueMayBeUsedAgainWhenPutReturns(t *testing.T) {
	f := cluster(t, 1)
	b := dial(t, f).Bucket("films")
	_, err := b.Put(t.Context(), "film", make([]byte, 1<<20)) // the stream is open
	require.NoError(t, err)
	f.nodes[0].freezer.freeze(true)
	value := make([]byte, 1<<20)
	for range 3 { // the stream is full: the writer is stuck with a value in its hands
		_, err = b.Put(t.Context(), "film", value, client.Timeout(50*time.Millisecond))
		require.Error(t, err)
	}
	for i := range value {
		value[i]++ // the race detector watches
	}
}

func TestEqualAttemptsInARowAreToldOnce(t *testing.T) {
	full := client.Attempt{Node: "n1", Reason: "disk_full"}
	err := &client.Error{
		Op: "put", Bucket: "carts", Key: "alice", Err: &kindred.Error{Code: kindred.CodeDiskFull, Message: "no room"},
		Attempts: []client.Attempt{full, full, {Node: "n2", Reason: "no answer in time"}, full},
	}
	require.ErrorContains(t, err, "; asked n1 (disk_full, 2 times), n2 (no answer in time), n1 (disk_full)")
}

// Nodes of before do not know what a link is: they are asked once, and then by gRPC.
func TestANodeWithoutLinksIsAskedOverGRPC(t *testing.T) {
	f := startCluster(1)
	defer f.stop()
	var dials atomic.Int64
	c, err := client.Dial(t.Context(), f.addrs(), client.WithRefresh(time.Hour), client.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}))
	require.NoError(t, err)
	defer c.Close()
	for range 20 {
		_, err := c.Bucket("carts").Put(t.Context(), "alice", nil)
		require.NoError(t, err)
	}
	require.EqualValues(t, 20, f.nodes[0].calls.Load(), "each is sent once")
	require.LessOrEqual(t, dials.Load(), int64(3), "the seed, a try, and gRPC")
}

// A node that is drained refuses for long. It is not asked again and again: each of
// these questions would cost a retry, and the budget for those would be spent.
func TestADrainedNodeIsLeftAlone(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f)
	require.NoError(t, c.Drain(t.Context(), "n1", false, false))
	for i := range 100 {
		_, err := c.Bucket("carts").Put(t.Context(), fmt.Sprint("key", i), nil)
		require.NoError(t, err)
	}
	require.Less(t, f.calls()["n1"], int64(10), "a hundred operations")
	require.NoError(t, c.Drain(t.Context(), "n1", true, false))
	require.ErrorContains(t, c.Drain(t.Context(), "n9", false, false), `no node is called "n9"`)
}
