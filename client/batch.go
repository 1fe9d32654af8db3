package client

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/kindredkv/kindred"
)

// batchCallers is how many operations of a batch are under way at a time.
const batchCallers = 64

// Operation is one get, put or delete of a batch.
type Operation struct {
	// Op is kindred.OpGet, kindred.OpPut or kindred.OpDelete.
	Op    kindred.Op
	Key   string
	Value []byte
	Opts  []CallOption
}

// Result is what became of one operation of a batch: Object for a get, Receipt
// for a write, or Err.
type Result struct {
	Object  *Object
	Receipt *Receipt
	Err     error
}

// Batch performs many operations side by side and returns their results in the
// same order. It is no transaction: each operation succeeds or fails by itself,
// in any order, so a batch should not name a key twice. It fails as a whole
// only if it has more than [kindred.BatchMax] operations.
func (b *Bucket) Batch(ctx context.Context, ops []Operation) ([]Result, error) {
	if len(ops) > kindred.BatchMax {
		return nil, &kindred.Error{
			Code: kindred.CodeTooLarge, Field: "batch", Limit: kindred.BatchMax, Outcome: kindred.NotApplied,
			Message: fmt.Sprintf("the batch has %d operations, the limit is %d: split it", len(ops), kindred.BatchMax),
		}
	}
	if b.c.settings.tracer != nil {
		var span trace.Span
		ctx, span = b.c.startSpan(ctx, "batch", b.name, attribute.Int("db.operation.batch.size", len(ops)))
		defer span.End()
	}
	results := make([]Result, len(ops))
	var next atomic.Int64
	var callers sync.WaitGroup
	for range min(len(ops), batchCallers) {
		callers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(ops)); i = next.Add(1) - 1 {
				results[i] = b.perform(ctx, &ops[i])
			}
		})
	}
	callers.Wait()
	return results, nil
}

func (b *Bucket) perform(ctx context.Context, op *Operation) (r Result) {
	switch op.Op {
	case kindred.OpGet:
		r.Object, r.Err = b.Get(ctx, op.Key, op.Opts...)
	case kindred.OpPut:
		r.Receipt, r.Err = b.Put(ctx, op.Key, op.Value, op.Opts...)
	case kindred.OpDelete:
		r.Receipt, r.Err = b.Delete(ctx, op.Key, op.Opts...)
	default:
		r.Err = kindred.Invalid("op", "%s cannot be part of a batch: use get, put or delete", op.Op)
	}
	return r
}
