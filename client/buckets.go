package client

import (
	"context"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
)

// Buckets lists the buckets that were created, by name, as a node that works knows
// them. A bucket that nobody has created has the defaults and is not listed.
func (c *Client) Buckets(ctx context.Context) ([]kindred.Bucket, error) {
	return c.buckets(ctx, "")
}

// BucketOptions shows a bucket, created or not, with all of its options.
func (c *Client) BucketOptions(ctx context.Context, bucket string) (kindred.Bucket, error) {
	if err := kindred.CheckBucket(bucket); err != nil {
		return kindred.Bucket{}, &Error{Op: "show", Bucket: bucket, Err: err}
	}
	all, err := c.buckets(ctx, bucket)
	if err != nil {
		return kindred.Bucket{}, err
	}
	if len(all) != 1 {
		return kindred.Bucket{}, &Error{Op: "show", Bucket: bucket, Err: &kindred.Error{
			Code: kindred.CodeInternal, Outcome: kindred.NotApplied, Message: "the node has shown another number of buckets than one",
		}}
	}
	return all[0], nil
}

func (c *Client) buckets(ctx context.Context, bucket string) (all []kindred.Bucket, err error) {
	err = c.visit(ctx, &kindred.Request{Bucket: bucket}, "show", func(ctx context.Context, n *node, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		m, err := kindredv1.NewClusterClient(n.connection()).Buckets(ctx, &kindredv1.BucketsRequest{Bucket: bucket})
		if err == nil {
			all = api.ParseBuckets(m)
		}
		return err
	})
	return all, err
}

// CreateBucket creates a bucket. The zero value of each option stands for its
// default. A bucket that exists with these very options is left as it is; one with
// others is refused, see [Client.ChangeBucket].
func (c *Client) CreateBucket(ctx context.Context, bucket string, options kindred.BucketOptions) (kindred.BucketChanged, error) {
	return c.changeBucket(ctx, kindred.BucketChange{Bucket: bucket, Options: options, CreateOnly: true})
}

// ChangeBucket replaces all options of a bucket, and creates it if need be. It
// waits for the members that can be reached; those in Unheard go by it once they
// can be. Of two changes on two sides of a cut one goes on, and both are logged.
func (c *Client) ChangeBucket(ctx context.Context, bucket string, options kindred.BucketOptions) (kindred.BucketChanged, error) {
	return c.changeBucket(ctx, kindred.BucketChange{Bucket: bucket, Options: options})
}

// changeBucket may make the change more than once: the second time it is none.
func (c *Client) changeBucket(ctx context.Context, change kindred.BucketChange) (changed kindred.BucketChanged, err error) {
	bad := kindred.CheckBucket(change.Bucket)
	if bad == nil {
		bad = kindred.CheckBucketBounds(&change.Options) // what a message cannot carry
	}
	if bad != nil {
		return changed, &Error{Op: "change", Bucket: change.Bucket, Err: bad}
	}
	err = c.visit(ctx, &kindred.Request{Bucket: change.Bucket}, "change", func(ctx context.Context, n *node, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		asked := change
		asked.Timeout = patience / 2 // the answer has to arrive too
		m, err := kindredv1.NewClusterClient(n.connection()).ChangeBucket(ctx, api.FormatBucketChange(&asked))
		if err == nil {
			changed = api.ParseBucketChanged(m)
		}
		return err
	})
	return changed, err
}
