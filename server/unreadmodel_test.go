package server

import (
	"cmp"
	"context"
	"flag"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

var unreadSeed = flag.Uint64("unread.seed", 0, "the seed of TestUnreadAnswersAreCountedOnce; 0 draws one")

// grip stands in for gRPC: it encodes a message and keeps it.
type grip struct {
	grpc.ServerStream
	has []mem.BufferSlice
	// unheard: the stream ends before a message is encoded. late: after that.
	unheard, late bool
	// during is called while a message is being sent.
	during func()
}

func (g *grip) SendMsg(m any) error {
	if g.unheard {
		return io.ErrClosedPipe
	}
	b, err := newCodec().Marshal(m)
	if err != nil {
		return err
	}
	g.during()
	if g.late {
		b.Free()
		return io.ErrClosedPipe
	}
	g.has = append(g.has, b)
	return nil
}

// answerLedger is what the accounts and their streams should hold, put down answer by
// answer, and what is counted for them.
type answerLedger struct {
	t      *testing.T
	random *rand.Rand
	server *Server
	lines  []*line
}

func newLedger(t *testing.T, random *rand.Rand) *answerLedger {
	return &answerLedger{t: t, random: random, server: &Server{cfg: Config{
		AnswerBytesMax: 2 << 20, AnswerTimeout: time.Hour, Logger: slog.New(slog.DiscardHandler),
	}}}
}

// line is a connection; single are its unary answers.
type line struct {
	account *account
	streams []*ledgerStream
	single  []*singleAnswer
	closed  bool
}

type ledgerStream struct {
	unread *unread
	grpc   *grip
	// waiting are answers, taken are the messages that gRPC has: those of grpc.has,
	// until the connection ends.
	waiting, taken []ledgerEntry
}

// ledgerEntry is told if it could not be refused.
type ledgerEntry struct {
	bytes int64
	told  bool
}

type singleAnswer struct {
	buffer mem.BufferSlice
	ledgerEntry
	own bool
}

func sum(entries []ledgerEntry) (n int64) {
	for _, e := range entries {
		n += e.bytes
	}
	return n
}

// want is the sum of what is beyond everybody's own share.
func (l *answerLedger) want() (n int64) {
	for _, c := range l.lines {
		for _, s := range c.streams {
			n += max(0, sum(s.waiting)+sum(s.taken)-ownAnswerBytes)
		}
		for _, a := range c.single {
			if !a.own && !c.closed {
				n += a.bytes
			}
		}
	}
	return n
}

// held is the sum of what was told and is held by somebody.
func (l *answerLedger) held() (told int64) {
	count := func(e ledgerEntry) {
		if e.told {
			told += e.bytes
		}
	}
	for _, c := range l.lines {
		for _, s := range c.streams {
			for _, e := range slices.Concat(s.waiting, s.taken) {
				count(e)
			}
		}
		for _, a := range c.single {
			if !c.closed {
				count(a.ledgerEntry)
			}
		}
	}
	return told
}

// agrees compares. The second claim is the promise of AnswerBytesMax: an answer that can
// be refused is let in only if all that is counted is within it, and is never counted
// with more later; so only what must be told can be above.
func (l *answerLedger) agrees() {
	l.t.Helper()
	got := l.server.grpcAnswerBytes.Load()
	require.Equal(l.t, l.want(), got)
	require.LessOrEqual(l.t, got, l.server.cfg.AnswerBytesMax+l.held())
}

func (l *answerLedger) connect() {
	ours, theirs := net.Pipe()
	l.t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	l.lines = append(l.lines, &line{account: &account{Conn: ours, server: l.server}})
}

func (l *answerLedger) open(c *line) {
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: c.account.RemoteAddr()})
	c.streams = append(c.streams, &ledgerStream{unread: l.server.watchUnread(ctx), grpc: &grip{}})
}

// wait has an answer wait that may be refused, or one that may not.
func (l *answerLedger) wait(s *ledgerStream, told bool) {
	if s.unread.over {
		return
	}
	bytes := l.random.IntN(700 << 10)
	before := sum(s.waiting) + sum(s.taken)
	more := beyondOwn(before+int64(bytes)) - beyondOwn(before)
	fits := more == 0 || l.want()+more <= l.server.cfg.AnswerBytesMax
	if told {
		bytes = l.random.IntN(64 << 10)
		s.unread.hold(bytes)
	} else if bad := s.unread.room(bytes); bad != nil {
		require.False(l.t, fits, bad.Message)
		return
	} else {
		require.True(l.t, fits, "it went beyond the limit")
	}
	s.waiting = append(s.waiting, ledgerEntry{int64(bytes), told})
}

// send gives gRPC the answer that waits longest, in a message that is a little smaller.
func (l *answerLedger) send(c *line, s *ledgerStream) {
	if len(s.waiting) == 0 {
		return
	}
	e := s.waiting[0]
	m := &pb.PipelineResponse{Results: []*pb.Result{{Op: &pb.Result_Get{Get: &pb.GetResponse{
		Siblings: []*pb.Sibling{{Value: make([]byte, max(0, e.bytes-64-l.random.Int64N(500)))}}}}}}}
	size := int64(proto.Size(m))
	parcel := e.bytes >= countedMessageBytes && size >= countedMessageBytes && !c.closed
	if parcel {
		s.taken = append(s.taken, ledgerEntry{size, e.told})
		s.waiting = s.waiting[1:]
	}
	s.grpc.unheard, s.grpc.late = l.random.IntN(10) == 0, l.random.IntN(10) == 0
	s.grpc.during = l.agrees
	err := s.unread.send(s.grpc, m, int(e.bytes))
	switch {
	case !parcel:
		s.waiting = s.waiting[1:]
		if err == nil {
			s.grpc.has[len(s.grpc.has)-1].Free()
			s.grpc.has = s.grpc.has[:len(s.grpc.has)-1]
		}
	case err != nil:
		s.taken = s.taken[:len(s.taken)-1]
	}
}

// read is a client that reads one of the messages.
func (l *answerLedger) read(c *line, s *ledgerStream) {
	if len(s.grpc.has) == 0 {
		return
	}
	i := l.random.IntN(len(s.grpc.has))
	s.grpc.has[i].Free()
	s.grpc.has = slices.Delete(s.grpc.has, i, i+1)
	if !c.closed {
		s.taken = slices.Delete(s.taken, i, i+1)
	}
}

// single is an answer of a unary call.
func (l *answerLedger) single(c *line, must bool) {
	m := &pb.GetResponse{Siblings: []*pb.Sibling{{Value: make([]byte, countedAnswerBytes+l.random.IntN(300<<10))}}}
	bytes, own := int64(proto.Size(m)), int64(0)
	for _, a := range c.single {
		if a.own {
			own += a.bytes
		}
	}
	mine := own+bytes <= ownAnswerBytes
	fits := c.closed || mine || l.want()+bytes <= l.server.cfg.AnswerBytesMax
	p, err := c.account.take(m, bytes, must)
	require.Equal(l.t, !fits && !must, err != nil)
	if err != nil {
		return
	}
	b, err := p.encode()
	require.NoError(l.t, err)
	if c.closed {
		b.Free()
		return
	}
	c.single = append(c.single, &singleAnswer{b, ledgerEntry{bytes, must}, mine})
}

func (l *answerLedger) readSingle(c *line) {
	if len(c.single) > 0 {
		i := l.random.IntN(len(c.single))
		c.single[i].buffer.Free()
		c.single = slices.Delete(c.single, i, i+1)
	}
}

// hangUp ends a connection. Its streams see that later.
func (l *answerLedger) hangUp(c *line) {
	_ = c.account.Close()
	c.closed = true
	for _, s := range c.streams {
		s.taken = nil
	}
}

// end is a handler that returns: gRPC keeps what it has.
func (l *answerLedger) end(s *ledgerStream) {
	s.unread.close()
	s.waiting = nil
	s.unread.hold(1 << 20) // an answer that comes too late
	require.Nil(l.t, s.unread.room(1<<20))
}

func (l *answerLedger) step() {
	c := l.lines[l.random.IntN(len(l.lines))]
	s := c.streams[l.random.IntN(len(c.streams))]
	switch n := l.random.IntN(200); {
	case n < 60:
		l.wait(s, false)
	case n < 65:
		l.wait(s, true)
	case n < 110:
		l.send(c, s)
	case n < 150:
		l.read(c, s)
	case n < 175:
		l.single(c, n < 155)
	case n < 198:
		l.readSingle(c)
	case n == 198:
		l.end(s)
	default:
		l.hangUp(c)
	}
}

// Every byte is counted by the one who holds it, and no byte that nobody holds, whoever
// waits, sends, reads, fails, ends or hangs up.
func TestUnreadAnswersAreCountedOnce(t *testing.T) {
	seed := cmp.Or(*unreadSeed, rand.Uint64())
	t.Logf("seed %d", seed)
	for round := range uint64(50) {
		l := newLedger(t, rand.New(rand.NewPCG(seed, round)))
		for range 3 {
			l.connect()
			for range 3 {
				l.open(l.lines[len(l.lines)-1])
			}
		}
		for range 300 {
			l.step()
			l.agrees()
		}
		for _, c := range l.lines {
			l.hangUp(c)
			for _, s := range c.streams {
				l.end(s)
			}
		}
		require.Zero(t, l.server.grpcAnswerBytes.Load())
	}
}

// An answer that goes from those who wait to gRPC is counted all the way: somebody else
// would take its place.
func TestAnAnswerKeepsItsPlaceWhenGRPCTakesIt(t *testing.T) {
	l := newLedger(t, rand.New(rand.NewPCG(1, 1)))
	l.connect()
	c := l.lines[0]
	l.open(c)
	s := c.streams[0]
	s.grpc.during = func() {}
	const bytes, rounds = 1 << 20, 500
	m := &pb.PipelineResponse{Results: []*pb.Result{{Op: &pb.Result_Get{Get: &pb.GetResponse{
		Siblings: []*pb.Sibling{{Value: make([]byte, bytes-100)}}}}}}}
	s.unread.hold(bytes)
	least := int64(proto.Size(m)) - ownAnswerBytes

	var stop atomic.Bool
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for !stop.Load() {
			if !assert.GreaterOrEqual(t, l.server.grpcAnswerBytes.Load(), least) {
				return
			}
		}
	})
	for range rounds {
		require.NoError(t, s.unread.send(s.grpc, m, bytes))
		s.unread.hold(bytes) // the next one
		s.grpc.has[0].Free()
		s.grpc.has = nil
	}
	stop.Store(true)
	watcher.Wait()
}

// Connections do not share a lock, only the budget: what one of them is let in with has
// been free at that moment.
func TestAnAnswerBudgetIsNotOverdrawnByMany(t *testing.T) {
	const most, each, rounds = 10, 3, 50_000
	var budget atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range rounds {
				if reserve(&budget, each, most, "answers") == nil {
					assert.LessOrEqual(t, budget.Load(), int64(most))
					budget.Add(-each)
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, budget.Load())
}
