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
	c.leave()
	c.lobby.mu.Unlock()
	return c.Conn.Close()
}
