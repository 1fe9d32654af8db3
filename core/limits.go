package core

import (
	"time"

	"github.com/kindredkv/kindred/hintedhandoff"
	"github.com/kindredkv/kindred/pace"
)

// Limits bounds what clients and peers can make a shard hold.
type Limits struct {
	// Operations is the number of client operations in progress. Raising it
	// costs memory under overload, lowering it refuses work earlier.
	Operations int
	// OperationBytes bounds what operations in progress hold: values and contexts
	// to be written, and values that replicas answered with.
	OperationBytes int
	// Steps is the number of steps that wait for an object to be read.
	Steps int
	// StepBytes bounds what the deltas of peers among them hold and will write.
	StepBytes int
	// Pages is the number of readings of snapshots at once, for peers: pages of
	// scans, pieces that they pull.
	Pages int
	// Rebuilds is the number of replicas that are rebuilt at a time, RebuildPages
	// that of pages being read for other nodes' rebuilds.
	Rebuilds, RebuildPages int
	// RebuildPageBytes is the size at which a page for a rebuild ends. Raising it
	// makes rebuilds quicker, and the pauses of a shard that takes one over longer.
	RebuildPageBytes int
	// RebuildPace is how fast a shard that serves clients is rebuilt, in keys, as
	// PullPace is for pulls.
	RebuildPace pace.Rate
	// Pulls is the number of answers that a shard waits for in exchange, each of
	// about PieceBytes at most. A larger object travels alone.
	Pulls, PieceBytes int
	// PullPace is how fast a shard that serves clients pulls what it lacks, counted in
	// dots, and how fast it answers the pulls of peers; PullDots is what it asks for
	// at once then. Without clients exchange runs as fast as it can. Raising them
	// makes a home that was away equal sooner and is felt by clients, lowering them
	// leaves more to hints, which cost more for each write.
	PullPace pace.Rate
	PullDots int
	// LogRows bounds the dots in the log of one replica. What is beyond it is
	// pruned although not every home holds it: a home that lacks it then has to be
	// rebuilt instead of being sent what it lacks.
	LogRows int
	// LateReads is the number of answered reads kept until their last replica
	// has spoken, for read repair.
	LateReads int
	// Unstripped is the number of objects remembered for the background sweep.
	Unstripped int
	// Requests is the number of request ids remembered (R19).
	Requests int
	// Hints and HintBytes bound what the shard keeps for homes of other partitions
	// that cannot be reached. Raising them takes writes through longer cuts and
	// costs disk; at the limit hints are refused, and guests do not count.
	Hints     int
	HintBytes int64
	// HintPace is how fast hints are delivered.
	HintPace hintedhandoff.Pace
	// GuestAfter is how long a sloppy operation waits for a home that seems to be
	// there before it turns to the fallback as well. Lowering it makes a frozen node
	// felt less and doubles more writes when a disk is slow.
	GuestAfter time.Duration
	// Timeout is the time an operation gets if the client names none;
	// TimeoutMax is the most it gets.
	Timeout, TimeoutMax time.Duration
	// AuditEvery is the time in which every replica is audited once (R20): read
	// whole, and compared with the others. Zero audits only what is asked for.
	// Raising it finds damage later, lowering it reads the disk more often.
	AuditEvery time.Duration
	// RepairWait is how long an answered read waits for its last replicas.
	RepairWait time.Duration
	// CloseAfter is how long dots have to be missing at a home before it asks
	// whether the incarnation that minted them is to be closed. Raising it leaves
	// gaps and contexts for longer, lowering it asks about dots that an exchange is
	// about to bring.
	CloseAfter time.Duration
	// ExpiryGrace is how long after its expiry a version that no read shows any
	// more is removed. Raising it keeps expired values on disk longer, lowering
	// it lets clocks that differ by less remove a value early.
	ExpiryGrace time.Duration
	// ExpiryStagger is how much longer the second home waits than the first, the
	// third than the second: one of them does the work if it can.
	ExpiryStagger time.Duration
}

// DefaultLimits suit a shard that owns one core and some 100 MiB of memory.
func DefaultLimits() Limits {
	return Limits{
		Operations:       16 << 10,
		OperationBytes:   64 << 20,
		Steps:            64 << 10,
		StepBytes:        64 << 20,
		Pages:            256,
		Rebuilds:         4,
		RebuildPages:     8,
		RebuildPageBytes: 256 << 10,
		RebuildPace:      pace.Rate{ItemsPerSecond: 2000, BytesPerSecond: 32 << 20, Busy: 128},
		Pulls:            8,
		PieceBytes:       1 << 20,
		PullPace:         pace.Rate{ItemsPerSecond: 1000, BytesPerSecond: 16 << 20, Busy: 128},
		PullDots:         64,
		LogRows:          4 << 20,
		LateReads:        4 << 10,
		Unstripped:       4 << 10,
		Requests:         16 << 10,
		Timeout:          5 * time.Second,
		TimeoutMax:       time.Minute,
		AuditEvery:       24 * time.Hour,
		RepairWait:       2 * time.Second,
		CloseAfter:       10 * time.Second,
		ExpiryGrace:      10 * time.Second,
		ExpiryStagger:    30 * time.Second,
		Hints:            512 << 10,
		HintBytes:        1 << 30,
		HintPace:         hintedhandoff.DefaultPace(),
		GuestAfter:       300 * time.Millisecond,
	}
}
