//go:build !race

package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

// counts are what the nodes of a cluster have done, altogether or for an operation.
type counts struct {
	messages, frames, bytes float64
	// calls are system calls that read or write, of sockets and files.
	calls       float64
	allocations float64
}

// countsOf reads the metrics of all nodes, and what the system has counted for them.
func countsOf(t *testing.T, c *local.Cluster) (sum counts) {
	status, err := c.Status()
	require.NoError(t, err)
	for _, n := range status.Nodes {
		numbers, err := scrape(n.HTTP)
		require.NoError(t, err)
		for name, number := range numbers {
			family, _, _ := strings.Cut(name, "{")
			switch family {
			case "kindred_link_sent_messages_total":
				sum.messages += number
			case "kindred_link_sent_frames_total":
				sum.frames += number
			case "kindred_link_sent_bytes_total":
				sum.bytes += number
			case "go_memstats_mallocs_total":
				sum.allocations += number
			}
		}
		sum.calls += readsAndWrites(t, n.PID)
	}
	return sum
}

func readsAndWrites(t *testing.T, pid int) (calls float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if name, number, _ := strings.Cut(strings.TrimSpace(line), ": "); name == "syscr" || name == "syscw" {
			n, err := strconv.ParseFloat(number, 64)
			require.NoError(t, err)
			calls += n
		}
	}
	return calls
}

// TestWhatTheNodesDoForAnOperation keeps the books of real processes, as the ledger of
// core does of its own part. The limits are about one and a half times what was counted,
// with one caller twice: what nodes do by themselves counts too, and with many callers it
// depends on the machine how many messages share a frame.
func TestWhatTheNodesDoForAnOperation(t *testing.T) {
	value := bytes.Repeat([]byte("v"), 100)
	cluster := startCluster(t, 3)
	bucket := dial(t, cluster).Bucket("counted")
	fill(t, bucket, 1_000)
	get := anyOf(bucket, 1_000)
	for _, c := range []struct {
		what    string
		callers int
		op      func(context.Context, int64) error
		limit   counts
	}{
		{"put", 64, putter(bucket, 1, value), counts{messages: 5, frames: 0.6, bytes: 700, calls: 2.5, allocations: 80}},
		{"get", 64, get, counts{messages: 3, frames: 0.6, bytes: 450, calls: 2.5, allocations: 65}},
		{"put", 1, putter(bucket, 2, value), counts{messages: 7, frames: 6, bytes: 1_000, calls: 25, allocations: 160}},
		{"get", 1, get, counts{messages: 5, frames: 4, bytes: 800, calls: 20, allocations: 130}},
	} {
		before := countsOf(t, cluster)
		ops := float64(loadBy(t, c.callers, cluster, c.op).ops)
		after := countsOf(t, cluster)
		t.Run(fmt.Sprintf("%s, %d callers", c.what, c.callers), func(t *testing.T) {
			for _, line := range []struct {
				what                 string
				before, after, limit float64
			}{
				{"messages", before.messages, after.messages, c.limit.messages},
				{"frames", before.frames, after.frames, c.limit.frames},
				{"bytes between nodes", before.bytes, after.bytes, c.limit.bytes},
				{"reads and writes", before.calls, after.calls, c.limit.calls},
				{"allocations", before.allocations, after.allocations, c.limit.allocations},
			} {
				got := (line.after - line.before) / ops
				t.Logf("%-20s %7.2f", line.what, got)
				require.Greater(t, got, 0.0, line.what)
				require.LessOrEqual(t, got, line.limit, line.what)
			}
		})
	}
}
