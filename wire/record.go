package wire

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
)

// Record is what one version of a key carries: the value and its provenance.
type Record struct {
	// RequestID names the client's intention (R19); zero if it gave none.
	RequestID kindred.RequestID
	// Node coordinated the write.
	Node string
	// WrittenAt is the coordinator's wall clock in milliseconds since 1970. It
	// informs people and decides nothing.
	WrittenAt int64
	// Causes say under which circumstances it was written.
	Causes kindred.Causes
	// ExpiresAt is when the value expires.
	ExpiresAt   Expiry
	ContentType string
	Value       []byte
	// Apart is set in stored objects only: the value lies in its own row and
	// ValueBytes is its length. See [AppendApart].
	Apart      bool
	ValueBytes uint64
}

// Object is one key: its live versions and its causal context.
type Object = vclock.Siblings[Record]

// Delta is what travels about a key (R2).
type Delta = vclock.Delta[Record]

// Time is WrittenAt as a time in UTC.
func (r *Record) Time() time.Time { return time.UnixMilli(r.WrittenAt).UTC() }

// Expiry is when a version expires, in milliseconds since 1970; 0 for never.
type Expiry int64

// Over reports whether it has come by a wall clock that shows now.
func (e Expiry) Over(now int64) bool { return e != 0 && int64(e) <= now }

// Time is e as a time in UTC, zero for never.
func (e Expiry) Time() time.Time {
	if e == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(e)).UTC()
}

// ExpiryAt is a moment as an Expiry; the zero time is never. What lies before
// 1970 has expired as surely as its first millisecond.
func ExpiryAt(t time.Time) Expiry {
	if t.IsZero() {
		return 0
	}
	return Expiry(max(t.UnixMilli(), 1))
}

func appendExpiry(b []byte, e Expiry) []byte { return binary.AppendUvarint(b, uint64(e)) }

func decodeExpiry(b []byte) (Expiry, []byte, error) {
	r := newReader(b)
	e := r.expiry()
	if r.err != nil {
		return 0, nil, r.err
	}
	return e, r.rest, nil
}

// causes reads a set of bits, known or not.
func (r *reader) causes() kindred.Causes {
	v := r.uvarint("causes")
	if v > math.MaxUint16 {
		r.fail("causes", "%#x has more than 16 bits", v)
		return 0
	}
	return kindred.Causes(v)
}

// expiry reads what appendExpiry wrote. It cannot be before 1970.
func (r *reader) expiry() Expiry {
	v := r.uvarint("expiry")
	if v > math.MaxInt64 {
		r.fail("expiry", "%d is not a time", v)
		return 0
	}
	return Expiry(v)
}

const (
	recordHasID = 1 << iota
	recordHasType
	recordHasCauses
	recordApart
	recordExpires

	recordFlags = recordHasID | recordHasType | recordHasCauses | recordApart | recordExpires
)

// AppendRecord appends the binary form of r with its value in line.
func AppendRecord(b []byte, r Record) []byte {
	if r.Apart {
		return AppendApart(b, r)
	}
	return appendBytes(r.appendHead(b, 0), r.Value)
}

// AppendApart appends r without its value, which the caller stores in a row of
// its own; only the length stays.
func AppendApart(b []byte, r Record) []byte {
	n := r.ValueBytes
	if !r.Apart {
		n = uint64(len(r.Value))
	}
	return binary.AppendUvarint(r.appendHead(b, recordApart), n)
}

func (r *Record) appendHead(b []byte, flags byte) []byte {
	if !r.RequestID.IsZero() {
		flags |= recordHasID
	}
	if r.ContentType != "" {
		flags |= recordHasType
	}
	if r.Causes != 0 {
		flags |= recordHasCauses
	}
	if r.ExpiresAt != 0 {
		flags |= recordExpires
	}
	b = append(b, flags)
	if flags&recordHasID != 0 {
		b = append(b, r.RequestID[:]...)
	}
	b = appendString(b, r.Node)
	b = binary.AppendVarint(b, r.WrittenAt)
	if flags&recordHasCauses != 0 {
		b = binary.AppendUvarint(b, uint64(r.Causes))
	}
	if flags&recordExpires != 0 {
		b = appendExpiry(b, r.ExpiresAt)
	}
	if flags&recordHasType != 0 {
		b = appendString(b, r.ContentType)
	}
	return b
}

// decodeSent is DecodeRecord for messages, where every value is in line. A store
// would look in vain for the row of one that came apart.
func decodeSent(b []byte) (Record, []byte, error) {
	r, rest, err := DecodeRecord(b)
	if err == nil && r.Apart {
		err = &DecodeError{What: "record flags", Reason: "a value that lies apart cannot be sent"}
	}
	return r, rest, err
}

// DecodeRecord reads a record from the head of b. Its value aliases b.
func DecodeRecord(b []byte) (Record, []byte, error) {
	rd := newReader(b)
	var r Record
	flags := rd.byte("record flags")
	if flags&^recordFlags != 0 {
		rd.fail("record flags", "unknown flag in %#x", flags)
	}
	if flags&recordHasID != 0 {
		if r.RequestID = rd.requestID("request id"); r.RequestID.IsZero() {
			rd.fail("request id", "present but zero")
		}
	}
	r.Node = rd.text("node", kindred.BucketBytesMax)
	r.WrittenAt = rd.varint("written at")
	if flags&recordHasCauses != 0 {
		if r.Causes = rd.causes(); r.Causes == 0 {
			rd.fail("causes", "present but none")
		}
	}
	if flags&recordExpires != 0 {
		if r.ExpiresAt = rd.expiry(); r.ExpiresAt == 0 {
			rd.fail("expiry", "present but never")
		}
	}
	if flags&recordHasType != 0 {
		if r.ContentType = rd.text("content type", kindred.ContentTypeBytesMax); r.ContentType == "" {
			rd.fail("content type", "present but empty")
		}
	}
	if flags&recordApart != 0 {
		r.Apart = true
		r.ValueBytes = rd.uvarint("value length")
	} else {
		r.Value = rd.bytes("value")
	}
	if rd.err != nil {
		return Record{}, nil, rd.err
	}
	return r, rd.rest, nil
}
