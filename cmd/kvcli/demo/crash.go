package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/local"
)

const (
	orders = "orders"
	victim = "n2"
	// customers write and read one after the other, each with a pause.
	customers     = 8
	customerPause = 8 * time.Millisecond
	// The node is killed, and later started, in the middle of steady work.
	steady   = time.Second
	downtime = 3 * time.Second
)

// crash kills a node under load. No operation may fail, and no write that was
// acknowledged may be missing, then or later.
func (d *demo) crash(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shop := &shop{bucket: d.client.Bucket(orders)}
	var wg sync.WaitGroup
	closing := make(chan struct{})
	for i := range customers {
		wg.Go(func() { shop.customer(ctx, i, closing) })
	}
	err := d.killAndRestart(ctx)
	close(closing)
	wg.Wait()
	if err != nil {
		return err
	}
	if err := shop.verdict(); err != nil {
		return err
	}
	d.expected = append(d.expected, shop.acknowledged...)
	d.say("%s writes and %s reads meanwhile, every write acknowledged, every read right: no failure; the slowest took %s",
		term.Count(int64(len(shop.acknowledged))), term.Count(shop.reads), shop.slowest.Round(time.Millisecond))
	return nil
}

func (d *demo) killAndRestart(ctx context.Context) error {
	if err := pause(ctx, steady); err != nil {
		return err
	}
	n, err := d.cluster.Node(victim)
	if err != nil {
		return err
	}
	if err := d.cluster.Kill(ctx, victim); err != nil {
		return err
	}
	d.say("killed %s (process %d)", victim, n.PID)
	if err := pause(ctx, downtime); err != nil {
		return err
	}
	begin := time.Now()
	if err := d.cluster.Restart(ctx, victim, local.RestartOptions{}); err != nil {
		return err
	}
	d.say("%s was away for %s and is ready again %s after its start", victim, short(downtime), short(time.Since(begin)))
	return pause(ctx, steady)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// shop counts what its customers do.
type shop struct {
	bucket *client.Bucket

	mu           sync.Mutex
	acknowledged []item
	reads        int64
	failed       int64
	first        error
	slowest      time.Duration
}

// customer places an order and looks up one of its earlier ones, until closing
// time. It ends its last operation, so that what it wrote is known.
func (s *shop) customer(ctx context.Context, id int, closing <-chan struct{}) {
	var mine []item
	for n := 0; ; n++ {
		select {
		case <-closing:
			return
		case <-time.After(customerPause):
		}
		it := item{orders, fmt.Sprintf("customer-%d-order-%d", id, n), fmt.Sprintf(`{"customer":%d,"order":%d}`, id, n)}
		if !s.write(ctx, it) {
			continue
		}
		mine = append(mine, it)
		s.read(ctx, mine[rand.IntN(len(mine))])
	}
}

func (s *shop) write(ctx context.Context, it item) bool {
	begin := time.Now()
	if _, err := s.bucket.Put(ctx, it.key, []byte(it.value)); err != nil {
		s.fail(fmt.Errorf("put %s: %w", it.key, err))
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acknowledged = append(s.acknowledged, it)
	s.slowest = max(s.slowest, time.Since(begin))
	return true
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
	done := int64(len(s.acknowledged)) + s.reads
	switch {
	case s.failed > 0:
		return fmt.Errorf("%d operations failed and %d succeeded while a node was down; the first failure: %w", s.failed, done, s.first)
	case done < enough:
		return errors.New("hardly anything was read or written meanwhile, which shows nothing")
	}
	return nil
}
