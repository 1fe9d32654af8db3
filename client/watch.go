package client

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/kindredkv/kindred"
)

// watched reports whether somebody wants to know of every operation. All that
// tracing and metrics cost is behind it.
func (c *Client) watched() bool { return c.settings.tracer != nil || c.metrics != nil }

// do performs a get, put or delete, and tells those who want to know. It returns
// an *Error.
func (c *Client) do(ctx context.Context, req *kindred.Request) (*kindred.Response, error) {
	if !c.watched() {
		return c.perform(ctx, req, nil)
	}
	began := time.Now()
	verb := req.Op.String()
	var span trace.Span
	if c.settings.tracer != nil {
		ctx, span = c.startSpan(ctx, verb, req.Bucket, traced(req)...)
	}
	resp, err := c.perform(ctx, req, span)
	if span != nil {
		endSpan(span, err)
	}
	if c.metrics != nil {
		c.metrics.observe(verb, began, err)
		if err == nil && len(resp.Siblings) > 1 {
			c.metrics.siblings.Inc()
		}
	}
	return resp, err
}

// visit puts a question that a pipeline does not carry to one node after
// another until one answers, and tells those who want to know. Such questions
// change nothing. It returns an *Error.
func (c *Client) visit(ctx context.Context, req *kindred.Request, verb string, put question) error {
	if !c.watched() {
		return c.ask(ctx, req, verb, put)
	}
	began := time.Now()
	var span trace.Span
	if c.settings.tracer != nil {
		ctx, span = c.startSpan(ctx, verb, req.Bucket)
		inner := put
		put = func(ctx context.Context, n *node, patience time.Duration) error {
			traceAttempt(span, n.name, "ask")
			return inner(ctx, n, patience)
		}
	}
	err := c.ask(ctx, req, verb, put)
	if span != nil {
		endSpan(span, err)
	}
	if c.metrics != nil {
		c.metrics.observe(verb, began, err)
	}
	return err
}
