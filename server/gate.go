package server

import (
	"fmt"
	"sync"

	"github.com/kindredkv/kindred"
)

// gate counts what is inside, refuses what would be too much, and can be
// closed: then nothing enters and idle reports when the last one left.
type gate struct {
	what string
	max  int

	mu     sync.Mutex
	inside int
	closed bool
	idle   chan struct{}
}

func newGate(what string, max int) *gate {
	return &gate{what: what, max: max, idle: make(chan struct{})}
}

// enter lets one in, or says why not; then nothing was applied.
func (g *gate) enter() *kindred.Error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return stopping()
	case g.inside >= g.max:
		return &kindred.Error{
			Code: kindred.CodeOverloaded, Limit: int64(g.max), Outcome: kindred.NotApplied,
			Message: fmt.Sprintf("the node already has %d %s, its limit: try again, or another node", g.max, g.what),
		}
	}
	g.inside++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.settle()
}

// close lets nothing more in. It may be called again.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		g.settle()
	}
}

func (g *gate) settle() {
	if g.closed && g.inside == 0 {
		close(g.idle)
	}
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}

func stopping() *kindred.Error {
	return &kindred.Error{
		Code: kindred.CodeStopping, Outcome: kindred.NotApplied,
		Message: "the node is shutting down: ask another one",
	}
}
