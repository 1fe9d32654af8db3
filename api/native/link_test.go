package native

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// pair is both ends of a link over a connection of TCP.
func pair(t *testing.T) (client, server *Link) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	in, err := l.Accept()
	require.NoError(t, err)
	return greeted(t, out, in)
}

func greeted(t *testing.T, out, in net.Conn) (client, server *Link) {
	var both sync.WaitGroup
	both.Go(func() {
		var err error
		var hello Hello
		server, hello, err = Accept(in)
		if err == nil && hello.Authorization == "Bearer x" && hello.Cluster == "17b2" {
			err = server.Welcome(7)
		}
		if err != nil {
			t.Error(err)
		}
	})
	client, hello, err := Open(out, "Bearer x", "17b2")
	both.Wait()
	require.NoError(t, err)
	require.Equal(t, 7, hello.CallsMax)
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

func put(value []byte) *kindred.Request {
	return &kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: "k", Value: value}
}

func TestCallsAndResultsTravel(t *testing.T) {
	client, server := pair(t)
	b := NewCalls()
	b.AddCall(1, put([]byte("v")))
	b.AddCall(2, &kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: "k"})
	require.NoError(t, client.Send(b))
	calls, err := server.Calls()
	require.NoError(t, err)
	require.Len(t, calls, 2)
	require.Equal(t, []byte("v"), calls[0].Request.Value)

	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	answer := NewResults()
	answer.AddResult(2, kindred.OpGet, &kindred.Response{Siblings: []kindred.Sibling{{Dot: "n1.1", Value: large}, {Dot: "n1.2", Value: large[:20000]}}})
	answer.AddResult(1, kindred.OpPut, &kindred.Response{Receipt: kindred.Receipt{Dot: "n1.3"}})
	go func() { _ = server.Send(answer) }()
	results, err := client.Results()
	require.NoError(t, err)
	require.Len(t, results, 2)
	require.True(t, bytes.Equal(large, results[0].Response.Siblings[0].Value))
	require.True(t, bytes.Equal(large[:20000], results[0].Response.Siblings[1].Value))
	require.Equal(t, "n1.3", results[1].Response.Receipt.Dot)
}

func TestAnEndSaysWhy(t *testing.T) {
	client, server := pair(t)
	require.NoError(t, client.End(nil))
	_, err := server.Calls()
	require.Equal(t, io.EOF, err)

	why := &kindred.Error{Code: kindred.CodeStopping, Message: "m", Outcome: kindred.NotApplied}
	require.NoError(t, server.End(why))
	_, err = client.Results()
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, why, refused.Err)
}

func TestWhatEndsWithoutAWordIsNoEndInOrder(t *testing.T) {
	client, server := pair(t)
	require.NoError(t, client.conn.Close())
	_, err := server.Calls()
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF)
}

func TestInvariant2_ATornOrSpoiltFrameIsNotDelivered(t *testing.T) {
	for _, spoil := range []struct {
		name string
		by   func(raw []byte) []byte
	}{
		{"torn", func(raw []byte) []byte { return raw[:len(raw)-1] }},
		{"a bit of the body", func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw }},
		{"the count", func(raw []byte) []byte { raw[countOffset]++; return raw }},
		{"the kind", func(raw []byte) []byte { raw[kindOffset] = byte(kindResults); return raw }},
	} {
		t.Run(spoil.name, func(t *testing.T) {
			client, server := pair(t)
			b := NewCalls()
			b.AddCall(1, put([]byte("v")))
			b.seal([][]byte{b.buf})
			_, err := client.conn.Write(spoil.by(bytes.Clone(b.buf)))
			require.NoError(t, err)
			require.NoError(t, client.Close())
			calls, err := server.Calls()
			require.Error(t, err)
			require.NotErrorIs(t, err, io.EOF)
			require.Empty(t, calls)
		})
	}
}

func TestWhoeverDoesNotGreetIsNoLink(t *testing.T) {
	for _, said := range []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "KINDRED\n", "\x00\x00\x06\x04", ""} {
		out, in := net.Pipe()
		go func() {
			_, _ = in.Write([]byte(said))
			_ = in.Close()
		}()
		go func() { _, _ = io.Copy(io.Discard, in) }()
		_, _, err := Open(out, "", "")
		require.ErrorIs(t, err, ErrNoGreeting, "%q", said)
		_ = out.Close()
	}
}

func TestARefusalIsHeardAlthoughTheClientHasSentMore(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	why := &kindred.Error{Code: kindred.CodeUnauthenticated, Message: "who?", Outcome: kindred.NotApplied}
	go func() {
		in, _ := l.Accept()
		server, _, err := Accept(in)
		if err == nil {
			server.Refuse(why)
			server.Close()
		}
	}()
	out, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer out.Close()
	_, _, err = Open(&talkative{Conn: out}, "", "")
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, why, refused.Err)
}

// talkative is a client that goes on sending once it has said its greeting.
type talkative struct {
	net.Conn
	greeted sync.Once
}

func (c *talkative) Read(p []byte) (int, error) {
	c.greeted.Do(func() { go func() { _, _ = c.Write(make([]byte, 1<<20)) }() })
	return c.Conn.Read(p)
}

// serving answers pings for as long as its link lives.
func serving(l *Link) (ended chan error) {
	ended = make(chan error, 1)
	go func() {
		_, err := l.Calls()
		ended <- err
	}()
	return ended
}

func TestAPingIsAnswered(t *testing.T) {
	client, server := pair(t)
	serving(server)
	go func() { _, _ = client.Results() }()
	for range 3 {
		require.NoError(t, client.Ping(t.Context()))
	}
}

func TestInvariant6_AWriterThatIsHeldUpDoesNotHoldUpTheReader(t *testing.T) {
	client, server := pair(t)
	go func() { // the client does not read: this ends with the link
		b := NewResults()
		b.AddResult(1, kindred.OpGet, &kindred.Response{Siblings: []kindred.Sibling{{Value: make([]byte, 32<<20)}}})
		_ = server.Send(b)
	}()
	arrived := make(chan int, 100)
	go func() {
		for {
			calls, err := server.Calls()
			if err != nil {
				close(arrived)
				return
			}
			arrived <- len(calls)
		}
	}()
	for range 20 {
		client.aside(kindPing, &client.pinging)
		b := NewCalls()
		b.AddCall(1, put(nil))
		require.NoError(t, client.Send(b))
		require.Equal(t, 1, <-arrived)
	}
	client.Close()
	for range arrived {
	}
}

func TestASilentEndIsPingedAndThenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, in := net.Pipe()
		client, server := greeted(t, out, in)
		server.Watch(30*time.Second, 10*time.Second)
		ended := serving(server)
		reading := make(chan error, 1)
		go func() {
			_, err := client.Results()
			reading <- err
		}()
		time.Sleep(time.Hour) // it answers
		require.Empty(t, ended)
		_ = client.conn.SetReadDeadline(time.Now())
		require.Error(t, <-reading)
		began := time.Now()
		_ = client.conn.SetReadDeadline(time.Time{})
		go func() { _, _ = io.CopyN(io.Discard, client.conn, headBytes) }() // it reads, and says nothing
		require.ErrorIs(t, <-ended, ErrSilent)
		require.LessOrEqual(t, time.Since(began), 80*time.Second)
	})
}

func TestALinkOnWhichBytesMoveIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, in := net.Pipe()
		client, server := greeted(t, out, in)
		server.Watch(30*time.Second, 10*time.Second)
		ended := serving(server)
		sent := make(chan error, 1)
		go func() {
			b := NewResults()
			b.AddResult(1, kindred.OpGet, &kindred.Response{Siblings: []kindred.Sibling{{Value: make([]byte, 8<<20)}}})
			sent <- server.Send(b)
		}()
		for range 8<<20/pieceBytes - 1 { // slower than any silence would be borne
			time.Sleep(9 * time.Second)
			_, err := io.CopyN(io.Discard, client.conn, pieceBytes)
			require.NoError(t, err)
		}
		require.Empty(t, ended)
		go func() { _, _ = io.Copy(io.Discard, client.conn) }()
		require.NoError(t, <-sent)
	})
}

func TestPingsWaitNoLongerThanTheyAreAsked(t *testing.T) {
	client, _ := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, client.Ping(ctx), ErrSilent)
}

func TestAnnouncedBytesAreNotBelievedBeforeTheyCome(t *testing.T) {
	client, server := pair(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	head := make([]byte, headBytes)
	head[1], head[2] = 0xff, 0xff // 16 MiB
	head[versionOffset], head[kindOffset] = Version, byte(kindCalls)
	_, err := client.conn.Write(head)
	require.NoError(t, err)
	go func() { _ = client.conn.(*net.TCPConn).CloseWrite() }()
	_, err = server.Calls()
	require.Error(t, err)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// A name becomes sixteen bytes where a frame needs one for it.
func TestListsOfNodesAreBounded(t *testing.T) {
	names := make([]kindred.NodeFailure, namesMax+1)
	for n, want := range map[int]bool{namesMax: true, namesMax + 1: false} {
		client, server := pair(t)
		b := newBatch(kindEnd)
		b.buf = encodeEnd(b.buf, &kindred.Error{Failed: names[:n]})
		require.NoError(t, client.Send(b))
		_, err := server.Calls()
		refused, bad := (*RefusedError)(nil), (*FrameError)(nil)
		require.Equal(t, want, errors.As(err, &refused), "%v", err)
		require.Equal(t, !want, errors.As(err, &bad), "%v", err)
	}
}

func TestAnEndIsBounded(t *testing.T) {
	client, server := pair(t)
	b := newBatch(kindEnd)
	b.buf = encodeEnd(b.buf, &kindred.Error{Message: strings.Repeat("m", endBytesMax)})
	require.NoError(t, client.Send(b))
	_, err := server.Calls()
	bad := (*FrameError)(nil)
	require.ErrorAs(t, err, &bad)
	require.Contains(t, bad.Reason, "the limit is 16384")
}

// A result becomes some hundred bytes where a frame needs three for it.
func TestAFrameHoldsSoManyResultsAndNoMore(t *testing.T) {
	for n, want := range map[int]bool{ResultsMax: true, ResultsMax + 1: false} {
		b := NewResults()
		for i := range n {
			b.AddResult(uint64(i), kindred.OpPut, &kindred.Response{})
		}
		b.seal([][]byte{b.buf})
		f, err := openFrame(b.buf, false)
		require.NoError(t, err)
		results, err := decodeResults(f, nil)
		require.Equal(t, want, err == nil, "%v", err)
		require.Equal(t, want, len(results) == n)
	}
}

func TestInvariant5_ALinkAtRestHoldsNoFrame(t *testing.T) {
	client, server := pair(t)
	large := make([]byte, 8<<20)
	go func() {
		for range 2 {
			calls, err := server.Calls()
			if err != nil {
				return
			}
			b := NewResults()
			b.AddResult(calls[0].ID, kindred.OpGet, &kindred.Response{Siblings: []kindred.Sibling{{Value: calls[0].Request.Value}}})
			if server.Send(b) != nil {
				return
			}
		}
		_, _ = server.Calls()
	}()
	for range 2 {
		b := NewCalls()
		b.AddCall(1, put(large))
		require.NoError(t, client.Send(b))
		_, err := client.Results()
		require.NoError(t, err)
	}
	go func() { _, _ = client.Results() }() // as a client at rest
	large = nil
	require.Eventually(t, func() bool {
		runtime.GC()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		return now.HeapAlloc < 6<<20
	}, 20*time.Second, 10*time.Millisecond)
	runtime.KeepAlive(client)
}

func TestManySendersAndTheEndOfALink(t *testing.T) {
	client, server := pair(t)
	go func() {
		for {
			calls, err := server.Calls()
			if err != nil {
				return
			}
			b := NewResults()
			for _, c := range calls {
				b.AddResult(c.ID, kindred.OpPut, &kindred.Response{})
			}
			_ = server.Send(b)
		}
	}()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				b := NewCalls()
				b.AddCall(1, put(nil))
				if client.Send(b) != nil {
					return
				}
				client.aside(kindPing, &client.pinging)
			}
		})
	}
	for range 200 {
		_, err := client.Results()
		require.NoError(t, err)
	}
	client.Close()
	all.Wait()
	_, err := client.Results()
	require.False(t, errors.Is(err, io.EOF))
}
