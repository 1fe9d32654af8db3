package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kindredkv/kindred/bench/load"
	"github.com/kindredkv/kindred/client"
)

const (
	orders = "orders"
	// customers place an order and look up an earlier one, each with a pause.
	customers     = 3
	customerPause = 10 * time.Millisecond
)

// shop counts what its customers do.
type shop struct {
	name   string
	bucket *client.Bucket
	tally  *load.Tally

	closing chan struct{}
	wg      sync.WaitGroup

	mu           sync.Mutex
	acknowledged []item
	// orders placed from then on are read again
	readable []item
	from     time.Time
	reads    int
	failed   int
	first    error
	slowest  time.Duration
}

// openShop lets customers in. They read orders that were placed after the moment
// that readFrom names, or none before it is called: what was written while a cut
// began may be on its other side.
func openShop(ctx context.Context, name string, c *client.Client) *shop {
	s := &shop{name: name, bucket: c.Bucket(orders), tally: load.NewTally(time.Now()), closing: make(chan struct{})}
	for i := range customers {
		s.wg.Go(func() { s.customer(ctx, i) })
	}
	return s
}

func (s *shop) readFrom(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = t
}

// close waits for the customers to end their last operations, so that what they
// wrote is known, and gives the verdict.
func (s *shop) close() error {
	s.leave()
	return s.verdict()
}

// leave sends the customers away.
func (s *shop) leave() {
	close(s.closing)
	s.wg.Wait()
}

// counts are the writes, the reads and the failures until now.
func (s *shop) counts() (writes, reads, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acknowledged), s.reads, s.failed
}

// measured notes how long an operation took.
func (s *shop) measured(kind load.Kind, begin time.Time, err error) {
	sample := load.Sample{Kind: kind, Meant: begin, Begun: begin, Ended: time.Now()}
	if err != nil {
		sample.Failed.Code = "failed"
	}
	s.tally.Add(&sample)
}

func (s *shop) customer(ctx context.Context, id int) {
	for n := 0; ; n++ {
		select {
		case <-s.closing:
			return
		case <-ctx.Done():
			return
		case <-time.After(customerPause):
		}
		s.write(ctx, item{
			bucket: orders, key: fmt.Sprintf("%s-customer-%d-order-%d", s.name, id, n),
			value: fmt.Sprintf(`{"shop":%q,"customer":%d,"order":%d}`, s.name, id, n),
		})
		if it, ok := s.earlier(); ok {
			s.read(ctx, it)
		}
	}
}

// earlier draws one of the orders that must be there.
func (s *shop) earlier() (item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.readable) == 0 {
		return item{}, false
	}
	return s.readable[rand.IntN(len(s.readable))], true
}

func (s *shop) write(ctx context.Context, it item) {
	begin := time.Now()
	_, err := s.bucket.Put(ctx, it.key, []byte(it.value))
	s.measured(load.Put, begin, err)
	if err != nil {
		s.fail(fmt.Errorf("put %s: %w", it.key, err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acknowledged = append(s.acknowledged, it)
	if !s.from.IsZero() && begin.After(s.from) {
		s.readable = append(s.readable, it)
	}
	s.slowest = max(s.slowest, time.Since(begin))
}

func (s *shop) read(ctx context.Context, it item) {
	begin := time.Now()
	obj, err := s.bucket.Get(ctx, it.key)
	var value []byte
	if err == nil {
		value, err = obj.Value()
	}
	if err == nil && string(value) != it.value {
		err = fmt.Errorf("the value is %q, written was %q", value, it.value)
	}
	s.measured(load.Get, begin, err)
	if err != nil {
		s.fail(fmt.Errorf("get %s: %w", it.key, err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	s.slowest = max(s.slowest, time.Since(begin))
}

func (s *shop) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed++
	if s.first == nil {
		s.first = err
	}
}

// verdict fails on one failure, and if too little happened to say anything.
func (s *shop) verdict() error {
	const enough = 100
	switch {
	case s.failed > 0:
		return fmt.Errorf("%s: %d operations failed, and %d writes and %d reads succeeded; the first failure: %w", s.name, s.failed, len(s.acknowledged), s.reads, s.first)
	case min(len(s.acknowledged), s.reads) < enough:
		return errors.New(s.name + ": hardly anything was read or written, which shows nothing")
	}
	return nil
}
