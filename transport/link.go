package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/security"
)

// redialMin is the pause before the second attempt; it doubles up to RedialMax.
const redialMin = 50 * time.Millisecond

// link keeps one lane to one peer open.
type link struct {
	t          *Transport
	lane       Lane
	peer, addr string
	queue      *queue
	// kicked cuts the pause before the next attempt short.
	kicked chan struct{}
	stop   context.CancelFunc

	frames, bytes, connects atomic.Uint64
	// answered is when the peer last answered a heartbeat, roundTrip how long
	// that took; both are durations, answered since the transport's start.
	answered, roundTrip atomic.Int64

	// reported is the last trouble that was logged; only run touches it.
	reported string
	// impostors counts those that the dialled address turned out to be, if not the
	// peer.
	impostors atomic.Uint64
}

func newLink(t *Transport, lane Lane, peer, addr string) *link {
	return &link{
		t: t, lane: lane, peer: peer, addr: addr,
		queue:  newQueue(t.cfg.queueBytesMax(lane), t.cfg.FrameBytesMax, &t.frames),
		kicked: make(chan struct{}, 1),
	}
}

// run dials until ctx ends or the link has been drained.
func (l *link) run(ctx context.Context) {
	pause := redialMin
	for {
		began := time.Now()
		err := l.session(ctx)
		if ctx.Err() != nil || l.queue.isDraining() {
			return
		}
		l.report(err)
		if time.Since(began) > l.t.cfg.RedialMax {
			pause = redialMin
		}
		if !l.wait(ctx, pause) {
			return
		}
		pause = min(2*pause, l.t.cfg.RedialMax)
	}
}

// wait pauses for up to d, a little less at random so that the peers of a node
// that comes back do not all arrive at once.
func (l *link) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d - rand.N(d/5+1))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.kicked:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// report logs trouble once, until it changes or the link was up in between.
// The text of a lost connection holds port numbers that differ every time, so
// only refusals are told apart by their text.
func (l *link) report(err error) {
	kind := "unreachable"
	if said, ok := complaint(err); ok {
		kind = said
	} else if isAlert(err) {
		kind = "turned away"
	}
	if l.reported == kind {
		return
	}
	l.reported = kind
	l.t.log.Warn("no link to peer; dialling again until there is one",
		"peer", l.peer, "addr", l.addr, "lane", l.lane.String(), "reason", err.Error())
}

// complaint is what one end finds wrong with the other, as opposed to trouble on the
// way.
func complaint(err error) (reason string, ok bool) {
	var refused *RefusedError
	var bad *FrameError
	var ended *endError
	switch {
	case errors.As(err, &refused):
		return refused.Reason, true
	case errors.As(err, &bad):
		return bad.Reason, true
	case errors.As(err, &ended):
		return ended.reason, true
	}
	return "", false
}

// session is one link from dialling to its end, which always has a reason.
func (l *link) session(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	line, proof, err := l.connect(ctx, cancel)
	if line != nil {
		defer line.Close()
	}
	if err != nil {
		return firstOf(context.Cause(ctx), err)
	}
	l.connects.Add(1)
	l.answered.Store(int64(l.t.since()))
	if !l.queue.opened() {
		return errEnded
	}
	defer l.queue.closed()
	if l.lane == Messages {
		l.t.cfg.LinkUp(l.peer)
		defer l.t.cfg.LinkDown(l.peer)
	}
	l.reported = ""
	l.t.log.Info("link up", "peer", l.peer, "addr", l.addr, "lane", l.lane.String())
	return l.converse(ctx, cancel, line, proof)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// connect dials, shakes hands and exchanges hellos, all within DialTimeout. From
// then on ctx ends the connection. The line is to be closed if there is one, even
// with an error.
func (l *link) connect(ctx context.Context, cancel context.CancelCauseFunc) (*line, proof, error) {
	late := time.AfterFunc(l.t.cfg.DialTimeout, func() {
		cancel(fmt.Errorf("no hello within %v", l.t.cfg.DialTimeout))
	})
	defer late.Stop()
	raw, err := l.t.dial(ctx, l.peer, l.addr)
	if err != nil {
		return nil, proof{}, err
	}
	context.AfterFunc(ctx, func() { raw.Close() })
	conn, err := l.t.shakeOut(ctx, raw, l.peer)
	line := newLine(conn, answersBuffer)
	if err != nil {
		return line, proof{}, l.exposed(err)
	}
	if err := l.greet(line); err != nil {
		return line, proof{}, err
	}
	proof, err := l.t.prove(conn, l.peer)
	return line, proof, l.exposed(err)
}

// answersBuffer is for what arrives on a link that was dialled: heartbeats.
const answersBuffer = 512

// exposed counts those who answered in the place of the peer.
func (l *link) exposed(err error) error {
	if bad := (*security.PeerError)(nil); errors.As(err, &bad) {
		l.impostors.Add(1)
		return &RefusedError{Peer: l.peer, Reason: bad.Error()}
	}
	return err
}

// greet exchanges hellos.
func (l *link) greet(line *line) error {
	mine := l.t.hello(l.lane, l.peer)
	if err := line.greet(mine); err != nil {
		return l.lastWord(line, err)
	}
	theirs, err := line.greeting()
	if err != nil {
		return err
	}
	return agree(mine, theirs)
}

// lastWord is why the other end has closed a line, if it said so, or else how this
// end has noticed. Nobody else may be reading.
func (l *link) lastWord(line *line, noticed error) error {
	_ = line.SetReadDeadline(time.Now().Add(lastWords))
	_, err := line.greeting()
	if _, said := complaint(err); said || isAlert(err) {
		return err
	}
	return noticed
}

// isAlert reports whether the other end has ended TLS and said why.
func isAlert(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "remote error"
}

// converse sends what is queued and watches the peer's answers until the link
// ends.
func (l *link) converse(ctx context.Context, cancel context.CancelCauseFunc, line *line, proof proof) error {
	var both sync.WaitGroup
	both.Go(func() {
		if err := l.write(line); err != nil {
			// The peer may have said why: readAnswers hears that.
			time.AfterFunc(lastWords, func() { cancel(err) })
		}
	})
	both.Go(func() { cancel(l.readAnswers(line)) })
	l.watch(ctx, cancel, proof)
	l.queue.closed()
	both.Wait()
	return context.Cause(ctx)
}

// watch asks for heartbeats and ends a link whose peer has stopped answering, or
// is no longer to be trusted.
func (l *link) watch(ctx context.Context, cancel context.CancelCauseFunc, proof proof) {
	ticker := time.NewTicker(l.t.cfg.HeartbeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := proof.holds(); err != nil {
			l.impostors.Add(1)
			cancel(&RefusedError{Peer: l.peer, Reason: err.Error()})
			return
		}
		silence := l.t.since() - time.Duration(l.answered.Load())
		if silence > l.t.cfg.DeadAfter {
			cancel(fmt.Errorf("no answer for %v", silence.Round(time.Millisecond)))
			return
		}
		l.queue.wantBeat()
	}
}

// write is the link's writer: the only goroutine that sends on the line. Once there
// is nothing more to send it says so, and leaves it to readAnswers to find out how
// the link ended.
func (l *link) write(line *line) error {
	beating := &buffer{make([]byte, 0, frameHeaderSize+beatBytes)}
	for {
		f, beat, ok := l.queue.take()
		if !ok {
			return line.sayEnd("")
		}
		if beat {
			f.buf = beating
			f.buf.b = appendBeat(newFrame(f.buf.b, kindHeartbeat), l.t.since())
		}
		sealFrame(f.buf.b, f.count)
		if _, err := line.Write(f.buf.b); err != nil {
			return err
		}
		if beat {
			continue
		}
		l.frames.Add(1)
		l.bytes.Add(uint64(len(f.buf.b)))
		l.t.frames.put(f.buf)
	}
}

// readAnswers reads the peer's heartbeats until it ends the link.
func (l *link) readAnswers(line *line) error {
	for {
		raw, err := line.readFrame(helloBytesMax)
		if err == io.EOF {
			return errEnded
		} else if err != nil {
			return err
		}
		kind, _, body, err := openFrame(raw)
		switch {
		case err != nil:
			return err
		case kind == kindEnd:
			return endOf(body)
		case kind != kindHeartbeat || len(body) != beatBytes:
			return &FrameError{Reason: fmt.Sprintf("kind %d where only heartbeats are expected", kind)}
		}
		now := l.t.since()
		l.answered.Store(int64(now))
		l.roundTrip.Store(int64(now) - int64(binary.LittleEndian.Uint64(body)))
	}
}

// beatBytes is the body of a heartbeat.
const beatBytes = 8

// appendBeat adds the body of a heartbeat: the sender's clock, which the peer
// sends back as it is.
func appendBeat(frame []byte, at time.Duration) []byte {
	return binary.LittleEndian.AppendUint64(frame, uint64(at))
}
