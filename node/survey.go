package node

import (
	"time"

	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
)

const (
	// surveyRows is how many rows a survey hands over at once.
	surveyRows = 4 << 10
	// surveyRest is how many times as long as it worked a survey rests after each
	// of these, and surveyRestMax how long at most. It takes a quarter of a core:
	// clients that wait for it only pay what they would pay without a filter.
	surveyRest    = 3
	surveyRestMax = 100 * time.Millisecond
)

// survey brings the rows of all stored objects of these replicas to the filter,
// in the background; what is written meanwhile, the worker adds itself. A replica
// that cannot be read, as one with a damaged block, stays one that is not whole:
// its keys are looked for in the store.
func (l *loader) survey(ids []replica.ID, to *filter) {
	l.readers.Go(func() {
		for _, id := range ids {
			if l.isClosed() {
				return
			}
			if err := l.surveyOne(id, to); err != nil {
				continue
			}
			l.inbox.put(func(time.Time, *recording.Shard) { to.whole[id] = true })
		}
	})
}

func (l *loader) surveyOne(id replica.ID, to *filter) error {
	snapshot, err := l.engine.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	var hashes []uint64
	began, closed := time.Now(), false
	lo, hi := storage.ObjectsRange(id.Partition, id.N)
	err = snapshot.Scan(lo, hi, func(row, _ []byte) bool {
		hashes = append(hashes, to.hash(row))
		if len(hashes) == surveyRows {
			l.handOver(hashes, to)
			hashes = nil
			time.Sleep(min(surveyRest*time.Since(began), surveyRestMax))
			began, closed = time.Now(), l.isClosed()
		}
		return !closed
	})
	if closed {
		return storage.ErrClosed
	}
	l.handOver(hashes, to)
	return err
}

func (l *loader) handOver(hashes []uint64, to *filter) {
	if len(hashes) == 0 {
		return
	}
	l.inbox.putSized(func(time.Time, *recording.Shard) {
		for _, h := range hashes {
			to.add(h)
		}
	}, 8*len(hashes))
}

func (l *loader) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
