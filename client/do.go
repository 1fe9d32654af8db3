package client

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
)

// operation performs what its pursuit decides. It lives in the goroutine of
// the caller; nothing else is started for it.
type operation struct {
	c      *Client
	req    *kindred.Request
	p      pursuit
	waiter *waiter
	live   []*call
	asked  []*node
	cause  error      // what ended the operation on this side
	span   trace.Span // nil if nobody traces
}

// waiter is what an operation waits on. Waiters are used again.
type waiter struct {
	replies chan reply
	timer   *time.Timer
}

func newWaiter() any {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &waiter{replies: make(chan reply, attemptsMax), timer: t}
}

// perform pursues a get, put or delete until it is answered or the time is over.
// It returns an *Error. The span may be nil.
func (c *Client) perform(ctx context.Context, req *kindred.Request, span trace.Span) (*kindred.Response, error) {
	if err := api.Check(req); err != nil {
		return nil, &Error{Op: req.Op.String(), Bucket: req.Bucket, Key: req.Key, Err: err}
	}
	c.counters.operations.Add(1)
	c.retries.earn()
	now := time.Now()
	o := operation{
		c: c, req: req, waiter: c.waiters.Get().(*waiter), span: span,
		p: newPursuit(now, req.Op != kindred.OpGet, c.timeout(ctx, req, now)),
	}
	resp := o.pursue(ctx)
	if resp == nil {
		resp = o.abandon()
	}
	o.forgetAll()
	c.waiters.Put(o.waiter)
	if resp == nil {
		return nil, o.err()
	}
	return resp, nil
}

// timeout is how long an operation may take in all.
func (c *Client) timeout(ctx context.Context, req *kindred.Request, now time.Time) time.Duration {
	d := c.settings.timeout
	if req.Timeout > 0 {
		d = req.Timeout
	} else if _, ok := ctx.Deadline(); ok {
		d = 1<<63 - 1
	}
	if at, ok := ctx.Deadline(); ok {
		d = min(d, at.Sub(now))
	}
	return d
}

// pursue runs until there is an answer (not nil) or nothing more to do.
func (o *operation) pursue(ctx context.Context) *kindred.Response {
	defer o.waiter.timer.Stop()
	for now := o.p.began; ; now = time.Now() {
		switch a := o.p.next(now); a {
		case giveUp:
			if !o.p.final && !now.Before(o.p.deadline) {
				o.cause = context.DeadlineExceeded
			}
			return nil
		case ask, hedge:
			o.launch(now, a)
			continue
		case glance:
			if o.lifeless(now) {
				o.p.late(now)
			}
			continue
		}
		o.waiter.timer.Reset(o.p.wake().Sub(now))
		select {
		case r := <-o.waiter.replies:
			if resp := o.take(r); resp != nil {
				return resp
			}
		case <-o.waiter.timer.C:
			o.doubt(time.Now())
		case <-ctx.Done():
			o.cause = ctx.Err()
			return nil
		case <-o.c.ctx.Done():
			o.cause = ErrClosed
			return nil
		}
	}
}

// launch asks a node, if the budgets allow.
func (o *operation) launch(now time.Time, a action) {
	n := o.c.routes.Load().pick(o.req.Bucket, o.req.Key, o.c.turn.Add(1), o.asked)
	if n == nil || !o.allowed(a, n) {
		o.p.denied(now, a)
		return
	}
	req := *o.req
	req.Timeout = o.p.budget(now)
	req.Resent = req.Op != kindred.OpGet && len(o.asked) > 0
	size := len(req.Key) + len(req.Value) + len(req.Context)
	c := &call{req: req, bytes: size, node: n, line: n.line(size), replies: o.waiter.replies, at: now}
	o.p.sent(now, a)
	c.round = o.p.round
	if a == ask && o.p.round == 1 && o.req.Op == kindred.OpGet && o.c.settings.hedging {
		o.c.hedges.earn()
		o.p.hedgeAt = now.Add(o.c.hedgeAfter())
	}
	o.live = append(o.live, c)
	o.asked = append(o.asked, n)
	n.load.Add(1)
	n.asked(now)
	o.c.counters.attempts.Add(1)
	if o.span != nil {
		traceAttempt(o.span, n.name, o.kind(a))
	}
	c.line.submit(c)
}

// kind is what a trace calls an attempt.
func (o *operation) kind(a action) string {
	switch {
	case a == hedge:
		return "hedge"
	case len(o.asked) > 1:
		return "retry"
	}
	return "ask"
}

// allowed reports whether the budgets have room for one more attempt.
func (o *operation) allowed(a action, n *node) bool {
	switch {
	case a == hedge:
		if n.rank() != healthy || slices.Contains(o.asked, n) || !o.c.hedges.spend() {
			return false
		}
		o.c.counters.hedges.Add(1)
	case len(o.asked) > 0:
		if o.p.costs() && !o.c.retries.spend() {
			o.c.counters.denied.Add(1)
			return false
		}
		o.c.counters.retries.Add(1)
	}
	return true
}

// take notes a reply and returns it if it is an answer.
func (o *operation) take(r reply) *kindred.Response {
	now := time.Now()
	o.finish(r.call)
	resp := r.answer
	if resp == nil {
		o.p.lost(now, r.call.round, r.call.node.name, reason(r.err), r.seen, rand.Float64())
		o.traceFailure()
		return nil
	}
	if resp.Err == nil {
		if o.req.Op == kindred.OpGet {
			o.c.latency.observe(now.Sub(r.call.at))
		}
		return resp
	}
	switch resp.Err.Code {
	case kindred.CodeWrongRing:
		o.c.refreshNow(r.call.node)
	case kindred.CodeStopping:
		r.call.node.stops(now)
	}
	o.p.refused(now, r.call.round, r.call.node.name, resp.Err, rand.Float64())
	o.traceFailure()
	return nil
}

// traceFailure tells the trace of the latest attempt that failed.
func (o *operation) traceFailure() {
	if o.span != nil {
		traceFailure(o.span, o.p.attempts[len(o.p.attempts)-1])
	}
}

// doubt tells the nodes that an answer takes too long.
func (o *operation) doubt(now time.Time) {
	for _, c := range o.live {
		c.node.doubt(now)
	}
}

// lifeless reports whether every node that is still in its time was doubted
// already and has shown no sign of life since.
func (o *operation) lifeless(now time.Time) bool {
	for _, c := range o.live {
		if c.round == o.p.round && !c.node.lifeless(now) {
			return false
		}
	}
	return true
}

// finish takes a call off the list of those on their way.
func (o *operation) finish(c *call) {
	c.node.load.Add(-1)
	for i, l := range o.live {
		if l == c {
			o.live = append(o.live[:i], o.live[i+1:]...)
			return
		}
	}
}

// abandon ends an operation that has no answer: it notes which calls their
// nodes may have seen. An answer that came in the meantime still counts.
func (o *operation) abandon() *kindred.Response {
	for len(o.live) > 0 {
		c := o.live[len(o.live)-1]
		switch c.line.forget(c) {
		case over:
			if resp := o.take(<-o.waiter.replies); resp != nil {
				return resp
			}
		case queued:
			o.finish(c)
			o.p.cut(c.round, c.node.name, false)
		case flying:
			o.finish(c)
			o.p.cut(c.round, c.node.name, true)
		}
	}
	return nil
}

// forgetAll lets go of the calls that an answer made superfluous, so that
// nobody writes to the waiter any more.
func (o *operation) forgetAll() {
	for _, c := range o.live {
		c.node.load.Add(-1)
		if c.line.forget(c) == over {
			<-o.waiter.replies
		}
	}
	o.live = nil
}

func (o *operation) err() *Error {
	if o.cause == nil && o.c.ctx.Err() != nil {
		o.cause = ErrClosed
	}
	return &Error{
		Op: o.req.Op.String(), Bucket: o.req.Bucket, Key: o.req.Key, RequestID: o.req.RequestID,
		Err: o.p.verdict(o.cause), Attempts: o.p.attempts, cause: o.cause,
	}
}
