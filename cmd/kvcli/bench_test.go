package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/bench/load"
	"github.com/kindredkv/kindred/client"
)

// quickly is a run of a moment.
func quickly(more ...string) []string {
	return append([]string{"bench", "--time", "300ms", "--warmup", "50ms", "--keys", "20", "--rate", "200", "--callers", "4"}, more...)
}

// shapeOf lists the places of a document and what stands there.
func shapeOf(prefix string, v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			shapeOf(prefix+"."+name, inner, into)
		}
	case []any:
		into[prefix+"[]"] = true
		for _, inner := range v {
			shapeOf(prefix+"[]", inner, into)
		}
	default:
		into[fmt.Sprintf("%s %T", prefix, v)] = true
	}
}

// TestBench holds the document of kvcli bench to its shape, in testdata: numbers
// differ from run to run, places do not. The failures of a run that failed belong
// to it.
func TestBench(t *testing.T) {
	shape := map[string]bool{}
	for _, o := range []outcome{
		runWith(t, newFakeCluster(), "", quickly("-o", "json")...),
		runWith(t, vagueCluster(), "", quickly("-o", "json", "--bucket", "vague", "--mix", "put=1")...),
	} {
		var doc any
		require.NoError(t, json.Unmarshal([]byte(o.stdout), &doc), "%s", o)
		shapeOf("", doc, shape)
	}
	var lines []string
	for place := range shape {
		lines = append(lines, strings.TrimPrefix(place, ".")+"\n")
	}
	slices.Sort(lines)
	got := strings.Join(lines, "")
	if *update {
		require.NoError(t, os.WriteFile("testdata/bench.shape", []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile("testdata/bench.shape")
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// vagueCluster has one of the keys, and tells of no write what became of it.
func vagueCluster() *fakeCluster {
	f := newFakeCluster()
	f.objects["vague/"+load.KeyName(0, 23)] = []kindred.Sibling{{Value: []byte("there")}}
	return f
}

func TestBenchTellsPeople(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.svg")
	f := newFakeCluster()
	o := runWith(t, f, "", quickly("--profile", "ycsb-f", "--svg", path, "--r", "all", "--pr", "2", "--w", "one", "--pw", "one", "--durability", "sync", "--sloppy=false", "--ttl", "1h", "--value-size", "7")...)
	require.Zero(t, o.exit, "%s", o)
	require.Contains(t, o.stdout, "ycsb-f: get=50,update=50; 20 keys scrambled:0.99; values of 7 bytes; open loop at 200/s (even), at most 4 in flight")
	require.Contains(t, o.stdout, "0 failed")
	require.Contains(t, o.stdout, "writes: durability batch")
	require.Contains(t, o.stdout, "unknown: ", "nobody listens where the fake says that its nodes are")
	require.Empty(t, o.stderr, "progress is for terminals")
	for _, s := range f.objects {
		require.Len(t, s[0].Value, 7)
		require.False(t, s[0].ExpiresAt.IsZero())
	}
	switch q := f.request; q.Op {
	case kindred.OpGet:
		require.Equal(t, kindred.CountAll, q.R)
		require.EqualValues(t, 2, q.PR)
		require.Equal(t, kindred.Strict, q.Sloppy)
	default:
		require.EqualValues(t, 1, q.W)
		require.EqualValues(t, 1, q.PW)
		require.Equal(t, kindred.Sync, q.Durability)
	}
	picture, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(picture, new(struct{})))
}

func TestARunOfFailuresAlone(t *testing.T) {
	o := runWith(t, newFakeCluster(), "", quickly("--bucket", "down")...)
	require.Equal(t, 6, o.exit)
	require.Contains(t, o.stderr, "storing the keys before the run")

	o = runWith(t, vagueCluster(), "", quickly("--bucket", "vague", "--mix", "put=1")...)
	require.Equal(t, 6, o.exit, "%s", o)
	require.Contains(t, o.stdout, "put failed: timeout, outcome unknown; for instance:")
	require.Contains(t, o.stdout, "19 keys could not be stored before the run")
	require.Contains(t, o.stderr, "all of ")
}

func TestBenchOnAClusterThatNobodyReaches(t *testing.T) {
	var errOut bytes.Buffer
	a := &app{
		in: strings.NewReader(""), out: io.Discard, errOut: &errOut, getenv: func(string) string { return "" },
		dial: func(_ context.Context, addrs []string, _ ...client.Option) (cluster, error) {
			return nil, &client.DialError{Failed: []client.DialFailure{{Addr: addrs[0], Err: errors.New("refused")}}}
		},
	}
	require.Equal(t, 6, a.run(t.Context(), append(quickly(), "--dir", "none")))
	require.Contains(t, errOut.String(), "127.0.0.1:7400: refused")
}

// An interrupt ends the run, and its report comes all the same.
func TestAnInterruptedBenchReports(t *testing.T) {
	var out bytes.Buffer
	ctx, interrupt := context.WithCancel(t.Context())
	s := newScreen(t, 80)
	a := &app{
		in: strings.NewReader(""), out: &out, errOut: s.terminal, getenv: func(string) string { return "" },
		dial: func(context.Context, []string, ...client.Option) (cluster, error) { return newFakeCluster(), nil },
	}
	go func() {
		s.await(" failed") // the first interval is over
		interrupt()
	}()
	exit := a.run(ctx, []string{"bench", "--time", "5m", "--warmup", "0s", "--keys", "20", "--rate", "100", "--dir", "none"})
	require.Zero(t, exit)
	require.Contains(t, out.String(), "The run was interrupted")
	require.Contains(t, out.String(), "p99.9")
}

// On a terminal one line is rewritten, fits, and is gone when the report comes.
func TestBenchRewritesItsLineOnATerminal(t *testing.T) {
	const width = 40
	s := newScreen(t, width)
	s.on(newFakeCluster(), noColour, quickly()...)
	shown, longest, report := s.await("exit 0."), "", ""
	for part := range strings.SplitSeq(shown, "\r") {
		if strings.Contains(part, "p50 ") && !strings.Contains(part, "\n") {
			longest = part
		}
		report = part
	}
	require.Len(t, longest, width-1, "%q", shown)
	require.True(t, strings.HasPrefix(report, "ycsb-a: "), "%q", shown)
}

// What --mix runs is no profile, and is not called by the name of one.
func TestARunWithAnotherMixSaysSo(t *testing.T) {
	for _, c := range []struct {
		flags []string
		name  string
	}{
		{[]string{"--mix", "get=80,put=20"}, "own mix"},
		{[]string{"--mix", "get=80,put=20", "--profile", "ycsb-b"}, "ycsb-b with another mix"},
		{[]string{"--profile", "ycsb-b"}, "ycsb-b"},
		{nil, "ycsb-a"},
	} {
		o := runWith(t, newFakeCluster(), "", quickly(c.flags...)...)
		require.Zero(t, o.exit, "%s", o)
		name, _, _ := strings.Cut(o.stdout, ": ")
		require.Equal(t, c.name, name)
	}
}

func TestProfilesAreListedWithTheirCredit(t *testing.T) {
	o := runWith(t, newFakeCluster(), "", "bench", "--list")
	require.Zero(t, o.exit)
	require.Contains(t, o.stdout, "twitter-54")
	require.Contains(t, o.stdout, "CC BY 4.0")
	var doc profilesDoc
	require.NoError(t, decode(runWith(t, newFakeCluster(), "", "bench", "--list", "-o", "json").stdout, &doc))
	require.Equal(t, "ycsb-a", doc.Profiles[0].Name)
	var words bytes.Buffer
	a := &app{out: &words, errOut: io.Discard}
	require.Zero(t, a.run(t.Context(), []string{"__complete", "bench", "--profile", "ycsb-"}))
	require.Contains(t, words.String(), "ycsb-f\tYCSB F: half reads, half read-modify-write\n")
}

func TestLatenciesForPeople(t *testing.T) {
	for ms, want := range map[float64]string{0: "-", 0.1234: "0.12 ms", 12.34: "12.3 ms", 1234: "1234 ms", 12340: "12.3 s"} {
		require.Equal(t, want, millis(ms))
	}
	i := load.Interval{At: 4, Seconds: 1, Operations: 12345, Failed: 2, P50: 0.5, P99: 12, Max: 300}
	require.Equal(t, "   5.0 s     12,345/s  p50 0.50 ms  p99 12.0 ms  max 300 ms  2 failed", intervalLine(&i))
}
