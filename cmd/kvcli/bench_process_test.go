package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/bench/load"
)

// TestBenchOnRealNodes: a short run against processes, and what has to add up in its
// document does.
func TestBenchOnRealNodes(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 3)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.ok("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	picture := filepath.Join(t.TempDir(), "run.svg")
	o := l.run("bench", "--mix", "get=50,put=40,delete=10", "--time", "1s", "--warmup", "200ms", "--keys", "50", "--callers", "4",
		"--value-size", "100", "--r", "2", "--pr", "1", "--w", "2", "--pw", "1", "--svg", picture, "-o", "json")
	require.Zero(t, o.exit, "%s", o)
	require.Empty(t, o.stderr)
	var r load.Report
	require.NoError(t, decode(o.stdout, &r))

	require.Equal(t, []string{"own mix", "2", "1", "2", "1"}, []string{r.Settings.Profile, r.Settings.R, r.Settings.PR, r.Settings.W, r.Settings.PW})
	require.Equal(t, r.Settings.Keys, r.Stored.Found+r.Stored.Written+r.Stored.Failed)
	require.Positive(t, r.Operations)
	var operations, failed int64
	for _, k := range r.Kinds {
		operations, failed = operations+k.Operations, failed+k.Failed
		require.InDelta(t, k.Operations, k.Latency.Count, float64(r.Settings.Callers),
			"%s: those that began before it was measured, or ended after", k.Kind)
		var failures int64
		for _, f := range k.Failures {
			failures += f.Count
		}
		require.Equal(t, k.Failed, failures, k.Kind)
		require.LessOrEqual(t, k.Latency.P50, k.Latency.P99, k.Kind)
		require.LessOrEqual(t, k.Latency.P99, k.Latency.Max, k.Kind)
	}
	require.Equal(t, r.Operations, operations)
	require.Equal(t, r.Failed, failed)
	require.GreaterOrEqual(t, r.Client.Attempts, uint64(r.Operations), "each takes an attempt at least")
	require.InEpsilon(t, float64(r.Operations)/r.Seconds, r.Throughput, 0.01)
	require.Len(t, r.CPU.Processes, 4, "three nodes and the load itself")

	svg, err := os.ReadFile(picture)
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(svg, new(struct{})))
	require.Contains(t, string(svg), "own mix: ")
}
