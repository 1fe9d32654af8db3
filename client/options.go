package client

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/kindredkv/kindred"
)

// Limits and defaults of the client.
const (
	// TimeoutDefault bounds a call whose context has no deadline.
	TimeoutDefault = 10 * time.Second
	// OutstandingDefault bounds the calls in flight to one node. Further calls
	// wait on their own context.
	OutstandingDefault = 4096
	// HedgeAfterDefault is when a second node is asked for a slow get, until
	// enough gets have been timed to know better.
	HedgeAfterDefault = 50 * time.Millisecond
	// RefreshDefault is how often the client looks for a new layout and new
	// members when nothing goes wrong.
	RefreshDefault = 10 * time.Second
	// NodesMax bounds the connections of a client. Members beyond it are
	// reached through the others.
	NodesMax = 1024
)

// settings are the choices made at Dial.
type settings struct {
	timeout     time.Duration
	refresh     time.Duration
	hedgeAfter  time.Duration
	hedging     bool
	grpcOnly    bool
	outstanding int
	log         *slog.Logger
	tls         *tls.Config
	token       string
	dial        func(ctx context.Context, addr string) (net.Conn, error)
	tracer      trace.Tracer          // nil: no spans
	registerer  prometheus.Registerer // nil: no metrics
}

// Option is a choice made at [Dial].
type Option func(*settings)

// WithTimeout bounds Dial, and calls that have neither a [Timeout] of their own
// nor a context with a deadline. Lower it to fail sooner; below about 750 ms
// a frozen node leaves less than two further attempts.
func WithTimeout(d time.Duration) Option {
	return func(s *settings) { s.timeout = d }
}

// WithTLS encrypts every connection. Without it connections are in plain text. The
// config holds the authorities whose nodes are trusted, and the certificate that
// this client shows, if it does not use a token; package security reads both from
// files.
func WithTLS(c *tls.Config) Option {
	return func(s *settings) { s.tls = c }
}

// WithToken shows a token to every node, for clients without a certificate. It
// needs [WithTLS].
func WithToken(token string) Option {
	return func(s *settings) { s.token = token }
}

// WithLogger makes the client say when nodes come and go and when the layout
// changes. The default is silence.
func WithLogger(l *slog.Logger) Option {
	return func(s *settings) { s.log = l }
}

// WithHedgeAfter fixes the time after which a slow get asks a second node. The
// default follows the slowest twentieth of recent gets.
func WithHedgeAfter(d time.Duration) Option {
	return func(s *settings) { s.hedging, s.hedgeAfter = true, d }
}

// WithoutHedging makes gets wait for one node at a time.
func WithoutHedging() Option {
	return func(s *settings) { s.hedging = false }
}

// WithOutstanding bounds the calls in flight to one node. Raising it costs the
// node memory; lowering it below the latency times the rate wanted costs
// throughput.
func WithOutstanding(n int) Option {
	return func(s *settings) { s.outstanding = n }
}

// WithRefresh sets how often the client asks for the layout and the members
// when nothing goes wrong; a lost connection or a wrong_ring asks at once.
func WithRefresh(d time.Duration) Option {
	return func(s *settings) { s.refresh = d }
}

// WithGRPCOnly sends everything over gRPC. By default gets, puts and deletes take the
// native link, which costs less, wherever a node speaks it. Both are at one port and
// do the same: choose this for what looks into HTTP/2 on the way.
func WithGRPCOnly() Option {
	return func(s *settings) { s.grpcOnly = true }
}

// WithDialer opens connections by f instead of TCP: for tunnels and tests.
func WithDialer(f func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return func(s *settings) { s.dial = f }
}

func newSettings(opts []Option) (settings, error) {
	s := settings{
		timeout: TimeoutDefault, refresh: RefreshDefault, outstanding: OutstandingDefault,
		hedging: true, log: slog.New(slog.DiscardHandler),
	}
	for _, opt := range opts {
		opt(&s)
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"WithTimeout", s.timeout}, {"WithRefresh", s.refresh}} {
		if d.d <= 0 {
			return s, kindred.Invalid(d.name, "%s(%v): the time must be positive", d.name, d.d)
		}
	}
	if s.token != "" && s.tls == nil {
		return s, kindred.Invalid("WithToken", "WithToken without WithTLS: whoever is on the way could read the token and use it")
	}
	if s.hedgeAfter < 0 {
		return s, kindred.Invalid("WithHedgeAfter", "WithHedgeAfter(%v): the time cannot be negative; WithoutHedging turns hedging off", s.hedgeAfter)
	}
	if s.outstanding < 1 {
		return s, kindred.Invalid("WithOutstanding", "WithOutstanding(%d): at least one call must be allowed", s.outstanding)
	}
	return s, nil
}

// CallOption is a choice for one call, or for all calls of a [Bucket].
type CallOption func(*kindred.Request)

// R is how many replicas must answer a get.
func R(n kindred.Count) CallOption { return func(q *kindred.Request) { q.R = n } }

// PR is how many of them must be home replicas.
func PR(n kindred.Count) CallOption { return func(q *kindred.Request) { q.PR = n } }

// W is how many replicas must hold a write.
func W(n kindred.Count) CallOption { return func(q *kindred.Request) { q.W = n } }

// PW is how many of them must be home replicas.
func PW(n kindred.Count) CallOption { return func(q *kindred.Request) { q.PW = n } }

// Sloppy lets guests count, nodes that stand in for home replicas which cannot be
// reached. That is the default of a bucket: a write succeeds where enough nodes can
// be reached, and is read everywhere once the homes have it.
func Sloppy() CallOption { return func(q *kindred.Request) { q.Sloppy = kindred.Sloppy } }

// Strict lets only home replicas count. With R + W > N every strict get sees every
// strict write that was acknowledged.
func Strict() CallOption { return func(q *kindred.Request) { q.Sloppy = kindred.Strict } }

// Durability is what "hold" means for a write.
func Durability(d kindred.Durability) CallOption {
	return func(q *kindred.Request) { q.Durability = d }
}

// Timeout bounds one call with all its retries, like an earlier deadline of
// its context would.
func Timeout(d time.Duration) CallOption { return func(q *kindred.Request) { q.Timeout = d } }

// ContentType is stored with the value and returned with it.
func ContentType(s string) CallOption { return func(q *kindred.Request) { q.ContentType = s } }

// TTL makes the value of a put expire that long after it, by the clock of the
// node that coordinates it. Retries of a put that was coordinated already leave
// its expiry as it is.
func TTL(d time.Duration) CallOption { return func(q *kindred.Request) { q.TTL = d } }

// ExpiresAt makes the value of a put expire at t.
func ExpiresAt(t time.Time) CallOption { return func(q *kindred.Request) { q.ExpiresAt = t } }

// RequestID names the intention behind a write. Every write has a random one
// by default, and its retries share it; pass one to extend that to repetitions
// of your own, for instance after a restart. Two different puts, or two different
// deletes, must never share an id: the second would be answered as done. A put
// and a delete may.
func RequestID(id kindred.RequestID) CallOption {
	return func(q *kindred.Request) { q.RequestID = id }
}

// Seen makes a write replace what an earlier read or write of this key saw,
// and nothing else. Without it a put adds a value beside those that exist and
// a delete removes nothing.
func Seen(c Context) CallOption {
	return func(q *kindred.Request) { q.Context = []byte(c.token) }
}

// ScanOption is a choice for a scan.
type ScanOption func(*kindred.Scan)

// Prefix selects the keys that begin with p.
func Prefix(p string) ScanOption { return func(s *kindred.Scan) { s.Prefix = p } }

// Cursor goes on where [Page] ended.
func Cursor(c []byte) ScanOption { return func(s *kindred.Scan) { s.Cursor = c } }

// Limit ends a scan after n keys.
func Limit(n int) ScanOption { return func(s *kindred.Scan) { s.Limit = n } }

// ConflictsOnly selects the keys that have siblings.
func ConflictsOnly() ScanOption { return func(s *kindred.Scan) { s.ConflictsOnly = true } }
