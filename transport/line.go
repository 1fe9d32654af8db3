package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// preface is what both ends say before their hello. It never changes: it tells a
// node from whoever else may answer or call at a port.
const preface = "KINDRED\n"

const (
	// helloBytesMax is the largest first frame: nothing is known of its sender yet.
	helloBytesMax = 4 << 10
	// endBytesMax is how much of a reason travels, and is believed.
	endBytesMax = 512
	// lastWords is how long an end waits for the other to hear why, or to say it.
	lastWords = time.Second
)

// line is a connection that carries frames, one end of a link. One goroutine reads
// and one writes.
type line struct {
	net.Conn
	in *bufio.Reader
	// spoken says that the preface has been sent.
	spoken bool
	// silence is how long the other end may say nothing while this one listens,
	// for ever if zero. The connection's deadline is moved in strides of renew, not
	// with every read, so it may come earlier by one.
	silence, renew time.Duration
	until          time.Time
}

func newLine(conn net.Conn, buffer int) *line {
	l := &line{Conn: conn}
	l.in = bufio.NewReaderSize((*listening)(l), buffer)
	return l
}

// listening is the connection as the buffer reads it.
type listening line

// Read implements io.Reader.
func (l *listening) Read(p []byte) (int, error) {
	if l.silence > 0 {
		if now := time.Now(); l.until.Sub(now) < l.silence-l.renew {
			l.until = now.Add(l.silence)
			if err := l.SetReadDeadline(l.until); err != nil {
				return 0, err
			}
		}
	}
	return l.Conn.Read(p)
}

// greet says who is at this end.
func (l *line) greet(h hello) error { return l.say(h.append(newFrame(nil, kindHello))) }

// say sends a frame that has no messages, with the preface if it is the first.
func (l *line) say(frame []byte) error {
	sealFrame(frame, 0)
	if !l.spoken {
		l.spoken = true
		frame = append([]byte(preface), frame...)
	}
	_, err := l.Write(frame)
	return err
}

// greeting is who is at the other end, as it says.
func (l *line) greeting() (hello, error) {
	if err := l.expectPreface(); err != nil {
		return hello{}, err
	}
	raw, err := l.readFrame(helloBytesMax)
	if err != nil {
		return hello{}, err
	}
	kind, _, body, err := openFrame(raw)
	switch {
	case err != nil:
		return hello{}, err
	case kind == kindEnd:
		return hello{}, endOf(body)
	case kind != kindHello:
		return hello{}, &FrameError{Reason: fmt.Sprintf("kind %d before the hello", kind)}
	}
	return decodeHello(body)
}

func (l *line) expectPreface() error {
	first, err := l.in.Peek(1)
	if err != nil {
		return err
	}
	if first[0] != preface[0] {
		return &FrameError{Reason: notANode(first[0])}
	}
	said, err := l.in.Peek(len(preface))
	if err != nil {
		return err
	}
	if string(said) != preface {
		return &FrameError{Reason: notANode(first[0])}
	}
	_, err = l.in.Discard(len(preface))
	return err
}

// firstOfTLS is the first byte of a handshake, firstOfHTTP2 that of what a server
// of HTTP/2 says, its settings.
const (
	firstOfTLS   = 0x16
	firstOfHTTP2 = 0
)

// notANode says what those may be who do not begin as nodes do. There are few such
// texts, so that strangers cannot fill the log with news.
func notANode(first byte) string {
	switch {
	case first == firstOfTLS:
		return "it begins as TLS does, and this node has no certificates"
	case first == firstOfHTTP2 || first == 'P' || first == 'G' || first == 'H':
		return "it begins as HTTP does, not as a node: nodes are dialled at their peer address, clients call at another"
	}
	return "it does not begin as a node does at its peer address"
}

// readFrame returns the next frame in a buffer of its own.
func (l *line) readFrame(limit int) ([]byte, error) {
	head, err := l.in.Peek(sizeBytes)
	if err == io.EOF && len(head) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(head)
	if size < frameHeaderSize || int64(size) > int64(limit) {
		return nil, &FrameError{Reason: fmt.Sprintf("%d bytes, want %d to %d", size, frameHeaderSize, limit)}
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(l.in, frame); err != nil {
		return nil, err
	}
	return frame, nil
}

// endError is why the other end ends a link, in its words.
type endError struct{ reason string }

func (e *endError) Error() string { return "the peer ended the link: " + e.reason }

// errEnded is a link that the peer ended in good order, as it does after this
// end has said that nothing more will come.
var errEnded = errors.New("the peer ended the link")

// endOf is what an end says, errEnded if it has no reason.
func endOf(body []byte) error {
	if len(body) == 0 {
		return errEnded
	}
	return &endError{string(body[:min(len(body), endBytesMax)])}
}

// sayEnd tells the other end that nothing more will come, and why, if there is a
// reason.
func (l *line) sayEnd(reason string) error {
	return l.say(append(newFrame(nil, kindEnd), reason[:min(len(reason), endBytesMax)]...))
}

// hangUp tells the other end why nothing more is read from it, and waits until it
// has heard that: what is closed while something is unread is reset, and a reset
// may overtake the reason.
func (l *line) hangUp(why error) {
	_ = l.SetWriteDeadline(time.Now().Add(lastWords))
	if l.sayEnd(why.Error()) == nil {
		linger(l.Conn)
	}
}

// linger reads what is still on its way, up to a limit.
func linger(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(lastWords))
	_, _ = io.CopyN(io.Discard, conn, strangerBytesMax/2) // it ends in any case
}
