package bulk

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"

	"github.com/kindredkv/kindred/client"
)

// Bucket is where records go; *client.Bucket is one.
type Bucket interface {
	Get(ctx context.Context, key string, opts ...client.CallOption) (*client.Object, error)
	Put(ctx context.Context, key string, value []byte, opts ...client.CallOption) (*client.Receipt, error)
}

const (
	// ConcurrencyDefault is enough to keep three nodes on one machine busy.
	ConcurrencyDefault = 64
	// ConcurrencyMax bounds what one import may have in flight.
	ConcurrencyMax = 1024
	// FailuresKept bounds the failures that a Summary lists; all are counted.
	FailuresKept = 100
	// queuePerWorker is how far reading the file may run ahead of storing.
	queuePerWorker = 4
)

// Options say how records are stored.
type Options struct {
	// Concurrency is the number of records in flight; 0 means the default.
	Concurrency int
	// Blind stores without reading first: right for keys that are new, a
	// sibling for each that is not.
	Blind bool
	// Progress, if set, hears of every record that is done with.
	Progress func(done int64)
}

// Failure is a row that was not stored, or perhaps not.
type Failure struct {
	Line int
	// Key is empty for a row that could not be read.
	Key string
	Err error
}

// Summary is what became of the records.
type Summary struct {
	// Stored were written. Unchanged were there already with the same value.
	// Replaced are those of Stored that superseded other values.
	Stored, Unchanged, Replaced int64
	// BadRows could not be read as records; Failed could not be stored.
	BadRows, Failed int64
	// Failures are the first rows of either kind, up to FailuresKept.
	Failures []Failure
}

// Run stores all records of a source. Bad rows and failed writes are counted
// and do not end it; the error is of the source itself, or of the context.
//
// Records with one key are stored one after the other, in the order of the
// file, so that the last one remains.
func Run(ctx context.Context, src Source, b Bucket, o Options) (Summary, error) {
	if o.Concurrency == 0 {
		o.Concurrency = ConcurrencyDefault
	}
	l := &loader{bucket: b, options: o}
	seed := maphash.MakeSeed()
	queues := make([]chan Record, o.Concurrency)
	var wg sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan Record, queuePerWorker)
		wg.Go(func() {
			for r := range queues[i] {
				l.store(ctx, r)
			}
		})
	}
	err := l.feed(ctx, src, func(key string) chan<- Record {
		return queues[maphash.String(seed, key)%uint64(len(queues))]
	})
	for _, q := range queues {
		close(q)
	}
	wg.Wait()
	return l.summary, err
}

type loader struct {
	bucket  Bucket
	options Options
	done    atomic.Int64

	mu      sync.Mutex
	summary Summary
}

// feed hands every record to the worker of its key.
func (l *loader) feed(ctx context.Context, src Source, queue func(key string) chan<- Record) error {
	for {
		r, err := src.Next()
		var row *RowError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &row):
			l.fail(&l.summary.BadRows, Failure{Line: row.Line, Err: row})
			continue
		case err != nil:
			return err
		}
		select {
		case queue(r.Key) <- r:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *loader) store(ctx context.Context, r Record) {
	if ctx.Err() != nil {
		return // not tried, like the rest of the source
	}
	counter, replaced, err := l.write(ctx, r)
	if err != nil {
		l.fail(&l.summary.Failed, Failure{Line: r.Line, Key: r.Key, Err: err})
		return
	}
	l.mu.Lock()
	*counter++
	if replaced {
		l.summary.Replaced++
	}
	l.mu.Unlock()
	l.step()
}

// write stores one record and says what to count it as.
func (l *loader) write(ctx context.Context, r Record) (counter *int64, replaced bool, err error) {
	opts := []client.CallOption{client.ContentType("application/json")}
	if !l.options.Blind {
		obj, err := l.bucket.Get(ctx, r.Key)
		if err != nil {
			return nil, false, err
		}
		if len(obj.Siblings) == 1 && bytes.Equal(obj.Siblings[0].Value, r.Value) {
			return &l.summary.Unchanged, false, nil
		}
		replaced = len(obj.Siblings) > 0
		opts = append(opts, client.Seen(obj.Context))
	}
	_, err = l.bucket.Put(ctx, r.Key, r.Value, opts...)
	return &l.summary.Stored, replaced, err
}

func (l *loader) fail(counter *int64, f Failure) {
	l.mu.Lock()
	*counter++
	if len(l.summary.Failures) < FailuresKept {
		l.summary.Failures = append(l.summary.Failures, f)
	}
	l.mu.Unlock()
	l.step()
}

func (l *loader) step() {
	n := l.done.Add(1)
	if l.options.Progress != nil {
		l.options.Progress(n)
	}
}
