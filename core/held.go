package core

// Held is what a shard keeps for work in progress. All of it is zero when
// nothing is going on; what is not is a leak (I11).
type Held struct {
	// Operations of clients, answered reads that wait for late replicas among
	// them, Late of those; Bytes are those of their values.
	Operations, Late, Bytes int
	// Keys are the objects being read, Steps what waits for them, StepBytes the
	// weight of the deltas among those.
	Keys, Steps, StepBytes int
	// Pages are being read for scans of peers.
	Pages int
	// Auditing counts the audit under way, the surveys being read for peers, and
	// the replicas that wait to be restored.
	Auditing int
	// Expiring is 1 while the shard ends what has expired.
	Expiring int
	// Rebuilding are replicas being rebuilt, Serving pages being read for others.
	Rebuilding, Serving int
	// Pulls are questions to peers and answers of theirs being joined, Pulled are
	// questions of peers that are being answered.
	Pulls, Pulled int
	// Hints are those being read, Deliveries pages of them on their way, Parcels
	// the writes of those.
	Hints, Deliveries, Parcels int
	// Closing are attempts to close dead incarnations, and pages of objects being
	// read for what they remember.
	Closing int
}

// IsZero reports whether the shard is idle.
func (h Held) IsZero() bool { return h == Held{} }

// Held counts what the shard keeps now.
func (s *Shard) Held() Held {
	pulls := 0
	for _, x := range s.exchange.order {
		pulls += x.Pulling()
	}
	return Held{
		Operations: len(s.operations), Late: s.late, Bytes: s.bytes,
		Keys: len(s.open), Steps: s.steps, StepBytes: s.stepBytes, Pages: len(s.pageFor), Expiring: s.expirer.busy(), Auditing: s.auditor.busy(s),
		Rebuilding: len(s.rebuilds.jobs), Serving: s.rebuilds.serving,
		Pulls: pulls, Pulled: s.exchange.pulled,
		Hints: len(s.debts.open), Deliveries: len(s.debts.sessions), Parcels: len(s.debts.parcels),
		Closing: s.closer.busy(),
	}
}
