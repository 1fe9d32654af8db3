package client

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kindredkv/kindred"
)

// WithMetrics counts and times the operations of the client, and registers the
// numbers until Close. Names begin with kindred_client_ and units are base units:
//
//   - kindred_client_operation_seconds{op}, a histogram of whole operations, with
//     retries, failed or not; get, put, delete, and the questions that describe,
//     scan, inspect, repair or ask for a stage;
//   - kindred_client_failures_total{op,code,outcome};
//   - kindred_client_siblings_total, gets that found concurrent values;
//   - kindred_client_operations_total, _attempts_total, _retries_total,
//     _hedges_total and _retries_denied_total, as in [Stats];
//   - kindred_client_nodes{state}, where state is healthy, unmet or doubted, and
//     kindred_client_in_flight, calls that wait for an answer.
//
// Where several clients register, each needs the same label with a value of its
// own, which [prometheus.WrapRegistererWith] adds; without, Dial fails. The default
// is no metrics and no cost.
func WithMetrics(r prometheus.Registerer) Option {
	return func(s *settings) { s.registerer = r }
}

// operationBuckets are in seconds: from a put in memory on one machine to a
// generous deadline, with a factor of about two between them.
func operationBuckets() []float64 {
	return []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10}
}

// metrics is what only a client with metrics counts.
type metrics struct {
	c        *Client
	once     sync.Once // unregister: a later client may have the same names
	seconds  *prometheus.HistogramVec
	failures *prometheus.CounterVec
	siblings prometheus.Counter

	operations, attempts, retries, hedges, denied, nodes, inFlight *prometheus.Desc
}

func newMetrics(c *Client) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("kindred_client_"+name, help, labels, nil)
	}
	return &metrics{
		c: c,
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kindred_client_operation_seconds", Help: "Time of operations with all their retries, failed or not.", Buckets: operationBuckets(),
		}, []string{"op"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kindred_client_failures_total", Help: "Operations that failed, with what is known of their effect.",
		}, []string{"op", "code", "outcome"}),
		siblings: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kindred_client_siblings_total", Help: "Gets that found concurrent values.",
		}),
		operations: desc("operations_total", "Gets, puts and deletes asked for."),
		attempts:   desc("attempts_total", "Questions to nodes that these took."),
		retries:    desc("retries_total", "Attempts after a failed one."),
		hedges:     desc("hedges_total", "Attempts beside a slow one."),
		denied:     desc("retries_denied_total", "Operations that were not retried because the budget was spent."),
		nodes:      desc("nodes", "Nodes that the client can connect to.", "state"),
		inFlight:   desc("in_flight", "Calls that wait for an answer."),
	}
}

// register makes the metrics visible, if they are wanted.
func (c *Client) register() error {
	if c.settings.registerer == nil {
		return nil
	}
	m := newMetrics(c)
	if err := c.settings.registerer.Register(m); err != nil {
		return kindred.Invalid("WithMetrics", "WithMetrics: these metrics are there already, probably of another client: give each client a label with a value of its own by prometheus.WrapRegistererWith (%v)", err)
	}
	c.metrics = m
	return nil
}

// unregister ends what register began.
func (c *Client) unregister() {
	if c.metrics != nil {
		c.metrics.once.Do(func() { c.settings.registerer.Unregister(c.metrics) })
	}
}

// observe takes the end of one operation into account.
func (m *metrics) observe(verb string, began time.Time, err error) {
	m.seconds.WithLabelValues(verb).Observe(time.Since(began).Seconds())
	if err != nil {
		m.failures.WithLabelValues(verb, codeOf(err), kindred.OutcomeOf(err).String()).Inc()
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	m.seconds.Describe(out)
	m.failures.Describe(out)
	m.siblings.Describe(out)
	for _, d := range []*prometheus.Desc{m.operations, m.attempts, m.retries, m.hedges, m.denied, m.nodes, m.inFlight} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.seconds.Collect(out)
	m.failures.Collect(out)
	m.siblings.Collect(out)
	s := m.c.Stats()
	for _, total := range []struct {
		desc *prometheus.Desc
		n    uint64
	}{
		{m.operations, s.Operations}, {m.attempts, s.Attempts}, {m.retries, s.Retries}, {m.hedges, s.Hedges}, {m.denied, s.RetriesDenied},
	} {
		out <- prometheus.MustNewConstMetric(total.desc, prometheus.CounterValue, float64(total.n))
	}
	var states [doubted + 1]int
	var load int64
	for _, n := range m.c.routes.Load().nodes {
		states[n.rank()]++
		load += n.load.Load()
	}
	for r, count := range states {
		out <- prometheus.MustNewConstMetric(m.nodes, prometheus.GaugeValue, float64(count), rank(r).String())
	}
	out <- prometheus.MustNewConstMetric(m.inFlight, prometheus.GaugeValue, float64(load))
}
