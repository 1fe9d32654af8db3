package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api/native"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/server"
)

// door opens one more listener for gRPC and links, to which the Go client can connect.
func (h *house) door(t testing.TB) (addr string) {
	h.backend.layout = nil
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = h.ServeGRPC(l) }()
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// caller is a Go client.
func caller(t testing.TB, addr string, opts ...client.Option) *client.Client {
	c, err := client.Dial(within(t), []string{addr}, append([]client.Option{client.WithoutHedging()}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// greet begins a link by hand.
func greet(t testing.TB, addr string) (*native.Link, net.Conn) {
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	link, _, err := native.Open(conn, "", "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = link.Close() })
	return link, conn
}

func put(value []byte) *kindred.Request {
	return &kindred.Request{Op: kindred.OpPut, Bucket: "carts", Key: "alice", Value: value}
}

func send(t testing.TB, link *native.Link, requests ...*kindred.Request) {
	b := native.NewCalls()
	for i, q := range requests {
		b.AddCall(uint64(i+1), q)
	}
	require.NoError(t, link.Send(b))
}

func TestLinksAndGRPCAreServedAtOnePort(t *testing.T) {
	h := open(t)
	addr := h.door(t)
	carts := caller(t, addr).Bucket("carts")
	_, err := carts.Put(within(t), "alice", []byte("milk"), client.TTL(time.Hour))
	require.NoError(t, err)
	h.shows(t, "kindred_native_links 1")
	h.shows(t, "kindred_streams_in_flight 1")
	h.shows(t, `kindred_requests_total{code="ok",op="put"} 1`)
	require.Equal(t, time.Hour, h.backend.requests()[0].TTL)

	plain := caller(t, addr, client.WithGRPCOnly()).Bucket("carts")
	got, err := plain.Get(within(t), "alice")
	require.NoError(t, err)
	require.Equal(t, "milk", string(got.Siblings[0].Value))
	_, err = carts.Delete(within(t), "alice", client.Seen(got.Context))
	require.NoError(t, err)
	large := bytes.Repeat([]byte("x"), 5<<20)
	_, err = carts.Put(within(t), "large", large)
	require.NoError(t, err)
	got, err = carts.Get(within(t), "large")
	require.NoError(t, err)
	require.True(t, bytes.Equal(large, got.Siblings[0].Value))
	h.shows(t, "kindred_native_links 2") // large values go beside small ones
}

func TestWhoeverIsNotAskedForLinksGetsGRPC(t *testing.T) {
	h := open(t, func(c *server.Config) { c.GRPCOnly = true })
	carts := caller(t, h.door(t)).Bucket("carts")
	for range 3 {
		_, err := carts.Put(within(t), "alice", nil)
		require.NoError(t, err)
	}
	h.shows(t, "kindred_native_links 0")
	h.shows(t, "kindred_streams_in_flight 1")
}

// failure is how a put fails. Some failures are tried again until the time is over, and
// it takes some for the node to be heard at all.
func failure(t *testing.T, b *client.Bucket, why *kindred.Error) *client.Error {
	for enough := 300 * time.Millisecond; ; enough *= 2 {
		_, err := b.Put(within(t), "k", nil, client.RequestID(kindred.RequestID{1}), client.Timeout(enough))
		var failed *client.Error
		require.ErrorAs(t, err, &failed)
		if failed.Attempts[0].Reason == string(why.Code) || enough > deadline {
			return failed
		}
	}
}

// The same failures read the same, whatever carried them.
func TestErrorsAreTheSameOverLinks(t *testing.T) {
	h := open(t)
	addr := h.door(t)
	link, plain := caller(t, addr).Bucket("carts"), caller(t, addr, client.WithGRPCOnly()).Bucket("carts")
	for _, fail := range []*kindred.Error{
		{Code: kindred.CodeTimeout, Message: "w=2, 1 answered", Outcome: kindred.Unknown, Dot: "n1:9", Need: 2, Got: 1, Failed: []kindred.NodeFailure{{Node: "n2", Reason: "timed out"}}},
		kindred.Invalid("w", "w=9 is more than there are"),
		{Code: kindred.CodeTooLarge, Field: "value", Limit: 77, Message: "too large: split it", Outcome: kindred.NotApplied},
		{Code: kindred.CodeInternal, Message: "not \xff text", Outcome: kindred.Unknown},
	} {
		h.backend.fail = fail
		a, b := failure(t, link, fail), failure(t, plain, fail)
		require.Equal(t, b.Err, a.Err)
		require.Equal(t, b.Attempts[0], a.Attempts[0])
	}
}

func TestADrainLosesNoAnswerOfALink(t *testing.T) {
	h := open(t)
	addr := h.door(t)
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 9)
	link, _ := greet(t, addr)
	send(t, link, put([]byte("v")))
	receive(t, h.backend.began)
	ctx := within(t)
	ended := h.shutdown(t, ctx)

	send(t, link, &kindred.Request{Op: kindred.OpPut, Bucket: "carts", Key: "late"})
	results, err := link.Results()
	require.NoError(t, err)
	require.Equal(t, kindred.CodeStopping, results[0].Response.Err.Code)
	require.Equal(t, kindred.NotApplied, results[0].Response.Err.Outcome)
	require.Empty(t, ended, "it waits for what runs")

	close(h.backend.hold)
	results, err = link.Results()
	require.NoError(t, err)
	require.Nil(t, results[0].Response.Err)
	_, err = link.Results()
	var refused *native.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, kindred.CodeStopping, refused.Err.Code)
	_ = link.Close()
	require.NoError(t, receive(t, ended))
}

// A drain that is cut short waits for nobody: neither for calls of a client that has
// said its last, nor for a reader that waits for room.
func TestADrainThatIsCutShortCutsLinksWhoseReaderIsBusy(t *testing.T) {
	for name, then := range map[string]func(t *testing.T, link *native.Link){
		"no more calls": func(t *testing.T, link *native.Link) { require.NoError(t, link.End(nil)) },
		"no room":       func(t *testing.T, link *native.Link) { send(t, link, put(nil), put(nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, func(c *server.Config) { c.CallsPerStreamMax = 1 })
			addr := h.door(t)
			h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 9)
			defer close(h.backend.hold)
			link, _ := greet(t, addr)
			send(t, link, put(nil))
			receive(t, h.backend.began)
			then(t, link)
			ctx, enough := context.WithCancel(t.Context())
			ended := h.shutdown(t, ctx)
			require.Empty(t, ended, "it waits for what runs")
			enough()
			require.ErrorIs(t, receive(t, ended), context.Canceled)
		})
	}
}

func TestALinkThatEndsWithACallUnderWayLeavesItsOutcomeUnknown(t *testing.T) {
	h := open(t)
	addr := h.door(t)
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 99)
	c := caller(t, addr)
	failed := make(chan error, 1)
	go func() {
		_, err := c.Bucket("carts").Put(within(t), "alice", nil, client.Timeout(2*time.Second))
		failed <- err
	}()
	receive(t, h.backend.began)
	now, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, h.Shutdown(now), "it does not wait")
	err := receive(t, failed)
	require.Equal(t, kindred.Unknown, kindred.OutcomeOf(err))
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.True(t, e.Attempts[0].Unknown)
	require.Contains(t, e.Attempts[0].Reason, "the connection broke")
	close(h.backend.hold)
}

// A node that is slow is asked as often as the client says it asked, and no more.
func TestOneAttemptIsOneSend(t *testing.T) {
	h := open(t)
	h.backend.hold = make(chan struct{})
	defer close(h.backend.hold)
	c := caller(t, h.door(t))
	_, err := c.Bucket("carts").Put(within(t), "alice", nil, client.Timeout(time.Second))
	var failed *client.Error
	require.ErrorAs(t, err, &failed)
	sent := 0 // what was not sent in time is an attempt too
	for _, a := range failed.Attempts {
		if a.Unknown {
			sent++
		}
	}
	require.Len(t, failed.Attempts, int(c.Stats().Attempts))
	require.Eventually(t, func() bool { return len(h.backend.requests()) == sent }, deadline, time.Millisecond)
	require.NoError(t, c.Close())
	h.shows(t, "kindred_native_links 0") // and nothing is on its way any more
	require.Len(t, h.backend.requests(), sent)
}

func TestOverloadIsSaidOverLinks(t *testing.T) {
	h := open(t, func(c *server.Config) { c.CallsMax, c.StreamsMax = 2, 1 })
	addr := h.door(t)
	h.backend.hold, h.backend.began = make(chan struct{}), make(chan kindred.Op, 9)
	defer close(h.backend.hold)
	link, _ := greet(t, addr)
	send(t, link, put(nil), put(nil), put(nil))
	results, err := link.Results()
	require.NoError(t, err)
	require.EqualValues(t, 3, results[0].ID)
	require.Equal(t, "the node already has 2 operations under way, its limit: try again, or another node", results[0].Response.Err.Message)

	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	_, _, err = native.Open(conn, "", "")
	var refused *native.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, kindred.CodeOverloaded, refused.Err.Code)
}

func TestLimitsHoldOnLinksBeforeTheBackendIsAsked(t *testing.T) {
	h := open(t)
	link, _ := greet(t, h.door(t))
	send(t, link, &kindred.Request{Op: kindred.OpPut, Bucket: "carts", Key: strings.Repeat("k", kindred.KeyBytesMax+1)})
	results, err := link.Results()
	require.NoError(t, err)
	require.Equal(t, kindred.CodeTooLarge, results[0].Response.Err.Code)
	require.Equal(t, "key", results[0].Response.Err.Field)
	require.Empty(t, h.backend.requests())
}

// I11: who asks and does not read holds the budget for a while, and nobody up.
func TestLinksThatAreNotReadAreCutOffAndHarmNoOne(t *testing.T) {
	const most = 32 << 20 // more than the system takes off our hands
	h := open(t, func(c *server.Config) { c.AnswerBytesMax, c.AnswerTimeout = most, 300*time.Millisecond })
	addr := h.door(t)
	good := caller(t, addr).Bucket("carts")
	_, err := good.Put(within(t), "alice", bytes.Repeat([]byte("v"), 4<<20))
	require.NoError(t, err)
	_, err = good.Put(within(t), "small", []byte("v"))
	require.NoError(t, err)
	peak := h.watch(t)
	link, conn := greet(t, addr)
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4<<10))
	var gets []*kindred.Request
	for range 40 {
		gets = append(gets, &kindred.Request{Op: kindred.OpGet, Bucket: "carts", Key: "alice"})
	}
	send(t, link, gets...)
	for range 20 {
		_, err := good.Get(within(t), "small")
		require.NoError(t, err)
	}
	h.shows(t, "kindred_native_links 2") // those of the good one
	h.shows(t, "kindred_grpc_answer_bytes 0")
	require.LessOrEqual(t, peak(), int64(most+40*1024), "values are bounded; refusals are told in any case")
}

func TestALinkThatNobodyUsesIsEndedInOrderAndTakenUpAgain(t *testing.T) {
	h := open(t, func(c *server.Config) { c.IdleTimeout = 20 * time.Millisecond })
	carts := caller(t, h.door(t)).Bucket("carts")
	for range 3 {
		r, err := carts.Put(within(t), "alice", nil)
		require.NoError(t, err)
		require.NotEmpty(t, r.Dot)
		h.shows(t, "kindred_native_links 0")
	}
}

func TestAMessageThatIsNoneEndsALinkAndSaysSo(t *testing.T) {
	h := open(t)
	addr := h.door(t)
	link, conn := greet(t, addr)
	_, err := conn.Write(bytes.Repeat([]byte{9}, 40))
	require.NoError(t, err)
	_, err = link.Results()
	var refused *native.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, kindred.CodeInternal, refused.Err.Code)
	_ = link.Close()
	h.shows(t, "kindred_native_links 0")
}

func TestStrangersOverLinksAreToldTheSame(t *testing.T) {
	f := openFortress(t)
	f.backend.layout = nil
	stranger := f.stranger(t)
	_, token, err := f.kit.TokenClient("client").Open()
	require.NoError(t, err)
	known, err := client.Dial(within(t), []string{f.addr}, client.WithTLS(stranger), client.WithToken(token), client.WithRefresh(time.Hour))
	require.NoError(t, err)
	defer known.Close()
	carts := known.Bucket("carts")
	_, err = carts.Put(within(t), "alice", []byte("v1"))
	require.NoError(t, err)
	require.Equal(t, 1, f.NativeLinks())

	certified := caller(t, f.addr, client.WithTLS(f.config(t, f.kit.Client("client"))))
	_, err = certified.Bucket("carts").Get(within(t), "alice")
	require.NoError(t, err)
	require.Equal(t, 2, f.NativeLinks())

	require.NoError(t, security.WritePrivate(filepath.Join(f.dir, "tokens"), nil))
	changed, err := f.keeper.Reload()
	require.NoError(t, err)
	require.True(t, changed)
	_, err = carts.Put(within(t), "alice", []byte("v2"), client.Timeout(time.Second))
	require.ErrorContains(t, err, security.ErrUnknownToken.Error())
	got, err := certified.Bucket("carts").Get(within(t), "alice")
	require.NoError(t, err)
	require.Equal(t, "v1", string(got.Siblings[0].Value), "what was asked after that is not done")
}

// Those who say nothing, or begin and go no further, are not waited for for ever.
func TestAGreetingThatDoesNotComeEnds(t *testing.T) {
	h := open(t, func(c *server.Config) { c.HeaderTimeout = 50 * time.Millisecond })
	addr := h.door(t)
	for _, said := range []string{"", "K", native.Preface[:7], native.Preface, native.Preface + "\xff\x00\x00\x00", "KINDRED\n", "nonsense"} {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		_, err = conn.Write([]byte(said))
		require.NoError(t, err)
		_ = conn.SetReadDeadline(time.Now().Add(deadline))
		for buf := make([]byte, 512); ; {
			if _, err = conn.Read(buf); err != nil {
				break
			}
		}
		late, ok := errors.AsType[net.Error](err)
		require.False(t, ok && late.Timeout(), "%q: it was not closed", said)
		_ = conn.Close()
	}
	h.shows(t, "kindred_native_links 0")
}

// Large values leave nothing behind on links at rest.
func TestLinksAtRestAreSmall(t *testing.T) {
	const links = 40
	h := open(t)
	addr := h.door(t)
	var all sync.WaitGroup
	for i := range links {
		link, _ := greet(t, addr)
		all.Go(func() {
			b := native.NewCalls()
			b.AddCall(1, &kindred.Request{Op: kindred.OpPut, Bucket: "carts", Key: "same", Value: make([]byte, 4<<20)})
			b.AddCall(2, &kindred.Request{Op: kindred.OpGet, Bucket: "carts", Key: fmt.Sprint(i)})
			if link.Send(b) != nil {
				return
			}
			for answers := 0; answers < 2; {
				results, err := link.Results()
				if err != nil {
					t.Error(err)
					return
				}
				answers += len(results)
			}
		})
	}
	all.Wait()
	h.backend.mu.Lock()
	h.backend.asked, h.backend.objects = nil, map[string]*object{}
	h.backend.mu.Unlock()
	require.Eventually(t, func() bool {
		runtime.GC()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		return now.HeapAlloc < 24<<20
	}, deadline, 10*time.Millisecond, "%d links of both ends", links)
}
