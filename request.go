package kindred

import (
	"encoding/hex"
	"fmt"
	"time"
)

// RequestID names one intention of a client. A retry carries the same id, so
// that a replica which saw it answers again without writing again. The zero id
// means that the client gave none.
type RequestID [16]byte

// IsZero reports whether no id was given.
func (id RequestID) IsZero() bool { return id == RequestID{} }

// String is 32 hexadecimal digits.
func (id RequestID) String() string { return hex.EncodeToString(id[:]) }

// ParseRequestID reads the 32 hexadecimal digits of String.
func ParseRequestID(s string) (RequestID, error) {
	var id RequestID
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("request id %q has %d characters, want %d hexadecimal digits", s, len(s), 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return RequestID{}, fmt.Errorf("request id %q: %w", s, err)
	}
	return id, nil
}

// ForDelete is the id under which replicas file a delete. A client that gives one
// id to a put and to a delete of the same key means two intentions; if they
// shared it, the second would be answered as done without being done.
func (id RequestID) ForDelete() RequestID {
	if id.IsZero() {
		return id
	}
	for i := range id {
		id[i] ^= deleteMark[i%len(deleteMark)]
	}
	if id.IsZero() {
		id[0] = 1 // the one id that would be left without a name
	}
	return id
}

// deleteMark sets the ids of deletes apart from those of puts.
const deleteMark = "\xd3\x1e\x7e\xa5"

// Op is what a request asks for.
type Op uint8

const (
	OpGet Op = iota + 1
	OpPut
	OpDelete
	// OpInspect asks every home replica what it holds of the key, and every other
	// node what it keeps for them, and reports
	// each answer by itself.
	OpInspect
	// OpScan asks for one page of keys.
	OpScan
	// OpRepair makes the home replicas of a key equal and reports what each of
	// them lacked.
	OpRepair
	// OpStage waits until a write has reached a stage, and reports the one that
	// it has reached by then or at the timeout.
	OpStage
)

var ops = [...]string{"", "get", "put", "delete", "inspect", "scan", "repair", "stage"}

// String is the lower-case verb.
func (o Op) String() string {
	if int(o) < len(ops) {
		return ops[o]
	}
	return fmt.Sprintf("Op(%d)", uint8(o))
}

// Request is one operation as a node receives it. The zero value of every
// option leaves the choice to the bucket.
type Request struct {
	Op          Op
	Bucket, Key string
	Value       []byte
	ContentType string
	// TTL is how long after the put its value expires, by the coordinator's
	// clock; ExpiresAt is when. At most one is given; zero means never.
	TTL       time.Duration
	ExpiresAt time.Time
	// Context is the opaque causal context of an earlier read of this very
	// key. Empty makes a put blind: it supersedes nothing.
	Context   []byte
	RequestID RequestID
	// Resent says that the request was sent before under this id.
	Resent       bool
	R, W, PR, PW Count
	Durability   Durability
	// Sloppy says whether guests count toward R and W.
	Sloppy Sloppiness
	// Timeout is how long the node may try; zero means its default.
	Timeout time.Duration
	// Scan is set for OpScan.
	Scan Scan
	// Dot and Stage are set for OpStage: which write, and what to wait for. The
	// zero stage waits for nothing.
	Dot   string
	Stage Stage
}

// Scan selects a page of keys of a bucket, in partition order.
type Scan struct {
	Prefix string
	// Cursor is where the previous page ended; empty starts.
	Cursor []byte
	// Limit is the number of keys wanted, at most [ScanPageMax]; zero means
	// that maximum.
	Limit         int
	ConflictsOnly bool
}

// Response is what a node answers: Err, or the rest.
type Response struct {
	Err *Error
	// Siblings are the live versions found by a get, sorted by dot.
	Siblings []Sibling
	// Context is what a following write of the same key should carry. A get
	// of an absent key that once existed has one too. A retry of a delete without
	// a context, or of a put where the last writer wins, has none if it was served
	// before: what the write had seen is not kept.
	Context []byte
	// Receipt is set for writes. For OpStage it has the dot and the stage alone.
	Receipt Receipt
	// Replicas is set for an inspection: one entry per home replica.
	Replicas []ReplicaView
	// Keys and Cursor are set for a scan; an empty Cursor ends it.
	Keys   []KeyEntry
	Cursor []byte
	// Replied names the nodes whose answers were counted, Guests those of them
	// that are no home replicas: the answer of a read with guests is sloppy.
	Replied, Guests []string
}

// Sibling is one live version with its provenance.
type Sibling struct {
	Dot         string
	Value       []byte
	ContentType string
	// WrittenAt is the coordinator's wall clock; it informs and never decides.
	WrittenAt time.Time
	// Node coordinated the write.
	Node   string
	Causes Causes
	// ExpiresAt is when the value expires; zero means never.
	ExpiresAt time.Time
}

// Receipt is what a write returns.
type Receipt struct {
	// Dot names the write event.
	Dot        string
	Stage      Stage
	Durability Durability
	// Acked names the nodes that hold the write as asked, Guests those of them
	// that hold it as a hint for a home replica. With guests the quorum was a
	// sloppy one.
	Acked, Guests []string
	// ExpiresAt is when the value expires; zero means never.
	ExpiresAt time.Time
}

// Sloppiness is the quorum that was met.
func (r *Receipt) Sloppiness() Sloppiness { return SloppyOr(len(r.Guests) > 0) }

// ReplicaView is what one home replica holds of a key, or a guest for the homes.
type ReplicaView struct {
	Node string
	// Guest: the node is no home of the key. What it holds it owes to homes.
	Guest bool
	// Err says why the replica did not answer; the rest is then unknown.
	Err string
	// Siblings carry their provenance and their size, not their value.
	Siblings []SiblingView
	// Context is the stored causal context in readable form.
	Context string
	// Clock is the replica's clock for the partition in readable form.
	Clock string
	// Repaired: the replica was behind the others and is not any more. Set for a
	// repair.
	Repaired bool
}

// SiblingView is a version without its value.
type SiblingView struct {
	Dot         string
	Bytes       int
	ContentType string
	WrittenAt   time.Time
	Node        string
	Causes      Causes
	ExpiresAt   time.Time
}

// KeyEntry is one key of a scan.
type KeyEntry struct {
	Key      string
	Siblings int
	// ExpiresAt is when the last sibling expires; zero if one of them never does.
	ExpiresAt time.Time
}
