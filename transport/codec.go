package transport

import (
	"fmt"
	"sync"

	"google.golang.org/grpc/mem"
)

// rawCodec hands frames to gRPC as they are. Sending: the frame's buffer goes
// out without a copy and returns to the pool when gRPC has written it.
// Receiving: the pieces that gRPC read are copied once, into a buffer that
// then belongs to the receiver.
type rawCodec struct{ frames *framePool }

// Name is part of the content type: application/grpc+frame.
func (rawCodec) Name() string { return "frame" }

// Marshal implements encoding.CodecV2 for a *[]byte.
func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	frame, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("transport: cannot send a %T", v)
	}
	return mem.BufferSlice{mem.NewBuffer(frame, c.frames)}, nil
}

// Unmarshal implements encoding.CodecV2 for a *[]byte.
func (c rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	frame, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("transport: cannot receive a %T", v)
	}
	*frame = data.Materialize()
	return nil
}

// framePool recycles the buffers of sent frames.
type framePool struct {
	pool sync.Pool
	// largest is the capacity above which a buffer is left to the collector.
	largest int
}

// smallestBuffer is above the size below which gRPC would not give a buffer
// back.
const smallestBuffer = 4 << 10

// get returns a buffer of any length with room for size bytes.
func (p *framePool) get(size int) []byte {
	if size <= p.largest {
		if b, ok := p.pool.Get().(*[]byte); ok && cap(*b) >= size {
			return *b
		}
	}
	return make([]byte, 0, max(size, smallestBuffer))
}

// Get implements mem.BufferPool.
func (p *framePool) Get(length int) *[]byte {
	b := p.get(length)[:length]
	return &b
}

// Put implements mem.BufferPool: gRPC has written the frame.
func (p *framePool) Put(b *[]byte) {
	if c := cap(*b); c >= smallestBuffer && c <= p.largest {
		p.pool.Put(b)
	}
}
