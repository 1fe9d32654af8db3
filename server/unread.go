package server

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/kindredkv/kindred"
)

// countedMessageBytes is the size from which messages of streams are counted while
// gRPC has them. It takes one of any size without blocking; smaller ones are bounded
// by StreamsMax.
const countedMessageBytes = 64 << 10

// unread watches over the answers of a gRPC stream that its client has not read. What
// is beyond ownAnswerBytes is taken from the same budget as the answers of unary
// calls, and who leaves an answer for too long loses the connection.
type unread struct {
	server  *Server
	account *account // nil: the listener is not ours
	late    *time.Timer
	// counted is what is taken from the budget for answers that gRPC does not have yet.
	counted int64
}

func (s *Server) watchUnread(ctx context.Context) *unread {
	u := &unread{server: s}
	if end, ok := peer.FromContext(ctx); ok {
		if addr, ok := end.Addr.(accountAddr); ok {
			u.account = addr.account
			u.late = time.AfterFunc(s.cfg.AnswerTimeout, u.account.cut)
			u.late.Stop()
		}
	}
	return u
}

// send sends a message of about so many bytes, in time or not at all.
func (u *unread) send(stream grpc.ServerStream, m proto.Message, bytes int) error {
	if u.account == nil {
		return stream.SendMsg(m)
	}
	u.late.Reset(u.server.cfg.AnswerTimeout)
	defer u.late.Stop()
	if bytes < countedMessageBytes {
		return stream.SendMsg(m)
	}
	p, _ := u.account.take(m, int64(proto.Size(m)), true)
	err := stream.SendMsg(p)
	if p.message != nil { // the stream was over before gRPC took it
		p.Put(nil)
	}
	return err
}

// hold says how much waits to be sent. Concurrent calls need a lock of the caller's.
func (u *unread) hold(bytes int) {
	if more := u.beyond(bytes); more != 0 {
		u.server.grpcAnswerBytes.Add(more)
		u.counted += more
	}
}

// room is hold for an answer that can be refused. It says why that cannot wait.
func (u *unread) room(bytes int) *kindred.Error {
	more, most := u.beyond(bytes), u.server.cfg.AnswerBytesMax
	now := u.server.grpcAnswerBytes.Add(more)
	if more > 0 && now > most {
		u.server.grpcAnswerBytes.Add(-more)
		return tooMuch("answers", now, most)
	}
	u.counted += more
	return nil
}

// beyond is how much more than now so many bytes would take from the budget.
func (u *unread) beyond(bytes int) int64 { return max(0, int64(bytes)-ownAnswerBytes) - u.counted }
