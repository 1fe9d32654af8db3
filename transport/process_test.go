package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/transport"
)

// R14: a message is for one process. What waited for one that took nothing any more
// does not reach the next one at its address, which may have lost what made it refuse.
func TestR14_WhatWasQueuedForAProcessDoesNotReachTheNext(t *testing.T) {
	var at place
	n1 := listen(t, "n1", ignore, func(c *transport.Config) { c.Dial, c.QueueBytesMax = at.dial, 1<<20 })
	freeze := make(chan struct{})
	frozen := listen(t, "n2", func(string, transport.Batch) { <-freeze })
	t.Cleanup(func() { close(freeze) })
	at.move(frozen.Addr())
	n1.SetPeers(map[string]string{"n2": "where n2 is"})
	eventually(t, func() bool { return linked(n1, "n2") })

	old := make([]byte, 10_000)
	copy(old, "for the one before")
	fill := func() {
		var full *transport.QueueFullError
		eventually(t, func() bool {
			for range 1000 {
				if err := n1.Send("n2", old); err != nil {
					return errors.As(err, &full)
				}
			}
			return false
		})
	}
	fill() // something is in the buffers of both systems, which may grow and take the queue as well
	at.stick()
	fill()

	var got inbox
	fresh := listen(t, "n2", got.receive)
	before := statsOf(n1, "n2").Connects
	at.move(fresh.Addr())
	eventually(t, func() bool { return statsOf(n1, "n2").Connects > before && n1.Linked("n2") })
	for i := range 10 {
		require.NoError(t, n1.Send("n2", fmt.Append(nil, "for this one ", i)))
	}
	eventually(t, func() bool { return got.has("n1:for this one 9") })
	require.Len(t, got.all(), 10)
	require.NotZero(t, statsOf(n1, "n2").Dropped)
}

// place is where a node runs. Connections to it end when it moves.
type place struct {
	mu    sync.Mutex
	addr  string
	conns []*stuck
}

func (p *place) dial(ctx context.Context, _ string) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return nil, err
	}
	conn := &stuck{Conn: raw, closed: make(chan struct{})}
	p.conns = append(p.conns, conn)
	return conn, nil
}

// stick has the connections that there are take nothing any more.
func (p *place) stick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.sticks.Store(true)
	}
}

func (p *place) move(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addr = addr
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// stuck is a connection that can stop taking what is written to it.
type stuck struct {
	net.Conn
	sticks atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	if s.sticks.Load() {
		<-s.closed
		return 0, net.ErrClosed
	}
	return s.Conn.Write(b)
}

func (s *stuck) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}
