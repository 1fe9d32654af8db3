package server_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/server"
)

// stopped are clients that ask for a large value and read no byte of it.
func (h *house) stopped(t *testing.T, n int) (all []net.Conn) {
	for range n {
		conn := h.knock(t, "GET "+alice+" HTTP/1.1\r\nHost: n1\r\n\r\n")
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4<<10))
		all = append(all, conn)
	}
	return all
}

// shows waits until a line is among the metrics.
func (h *house) shows(t *testing.T, line string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(h.get(t, "/metrics").body, line+"\n") },
		deadline, 5*time.Millisecond, line)
}

// Invariant 3: those who do not read hold what they asked for, up to a limit;
// nobody else has to wait.
func TestClientsThatStopReadingHarmNoOne(t *testing.T) {
	const size = kindred.ValueBytesMax
	h := open(t, func(c *server.Config) { c.AnswerBytesMax, c.AnswerTimeout = 4*size, time.Hour })
	h.put(t, alice, strings.Repeat("v", size))
	h.put(t, "/v1/buckets/carts/keys/bob", "tea")
	stopped := h.stopped(t, 4)
	h.shows(t, fmt.Sprintf("kindred_http_answer_bytes %v", float64(4*size)))

	full := h.get(t, alice)
	require.Equal(t, 503, full.status, "the budget of answers is spent")
	require.Equal(t, `{"error":{"code":"overloaded","message":"the answers under way would take 41943040 bytes, the limit is 33554432: try again",`+
		`"field":"","limit":33554432,"outcome":"not_applied","dot":""}}`+"\n", full.body)
	require.Equal(t, "1", full.header.Get("Retry-After"))
	require.Equal(t, answer{200, nil, "tea"}, strip(h.get(t, "/v1/buckets/carts/keys/bob")), "small answers go out all the same")
	require.Equal(t, 204, h.put(t, alice+"x", "v").status)

	for _, conn := range stopped {
		require.NoError(t, conn.Close())
	}
	h.shows(t, "kindred_http_answer_bytes 0")
	require.Len(t, h.get(t, alice).body, size, "those who stopped have gone, and all is as before")
}

// Who begins to read and stops is cut off in the end.
func TestAClientThatStopsReadingIsCutOff(t *testing.T) {
	const size = kindred.ValueBytesMax // more than the system takes off our hands
	h := open(t, func(c *server.Config) { c.AnswerTimeout = 100 * time.Millisecond })
	h.put(t, alice, strings.Repeat("v", size))
	conn := h.stopped(t, 1)[0]
	_, err := conn.Read(make([]byte, 1))
	require.NoError(t, err)
	h.shows(t, "kindred_http_answer_bytes 0")
}

// A hundred clients that read a little now and then take memory by the budget, and no
// one's turn.
func TestManySlowClientsHarmNoOne(t *testing.T) {
	h := open(t, func(c *server.Config) { c.AnswerTimeout = time.Second })
	h.put(t, alice, strings.Repeat("v", 1<<20))
	h.stopped(t, 100)
	for range 50 {
		began := time.Now()
		require.Equal(t, 404, h.get(t, "/v1/buckets/carts/keys/nobody").status)
		require.Less(t, time.Since(began), deadline/4)
	}
	h.shows(t, "kindred_http_answer_bytes 0")
}
