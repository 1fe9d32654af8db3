package client

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return noon.Add(d) }

func refusal(code kindred.Code) *kindred.Error {
	return &kindred.Error{Code: code, Outcome: kindred.NotApplied}
}

// next is what the pursuit wants done while every node shows that it lives.
func next(p *pursuit, now time.Time) action {
	for {
		if a := p.next(now); a != glance {
			return a
		}
	}
}

// asks makes the pursuit ask a node at a moment.
func asks(t *testing.T, p *pursuit, now time.Time) {
	t.Helper()
	require.Equal(t, ask, next(p, now))
	p.sent(now, ask)
}

func TestAPursuitAsksAtOnceAndThenWaits(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	asks(t, &p, noon)
	require.Equal(t, wait, next(&p, at(time.Millisecond)))
	require.Equal(t, at(3*time.Second), p.lateAt, "an attempt may take a third of the time")
}

func TestAnAttemptThatRunsOutOfTimeIsNotTheEndOfIt(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	asks(t, &p, noon)
	asks(t, &p, at(3*time.Second))
	require.Equal(t, 2, p.live, "the first may still be answered")
	asks(t, &p, at(6*time.Second))
	require.Equal(t, giveUp, next(&p, at(9*time.Second)))
}

func TestANodeWithoutLifeIsNotWaitedFor(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	asks(t, &p, noon)
	require.Equal(t, at(glanceEvery), p.wake())
	require.Equal(t, glance, p.next(at(glanceEvery)))
	require.Equal(t, wait, p.next(at(glanceEvery)), "it lives")
	require.Equal(t, glance, p.next(at(2*glanceEvery)))
	p.late(at(2 * glanceEvery))
	asks(t, &p, at(2*glanceEvery))
	require.Equal(t, 2, p.live, "it may wake up and answer")
}

func TestAttemptsAreNeitherTooShortNorTooLong(t *testing.T) {
	short := newPursuit(noon, true, 300*time.Millisecond)
	require.Equal(t, attemptMin, short.patience)
	long := newPursuit(noon, true, time.Hour)
	require.Equal(t, attemptMax, long.patience)
}

func TestANodeIsToldToAnswerBeforeItsAttemptEnds(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	require.Equal(t, 2700*time.Millisecond, p.budget(noon))
	require.Equal(t, 900*time.Millisecond, p.budget(at(8*time.Second)), "the deadline is nearer")
	require.Positive(t, p.budget(at(9*time.Second)), "0 would mean the default of the node")
}

func TestALostConnectionIsRepairedElsewhereAtOnce(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	asks(t, &p, noon)
	p.lost(at(1), 1, "n1", "connection reset", true, 0)
	asks(t, &p, at(1))
	p.lost(at(2), 2, "n2", "connection reset", true, 0)
	require.Equal(t, wait, next(&p, at(2)), "the second time it waits a little")
	asks(t, &p, at(2).Add(pause(2, 0)))
}

func TestABusyNodeIsNotAnsweredWithMoreWorkAtOnce(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	asks(t, &p, noon)
	p.refused(noon, 1, "n1", refusal(kindred.CodeOverloaded), 0)
	require.Equal(t, wait, next(&p, noon))
	asks(t, &p, noon.Add(pauseMin))
}

func TestPausesDoubleUpToALimitAndAreSpread(t *testing.T) {
	require.Equal(t, pauseMin, pause(1, 0))
	require.Equal(t, 2*pauseMin, pause(2, 0))
	require.Equal(t, pauseMin, pause(2, 1), "chance takes up to half")
	require.Equal(t, pauseMax, pause(50, 0))
	require.Equal(t, pauseMax, pause(1000, 0))
}

func TestCodesThatAreRetried(t *testing.T) {
	for code, want := range map[kindred.Code]struct{ read, write bool }{
		kindred.CodeUnavailable:  {true, true},
		kindred.CodeTimeout:      {true, true},
		kindred.CodeOverloaded:   {true, true},
		kindred.CodeStopping:     {true, true},
		kindred.CodeNoLayout:     {true, true},
		kindred.CodeWrongRing:    {true, true},
		kindred.CodeWrongCluster: {true, true},
		kindred.CodeDiskFull:     {true, true},
		kindred.CodeInternal:     {true, false},
		kindred.CodeInvalid:      {},
		kindred.CodeTooLarge:     {},
		kindred.CodeBadContext:   {},
		kindred.CodeSiblings:     {},
	} {
		for _, write := range []bool{false, true} {
			p := newPursuit(noon, write, 9*time.Second)
			asks(t, &p, noon)
			p.refused(noon, 1, "n1", refusal(code), 0)
			again := want.read
			if write {
				again = want.write
			}
			if again {
				asks(t, &p, at(time.Second))
			} else {
				require.Equal(t, giveUp, next(&p, noon), code)
				require.Equal(t, code, p.verdict(nil).Code)
			}
		}
	}
}

func TestAFinalAnswerDoesNotWaitForALateOne(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	asks(t, &p, noon)
	asks(t, &p, at(3*time.Second))
	p.refused(at(4*time.Second), 2, "n2", refusal(kindred.CodeTooLarge), 0)
	require.Equal(t, giveUp, next(&p, at(4*time.Second)))
}

func TestAttemptsAreLimited(t *testing.T) {
	p := newPursuit(noon, false, time.Hour)
	now := noon
	for round := 1; round <= attemptsMax; round++ {
		asks(t, &p, now)
		p.lost(now, round, "n1", "connection refused", false, 0)
		now = now.Add(pauseMax)
	}
	require.Equal(t, giveUp, next(&p, now))
	require.Len(t, p.attempts, attemptsMax)
}

func TestAnExhaustedBudgetStillWaitsForWhatIsOnItsWay(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	asks(t, &p, noon)
	require.Equal(t, ask, next(&p, at(3*time.Second)))
	p.denied(at(3*time.Second), ask)
	require.Equal(t, wait, next(&p, at(3*time.Second)), "the late attempt may still be answered")
	p.refused(at(4*time.Second), 1, "n1", refusal(kindred.CodeTimeout), 0)
	require.Equal(t, giveUp, next(&p, at(5*time.Second)))
}

func TestAHedgeRunsBesideTheFirstAttempt(t *testing.T) {
	p := newPursuit(noon, false, 9*time.Second)
	asks(t, &p, noon)
	p.hedgeAt = at(50 * time.Millisecond)
	require.Equal(t, wait, next(&p, at(49*time.Millisecond)))
	require.Equal(t, hedge, next(&p, at(50*time.Millisecond)))
	p.denied(at(50*time.Millisecond), hedge)
	require.Equal(t, wait, next(&p, at(99*time.Millisecond)), "not now, but perhaps later")
	require.Equal(t, hedge, next(&p, at(100*time.Millisecond)))
	p.sent(at(100*time.Millisecond), hedge)
	require.Equal(t, 2, p.live)

	p.refused(at(160*time.Millisecond), 1, "n1", refusal(kindred.CodeStopping), 0)
	require.Equal(t, wait, next(&p, at(160*time.Millisecond)), "the other is still in its time")
	p.refused(at(170*time.Millisecond), 1, "n2", refusal(kindred.CodeStopping), 0)
	asks(t, &p, at(170*time.Millisecond))
}

func TestALateAttemptThatFailsDoesNotDisturbTheCurrentOne(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	asks(t, &p, noon)
	asks(t, &p, at(3*time.Second))
	p.lost(at(4*time.Second), 1, "n1", "connection reset", true, 0)
	require.Equal(t, wait, next(&p, at(4*time.Second)))
	require.Equal(t, at(6*time.Second), p.lateAt)
}

// A node may be late with that it is the wrong one, when many calls follow their keys at
// once. What was denied meanwhile does not keep a call from where its key is now.
func TestALateAnswerThatTheKeyIsElsewhereIsFollowed(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	asks(t, &p, noon)
	require.False(t, p.costs())
	require.Equal(t, ask, next(&p, at(3*time.Second)))
	require.True(t, p.costs(), "the late one may be at work")
	p.denied(at(3*time.Second), ask)
	require.Equal(t, wait, next(&p, at(3*time.Second)))
	p.refused(at(4*time.Second), 1, "n1", refusal(kindred.CodeWrongRing), 0)
	require.Equal(t, ask, next(&p, at(4*time.Second)))
	require.False(t, p.costs())
	p.sent(at(4*time.Second), ask)
	p.lost(at(4*time.Second), 2, "n4", "connection reset", true, 0)
	require.True(t, p.costs())
	p.denied(at(5*time.Second), ask)
	require.Equal(t, giveUp, next(&p, at(5*time.Second)))
}

func TestInvariant2_NotAppliedOnlyIfNoNodeCanHaveActed(t *testing.T) {
	timedOut := &kindred.Error{Code: kindred.CodeTimeout, Outcome: kindred.Unknown, Dot: "n1.7"}
	for _, tc := range []struct {
		story string
		write bool
		play  func(p *pursuit)
		want  kindred.Outcome
		dot   string
	}{
		{"every node refused", true, func(p *pursuit) {
			p.refused(noon, 1, "n1", refusal(kindred.CodeUnavailable), 0)
		}, kindred.NotApplied, ""},
		{"the connection was never made", true, func(p *pursuit) {
			p.lost(noon, 1, "n1", "connection refused", false, 0)
		}, kindred.NotApplied, ""},
		{"the connection broke", true, func(p *pursuit) {
			p.lost(noon, 1, "n1", "connection reset", true, 0)
		}, kindred.Unknown, ""},
		{"the deadline came while a call was on its way", true, func(p *pursuit) {
			p.cut(1, "n1", true)
		}, kindred.Unknown, ""},
		{"the deadline came while a call was waiting to be sent", true, func(p *pursuit) {
			p.cut(1, "n1", false)
		}, kindred.NotApplied, ""},
		{"a refusal after a doubt does not clear the doubt", true, func(p *pursuit) {
			p.refused(noon, 1, "n1", timedOut, 0)
			p.sent(noon, ask)
			p.refused(noon, 2, "n2", refusal(kindred.CodeUnavailable), 0)
		}, kindred.Unknown, "n1.7"},
		{"nor does one that is final", true, func(p *pursuit) {
			p.refused(noon, 1, "n1", timedOut, 0)
			p.sent(noon, ask)
			p.refused(noon, 2, "n2", refusal(kindred.CodeSiblings), 0)
		}, kindred.Unknown, "n1.7"},
		{"a node that claims a failure took effect is not believed", true, func(p *pursuit) {
			p.refused(noon, 1, "n1", &kindred.Error{Code: kindred.CodeInternal, Outcome: kindred.Applied}, 0)
		}, kindred.Unknown, ""},
		{"a read has no effect", false, func(p *pursuit) {
			p.refused(noon, 1, "n1", timedOut, 0)
			p.sent(noon, ask)
			p.cut(2, "n2", true)
		}, kindred.NotApplied, ""},
	} {
		t.Run(tc.story, func(t *testing.T) {
			p := newPursuit(noon, tc.write, 9*time.Second)
			asks(t, &p, noon)
			tc.play(&p)
			e := p.verdict(context.DeadlineExceeded)
			require.Equal(t, tc.want, e.Outcome)
			require.Equal(t, tc.dot, e.Dot)
		})
	}
}

func TestTheVerdictPrefersWhatANodeSaid(t *testing.T) {
	p := newPursuit(noon, true, 9*time.Second)
	asks(t, &p, noon)
	p.refused(noon, 1, "n1", &kindred.Error{Code: kindred.CodeUnavailable, Message: "w=3, reachable 2", Outcome: kindred.NotApplied}, 0)
	asks(t, &p, at(time.Second))
	p.lost(at(time.Second), 2, "n2", "connection refused", false, 0)
	e := p.verdict(context.DeadlineExceeded)
	require.Equal(t, kindred.CodeUnavailable, e.Code)
	require.Equal(t, "w=3, reachable 2", e.Message)
}

func TestBudgetsAreFilledByWork(t *testing.T) {
	b := newBudget(0.2, 2)
	require.True(t, b.spend())
	require.True(t, b.spend())
	require.False(t, b.spend(), "the burst is spent")
	for range 5 {
		b.earn()
	}
	require.True(t, b.spend(), "five operations pay for one")
	require.False(t, b.spend())
	for range 100 {
		b.earn()
	}
	require.True(t, b.spend())
	require.True(t, b.spend())
	require.False(t, b.spend(), "no more than the burst is saved up")
}

func TestTheHedgeDelayFollowsTheSlowestTwentieth(t *testing.T) {
	q := newQuantile(HedgeAfterDefault)
	for range 200 {
		for i := range 100 {
			d := 4 * time.Millisecond
			if i%50 == 0 { // one in fifty: too few to matter
				d = 80 * time.Millisecond
			}
			q.observe(d)
		}
	}
	require.InDelta(t, 4, float64(q.value())/float64(time.Millisecond), 1.5)
	for range 10_000 {
		q.observe(time.Microsecond)
	}
	require.Equal(t, hedgeFloor, q.value())
	for range 10_000 {
		q.observe(time.Minute)
	}
	require.Equal(t, hedgeCeiling, q.value())
}
