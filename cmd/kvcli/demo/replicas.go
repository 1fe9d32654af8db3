package demo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

const (
	replicas = 3
	// equalMax is how long replicas may take to become equal.
	equalMax = 60 * time.Second
	// equalPoll is the time between two looks at keys that differ.
	equalPoll = 20 * time.Millisecond
)

// inspector asks every home replica what it holds of a key, and changes nothing.
type inspector interface {
	Inspect(ctx context.Context, bucket, key string, opts ...client.CallOption) ([]kindred.ReplicaView, error)
}

// awaitEqual returns as soon as all home replicas of every key have been seen to
// hold the same. A key that was equal is not looked at again: nobody writes now.
func (d *demo) awaitEqual(ctx context.Context, keys []item) error {
	ctx, cancel := context.WithTimeout(ctx, equalMax)
	defer cancel()
	progress := term.NewProgress(d.ErrOut, "equal keys")
	defer progress.End()
	total := int64(len(keys))
	for {
		left, why, err := unequal(ctx, d.client, keys)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() == nil && len(left) == 0 {
			return nil
		}
		progress.Step(total-int64(len(left)), total)
		if pause(ctx, equalPoll) != nil {
			return fmt.Errorf("%d of %d keys are not equal on all replicas after %s, for instance %s", len(left), total, equalMax, why)
		}
		keys = left
	}
}

// unequal are the keys whose replicas differ, or did not all answer: unknown is
// not equal (I12).
func unequal(ctx context.Context, c inspector, keys []item) (left []item, why string, err error) {
	var mu sync.Mutex
	err = each(ctx, keys, func(it item) error {
		views, err := c.Inspect(ctx, it.bucket, it.key)
		if err != nil {
			return err
		}
		views = slices.DeleteFunc(views, func(v kindred.ReplicaView) bool { return v.Guest })
		if problem := differ(views); problem != "" {
			mu.Lock()
			defer mu.Unlock()
			left = append(left, it)
			why = fmt.Sprintf("%s/%s: %s", it.bucket, it.key, problem)
		}
		return nil
	})
	return left, why, err
}

// differ says how replicas differ, empty if they do not.
func differ(views []kindred.ReplicaView) string {
	if len(views) != replicas {
		return fmt.Sprintf("%d of %d replicas were asked", len(views), replicas)
	}
	for _, v := range views {
		if v.Err != "" {
			return v.Node + " did not answer: " + v.Err
		}
		if !slices.Equal(dots(v), dots(views[0])) {
			return fmt.Sprintf("%s holds %q and %s %q", views[0].Node, dots(views[0]), v.Node, dots(v))
		}
	}
	return ""
}

func dots(v kindred.ReplicaView) []string {
	out := make([]string, len(v.Siblings))
	for i, s := range v.Siblings {
		out[i] = s.Dot
	}
	slices.Sort(out)
	return out
}
