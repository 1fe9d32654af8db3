package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/transport/faults"
	"github.com/kindredkv/kindred/transport/lobby"
)

// The service has one method, a stream of frames in each direction.
const (
	serviceName = "kindred.peer.v1.Peer"
	linkName    = "Link"
	linkMethod  = "/" + serviceName + "/" + linkName
)

var linkStream = grpc.StreamDesc{
	StreamName:    linkName,
	Handler:       handleLink,
	ServerStreams: true,
	ClientStreams: true,
}

var peerService = grpc.ServiceDesc{
	ServiceName: serviceName,
	HandlerType: (*linkServer)(nil),
	Streams:     []grpc.StreamDesc{linkStream},
}

// linkServer is what the service needs of a Transport.
type linkServer interface {
	serveLink(grpc.ServerStream) error
}

func handleLink(srv any, stream grpc.ServerStream) error {
	return srv.(linkServer).serveLink(stream)
}

// inbound is what is remembered of a peer that dials this node.
type inbound struct {
	frames, messages, bytes, corrupt, connects, refused atomic.Uint64
	// refusal is the last reason for which its hello was refused.
	refusal atomic.Pointer[string]
}

// frameStream is what client and server streams have in common.
type frameStream interface {
	SendMsg(any) error
	RecvMsg(any) error
}

func sendHello(stream frameStream, h hello) error {
	frame := h.append(newFrame(nil, kindHello))
	sealFrame(frame, 0)
	return stream.SendMsg(&frame)
}

func recvHello(stream frameStream) (hello, error) {
	var raw []byte
	if err := stream.RecvMsg(&raw); err != nil {
		return hello{}, err
	}
	kind, _, body, err := openFrame(raw)
	if err != nil {
		return hello{}, err
	}
	if kind != kindHello {
		return hello{}, &FrameError{Reason: fmt.Sprintf("kind %d before the hello", kind)}
	}
	return decodeHello(body)
}

// serveLink is one link that a peer has dialled, from hello to end.
func (t *Transport) serveLink(stream grpc.ServerStream) error {
	theirs, err := recvHello(stream)
	if err != nil {
		t.refuseStranger(err)
		return status.Error(codes.InvalidArgument, err.Error())
	}
	proof, err := t.prove(stream.Context(), theirs.Name)
	if err != nil {
		return t.expose(stream.Context(), theirs, err)
	}
	from, err := t.welcome(stream, theirs)
	if err != nil {
		return err
	}
	defer t.depart(stream.Context())
	if theirs.Lane == Messages {
		t.cfg.Inbound(theirs.Name, true)
		defer t.cfg.Inbound(theirs.Name, false)
	}
	err = t.receive(stream, theirs, from, proof)
	if bad := (*FrameError)(nil); errors.As(err, &bad) {
		from.corrupt.Add(1)
		t.log.Error("closing link: a peer sent what it must not", "peer", theirs.Name, "lane", theirs.Lane.String(), "reason", bad.Reason)
		return status.Error(codes.DataLoss, bad.Error())
	}
	return err
}

// welcome answers a hello and judges it.
func (t *Transport) welcome(stream grpc.ServerStream, theirs hello) (*inbound, error) {
	if err := t.underFaults(stream.Context(), theirs.Name); err != nil {
		return nil, err
	}
	from := t.inboundOf(theirs.Name)
	if from == nil {
		return nil, status.Errorf(codes.ResourceExhausted, "this node has met its limit of %d peer names", NamesMax)
	}
	if int(theirs.Lane) >= len(lanes) {
		return nil, status.Errorf(codes.Unimplemented, "unknown lane %d", theirs.Lane)
	}
	mine := t.hello(theirs.Lane, theirs.Name)
	if err := agree(mine, theirs); err != nil {
		t.logRefusal(from, err)
		_ = sendHello(stream, mine) // so that the other end can say what does not fit
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	if err := t.admit(stream.Context()); err != nil {
		return nil, err
	}
	if err := sendHello(stream, mine); err != nil {
		t.depart(stream.Context())
		return nil, err
	}
	from.refusal.Store(nil)
	from.connects.Add(1)
	if p := (*t.peers.Load())[theirs.Name]; p != nil {
		p.kick()
	}
	return from, nil
}

// admit takes a peer out of the lobby, before it is answered: what it sends from
// then on is not a stranger's.
func (t *Transport) admit(ctx context.Context) error {
	if t.linksIn.Add(1) > LinksInMax {
		t.linksIn.Add(-1)
		return status.Errorf(codes.ResourceExhausted, "this node has its limit of %d links open", LinksInMax)
	}
	if end, ok := guest(ctx); ok && !end.Introduce() {
		t.linksIn.Add(-1)
		return status.Error(codes.DeadlineExceeded, "the hello came too late")
	}
	return nil
}

// depart is the end of a link: nobody answers for its connection any more.
func (t *Transport) depart(ctx context.Context) {
	t.linksIn.Add(-1)
	if end, ok := guest(ctx); ok {
		end.Return()
	}
}

// guest is the connection under a stream.
func guest(ctx context.Context) (*lobby.Conn, bool) {
	end, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return nil, false
	}
	return lobby.Guest(end.Addr)
}

// underFaults puts a link under the faults of its peer, now that the peer is
// known. If it is not to be heard, neither was its hello.
func (t *Transport) underFaults(ctx context.Context, name string) error {
	if t.cfg.Faults == nil {
		return nil
	}
	if end, ok := grpcpeer.FromContext(ctx); ok {
		faults.Identify(lobby.Inner(end.Addr), faults.Named(name))
	}
	return t.cfg.Faults.Hear(ctx, faults.Named(name))
}

// refuseStranger counts a link that did not begin with a hello under the empty
// name. A peer that hangs up before it has said anything is not one.
func (t *Transport) refuseStranger(err error) {
	if bad := (*FrameError)(nil); errors.As(err, &bad) {
		nobody := t.inboundOf("")
		nobody.corrupt.Add(1)
		t.logRefusal(nobody, err)
	}
}

// logRefusal logs a refused hello once, until its reason changes or the peer
// was accepted in between.
func (t *Transport) logRefusal(from *inbound, err error) {
	from.refused.Add(1)
	text := err.Error()
	if last := from.refusal.Swap(&text); last == nil || *last != text {
		t.log.Warn("refused a link", "reason", text)
	}
}

// expose refuses a node that goes by a name which its certificate does not carry.
// It is remembered by the name that it has proven, so that one node cannot use up
// the names of others.
func (t *Transport) expose(ctx context.Context, theirs hello, err error) error {
	state, _ := connectionState(ctx)
	if from := t.inboundOf(security.PeerName(state)); from != nil {
		t.logRefusal(from, &RefusedError{Peer: theirs.Name, Reason: err.Error()})
	}
	return status.Error(codes.PermissionDenied, err.Error())
}

// receive delivers frames and answers heartbeats until the stream ends, or its
// peer is no longer to be trusted.
func (t *Transport) receive(stream grpc.ServerStream, theirs hello, from *inbound, proof proof) error {
	var parts assembly
	for {
		var raw []byte
		if err := stream.RecvMsg(&raw); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := proof.holds(); err != nil {
			return t.expose(stream.Context(), theirs, err)
		}
		kind, count, body, err := openFrame(raw)
		if err != nil {
			return err
		}
		if kind == kindHeartbeat {
			if err := stream.SendMsg(&raw); err != nil {
				return err
			}
			continue
		}
		batch, err := parts.unpack(kind, count, body)
		if err != nil {
			return err
		}
		from.frames.Add(1)
		from.bytes.Add(uint64(len(raw)))
		if batch.Len() > 0 {
			from.messages.Add(uint64(batch.Len()))
			t.cfg.Receive(theirs.Name, batch)
		}
	}
}

// unpack returns the messages that a frame brings or completes.
func (a *assembly) unpack(kind frameKind, count uint32, body []byte) (Batch, error) {
	switch {
	case kind == kindPart:
		return a.add(count, body)
	case kind == kindMessages && len(a.body) > 0:
		return Batch{}, &FrameError{Reason: "other messages between the parts of one"}
	case kind == kindMessages:
		return openBatch(count, body)
	}
	return Batch{}, &FrameError{Reason: fmt.Sprintf("unexpected kind %d", kind)}
}
