package history

import (
	"sync"
	"time"

	kindred "github.com/kindredkv/kindred"
)

// Recorder collects the ops of many clients. The zero Recorder is ready for
// use, by several goroutines at once.
type Recorder struct {
	mu sync.Mutex
	// pieces hold pieceOps each but for the last: ops are large, and one slice of all
	// would be copied again and again as it grows.
	pieces [][]recorded
	count  int
}

type recorded struct {
	op   Op
	done bool
}

const pieceOps = 1024

// Begin notes that an op has been sent, and returns its number. It must be
// called before the request leaves: a request that was sent and never answered
// may have taken effect, and has to be in the history.
func (r *Recorder) Begin(op Op) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count%pieceOps == 0 {
		r.pieces = append(r.pieces, make([]recorded, 0, pieceOps))
	}
	last := &r.pieces[len(r.pieces)-1]
	*last = append(*last, recorded{op: op})
	r.count++
	return r.count - 1
}

// End completes the op of that number.
func (r *Recorder) End(number int, complete func(*Op)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	op := &r.pieces[number/pieceOps][number%pieceOps]
	complete(&op.op)
	op.done = true
}

// History returns what has been recorded. An op without an end is of unknown
// outcome and lasts until end.
func (r *Recorder) History(header Header, end time.Duration) History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := History{Header: header, Ops: make([]Op, 0, r.count)}
	for _, piece := range r.pieces {
		for _, o := range piece {
			if !o.done {
				o.op.Outcome, o.op.Complete = kindred.Unknown, max(end, o.op.Invoke)
			}
			h.Ops = append(h.Ops, o.op)
		}
	}
	return h
}
