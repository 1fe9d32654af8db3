package client

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/api/native"
)

// linkNode is a node of which the test decides what it says on links.
type linkNode struct {
	addr    string
	accepts atomic.Int64
}

// startLinkNode serves every connection by serve, in a goroutine of its own.
func startLinkNode(t *testing.T, serve func(conn net.Conn)) *linkNode {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &linkNode{addr: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n.accepts.Add(1)
			t.Cleanup(func() { conn.Close() })
			all.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() { l.Close() })
	return n
}

// meet is a node of a client, as far as it needs one.
func meet(t *testing.T, addr string, opts ...Option) (n *node, broken chan error) {
	s, err := newSettings(opts)
	require.NoError(t, err)
	broken = make(chan error, 100)
	n, err = startNode("n1", "", place{addr: addr, advertised: addr}, &s, func(_ *node, err error) { broken <- err })
	require.NoError(t, err)
	t.Cleanup(n.close)
	return n, broken
}

// asking submits a put to a node.
func asking(n *node, value []byte) chan reply {
	replies := make(chan reply, 1)
	n.line(len(value)).submit(&call{req: kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: "k", Value: value}, bytes: len(value), node: n, replies: replies})
	return replies
}

// owes waits until a node was given what it was asked: from then on it owes an answer.
func owes(t *testing.T, n *node) {
	require.Eventually(t, func() bool {
		n.small.mu.Lock()
		defer n.small.mu.Unlock()
		return len(n.small.inFlight) > 0
	}, 10*time.Second, time.Millisecond)
	n.asked(time.Now())
}

// welcome greets a client.
func welcome(conn net.Conn) *native.Link {
	l, _, err := native.Accept(conn)
	if err != nil || l.Welcome(10) != nil {
		return nil
	}
	return l
}

// obey answers every call.
func obey(l *native.Link) {
	for l != nil {
		calls, err := l.Calls()
		if err != nil {
			return
		}
		b := native.NewResults()
		for _, c := range calls {
			b.AddResult(c.ID, c.Request.Op, &kindred.Response{Receipt: kindred.Receipt{Dot: "n1.1"}})
		}
		if l.Send(b) != nil {
			return
		}
	}
}

func within(t *testing.T, replies chan reply) reply {
	select {
	case r := <-replies:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("no reply")
		return reply{}
	}
}

func TestCallsTakeTheLink(t *testing.T) {
	far := startLinkNode(t, func(conn net.Conn) { obey(welcome(conn)) })
	n, _ := meet(t, far.addr)
	require.Equal(t, "n1.1", within(t, asking(n, nil)).answer.Receipt.Dot)
	require.Equal(t, "n1.1", within(t, asking(n, make([]byte, bulkBytes))).answer.Receipt.Dot)
	require.EqualValues(t, 2, far.accepts.Load(), "large values go beside small ones")
	n.close()
	require.Empty(t, n.links, "nothing is left")
}

// Wherever in a frame a connection ends, its call may have been seen.
func TestInvariant6_WhatWasGivenToALinkThatBreaksMayHaveBeenSeen(t *testing.T) {
	for _, read := range []int64{0, 1, 20, 30 << 10} {
		far := startLinkNode(t, func(conn net.Conn) {
			if l := welcome(conn); l != nil {
				_, _ = io.CopyN(io.Discard, conn, read)
				_ = conn.(*net.TCPConn).SetLinger(0)
				_ = conn.Close()
			}
		})
		n, _ := meet(t, far.addr)
		r := within(t, asking(n, make([]byte, 60<<10)))
		for r.err != nil && !r.seen { // the link broke before it was given the call
			r = within(t, asking(n, make([]byte, 60<<10)))
		}
		require.Nil(t, r.answer)
		require.True(t, r.seen)
		n.close()
	}
}

func TestWhatANodeThatLeavesHasNotAnsweredItHasNotSeen(t *testing.T) {
	far := startLinkNode(t, func(conn net.Conn) {
		if l := welcome(conn); l != nil {
			if _, err := l.Calls(); err == nil {
				_ = l.End(&kindred.Error{Code: kindred.CodeStopping, Message: "the node is shutting down: ask another one", Outcome: kindred.NotApplied})
				l.Drain()
			}
		}
	})
	n, broken := meet(t, far.addr)
	r := within(t, asking(n, nil))
	require.False(t, r.seen)
	require.Equal(t, "the node is shutting down: ask another one", reason(r.err))
	require.Equal(t, kindred.CodeStopping, api.ErrorOf(<-broken).Code, "and it is not hoped to be back")
}

// Who is not let in any more is told so, and cannot know what became of its calls.
func TestOnlySomeReasonsAreEndsInOrder(t *testing.T) {
	for code, want := range map[kindred.Code]bool{kindred.CodeStopping: true, kindred.CodeOverloaded: true, kindred.CodeWrongCluster: true, kindred.CodeUnauthenticated: false, kindred.CodeInternal: false} {
		err := inOrder(api.Status(&kindred.Error{Code: code, Outcome: kindred.NotApplied}).Err())
		require.Equal(t, want, errors.Is(err, errInOrder), code)
		require.Equal(t, code, api.ErrorOf(err).Code)
	}
	require.NotErrorIs(t, inOrder(status.Error(codes.Unavailable, "proxy")), errInOrder)
	require.Equal(t, io.EOF, inOrder(io.EOF))
}

func TestALinkThatCarriesNothingIsReplaced(t *testing.T) {
	var links atomic.Int64
	far := startLinkNode(t, func(conn net.Conn) {
		l := welcome(conn)
		if links.Add(1) > 1 {
			obey(l)
		} // the first one is not read
	})
	n, broken := meet(t, far.addr)
	lost := asking(n, nil)
	owes(t, n)
	n.doubt(time.Now().Add(time.Minute))
	require.True(t, n.silent.Load())
	r := within(t, lost)
	require.True(t, r.seen)
	require.Contains(t, reason(r.err), "the connection broke")
	<-broken
	require.NotNil(t, within(t, asking(n, nil)).answer)
	require.False(t, n.silent.Load(), "it speaks again")
}

func TestASilentNodeThatAnswersAPingIsLeftAlone(t *testing.T) {
	far := startLinkNode(t, func(conn net.Conn) {
		if l := welcome(conn); l != nil {
			for { // takes calls and says nothing, but that it lives
				if _, err := l.Calls(); err != nil {
					return
				}
			}
		}
	})
	n, broken := meet(t, far.addr)
	waiting := asking(n, nil)
	owes(t, n)
	n.doubt(time.Now().Add(time.Minute))
	require.Eventually(t, func() bool { return !n.silent.Load() }, 10*time.Second, time.Millisecond)
	require.Empty(t, waiting)
	require.Empty(t, broken)
}

// slowRoad is a connection of which one direction carries so many bytes a second, a
// packet at a time. The other one is as fast as it gets.
func slowRoad(t *testing.T, perSecond int, serve func(net.Conn)) (near net.Conn) {
	near, out := net.Pipe()
	in, far := net.Pipe()
	const packet = 16 << 10
	go func() {
		defer in.Close()
		for buf := make([]byte, packet); ; {
			n, err := out.Read(buf)
			if err != nil {
				return
			}
			time.Sleep(time.Duration(n) * time.Second / time.Duration(perSecond)) // of the bubble
			if _, err := in.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	go func() {
		defer out.Close()
		_, _ = io.Copy(out, in)
	}()
	go serve(far)
	t.Cleanup(func() { near.Close(); far.Close() })
	return near
}

// A value that takes longer than a silent node is waited for, and pings wait behind it.
func TestALargeValueOnASlowRoadArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		road := func(context.Context, string) (net.Conn, error) {
			return slowRoad(t, 1<<20, func(conn net.Conn) { obey(welcome(conn)) }), nil
		}
		n, broken := meet(t, "far", WithDialer(road))
		waiting, began := asking(n, make([]byte, 15<<20)), time.Now()
		for len(waiting) == 0 && len(broken) == 0 {
			time.Sleep(50 * time.Millisecond) // of the bubble
			n.asked(time.Now())
			n.doubt(time.Now())
		}
		require.Empty(t, broken)
		r := within(t, waiting)
		require.NoError(t, r.err)
		require.Equal(t, "n1.1", r.answer.Receipt.Dot)
		require.Greater(t, time.Since(began), 4*silenceMax)
		n.close()
	})
}

// What a node says when it turns a client out is not drowned by that the client cannot
// send to it any more.
func TestTheReasonOfANodeIsHeardThoughSendingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		said := make(chan struct{})
		go func() {
			l := welcome(far)
			<-said
			_ = l.End(&kindred.Error{Code: kindred.CodeStopping, Message: "bye", Outcome: kindred.NotApplied})
		}()
		dead := &deaf{Conn: near}
		n, broken := meet(t, "far", WithDialer(func(context.Context, string) (net.Conn, error) { return dead, nil }))
		synctest.Wait()
		dead.dead.Store(true)
		waiting := asking(n, nil)
		synctest.Wait()
		close(said)
		require.Equal(t, "bye", reason(within(t, waiting).err))
		require.Equal(t, kindred.CodeStopping, api.ErrorOf(<-broken).Code)
		n.close()
	})
}

// Where nothing is said any more, the reason is why sending failed.
func TestALinkThatCannotBeWrittenToSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go welcome(far)
		dead := &deaf{Conn: near}
		n, _ := meet(t, "far", WithDialer(func(context.Context, string) (net.Conn, error) { return dead, nil }))
		synctest.Wait()
		dead.dead.Store(true)
		r := within(t, asking(n, nil))
		require.True(t, r.seen)
		require.Contains(t, reason(r.err), "no route")
		n.close()
		far.Close()
	})
}

// deaf is a connection that cannot be written to once it is dead.
type deaf struct {
	net.Conn
	dead atomic.Bool
}

func (d *deaf) Write(p []byte) (int, error) {
	if d.dead.Load() {
		return 0, errors.New("no route")
	}
	return d.Conn.Write(p)
}

// A node that cannot be reached is called so in the same words, whatever was to be
// opened.
func TestADialThatFailsReadsTheSame(t *testing.T) {
	var texts [2]string
	for i, opts := range [][]Option{nil, {WithGRPCOnly()}} {
		n, _ := meet(t, "127.0.0.1:1", opts...) // of a port that nobody takes meanwhile
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := n.openStream(ctx)
		cancel()
		texts[i] = reason(err)
	}
	require.Equal(t, texts[1], texts[0])
	require.Contains(t, texts[0], "unreachable: connection refused")
}

func TestWhoDoesNotGreetIsLeftAloneForAWhile(t *testing.T) {
	now := time.Now()
	n := &node{settings: &settings{}}
	require.True(t, n.wantsLink(now))
	n.grpcUntil = now.Add(grpcFor)
	require.False(t, n.wantsLink(now.Add(grpcFor-1)))
	require.True(t, n.wantsLink(now.Add(grpcFor)))
	n.settings.grpcOnly = true
	require.False(t, n.wantsLink(now.Add(time.Hour)))
}
