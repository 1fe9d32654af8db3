package nemesis

import (
	"context"
	"sync"
	"time"
)

// repeated is a hurt that has to be done again and again. It is embedded.
type repeated struct {
	mu   sync.Mutex
	stop context.CancelFunc
	done chan error
}

// begin calls step until end, or until it fails. Each call says how long to wait
// before the next one.
func (r *repeated) begin(step func(context.Context) (time.Duration, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A stroke hurts and heals with contexts of its own; this one lasts in between.
	ctx, stop := context.WithCancel(context.Background())
	r.stop, r.done = stop, make(chan error, 1)
	go func() {
		for {
			pause, err := step(ctx)
			if err == nil {
				err = wait(ctx, pause)
			}
			if ctx.Err() != nil {
				err = nil // it was cut off, in whatever words it says so
			} else if err == nil {
				continue
			}
			r.done <- err
			return
		}
	}()
}

// end stops it, waits for the last step, and says why a step failed before.
func (r *repeated) end() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop == nil {
		return nil
	}
	r.stop()
	r.stop = nil
	return <-r.done
}
