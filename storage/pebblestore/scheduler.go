package pebblestore

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// scheduler lets one compaction run at a time and holds the next one back after a
// failure; after the failure of the store, none begins. Pebble's own tries again at once: one rotten block in its first level
// keeps a core busy for ever. It also wakes ten times a second; this one never.
type scheduler struct {
	health *health
	pause  func() // after each compaction; returns at once if it went well
	db     pebble.DBForCompaction
	work   *work

	mu       sync.Mutex
	running  bool // somebody holds the permission to compact
	ended    bool
	granting sync.WaitGroup // calls to db
}

var _ pebble.CompactionScheduler = (*scheduler)(nil)

// Register is pebble.CompactionScheduler's.
func (s *scheduler) Register(_ int, db pebble.DBForCompaction) { s.db = db }

// Unregister is pebble.CompactionScheduler's. When it returns, db is not called any
// more.
func (s *scheduler) Unregister() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.granting.Wait()
}

// TrySchedule is pebble.CompactionScheduler's. Pebble remembers a no, and waits to
// be told when it may.
func (s *scheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) { return s.acquire(), s }

func (s *scheduler) acquire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running || s.ended || s.health.failed() != nil {
		return false
	}
	s.running = true
	return true
}

func (s *scheduler) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
}

// UpdateGetAllowedWithoutPermission is pebble.CompactionScheduler's.
func (s *scheduler) UpdateGetAllowedWithoutPermission() {}

// Started is pebble.CompactionGrantHandle's.
func (s *scheduler) Started() { s.work.begin() }

// MeasureCPU is pebble.CompactionGrantHandle's.
func (s *scheduler) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats is pebble.CompactionGrantHandle's. The one compaction that runs
// calls it every 128 rows that it keeps, and at the end of each table; it may block.
func (s *scheduler) CumulativeStats(pebble.CompactionGrantHandleStats) { s.work.pause() }

// Done is pebble.CompactionGrantHandle's. Pebble holds no lock here. The
// permission goes to the compaction that waits for it, if there is one.
func (s *scheduler) Done() {
	s.pause()
	if !s.beginGrant() {
		return
	}
	defer s.granting.Done()
	for !s.db.Schedule(s) {
		s.release()
		// Who asked before the release was told no and waits for us.
		if waiting, _ := s.db.GetWaitingCompaction(); !waiting || !s.acquire() {
			return
		}
	}
}

// beginGrant reports whether db may be called; if so, granting.Done must follow.
func (s *scheduler) beginGrant() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.health.failed() != nil {
		return false
	}
	s.granting.Add(1)
	return true
}
