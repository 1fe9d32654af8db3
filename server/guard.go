package server

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/security"
)

// guard stands in both doors once there is TLS: whoever shows neither a
// certificate nor a token learns that the node lives, and nothing else.
type guard struct {
	*Server
	keeper *security.Keeper
}

// guard is what stands in the doors, nil in plain text.
func (s *Server) guard() *guard {
	if s.cfg.Security == nil || !s.cfg.Security.TLS() {
		return nil
	}
	return &guard{s, s.cfg.Security}
}

// admit says why a caller is refused, nil if he is not.
func (g *guard) admit(state *tls.ConnectionState, authorization, from string) *kindred.Error {
	_, err := g.keeper.Caller(state, authorization)
	if err == nil {
		return nil
	}
	if g.strangers.Met(time.Now(), err.Error()) {
		g.cfg.Logger.Warn("refused a caller", "from", from, "reason", err.Error())
	}
	return &kindred.Error{Code: kindred.CodeUnauthenticated, Outcome: kindred.NotApplied, Message: err.Error()}
}

// openMethods begins the names of the gRPC methods that everybody may call.
const openMethods = "/grpc.health.v1.Health/"

// openPath reports whether everybody may get an HTTP path.
func openPath(path string) bool { return path == "/healthz" || path == "/readyz" }

// admitCall is admit for a gRPC call.
func (g *guard) admitCall(ctx context.Context) *kindred.Error {
	var state *tls.ConnectionState
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			state = &info.State
		}
	}
	header := metadata.ValueFromIncomingContext(ctx, "authorization")
	return g.admit(state, strings.Join(header, ","), callerOf(ctx))
}

// callerOf is the address of who calls.
func callerOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr.String()
	}
	return ""
}

// options are what gRPC has to know of the guard.
func (g *guard) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ReadBufferSize(0), // TLS reads whole records into memory of its own; more would only be idle
		grpc.InTapHandle(g.tap), grpc.ChainStreamInterceptor(g.stream),
	}
}

// tap judges a call by its head: what a stranger sends besides is not kept, which
// gRPC would do before it asks an interceptor.
func (g *guard) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if strings.HasPrefix(info.FullMethodName, openMethods) {
		return ctx, nil
	}
	if bad := g.admitCall(ctx); bad != nil {
		return ctx, api.Status(bad).Err()
	}
	return ctx, nil
}

func (g *guard) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if strings.HasPrefix(info.FullMethod, openMethods) {
		return handle(srv, stream)
	}
	reading, writing, err := g.passes(func() *kindred.Error { return g.admitCall(stream.Context()) })
	if err != nil {
		return err
	}
	return handle(srv, &guarded{stream, reading, writing})
}

// passes are for what reads and what writes, two goroutines. Their errors are gRPC's.
func (g *guard) passes(admit func() *kindred.Error) (reading, writing *security.Pass, err error) {
	judge := func() error {
		if bad := admit(); bad != nil {
			return api.Status(bad).Err()
		}
		return nil
	}
	if reading, err = g.keeper.NewPass(judge); err != nil {
		return nil, nil, err
	}
	writing, err = g.keeper.NewPass(judge)
	return reading, writing, err
}

// guarded is a stream that ends once its caller is no longer let in: a pipeline
// lives for days. Reading and writing are two goroutines.
type guarded struct {
	grpc.ServerStream
	reading, writing *security.Pass
}

// RecvMsg implements grpc.ServerStream.
func (s *guarded) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.reading.Valid()
}

// SendMsg implements grpc.ServerStream.
func (s *guarded) SendMsg(m any) error {
	if err := s.writing.Valid(); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}

// http lets only those through to h who may, and everybody to the open paths.
func (g *guard) http(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if openPath(rawPath(r.URL)) {
			h.ServeHTTP(w, r)
			return
		}
		if bad := g.admit(r.TLS, strings.Join(r.Header.Values("Authorization"), ","), r.RemoteAddr); bad != nil {
			forget(r)
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(min(strangerTimeout, g.cfg.AnswerTimeout)))
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeError(w, http.StatusUnauthorized, bad)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Refused is the number of callers who were refused at either door.
func (s *Server) Refused() uint64 { return s.strangers.Count() }
