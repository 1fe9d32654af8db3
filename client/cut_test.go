package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
)

// pipes is a network in memory whose connections can lose everything they
// carry, for ever: as after a cut, when TCP backs off for minutes.
type pipes struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener
}

func (p *pipes) listen(string) net.Listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &pipeListener{name: fmt.Sprintf("pipe-%d", len(p.listeners)), conns: make(chan net.Conn), closed: make(chan struct{})}
	p.listeners[l.name] = l
	return l
}

func (p *pipes) dial(ctx context.Context, addr string) (net.Conn, error) {
	p.mu.Lock()
	l := p.listeners[addr]
	p.mu.Unlock()
	near, far := net.Pipe()
	hole := &holeConn{Conn: near, lost: make(chan struct{}), closed: make(chan struct{})}
	l.mu.Lock()
	l.open = append(l.open, hole)
	l.mu.Unlock()
	select {
	case l.conns <- far:
		return hole, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipeListener struct {
	name   string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	mu     sync.Mutex
	open   []*holeConn
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.name) }

// lose makes every open connection a hole. New ones work.
func (l *pipeListener) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		close(c.lost)
	}
	l.open = nil
}

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// holeConn swallows what is written and reads nothing once it is lost.
type holeConn struct {
	net.Conn
	lost, closed chan struct{}
	once         sync.Once
}

func (c *holeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case <-c.lost:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *holeConn) Write(b []byte) (int, error) {
	select {
	case <-c.lost:
		return len(b), nil
	default:
		return c.Conn.Write(b)
	}
}

func (c *holeConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// bubble runs a test in virtual time, with a cluster on a network in memory and a client
// that is connected to all of its nodes: nobody is silent because the machine is busy.
func bubble(t *testing.T, nodes int, tell func(t *testing.T, f *fakeCluster, c *client.Client), opts ...client.Option) {
	synctest.Test(t, func(t *testing.T) {
		where := &pipes{listeners: map[string]*pipeListener{}}
		f := startClusterOn(where, nodes)
		t.Cleanup(f.stop)
		c := dial(t, f, append([]client.Option{client.WithDialer(where.dial), client.WithGRPCOnly()}, opts...)...)
		t.Cleanup(func() { // closing waits for who reads nothing, with locks held that stop the time
			for _, n := range f.nodes {
				n.freezer.freeze(false)
			}
		})
		synctest.Wait()
		tell(t, f, c)
	})
}

func TestAConnectionThatCarriesNothingIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		where := &pipes{listeners: map[string]*pipeListener{}}
		f := startClusterOn(where, 2)
		defer f.stop()
		c, err := client.Dial(t.Context(), f.addrs(), client.WithDialer(where.dial), client.WithRefresh(time.Hour),
			client.WithGRPCOnly()) // pipes have no room for two who both speak first
		require.NoError(t, err)
		defer c.Close()
		b := c.Bucket("carts")
		put := func() time.Duration {
			began := time.Now()
			_, err := b.Put(t.Context(), "alice", nil, client.Timeout(3*time.Second))
			require.NoError(t, err)
			return time.Since(began)
		}
		synctest.Wait() // connected to both
		for range 10 {
			require.Zero(t, put())
		}
		lost := f.nodes[0]
		where.listeners[lost.addr].lose()
		var spent time.Duration
		for range 10 {
			spent += put()
		}
		require.Equal(t, 500*time.Millisecond, spent, "one put sees that there is no life in the node")

		time.Sleep(4 * time.Second) // of virtual time: the probe gives up
		synctest.Wait()
		calls := lost.calls.Load()
		for range 10 {
			require.Zero(t, put())
		}
		require.Greater(t, lost.calls.Load(), calls, "the node is used again over a new connection")
	})
}

// What does not go through a pipeline has nobody who doubts the node: that its connection
// has died is found by a ping, long before TCP gives it up.
func TestAScanFindsThatItsConnectionIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		where := &pipes{listeners: map[string]*pipeListener{}}
		f := startClusterOn(where, 1)
		defer f.stop()
		c, err := client.Dial(t.Context(), f.addrs(), client.WithDialer(where.dial), client.WithRefresh(time.Hour), client.WithGRPCOnly())
		require.NoError(t, err)
		defer c.Close()
		b := c.Bucket("carts")
		_, err = b.Put(t.Context(), "alice", nil)
		require.NoError(t, err)
		synctest.Wait()
		where.listeners[f.nodes[0].addr].lose()
		began := time.Now()
		keys := 0
		for keys == 0 && time.Since(began) < time.Minute {
			page, err := b.Page(t.Context())
			if err == nil {
				keys = len(page.Entries)
			}
		}
		require.Equal(t, 1, keys, "after a minute still nothing")
		require.Less(t, time.Since(began), 20*time.Second)
	})
}
