package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/api/native"
)

// grpcFor is how long a node that does not speak the native link is left alone with
// it: after that, the next stream to it begins with a try.
const grpcFor = time.Minute

// openStream opens a native link, or a gRPC stream where there is none. Whoever was
// reached and does not greet may be an older node or something on the way, if it
// speaks gRPC, or else a node in trouble.
func (n *node) openStream(ctx context.Context) (stream, error) {
	var silent error
	if n.wantsLink(time.Now()) {
		s, err := n.openLink(ctx)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, native.ErrNoGreeting) {
			return nil, err
		}
		silent = err
	}
	s, err := kindredv1.NewKVClient(n.connection()).Pipeline(ctx)
	if err != nil {
		return nil, err
	}
	if silent != nil {
		n.settings.log.Info("a node does not speak the native link: gRPC takes its place", "node", n.name, "addr", n.addr, "reason", silent.Error())
		n.mu.Lock()
		n.grpcUntil = time.Now().Add(grpcFor)
		n.mu.Unlock()
	}
	return &grpcStream{stream: s}, nil
}

func (n *node) wantsLink(now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.settings.grpcOnly && !now.Before(n.grpcUntil)
}

// grpcStream is a pipeline of kindred.v1.
type grpcStream struct {
	stream  kindredv1.KV_PipelineClient
	message kindredv1.PipelineRequest
	results []native.Result
}

// Send implements stream.
func (s *grpcStream) Send(calls []*call) error {
	for _, c := range calls {
		s.message.Calls = append(s.message.Calls, api.FormatCall(c.id, &c.req))
	}
	defer func() {
		clear(s.message.Calls)
		s.message.Calls = s.message.Calls[:0]
	}()
	return s.stream.Send(&s.message)
}

// Recv implements stream.
func (s *grpcStream) Recv() ([]native.Result, error) {
	clear(s.results)
	s.results = s.results[:0]
	m, err := s.stream.Recv()
	if err != nil {
		return nil, inOrder(err)
	}
	for _, r := range m.GetResults() {
		s.results = append(s.results, native.Result{ID: r.GetId(), Response: api.ParseResult(r)})
	}
	return s.results, nil
}

// CloseSend implements stream.
func (s *grpcStream) CloseSend() error { return s.stream.CloseSend() }

// Limit implements stream. gRPC holds back what the node does not want.
func (s *grpcStream) Limit() int { return 0 }

// inOrder marks what a node says when it has answered all that it let in: that it is
// stopping, that it takes no further stream, or none for this cluster. Who is no longer known to it may have
// calls whose answers it keeps to itself.
func inOrder(err error) error {
	if err == io.EOF {
		return err
	}
	switch e := api.ErrorOf(err); {
	case e.Outcome != kindred.NotApplied:
	case e.Code == kindred.CodeStopping, e.Code == kindred.CodeOverloaded, e.Code == kindred.CodeWrongCluster:
		return orderly{err}
	}
	return err
}

// orderly is the reason that a node gave for an end in order.
type orderly struct{ error }

// Unwrap lets errors.Is and errors.As see both.
func (e orderly) Unwrap() []error { return []error{e.error, errInOrder} }

// linkStream is a native link. What it says of failures, it says in gRPC's words:
// whoever reads them knows one way of putting it.
type linkStream struct {
	node   *node
	link   *native.Link
	calls  int
	ctx    context.Context
	silent atomic.Bool   // a ping was not answered
	broken atomic.Value  // the error of the first Send that failed
	ending func() bool   // takes back what ends the link with its context
	ended  chan struct{} // closed when that was done
	once   sync.Once
}

// openLink dials and greets. The error wraps native.ErrNoGreeting if somebody was
// reached who does not greet.
func (n *node) openLink(parent context.Context) (*linkStream, error) {
	ctx, cancel := context.WithTimeout(parent, handshakeMax)
	defer cancel()
	conn, err := dialLink(ctx, n.addr, n.settings)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	authorization := ""
	if n.settings.token != "" {
		authorization = "Bearer " + n.settings.token
	}
	link, hello, err := native.Open(conn, authorization, n.wantedCluster())
	if !stop() && err == nil { // it came too late
		err = fmt.Errorf("%w: %w", native.ErrNoGreeting, ctx.Err())
	}
	if err != nil {
		conn.Close()
		return nil, spoken(err)
	}
	s := &linkStream{node: n, link: link, calls: hello.CallsMax, ctx: parent, ended: make(chan struct{})}
	n.mu.Lock()
	if n.links == nil {
		n.links = map[*linkStream]bool{}
	}
	n.links[s] = true
	n.mu.Unlock()
	s.ending = context.AfterFunc(parent, func() {
		s.link.Close()
		close(s.ended)
	})
	return s, nil
}

// dialLink connects, under TLS where that is asked for.
func dialLink(ctx context.Context, addr string, s *settings) (net.Conn, error) {
	dial := s.dial
	if dial == nil {
		dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}
	}
	raw, err := dial(ctx, addr)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "connection error: desc = \"transport: Error while dialing: %v\"", err)
	}
	if s.tls == nil {
		return raw, nil
	}
	config := s.tls.Clone()
	config.NextProtos = []string{native.Protocol, "h2"}
	if config.ServerName == "" {
		config.ServerName = addr
		if host, _, err := net.SplitHostPort(addr); err == nil {
			config.ServerName = host
		}
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, status.Errorf(codes.Unavailable, "connection error: desc = \"transport: authentication handshake failed: %v\"", err)
	}
	if conn.ConnectionState().NegotiatedProtocol != native.Protocol {
		raw.Close()
		return nil, fmt.Errorf("%w: TLS agreed on another protocol", native.ErrNoGreeting)
	}
	return conn, nil
}

// spoken is an end of a link as gRPC would have put it.
func spoken(err error) error {
	var refused *native.RefusedError
	switch {
	case err == io.EOF, errors.Is(err, native.ErrNoGreeting):
		return err
	case errors.As(err, &refused):
		return inOrder(api.Status(refused.Err).Err())
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF // gRPC knows one kind of end
	}
	return status.Errorf(codes.Unavailable, "error reading from server: %v", err)
}

// Send implements stream.
func (s *linkStream) Send(calls []*call) error {
	b := native.NewCalls()
	for _, c := range calls {
		b.AddCall(c.id, &c.req)
	}
	err := s.link.Send(b)
	if err != nil && s.broken.CompareAndSwap(nil, &err) {
		s.link.HearOut()
	}
	return err
}

// Recv implements stream.
func (s *linkStream) Recv() ([]native.Result, error) {
	results, err := s.link.Results()
	if err == nil {
		return results, nil
	}
	s.close()
	return nil, s.why(err)
}

// why is the reason of an end, of which reading knows err: what the node said of it
// comes first, then who ended it here.
func (s *linkStream) why(err error) error {
	refused := (*native.RefusedError)(nil)
	broken, _ := s.broken.Load().(*error)
	switch {
	case err == io.EOF, errors.As(err, &refused):
	case s.silent.Load():
		err = native.ErrSilent
	case s.ctx.Err() != nil:
		return status.FromContextError(s.ctx.Err()).Err()
	case broken != nil && (errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)):
		err = *broken
	}
	return spoken(err)
}

// CloseSend implements stream.
func (s *linkStream) CloseSend() error { return s.link.End(nil) }

// Limit implements stream.
func (s *linkStream) Limit() int { return s.calls }

// close waits until nothing of the link is left.
func (s *linkStream) close() {
	s.once.Do(func() {
		if !s.ending() {
			<-s.ended
		}
		s.link.Close()
		s.node.mu.Lock()
		delete(s.node.links, s)
		s.node.mu.Unlock()
	})
}

// answers reports whether a silent node lives: whether one of its links answers, or
// the node a question, if it has none. A link that does not is ended.
func (n *node) answers(ctx context.Context) bool {
	n.mu.Lock()
	links := make([]*linkStream, 0, len(n.links))
	for s := range n.links {
		links = append(links, s)
	}
	n.mu.Unlock()
	if len(links) == 0 {
		_, err := describe(ctx, n.connection(), n.addr)
		return err == nil
	}
	alive := make([]bool, len(links))
	var all sync.WaitGroup
	for i, s := range links {
		all.Go(func() {
			if alive[i] = s.link.Ping(ctx) == nil; !alive[i] {
				s.silent.Store(true)
				s.link.Close()
			}
		})
	}
	all.Wait()
	return slices.Contains(alive, true)
}
