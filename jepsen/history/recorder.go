package history

import (
	"slices"
	"sync"
	"time"

	kindred "github.com/kindredkv/kindred"
)

// Recorder collects the ops of many clients. The zero Recorder is ready for
// use, by several goroutines at once.
type Recorder struct {
	mu   sync.Mutex
	ops  []Op
	done []bool
}

// Begin notes that an op has been sent, and returns its number. It must be
// called before the request leaves: a request that was sent and never answered
// may have taken effect, and has to be in the history.
func (r *Recorder) Begin(op Op) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
	r.done = append(r.done, false)
	return len(r.ops) - 1
}

// End completes the op of that number.
func (r *Recorder) End(number int, complete func(*Op)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	complete(&r.ops[number])
	r.done[number] = true
}

// History returns what has been recorded. An op without an end is of unknown
// outcome and lasts until end.
func (r *Recorder) History(header Header, end time.Duration) History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := History{Header: header, Ops: slices.Clone(r.ops)}
	for i := range h.Ops {
		if !r.done[i] {
			h.Ops[i].Outcome, h.Ops[i].Complete = kindred.Unknown, max(end, h.Ops[i].Invoke)
		}
	}
	return h
}
