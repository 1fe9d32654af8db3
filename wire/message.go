package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

// Format is the version of the binary form of messages.
const Format = 2

// Kind is a message's type on the wire.
type Kind uint8

const (
	KindWrite Kind = iota + 1
	KindWriteAck
	KindRead
	KindReadReply
	KindForward
	KindForwardReply
	KindScanRead
	KindScanReply
	KindLayout
	KindHint
	KindHintOffer
	KindHintLacks
	KindCloseAsk
	KindCloseReply
	KindCloseTell
	KindTimeAsk
	KindTimeTell
	KindRebuildRead
	KindRebuildPage
	KindClock
	KindPull
	KindPieces
	KindAuditTree
	KindAuditLeaves
	KindAuditList
	KindAuditKeys
	KindAuditFetch
	KindAuditObjects
	KindBuckets
)

var kinds = [...]string{"", "write", "write ack", "read", "read reply", "forward", "forward reply", "scan read", "scan reply", "layout", "hint", "hint offer", "hint lacks", "close ask", "close reply", "close tell", "time ask", "time tell",
	"rebuild read", "rebuild page", "clock", "pull", "pieces", "audit tree", "audit leaves", "audit list", "audit keys", "audit fetch", "audit objects", "buckets"}

// String is the name used in errors and metrics.
func (k Kind) String() string {
	if k > 0 && int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Head is the fixed beginning of every message: which replica of which
// partition is meant. A message about the whole node has a zero N.
type Head struct {
	Partition uint32
	N         uint8
}

// OpID names an operation: the process that runs it, by the nonce of its
// incarnation, and a number. The zero OpID wants no answer.
type OpID struct {
	Process, Seq uint64
}

// IsZero reports whether no answer is wanted.
func (id OpID) IsZero() bool { return id == OpID{} }

// Message is one of the types of this package.
type Message interface {
	kind() Kind
	head() Head
	appendBody(b []byte) []byte
}

// Write carries a delta to a replica: a new write, a repair.
type Write struct {
	Head
	Op          OpID
	Durability  kindred.Durability
	Bucket, Key string
	Delta       Delta
	// RequestIDs names the intentions behind Delta.Dots that no version in the
	// delta carries: deletes, and writes that were superseded since (R19).
	RequestIDs []DotRequest
	// Rounds are the sender's promises about the actors of Delta.Dots (R14).
	Rounds Rounds
	// Void is the digest of what all whose objects are in a read repair knew to be
	// void, zero if they did not know the same.
	Void uint64
	// At is how far the coordinator is whose quorum the write is for, zero for
	// repairs and for what is delivered (R24).
	At ring.Progress
}

// DotRequest ties a dot to the request that minted it.
type DotRequest struct {
	Dot vclock.Dot
	ID  kindred.RequestID
}

// WriteAck answers a Write once it is as durable as asked. Refused says why it
// was not applied; empty means that it was. At is zero, or how far the node is that
// has refused because of the layout (R24), here and in every answer below.
type WriteAck struct {
	Head
	Op      OpID
	Refused string
	At      ring.Progress
}

// Read asks a replica for what it holds of a key.
type Read struct {
	Head
	Op          OpID
	Bucket, Key string
	// Inspect asks for the stored context and clock in readable form as well.
	Inspect bool
	// Guest asks for what the node holds as hints, if it is no home.
	Guest bool
	// At is how far the coordinator is that counts the answer, zero where none does.
	At ring.Progress
}

// ReadReply carries the filled object (R5), or says why there is none.
type ReadReply struct {
	Head
	Op     OpID
	Failed string
	Object Object
	// Context and Clock are set if asked for.
	Context, Clock string
	// Rounds are the replier's promises about the actors of live versions (R8), Void
	// the digest of what it knows to be void.
	Rounds Rounds
	Void   uint64
	At     ring.Progress
}

// Forward passes a request on to a home replica, once.
type Forward struct {
	Head
	Op      OpID
	Request kindred.Request
	// Guest: no home can be reached; the node is to coordinate as a guest.
	Guest bool
	At    ring.Progress
}

// ForwardReply carries the answer back.
type ForwardReply struct {
	Head
	Op       OpID
	Response kindred.Response
	At       ring.Progress
}

// ScanRead asks a replica for a page of keys of a bucket.
type ScanRead struct {
	Head
	Op             OpID
	Bucket, Prefix string
	// After is the last key already seen; From says whether there was one.
	After string
	From  bool
	Limit uint32
	// Guest asks for the keys that the node holds hints of, if it is no home.
	Guest bool
	At    ring.Progress
}

// ScanReply carries the keys in order, with what is needed to merge them: each
// key's dots and context as stored, and the base of the clock of the same
// moment, once for the page (R5).
type ScanReply struct {
	Head
	Op     OpID
	Failed string
	Base   vclock.DotSet
	Keys   []ScanKey
	// More: the page ended at its limit.
	More bool
	At   ring.Progress
}

// ScanKey is one key of a page.
type ScanKey struct {
	Key string
	// Dots has the expiries in place of the values.
	Dots vclock.Siblings[Expiry]
}

// Layout carries an encoded ring layout.
type Layout struct {
	Bytes []byte
}

func (*Write) kind() Kind        { return KindWrite }
func (*WriteAck) kind() Kind     { return KindWriteAck }
func (*Read) kind() Kind         { return KindRead }
func (*ReadReply) kind() Kind    { return KindReadReply }
func (*Forward) kind() Kind      { return KindForward }
func (*ForwardReply) kind() Kind { return KindForwardReply }
func (*ScanRead) kind() Kind     { return KindScanRead }
func (*ScanReply) kind() Kind    { return KindScanReply }
func (*Layout) kind() Kind       { return KindLayout }

func (h Head) head() Head     { return h }
func (*Layout) head() Head    { return Head{} }
func (h Head) String() string { return fmt.Sprintf("partition %d/%d", h.Partition, h.N) }

const headBytes = 5

// KindOf is a message's kind.
func KindOf(m Message) Kind { return m.kind() }

// HeadOf is a message's head.
func HeadOf(m Message) Head { return m.head() }

// Append appends the binary form of m.
func Append(b []byte, m Message) []byte {
	h := m.head()
	b = append(b, Format, byte(m.kind()))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Partition))
	b = append(b, h.N)
	return m.appendBody(b)
}

// Peek reads the kind and head of an encoded message, for routing.
func Peek(b []byte) (Kind, Head, error) {
	if len(b) < headBytes {
		return 0, Head{}, &DecodeError{What: "head", Offset: len(b), Reason: "the message ends here"}
	}
	if b[0] != Format {
		return 0, Head{}, &DecodeError{What: "format", Reason: fmt.Sprintf("format %d, this node speaks %d", b[0], Format)}
	}
	return Kind(b[1]), Head{Partition: uint32(binary.BigEndian.Uint16(b[2:])), N: b[4]}, nil
}

// Decode reads one message, which must fill b. Values in it alias b.
func Decode(b []byte) (Message, error) {
	kind, h, err := Peek(b)
	if err != nil {
		return nil, err
	}
	r := newReader(b)
	r.fixed("head", headBytes)
	m := decodeBody(kind, h, &r)
	if m == nil {
		return nil, &DecodeError{What: "kind", Offset: 1, Reason: fmt.Sprintf("unknown kind %d", kind)}
	}
	if err := r.end(kind.String()); err != nil {
		return nil, err
	}
	return m, nil
}

func decodeBody(kind Kind, h Head, r *reader) Message {
	switch kind {
	case KindWrite:
		return decodeWrite(h, r)
	case KindWriteAck:
		return &WriteAck{Head: h, Op: r.opID(), Refused: r.string("reason"), At: r.progress()}
	case KindRead:
		m := &Read{Head: h, Op: r.opID()}
		m.Bucket, m.Key = r.names()
		m.Inspect, m.Guest, m.At = r.flag("inspect"), r.flag("guest"), r.progress()
		return m
	case KindReadReply:
		return &ReadReply{
			Head: h, Op: r.opID(), Failed: r.string("reason"), Object: r.object("object"),
			Context: r.string("context"), Clock: r.string("clock"), Rounds: r.rounds("rounds"),
			Void: r.uvarint("void"), At: r.progress(),
		}
	case KindForward:
		return &Forward{Head: h, Op: r.opID(), Request: r.request(), Guest: r.flag("guest"), At: r.progress()}
	case KindForwardReply:
		return &ForwardReply{Head: h, Op: r.opID(), Response: r.response(), At: r.progress()}
	case KindScanRead:
		return &ScanRead{
			Head: h, Op: r.opID(), Bucket: r.bucket(), Prefix: r.text("prefix", kindred.KeyBytesMax),
			After: r.text("after", kindred.KeyBytesMax), From: r.flag("from"), Limit: r.uint32("limit"), Guest: r.flag("guest"),
			At: r.progress(),
		}
	case KindScanReply:
		return decodeScanReply(h, r)
	case KindCloseAsk:
		return decodeCloseAsk(h, r)
	case KindCloseReply:
		return decodeCloseReply(h, r)
	case KindAuditTree, KindAuditLeaves, KindAuditList, KindAuditKeys, KindAuditFetch, KindAuditObjects:
		return decodeAudit(kind, h, r)
	case KindCloseTell:
		return decodeCloseTell(h, r)
	case KindTimeAsk:
		return &TimeAsk{Head: h, Op: r.opID()}
	case KindTimeTell:
		return &TimeTell{Head: h, Op: r.opID(), Wall: r.varint("wall")}
	case KindLayout:
		if h != (Head{}) {
			r.fail("head", "a layout message names no partition")
		}
		return &Layout{Bytes: r.bytes("layout")}
	case KindBuckets:
		return decodeBuckets(h, r)
	case KindHint:
		return decodeHint(h, r)
	case KindHintOffer:
		return &HintOffer{Head: h, Op: r.opID(), Dots: r.dotSet("dots")}
	case KindHintLacks:
		return &HintLacks{Head: h, Op: r.opID(), Failed: r.string("reason"), Dots: r.dotSet("dots")}
	case KindRebuildRead:
		return decodeRebuildRead(h, r)
	case KindRebuildPage:
		return decodeRebuildPage(h, r)
	case KindClock:
		return decodeClock(h, r)
	case KindPull:
		return &Pull{Head: h, Op: r.opID(), Bare: r.flag("bare"), Dots: r.dotSet("dots")}
	case KindPieces:
		return decodePieces(h, r)
	}
	return nil
}

func (r *reader) opID() OpID {
	b := r.fixed("operation", 8)
	if b == nil {
		return OpID{}
	}
	return OpID{Process: binary.BigEndian.Uint64(b), Seq: r.uvarint("operation")}
}

func (r *reader) bucket() string { return r.text("bucket", kindred.BucketBytesMax) }
func (r *reader) key() string    { return r.text("key", kindred.KeyBytesMax) }

// names reads a bucket and a key into one piece of memory.
func (r *reader) names() (bucket, key string) {
	b := r.limited("bucket", kindred.BucketBytesMax)
	from := r.rest
	k := r.limited("key", kindred.KeyBytesMax)
	if r.err != nil {
		return "", ""
	}
	between := len(from) - len(r.rest) - len(k)
	both := string(r.whole[len(r.whole)-len(from)-len(b) : len(r.whole)-len(r.rest)])
	return both[:len(b)], both[len(b)+between:]
}

func (id OpID) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, id.Process)
	return binary.AppendUvarint(b, id.Seq)
}

func appendObject(b []byte, o Object) []byte { return vclock.AppendSiblings(b, o, AppendRecord) }

func (m *Write) appendBody(b []byte) []byte {
	b = m.Op.appendTo(b)
	b = append(b, byte(m.Durability))
	b = appendString(b, m.Bucket)
	b = appendString(b, m.Key)
	b = appendObject(b, m.Delta.Siblings)
	b = m.Delta.Dots.AppendTo(b)
	b = AppendRounds(appendRequestIDs(b, m.RequestIDs), m.Rounds)
	return appendProgress(binary.AppendUvarint(b, m.Void), m.At)
}

func appendRequestIDs(b []byte, ids []DotRequest) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, dr := range ids {
		b = dr.Dot.AppendTo(b)
		b = append(b, dr.ID[:]...)
	}
	return b
}

func decodeWrite(h Head, r *reader) *Write {
	m := &Write{Head: h, Op: r.opID(), Durability: kindred.Durability(r.byte("durability"))}
	if m.Durability > kindred.Sync {
		r.fail("durability", "unknown durability %d", m.Durability)
	}
	m.Bucket, m.Key = r.names()
	m.Delta.Siblings = r.object("delta")
	m.Delta.Dots = r.dotSet("dots")
	m.RequestIDs = r.requestIDs()
	m.Rounds = r.rounds("rounds")
	m.Void = r.uvarint("void")
	m.At = r.progress()
	return m
}

func (r *reader) requestIDs() (ids []DotRequest) {
	for range r.count("request ids") {
		if r.err != nil {
			break
		}
		d, rest, err := vclock.DecodeDot(r.rest)
		if err != nil {
			r.fail("dot of a request", "%v", err)
			break
		}
		r.rest = rest
		ids = append(ids, DotRequest{Dot: d, ID: r.requestID("request id")})
	}
	return ids
}

func (m *WriteAck) appendBody(b []byte) []byte {
	return appendProgress(appendString(m.Op.appendTo(b), m.Refused), m.At)
}

func (m *Read) appendBody(b []byte) []byte {
	b = appendString(appendString(m.Op.appendTo(b), m.Bucket), m.Key)
	return appendProgress(appendFlag(appendFlag(b, m.Inspect), m.Guest), m.At)
}

func (m *ReadReply) appendBody(b []byte) []byte {
	b = appendString(m.Op.appendTo(b), m.Failed)
	b = appendObject(b, m.Object)
	b = AppendRounds(appendString(appendString(b, m.Context), m.Clock), m.Rounds)
	return appendProgress(binary.AppendUvarint(b, m.Void), m.At)
}

func (m *Forward) appendBody(b []byte) []byte {
	return appendProgress(appendFlag(appendRequest(m.Op.appendTo(b), &m.Request), m.Guest), m.At)
}

func (m *ForwardReply) appendBody(b []byte) []byte {
	return appendProgress(appendResponse(m.Op.appendTo(b), &m.Response), m.At)
}

func (m *ScanRead) appendBody(b []byte) []byte {
	b = appendString(appendString(m.Op.appendTo(b), m.Bucket), m.Prefix)
	b = appendFlag(appendString(b, m.After), m.From)
	return appendProgress(appendFlag(binary.AppendUvarint(b, uint64(m.Limit)), m.Guest), m.At)
}

func (m *ScanReply) appendBody(b []byte) []byte {
	b = appendString(m.Op.appendTo(b), m.Failed)
	b = m.Base.AppendTo(b)
	b = binary.AppendUvarint(b, uint64(len(m.Keys)))
	for _, k := range m.Keys {
		b = vclock.AppendSiblings(appendString(b, k.Key), k.Dots, appendExpiry)
	}
	return appendProgress(appendFlag(b, m.More), m.At)
}

func decodeScanReply(h Head, r *reader) *ScanReply {
	m := &ScanReply{Head: h, Op: r.opID(), Failed: r.string("reason"), Base: r.dotSet("base")}
	for range r.count("keys") {
		if r.err != nil {
			break
		}
		k := ScanKey{Key: r.key()}
		if r.err != nil {
			break
		}
		dots, rest, err := vclock.DecodeSiblings(r.rest, decodeExpiry)
		if err != nil {
			r.fail("dots of a key", "%v", err)
			break
		}
		k.Dots, r.rest = dots, rest
		m.Keys = append(m.Keys, k)
	}
	m.More, m.At = r.flag("more"), r.progress()
	return m
}

func (m *Layout) appendBody(b []byte) []byte { return appendBytes(b, m.Bytes) }
