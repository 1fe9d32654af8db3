package transport

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/transport/faults"
)

// Limits on what a peer can make this node hold.
const (
	// MessageBytesMax is the largest message: an object with all its siblings
	// and room for its context and envelope.
	MessageBytesMax = 40 << 20
	// LinksInMax is the number of links that peers may have open to this node. Only
	// links that have passed their hello count.
	LinksInMax = 4096
	// NamesMax is the number of peer names for which inbound counters and
	// refusals are remembered.
	NamesMax = 4096
	// strangerBytesMax is what somebody may send before his hello is accepted: a
	// handshake with its certificates, and the hello.
	strangerBytesMax = 64 << 10
	// unsentMax is how much a link leaves to the system that is not yet on its way.
	unsentMax = 256 << 10
)

// Config is what a Transport needs to know. Name, Addr and Receive are
// required.
type Config struct {
	// Name is this node's name.
	Name string
	// Addr is where to listen, host:port. Port 0 picks one.
	Addr string
	// Receive is called once per frame that completes messages, in the goroutine of the link that
	// received it. Calls for different links run side by side; for a moment
	// after a reconnect that includes two links of one peer. While it runs its
	// link reads nothing else, so it must not wait for longer than DeadAfter.
	Receive func(from string, batch Batch)

	// ClusterID is asked at every hello; nil or a zero answer means that the
	// node has not joined a cluster. Links stay when the answer changes.
	ClusterID func() [16]byte
	// LinkUp and LinkDown tell that messages can, or can no longer, be sent to
	// a peer. They follow the message lane, are called in turn for one peer,
	// and must not wait.
	LinkUp, LinkDown func(peer string)
	// Inbound tells that a peer has opened its own message lane to this node, or
	// that it ended: without it a question that reaches the peer has no answer.
	// For a moment after a reconnect a peer may have two. It must not wait.
	Inbound func(peer string, open bool)
	// Logger is slog.Default() if nil.
	Logger *slog.Logger
	// Security, if it has certificates, encrypts all links, proves this node to
	// its peers and has them prove their names. Nil is plain text.
	Security *security.Keeper

	// QueueBytesMax bounds what waits for one peer on the message lane, in
	// bytes of messages. Default 8 MiB. More rides out longer stalls of a peer and
	// costs that memory per stalled peer.
	QueueBytesMax int
	// BulkQueueBytesMax bounds the same on the bulk lane. Default 64 MiB: what
	// one shard lets its clients have in progress, so that a burst of large
	// values that was admitted is not dropped on its way to an idle peer.
	BulkQueueBytesMax int
	// FrameBytesMax is the largest frame this node sends. Default 256 KiB, at
	// most 1 MiB. A larger message travels in several frames.
	FrameBytesMax int
	// HeartbeatEvery is the time between the probes of a link. Default 1 s.
	HeartbeatEvery time.Duration
	// DeadAfter is the silence after which a link counts as dead. Default 8 s.
	// It must cover the time that a frame and what the system holds unsent (512 KiB
	// together) take on the slowest link: 8 s allow for 1 Mbit/s.
	DeadAfter time.Duration
	// DialTimeout bounds one attempt, hello included, at both ends. Default 3 s.
	DialTimeout time.Duration
	// StrangersMax is the number of connections that have not passed their hello;
	// one more closes the oldest of them. Default 512: more lets larger clusters
	// dial at once, and costs up to some 100 KiB for each.
	StrangersMax int
	// RedialMax is the longest pause between two attempts. Default 1 s.
	RedialMax time.Duration
	// DrainMax is how long Close waits for queued messages. Default 500 ms.
	DrainMax time.Duration

	// Faults, if set, is asked about everything that is sent and received, so
	// that links can be cut and slowed on purpose. Nil costs nothing.
	Faults *faults.Network

	// Listener, if set, is used instead of listening on Addr.
	Listener net.Listener
	// Dial, if set, is used instead of TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

// queueBytesMax is the limit of a lane.
func (c Config) queueBytesMax(lane Lane) int {
	if lane == Bulk {
		return c.BulkQueueBytesMax
	}
	return c.QueueBytesMax
}

func (c Config) withDefaults() Config {
	setDefault(&c.QueueBytesMax, 8<<20)
	setDefault(&c.BulkQueueBytesMax, 64<<20)
	setDefault(&c.FrameBytesMax, 256<<10)
	setDefault(&c.HeartbeatEvery, time.Second)
	setDefault(&c.DeadAfter, 8*time.Second)
	setDefault(&c.DialTimeout, 3*time.Second)
	setDefault(&c.StrangersMax, 512)
	setDefault(&c.RedialMax, time.Second)
	setDefault(&c.DrainMax, 500*time.Millisecond)
	if c.ClusterID == nil {
		c.ClusterID = func() [16]byte { return [16]byte{} }
	}
	if c.LinkUp == nil {
		c.LinkUp = func(string) {}
	}
	if c.LinkDown == nil {
		c.LinkDown = func(string) {}
	}
	if c.Inbound == nil {
		c.Inbound = func(string, bool) {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Dial == nil {
		d := net.Dialer{Control: sendLate}
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	return c
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func (c Config) validate() error {
	switch {
	case c.Name == "" || len(c.Name) > nameBytesMax:
		return fmt.Errorf("transport: the name %q has %d bytes, want 1 to %d", c.Name, len(c.Name), nameBytesMax)
	case c.Receive == nil:
		return fmt.Errorf("transport: Receive is not set")
	case c.FrameBytesMax < 1<<10 || c.FrameBytesMax > frameBytesLimit:
		return fmt.Errorf("transport: FrameBytesMax is %d, want %d to %d", c.FrameBytesMax, 1<<10, frameBytesLimit)
	case c.DeadAfter < 2*c.HeartbeatEvery:
		return fmt.Errorf("transport: DeadAfter %v leaves no room for a lost heartbeat, want at least twice HeartbeatEvery %v", c.DeadAfter, c.HeartbeatEvery)
	}
	return nil
}

// Lane is one of the two independent links to a peer.
type Lane byte

const (
	// Messages is the lane for requests, answers and everything small.
	Messages Lane = iota
	// Bulk is the lane for transfers.
	Bulk
)

var lanes = [...]string{"messages", "bulk"}

// String is the lane's name.
func (l Lane) String() string {
	if int(l) < len(lanes) {
		return lanes[l]
	}
	return fmt.Sprintf("Lane(%d)", byte(l))
}
