package client

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api/native"
)

// wire is a node seen from a pipeline: the test plays the network.
type wire struct {
	opens   chan error // each permits one stream, or refuses it
	sent    chan []uint64
	answers chan []uint64
	breaks  chan error
	broken  int
	ended   atomic.Int32 // streams that the pipeline let go
	ctx     context.Context
	wants   int // calls at a time
}

func (w *wire) open(ctx context.Context) (stream, error) {
	select {
	case err := <-w.opens:
		w.ctx = ctx
		return w, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *wire) opened(bool) {}
func (w *wire) heard(bool)  {}
func (w *wire) broke(error) { w.broken++ }

func (w *wire) Send(calls []*call) error {
	var ids []uint64
	for _, c := range calls {
		ids = append(ids, c.id)
	}
	select {
	case w.sent <- ids:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

func (w *wire) CloseSend() error {
	w.ended.Add(1)
	return nil
}

func (w *wire) Limit() int { return w.wants }

func (w *wire) Recv() ([]native.Result, error) {
	select {
	case ids := <-w.answers:
		var results []native.Result
		for _, id := range ids {
			results = append(results, native.Result{ID: id, Response: &kindred.Response{Context: []byte{byte(id)}}})
		}
		return results, nil
	case err := <-w.breaks:
		return nil, err
	case <-w.ctx.Done():
		return nil, w.ctx.Err()
	}
}

// story runs a test with a pipeline and its wire, in a bubble of virtual time.
func story(t *testing.T, limit int, tell func(t *testing.T, p *pipeline, w *wire)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel() // after a failure too: the time of a pipeline never stands still
		w := &wire{
			opens: make(chan error, 1), sent: make(chan []uint64),
			answers: make(chan []uint64), breaks: make(chan error),
		}
		p := newPipeline(limit, w)
		go p.run(ctx)
		tell(t, p, w)
	})
}

// calls submits n calls whose replies come on one channel.
func calls(p *pipeline, n, bytes int) ([]*call, chan reply) {
	replies := make(chan reply, n)
	made := make([]*call, n)
	for i := range made {
		made[i] = &call{bytes: bytes, replies: replies}
		p.submit(made[i])
	}
	return made, replies
}

func TestInvariant4_CallsMadeWhileTheWriterIsBusyShareAMessage(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		w.opens <- nil
		calls(p, 1, 10)
		synctest.Wait() // the writer is in Send
		calls(p, 9, 10)
		require.Equal(t, []uint64{1}, <-w.sent)
		require.Len(t, <-w.sent, 9)
	})
}

func TestMessagesAreBounded(t *testing.T) {
	story(t, 1000, func(t *testing.T, p *pipeline, w *wire) {
		calls(p, batchCallsMax+1, 1)
		w.opens <- nil
		require.Len(t, <-w.sent, batchCallsMax)
		require.Len(t, <-w.sent, 1)
		synctest.Wait()
		calls(p, 1, 1)
		synctest.Wait()
		calls(p, 3, batchBytesMax*2/5)
		calls(p, 1, batchBytesMax*8)
		require.Len(t, <-w.sent, 1)
		require.Len(t, <-w.sent, 2)
		require.Len(t, <-w.sent, 1)
		require.Len(t, <-w.sent, 1, "a call beyond the bound travels alone")
	})
}

func TestInvariant2_ABrokenStreamKnowsWhatTheNodeMayHaveSeen(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		flying, replies := calls(p, 2, 10)
		w.opens <- nil
		require.Len(t, <-w.sent, 2)
		calls(p, 1, 10)
		synctest.Wait() // in Send: who knows
		waiting, later := calls(p, 1, 10)
		w.breaks <- errors.New("reset")
		for range flying {
			require.True(t, (<-replies).seen)
		}
		r := <-later
		require.Equal(t, waiting[0], r.call)
		require.False(t, r.seen)
		require.ErrorContains(t, r.err, "reset")
		synctest.Wait()
		require.Equal(t, 1, w.broken)
	})
}

func TestAResultSettlesItsCallWhateverTheOrder(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		made, replies := calls(p, 3, 10)
		w.opens <- nil
		<-w.sent
		w.answers <- []uint64{3, 1}
		w.answers <- []uint64{2}
		var got []*call
		for range made {
			r := <-replies
			require.Equal(t, []byte{byte(r.call.id)}, r.answer.Context)
			got = append(got, r.call)
		}
		require.Equal(t, []*call{made[2], made[0], made[1]}, got)
	})
}

func TestAForgottenCallIsNeverSettled(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		made, replies := calls(p, 1, 10)
		w.opens <- nil
		require.Equal(t, []uint64{1}, <-w.sent)
		require.Equal(t, flying, p.forget(made[0]))
		require.Equal(t, over, p.forget(made[0]))
		w.answers <- []uint64{1, 77} // late, and one that nobody asked for
		synctest.Wait()
		require.Empty(t, replies)
	})
}

func TestACallForgottenInTheQueueIsNeverSent(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		made, _ := calls(p, 3, 10)
		require.Equal(t, queued, p.forget(made[1]))
		w.opens <- nil
		require.Equal(t, []uint64{1, 3}, <-w.sent)
	})
}

func TestASettledCallCanNoLongerBeForgotten(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		made, replies := calls(p, 1, 10)
		w.opens <- nil
		<-w.sent
		w.answers <- []uint64{1}
		synctest.Wait()
		require.Equal(t, over, p.forget(made[0]))
		require.Len(t, replies, 1)
	})
}

func TestInvariant5_TheLimitHoldsCallsBackUntilThereIsRoom(t *testing.T) {
	story(t, 2, func(t *testing.T, p *pipeline, w *wire) {
		calls(p, 4, 10)
		w.opens <- nil
		require.Equal(t, []uint64{1, 2}, <-w.sent)
		synctest.Wait()
		w.answers <- []uint64{1}
		require.Equal(t, []uint64{3}, <-w.sent)
		w.answers <- []uint64{2, 3}
		require.Equal(t, []uint64{4}, <-w.sent)
	})
}

// The node would not read further: a node that is given more calls than it takes does
// not see pings either, and passes for dead.
func TestInvariant3_ACallThatWasGivenUpHoldsItsPlaceUntilTheNodeHasAnswered(t *testing.T) {
	story(t, 2, func(t *testing.T, p *pipeline, w *wire) {
		made, replies := calls(p, 4, 10)
		w.opens <- nil
		require.Equal(t, []uint64{1, 2}, <-w.sent)
		p.forget(made[0])
		p.forget(made[1])
		p.poke()
		synctest.Wait()
		select {
		case ids := <-w.sent:
			t.Fatalf("%v were sent", ids)
		default:
		}
		w.answers <- []uint64{2}
		require.Equal(t, []uint64{3}, <-w.sent)
		synctest.Wait()
		require.Empty(t, replies, "nobody waits for it")
		w.breaks <- errors.New("gone")
		lost := map[uint64]bool{(<-replies).call.id: true, (<-replies).call.id: true}
		require.Equal(t, map[uint64]bool{3: true, 4: true}, lost, "and nobody for the other")
	})
}

func TestANodeMayWantFewerCallsThanTheClientWouldMake(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		calls(p, 3, 10)
		w.wants = 2
		w.opens <- nil
		require.Equal(t, []uint64{1, 2}, <-w.sent)
		synctest.Wait()
		w.answers <- []uint64{2}
		require.Equal(t, []uint64{3}, <-w.sent)
	})
}

func TestInvariant5_ANodeThatLeavesInOrderHasNotSeenTheRest(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		_, replies := calls(p, 1, 10)
		w.opens <- nil
		<-w.sent
		w.breaks <- orderly{errors.New("the node is shutting down")}
		r := <-replies
		require.False(t, r.seen)
		require.ErrorContains(t, r.err, "shutting down")
		synctest.Wait()
		require.Equal(t, 1, w.broken, "and it is not hoped to be back")
	})
}

func TestAPipelineConnectsAgainWithGrowingPauses(t *testing.T) {
	story(t, 100, func(t *testing.T, p *pipeline, w *wire) {
		var pauses []time.Duration
		for range 12 {
			_, replies := calls(p, 1, 10)
			began := time.Now()
			w.opens <- errors.New("refused")
			require.False(t, (<-replies).seen)
			pauses = append(pauses, time.Since(began))
		}
		require.Less(t, pauses[1], reconnectMin+1)
		require.Greater(t, slices.Max(pauses), reconnectMax/2-1)
		require.LessOrEqual(t, slices.Max(pauses), reconnectMax)
		_, replies := calls(p, 1, 10)
		w.opens <- nil
		w.answers <- <-w.sent
		require.NotNil(t, (<-replies).answer)
	})
}

func TestAClosedPipelineRefusesCalls(t *testing.T) {
	var p *pipeline
	story(t, 100, func(_ *testing.T, running *pipeline, _ *wire) { p = running })
	_, replies := calls(p, 1, 10)
	r := <-replies
	require.ErrorIs(t, r.err, errRetired)
	require.False(t, r.seen)
}
