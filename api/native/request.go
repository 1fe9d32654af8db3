package native

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/kindredkv/kindred"
)

// Call is one get, put or delete, by the number that its result will have.
type Call struct {
	ID      uint64
	Request *kindred.Request
}

// ttlMillisMax is the longest time to live that a time.Duration holds.
const ttlMillisMax = uint64(math.MaxInt64 / time.Millisecond)

// callBytesMin is less than any call takes.
const callBytesMin = 6

// What a put or a delete says besides, as bits.
const (
	hasID = 1 << iota
	wasSent
	hasTTL
	hasMoment

	callFlags = hasID | wasSent | hasTTL | hasMoment
)

// AddCall adds a get, put or delete to a frame of calls, with the fields that
// kindred.v1 has for it.
func (b *Batch) AddCall(id uint64, q *kindred.Request) {
	b.count++
	p := append(binary.AppendUvarint(b.buf, id), byte(q.Op))
	p = appendString(appendString(p, q.Bucket), q.Key)
	p = append(binary.AppendUvarint(p, inMillis(q.Timeout)), byte(q.Sloppy))
	if q.Op == kindred.OpGet {
		b.buf = appendCounts(p, q.R, q.PR)
		return
	}
	p = appendCounts(p, q.W, q.PW)
	p = append(p, byte(q.Durability), flagsOf(q))
	if !q.RequestID.IsZero() {
		p = append(p, q.RequestID[:]...)
	}
	p = appendBytes(p, q.Context)
	if q.Op == kindred.OpPut {
		p = appendBytes(appendString(appendExpiry(p, q), q.ContentType), q.Value)
	}
	b.buf = p
}

func flagsOf(q *kindred.Request) (flags byte) {
	if !q.RequestID.IsZero() {
		flags |= hasID
	}
	if q.Op != kindred.OpPut {
		return flags
	}
	if q.Resent {
		flags |= wasSent
	}
	switch {
	case !q.ExpiresAt.IsZero():
		flags |= hasMoment
	case q.TTL > 0:
		flags |= hasTTL
	}
	return flags
}

func appendExpiry(b []byte, q *kindred.Request) []byte {
	switch {
	case !q.ExpiresAt.IsZero():
		return binary.AppendVarint(b, q.ExpiresAt.UnixMilli())
	case q.TTL > 0:
		return binary.AppendUvarint(b, min(uint64((q.TTL-1)/time.Millisecond+1), ttlMillisMax)) // 0 is no time to live
	}
	return b
}

func appendCounts(b []byte, counts ...kindred.Count) []byte {
	for _, c := range counts {
		b = binary.AppendVarint(b, int64(c))
	}
	return b
}

// decodeCalls appends what a frame asks for to into. Requests are well-formed, no
// more.
func decodeCalls(f frame, into []Call) ([]Call, error) {
	if f.count > kindred.BatchMax {
		return into, malformed("a frame of %d calls, the limit is %d: split it", f.count, kindred.BatchMax)
	}
	if int64(f.count)*callBytesMin > int64(len(f.body)) {
		return into, malformed("%d calls announced, %d bytes left", f.count, len(f.body))
	}
	r := newReader(f)
	for range f.count {
		c := Call{Request: new(kindred.Request)}
		r.call(&c)
		into = append(into, c)
		if r.err != nil {
			return into, r.err
		}
	}
	return into, r.end()
}

func (r *reader) call(c *Call) {
	q := c.Request
	c.ID, q.Op = r.uvarint("id"), kindred.Op(r.byte("op"))
	if q.Op < kindred.OpGet || q.Op > kindred.OpDelete {
		r.fail("op", "%d is none that a link carries", q.Op)
		return
	}
	q.Bucket, q.Key = r.string("bucket"), r.string("key")
	q.Timeout = millis(r.uvarint("timeout"))
	q.Sloppy = kindred.Sloppiness(r.byte("sloppiness"))
	if q.Op == kindred.OpGet {
		q.R, q.PR = kindred.Count(r.small("r")), kindred.Count(r.small("pr"))
		return
	}
	q.W, q.PW = kindred.Count(r.small("w")), kindred.Count(r.small("pw"))
	q.Durability = kindred.Durability(r.byte("durability"))
	flags := r.byte("flags")
	if flags&^callFlags != 0 || q.Op == kindred.OpDelete && flags&^hasID != 0 || flags&hasTTL != 0 && flags&hasMoment != 0 {
		r.fail("flags", "%#x", flags)
		return
	}
	if flags&hasID != 0 {
		r.requestID(&q.RequestID)
	}
	q.Context = r.bytes("context")
	if q.Op == kindred.OpPut {
		r.put(q, flags)
	}
}

func (r *reader) put(q *kindred.Request, flags byte) {
	q.Resent = flags&wasSent != 0
	if flags&hasTTL != 0 {
		ms := r.uvarint("ttl")
		if ms == 0 || ms > ttlMillisMax {
			r.fail("ttl", "%d ms", ms)
			return
		}
		q.TTL = time.Duration(ms) * time.Millisecond
	}
	if flags&hasMoment != 0 {
		q.ExpiresAt = time.UnixMilli(r.varint("expiry")).UTC()
	}
	q.ContentType = r.string("content type")
	q.Value = r.bytes("value")
}

func (r *reader) requestID(id *kindred.RequestID) {
	if len(r.rest) < len(id) {
		r.fail("request id", "the frame ends within it")
		return
	}
	copy(id[:], r.rest)
	r.rest = r.rest[len(id):]
}

// millis reads a timeout; more than 32 bits of milliseconds cannot be meant.
func millis(ms uint64) time.Duration {
	return time.Duration(min(ms, math.MaxUint32)) * time.Millisecond
}

// inMillis rounds up, because 0 would mean the node's default.
func inMillis(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return min(uint64((d-1)/time.Millisecond+1), math.MaxUint32)
}
