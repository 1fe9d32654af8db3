package client

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Client is a connection to a cluster. It is safe for many goroutines, and
// many goroutines are how it is meant to be used: calls that are made at the
// same time share messages.
type Client struct {
	settings settings
	seeds    []string
	routes   atomic.Pointer[routes]
	turn     atomic.Uint32
	waiters  sync.Pool
	retries  *budget
	hedges   *budget
	latency  *quantile
	counters counters
	metrics  *metrics // nil if nobody wants them

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	soon   chan struct{} // one slot: refresh after a moment
	news   chan struct{} // one slot: refresh at once, ahead has another layout
	ahead  atomic.Pointer[node]
}

// Dial connects to a cluster through any of its nodes, given as host:port, and
// learns the others from the first that answers. An address without a port has
// [PortDefault]. It fails with a *[DialError] when none answers before ctx ends, or
// within [TimeoutDefault].
func Dial(ctx context.Context, addrs []string, opts ...Option) (*Client, error) {
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	if s.dial == nil { // a dialer may have names of its own
		if addrs, err = seedAddrs(addrs); err != nil {
			return nil, err
		}
	}
	c := &Client{
		settings: s, seeds: addrs, soon: make(chan struct{}, 1), news: make(chan struct{}, 1),
		retries: newBudget(retryRatio, retryBurst), hedges: newBudget(hedgeRatio, hedgeBurst),
		latency: newQuantile(HedgeAfterDefault),
	}
	c.waiters.New = newWaiter
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.routes.Store(newRoutes("", nil, 0, nil))
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := c.askSeeds(ctx)
	if err == nil {
		err = c.learn(found)
	}
	if err == nil {
		err = c.register()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.wg.Go(c.refresh)
	return c, nil
}

// Close ends every call with [ErrClosed], closes every connection and waits
// until all of it is gone. It may be called twice.
func (c *Client) Close() error {
	c.cancel()
	c.unregister()
	c.wg.Wait()
	for _, n := range c.routes.Swap(newRoutes("", nil, 0, nil)).nodes {
		n.close()
	}
	return nil
}

// Bucket returns a bucket. It need not exist: an unknown bucket has the
// defaults. The options hold for every call of it.
func (c *Client) Bucket(name string, opts ...CallOption) *Bucket {
	return &Bucket{c: c, name: name, opts: opts}
}

// hedgeAfter is when a get that has no answer yet asks a second node.
func (c *Client) hedgeAfter() time.Duration {
	if c.settings.hedgeAfter > 0 {
		return c.settings.hedgeAfter
	}
	return c.latency.value()
}

// Stats are totals since Dial.
type Stats struct {
	// Operations were asked for; Attempts is how many questions to nodes they
	// took.
	Operations, Attempts uint64
	// Retries are attempts after a failed one, Hedges attempts beside a slow
	// one, RetriesDenied operations that failed because the retry budget was
	// spent.
	Retries, Hedges, RetriesDenied uint64
}

// Stats returns totals since Dial.
func (c *Client) Stats() Stats {
	return Stats{
		Operations: c.counters.operations.Load(), Attempts: c.counters.attempts.Load(),
		Retries: c.counters.retries.Load(), Hedges: c.counters.hedges.Load(),
		RetriesDenied: c.counters.denied.Load(),
	}
}

type counters struct{ operations, attempts, retries, hedges, denied atomic.Uint64 }
