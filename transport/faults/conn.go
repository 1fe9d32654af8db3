package faults

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// heldBytesMax is what one connection holds for later; then writes wait, as
	// they do when a socket's buffer is full. One larger write is taken whole.
	heldBytesMax = 4 << 20
	// orphanMax is how long a connection that was closed into a cut is held
	// open, so that the peer does not see the end. Kernels give up as soon.
	orphanMax = 2 * time.Minute
	// flushMax bounds a write on a connection that was closed.
	flushMax = 5 * time.Second
)

// conn is a connection under a plan.
type conn struct {
	net.Conn
	network *Network
	peer    atomic.Pointer[Peer]
	// reading and writing have one slot each: reads wait for one another, and so
	// do writes.
	reading, writing chan struct{}
	readBy, writeBy  deadline
	// done is closed by Close.
	done chan struct{}

	// held is what was read while the peer was not to be heard, with the error
	// that came with it; heldAny says that there is something. They belong to
	// whoever reads.
	held    []byte
	heldErr error
	heldAny bool

	mu sync.Mutex
	// queue is what was written and has not gone out, bytes its size. pumping
	// says that a goroutine sees to it; then nobody writes directly.
	queue   []parcel
	bytes   int
	pumping bool
	closed  bool
	// writeAt is the caller's deadline. It is not for the pump.
	writeAt time.Time
	// broken is why the pump gave up.
	broken error
	// room is signalled when the queue shrinks.
	room chan struct{}
}

// parcel is one write on its way, or the end of all.
type parcel struct {
	data []byte
	sent time.Time
	last bool
}

// Conn puts a connection to a peer under the plan.
func (n *Network) Conn(inner net.Conn, p Peer) net.Conn {
	c := &conn{
		Conn: inner, network: n, done: make(chan struct{}), room: make(chan struct{}, 1),
		reading: make(chan struct{}, 1), writing: make(chan struct{}, 1),
		readBy: newDeadline(), writeBy: newDeadline(),
	}
	c.peer.Store(&p)
	return c
}

// RemoteAddr implements net.Conn; see [Identify].
func (c *conn) RemoteAddr() net.Addr { return &remoteAddr{c.Conn.RemoteAddr(), c} }

// cut is what the rules say about this connection.
func (c *conn) cut(r *rules) Cut { return r.cuts[*c.peer.Load()] }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	c.reading <- struct{}{}
	defer func() { <-c.reading }()
	if !c.heldAny {
		n, err := c.Conn.Read(p)
		switch {
		case c.isClosed():
			return 0, net.ErrClosed
		case errors.Is(err, os.ErrDeadlineExceeded), !c.cut(c.network.rules.Load()).NoReceive:
			return n, err
		}
		c.held, c.heldErr, c.heldAny = append([]byte(nil), p[:n]...), err, true
	}
	if err := c.awaitHearing(); err != nil {
		return 0, err
	}
	n := copy(p, c.held)
	if c.held = c.held[n:]; len(c.held) > 0 {
		return n, nil
	}
	c.heldAny = false
	return n, c.heldErr
}

// awaitHearing waits until the peer can be heard again.
func (c *conn) awaitHearing() error {
	for {
		r := c.network.rules.Load()
		switch {
		case r.ended:
			return net.ErrClosed
		case !c.cut(r).NoReceive:
			return nil
		}
		select {
		case <-r.changed:
		case <-c.done:
			return net.ErrClosed
		case <-c.readBy.passed():
			return os.ErrDeadlineExceeded
		}
	}
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	for {
		direct, taken, err := c.take(p)
		switch {
		case err != nil:
			return 0, err
		case taken:
			return len(p), nil
		case direct:
			n, err := c.Conn.Write(p)
			if err != nil && c.isClosed() {
				err = net.ErrClosed
			}
			return n, err
		}
		select {
		case <-c.room:
		case <-c.done:
			return 0, net.ErrClosed
		case <-c.writeBy.passed():
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// take decides about a write: it goes out directly, or was taken for later, or
// has to wait for room.
func (c *conn) take(p []byte) (direct, taken bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return false, false, net.ErrClosed
	case c.broken != nil:
		return false, false, c.broken
	case !c.pumping && c.free():
		return true, false, nil
	case c.bytes > 0 && c.bytes+len(p) > heldBytesMax:
		return false, false, nil
	}
	c.post(parcel{data: append([]byte(nil), p...), sent: time.Now()})
	return false, true, nil
}

// free reports whether nothing keeps what is sent.
func (c *conn) free() bool {
	r := c.network.rules.Load()
	return r.plan.Delay == 0 && !c.cut(r).NoSend
}

// post queues a parcel. It requires mu.
func (c *conn) post(p parcel) {
	c.queue = append(c.queue, p)
	c.bytes += len(p.data)
	if !c.pumping {
		c.pumping = true
		_ = c.Conn.SetWriteDeadline(time.Time{})
		go c.pump()
	}
}

// pump sends parcels when they are due, until there are none.
func (c *conn) pump() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.pumping = false
			_ = c.Conn.SetWriteDeadline(c.writeAt)
			c.mu.Unlock()
			return
		}
		next := c.queue[0]
		c.mu.Unlock()
		if !c.awaitSending(next) || next.last {
			c.giveUp(net.ErrClosed)
			return
		}
		if c.isClosed() {
			_ = c.Conn.SetWriteDeadline(time.Now().Add(flushMax))
		}
		if _, err := c.Conn.Write(next.data); err != nil {
			c.giveUp(err)
			return
		}
		c.mu.Lock()
		c.queue[0] = parcel{}
		c.queue = c.queue[1:]
		c.bytes -= len(next.data)
		c.mu.Unlock()
		c.signalRoom()
	}
}

// giveUp ends a connection on which nothing more is sent.
func (c *conn) giveUp(err error) {
	c.mu.Lock()
	c.queue, c.bytes, c.broken = nil, 0, err
	c.mu.Unlock()
	_ = c.Conn.Close()
	c.signalRoom()
}

func (c *conn) signalRoom() {
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// awaitSending waits until a parcel may go out. It reports false when it never
// will.
func (c *conn) awaitSending(p parcel) bool {
	done, orphaned := c.done, (<-chan time.Time)(nil)
	for {
		r := c.network.rules.Load()
		if r.ended {
			return false
		}
		var due <-chan time.Time
		if !c.cut(r).NoSend {
			rest := time.Until(p.sent.Add(r.plan.Delay))
			if rest <= 0 {
				return true
			}
			due = time.After(rest)
		}
		select {
		case <-r.changed:
		case <-due:
		case <-done:
			done, orphaned = nil, time.After(orphanMax)
		case <-orphaned:
			return false
		}
	}
}

// Close implements net.Conn. The peer sees it when all that was written before
// has gone out.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	close(c.done)
	if c.broken != nil || !c.pumping && c.free() {
		c.mu.Unlock()
		return c.Conn.Close()
	}
	wakeWriter := time.Unix(1, 0) // one that writes directly, into a full socket
	if c.pumping {
		wakeWriter = time.Now().Add(flushMax)
	}
	c.post(parcel{last: true, sent: time.Now()})
	c.mu.Unlock()
	_ = c.Conn.SetWriteDeadline(wakeWriter)
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
	return nil
}

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	if c.isClosed() {
		return net.ErrClosed
	}
	c.readBy.set(t)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn. It is about the caller's writes: what
// was taken for later goes out however late.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.writeBy.set(t)
	if c.writeAt = t; c.pumping {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}
