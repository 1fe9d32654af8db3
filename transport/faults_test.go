package transport_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/transport"
	"github.com/kindredkv/kindred/transport/faults"
)

// under puts a transport on a network that can be made to fail.
func under(n *faults.Network) func(*transport.Config) {
	return func(c *transport.Config) { c.Faults = n }
}

// faulty makes a network that ends with the test.
func faulty(t testing.TB) *faults.Network {
	n := faults.New()
	t.Cleanup(n.Close)
	return n
}

// cutOff is a plan that cuts one peer.
func cutOff(peer string, noSend, noReceive bool) faults.Plan {
	return faults.Plan{Cuts: []faults.Cut{{Peer: peer, Gossip: "127.0.0.1:1", NoSend: noSend, NoReceive: noReceive}}}
}

// A cut shorter than DeadAfter delays what is sent and breaks nothing: the
// links go on where they were, as TCP connections do.
func TestAShortCutIsADelay(t *testing.T) {
	var inOne, inTwo inbox
	net1, net2 := faulty(t), faulty(t)
	one := listen(t, "n1", inOne.receive, under(net1))
	two := listen(t, "n2", inTwo.receive, under(net2))
	meet(t, one, two)

	require.NoError(t, net1.Set(cutOff("n2", true, true)))
	require.NoError(t, one.Send("n2", []byte("held")))
	require.NoError(t, two.Send("n1", []byte("held too")), "n2 was not told, n1 does not listen")
	require.Never(t, func() bool { return len(inOne.all())+len(inTwo.all()) > 0 }, 100*time.Millisecond, 10*time.Millisecond)
	require.NoError(t, net1.Set(faults.Plan{}))
	eventually(t, func() bool { return inTwo.has("n1:held") && inOne.has("n2:held too") })
	require.EqualValues(t, 1, statsOf(one, "n2").Connects, "the same link")
}

// A one-way cut: what n1 sends is lost, and so are its answers to heartbeats.
func TestAOneWayCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inOne, inTwo inbox
		net1, net2 := faulty(t), faulty(t)
		w := &wires{listeners: map[string]*wireListener{}}
		at := func(addr string) func(*transport.Config) {
			return func(c *transport.Config) { c.Listener, c.Dial = w.listen(addr), w.dial }
		}
		one := listen(t, "n1", inOne.receive, hasty, under(net1), at("10.0.0.1:7401"))
		two := listen(t, "n2", inTwo.receive, hasty, under(net2), at("10.0.0.2:7401"))
		meet(t, one, two)

		require.NoError(t, net1.Set(cutOff("n2", true, false)))
		require.NoError(t, net2.Set(cutOff("n1", false, true)))
		require.NoError(t, one.Send("n2", []byte("lost")))
		require.NoError(t, two.Send("n1", []byte("passes")))
		eventually(t, func() bool { return inOne.has("n2:passes") })
		eventually(t, func() bool { return !one.Linked("n2") && !two.Linked("n1") })
		require.Empty(t, inTwo.all())
		eventually(t, func() bool { return net1.Stats().StalledDials > 0 && net2.Stats().StalledDials > 0 })

		net1.Set(faults.Plan{})
		net2.Set(faults.Plan{})
		eventually(t, func() bool { return linked(one, "n2") && linked(two, "n1") })
	})
}

// A node that alone was told of a cut keeps it against a peer that dials it.
func TestACutHoldsAgainstAPeerThatKnowsNothing(t *testing.T) {
	var in inbox
	cut := faulty(t)
	one := listen(t, "n1", in.receive, under(cut))
	require.NoError(t, cut.Set(cutOff("n2", false, true)))
	two := listen(t, "n2", ignore, hasty, func(c *transport.Config) { c.DialTimeout = 100 * time.Millisecond })
	two.SetPeers(map[string]string{"n1": one.Addr()})
	never := func(why string) {
		t.Helper()
		require.Never(t, func() bool { return two.Linked("n1") }, 300*time.Millisecond, 10*time.Millisecond, why)
	}
	never("its hello is not heard")
	require.NoError(t, cut.Set(cutOff("n2", true, false)))
	never("it hears no answer")
	cut.Set(faults.Plan{})
	eventually(t, func() bool { return two.Linked("n1") })
}

// wires is a network in memory, for virtual time.
type wires struct {
	mu        sync.Mutex
	listeners map[string]*wireListener
}

type wireListener struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (w *wires) listen(addr string) net.Listener {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, _ := net.ResolveTCPAddr("tcp", addr)
	l := &wireListener{addr: at, conns: make(chan net.Conn), done: make(chan struct{})}
	w.listeners[addr] = l
	return l
}

func (w *wires) dial(ctx context.Context, addr string) (net.Conn, error) {
	w.mu.Lock()
	l := w.listeners[addr]
	w.mu.Unlock()
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *wireListener) Addr() net.Addr { return l.addr }
func (l *wireListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *wireListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// TestLinksAreBackWithinASecondOfALongCut: T6 after cuts that end at any moment
// of the redialling, whatever back-off gRPC has by then.
func TestLinksAreBackWithinASecondOfALongCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wires{listeners: map[string]*wireListener{}}
		names := map[string]string{"n1": "10.0.0.1:7401", "n2": "10.0.0.2:7401"}
		networks, transports := map[string]*faults.Network{}, map[string]*transport.Transport{}
		for name, addr := range names {
			networks[name] = faults.New()
			transports[name] = listen(t, name, ignore, under(networks[name]), func(c *transport.Config) {
				c.Listener, c.Dial = w.listen(addr), w.dial
			})
		}
		one, two := transports["n1"], transports["n2"]
		back := func() bool { return linked(one, "n2") && linked(two, "n1") }
		wait := func(limit time.Duration, cond func() bool) time.Duration {
			for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
				synctest.Wait()
				if took := time.Since(began); cond() || took > limit {
					return took
				}
			}
		}
		one.SetPeers(map[string]string{"n2": names["n2"]})
		two.SetPeers(map[string]string{"n1": names["n1"]})
		require.Less(t, wait(5*time.Second, back), 5*time.Second)

		var worst time.Duration
		for i := range 20 {
			networks["n1"].Set(cutOff("n2", true, true))
			networks["n2"].Set(cutOff("n1", true, true))
			long := 15 * time.Second
			if i%5 == 0 {
				long = 5 * time.Minute
			}
			time.Sleep(long + time.Duration(i)*173*time.Millisecond)
			require.False(t, one.Linked("n2") || two.Linked("n1"))
			networks["n1"].Set(faults.Plan{})
			networks["n2"].Set(faults.Plan{})
			worst = max(worst, wait(10*time.Second, back))
		}
		t.Log("the worst of 20:", worst)
		require.LessOrEqual(t, worst, time.Second+50*time.Millisecond)

		one.Close()
		two.Close()
		networks["n1"].Close()
		networks["n2"].Close()
	})
}

// A caller that vanishes without a word does not keep its place for ever; one that
// is heard from keeps it.
func TestAVanishedCallerIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wires{listeners: map[string]*wireListener{}}
		var cut switchboard
		changes := make(chan bool, 100)
		two := listen(t, "n2", ignore, func(c *transport.Config) {
			c.Listener = w.listen("10.0.0.2:7401")
			c.Inbound = func(_ string, open bool) { changes <- open }
		})
		one := listen(t, "n1", ignore, func(c *transport.Config) {
			c.Listener = w.listen("10.0.0.1:7401")
			c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
				conn, err := w.dial(ctx, addr)
				return lingering{vanishing{conn, &cut}}, err
			}
		})
		one.SetPeers(map[string]string{"n2": "10.0.0.2:7401"})
		require.True(t, <-changes)
		time.Sleep(time.Hour) // of the bubble
		require.Empty(t, changes)

		cut.pull()
		began := time.Now()
		one.SetPeers(nil)
		require.False(t, <-changes)
		took := time.Since(began)
		require.GreaterOrEqual(t, took, 14*time.Second, "twice DeadAfter, but for a stride and a heartbeat")
		require.LessOrEqual(t, took, 16*time.Second)
		one.Close()
		two.Close()
	})
}

// lingering is a connection whose end is not seen at the other.
type lingering struct{ vanishing }

func (l lingering) Close() error { return l.SetDeadline(time.Unix(1, 0)) }
