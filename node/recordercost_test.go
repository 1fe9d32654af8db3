package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// BenchmarkRecording is what a put and a get of 100 bytes cost a node of a cluster of
// one, without and with a recording: without doors and links, which cost most of an
// operation, so that the ratio is larger than that of a cluster. The two take turns.
func BenchmarkRecording(b *testing.B) {
	var nodes [2]*Node
	for i := range nodes {
		cfg := DefaultConfig()
		cfg.Name, cfg.DataDir, cfg.Expect, cfg.Partitions, cfg.Replicas, cfg.Shards = "n1", b.TempDir(), 1, 16, 1, 2
		cfg.Logger = slog.New(slog.DiscardHandler)
		for _, addr := range []*string{&cfg.ClientAddr, &cfg.PeerAddr, &cfg.GossipAddr, &cfg.HTTPAddr} {
			*addr = "127.0.0.1:0"
		}
		if i == 1 {
			cfg.Record = filepath.Join(b.TempDir(), "rec")
		}
		n, err := Start(context.Background(), cfg)
		require.NoError(b, err)
		defer n.Stop(context.Background())
		require.NoError(b, n.AwaitReady(context.Background()))
		nodes[i] = n
	}
	const turn, callers = 4000, 64
	value := bytes.Repeat([]byte("v"), 100)
	var spent [2]time.Duration
	done := 0
	for b.Loop() {
		for i, n := range nodes {
			before := cpuTime(b)
			answers := make(chan *kindred.Response, callers)
			for k := range turn + callers {
				if k >= callers {
					require.Nil(b, (<-answers).Err)
				}
				if k >= turn {
					continue
				}
				req := kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: fmt.Sprint(k / 2 % 1000)}
				if k%2 == 0 {
					req.Op, req.Value = kindred.OpPut, value
				}
				n.Do(&req, func(r *kindred.Response) { answers <- r })
			}
			spent[i] += cpuTime(b) - before
		}
		done += turn
	}
	b.ReportMetric(float64(spent[0].Microseconds())/float64(done), "cpu-µs/op-off")
	b.ReportMetric(float64(spent[1].Microseconds())/float64(done), "cpu-µs/op-on")
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "on/off")
}

// cpuTime is what this process has taken.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
