package native

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/kindredkv/kindred"
)

const (
	// Preface is what both ends say first. It never changes. With the frame behind it
	// it is longer than the preface of HTTP/2, so that a server of that need not wait
	// for more before it hangs up.
	Preface = "KINDRED-CLIENT\n"
	// Protocol is the link as ALPN.
	Protocol = "kindred-client"
	// Version is the format of frames and of what is in them.
	Version = 1
)

const (
	headBytes     = 14
	sizeBytes     = 4
	versionOffset = 4
	kindOffset    = 5
	crcOffset     = 6
	countOffset   = 10
)

type kind byte

const (
	kindHello kind = iota + 1
	kindCalls
	kindResults
	kindPing
	kindPong
	kindEnd
)

// castagnoli is the polynomial that processors compute themselves.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	// apartBytes is the size from which the value of a result is not copied into its
	// frame.
	apartBytes = 64 << 10
	// keptBytes is the largest buffer of a frame that is used again.
	keptBytes = 128 << 10
)

// FrameError is something that arrived and is not what a link carries.
type FrameError struct{ Reason string }

func (e *FrameError) Error() string { return "native link: " + e.Reason }

func malformed(format string, args ...any) error {
	return &FrameError{fmt.Sprintf(format, args...)}
}

// Batch is a frame that is being built. Make it with [NewCalls] or [NewResults],
// and [Link.Send] or Free it.
type Batch struct {
	buf   []byte
	count uint32
	apart []apart
	bytes int // of what lies apart
}

// apart is a value that belongs into the frame at an offset of its buffer.
type apart struct {
	at    int
	value []byte
}

// batches are used again, unless they have grown large.
var batches = sync.Pool{New: func() any { return &Batch{buf: make([]byte, 0, 4<<10)} }}

func newBatch(k kind) *Batch {
	b := batches.Get().(*Batch)
	b.buf = append(b.buf[:0], make([]byte, headBytes)...)
	b.buf[versionOffset], b.buf[kindOffset] = Version, byte(k)
	b.count, b.bytes = 0, 0
	return b
}

// NewCalls begins a frame of calls.
func NewCalls() *Batch { return newBatch(kindCalls) }

// NewResults begins a frame of results.
func NewResults() *Batch { return newBatch(kindResults) }

// Free gives up a batch.
func (b *Batch) Free() {
	clear(b.apart)
	b.apart = b.apart[:0]
	if cap(b.buf) <= keptBytes {
		batches.Put(b)
	}
}

// Size is that of the whole frame.
func (b *Batch) Size() int { return len(b.buf) + b.bytes }

// bytesApart adds bytes behind their length. Large ones are not copied: they must
// not change before the frame has been sent.
func (b *Batch) bytesApart(v []byte) {
	if len(v) < apartBytes {
		b.buf = appendBytes(b.buf, v)
		return
	}
	b.buf = binary.AppendUvarint(b.buf, uint64(len(v)))
	b.apart = append(b.apart, apart{len(b.buf), v})
	b.bytes += len(v)
}

// segments are the frame in the order in which it travels.
func (b *Batch) segments(into [][]byte) [][]byte {
	from := 0
	for _, a := range b.apart {
		into = append(into, b.buf[from:a.at], a.value)
		from = a.at
	}
	return append(into, b.buf[from:])
}

// seal completes the frame.
func (b *Batch) seal(segments [][]byte) {
	binary.LittleEndian.PutUint32(b.buf, uint32(b.Size()))
	binary.LittleEndian.PutUint32(b.buf[countOffset:], b.count)
	sum := crc32.Update(0, castagnoli, b.buf[:crcOffset])
	first := segments[0][countOffset:]
	sum = crc32.Update(sum, castagnoli, first)
	for _, s := range segments[1:] {
		sum = crc32.Update(sum, castagnoli, s)
	}
	binary.LittleEndian.PutUint32(b.buf[crcOffset:], sum)
}

// frame is one that arrived.
type frame struct {
	kind  kind
	count uint32
	body  []byte
	// own: the body is in a buffer of its own, which nobody will use again.
	own bool
}

// openFrame checks size, version and checksum.
func openFrame(raw []byte, own bool) (frame, error) {
	if len(raw) < headBytes || int64(binary.LittleEndian.Uint32(raw)) != int64(len(raw)) {
		return frame{}, malformed("a frame of %d bytes that says another size", len(raw))
	}
	if v := raw[versionOffset]; v != Version {
		return frame{}, malformed("format version %d, this end knows %d", v, Version)
	}
	sum := crc32.Update(0, castagnoli, raw[:crcOffset])
	sum = crc32.Update(sum, castagnoli, raw[countOffset:])
	if want := binary.LittleEndian.Uint32(raw[crcOffset:]); sum != want {
		return frame{}, malformed("checksum %08x, the frame says %08x", sum, want)
	}
	return frame{kind(raw[kindOffset]), binary.LittleEndian.Uint32(raw[countOffset:]), raw[headBytes:], own}, nil
}

// Hello is what an end says of itself.
type Hello struct {
	// VersionMin and VersionMax are the formats that it can read.
	VersionMin, VersionMax byte
	// Authorization is the client's, as in the header of that name; empty without.
	Authorization string
	// Cluster is the one that the client wants, empty if it does not know yet, or comes
	// from before it was named.
	Cluster string
	// CallsMax is how many calls the node takes before it has answered some; 0 from
	// a client.
	CallsMax int
}

// authorizationBytesMax and clusterBytesMax bound what a stranger may send.
const (
	authorizationBytesMax = 8 << 10
	clusterBytesMax       = 64
)

func (h *Hello) append(b []byte) []byte {
	b = append(b, h.VersionMin, h.VersionMax)
	b = binary.AppendUvarint(appendString(b, h.Authorization), uint64(h.CallsMax))
	if h.Cluster == "" {
		return b
	}
	return appendString(b, h.Cluster)
}

func decodeHello(body []byte) (h Hello, err error) {
	r := newReader(frame{body: body})
	h.VersionMin, h.VersionMax = r.byte("version"), r.byte("version")
	h.Authorization = string(r.view("authorization"))
	if len(h.Authorization) > authorizationBytesMax {
		r.fail("authorization", "%d bytes, the limit is %d", len(h.Authorization), authorizationBytesMax)
	}
	h.CallsMax = int(min(r.uvarint("calls"), 1<<20))
	if r.err == nil && len(r.rest) > 0 {
		h.Cluster = string(r.view("cluster"))
	}
	if len(h.Cluster) > clusterBytesMax {
		r.fail("cluster", "%d bytes, the limit is %d", len(h.Cluster), clusterBytesMax)
	}
	return h, r.err // a later version may add to it
}

// Common reports whether an end can talk with this one.
func (h *Hello) Common() bool { return h.VersionMin <= Version && Version <= h.VersionMax }

// encodeEnd adds the reason of an end, if there is one.
func encodeEnd(b []byte, why *kindred.Error) []byte {
	if why == nil {
		return b
	}
	return appendError(b, why)
}

// decodeEnd returns nil for an end in good order.
func decodeEnd(f frame) (*kindred.Error, error) {
	if len(f.body) == 0 {
		return nil, nil
	}
	r := newReader(f)
	why := r.error()
	return why, r.end()
}
