package server

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/kindredkv/kindred"
)

// countedMessageBytes is the size from which messages of streams are counted while gRPC
// has them. It takes a message of any size as long as less than 64 KiB of the stream
// wait to be written, so that the smaller ones it has are less than 128 KiB together.
const countedMessageBytes = 64 << 10

// unread is what a gRPC stream holds of answers that its client has not read: those
// that wait for their turn or are just being given to gRPC, and the messages that gRPC
// has. An answer is one or the other, and goes from one to the other in one step. What
// both are beyond ownAnswerBytes is taken from the same budget as the answers of unary
// calls, and who leaves a message for too long loses the connection.
type unread struct {
	account *account
	late    *time.Timer // nil: the connection is not ours, and does not say when it ends

	// The account's lock is held for these.
	waiting, taken int64
	// over: the stream sends no more, and what waited is gone.
	over bool
}

func (s *Server) watchUnread(ctx context.Context) *unread {
	if end, ok := peer.FromContext(ctx); ok {
		if addr, ok := end.Addr.(accountAddr); ok {
			return addr.account.watchUnread()
		}
	}
	return &unread{account: &account{server: s}}
}

// watchUnread is for one more stream, or the link, of a connection.
func (a *account) watchUnread() *unread {
	u := &unread{account: a, late: time.AfterFunc(a.server.cfg.AnswerTimeout, a.cut)}
	u.late.Stop()
	return u
}

// hold counts an answer of about so many bytes that has to wait in any case.
func (u *unread) hold(bytes int) {
	u.account.mu.Lock()
	defer u.account.mu.Unlock()
	if !u.over {
		u.set(u.waiting+int64(bytes), u.taken)
	}
}

// room is hold for an answer that can be refused. It says why that cannot wait.
func (u *unread) room(bytes int) *kindred.Error {
	u.account.mu.Lock()
	defer u.account.mu.Unlock()
	if u.over {
		return nil
	}
	s, now := u.account.server, u.waiting+u.taken
	more := beyondOwn(now+int64(bytes)) - beyondOwn(now)
	if bad := reserve(&s.grpcAnswerBytes, more, s.cfg.AnswerBytesMax, "answers"); bad != nil {
		return bad
	}
	u.waiting += int64(bytes)
	return nil
}

// close forgets what waits: there is nobody to send it to. What gRPC has by then it
// gives back by and by.
func (u *unread) close() {
	u.account.mu.Lock()
	defer u.account.mu.Unlock()
	u.set(0, u.taken)
	u.over = true
}

// send sends a message made of answers that waited, of so many bytes, in time or not
// at all.
func (u *unread) send(stream grpc.ServerStream, m proto.Message, bytes int) error {
	if bytes >= countedMessageBytes { // on the wire it is about that, or less
		if p := u.pack(m, bytes); p != nil {
			err := stream.SendMsg(p)
			if p.message != nil { // the stream was over before gRPC took it
				p.Put(nil)
			}
			return err
		}
	}
	return u.inTime(bytes, func() error { return stream.SendMsg(m) })
}

// inTime gives away answers that waited, of so many bytes. A client that does not let
// that happen in time loses the connection.
func (u *unread) inTime(bytes int, give func() error) error {
	defer u.hold(-bytes)
	if u.late != nil {
		u.late.Reset(u.account.server.cfg.AnswerTimeout)
		defer u.late.Stop()
	}
	return give()
}

// pack makes a parcel for gRPC of a message that waited, which from here on counts with
// what it is on the wire; nil if it is not counted while gRPC has it.
func (u *unread) pack(m proto.Message, bytes int) *parcel {
	a, size := u.account, int64(proto.Size(m))
	a.mu.Lock()
	defer a.mu.Unlock()
	if size < countedMessageBytes || u.late == nil || a.closed {
		return nil
	}
	u.set(u.waiting-int64(bytes), u.taken+size)
	return &parcel{
		account: a, stream: u, message: m, bytes: size,
		late: time.AfterFunc(a.server.cfg.AnswerTimeout, a.cut),
	}
}

// set says what the stream holds from now on. The account is locked.
func (u *unread) set(waiting, taken int64) {
	if more := beyondOwn(waiting+taken) - beyondOwn(u.waiting+u.taken); more != 0 {
		u.account.server.grpcAnswerBytes.Add(more)
	}
	if taken != u.taken {
		u.account.remember(u, taken > 0)
	}
	u.waiting, u.taken = waiting, taken
}

// beyondOwn is what a stream that holds so much takes from the budget.
func beyondOwn(bytes int64) int64 { return max(0, bytes-ownAnswerBytes) }
