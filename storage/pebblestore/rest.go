package pebblestore

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// workAtOnce is how long a flush or a compaction works between two rests. Raising
	// it lets requests wait for longer, lowering it costs timers.
	workAtOnce = 2 * time.Millisecond
	// restPerWork is how much longer than its work a rest is: a flush takes a ninth of
	// a processor, and a compaction another. Raising it spreads the work, until tables
	// pile up.
	restPerWork = 8
	// restMax bounds a rest, for the work may have waited for a processor itself.
	restMax = 50 * time.Millisecond
	// pressedEvery is how often it is looked at whether there is time to rest.
	pressedEvery = 100 * time.Millisecond
)

// rests keep the background work of Pebble from taking a processor for as long as a
// whole table takes: the replicas of a partition fill alike, so that several stores
// flush and compact in the same moment, and requests wait for all of them. While
// tables pile up or space is short nobody rests.
type rests struct {
	ended   <-chan struct{} // nobody rests any more
	pressed atomic.Pointer[func() bool]
	rested  atomic.Int64 // nanoseconds

	mu     sync.Mutex
	looked time.Time
	hurry  bool
}

// begin lets work rest from now on, unless it is pressed. Until then the store is
// being opened, and somebody waits for that.
func (r *rests) begin(pressed func() bool) { r.pressed.Store(&pressed) }

// of is the work of who writes a file of that category, nil if it does not rest here.
// Logs are waited for, and compactions rest between keys: they may read for long and
// write nothing.
func (r *rests) of(category vfs.DiskWriteCategory) *work {
	if category != "pebble-memtable-flush" {
		return nil
	}
	w := &work{rests: r}
	w.begin()
	return w
}

func (r *rests) hurried(now time.Time) bool {
	pressed := r.pressed.Load()
	if pressed == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.looked) >= pressedEvery {
		r.looked, r.hurry = now, (*pressed)()
	}
	return r.hurry
}

func (r *rests) rest(d time.Duration) {
	began := time.Now()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ended:
	}
	r.rested.Add(int64(time.Since(began)))
}

// work is what rests. One goroutine at a time uses it.
type work struct {
	rests *rests
	since time.Time // when it began, or the last rest ended
}

func (w *work) begin() { w.since = time.Now() }

// pause rests if it is time to.
func (w *work) pause() {
	now := time.Now()
	worked := now.Sub(w.since)
	if worked < workAtOnce {
		return
	}
	if !w.rests.hurried(now) {
		w.rests.rest(min(restPerWork*worked, restMax))
	}
	w.begin()
}
