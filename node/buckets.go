package node

import (
	"context"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/buckets"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
)

// Buckets lists the buckets that were created, by name, as this node knows them.
func (n *Node) Buckets() ([]kindred.Bucket, *kindred.Error) {
	if n.layout.Load() == nil {
		return nil, core.NoLayout(n.cfg.Name)
	}
	return n.control.buckets.Load().Buckets(), nil
}

// Bucket is what this node knows of a bucket, created or not.
func (n *Node) Bucket(name string) (kindred.Bucket, *kindred.Error) {
	layout := n.layout.Load()
	if layout == nil {
		return kindred.Bucket{}, core.NoLayout(n.cfg.Name)
	}
	if err := kindred.CheckBucket(name); err != nil {
		return kindred.Bucket{}, err
	}
	return n.control.buckets.Load().Bucket(name, layout.Replicas()), nil
}

// ChangeBucket creates a bucket or gives it other options. It is durable here when
// the answer comes, and the members that it names go by it.
func (n *Node) ChangeBucket(ctx context.Context, change kindred.BucketChange) (kindred.BucketChanged, *kindred.Error) {
	c := n.control
	type answer struct {
		changed kindred.BucketChanged
		err     *kindred.Error
	}
	answered := make(chan answer, 1)
	c.put(func(now time.Time) {
		c.token++
		if err := c.core.ChangeBucket(now, c.token, change); err != nil {
			answered <- answer{err: err}
			return
		}
		c.changes[c.token] = func(changed kindred.BucketChanged) { answered <- answer{changed: changed} }
	})
	select {
	case a := <-answered:
		return a.changed, a.err
	case <-ctx.Done():
		return kindred.BucketChanged{}, &kindred.Error{
			Code: kindred.CodeTimeout, Outcome: kindred.Unknown,
			Message: "the caller stopped waiting before the change was answered: show the bucket to see whether it was made",
		}
	case <-c.done:
		return kindred.BucketChanged{}, &kindred.Error{
			Code: kindred.CodeStopping, Outcome: kindred.Unknown,
			Message: "the node is shutting down: show the bucket at another node to see whether the change was made",
		}
	}
}

// setBuckets makes every shard go by the registry, which is durable by now.
func (c *control) setBuckets(registry *buckets.Registry) {
	c.buckets.Store(registry)
	for _, w := range c.node.workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) { s.SetBuckets(registry) })
	}
}

func (c *control) answerChanges(answers []core.BucketAnswer) {
	for _, a := range answers {
		c.changes[a.Token](a.Changed)
		delete(c.changes, a.Token)
	}
}
