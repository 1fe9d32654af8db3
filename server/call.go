package server

import (
	"context"
	"time"

	"github.com/kindredkv/kindred"
)

// call is one operation inside the backend.
type call struct {
	server *Server
	to     receiver
	// id is the client's, in a pipeline.
	id    uint64
	op    kindred.Op
	began time.Time
	// request is how the log calls it; see requestID.
	request string
	// answer is set before to receives the call.
	answer *kindred.Response
}

// receiver takes answered calls; it must not block.
type receiver interface{ take(*call) }

// waiter receives the one call that its channel has room for.
type waiter chan *call

func (w waiter) take(c *call) { w <- c }

// start hands a checked request to the backend, or says why not.
func (s *Server) start(ctx context.Context, req *kindred.Request, id uint64, to receiver) *kindred.Error {
	if err := s.calls.enter(); err != nil {
		return err
	}
	c := &call{server: s, to: to, id: id, op: req.Op, began: time.Now(), request: requestID(ctx, req)}
	s.cfg.Backend.Do(req, c.done)
	return nil
}

// done is what the backend calls.
func (c *call) done(r *kindred.Response) {
	c.answer = r
	c.server.metrics.answered(c.op, time.Since(c.began), r.Err)
	if r.Err != nil {
		c.server.logFailure(c.op, c.request, r.Err)
	}
	c.server.calls.leave()
	c.to.take(c)
}

// ask is one operation for a caller that waits.
func (s *Server) ask(ctx context.Context, req *kindred.Request) *kindred.Response {
	w := make(waiter, 1)
	err := withDeadline(ctx, req)
	if err == nil {
		err = s.start(ctx, req, 0, w)
	}
	if err != nil {
		return s.refuse(req.Op, requestID(ctx, req), err)
	}
	select {
	case c := <-w:
		return c.answer
	case <-ctx.Done():
		return &kindred.Response{Err: gaveUp(req.Op, ctx)}
	}
}

// refuse is the answer to a request that never reached the backend.
func (s *Server) refuse(op kindred.Op, request string, err *kindred.Error) *kindred.Response {
	s.metrics.refused(op, err)
	s.logFailure(op, request, err)
	return &kindred.Response{Err: err}
}

// withDeadline lets the node try no longer than its caller waits.
func withDeadline(ctx context.Context, req *kindred.Request) *kindred.Error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	left := time.Until(deadline)
	if left <= 0 {
		return &kindred.Error{
			Code: kindred.CodeTimeout, Outcome: kindred.NotApplied,
			Message: "the deadline had passed when the request arrived: allow more time",
		}
	}
	left -= min(left/answerPart, answerMarginMax)
	if req.Timeout == 0 || left < req.Timeout {
		req.Timeout = left
	}
	return nil
}

// answerPart is the part of a caller's time that is left for the answer to
// travel, at most answerMarginMax: a node that uses the whole is never heard, and
// what it knows of the outcome with it.
const (
	answerPart      = 10
	answerMarginMax = 100 * time.Millisecond
)

// gaveUp is the answer to a caller that did not wait for the backend's. A read
// changes nothing whoever waits; a write may still happen.
func gaveUp(op kindred.Op, ctx context.Context) *kindred.Error {
	err := &kindred.Error{
		Code: kindred.CodeTimeout, Outcome: kindred.Unknown,
		Message: "the caller stopped waiting before the node had an answer: " + context.Cause(ctx).Error(),
	}
	if op != kindred.OpPut && op != kindred.OpDelete {
		err.Outcome = kindred.NotApplied
	}
	return err
}
