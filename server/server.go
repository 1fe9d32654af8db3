package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/security"
)

// Server is both doors of a node.
type Server struct {
	cfg     Config
	calls   *gate // operations inside the backend
	streams *gate // pipelines and scans
	metrics *metrics
	grpc    *grpc.Server
	health  *health.Server
	http    *http.Server
	// draining is closed when Shutdown begins.
	draining chan struct{}
	shut     atomic.Bool
	watching atomic.Bool
	// bodyBytes and answerBytes are held for HTTP bodies and answers under way.
	bodyBytes, answerBytes atomic.Int64
	// grpcAnswerBytes are held for gRPC answers, see account and unread.
	grpcAnswerBytes atomic.Int64
	strangers       security.Strangers
	// links are the native links.
	links links
}

// New makes a server. It listens to nothing yet.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		calls:    newGate("operations under way", cfg.CallsMax),
		streams:  newGate("open pipelines and scans", cfg.StreamsMax),
		draining: make(chan struct{}),
	}
	s.metrics = newMetrics(s)
	if err := s.metrics.register(cfg.Registerer); err != nil {
		return nil, err
	}
	s.health = newHealth()
	s.grpc = s.newGRPC()
	s.http = s.newHTTP()
	return s, nil
}

// ServeGRPC answers on l, gRPC and native links, until Shutdown, and closes it; it then returns nil.
func (s *Server) ServeGRPC(l net.Listener) error {
	s.watchReadiness()
	err := s.grpc.Serve(accounts{limitConnections(l, s.cfg.ConnectionsMax), s})
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// ServeHTTP answers on l until Shutdown, and closes it; it then returns nil.
func (s *Server) ServeHTTP(l net.Listener) error {
	l = limitConnections(l, s.cfg.ConnectionsMax)
	var err error
	if s.guard() != nil {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// lingerMax is how long a drain waits for streams that are not ours to finish
// (health watches, reflection) once nothing of ours runs.
const lingerMax = time.Second

// Shutdown drains: it accepts no more connections, answers new requests with
// "stopping", tells health checks, and waits for what runs. When ctx ends first
// it closes the rest and returns the context's error; those calls may still be
// running in the backend. A second Shutdown returns at once.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.shut.Swap(true) {
		return nil
	}
	s.calls.close()
	s.streams.close()
	s.health.Shutdown()
	close(s.draining)

	httpDone := make(chan error, 1)
	go func() { httpDone <- s.http.Shutdown(ctx) }()
	err := s.drainGRPC(ctx)
	if e := <-httpDone; e != nil {
		err = errors.Join(err, e, s.http.Close())
	}
	return err
}

func (s *Server) drainGRPC(ctx context.Context) error {
	graceful := make(chan struct{})
	go func() {
		s.grpc.GracefulStop() // and no connection becomes a link any more
		s.links.serving.Wait()
		close(graceful)
	}()
	for _, idle := range []chan struct{}{s.calls.idle, s.streams.idle} {
		select {
		case <-idle:
		case <-ctx.Done():
			return s.stopGRPC(ctx, graceful)
		}
	}
	linger, cancel := context.WithTimeout(ctx, lingerMax)
	defer cancel()
	select {
	case <-graceful:
		return nil
	case <-linger.Done():
		return s.stopGRPC(ctx, graceful)
	}
}

// stopGRPC closes what is still open; that is an error only if ctx ended.
func (s *Server) stopGRPC(ctx context.Context, graceful chan struct{}) error {
	s.links.closeAll()
	s.grpc.Stop()
	s.links.closeAll() // those that were just greeting
	<-graceful
	return ctx.Err()
}

// local is the backend's view, corrected by what the server knows.
func (s *Server) local() kindred.Local {
	l := s.cfg.Backend.Local()
	if s.shut.Load() {
		l.Ready, l.Reason = false, "the node is shutting down"
	}
	return l
}

// whole is local with what the node knows of its replicas.
func (s *Server) whole() kindred.Local {
	l, r := s.local(), s.cfg.Backend.Replication()
	l.Replication = &r
	return l
}

// repair passes on an order.
func (s *Server) repair(partition int) (int, *kindred.Error) {
	if s.cfg.Repairs == nil {
		return 0, kindred.Invalid("repair", "this node takes no orders for repairs")
	}
	return s.cfg.Repairs.Repair(partition)
}
