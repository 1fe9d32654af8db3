package membership

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// FormatError is bytes that this program cannot read, from a peer or a disk.
type FormatError struct {
	// What was to be read: "meta", "layout document" or "peer list".
	What   string
	Reason string
}

func (e *FormatError) Error() string { return fmt.Sprintf("unreadable %s: %s", e.What, e.Reason) }

// reader takes fields off the front of b. The first failure sticks.
type reader struct {
	what string
	b    []byte
	err  error
}

// newReader checks the leading version byte.
func newReader(what string, b []byte, version byte) *reader {
	r := &reader{what: what, b: b}
	switch v := r.byte(); {
	case r.err == nil && v != version:
		r.fail("format version %d, this program knows %d: upgrade the older node", v, version)
	}
	return r
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err, r.b = &FormatError{What: r.what, Reason: fmt.Sprintf(format, args...)}, nil
	}
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail("%d bytes missing at the end", n-uint64(len(r.b)))
		return nil
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("a number is cut off or too long")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uint32() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.fail("the number %d does not fit", v)
	}
	return uint32(v)
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) id() (id [16]byte) {
	copy(id[:], r.take(uint64(len(id))))
	return id
}

func (r *reader) string() string { return string(r.take(r.uvarint())) }

// end returns the first failure; bytes that are left over are one.
func (r *reader) end() error {
	if len(r.b) > 0 {
		r.fail("%d bytes left over", len(r.b))
	}
	return r.err
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Addresses of one node mostly share their host. After the first one an
// address is written as ":port" if it has the host of the first.

func appendAddrs(b []byte, addrs ...string) []byte {
	host := hostOf(addrs[0])
	for i, a := range addrs {
		if i > 0 && host != "" && hostOf(a) == host {
			a = a[len(host):]
		}
		b = appendString(b, a)
	}
	return b
}

func (r *reader) addrs(to ...*string) {
	host := ""
	for i, t := range to {
		a := r.string()
		if i == 0 {
			host = hostOf(a)
		} else if strings.LastIndexByte(a, ':') == 0 {
			a = host + a
		}
		*t = a
	}
}

// hostOf is everything before the last colon.
func hostOf(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		return addr[:i]
	}
	return ""
}
