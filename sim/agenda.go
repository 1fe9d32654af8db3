package sim

import (
	"container/heap"
	"time"
)

// agenda is the order of everything that will happen. Two things due at one
// instant happen in the order in which they were planned, so that a run has
// exactly one order.
type agenda struct {
	now     time.Duration
	planned uint64
	entries entries
}

type entry struct {
	at    time.Duration
	order uint64
	do    func()
}

func (a *agenda) after(d time.Duration, do func()) {
	a.planned++
	heap.Push(&a.entries, entry{a.now + max(d, 0), a.planned, do})
}

// step lets the next thing happen. It reports false if there is none.
func (a *agenda) step() bool {
	if len(a.entries) == 0 {
		return false
	}
	e := heap.Pop(&a.entries).(entry)
	a.now = e.at
	e.do()
	return true
}

type entries []entry

func (h entries) Len() int { return len(h) }
func (h entries) Less(i, j int) bool {
	if h[i].at == h[j].at {
		return h[i].order < h[j].order
	}
	return h[i].at < h[j].at
}
func (h entries) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *entries) Push(x any)   { *h = append(*h, x.(entry)) }
func (h *entries) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = entry{}
	*h = old[:len(old)-1]
	return last
}
