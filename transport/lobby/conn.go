package lobby

import (
	"container/list"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// Conn is a connection that was, or is, in a lobby.
type Conn struct {
	net.Conn
	lobby *Lobby
	// stranger and sent are read without the lobby's lock.
	stranger atomic.Bool
	sent     atomic.Int64

	// The lobby's lock is for these. place is nil unless it is a stranger.
	place    *list.Element
	patience *time.Timer
	closed   bool
}

// Introduce takes the connection out of the lobby: somebody answers for it. It
// reports false if it has been put out before.
func (c *Conn) Introduce() bool {
	c.lobby.mu.Lock()
	defer c.lobby.mu.Unlock()
	if c.place == nil {
		return false
	}
	c.leave()
	return true
}

// Return makes it a stranger again, with all the patience there is: what was
// proven has ended.
func (c *Conn) Return() {
	if late := c.lobby.seat(c); late != nil {
		c.lobby.close(late, fmt.Sprintf("there are more than %d who have not said who they are, and it was there longest", c.lobby.limits.Max))
	}
}

// leave gives up the place. The lobby is locked.
func (c *Conn) leave() {
	if c.place == nil {
		return
	}
	c.lobby.waiting.Remove(c.place)
	c.place = nil
	c.patience.Stop()
	c.stranger.Store(false)
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.stranger.Load() && c.sent.Add(int64(n)) > c.lobby.limits.BytesMax {
		c.lobby.expel(c, fmt.Sprintf("it sent more than %d bytes without saying who it is", c.lobby.limits.BytesMax))
		return 0, net.ErrClosed
	}
	return n, err
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.lobby.mu.Lock()
	c.closed = true
	c.leave()
	c.lobby.mu.Unlock()
	return c.Conn.Close()
}

// RemoteAddr implements net.Conn; see [Guest].
func (c *Conn) RemoteAddr() net.Addr { return &addr{c.Conn.RemoteAddr(), c} }

// addr leads back to the connection: it is all that gRPC shows of one.
type addr struct {
	net.Addr
	conn *Conn
}

// Guest is the connection that an address is the other end of, if it came through
// a lobby.
func Guest(a net.Addr) (*Conn, bool) {
	if a, ok := a.(*addr); ok {
		return a.conn, true
	}
	return nil, false
}

// Inner is the address as the listener below the lobby had it.
func Inner(a net.Addr) net.Addr {
	if a, ok := a.(*addr); ok {
		return a.Addr
	}
	return a
}
