package recording

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"regexp"
)

// magic begins every file of a recording.
const magic = "kindred recording\n"

const (
	// frameBytes are before each event: its size, the checksum of that, and the checksum
	// of the event. A size of which nobody knew whether it is right could point beyond
	// the end of the file, and all that follows would pass for a last step that was
	// being written.
	frameBytes = 12
	// eventBytesMax is more than the largest event that a node can be given.
	eventBytesMax = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends an event with its size and the checksums of both.
func appendFrame(b, event []byte) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(event)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(event, castagnoli))
	return append(b, event...)
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

// fileNames are those of FileName; the node may have hyphens of its own.
var fileNames = regexp.MustCompile(`^((.+)-\d{6,}-[0-9a-f]{8}-\d{3})-\d{6,}\.rec$`)

// FileName is what the file of a header is called: node, start, nonce of the actor,
// shard, file.
func (h *Header) FileName() string {
	return fmt.Sprintf("%s-%06d-%08x-%03d-%06d.rec", h.Node, h.Start, uint32(h.Actor.Nonce), h.Shard, h.File)
}

// ParseFileName tells of a file's name which node it is of, and what the names of all
// files of its recording begin with; ok is false for files of somebody else.
func ParseFileName(name string) (node, tape string, ok bool) {
	m := fileNames.FindStringSubmatch(name)
	if m == nil {
		return "", "", false
	}
	return m[2], m[1], true
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
	// ErrForeign is a file that does not begin as those of a recording do.
	ErrForeign = errors.New("recording: this is no file of a recording")
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
	switch n, err := io.ReadFull(r.from, begin); {
	case (err == io.EOF || err == io.ErrUnexpectedEOF) && string(begin[:n]) == magic[:n]:
		return nil, fmt.Errorf("recording: the header cannot be read: %w", ErrTorn)
	case err != nil && err != io.ErrUnexpectedEOF:
		return nil, err
	case string(begin) != magic:
		return nil, ErrForeign
	}
	text, err := r.frame()
	if err == io.EOF {
		err = ErrTorn
	}
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
	if head == [frameBytes]byte{} {
		return nil, r.zeros()
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > eventBytesMax || crc32.Checksum(head[:4], castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return nil, ErrDamaged
	}
	// What is said to be large must not take memory that the file does not fill.
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
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(head[8:]) {
		return nil, ErrDamaged
	}
	return body, nil
}

// zeros tells the end of a file that lost its power, which a file system fills with
// zeros, from zeros in the midst of one.
func (r *Reader) zeros() error {
	for {
		switch b, err := r.from.ReadByte(); {
		case err == io.EOF:
			return ErrTorn
		case err != nil:
			return err
		case b != 0:
			return ErrDamaged
		}
	}
}
