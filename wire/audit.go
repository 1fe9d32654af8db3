package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/kindredkv/kindred/vclock"
)

// What one message of an audit may name.
const (
	// AuditPartsMax is the number of parts of a hash tree.
	AuditPartsMax = 64
	// AuditPartBytes is the size of the leaves of a part.
	AuditPartBytes = 128
	// AuditLeafMax is one more than the highest number of a leaf.
	AuditLeafMax = 1024
	// AuditKeysMax bounds the keys of a message.
	AuditKeysMax = 4096
)

// AuditTree asks a home replica in which leaves its hash tree differs from that of
// the sender. Parts has one number for each part of the sender's.
type AuditTree struct {
	Head
	Op    OpID
	Parts []uint64
}

// AuditLeaves answers an AuditTree with the parts that differ.
type AuditLeaves struct {
	Head
	Op     OpID
	Failed string
	Parts  []AuditPart
}

// AuditPart is the leaves of one part of a hash tree, 8 bytes each.
type AuditPart struct {
	Index  uint8
	Leaves []byte
}

// AuditList asks for the keys of some leaves, in ascending order, and what they
// hash to. Known is what the sender has applied if it asks because it has lost
// something there, else empty: then the answer also names the keys of which the
// other knows only what is gone.
type AuditList struct {
	Head
	Op     OpID
	Leaves []uint32
	Known  vclock.DotSet
}

// AuditKeys answers an AuditList. The sender has found that what it stores in these
// leaves is what it should store, and its clock is of that moment. It may answer
// for fewer leaves than it was asked for. Failed with a clock, it cannot name the keys
// of all that the clock has and the other lacks: only a rebuild brings that.
type AuditKeys struct {
	Head
	Op     OpID
	Failed string
	Clock  vclock.DotSet
	Leaves []uint32
	Keys   []AuditKey
}

// AuditKey is a key and the hash of its live versions, 0 if there are none.
type AuditKey struct {
	Bucket, Key string
	Hash        uint64
}

// AuditFetch asks for objects by name, to restore them.
type AuditFetch struct {
	Head
	Op   OpID
	Keys []AuditName
}

// AuditName names an object.
type AuditName struct{ Bucket, Key string }

// AuditObjects answers an AuditFetch: filled objects with the whole clock, all of
// one moment. It may hold fewer objects than were asked for, in their order.
type AuditObjects struct {
	Head
	Op      OpID
	Failed  string
	Clock   vclock.DotSet
	Objects []AuditObject
	Rounds  Rounds
}

// AuditObject is one object, filled (R5).
type AuditObject struct {
	AuditName
	Object Object
}

func (*AuditTree) kind() Kind    { return KindAuditTree }
func (*AuditLeaves) kind() Kind  { return KindAuditLeaves }
func (*AuditList) kind() Kind    { return KindAuditList }
func (*AuditKeys) kind() Kind    { return KindAuditKeys }
func (*AuditFetch) kind() Kind   { return KindAuditFetch }
func (*AuditObjects) kind() Kind { return KindAuditObjects }

func (m *AuditTree) appendBody(b []byte) []byte {
	b = binary.AppendUvarint(m.Op.appendTo(b), uint64(len(m.Parts)))
	for _, p := range m.Parts {
		b = binary.BigEndian.AppendUint64(b, p)
	}
	return b
}

func (m *AuditLeaves) appendBody(b []byte) []byte {
	b = appendString(m.Op.appendTo(b), m.Failed)
	b = binary.AppendUvarint(b, uint64(len(m.Parts)))
	for _, p := range m.Parts {
		if len(p.Leaves) != AuditPartBytes {
			panic(fmt.Sprintf("wire: a part of a hash tree has %d bytes, not %d", AuditPartBytes, len(p.Leaves)))
		}
		b = append(append(b, p.Index), p.Leaves...)
	}
	return b
}

func (m *AuditList) appendBody(b []byte) []byte {
	return m.Known.AppendTo(appendLeaves(m.Op.appendTo(b), m.Leaves))
}

func (m *AuditKeys) appendBody(b []byte) []byte {
	b = appendString(m.Op.appendTo(b), m.Failed)
	b = appendLeaves(m.Clock.AppendTo(b), m.Leaves)
	b = binary.AppendUvarint(b, uint64(len(m.Keys)))
	for _, k := range m.Keys {
		b = binary.BigEndian.AppendUint64(appendString(appendString(b, k.Bucket), k.Key), k.Hash)
	}
	return b
}

func (m *AuditFetch) appendBody(b []byte) []byte {
	b = binary.AppendUvarint(m.Op.appendTo(b), uint64(len(m.Keys)))
	for _, k := range m.Keys {
		b = appendString(appendString(b, k.Bucket), k.Key)
	}
	return b
}

func (m *AuditObjects) appendBody(b []byte) []byte {
	b = appendString(m.Op.appendTo(b), m.Failed)
	b = binary.AppendUvarint(m.Clock.AppendTo(b), uint64(len(m.Objects)))
	for _, o := range m.Objects {
		b = appendObject(appendString(appendString(b, o.Bucket), o.Key), o.Object)
	}
	return AppendRounds(b, m.Rounds)
}

// appendLeaves appends ascending numbers as the steps between them.
func appendLeaves(b []byte, leaves []uint32) []byte {
	b = binary.AppendUvarint(b, uint64(len(leaves)))
	next := uint32(0)
	for _, leaf := range leaves {
		b = binary.AppendUvarint(b, uint64(leaf-next))
		next = leaf + 1
	}
	return b
}

// decodeAudit reads the body of a message of an audit, nil for another kind.
func decodeAudit(kind Kind, h Head, r *reader) Message {
	switch kind {
	case KindAuditTree:
		m := &AuditTree{Head: h, Op: r.opID()}
		for range r.atMost("parts", AuditPartsMax) {
			m.Parts = append(m.Parts, r.uint64("part"))
		}
		return m
	case KindAuditLeaves:
		m := &AuditLeaves{Head: h, Op: r.opID(), Failed: r.string("reason")}
		for range r.atMost("parts", AuditPartsMax) {
			m.Parts = append(m.Parts, AuditPart{Index: r.partIndex(), Leaves: r.fixed("leaves", AuditPartBytes)})
		}
		return m
	case KindAuditList:
		return &AuditList{Head: h, Op: r.opID(), Leaves: r.leaves(), Known: r.dotSet("known")}
	case KindAuditKeys:
		m := &AuditKeys{Head: h, Op: r.opID(), Failed: r.string("reason"), Clock: r.dotSet("clock"), Leaves: r.leaves()}
		for range r.atMost("keys", AuditKeysMax) {
			m.Keys = append(m.Keys, AuditKey{Bucket: r.bucket(), Key: r.key(), Hash: r.uint64("hash")})
		}
		return m
	case KindAuditFetch:
		m := &AuditFetch{Head: h, Op: r.opID()}
		for range r.atMost("keys", AuditKeysMax) {
			m.Keys = append(m.Keys, r.auditName())
		}
		return m
	case KindAuditObjects:
		m := &AuditObjects{Head: h, Op: r.opID(), Failed: r.string("reason"), Clock: r.dotSet("clock")}
		for range r.atMost("objects", AuditKeysMax) {
			if r.err != nil {
				break
			}
			m.Objects = append(m.Objects, AuditObject{AuditName: r.auditName(), Object: r.object("object")})
		}
		m.Rounds = r.rounds("rounds")
		return m
	}
	return nil
}

func (r *reader) auditName() AuditName { return AuditName{Bucket: r.bucket(), Key: r.key()} }

// atMost reads the length of a list that may not be longer.
func (r *reader) atMost(what string, limit int) int {
	n := r.count(what)
	if n > limit {
		r.fail(what, "%d, the limit is %d", n, limit)
		return 0
	}
	return n
}

func (r *reader) uint64(what string) uint64 {
	b := r.fixed(what, 8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func (r *reader) partIndex() uint8 {
	i := r.byte("part")
	if i >= AuditPartsMax {
		r.fail("part", "there is no part %d", i)
	}
	return i
}

func (r *reader) leaves() (leaves []uint32) {
	next := uint64(0)
	for range r.atMost("leaves", AuditLeafMax) {
		next += r.uvarint("leaf")
		if next >= AuditLeafMax {
			r.fail("leaf", "there is no leaf %d", next)
			return nil
		}
		leaves = append(leaves, uint32(next))
		next++
	}
	return leaves
}

// auditKeyBytes is what a key of an AuditKeys costs beside its name.
const auditKeyBytes = 12

// Bytes is about how large the message is.
func (m *AuditKeys) Bytes() (n int) {
	for _, k := range m.Keys {
		n += len(k.Bucket) + len(k.Key) + auditKeyBytes
	}
	return n
}
