package client

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api/native"
)

// used opens a stream and has a call answered on it.
func used(p *pipeline, w *wire) {
	w.opens <- nil
	_, replies := calls(p, 1, 10)
	w.answers <- <-w.sent
	<-replies
}

func TestAStreamThatNobodyUsesIsLetGoUntilItIsNeeded(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		used(p, w)
		time.Sleep(restAfter)
		require.Zero(t, w.ended.Load())
		time.Sleep(restAfter + 1)
		synctest.Wait()
		require.EqualValues(t, 1, w.ended.Load())
		w.breaks <- io.EOF // the node ends it too
		synctest.Wait()
		require.False(t, p.up.Load())
		require.True(t, p.resting.Load())

		w.opens <- nil
		time.Sleep(time.Hour)
		require.Len(t, w.opens, 1, "no stream is opened for nobody")
		_, replies := calls(p, 1, 10)
		require.Equal(t, []uint64{2}, <-w.sent)
		require.True(t, p.up.Load())
		w.answers <- []uint64{2}
		require.NotNil(t, (<-replies).answer)
		require.Zero(t, w.broken, "nothing has failed")
	})
}

func TestAStreamWithACallOnItsWayIsKept(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		w.opens <- nil
		_, replies := calls(p, 1, 10)
		<-w.sent
		time.Sleep(time.Hour)
		require.Zero(t, w.ended.Load())
		w.answers <- []uint64{1}
		require.NotNil(t, (<-replies).answer)
	})
}

func TestInvariant4_ACallDuringTheFarewellTakesTheNextStream(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		used(p, w)
		time.Sleep(2*restAfter + 1) // and the node says nothing to it
		require.EqualValues(t, 1, w.ended.Load())
		_, replies := calls(p, 1, 10)
		synctest.Wait()
		require.Empty(t, replies, "it is not lost")
		w.opens <- nil
		w.answers <- <-w.sent
		require.NotNil(t, (<-replies).answer)
	})
}

func TestAFarewellIsNotWaitedForForEver(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		used(p, w)
		time.Sleep(2*restAfter + farewellMax/2)
		require.True(t, p.up.Load())
		time.Sleep(farewellMax)
		require.False(t, p.up.Load())
		require.Error(t, w.ctx.Err())
	})
}

func TestInvariant5_ANodeThatEndsAStreamInOrderHasNotSeenTheRest(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		used(p, w)
		w.breaks <- io.EOF
		synctest.Wait()
		require.True(t, p.resting.Load())
		require.Zero(t, w.broken)

		w.opens <- nil
		_, replies := calls(p, 1, 10)
		<-w.sent
		w.breaks <- io.EOF
		r := <-replies
		require.ErrorIs(t, r.err, io.EOF)
		require.False(t, r.seen, "it may be asked elsewhere without a doubt")
	})
}

// Callers who come back in just the moment in which streams are let go: each call reaches the node once and is answered once.
func TestNoCallIsLostOrSentTwiceWhereStreamsAreLetGo(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		far := &echo{seen: map[uint64]int{}}
		p := newPipeline(10, far)
		go p.run(ctx)
		const callers, rounds = 3, 200
		chance := rand.New(rand.NewPCG(seed, 0))
		for range rounds {
			var round sync.WaitGroup
			for range callers {
				wait := 2*restAfter + time.Duration(chance.Int64N(5)-2)*time.Nanosecond
				round.Go(func() {
					time.Sleep(wait)
					_, replies := calls(p, 1, 10)
					r := <-replies
					require.NoError(t, r.err)
					require.NotNil(t, r.answer)
				})
			}
			round.Wait()
		}
		cancel()
		synctest.Wait()
		require.Len(t, far.seen, rounds*callers)
		for id, times := range far.seen {
			require.Equal(t, 1, times, "call %d", id)
		}
		require.Greater(t, far.streams, rounds/10, "many were let go")
		require.Less(t, far.streams, rounds, "and many were not")
		require.Zero(t, far.broken)
	})
}

// echo is a node that answers every call and ends every stream when it is asked to.
type echo struct {
	streams, broken int
	mu              sync.Mutex
	seen            map[uint64]int
}

func (e *echo) open(ctx context.Context) (stream, error) {
	e.streams++
	return &echoed{node: e, ctx: ctx, calls: make(chan []uint64, 16)}, nil
}

func (*echo) opened(bool)   {}
func (*echo) heard(bool)    {}
func (e *echo) broke(error) { e.broken++ }

type echoed struct {
	node  *echo
	ctx   context.Context
	calls chan []uint64
}

func (s *echoed) Send(calls []*call) error {
	var ids []uint64
	for _, c := range calls {
		ids = append(ids, c.id)
	}
	s.calls <- ids
	return nil
}

func (*echoed) Limit() int { return 0 }

func (s *echoed) CloseSend() error {
	close(s.calls)
	return nil
}

func (s *echoed) Recv() ([]native.Result, error) {
	select {
	case calls, open := <-s.calls:
		if !open {
			return nil, io.EOF
		}
		s.node.mu.Lock()
		defer s.node.mu.Unlock()
		var results []native.Result
		for _, id := range calls {
			s.node.seen[id]++
			results = append(results, native.Result{ID: id, Response: &kindred.Response{}})
		}
		return results, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}
