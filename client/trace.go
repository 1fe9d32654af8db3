package client

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/kindredkv/kindred"
)

// tracerName is the scope of the spans, as OpenTelemetry names it.
const tracerName = "github.com/kindredkv/kindred/client"

// WithTracerProvider makes a span of every operation, a child of the one in its
// context. An update and a batch have one too, around those of their parts. The
// span of an operation names its verb and its bucket, and of a write the request
// id, but never the key or the value: those belong to users. Each attempt is an
// event, with the node that was asked and whether it was a retry or a hedge; an
// error has its code and its outcome.
//
// The context of a span does not travel to nodes: calls of many spans share a
// message. Nodes and traces meet in the request id.
//
// The default is no span and no cost. The cost of one is that of the provider:
// with a sampler that drops it, little more than its attributes.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(s *settings) {
		s.tracer = nil
		if p != nil {
			s.tracer = p.Tracer(tracerName)
		}
	}
}

// startSpan begins the span of an operation. Without a tracer it is never called.
func (c *Client) startSpan(ctx context.Context, verb, bucket string, more ...attribute.KeyValue) (context.Context, trace.Span) {
	name := verb
	about := []attribute.KeyValue{attribute.String("db.system.name", "kindred"), attribute.String("db.operation.name", verb)}
	if bucket != "" {
		name += " " + bucket
		about = append(about, attribute.String("db.collection.name", bucket))
	}
	return c.settings.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(append(about, more...)...))
}

// endSpan ends a span and says of an error what is known.
func endSpan(span trace.Span, err error) {
	defer span.End()
	if err == nil {
		return
	}
	span.SetStatus(codes.Error, "") // an error names its key
	span.SetAttributes(
		attribute.String("error.type", codeOf(err)),
		attribute.String("kindred.outcome", kindred.OutcomeOf(err).String()),
	)
}

// codeOf is the code of an error, or "other" if it is not ours: the error of a
// merge, for instance.
func codeOf(err error) string {
	if e := (*kindred.Error)(nil); errors.As(err, &e) {
		return string(e.Code)
	}
	return "other"
}

// traced is what the span of a request says beyond its verb and bucket.
func traced(req *kindred.Request) []attribute.KeyValue {
	if req.RequestID.IsZero() {
		return nil
	}
	return []attribute.KeyValue{attribute.String("kindred.request_id", req.RequestID.String())}
}

// traceAttempt notes that a node is asked.
func traceAttempt(span trace.Span, node, kind string) {
	span.AddEvent("attempt", trace.WithAttributes(attribute.String("kindred.node", node), attribute.String("kindred.attempt", kind)))
}

// traceFailure notes that a node did not help.
func traceFailure(span trace.Span, a Attempt) {
	span.AddEvent("attempt failed", trace.WithAttributes(attribute.String("kindred.node", a.Node), attribute.Bool("kindred.unknown", a.Unknown)))
}
