package jepsen

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
)

// slowing is a door that answers until the time is over, which is soon.
type slowing struct {
	value []byte
	left  int
	over  context.CancelFunc
}

func (s *slowing) Do(ctx context.Context, i workload.Intent) workload.Result {
	if ctx.Err() != nil {
		return failed(ctx.Err())
	}
	if s.left--; s.left == 0 {
		s.over()
	}
	if i.IsWrite() {
		s.value = i.Value
		return workload.Result{Outcome: kindred.Applied}
	}
	return found([]kindred.Sibling{{Value: s.value}}, nil, nil)
}

// TestAFinalReadThatWasNotMadeIsNoProof: every key is to be read at every node. Where
// the time was over before that, what the other nodes would have shown is not known.
func TestAFinalReadThatWasNotMadeIsNoProof(t *testing.T) {
	for answers, want := range map[int]checker.Status{4: checker.OK, 3: checker.Unknown, 1: checker.Unknown} {
		ctx, over := context.WithCancel(t.Context())
		begin := time.Now()
		door := &slowing{left: answers, over: over}
		r := runner{
			kind: workload.Blind, config: workload.Config{Bucket: "blind", Keys: 1, Nodes: 3}, clients: 1, n: 3, r: 2, w: 2,
			final: door, since: func() time.Duration { return time.Since(begin) }, gate: &sync.RWMutex{},
		}
		put := workload.Intent{Kind: history.Put, Bucket: "blind", Key: "key-0", Write: 1, Value: workload.Value(1, nil)}
		require.Equal(t, kindred.Applied, r.one(ctx, 0, door, put).Outcome)
		r.finish(ctx)
		h := r.history()
		kept := checker.Check(&h, checker.Options{}).Verdict(checker.Kept)
		require.Equal(t, want, kept.Status, "%d answers: %v", answers, kept.Reasons)
		over()
	}
}
