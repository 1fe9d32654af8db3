package contest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/bench/peers/loop"
)

const (
	// Nodes is the size of every cluster.
	Nodes = 3
	// Callers ask at once when it is about throughput.
	Callers = 64
	// keys are there to be read.
	keys = 10_000
	// patience is how long a cluster may take to be ready.
	patience = time.Minute
)

// Contestant is a store or a floor that runs.
type Contestant struct {
	Name, Version string
	// PIDs are its processes.
	PIDs      []int
	Questions []Question

	closers []func()
}

// Close ends its processes, in the opposite order of their starts.
func (c *Contestant) Close() {
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
	c.closers = nil
}

func (c *Contestant) onClose(f func()) { c.closers = append(c.closers, f) }

// Question is one thing that a contestant can be asked.
type Question struct {
	// Name is unique: contestant/what@how.
	Name string
	// Quality says what an answer means.
	Quality string
	Callers int
	// HalfOf names an earlier question of the same round: this one is asked in an
	// open loop, at half of its throughput. Empty is a closed loop.
	HalfOf string
	// Ask runs a load.
	Ask func(ctx context.Context, l loop.Load) (loop.Result, error)
	// Before and After are not measured. They may be nil.
	Before, After func(ctx context.Context) error
}

// ask adds a question whose answers are had by calling op.
func (c *Contestant) ask(what string, callers int, quality string, op loop.Op) *Question {
	c.Questions = append(c.Questions, Question{
		Name: fmt.Sprintf("%s/%s@%d", c.Name, what, callers), Quality: quality, Callers: callers,
		Ask: func(ctx context.Context, l loop.Load) (loop.Result, error) { return loop.Run(ctx, l, op), nil },
	})
	return &c.Questions[len(c.Questions)-1]
}

// askOpen adds a question of an open loop.
func (c *Contestant) askOpen(what, halfOf, quality string, op loop.Op) {
	q := c.ask(what, loop.OpenCallers, quality, op)
	q.Name, q.HalfOf = c.Name+"/"+what+"@open", halfOf
}

// busy is for how long puts come before a question that is asked while a store is still at
// work on them.
const busy = 2 * time.Second

// askBusy adds a question that comes right after many puts: what flushes and compactions
// they have left is done meanwhile, and charged to the answers.
func (c *Contestant) askBusy(what, quality string, op, put loop.Op) {
	q := c.ask(what+" after puts", Callers, quality, op)
	q.Before = func(ctx context.Context) error {
		r := loop.Run(ctx, loop.Load{Callers: Callers, Time: busy}, put)
		if r.Failed > 0 {
			return fmt.Errorf("%d of the puts before it failed: %s", r.Failed, r.Failure)
		}
		return nil
	}
}

// MissingError says that a contestant cannot be started for want of something.
type MissingError struct{ Name, Why string }

func (e *MissingError) Error() string { return e.Name + " is missing: " + e.Why }

// fresh makes keys that nobody has used.
func fresh(family string) func() string {
	var n atomic.Int64
	return func() string { return family + strconv.FormatInt(n.Add(1), 10) }
}

// there is the name of a key that was stored before.
func there(n int64) string { return "there" + strconv.FormatInt(n%keys, 10) }

// fill stores the keys that are read later. The first failures are forgiven, since a
// cluster may say that it is ready a little early.
func fill(ctx context.Context, count int64, put func(ctx context.Context, caller int, key string) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := eventually(ctx, func(ctx context.Context) error { return put(ctx, 0, there(0)) }); err != nil {
		return fmt.Errorf("no key could be stored: %w", err)
	}
	var next atomic.Int64
	failures := make(chan error, Callers)
	for caller := range Callers {
		go func() {
			for n := next.Add(1); n < count; n = next.Add(1) {
				if err := put(ctx, caller, there(n)); err != nil {
					failures <- err
					return
				}
			}
			failures <- nil
		}()
	}
	var first error
	for range Callers {
		first = errors.Join(first, <-failures)
	}
	return first
}

// eventually tries until it works, or until ctx ends.
func eventually(ctx context.Context, try func(context.Context) error) error {
	const pause, once = 100 * time.Millisecond, 5 * time.Second
	for {
		attempt, cancel := context.WithTimeout(ctx, once)
		err := try(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; the last attempt: %w", context.Cause(ctx), err)
		case <-time.After(pause):
		}
	}
}
