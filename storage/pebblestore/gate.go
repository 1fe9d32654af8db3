package pebblestore

import "sync"

// gate counts the calls inside a store or a snapshot, so that closing it can wait
// for them. It is not a read-write lock on purpose: a call may take as long as
// the disk does, and nobody but the one who closes should wait for that.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

// enter reports whether the gate is open. If it is, leave must follow.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside.Add(1)
	return true
}

func (g *gate) leave() { g.inside.Done() }

// close lets nobody in any more and reports whether this call was the first.
func (g *gate) close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !g.closed
	g.closed = true
	return first
}

// wait returns when everybody inside has left. The gate has to be closed.
func (g *gate) wait() { g.inside.Wait() }
