package native

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
)

const (
	// readBuffer is for what arrives: frames that fit are decoded where they lie.
	readBuffer = 8 << 10
	// firstPiece is how much of a larger frame is believed before it has come. From
	// there on the buffer grows with what has.
	firstPiece = 64 << 10
	// pieceBytes is how much is written at a time, so that progress can be seen.
	pieceBytes = 256 << 10
	// helloBytesMax is the largest first frame: nothing is known of its sender yet.
	helloBytesMax = 16 << 10
	// endBytesMax is the largest end: it has a reason of some hundred bytes, or none.
	endBytesMax = 16 << 10
	// signEvery is how often the other end hears, while a large frame of it is on its
	// way, that it arrives: on a slow road its own pings wait behind that frame.
	signEvery = 250 * time.Millisecond
	// farewellMax is how long an end waits for the other to hear why it is refused, or
	// to say why.
	farewellMax = time.Second
	// farewellBytesMax is how much is read of what nobody wants any more.
	farewellBytesMax = 2 * api.RequestBytesMax
	// keptItems is how many calls or results a list has room for that is used again.
	keptItems = 256
)

var (
	// ErrNoGreeting is an other end that was reached and did not begin as a link
	// does: an older node, a proxy, or somebody else.
	ErrNoGreeting = errors.New("native link: no greeting")
	// ErrSilent is a link whose other end does not answer a ping.
	ErrSilent = errors.New("keepalive ping failed to receive ACK within timeout") // gRPC's words
)

// RefusedError is an end with a reason.
type RefusedError struct{ Err *kindred.Error }

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap lets errors.As see what the other end said.
func (e *RefusedError) Unwrap() error { return e.Err }

// Link is one end of a link. One goroutine reads; any may send.
type Link struct {
	conn net.Conn
	in   *bufio.Reader
	// largest is the largest frame that is taken.
	largest int
	results []Result
	calls   []Call

	// pingAfter and deadAfter are how long the other end may be silent until it is
	// pinged, and then until it counts as gone; zero for ever. The deadline is moved
	// in strides of renew, not with every read.
	pingAfter, deadAfter, renew time.Duration
	until                       time.Time

	// moved counts the reads and writes that moved something, received the reads.
	moved, received atomic.Uint64

	// writing has one place, for whoever sends a frame, or is in the middle of it. It
	// is no mutex, for those who wait for it would hold up the time of a bubble.
	writing chan struct{}
	pieces  [][]byte

	mu     sync.Mutex
	closed bool
	side   sync.WaitGroup // those who send pings and pongs
	// pinging and ponging: one is on its way to the writer.
	pinging, ponging bool
	// heard is closed with the next read; nil if nobody waits for it.
	heard chan struct{}
}

func newLink(conn net.Conn, largest int) *Link {
	l := &Link{conn: conn, largest: largest, writing: make(chan struct{}, 1)}
	l.in = bufio.NewReaderSize((*listening)(l), readBuffer)
	return l
}

// Open begins a link as a client does: it greets and waits for the answer. A node that
// belongs to another cluster than the one that is named refuses it. An error
// is a *[RefusedError], if the node said why, or wraps [ErrNoGreeting]. Whoever calls
// it bounds its time by the connection's deadline, and closes the connection if it
// fails.
func Open(conn net.Conn, authorization, cluster string) (*Link, Hello, error) {
	l := newLink(conn, api.ResponseBytesMax)
	mine := Hello{VersionMin: Version, VersionMax: Version, Authorization: authorization, Cluster: cluster}
	if err := l.greet(&mine); err != nil {
		return nil, Hello{}, fmt.Errorf("%w: %w", ErrNoGreeting, err)
	}
	theirs, err := l.greeting()
	if refused := (*RefusedError)(nil); err != nil && !errors.As(err, &refused) {
		err = fmt.Errorf("%w: %w", ErrNoGreeting, err)
	}
	if err == nil && !theirs.Common() {
		err = fmt.Errorf("%w: it speaks the formats %d to %d", ErrNoGreeting, theirs.VersionMin, theirs.VersionMax)
	}
	if err != nil {
		return nil, Hello{}, err
	}
	return l, theirs, nil
}

// Accept begins a link as a node does: it waits for the greeting. Answer it with
// Welcome, or with Refuse. An error is somebody who does not begin as a client does.
func Accept(conn net.Conn) (*Link, Hello, error) {
	l := newLink(conn, helloBytesMax)
	theirs, err := l.greeting()
	if err != nil {
		return nil, Hello{}, err
	}
	l.largest = api.RequestBytesMax
	return l, theirs, nil
}

// Welcome answers a greeting. The client keeps so many calls under way.
func (l *Link) Welcome(callsMax int) error {
	return l.greet(&Hello{VersionMin: Version, VersionMax: Version, CallsMax: callsMax})
}

// Watch makes the reader ping an end on whose link nothing has moved for pingAfter,
// and give it up after deadAfter more. It is for the reader to call.
func (l *Link) Watch(pingAfter, deadAfter time.Duration) {
	l.pingAfter, l.deadAfter, l.renew = pingAfter, deadAfter, pingAfter/8
}

func (l *Link) greet(h *Hello) error {
	b := newBatch(kindHello)
	defer b.Free()
	b.buf = h.append(b.buf)
	b.seal([][]byte{b.buf})
	_, err := l.conn.Write(append([]byte(Preface), b.buf...))
	return err
}

func (l *Link) greeting() (Hello, error) {
	for i := range len(Preface) { // the first byte that differs decides: nobody waits for more
		said, err := l.in.Peek(i + 1)
		if err != nil {
			return Hello{}, err
		}
		if said[i] != Preface[i] {
			return Hello{}, malformed("it begins with %q", said)
		}
	}
	_, _ = l.in.Discard(len(Preface))
	f, err := l.frame()
	switch {
	case err != nil:
		return Hello{}, err
	case f.kind == kindEnd:
		return Hello{}, endOf(f)
	case f.kind != kindHello:
		return Hello{}, malformed("kind %d before the hello", f.kind)
	}
	return decodeHello(f.body)
}

// Send sends a batch, whole or the link is broken, and frees it. It waits for as
// long as the other end does not read.
func (l *Link) Send(b *Batch) error {
	defer b.Free()
	if most := max(api.RequestBytesMax, api.ResponseBytesMax); b.Size() > most {
		return malformed("a frame of %d bytes, the limit is %d", b.Size(), most)
	}
	l.writing <- struct{}{}
	defer func() { <-l.writing }()
	return l.write(b)
}

// write requires writing. What it has written is a sign of life once it is more than
// the system holds.
func (l *Link) write(b *Batch) error {
	l.pieces = b.segments(l.pieces[:0])
	defer func() { clear(l.pieces) }()
	b.seal(l.pieces)
	for _, p := range l.pieces {
		for len(p) > 0 {
			n, err := l.conn.Write(p[:min(len(p), pieceBytes)])
			if n > 0 {
				l.moved.Add(1)
			}
			if err != nil {
				return err
			}
			p = p[n:]
		}
	}
	return nil
}

// End says that nothing more will come from this end, and why, if there is a reason.
func (l *Link) End(why *kindred.Error) error {
	b := newBatch(kindEnd)
	b.buf = encodeEnd(b.buf, why)
	return l.Send(b)
}

// Refuse answers a greeting by why it is turned away. It waits for a moment until the
// client has heard it, because what is closed while something is unread is reset, and a
// reset may overtake what was said.
func (l *Link) Refuse(why *kindred.Error) {
	late := time.AfterFunc(farewellMax, func() { l.conn.Close() })
	defer late.Stop()
	b := newBatch(kindEnd)
	defer b.Free()
	b.buf = encodeEnd(b.buf, why)
	b.seal([][]byte{b.buf})
	if _, err := l.conn.Write(append([]byte(Preface), b.buf...)); err == nil {
		l.Drain()
	}
}

// Drain reads what still comes, and nobody wants, until the other end closes or it is
// too much. It is for the reader; whoever waits for it bounds its time by Close.
func (l *Link) Drain() { _, _ = io.CopyN(io.Discard, l.in, farewellBytesMax) }

// Calls returns the calls of the next frame that has some, valid until the next
// call of it but for what they hold. The error is io.EOF after an end in good order.
func (l *Link) Calls() ([]Call, error) {
	l.calls = emptied(l.calls)
	f, err := l.next(kindCalls)
	if err != nil {
		return nil, err
	}
	l.calls, err = decodeCalls(f, l.calls)
	return l.calls, err
}

// Results is Calls for results. An end with a reason is a *[RefusedError].
func (l *Link) Results() ([]Result, error) {
	l.results = emptied(l.results)
	f, err := l.next(kindResults)
	if err != nil {
		return nil, err
	}
	l.results, err = decodeResults(f, l.results)
	return l.results, err
}

// emptied is a list without what it held, and without its room if that is large.
func emptied[T any](list []T) []T {
	if cap(list) > keptItems {
		return nil
	}
	clear(list)
	return list[:0]
}

// next returns the next frame of a kind, and sees to the others.
func (l *Link) next(want kind) (frame, error) {
	for {
		f, err := l.frame()
		switch {
		case err != nil:
			return frame{}, err
		case f.kind == want:
			return f, nil
		case f.kind == kindPing:
			l.aside(kindPong, &l.ponging)
		case f.kind == kindPong: // that it came is all it says
		case f.kind == kindEnd:
			return frame{}, endOf(f)
		default:
			return frame{}, malformed("unexpected kind %d", f.kind)
		}
	}
}

// endOf is what an end says.
func endOf(f frame) error {
	if len(f.body) > endBytesMax {
		return malformed("an end of %d bytes, the limit is %d", len(f.body), endBytesMax)
	}
	why, err := decodeEnd(f)
	switch {
	case err != nil:
		return err
	case why == nil:
		return io.EOF
	}
	return &RefusedError{why}
}

// frame reads one. Its body is valid until the next, if it is not its own.
func (l *Link) frame() (frame, error) {
	head, err := l.in.Peek(sizeBytes)
	if err != nil {
		return frame{}, torn(err)
	}
	size := int(binary.LittleEndian.Uint32(head))
	if size < headBytes || size > l.largest {
		return frame{}, malformed("a frame of %d bytes, want %d to %d", size, headBytes, l.largest)
	}
	if size <= readBuffer {
		raw, err := l.in.Peek(size)
		if err != nil {
			return frame{}, torn(err)
		}
		_, _ = l.in.Discard(size) // the bytes stay until the next read
		return openFrame(raw, false)
	}
	raw, err := l.gather(size)
	if err != nil {
		return frame{}, torn(err)
	}
	return openFrame(raw, true)
}

// gather reads a large frame into a buffer that grows with what has arrived, not
// with what was announced.
func (l *Link) gather(size int) ([]byte, error) {
	buf, sign := make([]byte, min(size, firstPiece)), time.Now()
	for have := 0; ; {
		n, err := l.in.Read(buf[have:])
		if err != nil {
			return nil, err
		}
		if have += n; have == size {
			return buf, nil
		}
		if have == len(buf) {
			grown := make([]byte, min(size, 2*have))
			copy(grown, buf)
			buf = grown
		}
		if now := time.Now(); now.Sub(sign) >= signEvery {
			sign = now
			l.aside(kindPong, &l.ponging)
		}
	}
}

// torn tells an end that was not announced from one in good order.
func torn(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// listening is the connection as the buffer reads it.
type listening Link

// Read implements io.Reader. A silence is not an error until a ping was not answered.
func (l *listening) Read(p []byte) (int, error) {
	moved, pinged := l.moved.Load(), false
	for {
		if err := l.patience(pinged); err != nil {
			return 0, err
		}
		n, err := l.conn.Read(p)
		if n > 0 {
			l.note()
			return n, nil
		}
		if late, ok := err.(net.Error); err == nil || l.pingAfter == 0 || !ok || !late.Timeout() {
			return 0, err
		}
		switch now := l.moved.Load(); {
		case now != moved:
			moved, pinged = now, false
		case pinged:
			return 0, ErrSilent
		default:
			pinged = true
			(*Link)(l).aside(kindPing, &l.pinging)
		}
	}
}

// patience moves the deadline of reading.
func (l *listening) patience(pinged bool) error {
	if l.pingAfter == 0 {
		return nil
	}
	wait, now := l.pingAfter, time.Now()
	if pinged {
		wait = l.deadAfter
	} else if l.until.Sub(now) >= l.pingAfter-l.renew {
		return nil
	}
	l.until = now.Add(wait)
	return l.conn.SetReadDeadline(l.until)
}

// note says that something was read.
func (l *listening) note() {
	l.moved.Add(1)
	l.received.Add(1)
	l.mu.Lock()
	if l.heard != nil {
		close(l.heard)
		l.heard = nil
	}
	l.mu.Unlock()
}

// aside sends a frame without a body beside whatever goes on, unless one of its kind
// is on its way already.
func (l *Link) aside(k kind, onItsWay *bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || *onItsWay {
		return
	}
	*onItsWay = true
	l.side.Go(func() {
		l.writing <- struct{}{}
		l.mu.Lock()
		*onItsWay = false
		l.mu.Unlock()
		b := newBatch(k)
		b.seal([][]byte{b.buf})
		_, _ = l.conn.Write(b.buf) // the reader finds out if it failed; it is no sign of life
		<-l.writing
		b.Free()
	})
}

// Ping asks the other end for a sign of life and waits for one: anything that is
// read. It needs somebody who reads.
func (l *Link) Ping(ctx context.Context) error {
	l.mu.Lock()
	if l.heard == nil {
		l.heard = make(chan struct{})
	}
	heard := l.heard
	l.mu.Unlock()
	l.aside(kindPing, &l.pinging)
	select {
	case <-heard:
		return nil
	case <-ctx.Done():
		return ErrSilent
	}
}

// HearOut is Close for a client that cannot send any more: it gives the reader a moment
// to find out why, for what the node has said of it may still be on the way.
func (l *Link) HearOut() { time.AfterFunc(farewellMax, func() { l.conn.Close() }) }

// Close ends the connection and waits for whoever is writing beside. It may be
// called again.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	err := l.conn.Close()
	l.side.Wait()
	return err
}
