package transport

import "sync"

// buffer is what a frame is built in. It is handled by reference, so that it comes
// from the pool and goes back to it without an allocation.
type buffer struct{ b []byte }

// framePool recycles the buffers of sent frames.
type framePool struct {
	pool sync.Pool
	// largest is the capacity above which a buffer is left to the collector.
	largest int
}

// smallestBuffer spares small frames from growing, and the pool from buffers that
// the next frame cannot use.
const smallestBuffer = 4 << 10

// get returns a buffer with room for size bytes.
func (p *framePool) get(size int) *buffer {
	if size <= p.largest {
		if f, ok := p.pool.Get().(*buffer); ok && cap(f.b) >= size {
			return f
		}
	}
	return &buffer{make([]byte, 0, max(size, smallestBuffer))}
}

// put takes a buffer back whose frame has been sent.
func (p *framePool) put(f *buffer) {
	if cap(f.b) <= p.largest {
		p.pool.Put(f)
	}
}
