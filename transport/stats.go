package transport

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// LinkStats is what one lane to a peer has done since the start or since the
// peer's address was set; the numbers In are over both lanes and stand with
// the message lane.
type LinkStats struct {
	Peer   string
	Lane   Lane
	Addr   string
	Linked bool
	// Frames, Messages and Bytes were sent or queued; Bytes are whole frames.
	Frames, Messages, Bytes uint64
	// Refused messages found the queue full; Dropped ones were lost with a
	// link.
	Refused, Dropped uint64
	// QueuedBytes wait now.
	QueuedBytes int
	// Connects counts the links made.
	Connects uint64
	// RoundTrip is what the last heartbeat took, zero before the first.
	RoundTrip time.Duration

	FramesIn, MessagesIn, BytesIn uint64
	// CorruptIn counts the frames that closed a link.
	CorruptIn uint64
	// ConnectsIn counts the links accepted, RefusedIn those that did not fit.
	ConnectsIn, RefusedIn uint64
	// Impostors counts the times that another than the peer answered at its
	// address, or that its certificate was no longer good.
	Impostors uint64
}

// Stats is one entry per peer and lane, and one for each other node that has
// dialled this one, in the order of names. The first has no name: its CorruptIn
// counts links that did not begin with a hello, its RefusedIn handshakes that failed.
func (t *Transport) Stats() []LinkStats {
	t.inMu.Lock()
	in := maps.Clone(t.in)
	t.inMu.Unlock()
	var all []LinkStats
	for name, p := range *t.peers.Load() {
		for _, l := range p.lanes {
			s := l.stats()
			if l.lane == Messages {
				in[name].addTo(&s)
				delete(in, name)
			}
			all = append(all, s)
		}
	}
	for name, i := range in {
		s := LinkStats{Peer: name}
		i.addTo(&s)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b LinkStats) int {
		return cmp.Or(cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Lane, b.Lane))
	})
	return all
}

// Strangers is how many connections have not passed their hello, and how many were
// closed because they did not.
func (t *Transport) Strangers() (waiting int, putOut uint64) {
	return t.lobby.Waiting(), t.lobby.PutOut()
}

func (l *link) stats() LinkStats {
	q := l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	return LinkStats{
		Peer: l.peer, Lane: l.lane, Addr: l.addr, Linked: q.open && !q.draining,
		Frames: l.frames.Load(), Messages: q.messages, Bytes: l.bytes.Load(),
		Refused: q.refused, Dropped: q.dropped, QueuedBytes: q.bytes,
		Connects: l.connects.Load(), RoundTrip: time.Duration(l.roundTrip.Load()),
		Impostors: l.impostors.Load(),
	}
}

func (i *inbound) addTo(s *LinkStats) {
	if i == nil {
		return
	}
	s.FramesIn, s.MessagesIn, s.BytesIn = i.frames.Load(), i.messages.Load(), i.bytes.Load()
	s.CorruptIn, s.ConnectsIn, s.RefusedIn = i.corrupt.Load(), i.connects.Load(), i.refused.Load()
}
