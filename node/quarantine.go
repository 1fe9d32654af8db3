package node

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kindredkv/kindred/replica"
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
	mu     sync.RWMutex
	// owned are the replicas that this node holds, in the order of their rows.
	owned []replica.ID
	// parts wait to be discarded, in order.
	parts []storage.KeyRange
	// waiting: there are any.
	waiting atomic.Bool
	// noted guards written, the rows that were written into a part.
	noted   sync.Mutex
	written map[string]struct{}
}

func newQuarantine(engine storage.Engine) *quarantine {
	return &quarantine{engine: engine, written: map[string]struct{}{}}
}

// own notes the replicas of a shard.
func (q *quarantine) own(ids []replica.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.owned = append(q.owned, ids...)
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
	if !ok || len(ranges) == 0 {
		return 0, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(ranges)
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
	if err := engine.Discard(p.Low, p.High); err != nil {
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

// between reports whether a replica can have objects between two rows.
func (q *quarantine) between(low, high []byte) bool {
	return slices.ContainsFunc(q.owned, func(id replica.ID) bool {
		lo, hi := storage.ObjectsRange(id.Partition, id.N)
		return bytes.Compare(lo, high) < 0 && bytes.Compare(low, hi) < 0
	})
}
