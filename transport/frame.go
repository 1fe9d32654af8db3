package transport

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
)

// A frame is
//
//	size     4 bytes, of the whole frame
//	version  1 byte
//	kind     1 byte
//	crc      4 bytes, CRC-32C of size, version, kind and everything after the crc
//	count    4 bytes, the number of messages in the body
//	body     per message: uvarint length, bytes
//
// with little-endian integers. A message that does not fit into one frame
// travels in parts, one after the other on its lane; then count is the size of
// the whole message and the body is the next piece of it. Parts let heartbeats
// pass between them, so that a large message on a slow link is not taken for a
// dead peer. Heartbeats, hellos and ends are frames too; their body is described
// where they are made.
const (
	frameVersion    = 2
	frameHeaderSize = 14

	sizeBytes     = 4
	versionOffset = 4
	kindOffset    = 5
	crcOffset     = 6
	countOffset   = 10
)

type frameKind byte

const (
	kindHello frameKind = iota + 1
	kindMessages
	kindHeartbeat
	kindPart
	kindEnd
)

// frameBytesLimit is the largest frame that anyone may send.
const frameBytesLimit = 1 << 20

// castagnoli is the polynomial that processors compute themselves.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newFrame starts a frame in buf, whose content is discarded.
func newFrame(buf []byte, kind frameKind) []byte {
	buf = append(buf[:0], make([]byte, frameHeaderSize)...)
	buf[versionOffset], buf[kindOffset] = frameVersion, byte(kind)
	return buf
}

// appendMessage adds a message to a frame.
func appendMessage(frame, msg []byte) []byte {
	frame = binary.AppendUvarint(frame, uint64(len(msg)))
	return append(frame, msg...)
}

// sealFrame completes a frame; it must not change afterwards.
func sealFrame(frame []byte, count uint32) {
	binary.LittleEndian.PutUint32(frame, uint32(len(frame)))
	binary.LittleEndian.PutUint32(frame[countOffset:], count)
	binary.LittleEndian.PutUint32(frame[crcOffset:], frameSum(frame))
}

func frameSum(frame []byte) uint32 {
	sum := crc32.Update(0, castagnoli, frame[:crcOffset])
	return crc32.Update(sum, castagnoli, frame[countOffset:])
}

// openFrame checks version and checksum and returns what the frame holds.
func openFrame(frame []byte) (kind frameKind, count uint32, body []byte, err error) {
	if len(frame) < frameHeaderSize {
		return 0, 0, nil, &FrameError{Reason: fmt.Sprintf("%d bytes, the header alone has %d", len(frame), frameHeaderSize)}
	}
	if size := binary.LittleEndian.Uint32(frame); int64(size) != int64(len(frame)) {
		return 0, 0, nil, &FrameError{Reason: fmt.Sprintf("%d bytes, the frame says %d", len(frame), size)}
	}
	if v := frame[versionOffset]; v != frameVersion {
		return 0, 0, nil, &FrameError{Reason: fmt.Sprintf("format version %d, this node knows %d", v, frameVersion)}
	}
	if got, want := frameSum(frame), binary.LittleEndian.Uint32(frame[crcOffset:]); got != want {
		return 0, 0, nil, &FrameError{Reason: fmt.Sprintf("checksum %08x, the frame says %08x", got, want)}
	}
	return frameKind(frame[kindOffset]), binary.LittleEndian.Uint32(frame[countOffset:]), frame[frameHeaderSize:], nil
}

// assembly puts the parts of one message together.
type assembly struct {
	// body is the message so far, as the body of a batch; empty between
	// messages.
	body []byte
	// size is what body will have in the end.
	size int
}

// add takes the next part of a message of total bytes and returns the message
// once it is whole, an empty batch before.
func (a *assembly) add(total uint32, part []byte) (Batch, error) {
	prefix := uvarintLen(int(total))
	switch {
	case total > MessageBytesMax:
		return Batch{}, &FrameError{Reason: fmt.Sprintf("parts of a message of %d bytes, the limit is %d", total, MessageBytesMax)}
	case len(part) == 0:
		return Batch{}, &FrameError{Reason: "an empty part"}
	case len(a.body) == 0:
		a.body = binary.AppendUvarint(nil, uint64(total))
		a.size = prefix + int(total)
	case a.size != prefix+int(total):
		return Batch{}, &FrameError{Reason: "a part of another message"}
	}
	// The buffer grows with what has arrived, not with what was announced.
	a.body = append(a.body, part...)
	if len(a.body) < a.size {
		return Batch{}, nil
	}
	if len(a.body) > a.size {
		return Batch{}, &FrameError{Reason: "parts that are more than their message"}
	}
	whole := Batch{count: 1, body: a.body}
	*a = assembly{}
	return whole, nil
}

// Batch is the messages of one frame, in the order in which they were sent.
type Batch struct {
	count int
	body  []byte
}

// NewBatch is a batch that holds copies of msgs, as a link would deliver them.
func NewBatch(msgs ...[]byte) Batch {
	b := Batch{count: len(msgs)}
	for _, m := range msgs {
		b.body = appendMessage(b.body, m)
	}
	return b
}

// openBatch checks that body holds exactly count messages.
func openBatch(count uint32, body []byte) (Batch, error) {
	rest := body
	for i := range count {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return Batch{}, &FrameError{Reason: fmt.Sprintf("message %d of %d reaches beyond the frame", i+1, count)}
		}
		rest = rest[n+int(size):]
	}
	if len(rest) > 0 {
		return Batch{}, &FrameError{Reason: fmt.Sprintf("%d bytes after the last of %d messages", len(rest), count)}
	}
	return Batch{count: int(count), body: body}, nil
}

// Len is the number of messages.
func (b Batch) Len() int { return b.count }

// Bytes is the size of the batch with the lengths of its messages.
func (b Batch) Bytes() int { return len(b.body) }

// All yields the messages in order. They are slices of the batch's own buffer,
// which belongs to the receiver (see the package comment).
func (b Batch) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := b.body; len(rest) > 0; {
			size, n := binary.Uvarint(rest)
			end := n + int(size)
			if !yield(rest[n:end:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}
