package client_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// spansOf has what a client traced.
func spansOf() (*tracetest.SpanRecorder, client.Option) {
	r := tracetest.NewSpanRecorder()
	return r, client.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r)))
}

// attributes of a span, as text.
func attributes(s sdktrace.ReadOnlySpan) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes() {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

func TestAnUpdateIsASpanAroundItsGetAndItsPut(t *testing.T) {
	recorder, option := spansOf()
	b := dial(t, cluster(t, 3), option).Bucket("carts")
	_, err := b.Update(t.Context(), "alice@example.org", adding("a secret"))
	require.NoError(t, err)

	spans := recorder.Ended()
	require.Len(t, spans, 3)
	get, put, update := spans[0], spans[1], spans[2]
	require.Equal(t, "get carts", get.Name())
	require.Equal(t, "put carts", put.Name())
	require.Equal(t, "update carts", update.Name())
	require.Equal(t, update.SpanContext().SpanID(), get.Parent().SpanID())
	require.Equal(t, update.SpanContext().SpanID(), put.Parent().SpanID())
	require.Len(t, attributes(put)["kindred.request_id"], 32)
	require.Equal(t, "carts", attributes(get)["db.collection.name"])
	require.Equal(t, "attempt", get.Events()[0].Name)
	for _, s := range spans {
		told := s.Name()
		for k, v := range attributes(s) {
			told += k + v
		}
		require.NotContains(t, told, "alice", "keys and values stay out of traces")
		require.NotContains(t, told, "secret")
	}
}

func TestASpanTellsOfEveryAttemptAndWhatIsKnownAtTheEnd(t *testing.T) {
	t.Parallel()
	recorder, option := spansOf()
	f := cluster(t, 3)
	for _, n := range f.nodes {
		n.refusal.Store(&kindred.Error{Code: kindred.CodeUnavailable, Message: "alice is not here", Outcome: kindred.NotApplied})
	}
	b := dial(t, f, option).Bucket("carts")
	_, err := b.Put(t.Context(), "alice", nil, client.Timeout(untilExhausted))
	var failed *client.Error
	require.ErrorAs(t, err, &failed)

	put := recorder.Ended()[0]
	require.Equal(t, codes.Error, put.Status().Code)
	require.NotContains(t, put.Status().Description, "alice")
	require.Equal(t, "unavailable", attributes(put)["error.type"])
	require.Equal(t, "not_applied", attributes(put)["kindred.outcome"])
	asked, kinds := 0, ""
	for _, e := range put.Events() {
		if e.Name == "attempt" {
			asked++
			kinds += e.Attributes[1].Value.AsString() + " "
		}
	}
	require.Len(t, failed.Attempts, asked)
	require.True(t, strings.HasPrefix(kinds, "ask retry "), kinds)
}

func TestABatchAndAScanAreTraced(t *testing.T) {
	recorder, option := spansOf()
	b := dial(t, cluster(t, 1), option).Bucket("carts")
	_, err := b.Batch(t.Context(), []client.Operation{{Op: kindred.OpPut, Key: "a"}, {Op: kindred.OpPut, Key: "b"}})
	require.NoError(t, err)
	spans := recorder.Ended()
	require.Len(t, spans, 3)
	require.Equal(t, "batch carts", spans[2].Name())
	require.Equal(t, "2", attributes(spans[2])["db.operation.batch.size"])

	for _, err := range b.Scan(t.Context()) {
		require.NoError(t, err)
	}
	require.Equal(t, "scan carts", recorder.Ended()[3].Name())
}

func TestMetricsCountWhatHappened(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	f := cluster(t, 3)
	c := dial(t, f, client.WithMetrics(registry), client.WithoutHedging())
	b := c.Bucket("carts")
	for range 2 {
		_, err := b.Put(t.Context(), "alice", nil)
		require.NoError(t, err)
	}
	_, err := b.Get(t.Context(), "alice")
	require.NoError(t, err)
	for _, n := range f.nodes {
		n.refusal.Store(&kindred.Error{Code: kindred.CodeInvalid, Message: "no", Outcome: kindred.NotApplied})
	}
	_, err = b.Get(t.Context(), "alice")
	require.Error(t, err)

	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP kindred_client_failures_total Operations that failed, with what is known of their effect.
# TYPE kindred_client_failures_total counter
kindred_client_failures_total{code="invalid",op="get",outcome="not_applied"} 1
# HELP kindred_client_in_flight Calls that wait for an answer.
# TYPE kindred_client_in_flight gauge
kindred_client_in_flight 0
# HELP kindred_client_operations_total Gets, puts and deletes asked for.
# TYPE kindred_client_operations_total counter
kindred_client_operations_total 4
# HELP kindred_client_siblings_total Gets that found concurrent values.
# TYPE kindred_client_siblings_total counter
kindred_client_siblings_total 1
`), "kindred_client_failures_total", "kindred_client_in_flight", "kindred_client_operations_total", "kindred_client_siblings_total"))
	count, err := testutil.GatherAndCount(registry, "kindred_client_operation_seconds")
	require.NoError(t, err)
	require.Equal(t, 2, count, "get and put")

	guide, err := os.ReadFile("../docs/go.md")
	require.NoError(t, err)
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, m := range families {
		row := regexp.MustCompile("(?m)^\\| `" + m.GetName() + "` \\| " + strings.ToLower(m.GetType().String()) + " \\|.*\\| " + regexp.QuoteMeta(m.GetHelp()) + " \\|$")
		require.Regexp(t, row, string(guide))
	}
	require.Equal(t, strings.Count(string(guide), "\n| `kindred_client_"), len(families))
}

func TestClientsOfOneProcessNeedLabelsForTheirMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	named := func(name string) client.Option {
		return client.WithMetrics(prometheus.WrapRegistererWith(prometheus.Labels{"client": name}, registry))
	}
	f := cluster(t, 1)
	first := dial(t, f, named("first"))
	for _, option := range []client.Option{named("first"), client.WithMetrics(registry)} {
		_, err := client.Dial(t.Context(), f.addrs(), option)
		require.ErrorContains(t, err, "prometheus.WrapRegistererWith")
		require.True(t, kindred.HasCode(err, kindred.CodeInvalid))
	}
	dial(t, f, named("second"))

	require.NoError(t, first.Close())
	third := dial(t, f, named("first"))
	require.NoError(t, first.Close(), "a second Close takes nothing from the client that came after")
	count, err := testutil.GatherAndCount(registry, "kindred_client_in_flight")
	require.NoError(t, err)
	require.Equal(t, 2, count)
	require.NoError(t, third.Close())
}

func TestAMergeThatFailsIsAnErrorOfItsSpan(t *testing.T) {
	recorder, option := spansOf()
	b := dial(t, cluster(t, 1), option).Bucket("carts")
	_, err := b.Update(context.Background(), "alice", func([][]byte) ([]byte, error) { return nil, errors.New("no room") })
	require.EqualError(t, err, "no room")
	require.Equal(t, "other", attributes(recorder.Ended()[1])["error.type"])
}

// BenchmarkWatched is a put that nobody watches, one that is counted and timed, and
// one that is traced by a provider that drops it.
func BenchmarkWatched(b *testing.B) {
	for _, watch := range []struct {
		name string
		opts []client.Option
	}{
		{"off", nil},
		{"metrics", []client.Option{client.WithMetrics(prometheus.NewRegistry())}},
		{"dropped spans", []client.Option{client.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())))}},
	} {
		b.Run(watch.name, func(b *testing.B) {
			c, err := client.Dial(b.Context(), []string{startEcho(b).addr}, watch.opts...)
			require.NoError(b, err)
			defer c.Close()
			bucket, value := c.Bucket("bench"), make([]byte, benchBytes)
			callers(b, func(ctx context.Context) error {
				_, err := bucket.Put(ctx, "some-key", value)
				return err
			})
		})
	}
}
