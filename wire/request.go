package wire

import (
	"encoding/binary"
	"time"

	"github.com/kindredkv/kindred"
)

// A forwarded operation is a get, put, delete, inspection or the question for a
// stage; scans are driven
// where they arrive and never forwarded.

func appendRequest(b []byte, q *kindred.Request) []byte {
	b = append(b, byte(q.Op), byte(q.Durability))
	b = appendString(appendString(b, q.Bucket), q.Key)
	b = appendBytes(b, q.Value)
	b = appendString(b, q.ContentType)
	b = binary.AppendVarint(b, int64(q.TTL))
	b = appendExpiry(b, ExpiryAt(q.ExpiresAt))
	b = appendBytes(b, q.Context)
	b = append(b, q.RequestID[:]...)
	b = appendFlag(b, q.Resent)
	for _, c := range [...]kindred.Count{q.R, q.W, q.PR, q.PW} {
		b = binary.AppendVarint(b, int64(c))
	}
	b = append(b, byte(q.Sloppy))
	b = append(appendString(b, q.Dot), byte(q.Stage))
	return binary.AppendVarint(b, int64(q.Timeout))
}

func (r *reader) request() (q kindred.Request) {
	q.Op = kindred.Op(r.byte("op"))
	if q.Op < kindred.OpGet || q.Op > kindred.OpInspect && q.Op != kindred.OpStage {
		r.fail("op", "operation %d cannot be forwarded", q.Op)
	}
	q.Durability = kindred.Durability(r.byte("durability"))
	if q.Durability > kindred.Sync {
		r.fail("durability", "unknown durability %d", q.Durability)
	}
	q.Bucket, q.Key = r.bucket(), r.key()
	q.Value = r.bytes("value")
	q.ContentType = r.text("content type", kindred.ContentTypeBytesMax)
	q.TTL = time.Duration(r.varint("ttl"))
	q.ExpiresAt = r.expiry().Time()
	q.Context = r.bytes("context")
	q.RequestID = r.requestID("request id")
	q.Resent = r.flag("resent")
	for _, c := range [...]*kindred.Count{&q.R, &q.W, &q.PR, &q.PW} {
		*c = r.replicaCount()
	}
	q.Sloppy = kindred.Sloppiness(r.byte("sloppiness"))
	if q.Sloppy > kindred.Strict {
		r.fail("sloppiness", "unknown sloppiness %d", q.Sloppy)
	}
	q.Dot = r.string("dot")
	q.Stage = kindred.Stage(r.byte("stage"))
	if q.Stage > kindred.Audited {
		r.fail("stage", "unknown stage %d", q.Stage)
	}
	q.Timeout = time.Duration(r.varint("timeout"))
	return q
}

func (r *reader) replicaCount() kindred.Count {
	v := r.varint("replica count")
	if v < int64(kindred.CountAll) || v > kindred.ReplicasMax {
		r.fail("replica count", "%d is out of range", v)
		return 0
	}
	return kindred.Count(v)
}

func appendResponse(b []byte, p *kindred.Response) []byte {
	b = appendFlag(b, p.Err != nil)
	if p.Err != nil {
		return appendError(b, p.Err)
	}
	b = binary.AppendUvarint(b, uint64(len(p.Siblings)))
	for i := range p.Siblings {
		s := &p.Siblings[i]
		b = appendBytes(appendString(b, s.Dot), s.Value)
		b = appendProvenance(b, &kindred.SiblingView{
			ContentType: s.ContentType, WrittenAt: s.WrittenAt, Node: s.Node, Causes: s.Causes, ExpiresAt: s.ExpiresAt,
		})
	}
	b = appendBytes(b, p.Context)
	b = appendString(b, p.Receipt.Dot)
	b = append(b, byte(p.Receipt.Stage), byte(p.Receipt.Durability))
	b = appendStrings(appendStrings(b, p.Receipt.Acked), p.Receipt.Guests)
	b = appendExpiry(b, ExpiryAt(p.Receipt.ExpiresAt))
	b = binary.AppendUvarint(b, uint64(len(p.Replicas)))
	for i := range p.Replicas {
		b = appendReplicaView(b, &p.Replicas[i])
	}
	return appendStrings(appendStrings(b, p.Replied), p.Guests)
}

func (r *reader) response() (p kindred.Response) {
	if r.flag("failed") {
		p.Err = r.error()
		return p
	}
	for range r.count("siblings") {
		s := kindred.Sibling{Dot: r.string("dot"), Value: r.bytes("value")}
		v := r.provenance()
		s.ContentType, s.WrittenAt, s.Node, s.Causes, s.ExpiresAt = v.ContentType, v.WrittenAt, v.Node, v.Causes, v.ExpiresAt
		if r.err != nil {
			return p
		}
		p.Siblings = append(p.Siblings, s)
	}
	p.Context = r.bytes("context")
	p.Receipt.Dot = r.string("dot")
	p.Receipt.Stage = kindred.Stage(r.byte("stage"))
	p.Receipt.Durability = kindred.Durability(r.byte("durability"))
	p.Receipt.Acked = r.strings("acked")
	p.Receipt.Guests = r.strings("guests")
	p.Receipt.ExpiresAt = r.expiry().Time()
	for range r.count("replicas") {
		v := r.replicaView()
		if r.err != nil {
			return p
		}
		p.Replicas = append(p.Replicas, v)
	}
	p.Replied = r.strings("replied")
	p.Guests = r.strings("guests")
	return p
}

// appendProvenance appends everything about a version but its dot and value.
func appendProvenance(b []byte, s *kindred.SiblingView) []byte {
	b = binary.AppendVarint(appendString(b, s.ContentType), s.WrittenAt.UnixMilli())
	b = binary.AppendUvarint(appendString(b, s.Node), uint64(s.Causes))
	return appendExpiry(b, ExpiryAt(s.ExpiresAt))
}

func (r *reader) provenance() (s kindred.SiblingView) {
	s.ContentType = r.string("content type")
	s.WrittenAt = time.UnixMilli(r.varint("written at")).UTC()
	s.Node, s.Causes, s.ExpiresAt = r.string("node"), r.causes(), r.expiry().Time()
	return s
}

func appendReplicaView(b []byte, v *kindred.ReplicaView) []byte {
	b = appendFlag(appendString(appendString(b, v.Node), v.Err), v.Guest)
	b = appendString(appendString(b, v.Context), v.Clock)
	b = binary.AppendUvarint(b, uint64(len(v.Siblings)))
	for _, s := range v.Siblings {
		b = binary.AppendUvarint(appendString(b, s.Dot), uint64(s.Bytes))
		b = appendProvenance(b, &s)
	}
	return b
}

func (r *reader) replicaView() (v kindred.ReplicaView) {
	v.Node, v.Err, v.Guest = r.string("node"), r.string("reason"), r.flag("guest")
	v.Context, v.Clock = r.string("context"), r.string("clock")
	for range r.count("siblings") {
		dot, bytes := r.string("dot"), int(r.uvarint("size"))
		s := r.provenance()
		s.Dot, s.Bytes = dot, bytes
		if r.err != nil {
			return v
		}
		v.Siblings = append(v.Siblings, s)
	}
	return v
}

func appendError(b []byte, e *kindred.Error) []byte {
	b = appendString(appendString(appendString(b, string(e.Code)), e.Message), e.Field)
	b = append(binary.AppendVarint(b, e.Limit), byte(e.Outcome))
	b = appendString(b, e.Dot)
	b = binary.AppendVarint(binary.AppendVarint(b, int64(e.Need)), int64(e.Got))
	b = binary.AppendUvarint(b, uint64(len(e.Failed)))
	for _, f := range e.Failed {
		b = appendString(appendString(b, f.Node), f.Reason)
	}
	return b
}

func (r *reader) error() *kindred.Error {
	e := &kindred.Error{
		Code: kindred.Code(r.string("code")), Message: r.string("message"), Field: r.string("field"),
		Limit: r.varint("limit"), Outcome: kindred.Outcome(r.byte("outcome")), Dot: r.string("dot"),
		Need: int(r.varint("need")), Got: int(r.varint("got")),
	}
	if e.Outcome > kindred.NotApplied {
		r.fail("outcome", "unknown outcome %d", e.Outcome)
	}
	for range r.count("failed nodes") {
		f := kindred.NodeFailure{Node: r.string("node"), Reason: r.string("reason")}
		if r.err != nil {
			break
		}
		e.Failed = append(e.Failed, f)
	}
	return e
}

func appendStrings(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

func (r *reader) strings(what string) (list []string) {
	for range r.count(what) {
		s := r.string(what)
		if r.err != nil {
			return list
		}
		list = append(list, s)
	}
	return list
}
