package node

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
)

// discarder is an engine that can throw rows away without reading them.
type discarder interface {
	Discard(low, high []byte) error
}

// quarantine gets rid of blocks that the disk has damaged. A block can hold rows of
// several replicas, of different shards: each shard marks and deletes its own part
// of what cannot be read (core.Effects.Discards), and the block goes once all parts
// are here, because the engine has to find sound rows on both sides. What was
// written into a part meanwhile is read before and written again after. Nobody
// applies anything while that is done.
type quarantine struct {
	engine storage.Engine
	// gone is told when something was discarded.
	gone func()
	mu   sync.RWMutex
	// owned are the replicas that this node holds.
	owned []replica.ID
	// parts wait to be discarded, in order.
	parts []storage.KeyRange
	// waiting: there are any.
	waiting atomic.Bool
	// noted guards written, the rows that were written into a part.
	noted   sync.Mutex
	written map[string]struct{}
}

func newQuarantine(engine storage.Engine, gone func()) *quarantine {
	return &quarantine{engine: engine, gone: gone, written: map[string]struct{}{}}
}

// own notes the replicas of this node, before any of them is looked at.
func (q *quarantine) own(partitions []ring.Partition, n uint8) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range partitions {
		if id := (replica.ID{Partition: uint32(p), N: n}); !slices.Contains(q.owned, id) {
			q.owned = append(q.owned, id)
		}
	}
}

// apply is the engine's, and remembers what is written into a part.
func (q *quarantine) apply(rows *storage.Batch) error {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.waiting.Load() {
		q.note(rows)
	}
	return q.engine.Apply(rows)
}

func (q *quarantine) note(rows *storage.Batch) {
	q.noted.Lock()
	defer q.noted.Unlock()
	_ = rows.Each(func(op storage.Op) error {
		for _, p := range q.parts {
			if op.Kind == storage.OpSet && within(op.Key, p) {
				q.written[string(op.Key)] = struct{}{}
			}
		}
		return nil
	})
}

func within(row []byte, r storage.KeyRange) bool {
	return bytes.Compare(row, r.Low) >= 0 && bytes.Compare(row, r.High) < 0
}

// discard takes more parts and throws away what it can. The rows were applied last:
// a shard may have written into a part in the very batch that marks it, and that
// stays. It returns the number of parts that wait for others.
func (q *quarantine) discard(ranges []storage.KeyRange, rows *storage.Batch) (waiting int, err error) {
	engine, ok := q.engine.(discarder)
	if !ok {
		q.gone() // deleting rows is all that can be done about them
		return 0, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(ranges)
	parts := len(q.parts)
	q.note(rows)
	if err := q.engine.Sync(); err != nil {
		return 0, err // the marks are durable before the rows are gone
	}
	left := q.parts[:0]
	for _, p := range q.parts {
		if err := q.replace(engine, p); err != nil {
			left = append(left, p)
		}
	}
	q.parts = left
	q.waiting.Store(len(left) > 0)
	if len(left) == 0 {
		clear(q.written)
	}
	if len(left) < parts {
		q.gone()
	}
	return len(left), nil
}

// replace discards a part and writes again what was written into it.
func (q *quarantine) replace(engine discarder, p storage.KeyRange) error {
	var rows storage.Batch
	for row := range q.written {
		if !within([]byte(row), p) {
			continue
		}
		switch value, err := q.engine.Get([]byte(row)); err {
		case nil:
			rows.Set([]byte(row), value)
		case storage.ErrNotFound:
		default:
			return err
		}
	}
	wide := q.widened(p)
	if err := engine.Discard(wide.Low, wide.High); err != nil {
		return err
	}
	if rows.Len() == 0 {
		return nil
	}
	rows.MarkEssential()
	if err := q.engine.Apply(&rows); err != nil {
		return err
	}
	return q.engine.Sync()
}

// add puts parts in order and joins those between which no replica has rows.
func (q *quarantine) add(ranges []storage.KeyRange) {
	all := append(slices.Clone(q.parts), ranges...)
	slices.SortFunc(all, func(a, b storage.KeyRange) int { return bytes.Compare(a.Low, b.Low) })
	q.parts = all[:1]
	for _, p := range all[1:] {
		last := &q.parts[len(q.parts)-1]
		if bytes.Compare(p.Low, last.High) <= 0 || !q.between(last.High, p.Low) {
			if bytes.Compare(p.High, last.High) > 0 {
				last.High = p.High
			}
			continue
		}
		q.parts = append(q.parts, p)
	}
}

// widened is a part and all about it where no replica can have objects: a block goes
// on behind its last row, up to somewhere before the first row of the next, and where
// nobody has rows nobody marks anything.
func (q *quarantine) widened(p storage.KeyRange) storage.KeyRange {
	wide := storage.KeyRange{Low: []byte{storage.TableObject}, High: []byte{storage.TableObject + 1}}
	if bytes.Compare(p.Low, wide.Low) < 0 || bytes.Compare(p.High, wide.High) > 0 {
		return p
	}
	for _, id := range q.owned {
		lo, hi := storage.ObjectsRange(id.Partition, id.N)
		if bytes.Compare(lo, p.Low) < 0 {
			wide.Low = later(wide.Low, earlier(hi, p.Low))
		}
		if bytes.Compare(hi, p.High) > 0 {
			wide.High = earlier(wide.High, later(lo, p.High))
		}
	}
	return wide
}

func earlier(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}

func later(a, b []byte) []byte {
	if bytes.Compare(a, b) > 0 {
		return a
	}
	return b
}

// between reports whether a replica can have objects between two rows.
func (q *quarantine) between(low, high []byte) bool {
	return slices.ContainsFunc(q.owned, func(id replica.ID) bool {
		lo, hi := storage.ObjectsRange(id.Partition, id.N)
		return bytes.Compare(lo, high) < 0 && bytes.Compare(low, hi) < 0
	})
}
