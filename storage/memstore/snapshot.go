package memstore

import (
	"sync/atomic"

	"github.com/google/btree"

	"github.com/kindredkv/kindred/storage"
)

// snapshot pins a view. It takes the store's lock for reading only, and not
// while it visits: a visit may use the store.
type snapshot struct {
	store  *Store
	view   *view
	closed atomic.Bool
}

// Snapshot is storage.Engine's.
func (s *Store) Snapshot() (storage.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, storage.ErrClosed
	}
	s.current.readers++
	return &snapshot{store: s, view: s.current}, nil
}

// Get is storage.Snapshot's.
func (sn *snapshot) Get(key []byte) ([]byte, error) {
	sn.store.mu.RLock()
	defer sn.store.mu.RUnlock()
	if err := sn.open(); err != nil {
		return nil, err
	}
	return sn.store.get(sn.view.rows, key)
}

// Scan is storage.Snapshot's. The rows of a view with readers are never written
// (M2), so that they can be visited without a lock.
func (sn *snapshot) Scan(lo, hi []byte, visit func(key, value []byte) bool) error {
	if err := sn.mayRead(nil); err != nil {
		return err
	}
	var failed error
	each := func(r row) bool {
		if failed = sn.mayRead(r.key); failed != nil {
			return false
		}
		return visit(r.key[:len(r.key):len(r.key)], r.value[:len(r.value):len(r.value)])
	}
	ascend(sn.view.rows, lo, hi, each)
	return failed
}

func ascend(rows *btree.BTreeG[row], lo, hi []byte, each func(row) bool) {
	if len(hi) == 0 {
		rows.AscendGreaterOrEqual(row{key: lo}, each)
		return
	}
	rows.AscendRange(row{key: lo}, row{key: hi}, each)
}

// mayRead reports why the row cannot be read now: the end of the snapshot, or
// rot.
func (sn *snapshot) mayRead(key []byte) error {
	sn.store.mu.RLock()
	defer sn.store.mu.RUnlock()
	if err := sn.open(); err != nil {
		return err
	}
	return sn.store.readable(key)
}

func (sn *snapshot) open() error {
	if sn.store.closed || sn.closed.Load() {
		return storage.ErrClosed
	}
	return nil
}

// Close is storage.Snapshot's.
func (sn *snapshot) Close() error {
	if sn.closed.Swap(true) {
		return nil
	}
	sn.store.mu.Lock()
	defer sn.store.mu.Unlock()
	sn.view.readers--
	return nil
}
