package transport_test

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/transport"
)

// quiet is a logger for tests that do not read the log.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// listen starts a transport on loopback that is closed with the test.
func listen(t testing.TB, name string, receive func(string, transport.Batch), options ...func(*transport.Config)) *transport.Transport {
	t.Helper()
	cfg := transport.Config{Name: name, Addr: "127.0.0.1:0", Receive: receive, Logger: quiet()}
	for _, o := range options {
		o(&cfg)
	}
	tr, err := transport.Listen(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { tr.Close() })
	return tr
}

// meet makes two transports, n1 and n2, peers of each other and waits for the
// links.
func meet(t testing.TB, one, two *transport.Transport) {
	t.Helper()
	one.SetPeers(map[string]string{"n2": two.Addr()})
	two.SetPeers(map[string]string{"n1": one.Addr()})
	eventually(t, func() bool { return one.Linked("n2") && two.Linked("n1") })
}

func eventually(t testing.TB, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, 10*time.Second, time.Millisecond)
}
