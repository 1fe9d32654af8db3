package recording

import (
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Form counts the changes of what a recording looks like. A reader refuses others.
const Form = 4

// Header is what a shard begins with. Each file of its recording has it.
type Header struct {
	// Version is the program that recorded, Node its name, Start the number of its
	// start.
	Version, Node string
	Start         uint64
	// Shard is one of Shards: it has the partitions that are Shard modulo Shards.
	Shard, Shards int
	Actor         vclock.Actor
	Clean         bool
	Limits        core.Limits
	// Began is what the wall clock showed when the recording began.
	Began time.Time
	// File numbers the files of a recording from 1; First is the step that this one
	// begins with.
	File  int
	First uint64
}

// Mine says whether a partition falls to the shard.
func (h *Header) Mine(partition uint32) bool { return int(partition)%h.Shards == h.Shard }

// Kind is what happened to a shard.
type Kind uint8

// What a shard is given. Taken is when its effects were carried out; Read brings what
// a reading of the store found, if it is too much for one event.
const (
	Recover Kind = iota + 1
	RecoverHints
	RecoverPromises
	Phase
	Buckets
	Wall
	Link
	Full
	Drain
	Request
	Message
	Loaded
	Paged
	Read
	Seen
	Synced
	Tick
	AuditRange
	Discarded
	Repair
	Checkpoint
	Drop
	Taken
	Resume
)

var kinds = [...]string{
	"", "recover", "recover-hints", "recover-promises", "phase", "buckets", "wall", "link", "full", "drain",
	"request", "message", "loaded", "paged", "read", "seen", "synced", "tick", "audit-range", "discarded",
	"repair", "checkpoint", "drop", "taken", "resume",
}

// String is a lower-case word.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "unknown"
}

// Event is one step of a recording. The fields that a kind does not name are zero.
type Event struct {
	Kind Kind
	// At is the time of the event, since Began, by a clock that nobody sets.
	At time.Duration
	// Sum is of all that came of the steps before.
	Sum Sum

	// Number is the token of a Request, or which page or look, as numbered by the
	// Taken effects, a Paged, Read or Seen belongs to.
	Number  uint64
	Request *kindred.Request
	// Peer is that of a Link, which is Up or not, or of a Message. The Message of
	// Paged is the page.
	Peer    string
	Up      bool
	Message wire.Message
	// Row was Loaded; with Absent it was known not to be stored, and Reads is empty.
	Row    string
	Absent bool
	// Reads is what the store answered: to Recover…, Loaded, Read and Seen.
	Reads []byte
	// Replicas are those of a Phase that were recovered before; Recover and Drop have
	// one.
	Replicas []replica.ID
	// Bytes is an encoded Phase, or the encoded registry of Buckets.
	Bytes []byte
	// Ahead is of Wall: what the wall clock is ahead of At.
	Ahead time.Duration
	// Full is why writes are refused from then on, nil if they are not.
	Full *kindred.Error
	// Syncs are of Synced.
	Syncs []uint64
	// Low and High are of AuditRange.
	Low, High []byte
	// Partition is of Repair.
	Partition int
}
