package pebblestore

import (
	"context"
	"errors"
	"fmt"

	"github.com/kindredkv/kindred/storage"
)

const (
	// reclaimDeletes is the number of deletions that are worth a table of their own.
	reclaimDeletes = 1000
	// reclaimBytes and reclaimShare say when tables are compacted for what that
	// frees: so much, and a fourth of all. What is rewritten for it is at most three
	// times as much.
	reclaimBytes = 1 << 20
	reclaimShare = 4
)

// Reclaim lets the disk have back what deleted rows take, if that is a good part of
// the tables: Pebble by itself compacts only for what new rows bring, and when
// writes end that is for ever. It is meant to be called every minute or so. Close
// waits for it: end the context first.
func (s *Store) Reclaim(ctx context.Context) error {
	if !s.gate.enter() {
		return storage.ErrClosed
	}
	defer s.gate.leave()
	if err := s.health.failed(); err != nil {
		return err
	}
	if s.deletes.Load() >= reclaimDeletes {
		return s.flush(ctx) // in a table, Pebble sees what they would free
	}
	m := s.db.Metrics()
	garbage := m.Table.Garbage.PointDeletionsBytesEstimate + m.Table.Garbage.RangeDeletionsBytesEstimate
	if garbage < reclaimBytes || garbage < uint64(m.Total().TablesSize)/reclaimShare {
		return nil
	}
	err := s.db.Compact(ctx, []byte{0}, []byte{0xff}, false)
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("storage: compact %s: %w", s.dir, err)
	}
	return err
}

// flush writes what is in memory to tables.
func (s *Store) flush(ctx context.Context) error {
	s.deletes.Store(0)
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("storage: flush %s: %w", s.dir, err)
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
