package driver

import (
	"context"
	"errors"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/bench/load"
	"github.com/kindredkv/kindred/client"
)

// Store is what is asked; *client.Bucket is one.
type Store interface {
	Get(ctx context.Context, key string, opts ...client.CallOption) (*client.Object, error)
	Put(ctx context.Context, key string, value []byte, opts ...client.CallOption) (*client.Receipt, error)
	Delete(ctx context.Context, key string, opts ...client.CallOption) (*client.Receipt, error)
	Page(ctx context.Context, opts ...client.ScanOption) (*client.Page, error)
}

// pageKeys is how many keys a scan asks for, the middle of what YCSB asks for.
const pageKeys = 50

// caller carries out one operation after another.
type caller struct {
	store       Store
	contexts    contexts
	read, write []client.CallOption
	cursor      []byte
}

// do carries an operation out and says in the sample what became of it.
func (c *caller) do(ctx context.Context, op *load.Op, s *load.Sample) error {
	switch op.Kind {
	case load.Get:
		_, err := c.get(ctx, op, s)
		s.Missed = err == nil && s.Siblings == 0
		return err
	case load.Put:
		return c.put(ctx, op, s)
	case load.Update:
		obj, err := c.get(ctx, op, s)
		if err != nil {
			return err
		}
		s.Missed = s.Siblings == 0
		return c.keep(ctx, op, s, c.contexts.of(op.Number), client.Seen(obj.Context))
	case load.Delete:
		return c.remove(ctx, op, s)
	case load.Scan:
		return c.scan(ctx, s)
	default: // what has seen nothing: an insert, a blind put
		return c.keep(ctx, op, s, c.contexts.of(op.Number))
	}
}

func (c *caller) get(ctx context.Context, op *load.Op, s *load.Sample) (*client.Object, error) {
	before := c.contexts.of(op.Number)
	obj, err := c.store.Get(ctx, op.Key, c.read...)
	if err != nil {
		return nil, err
	}
	c.contexts.remember(op.Number, before, obj.Context)
	s.Siblings, s.Sloppy = len(obj.Siblings), obj.Sloppy()
	for i := range obj.Siblings {
		s.Read += len(obj.Siblings[i].Value)
	}
	return obj, nil
}

func (c *caller) put(ctx context.Context, op *load.Op, s *load.Sample) error {
	known := c.contexts.of(op.Number)
	if known != nil {
		return c.keep(ctx, op, s, known, client.Seen(known.context))
	}
	s.ReadFirst = true
	obj, err := c.get(ctx, op, s)
	if err != nil {
		return err
	}
	return c.keep(ctx, op, s, c.contexts.of(op.Number), client.Seen(obj.Context))
}

// keep writes the value. A blind write does not know what is there, so that
// nothing is remembered of it.
func (c *caller) keep(ctx context.Context, op *load.Op, s *load.Sample, before *seen, opts ...client.CallOption) error {
	opts = append(opts, c.write...)
	if op.TTL > 0 {
		opts = append(opts, client.TTL(op.TTL))
	}
	r, err := c.store.Put(ctx, op.Key, op.Value, opts...)
	if err != nil {
		return err
	}
	if op.Kind != load.Blind {
		c.contexts.remember(op.Number, before, r.Context)
	} else {
		c.contexts.place(op.Number).Store(nil)
	}
	s.Written, s.Sloppy, s.Durability = len(op.Value), s.Sloppy || r.Sloppy(), r.Durability.String()
	return nil
}

// remove deletes what was seen, or what is there.
func (c *caller) remove(ctx context.Context, op *load.Op, s *load.Sample) error {
	known, opts := c.contexts.of(op.Number), c.write
	if known != nil {
		opts = append(opts[:len(opts):len(opts)], client.Seen(known.context))
	}
	r, err := c.store.Delete(ctx, op.Key, opts...)
	if err != nil {
		return err
	}
	c.contexts.remember(op.Number, known, r.Context)
	s.Sloppy, s.Durability = r.Sloppy(), r.Durability.String()
	return nil
}

// scan goes on where the last page of this caller ended.
func (c *caller) scan(ctx context.Context, s *load.Sample) error {
	page, err := c.store.Page(ctx, client.Limit(pageKeys), client.Cursor(c.cursor))
	if err != nil {
		return err
	}
	c.cursor, s.Missed = page.Cursor, len(page.Entries) == 0
	for _, e := range page.Entries {
		s.Read += len(e.Key)
	}
	return nil
}

// failureOf sorts an error.
func failureOf(err error) load.Failure {
	var public *kindred.Error
	if errors.As(err, &public) {
		return load.Failure{Code: string(public.Code), Outcome: public.Outcome.String(), Example: err.Error()}
	}
	return load.Failure{Code: string(kindred.CodeInternal), Outcome: kindred.Unknown.String(), Example: err.Error()}
}

// timed carries an operation out by the clock.
func (c *caller) timed(ctx context.Context, op *load.Op, meant time.Time) (load.Sample, error) {
	s := load.Sample{Kind: op.Kind, Meant: meant, Begun: time.Now()}
	if s.Meant.IsZero() {
		s.Meant = s.Begun
	}
	err := c.do(ctx, op, &s)
	s.Ended = time.Now()
	if err != nil {
		s.Failed = failureOf(err)
	}
	return s, err
}
