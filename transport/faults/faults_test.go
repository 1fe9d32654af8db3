package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/transport/faults"
)

// cut is a plan that cuts off n2.
func cut(noSend, noReceive bool) faults.Plan {
	return faults.Plan{Cuts: []faults.Cut{{Peer: "n2", Gossip: "127.0.0.1:7412", NoSend: noSend, NoReceive: noReceive}}}
}

// line is a connection to n2: here under the plan, there as it is.
func line(t *testing.T, n *faults.Network) (here, there net.Conn) {
	a, b := net.Pipe()
	here = n.Conn(a, faults.Named("n2"))
	t.Cleanup(func() { n.Close(); here.Close(); b.Close() })
	return here, b
}

// arrivals notes what is read from a connection, and when.
func arrivals(c net.Conn) <-chan string {
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		for buf := make([]byte, 64); ; {
			n, err := c.Read(buf)
			if n > 0 {
				out <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}

func TestWritesAreHeldByACutAndGoOutInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := faults.New()
		here, there := line(t, n)
		got := arrivals(there)
		say := func(s string) {
			_, err := here.Write([]byte(s))
			require.NoError(t, err)
		}
		say("1")
		require.Equal(t, "1", <-got)
		require.NoError(t, n.Set(cut(true, false)))
		for _, s := range []string{"2", "3", "4"} {
			say(s)
		}
		time.Sleep(time.Hour)
		require.Empty(t, got)
		require.NoError(t, n.Set(faults.Plan{}))
		say("5")
		for _, s := range []string{"2", "3", "4", "5"} {
			require.Equal(t, s, <-got)
		}
		synctest.Wait()
		say("6")
		require.Equal(t, "6", <-got, "directly again")
	})
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := faults.New()
		here, there := line(t, n)
		require.NoError(t, n.Set(cut(true, false)))
		chunk := make([]byte, 1<<20)
		require.NoError(t, here.SetWriteDeadline(time.Now().Add(time.Minute)))
		var err error
		taken := 0
		for ; err == nil; taken++ {
			_, err = here.Write(chunk)
		}
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "a full buffer makes writers wait")
		require.Equal(t, 5, taken, "four are held, the fifth waited")

		require.NoError(t, here.SetWriteDeadline(time.Time{}))
		written := make(chan error)
		go func() {
			_, err := here.Write(chunk)
			written <- err
		}()
		synctest.Wait()
		n.Set(faults.Plan{})
		go io.Copy(io.Discard, there)
		require.NoError(t, <-written, "it goes on when there is room")

		synctest.Wait()
		n.Set(cut(true, false))
		for range 4 {
			here.Write(chunk)
		}
		go func() {
			_, err := here.Write(chunk)
			written <- err
		}()
		synctest.Wait()
		here.Close()
		require.ErrorIs(t, <-written, net.ErrClosed)
	})
}

func TestWhatArrivesThroughACutIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := faults.New()
		here, there := line(t, n)
		require.NoError(t, n.Set(cut(false, true)))
		go func() {
			there.Write([]byte("early"))
			there.Close()
		}()
		got := arrivals(here)
		time.Sleep(time.Hour)
		require.Empty(t, got, "neither the bytes nor the end")
		n.Set(faults.Plan{})
		require.Equal(t, "early", <-got)
		_, open := <-got
		require.False(t, open)
	})
}

func TestADeadlineInACutLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := faults.New()
		here, there := line(t, n)
		n.Set(cut(false, true))
		go there.Write([]byte("held"))
		buf := make([]byte, 2)
		here.SetReadDeadline(time.Now().Add(time.Minute))
		_, err := here.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, err = here.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		n.Set(faults.Plan{})
		here.SetReadDeadline(time.Time{})
		for _, want := range []string{"he", "ld"} {
			_, err := io.ReadFull(here, buf)
			require.NoError(t, err)
			require.Equal(t, want, string(buf))
		}
	})
}

// X1: who closes into a cut is not seen to close until it ends.
func TestTheEndIsNotSeenThroughACut(t *testing.T) {
	for name, ends := range map[string]struct {
		words string
		after time.Duration
		heal  bool
	}{
		"healed": {"last words", time.Minute, true}, "given up": {"last words", 3 * time.Minute, false},
		"in silence": {"", time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := faults.New()
				here, there := line(t, n)
				got := arrivals(there)
				n.Set(cut(true, true))
				if ends.words != "" {
					here.Write([]byte(ends.words))
				}
				reader := make(chan error)
				go func() {
					_, err := here.Read(make([]byte, 1))
					reader <- err
				}()
				synctest.Wait()
				require.NoError(t, here.Close())
				require.ErrorIs(t, <-reader, net.ErrClosed, "this end knows at once")
				_, err := here.Write([]byte("more"))
				require.ErrorIs(t, err, net.ErrClosed)
				require.Error(t, here.Close())
				time.Sleep(time.Minute)
				select {
				case s, open := <-got:
					require.Fail(t, "the peer saw", "%q, open %v", s, open)
				default:
				}
				time.Sleep(ends.after - time.Minute)
				if ends.heal {
					n.Set(faults.Plan{})
				}
				if ends.heal && ends.words != "" {
					require.Equal(t, ends.words, <-got)
				}
				_, open := <-got
				require.False(t, open)
			})
		})
	}
}

func TestADelayKeepsOrderAndRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := faults.New()
		here, there := line(t, n)
		got := arrivals(there)
		require.NoError(t, n.Set(faults.Plan{Delay: 50 * time.Millisecond}))
		began := time.Now()
		for i := range 100 {
			here.Write([]byte{byte(i)})
			time.Sleep(time.Millisecond)
		}
		for i := range 100 {
			require.Equal(t, string([]byte{byte(i)}), <-got)
		}
		require.Equal(t, 149*time.Millisecond, time.Since(began), "each is 50 ms late, not each 50 ms after the other")

		here.Write([]byte("late"))
		here.Close()
		require.Equal(t, "late", <-got, "what was written before the end comes before it")
		_, open := <-got
		require.False(t, open)

		at := time.Now()
		conn, err := n.Dial(t.Context(), faults.Named("n3"), func(context.Context) (net.Conn, error) {
			c, _ := net.Pipe()
			return c, nil
		})
		require.NoError(t, err)
		require.Equal(t, 50*time.Millisecond, time.Since(at))
		conn.Close()
	})
}

func TestADialHangsInACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := faults.New()
		for _, p := range []faults.Plan{cut(true, false), cut(false, true)} {
			require.NoError(t, n.Set(p))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, err := n.Dial(ctx, faults.Named("n2"), nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		require.EqualValues(t, 2, n.Stats().StalledDials)
		go func() {
			time.Sleep(time.Minute)
			n.Set(faults.Plan{})
		}()
		refused := errors.New("refused")
		_, err := n.Dial(t.Context(), faults.Gossiping("127.0.0.1:7412"), func(context.Context) (net.Conn, error) { return nil, refused })
		require.ErrorIs(t, err, refused, "the cut ended in time")
	})
}

// An accepted connection is nobody's until its peer says who it is.
func TestAnAcceptedConnectionIsIdentified(t *testing.T) {
	n := faults.New()
	defer n.Close()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := n.Listener(inner)
	defer l.Close()
	there, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer there.Close()
	here, err := l.Accept()
	require.NoError(t, err)
	defer here.Close()
	n.Set(cut(true, true))
	got := arrivals(there)
	here.Write([]byte("hello"))
	require.Equal(t, "hello", <-got)
	require.Equal(t, there.LocalAddr().String(), here.RemoteAddr().String())
	faults.Identify(here.RemoteAddr(), faults.Named("n2"))
	here.Write([]byte("held"))
	require.Never(t, func() bool { return len(got) > 0 }, 50*time.Millisecond, 5*time.Millisecond)
	n.Set(faults.Plan{})
	require.Equal(t, "held", <-got)
	faults.Identify(there.RemoteAddr(), faults.Named("n2"))
}

func TestPacketsAreForTheirOwnerToLose(t *testing.T) {
	n := faults.New()
	one := faults.Gossiping("[::ffff:127.0.0.1]:7412")
	n.Set(cut(true, false))
	require.False(t, n.CanSend(one))
	require.True(t, n.CanReceive(one))
	require.True(t, n.CanSend(faults.Gossiping("127.0.0.1:7422")))
	require.True(t, n.CanSend(faults.Gossiping("n2:7412")), "a name is nobody's address")
	n.LosePacket()
	require.EqualValues(t, 1, n.Stats().LostPackets)
}

func TestPlansThatCannotBe(t *testing.T) {
	many := faults.Plan{Cuts: make([]faults.Cut, faults.CutsMax+1)}
	for want, p := range map[string]faults.Plan{
		"the limit is 1024":       many,
		"use 0s to 1m0s":          {Delay: -time.Second},
		"delay":                   {Delay: time.Hour},
		"ahead or behind":         {Clock: -faults.ClockMax - 1},
		"name the node":           {Cuts: []faults.Cut{{Gossip: "127.0.0.1:1", NoSend: true}}},
		"is not IP:port":          {Cuts: []faults.Cut{{Peer: "n2", NoSend: true, Gossip: "localhost:1"}}},
		"set no_send, no_receive": {Cuts: []faults.Cut{{Peer: "n2", Gossip: "127.0.0.1:1"}}},
		"n2 is named twice":       {Cuts: append(cut(true, true).Cuts, cut(true, true).Cuts...)},
	} {
		n := faults.New()
		var bad *faults.PlanError
		require.ErrorAs(t, n.Set(p), &bad)
		require.ErrorContains(t, bad, want)
		require.True(t, n.Plan().IsZero(), "it changes nothing")
	}
}

func TestPlansInWordsAndJSON(t *testing.T) {
	p := faults.Plan{Delay: 50 * time.Millisecond, Clock: -time.Hour, Cuts: []faults.Cut{
		{Peer: "n4", Gossip: "127.0.0.1:4", NoSend: true, NoReceive: true},
		{Peer: "n3", Gossip: "127.0.0.1:3", NoSend: true, NoReceive: true},
		{Peer: "n2", Gossip: "127.0.0.1:2", NoSend: true},
		{Peer: "n5", Gossip: "127.0.0.1:5", NoReceive: true},
	}}
	require.Equal(t, "cut from n3, n4; cannot send to n2; cannot hear n5; sends 50ms late; its clock is 1h0m0s behind", p.String())
	require.Equal(t, "its clock is 1s ahead", faults.Plan{Clock: time.Second}.String())
	require.Empty(t, faults.Plan{}.String())
	b, err := json.Marshal(p)
	require.NoError(t, err)
	var again faults.Plan
	require.NoError(t, json.Unmarshal(b, &again))
	require.Equal(t, p, again)
	b, err = json.Marshal(faults.Plan{})
	require.NoError(t, err)
	require.JSONEq(t, `{"cuts": [], "delay": "0s", "clock": "0s"}`, string(b))
	for _, bad := range []string{`{"cut": []}`, `{"delay": "soon"}`, `{"clock": "noon"}`, `[]`} {
		require.Error(t, json.NewDecoder(bytes.NewReader([]byte(bad))).Decode(&again), bad)
	}
}
