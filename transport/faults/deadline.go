package faults

import (
	"sync"
	"time"
)

// deadline is a moment that can be moved while somebody waits for it.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	// reached is closed at the deadline.
	reached chan struct{}
}

func newDeadline() deadline { return deadline{reached: make(chan struct{})} }

// passed is closed once the deadline is over.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reached
}

// set moves the deadline; the zero time is never. Those who wait go by the new
// one, as in net.Pipe.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.reached // it has fired and is about to say so
	}
	d.timer = nil
	over := false
	select {
	case <-d.reached:
		over = true
	default:
	}
	rest := time.Until(t)
	if !t.IsZero() && rest <= 0 {
		if !over {
			close(d.reached)
		}
		return
	}
	if over {
		d.reached = make(chan struct{})
	}
	if !t.IsZero() {
		reached := d.reached
		d.timer = time.AfterFunc(rest, func() { close(reached) })
	}
}
