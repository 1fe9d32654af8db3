package gossip

import (
	"net"
	"strings"
	"sync"

	"github.com/hashicorp/memberlist"

	"github.com/kindredkv/kindred/transport/lobby"
)

// bounded puts the streams that others open into a lobby: memberlist takes as many
// as come (G8).
type bounded struct {
	memberlist.Transport
	lobby   *lobby.Lobby
	streams chan net.Conn
	done    chan struct{}
	end     sync.Once
	running sync.WaitGroup
}

func newBounded(inner memberlist.Transport, l *lobby.Lobby) *bounded {
	b := &bounded{Transport: inner, lobby: l, streams: make(chan net.Conn), done: make(chan struct{})}
	b.running.Go(b.pass)
	return b
}

// StreamCh implements memberlist.Transport.
func (b *bounded) StreamCh() <-chan net.Conn { return b.streams }

func (b *bounded) pass() {
	for {
		select {
		case <-b.done:
			return
		case raw := <-b.Transport.StreamCh():
			c := b.lobby.Enter(raw)
			select {
			case b.streams <- c:
			case <-b.done:
				c.Close()
				return
			}
		}
	}
}

// Shutdown implements memberlist.Transport. memberlist takes what still arrives
// until it returns.
func (b *bounded) Shutdown() error {
	err := b.Transport.Shutdown()
	b.end.Do(func() { close(b.done) })
	b.running.Wait()
	return err
}

// portTries is how often a free port is looked for that is free for TCP and UDP.
const portTries = 10

// sockets are what memberlist would open by itself.
func sockets(conf *memberlist.Config) (memberlist.Transport, error) {
	tries := 1
	if conf.BindPort == 0 {
		tries = portTries
	}
	for {
		t, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{conf.BindAddr}, BindPort: conf.BindPort, Logger: conf.Logger,
		})
		tries--
		switch {
		case err == nil && conf.BindPort == 0:
			conf.BindPort = t.GetAutoBindPort()
			conf.AdvertisePort = conf.BindPort
			return t, nil
		case err == nil:
			return t, nil
		case tries == 0 || !strings.Contains(err.Error(), "address already in use"):
			return nil, err
		}
	}
}
