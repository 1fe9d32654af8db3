package pebblestore

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/kindredkv/kindred/storage"
)

// snapshot is a storage.Snapshot. A call inside it is inside the store too, so
// that closing either waits for it.
type snapshot struct {
	store *Store
	at    *pebble.Snapshot
	gate  gate
}

// Snapshot is storage.Engine's.
func (s *Store) Snapshot() (storage.Snapshot, error) {
	if !s.gate.enter() {
		return nil, storage.ErrClosed
	}
	defer s.gate.leave()
	sn := &snapshot{store: s, at: s.db.NewSnapshot()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshots[sn] = struct{}{}
	return sn, nil
}

func (s *Store) openSnapshots() []*snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []*snapshot
	for sn := range s.snapshots {
		open = append(open, sn)
	}
	return open
}

func (sn *snapshot) enter() bool {
	if !sn.store.gate.enter() {
		return false
	}
	if !sn.gate.enter() {
		sn.store.gate.leave()
		return false
	}
	return true
}

func (sn *snapshot) leave() {
	sn.gate.leave()
	sn.store.gate.leave()
}

// Get is storage.Snapshot's.
func (sn *snapshot) Get(key []byte) ([]byte, error) {
	if !sn.enter() {
		return nil, storage.ErrClosed
	}
	defer sn.leave()
	return sn.store.get(sn.at, key)
}

// Scan is storage.Snapshot's.
func (sn *snapshot) Scan(lo, hi []byte, visit func(key, value []byte) bool) error {
	if !sn.enter() {
		return storage.ErrClosed
	}
	defer sn.leave()
	rows, err := sn.at.NewIter(&pebble.IterOptions{LowerBound: bound(lo), UpperBound: bound(hi)})
	if err != nil {
		return sn.store.readError(lo, err)
	}
	next, err := visitRows(rows, lo, visit)
	if closing := rows.Close(); err == nil {
		err = closing // the iterator's own error
	}
	if err != nil {
		return sn.store.readError(next, err)
	}
	return nil
}

// visitRows visits rows until visit or the iterator ends it. It returns where it
// stopped: every row below next was visited.
func visitRows(rows *pebble.Iterator, lo []byte, visit func(key, value []byte) bool) (next []byte, err error) {
	next = append(next, lo...)
	for more := rows.First(); more; more = rows.Next() {
		value, err := rows.ValueAndErr()
		if err != nil {
			return append(next[:0], rows.Key()...), err
		}
		if !visit(rows.Key(), value) {
			break
		}
		next = append(append(next[:0], rows.Key()...), 0)
	}
	return next, nil
}

// bound makes an empty bound none at all, as Pebble has it.
func bound(key []byte) []byte {
	if len(key) == 0 {
		return nil
	}
	return key
}

// Close is storage.Snapshot's.
func (sn *snapshot) Close() error {
	if !sn.store.gate.enter() {
		return nil // the store closed it
	}
	defer sn.store.gate.leave()
	return sn.release()
}

// release waits for the calls inside and gives the snapshot back, once.
func (sn *snapshot) release() error {
	if !sn.gate.close() {
		return nil
	}
	sn.gate.wait()
	sn.store.mu.Lock()
	delete(sn.store.snapshots, sn)
	sn.store.mu.Unlock()
	return sn.at.Close()
}
