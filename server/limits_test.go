package server_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/server"
)

func TestAConfigIsCheckedAndCompleted(t *testing.T) {
	_, err := server.New(server.Config{})
	require.EqualError(t, err, "server: Config.Backend is nil; it is what answers")
	_, err = server.New(server.Config{Backend: newMemory(t), CallsMax: -1, IdleTimeout: -time.Second})
	require.EqualError(t, err, "server: Config.CallsMax is -1; use a positive value, or 0 for 65536\n"+
		"server: Config.IdleTimeout is -1s; use a positive value, or 0 for 5m0s")
	registry := prometheus.NewRegistry()
	_, err = server.New(server.Config{Backend: newMemory(t), Registerer: registry})
	require.NoError(t, err)
	_, err = server.New(server.Config{Backend: newMemory(t), Registerer: registry})
	require.Error(t, err, "two servers cannot share their metrics")
}

// knock opens a connection to the HTTP door and says something.
func (h *house) knock(t testing.TB, words string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))
	_, err = conn.Write([]byte(words))
	require.NoError(t, err)
	return conn
}

func TestASlowHeadIsCutOff(t *testing.T) {
	h := open(t, func(c *server.Config) { c.HeaderTimeout = 30 * time.Millisecond })
	b, err := io.ReadAll(h.knock(t, "GET /healthz HTTP/1.1\r\nHost: "))
	require.NoError(t, err)
	require.NotContains(t, string(b), "200 OK")
}

func TestASlowBodyIsCutOff(t *testing.T) {
	h := open(t, func(c *server.Config) { c.BodyTimeout = 30 * time.Millisecond })
	b, err := io.ReadAll(h.knock(t, "PUT "+alice+" HTTP/1.1\r\nHost: n1\r\nContent-Length: 10\r\n\r\nhalf"))
	require.NoError(t, err)
	require.Contains(t, string(b), "400 Bad Request")
	require.Contains(t, string(b), `"message":"the value did not arrive whole`)
	require.Empty(t, h.backend.requests(), "half a value is no value")
}

func TestABodyThatNoOneWantsIsNotWaitedForLong(t *testing.T) {
	h := open(t, func(c *server.Config) { c.BodyTimeout = 30 * time.Millisecond })
	b, err := io.ReadAll(h.knock(t, "GET "+alice+" HTTP/1.1\r\nHost: n1\r\nContent-Length: 10\r\n\r\n"))
	require.NoError(t, err, "the connection was not closed")
	require.Contains(t, string(b), "404 Not Found")
}

// A client that sends first and listens later must not find its connection
// broken instead of an answer.
func TestAClientThatOnlySendsAtFirstHearsWhyItWasRefused(t *testing.T) {
	h := open(t)
	size := kindred.ValueBytesMax + 1
	for _, head := range []string{"Content-Length: %d\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n%x\r\n"} {
		conn := h.knock(t, "PUT "+alice+" HTTP/1.1\r\nHost: n1\r\n"+fmt.Sprintf(head, size))
		_, err := conn.Write(append(make([]byte, size), "\r\n0\r\n\r\n"...))
		require.NoError(t, err)
		b := make([]byte, 1<<10)
		n, err := conn.Read(b)
		require.NoError(t, err)
		require.Contains(t, string(b[:n]), "413 Request Entity Too Large")
		require.NoError(t, conn.Close())
	}
}

func TestABodyDeadlineEndsWithTheBody(t *testing.T) {
	h := open(t, func(c *server.Config) { c.BodyTimeout = 50 * time.Millisecond })
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 1)
	conn := h.knock(t, "PUT "+alice+" HTTP/1.1\r\nHost: n1\r\nContent-Length: 1\r\n\r\nv")
	receive(t, h.backend.began)
	<-time.After(100 * time.Millisecond) // the body's deadline passes while the backend works
	close(h.backend.hold)
	b := make([]byte, 1<<10)
	n, err := conn.Read(b)
	require.NoError(t, err)
	require.Contains(t, string(b[:n]), "204 No Content")
}

func TestBodiesUnderWayAreBounded(t *testing.T) {
	h := open(t, func(c *server.Config) { c.BodyBytesMax = 10 })
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 9)
	first := make(chan answer, 1)
	go func() { first <- h.put(t, alice, "12345678") }()
	receive(t, h.backend.began)
	full := h.put(t, alice, "123")
	require.Equal(t, 503, full.status)
	require.Contains(t, full.body, `"message":"the bodies under way would take 11 bytes, the limit is 10: try again"`)
	close(h.backend.hold)
	require.Equal(t, 204, receive(t, first).status)
	require.Equal(t, 204, h.put(t, alice, "1234567890").status, "what was held is given back")
}

func TestConnectionsAreBounded(t *testing.T) {
	h := open(t, func(c *server.Config) { c.ConnectionsMax = 1 })
	const ask = "GET /healthz HTTP/1.1\r\nHost: n1\r\n\r\n"
	b := make([]byte, 1<<10)
	first := h.knock(t, ask)
	_, err := first.Read(b)
	require.NoError(t, err)
	second := h.knock(t, ask)
	require.NoError(t, second.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = second.Read(b)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it waits in the backlog")
	require.NoError(t, first.Close())
	require.NoError(t, second.SetReadDeadline(time.Now().Add(deadline)))
	n, err := second.Read(b)
	require.NoError(t, err)
	require.Contains(t, string(b[:n]), "200 OK")
}
