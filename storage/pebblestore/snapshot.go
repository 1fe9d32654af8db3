package pebblestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"

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
		return sn.scanError(next, hi, err)
	}
	return nil
}

// scanError makes the error of a scan that stopped at a row the caller's. Where
// the cause is damage it finds out where reading can go on.
func (sn *snapshot) scanError(next, hi []byte, err error) error {
	err = sn.store.readError(next, err)
	if damage := (*storage.CorruptError)(nil); errors.As(err, &damage) {
		damage.Resume = sn.beyond(damage, bound(hi))
	}
	return err
}

// beyondMet and beyondSteps bound the search for the end of damage, which halves
// what is in question with each step. Meeting the damage is dear: Pebble tries
// every bit of the block, some 20 ms. Rows that the search skips for want of steps
// are taken for damaged too.
const (
	beyondMet   = 48
	beyondSteps = 256
)

// beyond finds where a scan up to hi can go on that has stopped. The end of a block is
// searched once and remembered: the scans of many replicas can meet it.
func (sn *snapshot) beyond(damage *storage.CorruptError, hi []byte) []byte {
	if damage.High == nil {
		if hi == nil {
			return nil
		}
		return sn.search(damage, hi)
	}
	end := sn.store.ends.behind(damage, func() []byte { return sn.search(damage, damage.High) })
	if hi != nil && bytes.Compare(hi, end) < 0 {
		return hi
	}
	return end
}

// search finds a place behind a block from where on rows can be read, high at most,
// such that the block has no rows behind it. Pebble does not say where a block ends; so
// this asks for rows further and further on, by bisection.
func (sn *snapshot) search(damage *storage.CorruptError, high []byte) []byte {
	low, met := damage.Key, 0
	for range beyondSteps {
		middle := between(low, high)
		if middle == nil || met == beyondMet {
			break
		}
		row, err := sn.firstFrom(middle, high)
		switch {
		case err != nil && sameBlock(sn.store.readError(low, err), damage):
			low = middle
			met++
		case err == nil && row != nil:
			high = row
		default: // no rows, or those of another block
			high = middle
		}
	}
	return high
}

// firstFrom gives the first row from lo on, below hi, or nil if there is none.
func (sn *snapshot) firstFrom(lo, hi []byte) (row []byte, err error) {
	rows, err := sn.at.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return nil, err
	}
	if rows.First() {
		row = append([]byte{}, rows.Key()...)
	}
	return row, rows.Close()
}

// between gives a key about half-way between two, nil if there is none of a
// reasonable length.
func between(low, high []byte) []byte {
	shared := 0
	for shared < len(low) && shared < len(high) && low[shared] == high[shared] {
		shared++
	}
	from, to := word(low, shared), word(high, shared)
	if to-from < 2 { // neighbours in these bytes: go on behind those of low
		shared += wordBytes
		from, to = word(low, shared), math.MaxUint64
		if shared > len(low) || to-from < 2 {
			return nil
		}
	}
	middle := make([]byte, shared, shared+wordBytes)
	copy(middle, low)
	return binary.BigEndian.AppendUint64(middle, from+(to-from)/2)
}

const wordBytes = 8

// word reads 8 bytes of a key, as if zeros followed it.
func word(key []byte, at int) uint64 {
	var buf [wordBytes]byte
	if at < len(key) {
		copy(buf[:], key[at:])
	}
	return binary.BigEndian.Uint64(buf[:])
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
