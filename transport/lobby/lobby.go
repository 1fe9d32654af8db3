package lobby

import (
	"container/list"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/kindredkv/kindred/security"
)

// Limits is what strangers may take. All are needed.
type Limits struct {
	// Max is how many may be in the lobby. Each takes a file descriptor and the
	// memory of the handshake it is in.
	Max int
	// Patience is how long one may stay: it covers a handshake on the slowest link.
	Patience time.Duration
	// BytesMax is how much one may send.
	BytesMax int64
}

// Lobby is the strangers at one port. Its methods may be called from any goroutine.
type Lobby struct {
	limits Limits
	door   string
	log    *slog.Logger
	// putOut counts those who had to go, and limits what is logged of them.
	putOut security.Strangers

	mu sync.Mutex
	// waiting are *Conn, the longest there in front.
	waiting list.List
}

// New makes a lobby. The door is what the log calls the port.
func New(limits Limits, door string, log *slog.Logger) *Lobby {
	return &Lobby{limits: limits, door: door, log: log}
}

// Waiting is how many strangers are there now.
func (l *Lobby) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting.Len()
}

// PutOut is how many had to go.
func (l *Lobby) PutOut() uint64 { return l.putOut.Count() }

// Enter takes a connection in, as a stranger.
func (l *Lobby) Enter(raw net.Conn) *Conn {
	c := &Conn{Conn: raw, lobby: l}
	if late := l.seat(c); late != nil {
		l.close(late, fmt.Sprintf("there are more than %d who have not said who they are, and it was there longest", l.limits.Max))
	}
	return c
}

// seat gives a stranger a place, and returns who has to go for it.
func (l *Lobby) seat(c *Conn) (late *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.Len() >= l.limits.Max {
		late = l.waiting.Front().Value.(*Conn)
		late.leave()
	}
	c.place = l.waiting.PushBack(c)
	c.stranger.Store(true)
	c.patience = time.AfterFunc(l.limits.Patience, func() {
		l.expel(c, fmt.Sprintf("it did not say who it is within %v", l.limits.Patience))
	})
	return late
}

// expel puts out a stranger, unless it is none any more.
func (l *Lobby) expel(c *Conn, reason string) {
	l.mu.Lock()
	was := c.place != nil
	c.leave()
	l.mu.Unlock()
	if was {
		l.close(c, reason)
	}
}

// close ends the connection of one who has left its place.
func (l *Lobby) close(c *Conn, reason string) {
	if l.putOut.Met(time.Now(), reason) {
		l.log.Warn("closed the connection of a stranger", "door", l.door, "from", c.Conn.RemoteAddr().String(),
			"reason", reason, "so_far", l.putOut.Count())
	}
	_ = c.Conn.Close() // its owner will find it closed; there is nobody to tell
}
