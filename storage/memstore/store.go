package memstore

import (
	"bytes"
	"errors"
	"sync"

	"github.com/google/btree"

	"github.com/kindredkv/kindred/storage"
)

// degree makes a node of the tree about 1 KiB: small enough that the copies a
// snapshot causes are cheap, large enough that the tree is flat.
const degree = 12

type row struct{ key, value []byte }

func less(a, b row) bool { return bytes.Compare(a.key, b.key) < 0 }

// view is one version of the rows and the number of open snapshots on it.
type view struct {
	rows    *btree.BTreeG[row]
	readers int
}

// before is what a row was before a batch changed it.
type before struct {
	row
	existed bool
}

// Store is a storage.Engine in memory. Use New.
type Store struct {
	mu      sync.RWMutex
	current *view
	// unsynced is M1; starts[i] is where batch i begins in it.
	unsynced []before
	starts   []int
	syncs    int
	closed   bool

	applyErr, syncErr error
	rotten            map[string]struct{}
}

var _ storage.Engine = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{current: &view{rows: btree.NewG(degree, less)}}
}

// Get is storage.Engine's.
func (s *Store) Get(key []byte) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, storage.ErrClosed
	}
	return s.get(s.current.rows, key)
}

func (s *Store) get(rows *btree.BTreeG[row], key []byte) ([]byte, error) {
	if err := s.readable(key); err != nil {
		return nil, err
	}
	found, ok := rows.Get(row{key: key})
	if !ok {
		return nil, storage.ErrNotFound
	}
	return append([]byte{}, found.value...), nil
}

// Apply is storage.Engine's.
func (s *Store) Apply(b *storage.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	if s.applyErr != nil {
		return s.applyErr
	}
	if s.current.readers > 0 { // M2
		s.current = &view{rows: s.current.rows.Clone()}
	}
	s.starts = append(s.starts, len(s.unsynced))
	return b.Each(s.change)
}

// change applies one op and remembers what was there. It never fails; the error
// is for Each.
func (s *Store) change(op storage.Op) error {
	rows := s.current.rows
	switch op.Kind {
	case storage.OpSet:
		r := copied(op.Key, op.Value)
		old, existed := rows.ReplaceOrInsert(r)
		old.key = r.key
		s.unsynced = append(s.unsynced, before{old, existed})
		delete(s.rotten, string(op.Key))
	case storage.OpDelete:
		s.remove(row{key: op.Key})
	case storage.OpDeleteRange:
		var doomed []row
		rows.AscendRange(row{key: op.Key}, row{key: op.Value}, func(r row) bool {
			doomed = append(doomed, r)
			return true
		})
		for _, r := range doomed {
			s.remove(r)
		}
	}
	return nil
}

func (s *Store) remove(r row) {
	if old, existed := s.current.rows.Delete(r); existed {
		s.unsynced = append(s.unsynced, before{old, true})
	}
	delete(s.rotten, string(r.key))
}

// copied puts key and value into one allocation.
func copied(key, value []byte) row {
	buf := append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
	return row{key: buf[:len(key):len(key)], value: buf[len(key):]}
}

// Sync is storage.Engine's.
func (s *Store) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	return s.sync()
}

func (s *Store) sync() error {
	if s.syncErr != nil {
		return s.syncErr
	}
	if len(s.starts) > 0 {
		s.syncs++
	}
	clear(s.unsynced) // lets go of the old values
	s.unsynced, s.starts = s.unsynced[:0], s.starts[:0]
	return nil
}

// Close is storage.Engine's.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	s.closed = true
	return s.sync()
}

// Unsynced returns the number of batches that a crash may lose now.
func (s *Store) Unsynced() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.starts)
}

// Syncs returns how often Sync had something to make durable: what a disk would
// have been asked.
func (s *Store) Syncs() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.syncs
}

// Rows returns the number of rows.
func (s *Store) Rows() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.current.rows.Len()
}

// errRot is the cause inside the *storage.CorruptError of a rotten row.
var errRot = errors.New("memstore: the row was made to rot")

// readable returns the error of a row that was made to rot.
func (s *Store) readable(key []byte) error {
	if len(s.rotten) == 0 {
		return nil
	}
	if _, rotten := s.rotten[string(key)]; !rotten {
		return nil
	}
	key = append([]byte{}, key...)
	after := append(append([]byte{}, key...), 0)
	return &storage.CorruptError{Key: key, File: "memory", Low: key, High: after, Resume: after, Cause: errRot}
}
