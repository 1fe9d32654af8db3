package pebblestore

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// A compaction that failed is tried again after the first pause, then after
// twice as long, up to the last.
const (
	compactionPauseMin = 100 * time.Millisecond
	compactionPauseMax = time.Minute
)

// scheduler lets one compaction run at a time and holds the next one back after a
// failure. Pebble's own tries again at once: one rotten block in its first level
// keeps a core busy for ever. It also wakes ten times a second; this one never.
//
// It need not hand out permission when a compaction is done, because Pebble asks
// again by itself after each.
type scheduler struct {
	failures func() uint64 // compactions that failed since one went well

	mu      sync.Mutex
	running bool
	ended   chan struct{}
}

var _ pebble.CompactionScheduler = (*scheduler)(nil)

func newScheduler(failures func() uint64) *scheduler {
	return &scheduler{failures: failures, ended: make(chan struct{})}
}

// Register is pebble.CompactionScheduler's.
func (s *scheduler) Register(int, pebble.DBForCompaction) {}

// Unregister is pebble.CompactionScheduler's. It ends a pause.
func (s *scheduler) Unregister() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = true // for good
	close(s.ended)
}

// TrySchedule is pebble.CompactionScheduler's.
func (s *scheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return false, nil
	}
	s.running = true
	return true, s
}

// UpdateGetAllowedWithoutPermission is pebble.CompactionScheduler's.
func (s *scheduler) UpdateGetAllowedWithoutPermission() {}

// Started is pebble.CompactionGrantHandle's.
func (s *scheduler) Started() {}

// MeasureCPU is pebble.CompactionGrantHandle's.
func (s *scheduler) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats is pebble.CompactionGrantHandle's.
func (s *scheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done is pebble.CompactionGrantHandle's. Pebble holds no lock here.
func (s *scheduler) Done() {
	if failures := s.failures(); failures > 0 {
		pause := time.NewTimer(min(compactionPauseMin<<min(failures-1, 16), compactionPauseMax))
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-s.ended:
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.ended:
	default:
		s.running = false
	}
}
