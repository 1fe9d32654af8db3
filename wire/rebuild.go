package wire

import (
	"encoding/binary"

	"github.com/kindredkv/kindred/vclock"
)

// RebuildRead asks a home replica for its next keys, in the order of rows, to
// rebuild another one from them (R13).
type RebuildRead struct {
	Head
	Op OpID
	// From says that there was a page before; Bucket and Key were its last.
	From        bool
	Bucket, Key string
	// BytesMax is the size at which the page should end.
	BytesMax uint32
}

// RebuildPage carries all keys of a replica from where its question began up to
// its end: EndBucket and EndKey if there is More, otherwise the end of all keys. A
// key between that is not in it does not exist there.
type RebuildPage struct {
	Head
	Op     OpID
	Failed string
	// Clock is the whole clock of the moment at which the keys were read, Knows
	// what the replica knew besides of the keys in the range.
	Clock, Knows      vclock.DotSet
	Items             []RebuildItem
	More              bool
	EndBucket, EndKey string
	// Rounds are the sender's promises about the actors of Clock (R14).
	Rounds Rounds
}

// RebuildItem is one key as stored: what it knows is its context and the clock.
type RebuildItem struct {
	Bucket, Key string
	Object      Object
	// Stored, if not nil, is the object in the form in which it is stored, with all
	// values in line; it saves a sender from taking it apart.
	Stored []byte
}

func (*RebuildRead) kind() Kind { return KindRebuildRead }
func (*RebuildPage) kind() Kind { return KindRebuildPage }

func (m *RebuildRead) appendBody(b []byte) []byte {
	b = appendFlag(m.Op.appendTo(b), m.From)
	b = appendString(appendString(b, m.Bucket), m.Key)
	return binary.AppendUvarint(b, uint64(m.BytesMax))
}

func decodeRebuildRead(h Head, r *reader) *RebuildRead {
	return &RebuildRead{Head: h, Op: r.opID(), From: r.flag("from"), Bucket: r.bucket(), Key: r.key(), BytesMax: r.uint32("bytes")}
}

// appendBody writes the name of a bucket where it changes only.
func (m *RebuildPage) appendBody(b []byte) []byte {
	b = appendString(m.Op.appendTo(b), m.Failed)
	b = m.Knows.AppendTo(m.Clock.AppendTo(b))
	b = binary.AppendUvarint(b, uint64(len(m.Items)))
	bucket := ""
	for i, item := range m.Items {
		same := i > 0 && item.Bucket == bucket
		if b = appendFlag(b, same); !same {
			bucket = item.Bucket
			b = appendString(b, bucket)
		}
		if b = appendString(b, item.Key); item.Stored != nil {
			b = append(b, item.Stored...)
		} else {
			b = appendObject(b, item.Object)
		}
	}
	return AppendRounds(appendString(appendString(appendFlag(b, m.More), m.EndBucket), m.EndKey), m.Rounds)
}

func decodeRebuildPage(h Head, r *reader) *RebuildPage {
	m := &RebuildPage{Head: h, Op: r.opID(), Failed: r.string("reason"), Clock: r.dotSet("clock"), Knows: r.dotSet("knows")}
	count := r.count("items")
	m.Items = make([]RebuildItem, 0, min(count, 4096))
	bucket := ""
	for i := range count {
		if same := r.flag("same bucket"); !same {
			bucket = r.bucket()
		} else if i == 0 {
			r.fail("same bucket", "there is none before the first item")
		}
		item := RebuildItem{Bucket: bucket, Key: r.key(), Object: r.object("item")}
		if r.err != nil {
			break
		}
		m.Items = append(m.Items, item)
	}
	m.More, m.EndBucket, m.EndKey, m.Rounds = r.flag("more"), r.bucket(), r.key(), r.rounds("rounds")
	return m
}
