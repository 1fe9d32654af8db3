package server

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/api/native"
)

// frameBytesMax is about how large one PipelineResponse becomes; a single
// larger answer travels alone.
const frameBytesMax = 1 << 20

// Pipeline reads in one goroutine and writes in another, whatever the number of
// calls. The writer is the handler, because a handler that returns is the one
// way to end a stream whose client is silent.
func (d *kvDoor) Pipeline(stream grpc.BidiStreamingServer[pb.PipelineRequest, pb.PipelineResponse]) error {
	if err := d.streams.enter(); err != nil {
		return api.Status(err).Err()
	}
	defer d.streams.leave()
	unread := d.watchUnread(stream.Context())
	defer unread.close()
	p := newPipe(d.Server, &grpcCarrier{stream: stream, unread: unread}, unread)
	defer p.close()
	go p.read()
	return p.write()
}

// carrier is what a pipeline travels on: a gRPC stream or a native link.
type carrier interface {
	// Context ends with the connection.
	Context() context.Context
	// receive returns the calls of the next message, valid until the next.
	receive() ([]arrival, error)
	// send sends answers of about so many bytes, which wait in unread until then,
	// and forgets them as soon as it can.
	send(answers []*call, bytes int) error
}

// arrival is a call that has come: a request, or what is wrong with it.
type arrival struct {
	id  uint64
	op  kindred.Op
	req *kindred.Request
	bad *kindred.Error
}

// grpcCarrier is a stream of kindred.v1.
type grpcCarrier struct {
	stream grpc.BidiStreamingServer[pb.PipelineRequest, pb.PipelineResponse]
	unread *unread
	calls  []arrival
}

func (c *grpcCarrier) Context() context.Context { return c.stream.Context() }

func (c *grpcCarrier) receive() ([]arrival, error) {
	clear(c.calls)
	m, err := c.stream.Recv()
	c.calls = c.calls[:0]
	for _, call := range m.GetCalls() {
		req, bad := api.ParseCall(call)
		c.calls = append(c.calls, arrival{call.GetId(), opOf(call), req, bad})
	}
	return c.calls, err
}

func (c *grpcCarrier) send(answers []*call, bytes int) error {
	m := &pb.PipelineResponse{Results: make([]*pb.Result, len(answers))}
	for i, a := range answers {
		m.Results[i] = api.FormatResult(a.id, a.op, a.answer)
	}
	clear(answers) // their values can be freed once gRPC has encoded them
	return c.unread.send(c.stream, m, bytes)
}

// pipe is one stream of calls and answers.
type pipe struct {
	server *Server
	carrier
	unread *unread // counts what is unsent, and what gRPC has, for all streams together
	// wake tells the writer that something below changed.
	wake chan struct{}

	mu   sync.Mutex
	room sync.Cond // the reader waits here at a limit
	// running calls are in the backend, ready ones wait to be sent, and unsent
	// ones are ready or being sent; unsentBytes is the size of the ready ones.
	running     int
	ready       []*call
	unsent      int
	unsentBytes int
	// ended and why: the client sends no more.
	ended bool
	why   error
	// letIn counts the calls that were let in.
	letIn uint64
	// unused: nothing was let in for IdleTimeout, and nothing is under way.
	unused bool
	// closed: no call is let in any more.
	closed bool
}

func newPipe(s *Server, on carrier, unread *unread) *pipe {
	p := &pipe{server: s, carrier: on, wake: make(chan struct{}, 1), unread: unread}
	p.room.L = &p.mu
	return p
}

// read lets calls in as they arrive.
func (p *pipe) read() {
	for {
		calls, err := p.receive()
		if err != nil {
			p.end(err)
			return
		}
		for _, c := range calls {
			if !p.waitForRoom() {
				return
			}
			p.start(c)
		}
	}
}

// waitForRoom is the back-pressure: while it waits, gRPC's flow control stops
// the client. It reports false when the pipeline is over.
func (p *pipe) waitForRoom() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	cfg := &p.server.cfg
	for !p.closed && (p.running+p.unsent >= cfg.CallsPerStreamMax || p.unsentBytes >= cfg.UnsentBytesPerStreamMax) {
		p.room.Wait()
	}
	if !p.closed {
		p.running++
		p.letIn++
		p.unused = false
	}
	return !p.closed
}

func (p *pipe) start(c arrival) {
	err := c.bad
	if err == nil {
		err = withDeadline(p.Context(), c.req)
	}
	if err == nil {
		err = p.server.start(p.Context(), c.req, c.id, p)
	}
	if err != nil {
		p.take(&call{id: c.id, op: c.op, answer: p.server.refuse(c.op, requestID(p.Context(), c.req), err)})
	}
}

// take takes an answer from the backend, in the backend's goroutine.
func (p *pipe) take(c *call) {
	size := p.count(c)
	p.mu.Lock()
	p.running--
	p.unsent++
	p.unsentBytes += size
	p.ready = append(p.ready, c)
	p.mu.Unlock()
	p.poke()
}

// count counts an answer that is to wait, or the refusal in its place. What was done is
// always told.
func (p *pipe) count(c *call) (size int) {
	size = sizeOf(c.answer)
	if c.op == kindred.OpGet {
		bad := p.unread.room(size)
		if bad == nil {
			return size
		}
		c.answer = &kindred.Response{Err: bad}
		size = sizeOf(c.answer)
	}
	p.unread.hold(size)
	return size
}

func (p *pipe) poke() {
	select {
	case p.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (p *pipe) end(why error) {
	p.mu.Lock()
	p.ended, p.why = true, why
	p.mu.Unlock()
	p.poke()
}

// close lets the reader go.
func (p *pipe) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.room.Broadcast()
}

// write sends what has gathered whenever there is something. It returns when
// the client is done or gone, or asks nothing for long, or when the server drains,
// and all is answered: a call that was not answered then was not let in.
func (p *pipe) write() error {
	draining := p.server.draining
	look := time.NewTicker(p.server.cfg.IdleTimeout)
	defer look.Stop()
	var batch []*call
	var before uint64
	for last := false; ; {
		batch, last = p.gather(batch[:0], draining == nil)
		if err := p.sendAll(batch); err != nil {
			return err
		}
		if last {
			return p.verdict()
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-p.wake:
			runtime.Gosched() // answers that are about to be ready leave in the same message
		case <-p.Context().Done():
			return p.Context().Err()
		case <-draining:
			draining = nil
		case <-look.C:
			before = p.look(before)
		}
	}
}

// gather swaps the answers that are ready for an empty list, and reports whether
// they are the last ones; then nothing more is let in.
func (p *pipe) gather(empty []*call, draining bool) (batch []*call, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	batch, p.ready = p.ready, empty
	last = (p.ended || draining || p.unused) && p.running == 0
	p.closed = p.closed || last
	return batch, last
}

// look notes when nothing was let in since before, the calls of then.
func (p *pipe) look(before uint64) (now uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unused = p.letIn == before && p.running == 0 && p.unsent == 0
	return p.letIn
}

// sendAll sends a batch, in messages of about frameBytesMax.
func (p *pipe) sendAll(batch []*call) error {
	for len(batch) > 0 {
		n, bytes := 1, sizeOf(batch[0].answer)
		for ; n < min(len(batch), native.ResultsMax); n++ {
			size := sizeOf(batch[n].answer)
			if bytes+size > frameBytesMax {
				break
			}
			bytes += size
		}
		p.leave(bytes)
		if err := p.send(batch[:n], bytes); err != nil {
			return err
		}
		clear(batch[:n])
		batch = batch[n:]
		p.sent(n)
	}
	return nil
}

// leave says that a message does not wait here any more.
func (p *pipe) leave(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unsentBytes -= bytes
}

// sent makes room.
func (p *pipe) sent(answers int) {
	p.mu.Lock()
	p.unsent -= answers
	p.mu.Unlock()
	p.room.Signal()
}

// verdict is the status of a stream that ended in order.
func (p *pipe) verdict() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.unused:
		return nil
	case !p.ended:
		return api.Status(stopping()).Err()
	case errors.Is(p.why, io.EOF):
		return nil
	}
	return p.why
}

// answerBytes is what an answer costs besides its values, about.
const answerBytes = 256

func sizeOf(r *kindred.Response) int {
	n := answerBytes + len(r.Context)
	for i := range r.Siblings {
		n += answerBytes + len(r.Siblings[i].Value) + len(r.Siblings[i].ContentType)
	}
	return n
}

func opOf(m *pb.Call) kindred.Op {
	switch m.GetOp().(type) {
	case *pb.Call_Get:
		return kindred.OpGet
	case *pb.Call_Put:
		return kindred.OpPut
	case *pb.Call_Delete:
		return kindred.OpDelete
	}
	return 0
}
