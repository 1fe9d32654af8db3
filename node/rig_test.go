package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/local"
)

// patience is how long a test waits for something that should happen at once.
const patience = 20 * time.Second

// logBook keeps what a node logged.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// config is a node on free ports of loopback with a folder of its own.
func config(t *testing.T, name string) Config {
	cfg := DefaultConfig()
	cfg.Name, cfg.DataDir, cfg.Expect, cfg.Partitions = name, t.TempDir(), 1, 16
	cfg.Logger = slog.New(slog.DiscardHandler)
	base := freePorts(t)
	for i, addr := range []*string{&cfg.ClientAddr, &cfg.PeerAddr, &cfg.GossipAddr, &cfg.HTTPAddr} {
		*addr = fmt.Sprintf("127.0.0.1:%d", base+i)
	}
	return cfg
}

// configs counts those that these tests have made.
var configs atomic.Int32

// freePorts finds ports for one node from 29000 to 31000, where the tests of no other
// package look and from which no system takes ports for connections: nobody takes
// them before the node does, or while it is restarted.
func freePorts(t *testing.T) int {
	const places = 200
	place := (20*os.Getpid() + int(configs.Add(1))) % places
	base, err := local.FreeBasePort(1, 29000+local.PortsPerNode*place)
	require.NoError(t, err)
	return base
}

// start starts a node that records, if the test does not say where, and replays what
// it has recorded once it has ended: whatever these tests bring about is done again.
func start(t *testing.T, cfg Config) *Node {
	if cfg.Record == "" {
		cfg.Record = t.TempDir()
	}
	n, err := Start(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = n.Stop(context.Background())
		replayed(t, cfg.Record)
	})
	return n
}

func awaitReady(t *testing.T, nodes ...*Node) {
	for _, n := range nodes {
		require.Eventually(t, func() bool { return n.Local().Ready }, patience, 10*time.Millisecond, "%v", n.Local().Reason)
	}
}

// awaitLinks waits until each node can send to all others: one that is ready may
// still be calling some of them.
func awaitLinks(t *testing.T, nodes ...*Node) {
	for _, n := range nodes {
		require.Eventually(t, func() bool {
			up := 0
			for _, l := range n.transport.Stats() {
				if l.Linked {
					up++
				}
			}
			return up == 2*(len(nodes)-1) // both lanes
		}, patience, 10*time.Millisecond)
	}
}

// do runs one operation to its end.
func do(t *testing.T, n *Node, req kindred.Request) *kindred.Response {
	answer := make(chan *kindred.Response, 2)
	req.Bucket = "b"
	n.Do(&req, func(r *kindred.Response) { answer <- r })
	select {
	case r := <-answer:
		require.Empty(t, answer, "answered twice")
		return r
	case <-time.After(patience):
		t.Fatalf("%v has no answer", req.Op)
		return nil
	}
}

func put(key, value string) kindred.Request {
	return kindred.Request{Op: kindred.OpPut, Key: key, Value: []byte(value)}
}

func get(key string) kindred.Request { return kindred.Request{Op: kindred.OpGet, Key: key} }

func values(r *kindred.Response) string {
	if r.Err != nil {
		return r.Err.Error()
	}
	var all []string
	for _, s := range r.Siblings {
		all = append(all, string(s.Value))
	}
	return fmt.Sprint(all)
}
