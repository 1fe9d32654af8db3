package core

import (
	"container/heap"
	"slices"
	"time"
)

// deadlines is a heap of operations by the time at which they expire. An entry
// stays when its operation ends: taking each out at once would cost more than
// taking out many now and then.
type deadlines struct{ entries deadlineHeap }

// staleDeadlines is the number of entries up to which those that have no
// operation any more do not matter.
const staleDeadlines = 4 << 10

type deadline struct {
	at  time.Time
	seq uint64
}

func (d *deadlines) add(at time.Time, seq uint64) { heap.Push(&d.entries, deadline{at, seq}) }

// forget takes out the entries of operations that have ended, once they are most
// of all. A running operation has two at most: its own, and that of its repair.
func (d *deadlines) forget(running int, runs func(seq uint64) bool) {
	if len(d.entries) < staleDeadlines+4*running {
		return
	}
	d.entries = slices.DeleteFunc(d.entries, func(e deadline) bool { return !runs(e.seq) })
	heap.Init(&d.entries)
}

func (d *deadlines) next() (time.Time, bool) {
	if len(d.entries) == 0 {
		return time.Time{}, false
	}
	return d.entries[0].at, true
}

// due takes the next operation whose time has come.
func (d *deadlines) due(now time.Time) (uint64, bool) {
	if len(d.entries) == 0 || d.entries[0].at.After(now) {
		return 0, false
	}
	return heap.Pop(&d.entries).(deadline).seq, true
}

type deadlineHeap []deadline

func (h deadlineHeap) Len() int { return len(h) }
func (h deadlineHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}
func (h deadlineHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *deadlineHeap) Push(x any)   { *h = append(*h, x.(deadline)) }
func (h *deadlineHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
