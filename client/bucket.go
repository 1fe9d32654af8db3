package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"

	"github.com/kindredkv/kindred"
)

// Bucket is a space of keys with common settings.
type Bucket struct {
	c    *Client
	name string
	opts []CallOption
}

// Name is the name of the bucket.
func (b *Bucket) Name() string { return b.name }

// Get reads a key. A key without a value is no error: see [Object.Value].
func (b *Bucket) Get(ctx context.Context, key string, opts ...CallOption) (*Object, error) {
	resp, err := b.c.do(ctx, b.request(kindred.OpGet, key, opts))
	if err != nil {
		return nil, err
	}
	return &Object{Siblings: resp.Siblings, Context: ContextOf(resp.Context), Replied: resp.Replied, Guests: resp.Guests}, nil
}

// Put writes a value. With [Seen] it replaces what was seen; without, it is
// blind and adds a sibling to whatever there is. The value may be used again
// when Put returns.
func (b *Bucket) Put(ctx context.Context, key string, value []byte, opts ...CallOption) (*Receipt, error) {
	req := b.request(kindred.OpPut, key, opts)
	if len(value) <= kindred.ValueBytesMax {
		value = bytes.Clone(value) // a call that was given up may still be on its way out
	}
	req.Value = value
	return b.write(ctx, req)
}

// Delete removes what was [Seen] of a key, and nothing else: a value that was
// written concurrently stays. Without Seen the node that coordinates reads the
// key first and removes what a read quorum shows.
func (b *Bucket) Delete(ctx context.Context, key string, opts ...CallOption) (*Receipt, error) {
	return b.write(ctx, b.request(kindred.OpDelete, key, opts))
}

// MergeFunc makes one value of the siblings of a key; there are none if the key is
// new. Which siblings meet, in which order and how often, depends on how the network
// fails, so the result should not: a merge should be idempotent, commutative and
// associative, and keep what each sibling has. Package jepsen has CheckMerge, which
// looks for cases in which one is not.
type MergeFunc func(siblings [][]byte) ([]byte, error)

// Update reads a key, lets merge turn its values into one, and writes that in
// their place. Merge gets no value for a new key, and the values of all
// siblings otherwise; an error of it ends the update and is returned as it is.
//
// An update that races with another writer loses nothing: the value of either
// becomes a sibling, and the next update merges the two. Update does not wait
// for that and does not run merge twice, so a merge that counts is counted
// once; but two siblings may both hold what their writers had in common, so a
// merge should be a union or a maximum rather than a sum. After an error of
// unknown outcome the merged value may be there: merging again must do no harm
// if the update is to be repeated.
func (b *Bucket) Update(ctx context.Context, key string, merge MergeFunc, opts ...CallOption) (*Receipt, error) {
	if b.c.settings.tracer == nil {
		return b.update(ctx, key, merge, opts)
	}
	ctx, span := b.c.startSpan(ctx, "update", b.name)
	r, err := b.update(ctx, key, merge, opts)
	endSpan(span, err)
	return r, err
}

func (b *Bucket) update(ctx context.Context, key string, merge MergeFunc, opts []CallOption) (*Receipt, error) {
	obj, err := b.Get(ctx, key, opts...)
	if err != nil {
		return nil, err
	}
	value, err := merge(obj.Values())
	if err != nil {
		return nil, err
	}
	return b.Put(ctx, key, value, append(opts[:len(opts):len(opts)], Seen(obj.Context))...)
}

func (b *Bucket) write(ctx context.Context, req *kindred.Request) (*Receipt, error) {
	if req.RequestID.IsZero() {
		req.RequestID = newRequestID()
	}
	resp, err := b.c.do(ctx, req)
	if err != nil {
		return nil, err
	}
	r := &resp.Receipt
	return &Receipt{Dot: r.Dot, Stage: r.Stage, Durability: r.Durability, Acked: r.Acked, Guests: r.Guests, ExpiresAt: r.ExpiresAt, Context: ContextOf(resp.Context), bucket: b, key: req.Key}, nil
}

func (b *Bucket) request(op kindred.Op, key string, opts []CallOption) *kindred.Request {
	req := &kindred.Request{Op: op, Bucket: b.name, Key: key}
	for _, opt := range b.opts {
		opt(req)
	}
	for _, opt := range opts {
		opt(req)
	}
	return req
}

// newRequestID names one intention. The generator of math/rand/v2 is ChaCha8,
// seeded by the system: ids of different clients do not meet.
func newRequestID() (id kindred.RequestID) {
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	return id
}
