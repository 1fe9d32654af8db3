package recording

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/wire"
)

func appendBytes[T string | []byte](b []byte, v T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendFlag(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendOptional tells nil from empty, for keys of which that is the meaning.
func appendOptional(b, v []byte) []byte {
	if v == nil {
		return append(b, 0)
	}
	return appendBytes(append(b, 1), v)
}

// appendTo appends the binary form of e.
func (e *Event) appendTo(b []byte) []byte {
	b = append(b, byte(e.Kind))
	b = binary.AppendVarint(b, int64(e.At))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Sum))
	switch e.Kind {
	case Recover, RecoverHints, RecoverPromises:
		b = appendBytes(appendReplicas(b, e.Replicas), e.Reads)
	case Phase:
		b = appendBytes(appendReplicas(b, e.Replicas), e.Bytes)
	case Drop:
		b = appendReplicas(b, e.Replicas)
	case Buckets:
		b = appendBytes(b, e.Bytes)
	case Wall:
		b = binary.AppendVarint(b, int64(e.Ahead))
	case Link:
		b = appendFlag(appendBytes(b, e.Peer), e.Up)
	case Full:
		b = appendFlag(b, e.Full != nil)
		if e.Full != nil {
			b = wire.Append(b, &wire.ForwardReply{Response: kindred.Response{Err: e.Full}})
		}
	case Request:
		b = appendRequest(binary.AppendUvarint(b, e.Number), e.Request)
	case Message:
		b = wire.Append(appendBytes(b, e.Peer), e.Message)
	case Loaded:
		b = appendBytes(appendFlag(appendBytes(b, e.Row), e.Absent), e.Reads)
	case Paged:
		b = wire.Append(binary.AppendUvarint(b, e.Number), e.Message)
	case Read, Seen:
		b = appendBytes(binary.AppendUvarint(b, e.Number), e.Reads)
	case Synced:
		b = binary.AppendUvarint(b, uint64(len(e.Syncs)))
		for _, s := range e.Syncs {
			b = binary.AppendUvarint(b, s)
		}
	case AuditRange:
		b = appendOptional(appendOptional(b, e.Low), e.High)
	case Repair:
		b = binary.AppendVarint(b, int64(e.Partition))
	}
	return b
}

func appendReplicas(b []byte, ids []replica.ID) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = append(binary.AppendUvarint(b, uint64(id.Partition)), id.N)
	}
	return b
}

// appendRequest writes all of a request: it is recorded before anything is refused.
func appendRequest(b []byte, q *kindred.Request) []byte {
	b = append(b, byte(q.Op), byte(q.Durability), byte(q.Sloppy), byte(q.Stage))
	b = appendBytes(appendBytes(b, q.Bucket), q.Key)
	b = appendOptional(b, q.Value)
	b = appendBytes(b, q.ContentType)
	b = binary.AppendVarint(b, int64(q.TTL))
	b = appendTime(b, q.ExpiresAt)
	b = appendOptional(b, q.Context)
	b = appendFlag(append(b, q.RequestID[:]...), q.Resent)
	for _, c := range [...]kindred.Count{q.R, q.W, q.PR, q.PW} {
		b = binary.AppendVarint(b, int64(c))
	}
	b = binary.AppendVarint(b, int64(q.Timeout))
	b = appendBytes(appendBytes(b, q.Scan.Prefix), q.Scan.Cursor)
	b = appendFlag(binary.AppendVarint(b, int64(q.Scan.Limit)), q.Scan.ConflictsOnly)
	return appendBytes(b, q.Dot)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	b = binary.AppendVarint(append(b, 1), t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond()))
}

// decoder reads what appendTo has written; after a mistake everything is zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("recording: the step has no %s", what)
	}
	d.b = nil
}

func (d *decoder) byte(what string) byte {
	if len(d.b) == 0 {
		d.fail(what)
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) flag(what string) bool { return d.byte(what) == 1 }

func (d *decoder) uvarint(what string) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(what)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint(what string) int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(what)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) take(n uint64, what string) []byte {
	if n > uint64(len(d.b)) || n > math.MaxInt32 {
		d.fail(what)
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes(what string) []byte { return d.take(d.uvarint(what), what) }

func (d *decoder) optional(what string) []byte {
	if !d.flag(what) {
		return nil
	}
	return d.bytes(what)
}

func (d *decoder) text(what string) string { return string(d.bytes(what)) }

// message is the rest.
func (d *decoder) message() wire.Message {
	m, err := wire.Decode(d.b)
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("recording: the message of the step: %w", err)
	}
	d.b = nil
	return m
}

func (d *decoder) replicas() (ids []replica.ID) {
	for n := d.uvarint("replicas"); n > 0 && d.err == nil; n-- {
		ids = append(ids, replica.ID{Partition: uint32(d.uvarint("partition")), N: d.byte("n")})
	}
	return ids
}

// decode reads one event, whose slices point into b.
func decode(b []byte) (*Event, error) {
	d := &decoder{b: b}
	e := &Event{Kind: Kind(d.byte("kind")), At: time.Duration(d.varint("time"))}
	if sum := d.take(8, "sum"); sum != nil {
		e.Sum = Sum(binary.BigEndian.Uint64(sum))
	}
	d.body(e)
	switch {
	case d.err != nil:
		return nil, d.err
	case len(d.b) > 0:
		return nil, fmt.Errorf("recording: a step of kind %v has %d bytes too many", e.Kind, len(d.b))
	}
	return e, nil
}

func (d *decoder) body(e *Event) {
	switch e.Kind {
	case Recover, RecoverHints, RecoverPromises:
		e.Replicas, e.Reads = d.replicas(), d.bytes("reads")
	case Phase:
		e.Replicas, e.Bytes = d.replicas(), d.bytes("phase")
	case Drop:
		e.Replicas = d.replicas()
	case Buckets:
		e.Bytes = d.bytes("buckets")
	case Wall:
		e.Ahead = time.Duration(d.varint("ahead"))
	case Link:
		e.Peer, e.Up = d.text("peer"), d.flag("up")
	case Full:
		if d.flag("full") {
			if m, ok := d.message().(*wire.ForwardReply); ok {
				e.Full = m.Response.Err
			}
		}
	case Request:
		e.Number, e.Request = d.uvarint("token"), d.request()
	case Message:
		e.Peer, e.Message = d.text("peer"), d.message()
	case Loaded:
		e.Row, e.Absent, e.Reads = d.text("row"), d.flag("absent"), d.bytes("reads")
	case Paged:
		e.Number, e.Message = d.uvarint("number"), d.message()
	case Read, Seen:
		e.Number, e.Reads = d.uvarint("number"), d.bytes("reads")
	case Synced:
		for n := d.uvarint("syncs"); n > 0 && d.err == nil; n-- {
			e.Syncs = append(e.Syncs, d.uvarint("sync"))
		}
	case AuditRange:
		e.Low, e.High = d.optional("low"), d.optional("high")
	case Repair:
		e.Partition = int(d.varint("partition"))
	case Drain, Resume, Tick, Discarded, Checkpoint, Taken:
	default:
		d.fail("kind that is known")
	}
}

func (d *decoder) request() *kindred.Request {
	q := &kindred.Request{
		Op: kindred.Op(d.byte("op")), Durability: kindred.Durability(d.byte("durability")),
		Sloppy: kindred.Sloppiness(d.byte("sloppiness")), Stage: kindred.Stage(d.byte("stage")),
		Bucket: d.text("bucket"), Key: d.text("key"),
		Value: d.optional("value"), ContentType: d.text("content type"),
		TTL: time.Duration(d.varint("ttl")), ExpiresAt: d.time("expiry"),
		Context: d.optional("context"),
	}
	copy(q.RequestID[:], d.take(uint64(len(q.RequestID)), "request id"))
	q.Resent = d.flag("resent")
	for _, c := range [...]*kindred.Count{&q.R, &q.W, &q.PR, &q.PW} {
		*c = kindred.Count(d.varint("count"))
	}
	q.Timeout = time.Duration(d.varint("timeout"))
	q.Scan = kindred.Scan{
		Prefix: d.text("prefix"), Cursor: d.bytes("cursor"),
		Limit: int(d.varint("limit")), ConflictsOnly: d.flag("conflicts only"),
	}
	q.Dot = d.text("dot")
	return q
}

func (d *decoder) time(what string) time.Time {
	if !d.flag(what) {
		return time.Time{}
	}
	return time.Unix(d.varint(what), int64(d.uvarint(what))).UTC()
}
