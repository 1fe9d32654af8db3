package server

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/kindredkv/kindred"
)

// headerTrace and metadataTrace tell a client by which name the log of the node
// knows a request: its own request id where it gave one, else one of ours.
const (
	headerTrace   = "X-Request-Id"
	metadataTrace = "x-request-id"
)

type traceKey struct{}

// traced is a context whose request has a name, and that name.
func traced(ctx context.Context, id kindred.RequestID) (context.Context, string) {
	if id.IsZero() {
		binary.BigEndian.PutUint64(id[:8], rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	}
	name := id.String()
	return context.WithValue(ctx, traceKey{}, name), name
}

// requestID is what the client knows a request by; empty in a pipeline, for a
// call without a request id.
func requestID(ctx context.Context, req *kindred.Request) string {
	if name, ok := ctx.Value(traceKey{}).(string); ok {
		return name
	}
	if req == nil || req.RequestID.IsZero() {
		return ""
	}
	return req.RequestID.String()
}

// traceCall names a gRPC call; a call that fails says the name in its trailer.
func traceCall(ctx context.Context, req *kindred.Request) (context.Context, func()) {
	var id kindred.RequestID
	if req != nil {
		id = req.RequestID
	}
	ctx, name := traced(ctx, id)
	return ctx, func() { _ = grpc.SetTrailer(ctx, metadata.Pairs(metadataTrace, name)) }
}

// logFailure tells of a failed request. What the node itself did wrong is an
// error. The rest is the client's or the cluster's doing: metrics count it, and a
// line for each, when most requests fail, would cost more than it tells.
func (s *Server) logFailure(op kindred.Op, request string, err *kindred.Error) {
	level := slog.LevelDebug
	if err.Code == kindred.CodeInternal {
		level = slog.LevelError
	}
	ctx := context.Background()
	if s.cfg.Logger.Enabled(ctx, level) {
		s.cfg.Logger.LogAttrs(ctx, level, "request failed", slog.String("request", request), slog.String("op", opName(op)),
			slog.String("code", string(err.Code)), slog.String("field", err.Field),
			slog.String("outcome", err.Outcome.String()), slog.String("dot", err.Dot), slog.String("error", err.Error()))
	}
}
