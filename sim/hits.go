package sim

import (
	"fmt"
	"strings"
)

// Branch is something rare that the code has to get right. A suite that never
// takes a branch says nothing about it (C17).
type Branch int

const (
	ReadRepairSent Branch = iota
	ReadRepairArrived
	ReadRepairMended
	WriteForwarded
	WriteResent
	RetryServed
	RetryMintedTwice
	TwinDropped
	TwinsShownOnce
	RepeatSeen
	LateRepeat
	ReplayedToNextLife
	LateWriteRefused
	StrayAnswer
	CrashLostRows
	CrashLostAcknowledged
	CrashWithRequests
	RecoveredFromCheckpoint
	CheckpointInPassing
	ObjectRemoved
	ValueApart
	ClockException
	ContextKept
	EffectWithoutDot
	Swept
	SiblingsSeen
	SiblingsMany
	SyncAcknowledged
	QuorumTimeout
	QuorumHopeless
	QuorumUnreachable
	Overloaded
	DiskFull
	Draining
	ForeignContextRefused
	DeletedUnread
	ScanPageCut
	ScanComplete
	ReadTimeout
	KilledAfterRepair
	WallJumped
	ExpiredHidden
	ExpiredEnded
	Overruled
	BeatenUnshown
	BeatenEnded
	ExpiryArrived
	StartedClean
	Pulled
	PieceJoined
	PieceOfGoneKey
	PiecesCutShort
	LogPruned
	LogRangePruned
	CheckpointWithFloor
	ReadUntrusted
	HintKept
	GuestMinted
	HintPaid
	HintArrived
	SloppyAcknowledged
	GuestsRead
	CrashLostHints
	KilledAfterHint
	LostAndCaughtUp
	KilledAfterLeak
	PromiseMade
	IncarnationClosed
	RoundFailed
	Touched
	StoppedUntrusted
	StagePropagated
	StageSettled
	RowRotted
	RowVanished
	TreeSpoilt
	LeafDamaged
	ObjectRestored
	LeafMended
	AuditRan
	AuditFoundDifference
	KeyRepaired
	DiskLost
	OldImageBack
	LongAway
	RebuildPassed
	RebuildFinished
	RebuildResumed
	HomesUnreachable
	LeftToTheBucket
	IDReused
	KilledAfterKept
	KilledAfterPromise
	Forged
	MangledRefused
	ClockStrobed
	ClockDrifted
	TreeOld
	TreeFlipped
	GuestDiskLost
	ReadHedged
	HintRefused
	HintWidened
	HintContained
	HintRead
	UnreadableMet
	PrunedUnshared
	DeltaRefused
	PromiseHeld
	OutcomeLearned
	MemorySwept
	RebuildBegun
	RebuildSourceChanged
	RebuildPageRefused
	DotVoid
	AuditCut
	AuditCrashed
	AuditAskedAgain
	LaterVersionRefused
	HintTakenAgain
	FullGuestCrashed
	NoLayoutYet
	ChangeCommitted
	ChangeRefused
	StagingCleared
	StepTaken
	RivalLost
	RefusedBehind
	ResentUnderNewTip
	CompleteByExchange
	CompleteByRebuild
	ReplicaDropped
	HintReaimed
	RemovedTold
	RemovedCameBack
	HarmedWhileMoving
	LostWhileMoving
	GoneAnswered
	RemovedRefused
	LossAccepted
	HintsStranded
	RefusalPassedOn
	RemovedReturned
	CopyRetired
	ReturnedDropped
	ReturnCrashed
	ReturnCut
	ReturnDiskLost
	HandedOnBlunt
	StoodAtReturn
	branches
)

var branchNames = [branches]string{
	"read repair sent", "read repair arrived", "read repair changed an object", "write forwarded", "write resent",
	"retry answered without a new dot", "one request minted two dots", "late twin of a served request dropped", "twins shown once",
	"repeated message brought nothing", "message repeated late", "message of an earlier life", "late write recognised as superseded", "answer to no operation",
	"crash lost rows", "crash lost an acknowledged write", "crash with requests in progress",
	"clock recovered from a checkpoint", "checkpoint written in passing", "object without versions removed", "large value in its own row",
	"clock with a gap", "context not covered by the clock", "effect of a delete arrived without its dot", "object stripped in the background",
	"siblings read", "more siblings than a node warns of", "write acknowledged when durable", "quorum missed in time", "quorum hopeless before time",
	"quorum unreachable", "refused for overload", "refused for a full disk", "refused while stopping",
	"context of another key refused", "delete without a context", "scan page cut at its limit", "scan completed", "read missed its quorum",
	"power lost just after a repair",
	"wall clock jumped", "expired value hidden", "expired value ended", "put superseded what its client had not seen", "value not shown because a later one was", "value ended because a later one was there", "end of an expired value arrived",
	"start after an orderly stop",
	"missing dots pulled", "piece joined", "piece of a key that is gone", "pieces cut short at their limit", "log pruned", "range of the log pruned",
	"checkpoint with a floor", "read of a replica that catches up",
	"hint kept", "write coordinated by a guest", "hint dropped when its home held it", "hint arrived at its home", "guest's acknowledgement counted",
	"guest's answer counted", "crash lost hints", "power lost just after a hint arrived",
	"read of a write that a replica lost and got back",
	"power lost where a delete was just after its effect had left", "promise made about a dead incarnation", "dead incarnation closed", "round that came to no end",
	"object touched for an effect without a dot",
	"orderly stop before having caught up", "write propagated", "write settled",
	"row rotted", "row vanished", "hash tree spoilt", "leaf marked as damaged", "object restored", "leaf mended", "audit ran",
	"audit compared leaves that differ", "key repaired by an audit",
	"disk lost", "old image of a disk came back", "node away for long", "range of keys passed in a rebuild", "rebuild finished", "rebuild went on after a crash",
	"too few homes for a primary quorum", "options left to the bucket", "request id of another key",
	"power lost just after a hint was kept", "power lost just after a promise", "forged message", "mangled message refused",
	"wall clock strobed", "wall clock drifted", "part of a hash tree lost or old", "bit of a hash tree flipped", "disk with hints lost",
	"read asked more homes than it had at first", "hint refused", "hint owed to more homes because one is damaged", "hint its home had already", "read of what a guest holds",
	"damaged object met", "log pruned at its limit", "delta refused",
	"dot kept out by a promise", "outcome of a round learned", "objects looked through for void dots",
	"rebuild begun", "rebuild went on from another source", "page of a rebuild refused", "dot void",
	"audit cut off from who answers it", "power lost in an audit", "audit asked for in an audit", "message of a later version refused",
	"hint kept after one was refused", "crash of a guest that had no room for hints",
	"refused for want of a layout",
	"change of the layout committed", "change of the layout refused", "staged changes cleared", "step taken with a layout", "committed layout lost against another",
	"refused as behind", "write sent again under a new layout", "new owner complete by exchange", "new owner complete by a rebuild", "old copy given up",
	"hint delivered to another home than it was kept for", "removed node told", "removed node came back", "power or disk lost just after a change", "disk lost while owners change", "read answered by a removed node alone", "refused by who is no home", "loss accepted by an operator", "hints kept by who has no place any more", "refusals passed on by who may keep no hints",
	"removed node a member again", "copy retired", "copy of a returned node given up", "power lost while returning", "cut off while returning", "disk lost while returning", "write handed on without what it had seen", "version that stood when a node came back, superseded on it alone",
}

// String is the branch in words.
func (b Branch) String() string { return branchNames[b] }

// Hits counts how often each branch was taken.
type Hits [branches]uint64

func (h *Hits) add(b Branch) { h[b]++ }

// Plus adds the counts of another run.
func (h Hits) Plus(o Hits) Hits {
	for i := range h {
		h[i] += o[i]
	}
	return h
}

// Rare are the branches that were taken less often than that.
func (h Hits) Rare(least uint64) []Branch {
	var rare []Branch
	for b := range branches {
		if h[b] < least {
			rare = append(rare, b)
		}
	}
	return rare
}

// String is a line for each branch.
func (h Hits) String() string {
	var s strings.Builder
	for b := range branches {
		fmt.Fprintf(&s, "%10d  %v\n", h[b], b)
	}
	return s.String()
}
