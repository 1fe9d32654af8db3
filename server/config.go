package server

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/transport/faults"
)

// Backend is what the server needs of a node.
type Backend interface {
	// Do starts an operation. done is called exactly once, from any goroutine,
	// possibly before Do returns; it does not block. The request belongs to the
	// backend, the response to the server.
	Do(req *kindred.Request, done func(*kindred.Response))
	// Cluster is what the node knows of its cluster.
	Cluster() kindred.Cluster
	// Local is what the node knows of itself.
	Local() kindred.Local
	// Replication is what it knows of its replicas. It asks every shard.
	Replication() kindred.Replication
}

// Repairer begins an exchange and an audit of the node's replicas at once.
type Repairer interface {
	// Repair asks for those of one partition, or of kindred.AllPartitions, and
	// returns how many they are. It does not wait for the end.
	Repair(partition int) (replicas int, err *kindred.Error)
}

// Holder says what the node holds of some write events; without any, which of its own
// it does not know to be on the disk of every other home.
type Holder interface {
	Holdings(of []kindred.Holding) (kindred.Holdings, *kindred.Error)
}

// Drainer makes the node refuse requests, or take them again, or end.
type Drainer interface {
	// Drain refuses the requests of clients from now on.
	Drain()
	// Resume takes them again.
	Resume()
	// StopSoon ends the node in order. It does not wait for the end.
	StopSoon()
}

// FaultInjector makes the node's links to its peers fail on purpose.
type FaultInjector interface {
	// Faults is what is wrong now.
	Faults() faults.Plan
	// SetFaults replaces it. An error is a *[faults.PlanError].
	SetFaults(faults.Plan) error
}

// Config is what a [Server] is made of. Only Backend is required: a zero limit
// stands for the default that its comment names.
type Config struct {
	Backend Backend
	// Logger gets one line, at debug level, per failed call. Default: none.
	Logger *slog.Logger
	// Registerer receives the metrics of the server. Default: none.
	Registerer prometheus.Registerer
	// Gatherer is what /metrics shows. Default: /metrics does not exist.
	Gatherer prometheus.Gatherer
	// Faults takes orders at /v1/local/faults. Default: they are refused.
	Faults FaultInjector
	// Buckets keeps the options of buckets. Default: they are refused.
	Buckets BucketKeeper
	// Repairs takes orders for repairs. Default: they are refused.
	Repairs Repairer
	// Holder tells what the node holds. Default: that is refused.
	Holder Holder
	// Drainer takes orders to drain. Default: they are refused.
	Drainer Drainer
	// Founder makes the first layout when it is told to. Default: that is refused.
	Founder Founder
	// Planner changes the layout when it is told to. Default: that is refused.
	Planner Planner
	// Security, if it has certificates, encrypts both doors and lets only those
	// in who have a certificate or a token. Default: plain text, for everybody.
	Security *security.Keeper

	// GRPCOnly takes no native links: clients that ask for one get gRPC. Default:
	// both, at one port.
	GRPCOnly bool

	// ConnectionsMax bounds the open connections of each door; further ones
	// wait in the backlog of the kernel. Each takes a file descriptor and, idle, about
	// 30 KiB, 36 with TLS. Default 16,384.
	ConnectionsMax int
	// StreamsPerConnectionMax bounds the concurrent gRPC calls and HTTP/2
	// requests of one connection; a well-behaved client waits. Default 1,024.
	StreamsPerConnectionMax int
	// StreamsMax bounds the pipelines and scans of all connections; more are
	// refused as overload. Each holds two goroutines and, idle, about 15 KiB; one that
	// is not used for IdleTimeout is ended. Fewer than ConnectionsMax, and clients that
	// say nothing may keep others out. Default 16,384.
	StreamsMax int
	// CallsMax bounds the operations inside the backend, through all doors;
	// more are refused as overload. Raising it costs memory when the backend is
	// slow; lowering it refuses sooner. Default 65,536.
	CallsMax int
	// CallsPerStreamMax bounds the calls of one pipeline that are running or
	// answered but not sent. At the limit the server stops reading the stream.
	// Default 1,024.
	CallsPerStreamMax int
	// UnsentBytesPerStreamMax bounds the answers of one pipeline that wait to be
	// sent: beyond it the server stops reading the stream, so that a client
	// which does not read holds at most this, a message, and the answers then
	// under way.
	// Default 16 MiB.
	UnsentBytesPerStreamMax int
	// BodyBytesMax bounds the HTTP bodies held at once; more are refused as
	// overload. Default 256 MiB.
	BodyBytesMax int64
	// AnswerBytesMax bounds the values and keys of HTTP answers of more than
	// 16 KiB that are being sent: clients that read slowly hold no more than this. More are refused as
	// overload; less than kindred.ObjectBytesMax refuses large objects for ever.
	// gRPC answers have as much again, beyond the 256 KiB that each connection and
	// each stream has to itself; what must be told, of writes and refusals in
	// pipelines, is counted there and never refused. Default 256 MiB.
	AnswerBytesMax int64

	// HeaderTimeout is how long a client may take for a TLS handshake or for
	// the head of an HTTP request. Default 10 s.
	HeaderTimeout time.Duration
	// BodyTimeout is how long an HTTP client may take to send a body. Default
	// 1 min.
	BodyTimeout time.Duration
	// AnswerTimeout is how long an HTTP client may take to read an answer, and a
	// gRPC client one of those in AnswerBytesMax or a message of a stream: then its
	// connection is closed.
	// Default 1 min.
	AnswerTimeout time.Duration
	// IdleTimeout closes connections on which nothing happens, and ends pipelines
	// without calls. Default 5 min.
	IdleTimeout time.Duration
}

// defaults of [Config], in its order.
const (
	defaultConnectionsMax          = 16384
	defaultStreamsPerConnectionMax = 1024
	defaultStreamsMax              = 16384
	defaultCallsMax                = 1 << 16
	defaultCallsPerStreamMax       = 1024
	defaultUnsentBytesPerStreamMax = 16 << 20
	defaultBodyBytesMax            = 256 << 20
	defaultAnswerBytesMax          = 256 << 20
	defaultHeaderTimeout           = 10 * time.Second
	defaultBodyTimeout             = time.Minute
	defaultAnswerTimeout           = time.Minute
	defaultIdleTimeout             = 5 * time.Minute
)

// complete checks the config and fills in what was left to us.
func (c Config) complete() (Config, error) {
	if c.Backend == nil {
		return c, errors.New("server: Config.Backend is nil; it is what answers")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(
		limit("ConnectionsMax", &c.ConnectionsMax, defaultConnectionsMax),
		limit("StreamsPerConnectionMax", &c.StreamsPerConnectionMax, defaultStreamsPerConnectionMax),
		limit("StreamsMax", &c.StreamsMax, defaultStreamsMax),
		limit("CallsMax", &c.CallsMax, defaultCallsMax),
		limit("CallsPerStreamMax", &c.CallsPerStreamMax, defaultCallsPerStreamMax),
		limit("UnsentBytesPerStreamMax", &c.UnsentBytesPerStreamMax, defaultUnsentBytesPerStreamMax),
		limit("BodyBytesMax", &c.BodyBytesMax, defaultBodyBytesMax),
		limit("AnswerBytesMax", &c.AnswerBytesMax, defaultAnswerBytesMax),
		limit("HeaderTimeout", &c.HeaderTimeout, defaultHeaderTimeout),
		limit("BodyTimeout", &c.BodyTimeout, defaultBodyTimeout),
		limit("AnswerTimeout", &c.AnswerTimeout, defaultAnswerTimeout),
		limit("IdleTimeout", &c.IdleTimeout, defaultIdleTimeout),
	)
}

func limit[T int | int64 | time.Duration](name string, v *T, def T) error {
	if *v < 0 {
		return fmt.Errorf("server: Config.%s is %v; use a positive value, or 0 for %v", name, *v, def)
	}
	if *v == 0 {
		*v = def
	}
	return nil
}
