package core

import (
	"slices"
	"time"
)

// hedge decides whom a read asks first, and how long it waits for them before it asks
// the others as well. It waits about as long as all but one in fifty need: longer
// where more than that were too slow of the last reads, and less where hardly any was.
type hedge struct {
	after time.Duration
	// reads are counted up to hedgeReads, and of them those that waited in vain.
	reads, late int
	// lagging are nodes that somebody had to be asked besides, and until when they are
	// asked last for that: then one read tries them, and the others wait for what comes
	// of it.
	lagging map[string]time.Time
}

const (
	// hedgeMin and hedgeMax bound the wait: below the one timers cost more than they
	// save, and the other is felt.
	hedgeMin, hedgeMax = 2 * time.Millisecond, 100 * time.Millisecond
	// hedgeOf is the number of reads of which one may be too slow, hedgeReads after how
	// many that is judged.
	hedgeOf, hedgeReads = 50, 200
	// lagFor is how long a node is asked last that was too slow, or refused, unless it
	// answers in time before.
	lagFor = time.Second
)

func newHedge() hedge { return hedge{after: 10 * time.Millisecond, lagging: map[string]time.Time{}} }

// first puts the homes in the order in which a read asks them: self, which needs no
// message, then the others in turns, then those that were slow or have refused. Self
// is empty where this node cannot answer.
func (h *hedge) first(now time.Time, homes []string, self string, turn uint64) []string {
	order := make([]string, 0, len(homes))
	here, others := slices.Index(homes, self), len(homes)
	if here >= 0 {
		order = append(order, self)
		others--
	}
	for _, lagging := range [...]bool{false, true} {
		for i := range others {
			name := homes[(here+1+(i+int(turn%uint64(others)))%others)%len(homes)]
			if now.Before(h.lagging[name]) == lagging {
				order = append(order, name)
			}
		}
	}
	return order
}

// asks notes whom a read asks first. If it is time to try a node again, this read does,
// and no other: all others that come before its answer would wait as long as this one.
func (h *hedge) asks(now time.Time, nodes []string) {
	for _, n := range nodes {
		if at, lags := h.lagging[n]; lags && !now.Before(at) {
			h.avoid(now, n)
		}
	}
}

// enough notes that those who were asked first have answered in time. Who was slow
// once is not asked last as one who always is.
func (h *hedge) enough(nodes []string) {
	if len(h.lagging) > 0 {
		for _, n := range nodes {
			delete(h.lagging, n)
		}
	}
	h.judge(0)
}

// lagged notes that somebody else had to be asked, because these were slow.
func (h *hedge) lagged(now time.Time, peers []string) {
	for _, p := range peers {
		h.avoid(now, p)
	}
	h.judge(1)
}

// avoid has a node asked last for a while: it is slow, or cannot answer now.
func (h *hedge) avoid(now time.Time, name string) { h.lagging[name] = now.Add(lagFor) }

func (h *hedge) judge(late int) {
	h.reads++
	h.late += late
	if h.reads < hedgeReads {
		return
	}
	switch slow := h.late * hedgeOf; {
	case slow > h.reads:
		h.after = min(hedgeMax, h.after+h.after/4)
	case slow < h.reads/2:
		h.after = max(hedgeMin, h.after-h.after/16)
	}
	h.reads, h.late = 0, 0
}
