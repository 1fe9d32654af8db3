package core

import (
	"container/heap"
	"time"
)

// deadlines is a heap of operations by the time at which they expire. An entry
// stays until its time has come, even if its operation ended long before: taking
// it out early would cost more than passing over it.
type deadlines struct{ entries deadlineHeap }

type deadline struct {
	at  time.Time
	seq uint64
}

func (d *deadlines) add(at time.Time, seq uint64) { heap.Push(&d.entries, deadline{at, seq}) }

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
