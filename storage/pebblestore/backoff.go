package pebblestore

import (
	"sync/atomic"
	"time"
)

// What failed is tried again after the first pause, then after twice as long each
// time, up to the last.
const (
	pauseMin = 100 * time.Millisecond
	pauseMax = time.Minute
)

// backoff counts the failures of one kind of work since it last went well, and
// holds back the next try.
type backoff struct {
	failures atomic.Uint64
	ended    <-chan struct{} // nobody is held back any more
}

func (b *backoff) failed() { b.failures.Add(1) }

func (b *backoff) wentWell() { b.failures.Store(0) }

// pause returns when the work may be tried again.
func (b *backoff) pause() {
	failures := b.failures.Load()
	if failures == 0 {
		return
	}
	timer := time.NewTimer(min(pauseMin<<min(failures-1, 16), pauseMax))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.ended:
	}
}
