package server

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kindredkv/kindred"
)

// codes are the values of the label "code"; a code of none of them is counted
// as the last.
var codes = [...]kindred.Code{
	"ok", kindred.CodeInvalid, kindred.CodeTooLarge, kindred.CodeBadContext, kindred.CodeSiblings,
	kindred.CodeUnavailable, kindred.CodeTimeout, kindred.CodeOverloaded, kindred.CodeWrongRing, kindred.CodeWrongCluster,
	kindred.CodeNoLayout, kindred.CodeDiskFull, kindred.CodeStopping, kindred.CodeUnauthenticated, kindred.CodeInternal,
}

// opsMax is one more than the largest [kindred.Op]; op 0 stands for a call that
// asked for nothing we know.
const opsMax = int(kindred.OpStage) + 1

// metrics has every series made beforehand, so that counting allocates nothing.
type metrics struct {
	requests [opsMax][len(codes)]prometheus.Counter
	seconds  [opsMax]prometheus.Observer
	all      []prometheus.Collector
}

func newMetrics(s *Server) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kindred_requests_total",
		Help: "Operations answered, by operation and by code; ok is success.",
	}, []string{"op", "code"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kindred_request_seconds",
		Help:    "Time from letting an operation in to its answer from the backend.",
		Buckets: prometheus.ExponentialBucketsRange(100e-6, 30, 16),
	}, []string{"op"})
	m := &metrics{all: []prometheus.Collector{
		requests, seconds,
		gauge("kindred_requests_in_flight", "Operations inside the backend.", s.calls.count),
		gauge("kindred_streams_in_flight", "Pipelines and scans that are open, native links among them.", s.streams.count),
		gauge("kindred_native_links", "Native links that are open, or greeting.", s.links.count),
		gauge("kindred_http_body_bytes", "Bytes held for HTTP bodies that are read or worked on.", s.bodyBytes.Load),
		gauge("kindred_http_answer_bytes", "Bytes held for HTTP answers that are being sent.", s.answerBytes.Load),
		gauge("kindred_grpc_answer_bytes", "Bytes held for answers over gRPC and native links that are being sent, beyond what each connection and each stream has to itself.", s.grpcAnswerBytes.Load),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "kindred_refused_callers_total",
			Help: "Callers refused because they showed neither a certificate nor a token that is known.",
		}, func() float64 { return float64(s.strangers.Count()) }),
	}}
	for op := range opsMax {
		name := opName(kindred.Op(op))
		m.seconds[op] = seconds.WithLabelValues(name)
		for i, code := range codes {
			m.requests[op][i] = requests.WithLabelValues(name, string(code))
		}
	}
	return m
}

func gauge[N int | int64](name, help string, value func() N) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
		func() float64 { return float64(value()) })
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, c := range m.all {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

// answered counts one answer; a refusal took no time worth a histogram.
func (m *metrics) answered(op kindred.Op, took time.Duration, err *kindred.Error) {
	m.seconds[op].Observe(took.Seconds())
	m.requests[op][codeIndex(err)].Inc()
}

func (m *metrics) refused(op kindred.Op, err *kindred.Error) {
	m.requests[op][codeIndex(err)].Inc()
}

func codeIndex(err *kindred.Error) int {
	if err == nil {
		return 0
	}
	for i := 1; i < len(codes); i++ {
		if codes[i] == err.Code {
			return i
		}
	}
	return len(codes) - 1
}

func opName(op kindred.Op) string {
	if op == 0 {
		return "unknown"
	}
	return op.String()
}
