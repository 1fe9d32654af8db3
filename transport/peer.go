package transport

import (
	"context"
	"sync"
)

// peer is one node that is kept dialled: a link per lane.
type peer struct {
	addr  string
	lanes [len(lanes)]*link
	done  sync.WaitGroup
}

func newPeer(t *Transport, name, addr string) *peer {
	p := &peer{addr: addr}
	for i := range p.lanes {
		l := newLink(t, Lane(i), name, addr)
		ctx, stop := context.WithCancel(t.ctx)
		l.stop = stop
		p.lanes[i] = l
		p.done.Go(func() { l.run(ctx) })
	}
	return p
}

// drain lets the links end once they have sent what they hold.
func (p *peer) drain() {
	for _, l := range p.lanes {
		if !l.queue.drain() {
			l.stop()
		}
	}
}

// stop ends the links at once.
func (p *peer) stop() {
	for _, l := range p.lanes {
		l.stop()
	}
}

// kick dials at once if a link is waiting to be dialled again.
func (p *peer) kick() {
	for _, l := range p.lanes {
		select {
		case l.kicked <- struct{}{}:
		default:
		}
	}
}
