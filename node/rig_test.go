package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
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
	for _, addr := range []*string{&cfg.ClientAddr, &cfg.PeerAddr, &cfg.GossipAddr, &cfg.HTTPAddr} {
		*addr = freeAddr(t)
	}
	return cfg
}

// freeAddr is an address that was free for TCP and UDP a moment ago.
func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func start(t *testing.T, cfg Config) *Node {
	n, err := Start(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.Stop(context.Background()) })
	return n
}

func awaitReady(t *testing.T, nodes ...*Node) {
	for _, n := range nodes {
		require.Eventually(t, func() bool { return n.Local().Ready }, patience, 10*time.Millisecond, "%v", n.Local().Reason)
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
