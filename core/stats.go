package core

// Stats counts what a shard has done since it was made.
type Stats struct {
	Writes, Reads, Scans, Forwards uint64
	// Joins are deltas merged from peers, Repairs those sent by read repair.
	Joins, Repairs uint64
	// Hedges are reads that turned to more homes than they had asked first.
	Hedges uint64
	// RefusedJoins are deltas of peers that were malformed or forged.
	RefusedJoins uint64
	// Resends are writes sent again because a peer came back in time.
	Resends uint64
	// Retries are requests that had been served before (R19).
	Retries uint64
	// ManySiblings counts writes that left more than kindred.SiblingsWarn.
	ManySiblings uint64
	// Sweeps are objects looked at in the background to strip them (R4).
	Sweeps uint64
	// Expiries are delete events made for what had expired, Expired the keys
	// that were looked at for it.
	Expiries, Expired uint64
	// Where the last writer wins: Overwritten are the versions that a put replaced
	// without its client having seen them, Beaten those that were written
	// concurrently with a later one and ended.
	Overwritten, Beaten uint64
	// Pulls were sent, PullsServed answered; PiecesSent and PiecesJoined are the
	// objects in the answers.
	Pulls, PullsServed, PiecesSent, PiecesJoined uint64
	// Prunes shortened a log by PrunedDots that every home holds. PrunedUnshared
	// are those pruned at the log's limit, which some home may still lack.
	Prunes, PrunedDots, PrunedUnshared uint64
	AuditStats
	// Stray counts messages that belong to no operation in progress.
	Stray uint64
	// Differ are requests that were refused because of the layout of their coordinator
	// (R24), Restarts those that were begun anew after such a refusal or a change.
	Differ, Restarts uint64
	// Dropped are replicas that were given up because others own the partition, Retired
	// those that hold what is void to all others (R27).
	Dropped, Retired uint64
	// GuestWrites were coordinated without being a home, GuestReads answered so.
	GuestWrites, GuestReads uint64
	// HintsAsked are deltas that fallbacks were asked to keep, HintsKept those that
	// were kept here for others, HintsRefused those that had no room or no sense.
	HintsAsked, HintsKept, HintsRefused uint64
	// HintOffers are pages that were offered; of the hints on them, HintsContained
	// were with their home already, HintsSent counts the writes that brought the
	// others, and HintsPaid the debts that ended, each to one home.
	HintOffers, HintsContained, HintsSent, HintsPaid uint64
	// HintsWidened are owed to all homes because the one they were for is damaged.
	HintsWidened uint64
	// HintPagesFailed are pages of hints that could not be read.
	HintPagesFailed uint64
}

// Plus adds the counters of another shard.
func (a Stats) Plus(b Stats) Stats {
	a.Writes += b.Writes
	a.Reads += b.Reads
	a.Scans += b.Scans
	a.Forwards += b.Forwards
	a.Joins += b.Joins
	a.Repairs += b.Repairs
	a.Hedges += b.Hedges
	a.RefusedJoins += b.RefusedJoins
	a.Resends += b.Resends
	a.Retries += b.Retries
	a.ManySiblings += b.ManySiblings
	a.Sweeps += b.Sweeps
	a.Expiries += b.Expiries
	a.Expired += b.Expired
	a.Overwritten += b.Overwritten
	a.Beaten += b.Beaten
	a.Pulls += b.Pulls
	a.PullsServed += b.PullsServed
	a.PiecesSent += b.PiecesSent
	a.PiecesJoined += b.PiecesJoined
	a.Prunes += b.Prunes
	a.PrunedDots += b.PrunedDots
	a.PrunedUnshared += b.PrunedUnshared
	a.AuditStats = a.AuditStats.plus(b.AuditStats)
	a.Stray += b.Stray
	a.Differ += b.Differ
	a.Restarts += b.Restarts
	a.Dropped += b.Dropped
	a.Retired += b.Retired
	a.GuestWrites += b.GuestWrites
	a.GuestReads += b.GuestReads
	a.HintsAsked += b.HintsAsked
	a.HintsKept += b.HintsKept
	a.HintsRefused += b.HintsRefused
	a.HintOffers += b.HintOffers
	a.HintsContained += b.HintsContained
	a.HintsSent += b.HintsSent
	a.HintsPaid += b.HintsPaid
	a.HintsWidened += b.HintsWidened
	a.HintPagesFailed += b.HintPagesFailed
	return a
}

// Stats returns the counters.
func (s *Shard) Stats() Stats { return s.stats }
