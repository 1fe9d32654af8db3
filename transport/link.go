package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

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
	// impostor is whom the dialled address turned out to be, if not the peer;
	// impostors counts them.
	impostor  atomic.Pointer[security.PeerError]
	impostors atomic.Uint64
}

func newLink(t *Transport, lane Lane, peer, addr string) *link {
	return &link{
		t: t, lane: lane, peer: peer, addr: addr,
		queue:  newQueue(t.cfg.queueBytesMax(lane), t.cfg.FrameBytesMax, &t.frames),
		kicked: make(chan struct{}, 1),
	}
}

// errEnded is a link that the peer ended in good order, as it does after this
// end has said that nothing more will come.
var errEnded = errors.New("the peer ended the link")

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
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		kind = refused.Reason
	} else if strings.Contains(reason(err), "remote error: tls:") {
		kind = "turned away"
	}
	if l.reported == kind {
		return
	}
	l.reported = kind
	l.t.log.Warn("no link to peer; dialling again until there is one",
		"peer", l.peer, "addr", l.addr, "lane", l.lane.String(), "reason", reason(err))
}

// reason strips the wrapping that gRPC adds for programs.
func reason(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

// session is one link from dialling to its end, which always has a reason.
func (l *link) session(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	options := append(l.t.dialOptions(l.peer), grpc.WithTransportCredentials(l.t.dialCredentials(l.peer, l.refuse)))
	conn, err := grpc.NewClient("passthrough:///"+l.addr, options...)
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := l.greet(ctx, cancel, conn)
	if bad := l.impostor.Swap(nil); bad != nil {
		return &RefusedError{Peer: l.peer, Reason: bad.Error()}
	}
	if err != nil {
		return firstOf(context.Cause(ctx), err)
	}
	proof, err := l.t.prove(stream.Context(), l.peer)
	if err != nil {
		return &RefusedError{Peer: l.peer, Reason: err.Error()}
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
	return l.converse(ctx, cancel, stream, proof)
}

// refuse notes that not the peer answered at its address.
func (l *link) refuse(bad *security.PeerError) {
	l.impostors.Add(1)
	l.impostor.Store(bad)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// greet opens the stream and exchanges hellos within DialTimeout.
func (l *link) greet(ctx context.Context, cancel context.CancelCauseFunc, conn *grpc.ClientConn) (grpc.ClientStream, error) {
	late := time.AfterFunc(l.t.cfg.DialTimeout, func() {
		cancel(fmt.Errorf("no hello within %v", l.t.cfg.DialTimeout))
	})
	defer late.Stop()
	stream, err := conn.NewStream(ctx, &linkStream, linkMethod)
	if err != nil {
		return nil, err
	}
	mine := l.t.hello(l.lane, l.peer)
	if err := sendHello(stream, mine); err != nil {
		return nil, streamEnd(stream, err)
	}
	theirs, err := recvHello(stream)
	if err != nil {
		return nil, err
	}
	return stream, agree(mine, theirs)
}

// streamEnd is the reason behind the io.EOF that a send on a finished stream
// returns. Nobody else may be receiving.
func streamEnd(stream grpc.ClientStream, err error) error {
	if err != io.EOF {
		return err
	}
	var discard []byte
	if err := stream.RecvMsg(&discard); err != nil {
		return err
	}
	return err
}

// converse sends what is queued and watches the peer's answers until the link
// ends.
func (l *link) converse(ctx context.Context, cancel context.CancelCauseFunc, stream grpc.ClientStream, proof proof) error {
	var both sync.WaitGroup
	both.Go(func() { cancel(l.write(stream)) })
	both.Go(func() { cancel(l.readAnswers(stream)) })
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

// write is the link's writer: the only goroutine that sends on the stream. Once
// there is nothing more to send, or the peer has ended the stream, it leaves it
// to readAnswers to find out how the stream ended.
func (l *link) write(stream grpc.ClientStream) error {
	for {
		f, beat, ok := l.queue.take()
		if !ok {
			if err := stream.CloseSend(); err != nil {
				return err
			}
			break
		}
		if beat {
			f = outFrame{buf: appendBeat(newFrame(nil, kindHeartbeat), l.t.since())}
		}
		sealFrame(f.buf, f.count)
		size := len(f.buf)
		if err := stream.SendMsg(&f.buf); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		if !beat {
			l.frames.Add(1)
			l.bytes.Add(uint64(size))
		}
	}
	<-stream.Context().Done()
	return nil
}

// readAnswers reads the peer's heartbeats until the stream ends.
func (l *link) readAnswers(stream grpc.ClientStream) error {
	for {
		var raw []byte
		if err := stream.RecvMsg(&raw); err == io.EOF {
			return errEnded
		} else if err != nil {
			return err
		}
		kind, _, body, err := openFrame(raw)
		if err != nil {
			return err
		}
		if kind != kindHeartbeat || len(body) != 8 {
			return &FrameError{Reason: fmt.Sprintf("kind %d where only heartbeats are expected", kind)}
		}
		now := l.t.since()
		l.answered.Store(int64(now))
		l.roundTrip.Store(int64(now) - int64(binary.LittleEndian.Uint64(body)))
	}
}

// appendBeat adds the body of a heartbeat: the sender's clock, which the peer
// sends back as it is.
func appendBeat(frame []byte, at time.Duration) []byte {
	return binary.LittleEndian.AppendUint64(frame, uint64(at))
}
