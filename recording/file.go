package recording

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// magic begins every file of a recording.
const magic = "kindred recording\n"

const (
	// frameBytes are before each event: its size, and the checksum of both.
	frameBytes = 8
	// eventBytesMax is more than the largest event that a node can be given.
	eventBytesMax = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends an event with its size and its checksum.
func appendFrame(b, event []byte) []byte {
	size := binary.BigEndian.AppendUint32(b, uint32(len(event)))
	sum := crc32.Update(crc32.Checksum(size[len(b):], castagnoli), castagnoli, event)
	return append(binary.BigEndian.AppendUint32(size, sum), event...)
}

// Whole is the longest run of whole events that fits into so many bytes, or else the
// first one, and how many they are.
func Whole(events []byte, bytesMax int) (bytes, steps int) {
	for bytes < len(events) {
		next := bytes + frameBytes + int(binary.BigEndian.Uint32(events[bytes:]))
		if steps > 0 && next > bytesMax {
			break
		}
		bytes, steps = next, steps+1
	}
	return bytes, steps
}

// AppendHeader appends what a file begins with.
func AppendHeader(b []byte, h Header) ([]byte, error) {
	text, err := json.Marshal(struct {
		Form int
		Header
	}{Form, h})
	if err != nil {
		return b, fmt.Errorf("recording: the header: %w", err)
	}
	return appendFrame(append(b, magic...), text), nil
}

var (
	// ErrTorn is the end of a file that breaks off within an event, as one does that
	// was being written when its process, or the machine, ended.
	ErrTorn = errors.New("the file breaks off within a step")
	// ErrDamaged is an event that is not the one that was written.
	ErrDamaged = errors.New("the step is not what was written: its checksum differs")
)

// Reader reads one file of a recording.
type Reader struct {
	Header Header
	from   *bufio.Reader
	next   uint64
}

// NewReader reads the header.
func NewReader(from io.Reader) (*Reader, error) {
	r := &Reader{from: bufio.NewReaderSize(from, 1<<20)}
	begin := make([]byte, len(magic))
	if _, err := io.ReadFull(r.from, begin); err != nil || string(begin) != magic {
		return nil, errors.New("recording: this is no file of a recording")
	}
	text, err := r.frame()
	if err != nil {
		return nil, fmt.Errorf("recording: the header cannot be read: %w", err)
	}
	var h struct {
		Form int
		Header
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("recording: the header cannot be read: %w", err)
	}
	if h.Form != Form {
		return nil, fmt.Errorf("recording: form %d, this program reads %d: use the one of version %s", h.Form, Form, h.Version)
	}
	if h.Shards < 1 {
		return nil, errors.New("recording: the header names no shards")
	}
	r.Header, r.next = h.Header, h.First
	return r, nil
}

// Next reads one event and returns its number. At the end it is io.EOF, ErrTorn or,
// perhaps wrapped, ErrDamaged.
func (r *Reader) Next() (step uint64, e *Event, err error) {
	b, err := r.frame()
	if err != nil {
		return r.next, nil, err
	}
	if e, err = decode(b); err != nil {
		return r.next, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	step = r.next
	r.next++
	return step, e, nil
}

func (r *Reader) frame() ([]byte, error) {
	var head [frameBytes]byte
	switch _, err := io.ReadFull(r.from, head[:]); {
	case err == io.EOF:
		return nil, io.EOF
	case err == io.ErrUnexpectedEOF:
		return nil, ErrTorn
	case err != nil:
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if head == [frameBytes]byte{} {
		return nil, ErrTorn // a file system that lost power leaves zeros
	}
	if size > eventBytesMax {
		return nil, ErrDamaged
	}
	// A size that is damaged must not take memory that the file does not fill.
	var body []byte
	for left := int(size); left > 0; {
		n := min(left, 1<<20)
		at := len(body)
		body = append(body, make([]byte, n)...)
		if _, err := io.ReadFull(r.from, body[at:]); err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, ErrTorn
		} else if err != nil {
			return nil, err
		}
		left -= n
	}
	sum := crc32.Update(crc32.Checksum(head[:4], castagnoli), castagnoli, body)
	if sum != binary.BigEndian.Uint32(head[4:]) {
		return nil, ErrDamaged
	}
	return body, nil
}
