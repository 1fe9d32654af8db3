package server_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/server"
)

// book keeps log lines.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// failures are the failed requests in it, oldest first.
func (b *book) failures(t *testing.T) (lines []map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.text.String()) {
		var fields map[string]string
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		if fields["msg"] == "request failed" {
			lines = append(lines, fields)
		}
	}
	return lines
}

func logged(t *testing.T, level slog.Level) (*house, *book) {
	b := &book{}
	return open(t, func(c *server.Config) {
		c.Logger = slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: level}))
	}), b
}

// The line of a failed request carries the id that the client sees: its own, or
// the one that the answer names.
func TestALogLineCarriesTheClientsRequestID(t *testing.T) {
	h, b := logged(t, slog.LevelDebug)
	h.backend.fail = &kindred.Error{Code: kindred.CodeUnavailable, Outcome: kindred.Unknown, Dot: "a:1", Message: "one of two answered"}

	const own = "000102030405060708090a0b0c0d0e0f"
	got := h.put(t, alice, "v", "Kindred-Request-Id", own)
	require.Equal(t, own, got.header.Get("X-Request-Id"))
	read := h.get(t, alice)
	require.Regexp(t, "^[0-9a-f]{32}$", read.header.Get("X-Request-Id"))
	again := h.get(t, alice)
	require.NotEqual(t, read.header.Get("X-Request-Id"), again.header.Get("X-Request-Id"))
	malformed := h.get(t, alice+"?r=99")

	var trailer metadata.MD
	_, err := h.kv(t).Get(within(t), getAlice(), grpc.Trailer(&trailer))
	require.Error(t, err)

	lines := b.failures(t)
	require.Len(t, lines, 5)
	for i, id := range []string{own, read.header.Get("X-Request-Id"), again.header.Get("X-Request-Id"),
		malformed.header.Get("X-Request-Id"), strings.Join(trailer.Get("x-request-id"), "")} {
		require.Equal(t, id, lines[i]["request"], "line %d: %v", i, lines[i])
	}
	require.Equal(t, "put", lines[0]["op"])
	require.Equal(t, "unknown", lines[0]["outcome"])
	require.Equal(t, "a:1", lines[0]["dot"])
	require.Equal(t, "invalid", lines[3]["code"])
	require.Equal(t, "DEBUG", lines[0]["level"])
}

// At the usual level a node tells of its own faults only.
func TestOurFaultsAreErrors(t *testing.T) {
	h, b := logged(t, slog.LevelInfo)
	for _, code := range []kindred.Code{kindred.CodeUnavailable, kindred.CodeOverloaded, kindred.CodeInternal} {
		h.backend.fail = &kindred.Error{Code: code, Outcome: kindred.NotApplied, Message: "for a test"}
		h.get(t, alice)
	}
	lines := b.failures(t)
	require.Len(t, lines, 1)
	require.Equal(t, "internal", lines[0]["code"])
	require.Equal(t, "ERROR", lines[0]["level"])
}
