package transport

import (
	"encoding/binary"
	"runtime"
	"sync"
)

// outFrame is a frame on its way out, not yet sealed.
type outFrame struct {
	buf *buffer
	// count is the frame's count field, messages how many end in it: the same,
	// unless it is a part.
	count    uint32
	messages int
}

// queue gathers the messages for one link into frames. Any number of
// goroutines add, one takes. It survives its links: between two of them it is
// closed and empty.
type queue struct {
	limit, target int
	frames        *framePool

	mu sync.Mutex
	// ready wakes the writer; it is signalled only when waiting is set.
	ready   sync.Cond
	waiting bool

	// open: there is a link. draining: the last link ends once all is taken,
	// and there will be no other.
	open, draining bool
	// beat asks the writer for a heartbeat before the next frame.
	beat bool

	// full are complete frames, building is the one that still grows. Their
	// buffers come from frames.
	full     []outFrame
	building outFrame
	// bytes counts what full and building hold, but for frame headers.
	bytes int

	// Counters since the start: accepted, refused because the queue was full,
	// and lost with a link.
	messages, refused, dropped uint64
}

func newQueue(limit, target int, frames *framePool) *queue {
	q := &queue{limit: limit, target: target, frames: frames}
	q.ready.L = &q.mu
	return q
}

// verdict is what became of a message.
type verdict byte

const (
	accepted verdict = iota
	queueFull
	noLink
)

// add copies msg into the frame being built.
func (q *queue) add(msg []byte) verdict {
	size := len(msg) + uvarintLen(len(msg))
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case !q.open || q.draining:
		return noLink
	case q.bytes > 0 && q.bytes+size > q.limit:
		q.refused++
		return queueFull
	}
	if frameHeaderSize+size > q.target {
		q.split(msg)
	} else {
		q.append(msg, size)
	}
	q.messages++
	q.wake()
	return accepted
}

// append requires mu.
func (q *queue) append(msg []byte, size int) {
	if q.building.buf != nil && len(q.building.buf.b)+size > q.target {
		q.finish()
	}
	if q.building.buf == nil {
		q.building.buf = q.frames.get(frameHeaderSize + size)
		q.building.buf.b = newFrame(q.building.buf.b, kindMessages)
	}
	q.building.buf.b = appendMessage(q.building.buf.b, msg)
	q.building.count++
	q.building.messages++
	q.bytes += size
}

// split makes parts of a message that is too large for a frame. It requires mu.
func (q *queue) split(msg []byte) {
	q.finish()
	q.bytes += len(msg)
	count := uint32(len(msg))
	for len(msg) > 0 {
		n := min(len(msg), q.target-frameHeaderSize)
		f := outFrame{buf: q.frames.get(frameHeaderSize + n), count: count}
		f.buf.b = append(newFrame(f.buf.b, kindPart), msg[:n]...)
		if msg = msg[n:]; len(msg) == 0 {
			f.messages = 1
		}
		q.full = append(q.full, f)
	}
}

// finish closes the frame being built. It requires mu.
func (q *queue) finish() {
	if q.building.messages > 0 {
		q.full = append(q.full, q.building)
		q.building = outFrame{}
	}
}

// wake requires mu.
func (q *queue) wake() {
	if q.waiting {
		q.waiting = false
		q.ready.Signal()
	}
}

// take waits for something to send: a heartbeat that is due, or the oldest
// frame, unsealed. It reports false once the link is to end.
func (q *queue) take() (f outFrame, beat, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case !q.open:
			return outFrame{}, false, false
		case q.beat:
			q.beat = false
			return outFrame{}, true, true
		case len(q.full) > 0:
			f, q.full[0] = q.full[0], outFrame{}
			q.full = q.full[1:]
		case q.building.messages > 0:
			f, q.building = q.building, outFrame{}
		case q.draining:
			return outFrame{}, false, false
		default:
			q.waiting = true
			q.ready.Wait()
			q.mu.Unlock()
			runtime.Gosched() // those who are about to send go first: one frame for all
			q.mu.Lock()
			continue
		}
		q.bytes -= len(f.buf.b) - frameHeaderSize
		return f, false, true
	}
}

// wantBeat asks the writer for a heartbeat.
func (q *queue) wantBeat() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.beat = true
	q.wake()
}

// opened begins a link, unless the queue is not to have another one.
func (q *queue) opened() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open, q.beat = !q.draining, false
	return q.open
}

// drain refuses new messages for good and ends the link once the queue is
// empty. It reports whether there is a link to wait for.
func (q *queue) drain() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.draining = true
	q.wake()
	return q.open
}

// closed ends a link and drops what it had not sent.
func (q *queue) closed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range append(q.full, q.building) {
		q.dropped += uint64(f.messages)
	}
	q.open, q.full, q.building, q.bytes = false, nil, outFrame{}, 0
	q.wake()
}

func (q *queue) isOpen() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.open && !q.draining
}

func (q *queue) isDraining() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.draining
}

func uvarintLen(n int) int {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], uint64(n))
}
