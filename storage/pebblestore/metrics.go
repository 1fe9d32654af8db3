package pebblestore

import "time"

// Metrics are counts since Open and sizes now.
type Metrics struct {
	// DiskBytes is what the tables and the logs take on the disk.
	DiskBytes uint64
	// TableBytes is what the live tables take.
	TableBytes uint64
	// LogBytes is what the live logs hold: what the next Open replays.
	LogBytes uint64
	// LogWrittenBytes and LogSyncs count writes to the log and syncs that Sync
	// asked for.
	LogWrittenBytes, LogSyncs uint64

	CacheBytes, CacheHits, CacheMisses uint64
	MemTableBytes                      uint64
	Tables, Flushes, Compactions       uint64
	CompactionDebtBytes                uint64
	// Rested is how long flushes and compactions have let requests go first.
	Rested time.Duration

	// Corruptions counts each time damage was met, BackgroundErrors each time a
	// flush or a compaction failed.
	Corruptions, BackgroundErrors uint64

	// FreeBytes is the free space when it was last looked at, 0 if the file
	// system does not tell. BallastHeld says whether there is some to give back.
	FreeBytes, RefusedBatches uint64
	BallastHeld               bool
}

// DiskBytes is about what the rows with lo <= key < hi take in tables, compressed and with
// what was overwritten and not cleared away yet; 0 if that is not known.
func (s *Store) DiskBytes(lo, hi []byte) uint64 {
	if !s.gate.enter() {
		return 0
	}
	defer s.gate.leave()
	bytes, err := s.db.EstimateDiskUsage(lo, hi)
	if err != nil {
		return 0
	}
	return bytes
}

// Metrics returns the store's counters; a closed store has none.
func (s *Store) Metrics() Metrics {
	if !s.gate.enter() {
		return Metrics{}
	}
	defer s.gate.leave()
	from := s.db.Metrics()
	free, refused := s.space.state()
	if free == unknownSpace {
		free = 0
	}
	return Metrics{
		DiskBytes:           from.DiskSpaceUsage(),
		TableBytes:          uint64(from.Total().TablesSize),
		LogBytes:            from.WAL.Size,
		LogWrittenBytes:     from.WAL.BytesWritten,
		LogSyncs:            s.syncs.Load(),
		CacheBytes:          uint64(from.BlockCache.Size),
		CacheHits:           uint64(from.BlockCache.Hits),
		CacheMisses:         uint64(from.BlockCache.Misses),
		MemTableBytes:       from.MemTable.Size,
		Tables:              uint64(from.Total().TablesCount),
		Flushes:             uint64(from.Flush.Count),
		Compactions:         uint64(from.Compact.Count),
		CompactionDebtBytes: from.Compact.EstimatedDebt,
		Rested:              time.Duration(s.rests.rested.Load()),
		Corruptions:         s.events.corruptions.Load(),
		BackgroundErrors:    s.events.backgroundErrors.Load(),
		FreeBytes:           free,
		RefusedBatches:      refused,
		BallastHeld:         s.space.ballast.held.Load(),
	}
}
