package server

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// gRPC takes the whole answer of a unary call from its handler and keeps it until
// the client reads; the handler is long gone. So these answers are counted until
// gRPC gives their buffer back, or the connection ends.
const (
	// countedAnswerBytes is the size from which they are counted. Smaller ones are
	// bounded by the calls of a connection. It must not be less than what gRPC
	// thinks worth giving back.
	countedAnswerBytes = 4 << 10
	// ownAnswerBytes is what each connection, for its unary calls, and each stream may
	// hold without asking: clients that do not read large answers must not keep others
	// from small ones.
	ownAnswerBytes = 256 << 10
)

// accounts begins an account for each connection.
type accounts struct {
	net.Listener
	server *Server
}

func (l accounts) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &account{Conn: conn, server: l.server}, nil
}

// account is a connection, and what it holds of answers of unary calls: own is its own
// share, shared is taken from the budget of all. Its streams count for themselves.
type account struct {
	net.Conn
	server *Server
	// dispatched: it is a native link, and gRPC has no say any more.
	dispatched atomic.Bool

	mu          sync.Mutex
	own, shared int64
	// streams are those of which gRPC has messages.
	streams map[*unread]bool
	closed  bool
}

// SetDeadline implements net.Conn. gRPC moves the deadline of a connection once more
// when it has given it away.
func (a *account) SetDeadline(t time.Time) error {
	if a.dispatched.Load() {
		return nil
	}
	return a.Conn.SetDeadline(t)
}

// RemoteAddr leads back to the account: it is all that gRPC shows of a connection.
func (a *account) RemoteAddr() net.Addr { return accountAddr{a.Conn.RemoteAddr(), a} }

type accountAddr struct {
	net.Addr
	account *account
}

// Close implements net.Conn. gRPC gives back nothing of a connection that ended.
func (a *account) Close() error {
	a.mu.Lock()
	a.server.grpcAnswerBytes.Add(-a.shared)
	a.own, a.shared, a.closed = 0, 0, true
	for u := range a.streams {
		u.set(u.waiting, 0)
	}
	a.mu.Unlock()
	return a.Conn.Close()
}

// remember notes whether gRPC has messages of a stream. The account is locked.
func (a *account) remember(u *unread, has bool) {
	if !has {
		delete(a.streams, u)
		return
	}
	if a.streams == nil {
		a.streams = map[*unread]bool{}
	}
	a.streams[u] = true
}

// parcel is an answer on its way, and the pool to which its buffer returns.
type parcel struct {
	account *account
	stream  *unread // nil: of a unary call
	message proto.Message
	bytes   int64
	shared  bool
	// late cuts the connection off if others are kept waiting.
	late *time.Timer
}

// take counts an answer. One that must be given is never refused: it tells of what
// was done.
func (a *account) take(m proto.Message, bytes int64, must bool) (*parcel, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := &parcel{account: a, message: m, bytes: bytes}
	switch {
	case a.closed:
		p.bytes = 0
	case a.own+bytes <= ownAnswerBytes:
		a.own += bytes
	default:
		cfg, budget := &a.server.cfg, &a.server.grpcAnswerBytes
		if must {
			budget.Add(bytes)
		} else if bad := reserve(budget, bytes, cfg.AnswerBytesMax, "answers"); bad != nil {
			return nil, api.Status(bad).Err()
		}
		a.shared += bytes
		p.shared, p.late = true, time.AfterFunc(cfg.AnswerTimeout, a.cut)
	}
	return p, nil
}

// reserve takes bytes from a budget, in one step, or says why they are too many. What
// is refused is not counted for a moment either: it would keep others out.
func reserve(budget *atomic.Int64, bytes, max int64, what string) *kindred.Error {
	for {
		now := budget.Load()
		if bytes > 0 && now+bytes > max {
			return tooMuch(what, now+bytes, max)
		}
		if bytes == 0 || budget.CompareAndSwap(now, now+bytes) {
			return nil
		}
	}
}

// cut ends the connection of a client that has not read an answer in time.
func (a *account) cut() {
	a.server.cfg.Logger.Debug("closed a connection: an answer was not read in time",
		"from", a.Conn.RemoteAddr().String(), "limit", a.server.cfg.AnswerTimeout)
	_ = a.Close() // it is broken in any case
}

// Get implements mem.BufferPool. The buffer is as large as the answer: pools hand
// out larger ones, and what is counted is to be what is held.
func (p *parcel) Get(bytes int) *[]byte {
	b := make([]byte, bytes)
	return &b
}

// Put implements mem.BufferPool: the answer has been sent.
func (p *parcel) Put(*[]byte) {
	if p.late != nil {
		p.late.Stop()
	}
	a := p.account
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
	case p.stream != nil:
		p.stream.set(p.stream.waiting, p.stream.taken-p.bytes)
	case p.shared:
		a.shared -= p.bytes
		a.server.grpcAnswerBytes.Add(-p.bytes)
	default:
		a.own -= p.bytes
	}
	p.bytes = 0
}

// encode is the answer in a buffer that returns to the parcel.
func (p *parcel) encode() (mem.BufferSlice, error) {
	buf := p.Get(proto.Size(p.message))
	_, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend((*buf)[:0], p.message)
	p.message = nil
	if err != nil {
		p.Put(buf)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(buf, p)}, nil
}

// countAnswer counts the answer of a unary call.
func (s *Server) countAnswer(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	reply, err := handle(ctx, req)
	m, ok := reply.(proto.Message)
	if err != nil || !ok {
		return reply, err
	}
	bytes := int64(proto.Size(m))
	if bytes < countedAnswerBytes {
		return reply, nil
	}
	end, _ := peer.FromContext(ctx)
	addr, ok := end.Addr.(accountAddr)
	if !ok {
		return reply, nil
	}
	p, err := addr.account.take(m, bytes, !asksOnly(info.FullMethod))
	if err != nil {
		return nil, err
	}
	return p, nil
}

// asksOnly reports whether a call changes nothing, so that it may be refused once it
// has been done.
func asksOnly(method string) bool {
	switch method {
	case pb.KV_Get_FullMethodName, pb.Cluster_Inspect_FullMethodName, pb.Cluster_Describe_FullMethodName, pb.Cluster_Buckets_FullMethodName:
		return true
	}
	return false
}
