package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/transport/faults"
	"github.com/kindredkv/kindred/transport/lobby"
)

// inbound is what is remembered of a peer that dials this node.
type inbound struct {
	frames, messages, bytes, corrupt, connects, refused atomic.Uint64
	// refusal is the last reason for which its hello was refused.
	refusal atomic.Pointer[string]
}

// acceptPauseMax is the longest pause after a connection could not be accepted, for
// want of file descriptors say.
const acceptPauseMax = time.Second

// accept serves those who dial this node until the listener is closed.
func (t *Transport) accept() {
	pause := time.Duration(0)
	for {
		raw, err := t.listener.Accept()
		if err == nil {
			pause = 0
			guest := t.lobby.Enter(raw)
			t.serving.Go(func() { t.serve(guest) })
			continue
		}
		if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		pause = min(max(2*pause, 5*time.Millisecond), acceptPauseMax)
		t.log.Error("cannot accept a link; trying again", "after", pause, "reason", err.Error())
		select {
		case <-time.After(pause):
		case <-t.ctx.Done():
			return
		}
	}
}

// serve is a connection from its beginning to its end.
func (t *Transport) serve(guest *lobby.Conn) {
	defer guest.Close()
	defer context.AfterFunc(t.ctx, func() { guest.Close() })()
	conn, err := t.shakeIn(guest)
	if err != nil {
		t.turnAway(guest.RemoteAddr(), err)
		linger(guest)
		return
	}
	line := newLine(conn, framesBuffer)
	defer line.Close()
	line.silence, line.renew = 2*t.cfg.DeadAfter, t.cfg.HeartbeatEvery
	theirs, err := line.greeting()
	if err != nil {
		t.refuseStranger(guest.RemoteAddr(), err)
	} else {
		err = t.serveLink(line, guest, theirs)
	}
	if _, ok := complaint(err); ok {
		line.hangUp(err)
	}
}

// framesBuffer is for what arrives on a link: a frame that fits costs one read of
// the socket and a copy, what does not fit is read to where it goes.
const framesBuffer = 16 << 10

// serveLink is one link that a peer has dialled, from its hello to its end.
func (t *Transport) serveLink(line *line, guest *lobby.Conn, theirs hello) error {
	proof, err := t.prove(line.Conn, theirs.Name)
	if err != nil {
		return t.expose(line.Conn, theirs, err)
	}
	from, err := t.welcome(line, guest, theirs)
	if err != nil {
		return err
	}
	defer t.linksIn.Add(-1)
	if theirs.Lane == Messages {
		t.cfg.Inbound(theirs.Name, true)
		defer t.cfg.Inbound(theirs.Name, false)
	}
	err = t.receive(line, theirs, from, proof)
	if bad := (*FrameError)(nil); errors.As(err, &bad) {
		from.corrupt.Add(1)
		t.log.Error("closing link: a peer sent what it must not", "peer", theirs.Name, "lane", theirs.Lane.String(), "reason", bad.Reason)
	}
	return err
}

// welcome answers a hello and judges it.
func (t *Transport) welcome(line *line, guest *lobby.Conn, theirs hello) (*inbound, error) {
	if err := t.underFaults(guest, theirs.Name); err != nil {
		return nil, err
	}
	refuse := func(format string, args ...any) (*inbound, error) {
		return nil, &RefusedError{Peer: theirs.Name, Reason: fmt.Sprintf(format, args...)}
	}
	from := t.inboundOf(theirs.Name)
	if from == nil {
		return refuse("this node has met its limit of %d peer names", NamesMax)
	}
	if int(theirs.Lane) >= len(lanes) {
		return refuse("unknown lane %d", theirs.Lane)
	}
	mine := t.hello(theirs.Lane, theirs.Name)
	if err := agree(mine, theirs); err != nil {
		t.logRefusal(from, err)
		_ = line.greet(mine) // so that the other end can say what does not fit
		return nil, err
	}
	if t.linksIn.Add(1) > LinksInMax {
		t.linksIn.Add(-1)
		return refuse("this node has its limit of %d links open", LinksInMax)
	}
	// It leaves the lobby before it is answered: what it sends from then on is not a
	// stranger's.
	if !guest.Introduce() {
		t.linksIn.Add(-1)
		return refuse("the hello came too late")
	}
	if err := line.greet(mine); err != nil {
		t.linksIn.Add(-1)
		return nil, err
	}
	from.refusal.Store(nil)
	from.connects.Add(1)
	if p := (*t.peers.Load())[theirs.Name]; p != nil {
		p.kick()
	}
	return from, nil
}

// underFaults puts a link under the faults of its peer, now that the peer is
// known. If it is not to be heard, neither was its hello.
func (t *Transport) underFaults(guest *lobby.Conn, name string) error {
	if t.cfg.Faults == nil {
		return nil
	}
	faults.Identify(guest.RemoteAddr(), faults.Named(name))
	ctx, cancel := context.WithTimeout(t.ctx, t.cfg.DialTimeout)
	defer cancel()
	return t.cfg.Faults.Hear(ctx, faults.Named(name))
}

// refuseStranger counts a link that did not begin with a hello under the empty
// name. A peer that hangs up before it has said anything is not one.
func (t *Transport) refuseStranger(addr net.Addr, err error) {
	if bad := (*FrameError)(nil); errors.As(err, &bad) {
		t.inboundOf("").corrupt.Add(1)
		if t.strangers.Met(time.Now(), bad.Reason) {
			t.log.Warn("refused a link: it did not begin with a hello", "from", addr.String(), "reason", bad.Reason)
		}
	}
}

// logRefusal logs a refused hello once, until its reason changes or the peer
// was accepted in between.
func (t *Transport) logRefusal(from *inbound, err error) {
	from.refused.Add(1)
	text := err.Error()
	if last := from.refusal.Swap(&text); last == nil || *last != text {
		t.log.Warn("refused a link", "reason", text)
	}
}

// expose refuses a node that goes by a name which its certificate does not carry.
// It is remembered by the name that it has proven, so that one node cannot use up
// the names of others.
func (t *Transport) expose(conn net.Conn, theirs hello, err error) error {
	refused := &RefusedError{Peer: theirs.Name, Reason: err.Error()}
	if from := t.inboundOf(proven(conn)); from != nil {
		t.logRefusal(from, refused)
	}
	return refused
}

// receive delivers frames and answers heartbeats until the peer ends the link, or
// is no longer to be trusted.
func (t *Transport) receive(line *line, theirs hello, from *inbound, proof proof) error {
	var parts assembly
	for {
		raw, err := line.readFrame(frameBytesLimit)
		if err != nil {
			return err
		}
		if err := proof.holds(); err != nil {
			return t.expose(line.Conn, theirs, err)
		}
		kind, count, body, err := openFrame(raw)
		switch {
		case err != nil:
			return err
		case kind == kindEnd:
			return errEnded
		case kind == kindHeartbeat:
			if err := t.answer(line, raw); err != nil {
				return err
			}
			continue
		}
		batch, err := parts.unpack(kind, count, body)
		if err != nil {
			return err
		}
		from.frames.Add(1)
		from.bytes.Add(uint64(len(raw)))
		if batch.Len() > 0 {
			from.messages.Add(uint64(batch.Len()))
			t.cfg.Receive(theirs.Name, batch)
		}
	}
}

// answer sends a heartbeat back as it is. A peer that does not read them is gone.
func (t *Transport) answer(line *line, beat []byte) error {
	if err := line.SetWriteDeadline(time.Now().Add(t.cfg.DeadAfter)); err != nil {
		return err
	}
	_, err := line.Write(beat)
	return err
}

// unpack returns the messages that a frame brings or completes.
func (a *assembly) unpack(kind frameKind, count uint32, body []byte) (Batch, error) {
	switch {
	case kind == kindPart:
		return a.add(count, body)
	case kind == kindMessages && len(a.body) > 0:
		return Batch{}, &FrameError{Reason: "other messages between the parts of one"}
	case kind == kindMessages:
		return openBatch(count, body)
	}
	return Batch{}, &FrameError{Reason: fmt.Sprintf("unexpected kind %d", kind)}
}
