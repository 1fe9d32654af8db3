package core

import (
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

func (d *deadlines) add(at time.Time, seq uint64) {
	d.entries = append(d.entries, deadline{at, seq})
	d.entries.up(len(d.entries) - 1)
}

// forget takes out the entries of operations that have ended, once they are most
// of all. A running operation has two at most: its own, and that of its repair.
func (d *deadlines) forget(running int, runs func(seq uint64) bool) {
	if len(d.entries) < staleDeadlines+4*running {
		return
	}
	d.entries = slices.DeleteFunc(d.entries, func(e deadline) bool { return !runs(e.seq) })
	for i := len(d.entries)/2 - 1; i >= 0; i-- {
		d.entries.down(i)
	}
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
	first, last := d.entries[0], len(d.entries)-1
	d.entries[0] = d.entries[last]
	d.entries = d.entries[:last]
	d.entries.down(0)
	return first.seq, true
}

// deadlineHeap is a heap of its own because that of the library puts every entry on
// Go's heap.
type deadlineHeap []deadline

func (h deadlineHeap) less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}

// up moves an entry to its place among those before it.
func (h deadlineHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// down moves an entry to its place among those behind it.
func (h deadlineHeap) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
