package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/api/native"
	"github.com/kindredkv/kindred/security"
)

// doorman meets every connection of the gRPC door, in the place of gRPC's credentials:
// what begins as a native link goes its own way, and gRPC gets the rest as it came.
type doorman struct {
	credentials.TransportCredentials
	server *Server
	tls    bool
}

func (s *Server) newDoorman() *doorman {
	g := s.guard()
	if g == nil {
		return &doorman{insecure.NewCredentials(), s, false}
	}
	protocols := []string{"h2"}
	if !s.cfg.GRPCOnly {
		protocols = []string{native.Protocol, "h2"}
	}
	return &doorman{credentials.NewTLS(g.keeper.Server(protocols...)), s, true}
}

// Clone implements credentials.TransportCredentials.
func (d *doorman) Clone() credentials.TransportCredentials {
	return &doorman{d.TransportCredentials.Clone(), d.server, d.tls}
}

// ServerHandshake implements credentials.TransportCredentials. gRPC calls it in a
// goroutine of the connection, and bounds its time.
func (d *doorman) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	a, ours := raw.(*account)
	if !ours || d.server.cfg.GRPCOnly {
		return d.TransportCredentials.ServerHandshake(raw)
	}
	if !d.tls {
		begins, isLink := firstWords(raw)
		if isLink {
			d.server.link(a, prefixed{a.Conn, begins}, nil)
			return nil, nil, credentials.ErrConnDispatched
		}
		return d.TransportCredentials.ServerHandshake(prefixed{raw, begins})
	}
	conn, info, err := d.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	if t, ok := info.(credentials.TLSInfo); ok && t.State.NegotiatedProtocol == native.Protocol {
		d.server.link(a, conn, &t.State)
		return nil, nil, credentials.ErrConnDispatched
	}
	return conn, info, nil
}

// firstWords reads as much of a connection as it takes to know whether it is a link:
// one byte, from a client of gRPC.
func firstWords(conn net.Conn) (begins *bytes.Reader, isLink bool) {
	var said [len(native.Preface)]byte
	n := 0
	for n < len(said) {
		want := n + 1
		if n > 0 {
			want = len(said)
		}
		m, err := conn.Read(said[n:want])
		n += m
		if string(said[:n]) != native.Preface[:n] || err != nil {
			break
		}
	}
	return bytes.NewReader(bytes.Clone(said[:n])), n == len(said) && string(said[:]) == native.Preface
}

// prefixed is a connection of which the beginning was read.
type prefixed struct {
	net.Conn
	begins *bytes.Reader
}

// Read implements net.Conn.
func (p prefixed) Read(b []byte) (int, error) {
	if p.begins.Len() > 0 {
		return p.begins.Read(b)
	}
	return p.Conn.Read(b)
}

// links are the connections that are native links, greeting or greeted.
type links struct {
	// serving counts their goroutines.
	serving sync.WaitGroup

	mu   sync.Mutex
	open map[*account]context.CancelFunc
}

// enter notes a link and what ends its calls.
func (l *links) enter(a *account, cancel context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[*account]context.CancelFunc{}
	}
	l.open[a] = cancel
}

func (l *links) leave(a *account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, a)
}

func (l *links) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// closeAll cuts off who is left after a drain.
func (l *links) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for a, cancel := range l.open {
		_ = a.Close() // first, so that its client is not told of an end in order
		cancel()      // whether or not its reader would notice
	}
}

// link serves a native link in a goroutine of its own. From here on the connection
// is not gRPC's: the deadline that it sets is of the account, see SetDeadline.
func (s *Server) link(a *account, conn net.Conn, state *tls.ConnectionState) {
	a.dispatched.Store(true)
	_ = a.Conn.SetDeadline(time.Now().Add(s.cfg.HeaderTimeout)) // of the greeting
	ctx, cancel := context.WithCancel(context.Background())
	s.links.enter(a, cancel)
	s.links.serving.Go(func() {
		defer cancel()
		defer s.links.leave(a)
		defer a.Close()
		s.serveLink(ctx, cancel, a, conn, state)
	})
}

// serveLink is a link from its greeting to its end.
func (s *Server) serveLink(ctx context.Context, cancel func(), a *account, conn net.Conn, state *tls.ConnectionState) {
	link, hello, err := native.Accept(conn)
	if err != nil {
		return // it knows by itself what it did
	}
	defer link.Close()
	c := &linkCarrier{ctx: ctx, link: link, unread: a.watchUnread()}
	defer c.unread.close()
	if bad := s.admitLink(a, c, &hello, state); bad != nil {
		link.Refuse(bad)
		return
	}
	defer s.streams.leave()
	if link.Welcome(s.cfg.CallsPerStreamMax) != nil || a.Conn.SetDeadline(time.Time{}) != nil {
		return
	}
	link.Watch(pingAfter, pingTimeout)
	p := newPipe(s, c, c.unread)
	var reader sync.WaitGroup
	reader.Go(func() {
		p.read()
		if c.lost {
			cancel() // nobody is there to answer
		}
		link.Drain()
	})
	err = p.write()
	p.close()
	late := time.AfterFunc(lingerMax, func() { a.Close() })
	defer late.Stop()
	_ = link.End(endOf(err)) // whether it is heard or not, this is the end
	reader.Wait()
}

// admitLink lets a link in, or says why not.
func (s *Server) admitLink(a *account, c *linkCarrier, hello *native.Hello, state *tls.ConnectionState) *kindred.Error {
	if g := s.guard(); g != nil {
		var err error
		from := a.Conn.RemoteAddr().String()
		c.reading, c.writing, err = g.passes(func() *kindred.Error { return g.admit(state, hello.Authorization, from) })
		if err != nil {
			return api.ErrorOf(err)
		}
	}
	if bad := s.judgeCluster(hello.Cluster, a.Conn.RemoteAddr().String()); bad != nil {
		return bad
	}
	return s.streams.enter()
}

// endOf is what a link is told that a pipeline would be told by its status.
func endOf(err error) *kindred.Error {
	if err == nil {
		return nil
	}
	return api.ErrorOf(err)
}

// linkCarrier is a native link.
type linkCarrier struct {
	link   *native.Link
	unread *unread
	ctx    context.Context
	calls  []arrival
	// lost: the connection is. It is for the reader.
	lost bool
	// reading and writing are nil in plain text.
	reading, writing *security.Pass
}

func (c *linkCarrier) Context() context.Context { return c.ctx }

func (c *linkCarrier) receive() ([]arrival, error) {
	clear(c.calls)
	calls, err := c.link.Calls()
	bad := (*native.FrameError)(nil)
	c.lost = err != nil && err != io.EOF && !errors.As(err, &bad)
	if err == nil && c.reading != nil {
		err = c.reading.Valid()
	}
	if err != nil {
		return nil, err
	}
	c.calls = c.calls[:0]
	for _, call := range calls {
		c.calls = append(c.calls, arrival{call.ID, call.Request.Op, call.Request, api.Check(call.Request)})
	}
	return c.calls, nil
}

func (c *linkCarrier) send(answers []*call, bytes int) error {
	if c.writing != nil {
		if err := c.writing.Valid(); err != nil {
			c.unread.hold(-bytes)
			return err
		}
	}
	b := native.NewResults()
	for _, a := range answers {
		b.AddResult(a.id, a.op, a.answer)
	}
	clear(answers)
	return c.unread.inTime(bytes, func() error { return c.link.Send(b) })
}
