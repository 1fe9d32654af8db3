package pebblestore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/kindredkv/kindred/storage"
)

// closeWaitMax is how long Close waits for a store that failed. What Pebble was
// doing when the disk gave up may never return.
const closeWaitMax = 5 * time.Second

// Store is a storage.Engine on a disk. Use Open.
type Store struct {
	dir     string
	options Options
	folder  *folder
	db      *pebble.DB
	space   *spaceGuard
	health  *health
	events  *events
	rests   *rests
	gate    gate

	// applied counts batches that are visible, synced those that are durable:
	// a Sync with nothing new need not ask the disk.
	applied, synced atomic.Uint64
	syncs           atomic.Uint64
	// deletes counts deletions since Reclaim last had them written to a table.
	deletes atomic.Uint64

	mu        sync.Mutex
	snapshots map[*snapshot]struct{}
	closing   chan struct{} // closed when Pebble is

	ends ends
}

var _ storage.Engine = (*Store)(nil)

// DiskID returns the random id that was made with the folder. It stays the same
// for as long as the folder does, copies of it included.
func (s *Store) DiskID() [16]byte { return s.folder.diskID }

// Failed returns why the store takes no more writes, nil while it does.
func (s *Store) Failed() error { return s.health.failed() }

// Get is storage.Engine's.
func (s *Store) Get(key []byte) ([]byte, error) {
	if !s.gate.enter() {
		return nil, storage.ErrClosed
	}
	defer s.gate.leave()
	return s.get(s.db, key)
}

func (s *Store) get(from pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := from.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, storage.ErrNotFound
	}
	if err != nil {
		return nil, s.readError(key, err)
	}
	owned := append([]byte{}, value...)
	if err := closer.Close(); err != nil {
		return nil, s.readError(key, err)
	}
	return owned, nil
}

// readError makes a read's error the caller's: damage gets its own type.
func (s *Store) readError(key []byte, err error) error {
	if pebble.IsCorruptionError(err) {
		return corruptError(key, pebble.ExtractDataCorruptionInfo(err), err)
	}
	return fmt.Errorf("storage: read %q from %s: %w", key, s.dir, err)
}

// Apply is storage.Engine's.
func (s *Store) Apply(b *storage.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	if !s.gate.enter() {
		return storage.ErrClosed
	}
	defer s.gate.leave()
	if err := s.health.failed(); err != nil {
		return err
	}
	if b.Len() == 0 {
		return nil
	}
	if err := s.space.admit(b); err != nil {
		return err
	}
	batch, err := s.translate(b)
	if err == nil {
		err = s.commit(batch, pebble.NoSync)
	}
	if err == nil {
		s.applied.Add(1)
	}
	return err
}

func (s *Store) translate(b *storage.Batch) (*pebble.Batch, error) {
	batch := s.db.NewBatch()
	var deletes uint64
	err := b.Each(func(op storage.Op) error {
		switch op.Kind {
		case storage.OpSet:
			return batch.Set(op.Key, op.Value, nil)
		case storage.OpDelete:
			deletes++
			return batch.Delete(op.Key, nil)
		default:
			deletes++
			return batch.DeleteRange(op.Key, op.Value, nil)
		}
	})
	if deletes > 0 {
		s.deletes.Add(deletes)
	}
	return batch, err
}

// commit hands a batch to Pebble. Where Pebble would end the process it has only
// told the health, and it panics where it finds its log broken: both are the end
// of the store and not of the node.
func (s *Store) commit(batch *pebble.Batch, durability *pebble.WriteOptions) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = s.health.fail(asError(broken))
		}
	}()
	if err := batch.Commit(durability); err != nil {
		return s.health.fail(err)
	}
	if err := s.health.failed(); err != nil {
		return err
	}
	return batch.Close()
}

// Sync is storage.Engine's. It writes an empty record and has Pebble sync up to
// it; records that wait together share one sync of the disk.
func (s *Store) Sync() error {
	if !s.gate.enter() {
		return storage.ErrClosed
	}
	defer s.gate.leave()
	return s.sync()
}

func (s *Store) sync() error {
	if err := s.health.failed(); err != nil {
		return err
	}
	applied := s.applied.Load()
	if s.synced.Load() >= applied {
		return nil
	}
	batch := s.db.NewBatch()
	err := batch.LogData(nil, nil)
	if err == nil {
		err = s.commit(batch, pebble.Sync)
	}
	if err != nil {
		return err
	}
	s.syncs.Add(1)
	raise(&s.synced, applied)
	return nil
}

// raise sets counter to at least value.
func raise(counter *atomic.Uint64, value uint64) {
	for {
		have := counter.Load()
		if have >= value || counter.CompareAndSwap(have, value) {
			return
		}
	}
}

// Close is storage.Engine's. A store that failed is given five seconds to end;
// if it does not, its folder stays locked until the process ends.
func (s *Store) Close() error {
	if !s.gate.close() {
		return storage.ErrClosed
	}
	if s.health.failed() == nil {
		return s.closeAll()
	}
	done := make(chan error, 1)
	go func() { done <- s.closeAll() }()
	timeout := time.NewTimer(closeWaitMax)
	defer timeout.Stop()
	select {
	case <-done:
	case <-timeout.C:
	}
	return s.health.failed()
}

// closeAll waits for the calls under way, syncs, and gives everything back, as
// far as that goes.
func (s *Store) closeAll() error {
	s.gate.wait()
	err := s.sync()
	for _, open := range s.openSnapshots() {
		err = errors.Join(err, open.release())
	}
	if closing := s.closeDB(); err == nil {
		err = closing
	}
	return errors.Join(err, s.folder.unlock())
}

func (s *Store) closeDB() (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = s.health.fail(asError(broken))
		}
	}()
	close(s.closing)
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("storage: close %s: %w", s.dir, err)
	}
	return nil
}
