package pebblestore

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/kindredkv/kindred/storage"
)

// Discard throws away every row with low <= key < high, without reading them, and
// returns when that is durable. It is the way out when a table is damaged: writing
// or deleting its rows covers them, but compactions go on meeting the damage. With
// the bounds of a *storage.CorruptError the damaged file goes as a whole, and
// compactions run again.
//
// Unlike DeleteRange it reaches into snapshots, which lose those rows as well, so
// that whoever calls it has first marked the replicas (storage.ParseReplica of the
// bounds and all between) as lost: their clocks claim what is gone (I4).
func (s *Store) Discard(low, high []byte) error {
	if !s.gate.enter() {
		return storage.ErrClosed
	}
	defer s.gate.leave()
	if err := s.health.failed(); err != nil {
		return err
	}
	if err := s.db.Excise(context.Background(), pebble.KeyRange{Start: low, End: high}); err != nil {
		return fmt.Errorf("storage: discard rows of %s: %w", s.dir, err)
	}
	s.events.cured()
	return s.health.failed()
}
