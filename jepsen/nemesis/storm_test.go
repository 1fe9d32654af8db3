package nemesis_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/nemesis"
)

// stage is a cluster that only remembers what was done to it.
type stage struct {
	t *testing.T
	// log is what happened, in order.
	log []string
	// hurt are the kinds in force.
	hurt []nemesis.Kind
	// lost says that disks went since all agreed, unready that something was healed
	// since all were ready.
	lost, unready bool
	fail          error
}

func (s *stage) kind(name string, touches nemesis.Touch, loses nemesis.Loss) nemesis.Kind {
	k := nemesis.Kind{Name: name, Touches: touches, Loses: loses}
	k.New = func(t nemesis.Target) nemesis.Nemesis { return &actor{stage: s, kind: k, random: t.Random} }
	return k
}

type actor struct {
	*stage
	kind   nemesis.Kind
	random *rand.Rand
}

func (a *actor) Hurt(context.Context) (string, error) {
	for _, k := range a.hurt {
		require.NotEqual(a.t, a.kind.Touches, k.Touches, "S1: %s while %s", a.kind.Name, k.Name)
		require.False(a.t, a.kind.Loses > 0 && k.Loses > 0, "S2: %s while %s", a.kind.Name, k.Name)
	}
	require.False(a.t, a.unready, "S2: a stroke began before all nodes were ready")
	if a.kind.Loses == nemesis.Disk {
		require.False(a.t, a.lost, "S3: another disk, and nobody had agreed")
		a.lost = true
	}
	a.hurt = append(a.hurt, a.kind)
	what := fmt.Sprintf("victim %d", a.random.IntN(1000))
	a.log = append(a.log, a.kind.Name+" "+what)
	return what, a.fail
}

func (a *actor) Heal(ctx context.Context) error {
	require.NoError(a.t, ctx.Err(), "S5")
	a.hurt = slices.DeleteFunc(a.hurt, func(k nemesis.Kind) bool { return k.Name == a.kind.Name })
	return nil
}

func (s *stage) ready(context.Context) error {
	require.Empty(s.t, s.hurt, "nobody waits for nodes that are still hurt")
	s.unready = false
	return nil
}

func (s *stage) agree(context.Context) error {
	require.Empty(s.t, s.hurt, "nobody can agree while something is wrong")
	s.lost = false
	return nil
}

// storm is an hour of a storm in virtual time.
func (s *stage) storm(seed uint64) nemesis.Storm {
	begin := time.Now()
	return nemesis.Storm{
		Kinds: []nemesis.Kind{
			s.kind("cut", nemesis.Network, nemesis.Nothing), s.kind("slow", nemesis.Network, nemesis.Nothing),
			s.kind("lie", nemesis.Network, nemesis.Unsynced), s.kind("pause", nemesis.Nodes, nemesis.Nothing),
			s.kind("kill", nemesis.Nodes, nemesis.Unsynced), s.kind("wipe", nemesis.Nodes, nemesis.Disk),
		},
		Seed: seed, Since: func() time.Duration { return time.Since(begin) },
		Ready: s.ready, Agree: s.agree,
	}
}

// TestAStormKeepsItsRules plays hours; the actors check S1 to S3 whenever they hurt.
func TestAStormKeepsItsRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(20) {
			s := &stage{t: t}
			storm := s.storm(seed)
			faults, err := storm.Run(t.Context(), time.Hour)
			require.NoError(t, err)
			require.Empty(t, s.hurt, "S5")
			together, long := 0, 0
			for i, f := range faults {
				require.True(t, f.Begin < f.End && f.End <= f.Ready, "%+v", f)
				require.LessOrEqual(t, f.End-f.Begin, nemesis.LongestDefault+2*4*time.Second)
				if i > 0 && f.Begin < faults[i-1].End {
					together++
				}
				if f.End-f.Begin > 8*time.Second {
					long++
				}
			}
			require.InDelta(t, time.Hour, storm.Since(), float64(10*time.Second))
			require.Greater(t, len(faults), 300)
			require.Greater(t, together, 20, "some hurt at the same time")
			require.Greater(t, long, 20, "some last until they are noticed")
		}
	})
}

// TestEveryKindComesOnceBeforeOneComesAgain: a minute of all kinds is a minute of
// all kinds, whatever the seed.
func TestEveryKindComesOnceBeforeOneComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(20) {
			s := &stage{t: t}
			storm := s.storm(seed)
			storm.Longest = 5 * time.Second
			_, err := storm.Run(t.Context(), time.Minute)
			require.NoError(t, err)
			for _, k := range storm.Kinds {
				require.True(t, slices.ContainsFunc(s.log, func(l string) bool { return strings.HasPrefix(l, k.Name+" ") }), "%s never came: %v", k.Name, s.log)
			}
		}
	})
}

// TestASeedPlansTheSameFaults (S4), even where the cluster takes its time.
func TestASeedPlansTheSameFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(seed uint64, slowly time.Duration) []string {
			s := &stage{t: t}
			storm := s.storm(seed)
			storm.Ready = func(ctx context.Context) error {
				<-time.After(slowly)
				return s.ready(ctx)
			}
			_, err := storm.Run(t.Context(), time.Hour)
			require.NoError(t, err)
			return s.log[:100]
		}
		require.Equal(t, run(1, 0), run(1, 7*time.Second))
		require.NotEqual(t, run(1, 0), run(2, 0))
	})
}

// TestWhatWasHurtIsHealed (S5): when somebody has had enough, when a nemesis fails
// half-way, and when the cluster does not come back, which is a finding.
func TestWhatWasHurtIsHealed(t *testing.T) {
	t.Run("interrupted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for after := range 40 {
				s := &stage{t: t}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(after)*time.Second+time.Millisecond)
				_, err := s.storm(uint64(after)).Run(ctx, time.Hour)
				cancel()
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Empty(t, s.hurt)
			}
		})
	})
	t.Run("failed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{t: t, fail: errors.New("no such node")}
			faults, err := s.storm(1).Run(t.Context(), time.Hour)
			require.ErrorContains(t, err, "no such node")
			require.Len(t, faults, 1)
			require.Empty(t, s.hurt)
		})
	})
	t.Run("stuck", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{t: t}
			storm := s.storm(1)
			storm.Ready = func(context.Context) error { return errors.New("n2 is not ready after 1m0s") }
			faults, err := storm.Run(t.Context(), time.Hour)
			var stuck *nemesis.StuckError
			require.ErrorAs(t, err, &stuck)
			require.Equal(t, faults, stuck.After)
			require.ErrorContains(t, err, "the cluster has not come back after "+faults[0].Kind+" ("+faults[0].What+")")
			require.Empty(t, s.hurt)
		})
	})
}

// TestEveryFaultIsToldOf: when it is in force, healed, and over.
func TestEveryFaultIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t}
		storm := s.storm(5)
		var told []history.Fault
		storm.Note = func(f history.Fault) { told = append(told, f) }
		faults, err := storm.Run(t.Context(), 10*time.Minute)
		require.NoError(t, err)
		require.Len(t, told, 3*len(faults))
		for _, f := range faults {
			require.Contains(t, told, f)
			require.Contains(t, told, history.Fault{Kind: f.Kind, What: f.What, Begin: f.Begin, End: f.End})
			require.Contains(t, told, history.Fault{Kind: f.Kind, What: f.What, Begin: f.Begin})
		}
	})
}
