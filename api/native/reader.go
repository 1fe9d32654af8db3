package native

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"
)

// reader consumes a body field by field and remembers its first failure, so that
// decoding reads as the list of the fields.
type reader struct {
	frame
	rest []byte
	err  error
}

func newReader(f frame) *reader { return &reader{frame: f, rest: f.body} }

func (r *reader) fail(what, format string, args ...any) {
	if r.err == nil {
		r.err = malformed(what+": "+format, args...)
	}
	r.rest = nil
}

func (r *reader) byte(what string) byte {
	if len(r.rest) == 0 {
		r.fail(what, "the frame ends before it")
		return 0
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v
}

func (r *reader) uvarint(what string) uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail(what, "not a number")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) varint(what string) int64 {
	u := r.uvarint(what)
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

// small reads a number that a field of 32 bits would hold.
func (r *reader) small(what string) int32 {
	v := r.varint(what)
	if int64(int32(v)) != v {
		r.fail(what, "%d does not fit into 32 bits", v)
		return 0
	}
	return int32(v)
}

// view reads bytes; they are part of the frame.
func (r *reader) view(what string) []byte {
	v := r.uvarint(what)
	if v > uint64(len(r.rest)) {
		r.fail(what, "%d bytes announced, %d left", v, len(r.rest))
		return nil
	}
	out := r.rest[:v:v]
	r.rest = r.rest[v:]
	return out
}

// bytes reads bytes that may be kept, nil if there are none. The largest part of a
// frame is not copied out of it, where nobody else will use its buffer.
func (r *reader) bytes(what string) []byte {
	v := r.view(what)
	switch {
	case len(v) == 0:
		return nil
	case r.own && len(v) > len(r.body)/2:
		return v
	}
	return bytes.Clone(v)
}

func (r *reader) string(what string) string { return string(r.view(what)) }

// count reads the length of a list whose items take at least so many bytes, so that
// a short frame cannot announce a long list.
func (r *reader) count(what string, itemBytes int) int {
	v := r.uvarint(what)
	if v > uint64(len(r.rest)/itemBytes) {
		r.fail(what, "%d items announced, %d bytes left", v, len(r.rest))
		return 0
	}
	return int(v)
}

// namesMax bounds lists of nodes: a name becomes many times as large as the least that
// a frame says of it.
const namesMax = 1024

// names is count for a list of nodes.
func (r *reader) names(what string, itemBytes int) int {
	n := r.count(what, itemBytes)
	if n > namesMax {
		r.fail(what, "%d nodes, the limit is %d", n, namesMax)
		return 0
	}
	return n
}

func (r *reader) strings(what string) []string {
	n := r.names(what, 1)
	if n == 0 {
		return nil
	}
	list := make([]string, 0, min(n, 64))
	for range n {
		list = append(list, r.string(what))
		if r.err != nil {
			return nil
		}
	}
	return list
}

// time keeps the zero time apart from 1970.
func (r *reader) time(what string) time.Time {
	ms := r.varint(what)
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// end fails if anything is left, and returns the first failure.
func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail("frame", "%d bytes too many", len(r.rest))
	}
	return r.err
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendText repairs what is not UTF-8, as a message of kindred.v1 has to.
func appendText(b []byte, s string) []byte { return appendString(b, strings.ToValidUTF8(s, "\uFFFD")) }

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return binary.AppendVarint(b, t.UnixMilli())
}
