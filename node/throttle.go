package node

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// TransferBytesDefault is a half of what a link of a gigabit takes, in a second.
	TransferBytesDefault = 64 << 20
	// TransferSlowdownDefault is in percent.
	TransferSlowdownDefault = 150

	// transferFloor is what is sent in a second however long clients wait: a change ends
	// even under a load that never does.
	transferFloor = 256 << 10
	// transferQuiet is what exchange sends in a second at most where nothing moves.
	transferQuiet = 64 << 10
	// less and more are what the limit is multiplied by from second to second. Raising
	// more, or less, lets it swing further.
	less, more = 0.7, 1.3
	// heldMax bounds how long a question waits: peers turn to somebody else after 4 s.
	heldMax = 2 * time.Second
	// heldLeast is what no timer is set for.
	heldLeast = 2 * time.Millisecond
	// waitsMin is how many waits have to be known before anything is made of them.
	waitsMin = 100
	// sampled: the wait of every so many requests is measured.
	sampled = 4
)

// throttle holds back what this node sends to others that take over partitions, are
// rebuilt, or lack something: their questions wait. It sends so many bytes a second at
// most, and less as long as clients of this node wait longer than they usually do: the
// limit falls below what was sent, second by second, until they do not, and rises again
// after that. What is usual is learnt while nothing moves. Whoever asks is held back by
// core as well, by what it does for clients.
//
// Invariants:
//
//  1. Nothing waits longer than heldMax.
//  2. The limit is never below transferFloor.
type throttle struct {
	// most is in bytes a second, infinite if there is no limit; slowdown is how many times
	// as long as usual clients may wait, 0 if nobody is given way to.
	most, slowdown float64
	waits          waits
	total          atomic.Uint64

	mu    sync.Mutex
	limit float64
	// free is when all that was let go is paid for; size is that of an answer, about.
	free time.Time
	size float64
	// Since looked, sent bytes were sent.
	looked time.Time
	sent   float64
	// usual are waits while nothing moved, lately those while something did, both fading;
	// known are all up to looked.
	usual, lately tally
	known         tally
	// served: clients asked something between the last two looks.
	served bool
}

func newThrottle(bytes int64, percent int) *throttle {
	t := &throttle{most: float64(bytes), slowdown: float64(percent) / 100, size: transferQuiet}
	if bytes == 0 {
		t.most = math.Inf(1)
	}
	t.limit = t.most
	return t
}

// hold says how long a question of a peer has to wait.
func (t *throttle) hold(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free.Before(now) {
		t.free = now
	}
	wait := t.free.Sub(now)
	if wait > heldMax {
		return heldMax
	}
	t.free = t.free.Add(time.Duration(t.size / t.limit * float64(time.Second)))
	if wait < heldLeast {
		return 0
	}
	return wait
}

// answered takes note of an answer that was sent.
func (t *throttle) answered(bytes int) {
	t.total.Add(uint64(bytes))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent += float64(bytes)
	t.size += (float64(bytes) - t.size) / 8
}

// look sets the limit anew. It is to be called about once a second.
func (t *throttle) look(now time.Time) {
	all := t.waits.read()
	t.mu.Lock()
	defer t.mu.Unlock()
	came := all.minus(&t.known)
	rate := t.sent / now.Sub(t.looked).Seconds()
	first := t.looked.IsZero()
	t.known, t.looked, t.sent, t.served = all, now, 0, came.count() > 0
	switch {
	case first || t.slowdown == 0:
	case rate < transferQuiet:
		t.usual.fade(0.95)
		t.usual.plus(&came)
		t.lately, t.limit = tally{}, t.most
	default:
		t.lately.fade(0.5)
		t.lately.plus(&came)
		t.adapt(rate)
		if t.limit == transferFloor { // it is not because of what is sent
			t.usual.fade(0.95)
			t.usual.plus(&came)
		}
	}
}

// adapt moves the limit, of which so much was used.
func (t *throttle) adapt(rate float64) {
	slow := t.usual.count() >= waitsMin && t.lately.count() >= waitsMin && t.lately.p99() > t.slowdown*t.usual.p99()
	switch {
	case slow:
		t.limit = max(transferFloor, less*min(t.limit, rate))
	case t.limit > 4*rate: // something else holds it back
		t.limit = t.most
	default:
		t.limit = min(t.most, more*t.limit)
	}
}

// state is the limit in bytes a second, and whether clients are there.
func (t *throttle) state() (limit float64, serves bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.limit, t.served
}

// The classes of waits: four for each doubling, from 16 µs to some 10 s.
const (
	perDoubling = 4
	waitClasses = 20 * perDoubling
	shortest    = 14 // two to this power of nanoseconds
)

// waits counts how long clients waited. Many goroutines use it at once.
type waits [waitClasses]atomic.Uint64

func (w *waits) add(d time.Duration) { w[waitClass(d)].Add(1) }

func waitClass(d time.Duration) int {
	n := uint64(max(d, 1<<shortest))
	top := bits.Len64(n) - 1
	within := n >> (top - 2) & (perDoubling - 1) // the two bits after the first
	return min((top-shortest)*perDoubling+int(within), waitClasses-1)
}

func (w *waits) read() (t tally) {
	for i := range w {
		t[i] = float64(w[i].Load())
	}
	return t
}

// tally counts waits by class.
type tally [waitClasses]float64

func (t *tally) plus(o *tally) {
	for i := range t {
		t[i] += o[i]
	}
}

func (t tally) minus(o *tally) tally {
	for i := range t {
		t[i] -= o[i]
	}
	return t
}

func (t *tally) fade(share float64) {
	for i := range t {
		t[i] *= share
	}
}

func (t *tally) count() (sum float64) {
	for _, n := range t {
		sum += n
	}
	return sum
}

// p99 is the wait that one in a hundred is beyond, in nanoseconds, to a fifth.
func (t *tally) p99() float64 {
	beyond := t.count() / 100
	for i := waitClasses - 1; i > 0; i-- {
		if beyond -= t[i]; beyond < 0 {
			return math.Ldexp(1+float64(i%perDoubling)/perDoubling, shortest+i/perDoubling)
		}
	}
	return 1 << shortest
}
