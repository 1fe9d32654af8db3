package kindred

import (
	"slices"
	"time"
)

// Replication is what a node knows of the replicas that it keeps, of what it owes
// other nodes, and of what it has done to make all of them equal.
type Replication struct {
	// Unknown says why this could not be found out, empty if it could. The rest
	// is then not the whole truth (I12).
	Unknown string
	// At is when it was put together, by the clock of the node.
	At time.Time
	// Replicas are those that the node is a home of, by partition.
	Replicas []ReplicaStatus
	// Hints are what it keeps for homes that it could not reach.
	Hints HintStatus
	// Repairs counts what was done since the node started.
	Repairs Repairs
}

// ReplicaStatus is the state of one home replica, as its node sees it. Counts of
// write events are counts of dots.
type ReplicaStatus struct {
	Partition, N int
	// Trusted: it counts toward read quorums (R17). If it does not, Waits names
	// the homes that it has yet to catch up with.
	Trusted bool
	Waits   []string
	// Lag is how many write events other homes are known to hold and this one
	// lacks; LagSince is when that began, zero if it lacks none. Unserved of them
	// are in nobody's log any more: the replica has to be rebuilt.
	Lag, Unserved uint64
	LagSince      time.Time
	// Unsettled is how many write events it holds of which it does not know that
	// every home holds them, and knows so of the others.
	Unsettled uint64
	// LogRows is the length of its dot log.
	LogRows uint64
	// Heard is when the home was last heard of that has been silent longest; zero
	// if one has not been heard of since the start.
	Heard time.Time
	// Rebuild is under way if its State is not empty.
	Rebuild Rebuild
	Audit   Audit
	// Missing are write events of dead incarnations that this home has heard of
	// and that nobody has delivered, since MissingSince: they wait to be closed.
	Missing      uint64
	MissingSince time.Time
}

// IsSettled reports whether everything that the replica knows of is known to be
// everywhere.
func (s *ReplicaStatus) IsSettled() bool {
	return s.Trusted && s.Lag == 0 && s.Unsettled == 0 && s.Rebuild.State == "" && s.Audit.Damaged == 0
}

// IsAudited reports whether an audit has confirmed everything that it holds.
func (s *ReplicaStatus) IsAudited() bool {
	return s.IsSettled() && s.Audit.Complete && s.Audit.Unaudited == 0
}

// Rebuild is how far a replica is that is copied anew from another home (R13).
type Rebuild struct {
	// State is waiting, copying, claiming, settling or stripping.
	State string
	// Source is the home that it is copied from.
	Source string
	Began  time.Time
	// Keys and Bytes were taken over so far.
	Keys, Bytes uint64
}

// Audit is what audits have found out about a replica (R20).
type Audit struct {
	// Damaged counts the parts of the replica, of 1,024, that it does not speak
	// for, because its disk has lost something of them.
	Damaged int
	// Running: an audit is under way. Wanted: one was asked for and waits.
	Running, Wanted bool
	// Ended is when the last one ended, zero if none has. Complete: it compared
	// the replica with every other home and left no difference. Problem says why
	// it was not, FailingSince since when none was.
	Ended        time.Time
	Complete     bool
	Problem      string
	FailingSince time.Time
	// Unaudited is how many write events the replica holds that were not settled
	// when the last complete audit began.
	Unaudited uint64
}

// HintStatus is what a node keeps as a guest. A hint for several homes counts
// once here, and on each of the debts.
type HintStatus struct {
	Hints int
	Bytes int64
	// HintsMax and BytesMax are the limits beyond which new ones are refused.
	HintsMax int
	BytesMax int64
	Debts    []HintDebt
}

// HintDebt is what a node owes to another.
type HintDebt struct {
	Target string
	Hints  int
	Bytes  int64
	// Oldest is when the oldest of it was made, or earlier.
	Oldest time.Time
}

// Repairs counts what a node has done, since it started, to make replicas equal.
type Repairs struct {
	// Pulls asked other homes for what was missing; they answered with
	// PiecesReceived objects. PiecesSent went to others.
	Pulls, PiecesReceived, PiecesSent uint64
	// RebuildsBegun and RebuildsFinished are replicas copied from other homes,
	// with RebuildKeys keys.
	RebuildsBegun, RebuildsFinished, RebuildKeys uint64
	// HintsKept were taken for others, HintsDelivered paid, HintsRefused turned
	// away at a limit or as senseless.
	HintsKept, HintsDelivered, HintsRefused uint64
	// Audits were begun, AuditedObjects read by them. LostParts are parts of
	// replicas in which the disk did not hold what it should, Restored the objects
	// put back from other homes.
	Audits, AuditedObjects, LostParts, Restored uint64
	// DifferingParts is what comparisons found, writes on their way included.
	// Diverged counts keys of which homes that knew the same showed something
	// else, Conflicts dots with two values: neither should ever happen (I9, I2).
	DifferingParts, Diverged, Conflicts uint64
	// KeysRepaired are keys that were made equal, by audits or because somebody
	// asked. ReadRepairs are objects sent to homes that were behind at a read.
	KeysRepaired, ReadRepairs uint64
	// ClosedIncarnations were found to be complete for ever (R15), Touches were
	// written for the effect of what they had lost.
	ClosedIncarnations, Touches uint64
}

// ReplicationSummary counts the replicas of a node by what is the matter.
type ReplicationSummary struct {
	Replicas int
	// CatchingUp do not count toward reads; Waits names the homes that they have
	// to catch up with.
	Trusted, CatchingUp, Rebuilding, Damaged int
	Waits                                    []string
	// RebuildLeft estimates how long the rebuilds will yet take, by those that
	// were finished; zero if nobody can tell.
	RebuildLeft time.Duration
	// Behind replicas lack Lag write events, of which Unserved are in no log, and
	// have done so since BehindSince, the earliest of them.
	Behind        int
	Lag, Unserved uint64
	BehindSince   time.Time
	// Settled replicas know that everything they hold is everywhere; Unsettled
	// write events are those of the others.
	Settled   int
	Unsettled uint64
	// Audited replicas were confirmed by an audit as they are; of the others
	// Unaudited write events were not.
	Audited   int
	Unaudited uint64
	// Auditing replicas are looked through now, AuditsWanted are to be; of those
	// looked through, AuditsIncomplete could not be compared with every home, the
	// first of them since AuditsFailingSince, and AuditProblem says why of one of
	// them. AuditOldest is when the last audit of
	// the replica ended that was audited longest ago; zero if one never was.
	Auditing, AuditsWanted, AuditsIncomplete int
	AuditProblem                             string
	AuditsFailingSince, AuditOldest          time.Time
	// Heard is the earliest of the replicas; zero if one of them has not heard of
	// a home since the start.
	Heard time.Time
	// Missing write events of dead incarnations wait to be closed.
	Missing      uint64
	MissingSince time.Time
	// LogRows are the rows of all dot logs.
	LogRows uint64
}

// Summary counts the replicas.
func (r *Replication) Summary() ReplicationSummary {
	sum := ReplicationSummary{Replicas: len(r.Replicas)}
	for i := range r.Replicas {
		s := &r.Replicas[i]
		sum.addState(s)
		sum.addAudit(s)
		if i == 0 || s.Heard.Before(sum.Heard) {
			sum.Heard = s.Heard
		}
		if i == 0 || s.Audit.Ended.Before(sum.AuditOldest) {
			sum.AuditOldest = s.Audit.Ended
		}
	}
	slices.Sort(sum.Waits)
	sum.RebuildLeft = r.rebuildLeft()
	return sum
}

// rebuildLeft takes the rebuilds that are left to be like those that ended.
func (r *Replication) rebuildLeft() time.Duration {
	var began time.Time
	left := 0
	for i := range r.Replicas {
		if b := &r.Replicas[i].Rebuild; b.State != "" {
			began, left = earlier(began, b.Began), left+1
		}
	}
	if done := r.Repairs.RebuildsFinished; done > 0 && left > 0 && !began.IsZero() && r.At.After(began) {
		return time.Duration(float64(r.At.Sub(began)) / float64(done) * float64(left))
	}
	return 0
}

func (sum *ReplicationSummary) addState(s *ReplicaStatus) {
	count(&sum.Trusted, s.Trusted)
	count(&sum.CatchingUp, !s.Trusted)
	count(&sum.Rebuilding, s.Rebuild.State != "")
	count(&sum.Damaged, s.Audit.Damaged > 0)
	count(&sum.Behind, s.Lag > 0)
	count(&sum.Settled, s.IsSettled())
	for _, home := range s.Waits {
		if !slices.Contains(sum.Waits, home) {
			sum.Waits = append(sum.Waits, home)
		}
	}
	sum.Lag += s.Lag
	sum.Unserved += s.Unserved
	sum.BehindSince = earlier(sum.BehindSince, s.LagSince)
	sum.Unsettled += s.Unsettled
	sum.Missing += s.Missing
	sum.MissingSince = earlier(sum.MissingSince, s.MissingSince)
	sum.LogRows += s.LogRows
}

func (sum *ReplicationSummary) addAudit(s *ReplicaStatus) {
	count(&sum.Audited, s.IsAudited())
	count(&sum.Auditing, s.Audit.Running)
	count(&sum.AuditsWanted, s.Audit.Wanted)
	sum.Unaudited += s.Audit.Unaudited
	if !s.Audit.Ended.IsZero() && !s.Audit.Complete {
		sum.AuditsIncomplete++
		sum.AuditProblem = s.Audit.Problem
		sum.AuditsFailingSince = earlier(sum.AuditsFailingSince, s.Audit.FailingSince)
	}
}

func count(n *int, yes bool) {
	if yes {
		*n++
	}
}

// earlier prefers a time that is known.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// AllPartitions stands for every partition that a node is a home of, where one
// may be named.
const AllPartitions = -1

// Add counts what another shard of the node keeps.
func (h *HintStatus) Add(other HintStatus) {
	h.Hints += other.Hints
	h.Bytes += other.Bytes
	h.HintsMax += other.HintsMax
	h.BytesMax += other.BytesMax
	for _, d := range other.Debts {
		i := slices.IndexFunc(h.Debts, func(mine HintDebt) bool { return mine.Target == d.Target })
		if i < 0 {
			h.Debts = append(h.Debts, d)
			continue
		}
		mine := &h.Debts[i]
		mine.Hints += d.Hints
		mine.Bytes += d.Bytes
		mine.Oldest = earlier(mine.Oldest, d.Oldest)
	}
}

// Add counts what another shard, or another node, has done.
func (r *Repairs) Add(other Repairs) {
	for i, n := range other.all() {
		*r.all()[i] += *n
	}
}

// Minus is what was done since an earlier count. What is less than it was then, as
// after a restart, counts from the start.
func (r Repairs) Minus(earlier Repairs) Repairs {
	for i, n := range earlier.all() {
		if now := r.all()[i]; *now >= *n {
			*now -= *n
		}
	}
	return r
}

// all are the counters, in the order of the fields.
func (r *Repairs) all() [20]*uint64 {
	return [...]*uint64{
		&r.Pulls, &r.PiecesReceived, &r.PiecesSent, &r.RebuildsBegun, &r.RebuildsFinished, &r.RebuildKeys,
		&r.HintsKept, &r.HintsDelivered, &r.HintsRefused, &r.Audits, &r.AuditedObjects, &r.LostParts, &r.Restored,
		&r.DifferingParts, &r.Diverged, &r.Conflicts, &r.KeysRepaired, &r.ReadRepairs, &r.ClosedIncarnations, &r.Touches,
	}
}
