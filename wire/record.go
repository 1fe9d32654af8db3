package wire

import (
	"encoding/binary"
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
	// Blind: the writer passed no context.
	Blind       bool
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

const (
	recordHasID = 1 << iota
	recordHasType
	recordBlind
	recordApart

	recordFlags = recordHasID | recordHasType | recordBlind | recordApart
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
	if r.Blind {
		flags |= recordBlind
	}
	b = append(b, flags)
	if flags&recordHasID != 0 {
		b = append(b, r.RequestID[:]...)
	}
	b = appendString(b, r.Node)
	b = binary.AppendVarint(b, r.WrittenAt)
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
	if flags&recordHasType != 0 {
		if r.ContentType = rd.text("content type", kindred.ContentTypeBytesMax); r.ContentType == "" {
			rd.fail("content type", "present but empty")
		}
	}
	r.Blind = flags&recordBlind != 0
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
