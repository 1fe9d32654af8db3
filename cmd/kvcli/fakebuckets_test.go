package main

import (
	"context"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/buckets"
	"github.com/kindredkv/kindred/client"
)

// fakeBuckets is a registry of buckets of which n3 never hears. Lost is why nobody
// lists them, if not nil.
type fakeBuckets struct {
	registry *buckets.Registry
	lost     error
}

func (f *fakeBuckets) Buckets(context.Context) ([]kindred.Bucket, error) {
	if f.lost != nil {
		return nil, f.lost
	}
	return f.registry.Buckets(), nil
}

func (f *fakeBuckets) BucketOptions(_ context.Context, bucket string) (kindred.Bucket, error) {
	return f.registry.Bucket(bucket, 3), nil
}

func (f *fakeBuckets) CreateBucket(_ context.Context, bucket string, options kindred.BucketOptions) (kindred.BucketChanged, error) {
	return f.change(kindred.BucketChange{Bucket: bucket, Options: options, CreateOnly: true})
}

func (f *fakeBuckets) ChangeBucket(_ context.Context, bucket string, options kindred.BucketOptions) (kindred.BucketChanged, error) {
	return f.change(kindred.BucketChange{Bucket: bucket, Options: options})
}

// change asks a book that has the registry of f.
func (f *fakeBuckets) change(c kindred.BucketChange) (kindred.BucketChanged, error) {
	book, err := buckets.NewBook("n1", f.registry.Bytes())
	if err != nil {
		return kindred.BucketChanged{}, err
	}
	now := time.Date(2026, 11, 20, 12, 0, f.registry.Len(), 0, time.UTC)
	if bad := book.Change(now, [16]byte{1}, 1, c, 3); bad != nil {
		return kindred.BucketChanged{}, &client.Error{Op: "change", Bucket: c.Bucket, Err: bad}
	}
	f.registry = book.Registry()
	return kindred.BucketChanged{Bucket: f.registry.Bucket(c.Bucket, 3), KnownBy: []string{"n1", "n2"}, Unheard: []string{"n3"}}, nil
}
