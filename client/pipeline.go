package client

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/api/native"
)

// Limits of one message of a pipeline.
const (
	batchCallsMax = 256
	// batchBytesMax is about the values of one message; a larger value travels
	// alone.
	batchBytesMax = 1 << 20
	// reconnectMin and reconnectMax bound the back-off of a lost stream.
	reconnectMin = 20 * time.Millisecond
	reconnectMax = time.Second
	// restAfter is the pause between two looks at whether a stream is used. After
	// two without a call between them the stream is let go until there is one: it
	// costs the node memory and a place among its streams.
	restAfter = 30 * time.Second
	// farewellMax is how long a stream that is let go may take to end in order.
	farewellMax = time.Second
)

var (
	// errRetired is the fate of calls to a node that is no longer used, or whose
	// client was closed.
	errRetired = errors.New("the node is no longer used")
	// errRested is the end of a stream that nobody used.
	errRested = errors.New("the stream was not used")
	// errInOrder is the end of a stream for a reason, after which nothing is owed.
	errInOrder = errors.New("the node has ended the stream")
)

// stream carries calls to a node and results back: over gRPC, or a native link.
type stream interface {
	// Send gives calls to the node; it is done with them when it returns. If it
	// fails, Recv ends by itself and knows why, and whether they were seen.
	Send([]*call) error
	// Recv returns the next results, valid until it is called again. The error is
	// io.EOF, or wraps errInOrder, if the node has answered all that it let in.
	Recv() ([]native.Result, error)
	// CloseSend says that there are no more calls.
	CloseSend() error
	// Limit is how many calls the node wants at a time; 0 if it does not say.
	Limit() int
}

// peer is the node at the other end, as a pipeline needs it.
type peer interface {
	// open makes a stream that ends with ctx.
	open(ctx context.Context) (stream, error)
	// opened, heard and broke tell what the pipeline learns of the node; owing
	// is set while it has further answers to give.
	opened(owing bool)
	heard(owing bool)
	broke(err error)
}

// pipeline carries calls to one node over one stream at a time. Callers append
// to a queue and wake the writer, which sends all that has gathered as one
// message; the reader settles calls as results come, in any order. When the
// stream breaks, every call in it is settled as lost and the pipeline connects
// again by itself. A stream that nobody uses is ended, by either side; the next
// call opens another.
//
// Invariants, under mu:
//
//  1. A call is in the queue, in flight, or over.
//  2. A call that was never in flight was not seen by the node.
//  3. At most limit calls are in flight, with those that were given up: the node has
//     them until it has answered. Callers in the queue wait on their own context, so
//     the queue is as long as there are callers.
//  4. A stream that is let go has no call in flight, and takes none from the
//     queue any more.
//  5. A node that ends a stream in order, with a reason or without, has answered
//     all that it let in: what is in flight then, it has not seen.
//  6. Once a call was given to a stream its fate is unknown until the node says
//     otherwise, whether or not all of it has left.
type pipeline struct {
	peer  peer
	limit int

	wake chan struct{} // one slot: there may be something to send
	up   atomic.Bool   // there is a stream
	// resting: there is none, because nobody had a call for it.
	resting atomic.Bool

	mu    sync.Mutex
	queue callList
	// inFlight are the calls that the node has; nil for those that were given up, of
	// which there are so many.
	inFlight map[uint64]*call
	givenUp  int
	lastID   uint64
	closed   bool
	// allowed is limit, or less if the node wants fewer calls.
	allowed int
}

// newPipeline makes a pipeline; it works while run runs.
func newPipeline(limit int, to peer) *pipeline {
	return &pipeline{peer: to, limit: limit, allowed: limit, wake: make(chan struct{}, 1), inFlight: make(map[uint64]*call)}
}

// submit queues a call. Its reply comes on call.replies unless it is forgotten.
func (p *pipeline) submit(c *call) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		c.settle(reply{call: c, err: errRetired})
		return
	}
	p.lastID++
	c.id = p.lastID
	c.state = queued
	p.queue.push(c)
	p.mu.Unlock()
	p.poke()
}

// forget gives up a call. It reports how far the call had come; over means
// that its reply is in call.replies or about to be.
func (p *pipeline) forget(c *call) callState {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := c.state
	switch was {
	case queued:
		p.queue.remove(c)
	case flying:
		p.inFlight[c.id] = nil
		p.givenUp++
	}
	c.state = over
	return was
}

// run connects, serves and connects again until ctx ends.
func (p *pipeline) run(ctx context.Context) {
	defer p.drop(errRetired, true, true)
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := p.session(ctx)
		if time.Since(began) > reconnectMax {
			failures = 0
		}
		lost := p.drop(err, false, !errors.Is(err, io.EOF) && !errors.Is(err, errInOrder))
		if errors.Is(err, errRested) || errors.Is(err, io.EOF) && lost == 0 {
			p.rest(ctx)
			continue
		}
		if ctx.Err() == nil {
			p.peer.broke(err)
		}
		failures++
		pauseFor(ctx, reconnectPause(failures))
	}
}

// rest waits for a call.
func (p *pipeline) rest(ctx context.Context) {
	p.resting.Store(true)
	for !p.owed() {
		select {
		case <-p.wake:
		case <-ctx.Done():
			return
		}
	}
}

// session opens a stream and serves it until it breaks, or nobody uses it.
func (p *pipeline) session(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := p.peer.open(ctx)
	p.resting.Store(false)
	if err != nil {
		return err
	}
	p.allow(s.Limit())
	p.up.Store(true)
	defer p.up.Store(false)
	p.peer.opened(p.owed())
	read := make(chan error, 1)
	go func() {
		read <- p.read(s)
		cancel() // ends the writer
	}()
	if p.write(ctx, s) {
		p.resting.Store(true)
		p.farewell(ctx, s)
		cancel()
		<-read
		return errRested
	}
	return <-read
}

// allow goes by how many calls the node wants at a time.
func (p *pipeline) allow(calls int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = p.limit
	if calls > 0 {
		p.allowed = min(p.limit, calls)
	}
}

// farewell lets the node end the stream in order, unless it takes its time or
// somebody wants another stream.
func (p *pipeline) farewell(ctx context.Context, s stream) {
	if s.CloseSend() != nil {
		return
	}
	patience := time.NewTimer(farewellMax)
	defer patience.Stop()
	select {
	case <-ctx.Done(): // the reader has met the end
	case <-p.wake:
		p.poke()
	case <-patience.C:
	}
}

// write sends what gathers until the stream breaks, of which the reader knows why,
// or until it reports that nobody uses it.
func (p *pipeline) write(ctx context.Context, s stream) (unused bool) {
	look := time.NewTicker(restAfter)
	defer look.Stop()
	p.poke() // who waited for a call has taken its signal
	var batch []*call
	for last := uint64(0); ; {
		select {
		case <-p.wake:
		case <-look.C:
			if last, unused = p.unused(last); unused {
				return true
			}
			continue
		case <-ctx.Done():
			return false
		}
		// Let callers that are about to append do so: one message for many
		// calls costs a fraction of one for each.
		runtime.Gosched()
		for batch = p.take(batch); len(batch) > 0; batch = p.take(batch) {
			if s.Send(batch) != nil {
				return false
			}
		}
	}
}

// unused reports whether no call is on its way and none was made since last, the
// latest call of then.
func (p *pipeline) unused(last uint64) (latest uint64, unused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastID, p.lastID == last && p.queue.first() == nil && len(p.inFlight) == 0
}

// take moves calls from the queue into a batch, which takes the place of the one
// before.
func (p *pipeline) take(batch []*call) []*call {
	clear(batch)
	batch = batch[:0]
	p.mu.Lock()
	defer p.mu.Unlock()
	for bytes := 0; len(batch) < batchCallsMax && len(p.inFlight) < p.allowed; {
		c := p.queue.first()
		if c == nil || (bytes > 0 && bytes+c.bytes > batchBytesMax) {
			break
		}
		p.queue.remove(c)
		c.state = flying
		p.inFlight[c.id] = c
		bytes += c.bytes
		batch = append(batch, c)
	}
	return batch
}

// read settles calls until the stream breaks.
func (p *pipeline) read(s stream) error {
	var settled []reply
	for {
		results, err := s.Recv()
		if err != nil {
			return err
		}
		var owing bool
		settled, owing = p.match(results, settled[:0])
		p.peer.heard(owing)
		for _, r := range settled {
			r.call.settle(r)
		}
		clear(settled)
	}
}

// match finds the calls of results, and whether somebody waits for others. Those that
// were given up have none.
func (p *pipeline) match(results []native.Result, into []reply) ([]reply, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range results {
		c, ours := p.inFlight[r.ID]
		delete(p.inFlight, r.ID)
		if c == nil {
			if ours {
				p.givenUp--
			}
			continue
		}
		c.state = over
		into = append(into, reply{call: c, answer: r.Response, seen: true})
	}
	if p.queue.first() != nil {
		p.poke() // there is room again
	}
	return into, len(p.inFlight) > p.givenUp
}

// owed reports whether callers wait for the node.
func (p *pipeline) owed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.first() != nil
}

// drop settles every call as lost and says how many there were. Those still in the
// queue were not seen by the node, so they may be asked elsewhere without a doubt;
// those in flight were, unless the node says otherwise. Calls that came while a
// stream was let go wait for the next one.
func (p *pipeline) drop(err error, closing, seen bool) int {
	p.mu.Lock()
	p.closed = p.closed || closing
	p.givenUp = 0
	var lost []reply
	for id, c := range p.inFlight {
		delete(p.inFlight, id)
		if c == nil {
			continue
		}
		c.state = over
		lost = append(lost, reply{call: c, err: err, seen: seen})
	}
	for c := p.queue.first(); c != nil && !errors.Is(err, errRested); c = p.queue.first() {
		p.queue.remove(c)
		c.state = over
		lost = append(lost, reply{call: c, err: err})
	}
	p.mu.Unlock()
	for _, r := range lost {
		r.call.settle(r)
	}
	return len(lost)
}

func (p *pipeline) poke() {
	select {
	case p.wake <- struct{}{}:
	default: // the writer has yet to look
	}
}

func reconnectPause(failures int) time.Duration {
	d := reconnectMax
	if shift := failures - 1; shift < 10 {
		d = min(reconnectMin<<shift, reconnectMax)
	}
	return d - time.Duration(rand.Float64()*float64(d/2))
}

// pauseFor waits, or returns early when ctx ends.
func pauseFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
