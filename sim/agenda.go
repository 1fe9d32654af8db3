package sim

import "time"

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
	a.entries.push(entry{a.now + max(d, 0), a.planned, do})
}

// step lets the next thing happen. It reports false if there is none.
func (a *agenda) step() bool {
	if len(a.entries) == 0 {
		return false
	}
	e := a.entries.pop()
	a.now = e.at
	e.do()
	return true
}

// entries are a heap, the first entry on top. It is written out because
// container/heap allocates for every entry, and a run has millions.
type entries []entry

func (e entry) before(o entry) bool {
	if e.at == o.at {
		return e.order < o.order
	}
	return e.at < o.at
}

func (h *entries) push(e entry) {
	*h = append(*h, e)
	all, i := *h, len(*h)-1
	for i > 0 {
		parent := (i - 1) / 2
		if all[parent].before(e) {
			break
		}
		all[i], i = all[parent], parent
	}
	all[i] = e
}

func (h *entries) pop() entry {
	all := *h
	top, last := all[0], all[len(all)-1]
	all[len(all)-1] = entry{}
	all = all[:len(all)-1]
	*h = all
	if len(all) > 0 {
		all.sink(last)
	}
	return top
}

// sink puts e where the top was, and lower until nothing below comes before it.
func (h entries) sink(e entry) {
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if e.before(h[child]) {
			break
		}
		h[i], i = h[child], child
	}
	h[i] = e
}
