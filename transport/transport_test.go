package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/transport"
)

// quiet is a logger for tests that do not read the log.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// listen starts a transport on loopback that is closed with the test.
func listen(t testing.TB, name string, receive func(string, transport.Batch), options ...func(*transport.Config)) *transport.Transport {
	t.Helper()
	cfg := transport.Config{Name: name, Addr: "127.0.0.1:0", Receive: receive, Logger: quiet()}
	for _, o := range options {
		o(&cfg)
	}
	tr, err := transport.Listen(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { tr.Close() })
	return tr
}

// meet makes two transports, n1 and n2, peers of each other and waits for the
// links.
func meet(t testing.TB, one, two *transport.Transport) {
	t.Helper()
	one.SetPeers(map[string]string{"n2": two.Addr()})
	two.SetPeers(map[string]string{"n1": one.Addr()})
	eventually(t, func() bool { return linked(one, "n2") && linked(two, "n1") })
}

// linked reports whether both lanes to a peer are up.
func linked(t *transport.Transport, peer string) bool {
	n := 0
	for _, s := range t.Stats() {
		if s.Peer == peer && s.Linked {
			n++
		}
	}
	return n == 2
}

// statsOf is the message lane's entry of a peer.
func statsOf(t *transport.Transport, peer string) transport.LinkStats {
	for _, s := range t.Stats() {
		if s.Peer == peer {
			return s
		}
	}
	return transport.LinkStats{}
}

func eventually(t testing.TB, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, 20*time.Second, time.Millisecond)
}

// inbox keeps what a transport received, as "sender:message".
type inbox struct {
	mu   sync.Mutex
	msgs []string
}

func (i *inbox) receive(from string, b transport.Batch) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for m := range b.All() {
		i.msgs = append(i.msgs, from+":"+string(m))
	}
}

func (i *inbox) all() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.msgs[:len(i.msgs):len(i.msgs)]
}

func (i *inbox) has(msg string) bool {
	for _, m := range i.all() {
		if m == msg {
			return true
		}
	}
	return false
}

// next takes the next value from a channel, within the deadline of eventually.
func next[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		require.Fail(t, "nothing came")
		panic("unreachable")
	}
}

func ignore(string, transport.Batch) {}

// journal is a log that can be read.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), text)
}

func (j *journal) into(c *transport.Config) { c.Logger = slog.New(slog.NewTextHandler(j, nil)) }

// hasty makes failures show within seconds.
func hasty(c *transport.Config) {
	c.HeartbeatEvery, c.DeadAfter, c.RedialMax = 50*time.Millisecond, time.Second, 50*time.Millisecond
}

func TestMessagesArriveInOrderAndWhole(t *testing.T) {
	var in inbox
	one := listen(t, "n1", ignore)
	two := listen(t, "n2", in.receive)
	meet(t, one, two)

	const count = 10_000
	buf := make([]byte, 0, 64)
	for i := range count {
		buf = fmt.Appendf(buf[:0], "%d", i) // Send copies: the buffer is ours again at once
		require.NoError(t, one.Send("n2", buf))
	}
	eventually(t, func() bool { return len(in.all()) == count })
	for i, m := range in.all() {
		require.Equal(t, fmt.Sprintf("n1:%d", i), m)
	}
	s := statsOf(one, "n2")
	require.EqualValues(t, count, s.Messages)
	require.Less(t, s.Frames, s.Messages, "messages that wait travel together")
	eventually(t, func() bool { return statsOf(two, "n1").MessagesIn == count })
}

func TestLargeMessagesTravelInParts(t *testing.T) {
	sizes := make(chan int, 10)
	one := listen(t, "n1", ignore)
	two := listen(t, "n2", func(_ string, b transport.Batch) {
		for m := range b.All() {
			sizes <- len(m)
		}
	})
	meet(t, one, two)
	large := make([]byte, transport.MessageBytesMax)
	require.NoError(t, one.SendBulk("n2", large), "over the queue's limit, but alone")
	require.Equal(t, len(large), next(t, sizes))
	for _, size := range []int{256<<10 - 14, 256<<10 - 13, 256<<10 - 12, 256 << 10, 512 << 10} {
		require.NoError(t, one.SendBulk("n2", large[:size]))
		require.Equal(t, size, next(t, sizes), "around the size of a frame")
	}
	require.NoError(t, one.SendBulk("n2", nil), "and an empty one")
	require.Equal(t, 0, next(t, sizes))

	var tooLarge *transport.TooLargeError
	require.ErrorAs(t, one.Send("n2", append(large, 0)), &tooLarge)
	require.Equal(t, transport.MessageBytesMax, tooLarge.Limit)
}

// TestALargeMessageOnASlowLinkIsNoDeadPeer: the message takes several times
// DeadAfter; heartbeats pass between its parts. A machine that stands still for as
// long kills the link all the same, which is why there are three tries.
func TestALargeMessageOnASlowLinkIsNoDeadPeer(t *testing.T) {
	for range 3 {
		if crossesSlowly(t, make([]byte, 24<<20)) {
			return
		}
		t.Log("the link broke")
	}
	require.Fail(t, "the link broke every time")
}

// crossesSlowly sends a message over a slow link, and reports whether it arrived on
// the link on which it began.
func crossesSlowly(t *testing.T, msg []byte) bool {
	sizes := make(chan int, 10)
	one := listen(t, "n1", ignore, func(c *transport.Config) {
		c.HeartbeatEvery, c.DeadAfter = 50*time.Millisecond, 2*time.Second
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", addr)
			return slow{conn}, err
		}
	})
	two := listen(t, "n2", func(_ string, b transport.Batch) {
		for m := range b.All() {
			sizes <- len(m)
		}
	})
	one.SetPeers(map[string]string{"n2": two.Addr()})
	eventually(t, func() bool { return linked(one, "n2") })
	before := statsOf(one, "n2").Connects
	require.NoError(t, one.Send("n2", msg))
	broken := func() bool { return !one.Linked("n2") || statsOf(one, "n2").Connects > before }
	require.Eventually(t, func() bool { return len(sizes) > 0 || broken() }, time.Minute, 10*time.Millisecond)
	if broken() {
		return false
	}
	require.Equal(t, len(msg), <-sizes)
	return true
}

// slow is a connection that carries 4 MiB a second.
type slow struct{ net.Conn }

func (s slow) Write(b []byte) (int, error) {
	pace := time.NewTimer(time.Duration(len(b)) * time.Second / (4 << 20))
	<-pace.C
	return s.Conn.Write(b)
}

func TestWithoutALinkSendFailsAtOnce(t *testing.T) {
	one := listen(t, "n1", ignore)
	var unreachable *transport.UnreachableError
	require.ErrorAs(t, one.Send("n2", nil), &unreachable)
	require.Equal(t, transport.UnreachableError{Peer: "n2"}, *unreachable)

	one.SetPeers(map[string]string{"n2": "127.0.0.1:1"})
	require.ErrorAs(t, one.Send("n2", nil), &unreachable)
	require.Equal(t, transport.UnreachableError{Peer: "n2", Known: true}, *unreachable)
	require.False(t, one.Linked("n2"))
}

func TestAPeerThatReturnsIsDialledAgain(t *testing.T) {
	var in inbox
	changes := make(chan string, 100)
	one := listen(t, "n1", ignore, func(c *transport.Config) {
		c.RedialMax = 50 * time.Millisecond
		c.LinkUp = func(p string) { changes <- "up " + p }
		c.LinkDown = func(p string) { changes <- "down " + p }
	})
	two := listen(t, "n2", in.receive)
	addr := two.Addr()
	one.SetPeers(map[string]string{"n2": addr})
	require.Equal(t, "up n2", next(t, changes))
	two.Close()
	require.Equal(t, "down n2", next(t, changes))
	require.Error(t, one.Send("n2", []byte("lost")))

	again := listen(t, "n2", in.receive, func(c *transport.Config) { c.Addr = addr })
	require.Equal(t, "up n2", next(t, changes))
	require.NoError(t, one.Send("n2", []byte("hello")))
	eventually(t, func() bool { return in.has("n1:hello") })

	t.Log("at another address as well, and not at all once it is no peer")
	again.Close()
	require.Equal(t, "down n2", next(t, changes))
	moved := listen(t, "n2", in.receive)
	one.SetPeers(map[string]string{"n2": moved.Addr()})
	require.Equal(t, "up n2", next(t, changes))
	one.SetPeers(nil)
	require.Equal(t, "down n2", next(t, changes))
}

func TestCloseSendsWhatIsQueued(t *testing.T) {
	var in inbox
	one := listen(t, "n1", ignore)
	two := listen(t, "n2", in.receive, func(c *transport.Config) { c.DrainMax = 20 * time.Second })
	meet(t, one, two)
	for range 1000 {
		require.NoError(t, one.Send("n2", make([]byte, 1000)))
	}
	require.NoError(t, one.Send("n2", []byte("last")))
	require.NoError(t, one.Close())
	require.True(t, in.has("n1:last"))
	require.Zero(t, statsOf(two, "n1").CorruptIn, "its end is in good order")
	require.Error(t, one.Send("n2", nil))
	require.NoError(t, one.Close(), "twice is fine")

	t.Log("a peer that has just gone does not hold it up")
	began := time.Now()
	require.NoError(t, two.Close())
	require.Less(t, time.Since(began), 10*time.Second, "shorter than DrainMax")
}

func TestAFrozenPeerCostsItsOwnQueueOnly(t *testing.T) {
	const limit = 1 << 20
	freeze := make(chan struct{})
	answers := make(chan struct{}, 1)
	down := make(chan string, 100)
	one := listen(t, "n1", func(string, transport.Batch) { answers <- struct{}{} }, func(c *transport.Config) {
		c.QueueBytesMax = limit
		c.DeadAfter = 6 * time.Second
		c.LinkDown = func(p string) { down <- p }
	})
	frozen := listen(t, "n2", func(string, transport.Batch) { <-freeze })
	t.Cleanup(func() { close(freeze) })
	var healthy *transport.Transport
	healthy = listen(t, "n3", func(from string, b transport.Batch) {
		for m := range b.All() {
			healthy.Send(from, m)
		}
	})
	one.SetPeers(map[string]string{"n2": frozen.Addr(), "n3": healthy.Addr()})
	healthy.SetPeers(map[string]string{"n1": one.Addr()})
	eventually(t, func() bool { return linked(one, "n2") && linked(one, "n3") && linked(healthy, "n1") })

	t.Log("its queue fills to the limit, and Send says so without waiting")
	msg := make([]byte, 10_000)
	var full *transport.QueueFullError
	eventually(t, func() bool {
		for range 1000 {
			if err := one.Send("n2", msg); err != nil {
				return errors.As(err, &full)
			}
		}
		return false
	})
	require.Equal(t, transport.QueueFullError{Peer: "n2", Limit: limit}, *full)
	s := statsOf(one, "n2")
	require.LessOrEqual(t, s.QueuedBytes, limit)
	require.Positive(t, s.Refused)

	t.Log("the other link answers as fast as ever meanwhile")
	var worst time.Duration
	for range 500 {
		began := time.Now()
		one.Send("n2", msg)
		require.NoError(t, one.Send("n3", msg[:200]))
		next(t, answers)
		worst = max(worst, time.Since(began))
	}
	require.Less(t, worst, 3*time.Second, "shorter than DeadAfter")

	t.Log("in the end the frozen peer counts as gone")
	eventually(t, func() bool { // what the systems' buffers take is not dropped: there has to be more
		one.Send("n2", msg)
		return len(down) > 0
	})
	require.Equal(t, "n2", next(t, down))
	require.Positive(t, statsOf(one, "n2").Dropped)
	require.True(t, one.Linked("n3"))
}

// TestHelloRefuses: each row starts n1, dials it from a transport that does not
// fit, and reads the reason in the logs of both ends.
func TestHelloRefuses(t *testing.T) {
	cluster := func(b byte) func(*transport.Config) {
		return func(c *transport.Config) { c.ClusterID = func() [16]byte { return [16]byte{b} } }
	}
	tests := []struct {
		name            string
		dials, as       string
		reason, atOther string
		id              byte
	}{
		{"another node", "n9", "n2", "dialled n9, found n1", "it looks for n9, this node is n1", 1},
		{"its own name", "n1", "n1", `it has the name`, `it has the name`, 1},
		{"another cluster", "n1", "n2", "it belongs to the cluster 01", "it belongs to the cluster 02", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var here, there journal
			one := listen(t, "n1", ignore, cluster(1), there.into)
			dialler := listen(t, tt.as, ignore, cluster(tt.id), hasty, here.into)
			dialler.SetPeers(map[string]string{tt.dials: one.Addr()})
			eventually(t, func() bool { return here.count(tt.reason) > 1 && there.count(tt.atOther) > 0 }) // both lanes

			t.Log("told once per lane and side, however often it is tried")
			before := statsOf(one, tt.as).RefusedIn
			eventually(t, func() bool { return statsOf(one, tt.as).RefusedIn > before+4 })
			require.Equal(t, 2, here.count(tt.reason))
			require.Equal(t, 1, there.count(tt.atOther))
			require.False(t, dialler.Linked(tt.dials))
		})
	}
	t.Run("a node that has not joined fits any cluster", func(t *testing.T) {
		one := listen(t, "n1", ignore, cluster(1))
		two := listen(t, "n2", ignore)
		meet(t, one, two)
	})
}

func TestAVanishedPeerIsNoticed(t *testing.T) {
	var cut switchboard
	one := listen(t, "n1", ignore, hasty, func(c *transport.Config) { c.Dial = cut.dial })
	two := listen(t, "n2", ignore)
	one.SetPeers(map[string]string{"n2": two.Addr()})
	eventually(t, func() bool { return linked(one, "n2") })
	eventually(t, func() bool { return statsOf(one, "n2").RoundTrip > 0 })

	cut.pull()
	eventually(t, func() bool { return !one.Linked("n2") })
	cut.plug()
	eventually(t, func() bool { return one.Linked("n2") })
}

// switchboard makes connections whose packets can be made to vanish.
type switchboard struct {
	mu     sync.Mutex
	pulled bool
}

func (s *switchboard) pull() { s.set(true) }
func (s *switchboard) plug() { s.set(false) }

func (s *switchboard) set(pulled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pulled = pulled
}

func (s *switchboard) vanishes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pulled
}

func (s *switchboard) dial(ctx context.Context, addr string) (net.Conn, error) {
	if s.vanishes() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	return vanishing{conn, s}, err
}

type vanishing struct {
	net.Conn
	cut *switchboard
}

func (v vanishing) Write(b []byte) (int, error) {
	if v.cut.vanishes() {
		return len(b), nil
	}
	return v.Conn.Write(b)
}
