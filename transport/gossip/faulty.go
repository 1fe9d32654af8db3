package gossip

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/kindredkv/kindred/transport/faults"
)

// delayedMax is the number of packets that may wait to go out late; more are
// lost, as in a full queue of a router.
const delayedMax = 4096

// faulty puts memberlist's network under a plan of faults. Packets in either
// direction are lost by the address of the peer; a stream is cut at the end that
// dialled it, since nothing in it says who dialled.
type faulty struct {
	memberlist.Transport
	network *faults.Network

	packets chan *memberlist.Packet
	streams chan net.Conn
	delayed chan delayedPacket
	// life ends with Shutdown.
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

type delayedPacket struct {
	bytes []byte
	addr  string
	sent  time.Time
}

func newFaulty(inner memberlist.Transport, network *faults.Network) *faulty {
	f := &faulty{
		Transport: inner, network: network,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn),
		delayed: make(chan delayedPacket, delayedMax),
	}
	f.life, f.end = context.WithCancel(context.Background())
	f.running.Go(f.passPackets)
	f.running.Go(f.passStreams)
	f.running.Go(f.sendDelayed)
	return f
}

// PacketCh implements memberlist.Transport.
func (f *faulty) PacketCh() <-chan *memberlist.Packet { return f.packets }

// StreamCh implements memberlist.Transport.
func (f *faulty) StreamCh() <-chan net.Conn { return f.streams }

func (f *faulty) passPackets() {
	for {
		select {
		case <-f.life.Done():
			return
		case p := <-f.Transport.PacketCh():
			if !f.network.CanReceive(faults.Gossiping(p.From.String())) {
				f.network.LosePacket()
				continue
			}
			select {
			case f.packets <- p:
			case <-f.life.Done():
				return
			}
		}
	}
}

func (f *faulty) passStreams() {
	for {
		select {
		case <-f.life.Done():
			return
		case c := <-f.Transport.StreamCh():
			select {
			case f.streams <- f.network.Conn(c, faults.Peer{}):
			case <-f.life.Done():
				c.Close()
				return
			}
		}
	}
}

// WriteTo implements memberlist.Transport. A packet into a cut is lost without
// an error.
func (f *faulty) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	switch {
	case !f.network.CanSend(faults.Gossiping(addr)):
		f.network.LosePacket()
		return now, nil
	case f.network.Delay() == 0:
		return f.Transport.WriteTo(b, addr)
	}
	select {
	case f.delayed <- delayedPacket{append([]byte(nil), b...), addr, now}:
	default:
		f.network.LosePacket()
	}
	return now, nil
}

func (f *faulty) sendDelayed() {
	for {
		select {
		case <-f.life.Done():
			return
		case p := <-f.delayed:
			if !f.network.AwaitDelay(f.life.Done(), p.sent) {
				return
			}
			if !f.network.CanSend(faults.Gossiping(p.addr)) {
				f.network.LosePacket()
				continue
			}
			// memberlist bears the loss of a packet; there is nobody to tell.
			_, _ = f.Transport.WriteTo(p.bytes, p.addr)
		}
	}
}

// DialTimeout implements memberlist.Transport.
func (f *faulty) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(f.life, timeout)
	defer cancel()
	return f.network.Dial(ctx, faults.Gossiping(addr), func(ctx context.Context) (net.Conn, error) {
		rest, _ := ctx.Deadline()
		return f.Transport.DialTimeout(addr, time.Until(rest))
	})
}

// Shutdown implements memberlist.Transport. memberlist takes what still arrives
// until it returns.
func (f *faulty) Shutdown() error {
	err := f.Transport.Shutdown()
	f.end()
	f.running.Wait()
	return err
}
