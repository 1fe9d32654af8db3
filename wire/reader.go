package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
)

// DecodeError says what could not be decoded and where.
type DecodeError struct {
	What   string
	Offset int
	Reason string
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("wire: %s at byte %d: %s", e.What, e.Offset, e.Reason)
}

// reader consumes a buffer field by field and remembers its first failure, so
// that the decoding of a message reads as the list of its fields.
type reader struct {
	whole, rest []byte
	err         *DecodeError
}

func newReader(b []byte) reader { return reader{whole: b, rest: b} }

func (r *reader) fail(what, format string, args ...any) {
	if r.err == nil {
		r.err = &DecodeError{What: what, Offset: len(r.whole) - len(r.rest), Reason: fmt.Sprintf(format, args...)}
	}
	r.rest = nil
}

func (r *reader) byte(what string) byte {
	if len(r.rest) == 0 {
		r.fail(what, "the message ends here")
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

// flag reads a byte that is 0 or 1.
func (r *reader) flag(what string) bool {
	switch r.byte(what) {
	case 0:
		return false
	case 1:
		return true
	}
	r.fail(what, "a flag is 0 or 1")
	return false
}

// fixed reads n bytes that alias the buffer.
func (r *reader) fixed(what string, n int) []byte {
	if len(r.rest) < n {
		r.fail(what, "%d bytes wanted, %d left", n, len(r.rest))
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uvarint(what string) uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.fail(what, "not a canonical varint")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) uint32(what string) uint32 {
	v := r.uvarint(what)
	if v > math.MaxUint32 {
		r.fail(what, "%d does not fit into 32 bits", v)
		return 0
	}
	return uint32(v)
}

func (r *reader) varint(what string) int64 {
	u := r.uvarint(what)
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

// count reads the length of a list whose items take at least one byte each, so
// that no allocation is larger than the message that asks for it.
func (r *reader) count(what string) int {
	v := r.uvarint(what)
	if v > uint64(len(r.rest)) {
		r.fail(what, "%d items announced, %d bytes left", v, len(r.rest))
		return 0
	}
	return int(v)
}

// bytes reads length and content; the result aliases the buffer.
func (r *reader) bytes(what string) []byte {
	v := r.uvarint(what)
	if v > uint64(len(r.rest)) {
		r.fail(what, "%d bytes announced, %d left", v, len(r.rest))
		return nil
	}
	return r.fixed(what, int(v))
}

func (r *reader) string(what string) string { return string(r.bytes(what)) }

// text reads a string of at most limit bytes.
func (r *reader) text(what string, limit int) string { return string(r.limited(what, limit)) }

// limited is the bytes of a text; the result aliases the buffer.
func (r *reader) limited(what string, limit int) []byte {
	b := r.bytes(what)
	if len(b) > limit {
		r.fail(what, "%d bytes, the limit is %d", len(b), limit)
		return nil
	}
	return b
}

func (r *reader) dotSet(what string) vclock.DotSet {
	if r.err != nil {
		return vclock.DotSet{}
	}
	s, rest, err := vclock.DecodeDotSet(r.rest)
	if err != nil {
		r.fail(what, "%v", err)
		return vclock.DotSet{}
	}
	r.rest = rest
	return s
}

func (r *reader) object(what string) Object {
	if r.err != nil {
		return Object{}
	}
	o, rest, err := vclock.DecodeSiblings(r.rest, decodeSent)
	if err != nil {
		r.fail(what, "%v", err)
		return Object{}
	}
	r.rest = rest
	return o
}

func (r *reader) requestID(what string) (id kindred.RequestID) {
	copy(id[:], r.fixed(what, len(id)))
	return id
}

// end fails if anything is left, and returns the first failure.
func (r *reader) end(what string) error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail(what, "%d bytes too many", len(r.rest))
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFlag(b []byte, f bool) []byte {
	if f {
		return append(b, 1)
	}
	return append(b, 0)
}
