package gossip

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// meshed starts a node on a mesh, in the bubble of its test.
func meshed(t *testing.T, m *mesh, i int, known map[string]string, options ...func(*Config)) (*Gossip, *diary) {
	t.Helper()
	d := &diary{}
	cfg := Config{
		Name: fmt.Sprintf("n%d", i), BindAddr: "10.0.0.1:1", Profile: LAN,
		Known: func() map[string]string { return known }, Events: d.add, Logger: quiet(),
	}
	for _, o := range options {
		o(&cfg)
	}
	g, err := start(cfg, m.node(addrOf(i)))
	require.NoError(t, err)
	t.Cleanup(func() { g.Close() })
	return g, d
}

func addrOf(i int) string { return fmt.Sprintf("10.0.0.%d:7402", i) }

// until lets virtual time pass until cond holds and returns how much it was.
func until(t *testing.T, limit time.Duration, cond func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !cond() {
		if time.Since(began) > limit {
			require.Fail(t, "still waiting", "after %v", limit)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
	}
	return time.Since(began)
}

// TestLesson28_ACutThatOutlastsTheMemoryOfTheDeadHeals: memberlist forgets the
// dead after 30 seconds; the cut lasts five minutes.
func TestLesson28_ACutThatOutlastsTheMemoryOfTheDeadHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const nodes = 5
		m := newMesh(t)
		known := map[string]string{}
		for i := 1; i <= nodes; i++ {
			known[fmt.Sprintf("n%d", i)] = addrOf(i)
		}
		var all []*Gossip
		for i := 1; i <= nodes; i++ {
			g, _ := meshed(t, m, i, known)
			all = append(all, g)
		}
		sees := func(count int, some ...*Gossip) func() bool {
			return func() bool {
				for _, g := range some {
					if len(g.Members()) != count {
						return false
					}
				}
				return true
			}
		}
		t.Log("all met after", until(t, time.Minute, sees(nodes-1, all...)))

		m.cut(addrOf(1), addrOf(2))
		until(t, 2*time.Minute, func() bool { return sees(1, all[:2]...)() && sees(2, all[2:]...)() })
		time.Sleep(5 * time.Minute)
		m.heal()
		t.Log("healed after", until(t, time.Minute, sees(nodes-1, all...)))
	})
}

// A call across a cut hangs until it times out. It must not keep a node that
// starts inside the cut from those it could reach.
func TestANodeThatStartsInsideACutFindsItsOwnSideAtOnce(t *testing.T) {
	const nodes, tries = 7, 20
	known := map[string]string{}
	for i := 1; i <= nodes; i++ {
		known[fmt.Sprintf("n%d", i)] = addrOf(i)
	}
	worst := time.Duration(0)
	for range tries { // whom it calls first is chance
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t)
			m.cut(addrOf(1), addrOf(2))
			one, _ := meshed(t, m, 1, known)
			two, _ := meshed(t, m, 2, known)
			worst = max(worst, until(t, time.Minute, func() bool { return len(one.Members()) == 1 && len(two.Members()) == 1 }))
		})
	}
	t.Log("at worst they met after", worst)
	require.Less(t, worst, 5*time.Second, "one hanging call takes 10 s")
}

func TestANodeMayReturnAtAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		one, diaryOne := meshed(t, m, 1, nil)
		seeds := func(c *Config) { c.Seeds = []string{addrOf(1)} }
		two, _ := meshed(t, m, 2, nil, seeds)
		until(t, time.Minute, func() bool { return diaryOne.tells(Joined, "n2") })
		require.NoError(t, two.Close())

		t.Log("it is claimed at two addresses, until the old one is dead")
		moved, _ := meshed(t, m, 7, nil, seeds, func(c *Config) { c.Name = "n2" })
		took := until(t, 15*time.Second, func() bool {
			live := one.Members()
			return len(live) == 1 && live[0].Addr == addrOf(7)
		})
		t.Log("that took", took)
		require.Equal(t, addrOf(7), moved.Addr())
		require.Equal(t, addrOf(7), diaryOne.last(Joined, "n2").Addr)
	})
}

func TestTwoNodesWithOneNameAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		_, diaryOne := meshed(t, m, 1, nil)
		seeds := func(c *Config) { c.Seeds = []string{addrOf(1)} }
		_, _ = meshed(t, m, 2, nil, seeds)
		until(t, time.Minute, func() bool { return diaryOne.tells(Joined, "n2") })
		_, diaryTwin := meshed(t, m, 3, nil, seeds, func(c *Config) { c.Name = "n2" })
		until(t, time.Minute, func() bool { return diaryOne.tells(Conflict, "n2") })
		e := diaryOne.last(Conflict, "n2")
		require.Equal(t, []string{addrOf(2), addrOf(3)}, []string{e.Addr, e.Other})
		t.Log("the twins learn it too")
		until(t, time.Minute, func() bool { return diaryTwin.tells(Conflict, "n2") })

		t.Log("again while it lasts, but not all the time")
		before := diaryOne.count()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		require.InDelta(t, 9, diaryOne.count()-before, 3)
	})
}

func TestLeavingIsNotDying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t)
		_, d := meshed(t, m, 1, nil)
		seeds := func(c *Config) { c.Seeds = []string{addrOf(1)} }
		leaves, _ := meshed(t, m, 2, nil, seeds)
		dies, _ := meshed(t, m, 3, nil, seeds)
		until(t, time.Minute, func() bool { return d.tells(Joined, "n2") && d.tells(Joined, "n3") })

		require.NoError(t, leaves.Leave(5*time.Second))
		require.NoError(t, leaves.Close())
		require.NoError(t, dies.Close())
		until(t, time.Minute, func() bool { return d.tells(Left, "n2") && d.tells(Died, "n3") })
		require.False(t, d.tells(Died, "n2"))
	})
}
