package kindred

import "fmt"

// Durability is what "held" means on a replica that acknowledges.
type Durability uint8

const (
	// DurabilityDefault leaves the choice to the bucket.
	DurabilityDefault Durability = iota
	// Memory: in the replica's memory; written to disk when convenient.
	Memory
	// Batch: as Memory, and synced to disk within 50 ms.
	Batch
	// Sync: on disk before the answer.
	Sync
)

var durabilities = [...]string{"", "memory", "batch", "sync"}

// String is the word users write; the default is empty.
func (d Durability) String() string {
	if int(d) < len(durabilities) {
		return durabilities[d]
	}
	return fmt.Sprintf("Durability(%d)", uint8(d))
}

// ParseDurability reads memory, batch, sync, or "" for the bucket's default.
func ParseDurability(s string) (Durability, error) {
	for i, w := range durabilities {
		if s == w {
			return Durability(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not a durability: use memory, batch or sync", s)
}

// Outcome is what is known about the effect of an operation (I10). Its zero
// value is Unknown, so that an error which says nothing promises nothing.
type Outcome uint8

const (
	// Unknown: it may have taken effect, or may still.
	Unknown Outcome = iota
	// Applied: it took effect as asked.
	Applied
	// NotApplied: it took no effect and never will.
	NotApplied
)

var outcomes = [...]string{"unknown", "applied", "not_applied"}

// String is the word of the public contract.
func (o Outcome) String() string {
	if int(o) < len(outcomes) {
		return outcomes[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Stage is how far a write has travelled.
type Stage uint8

const (
	// StageNone: nothing is known.
	StageNone Stage = iota
	// Accepted: durable as asked at its coordinator.
	Accepted
	// Replicated: held by W replicas, durable as asked.
	Replicated
	// Propagated: in every home replica's durable clock.
	Propagated
	// Settled: every home replica knows that it is propagated.
	Settled
	// Audited: confirmed by an audit that began after it was settled.
	Audited
)

var stages = [...]string{"", "accepted", "replicated", "propagated", "settled", "audited"}

// String is the word of the public contract.
func (s Stage) String() string {
	if int(s) < len(stages) {
		return stages[s]
	}
	return fmt.Sprintf("Stage(%d)", uint8(s))
}

// ParseStage reads propagated, settled, audited and the other stages' words.
func ParseStage(s string) (Stage, error) {
	for i, w := range stages {
		if s == w && w != "" {
			return Stage(i), nil
		}
	}
	return StageNone, fmt.Errorf("%q is not a stage: use accepted, replicated, propagated, settled or audited", s)
}
