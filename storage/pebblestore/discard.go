package pebblestore

import (
	"bytes"
	"context"
	"errors"
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
	if err := s.excise(low, high); err != nil {
		return fmt.Errorf("storage: discard rows of %s: %w", s.dir, err)
	}
	s.events.cured()
	return s.health.failed()
}

// excise cuts a range out of all tables. Pebble looks for the last row that a table
// keeps on either side, and where it cannot read that it takes the rest of the
// table for empty and says nothing: so the edges are read first. Where a scan
// stopped, behind the last row that it could read, that row goes as well and is
// written again: a table that ended with it would be read on into the damage.
func (s *Store) excise(low, high []byte) error {
	if !s.readable(&pebble.IterOptions{LowerBound: high}, (*pebble.Iterator).First) {
		return errors.New("the rows behind the range cannot be read")
	}
	before := func(key []byte) bool {
		return s.readable(&pebble.IterOptions{UpperBound: key}, (*pebble.Iterator).Last)
	}
	if last := bytes.TrimSuffix(low, []byte{0}); len(last) < len(low) && before(last) {
		if value, err := s.get(s.db, last); err == nil {
			if err := s.db.Excise(context.Background(), pebble.KeyRange{Start: last, End: high}); err != nil {
				return err
			}
			return s.db.Set(last, value, pebble.Sync)
		}
	}
	if !before(low) {
		return errors.New("the rows before the range cannot be read")
	}
	return s.db.Excise(context.Background(), pebble.KeyRange{Start: low, End: high})
}

// readable reports whether every table has a sound block at an edge.
func (s *Store) readable(bounds *pebble.IterOptions, move func(*pebble.Iterator) bool) bool {
	rows, err := s.db.NewIter(bounds)
	if err != nil {
		return false
	}
	move(rows)
	return rows.Close() == nil
}
