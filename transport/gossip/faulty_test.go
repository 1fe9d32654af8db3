package gossip

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/transport/faults"
)

// split cuts the nodes at the given places (from 1) off from the rest, telling
// both sides, as kvcli does.
func split(networks []*faults.Network, oneWay bool, left ...int) {
	away := map[int]bool{}
	for _, i := range left {
		away[i] = true
	}
	for i, n := range networks {
		var p faults.Plan
		for j := range networks {
			if away[i+1] != away[j+1] {
				p.Cuts = append(p.Cuts, faults.Cut{
					Peer: fmt.Sprintf("n%d", j+1), Gossip: addrOf(j + 1),
					NoSend: !oneWay || away[i+1], NoReceive: !oneWay || away[j+1],
				})
			}
		}
		if err := n.Set(p); err != nil {
			panic(err)
		}
	}
}

// TestAnInjectedCutIsNoticedAndHealsByItself: the cut outlasts the time after
// which memberlist forgets the dead, and both sides find each other again.
func TestAnInjectedCutIsNoticedAndHealsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const nodes = 5
		m := newMesh(t)
		known := map[string]string{}
		var networks []*faults.Network
		for i := range nodes {
			known[fmt.Sprintf("n%d", i+1)] = addrOf(i + 1)
			networks = append(networks, faults.New())
			t.Cleanup(networks[i].Close)
		}
		var all []*Gossip
		for i, n := range networks {
			g, _ := meshed(t, m, i+1, known, func(c *Config) { c.Faults, c.Profile = n, Local })
			all = append(all, g)
		}
		see := func(counts ...int) func() bool {
			return func() bool {
				for i, g := range all {
					if len(g.Members()) != counts[i] {
						return false
					}
				}
				return true
			}
		}
		until(t, time.Minute, see(4, 4, 4, 4, 4))

		split(networks, false, 1, 2)
		t.Log("noticed after", until(t, time.Minute, see(1, 1, 2, 2, 2)))
		time.Sleep(5 * time.Minute)
		require.True(t, see(1, 1, 2, 2, 2)(), "no packet and no stream came through in five minutes")
		require.NotZero(t, networks[0].Stats().LostPackets)
		require.NotZero(t, networks[0].Stats().StalledDials, "the rejoin loop tries all the time")
		for _, n := range networks {
			n.Set(faults.Plan{})
		}
		t.Log("healed after", until(t, time.Minute, see(4, 4, 4, 4, 4)))

		t.Log("one that is not heard is taken for dead by those who do not hear it")
		split(networks, true, 1)
		until(t, time.Minute, func() bool { return len(all[1].Members()) == 3 })
		for _, n := range networks {
			n.Set(faults.Plan{})
		}
		until(t, 2*time.Minute, see(4, 4, 4, 4, 4))

		t.Log("a slow node stays a member")
		networks[2].Set(faults.Plan{Delay: 50 * time.Millisecond})
		time.Sleep(time.Minute)
		require.True(t, see(4, 4, 4, 4, 4)())
	})
}

// Each direction of a cut and the delay, at one end that alone was told.
func TestPacketsUnderFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, network := newMesh(t), faults.New()
		here, there := newFaulty(m.node(addrOf(1)), network), m.node(addrOf(2))
		defer here.Shutdown()
		cut := func(noSend, noReceive bool) {
			require.NoError(t, network.Set(faults.Plan{Cuts: []faults.Cut{
				{Peer: "n2", Gossip: addrOf(2), NoSend: noSend, NoReceive: noReceive},
			}}))
		}
		arrives := func(packets <-chan *memberlist.Packet) bool {
			time.Sleep(time.Hour)
			select {
			case <-packets:
				return true
			default:
				return false
			}
		}
		send := func() bool {
			_, err := here.WriteTo([]byte("x"), addrOf(2))
			require.NoError(t, err)
			return arrives(there.PacketCh())
		}
		receive := func() bool {
			_, err := there.WriteTo([]byte("y"), addrOf(1))
			require.NoError(t, err)
			return arrives(here.PacketCh())
		}
		cut(true, false)
		require.False(t, send())
		require.True(t, receive())
		cut(false, true)
		require.True(t, send())
		require.False(t, receive())
		require.EqualValues(t, 2, network.Stats().LostPackets)

		require.NoError(t, network.Set(faults.Plan{Delay: time.Second}))
		began := time.Now()
		for range 100 {
			here.WriteTo([]byte("x"), addrOf(2))
			time.Sleep(time.Millisecond)
		}
		for range 100 {
			<-there.PacketCh()
		}
		require.Equal(t, 1099*time.Millisecond, time.Since(began))
		here.WriteTo([]byte("x"), addrOf(2))
		cut(true, false)
		require.False(t, arrives(there.PacketCh()), "it was on its way when the cut came")
		_, err := here.DialTimeout(addrOf(2), time.Minute)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// The sockets themselves under a plan: packets and streams on loopback.
func TestSocketsUnderFaults(t *testing.T) {
	networks := []*faults.Network{faults.New(), faults.New()}
	var all []*Gossip
	var seeds []string
	for i, n := range networks {
		g, err := Start(Config{
			Name: fmt.Sprintf("n%d", i+1), BindAddr: "127.0.0.1:0", Seeds: seeds, Faults: n,
			RejoinEvery: 200 * time.Millisecond, Logger: quiet(),
		})
		require.NoError(t, err)
		t.Cleanup(func() { g.Close(); n.Close() })
		all, seeds = append(all, g), append(seeds, g.Addr())
	}
	count := func(n int) func() bool {
		return func() bool { return len(all[0].Members()) == n && len(all[1].Members()) == n }
	}
	eventually(t, count(1))
	for i, n := range networks {
		require.NoError(t, n.Set(faults.Plan{Cuts: []faults.Cut{
			{Peer: fmt.Sprintf("n%d", 2-i), Gossip: all[1-i].Addr(), NoSend: true, NoReceive: true},
		}}))
	}
	eventually(t, count(0))
	for _, n := range networks {
		n.Set(faults.Plan{Delay: 5 * time.Millisecond})
	}
	eventually(t, count(1))
}
