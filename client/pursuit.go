package client

import (
	"time"

	"github.com/kindredkv/kindred"
)

// How an operation is pursued.
const (
	// attemptsMax bounds the nodes asked for one operation, hedges included.
	attemptsMax = 12
	// attemptShare is the part of an operation's time that one attempt may
	// take before another node is asked: a frozen node costs a third.
	attemptShare = 3
	// attemptMin keeps that part above what a healthy node may need, and
	// attemptMax keeps it from growing with a generous deadline.
	attemptMin = 250 * time.Millisecond
	attemptMax = 5 * time.Second
	// answerMargin is the part of an attempt left for the answer to travel: a
	// node is told to answer that much earlier, because its own account of a
	// timeout says more than silence.
	answerMargin = 10
	// pauseMin and pauseMax bound the back-off between attempts.
	pauseMin = 10 * time.Millisecond
	pauseMax = time.Second
	// glanceEvery is how often an operation looks whether the nodes it waits
	// for live at all.
	glanceEvery = 250 * time.Millisecond
)

// action is what a pursuit wants done.
type action int

const (
	wait   action = iota
	ask           // ask a further node
	hedge         // ask a second node while the first is in time
	glance        // see whether the nodes asked live; if not, tell late
	giveUp        // nothing more will help
)

// pursuit decides how one operation is pursued: when another node is asked,
// when to give up, and what is known at the end. It is a pure value; operation
// does what it says and tells it what happened.
//
// An attempt that ran out of its time is not cancelled: if its answer comes
// while another node is busy, it is as good as any.
type pursuit struct {
	write    bool
	began    time.Time
	deadline time.Time
	patience time.Duration

	// When something is due; zero means never.
	lateAt, hedgeAt, retryAt, glanceAt time.Time

	asked int // attempts made
	live  int // attempts that may still be answered
	// round counts the attempts that were not hedges, and inTime those of the
	// latest round that still have time.
	round, inTime int
	exhausted     bool // no further node may be asked

	final    bool // the operation itself is at fault
	reached  bool // some node saw the operation and had its reasons
	moved    bool // the latest news: a node works by another layout, and has done nothing
	unknown  bool // some attempt may have acted
	dot      string
	last     *kindred.Error // the latest answer of a node
	attempts []Attempt
}

func newPursuit(now time.Time, write bool, timeout time.Duration) pursuit {
	return pursuit{
		write:    write,
		began:    now,
		deadline: now.Add(timeout),
		patience: min(max(timeout/attemptShare, attemptMin), attemptMax),
		retryAt:  now,
	}
}

// next says what to do now. After ask or hedge, tell what came of it by sent
// or denied.
func (p *pursuit) next(now time.Time) action {
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	if p.final || due(p.deadline) {
		return giveUp
	}
	if due(p.lateAt) {
		p.late(now)
	}
	switch {
	case due(p.retryAt):
		return ask
	case due(p.hedgeAt):
		return hedge
	case due(p.glanceAt):
		p.glanceAt = now.Add(glanceEvery)
		return glance
	case p.live == 0 && p.retryAt.IsZero():
		return giveUp
	}
	return wait
}

// late notes that the attempts of this round have had their time, or that
// their nodes show no sign of life.
func (p *pursuit) late(now time.Time) {
	p.over()
	p.inTime, p.reached, p.moved = 0, true, false
	p.retry(now)
}

// over ends what is due for the attempts of this round.
func (p *pursuit) over() {
	p.lateAt, p.hedgeAt, p.glanceAt = time.Time{}, time.Time{}, time.Time{}
}

// wake is the next moment at which something is due.
func (p *pursuit) wake() time.Time {
	at := p.deadline
	for _, t := range [...]time.Time{p.lateAt, p.hedgeAt, p.retryAt, p.glanceAt} {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	return at
}

// budget is the time that a node asked now is told to keep to.
func (p *pursuit) budget(now time.Time) time.Duration {
	d := min(p.patience, p.deadline.Sub(now))
	return max(d-d/answerMargin, time.Millisecond)
}

// sent notes that a node was asked.
func (p *pursuit) sent(now time.Time, a action) {
	p.asked++
	p.live++
	p.inTime++
	if a == hedge {
		p.hedgeAt = time.Time{}
		return
	}
	p.round++
	p.inTime = 1
	p.retryAt = time.Time{}
	p.lateAt = now.Add(p.patience)
	p.glanceAt = now.Add(glanceEvery)
}

// denied notes that a node may not be asked: the budget is spent, or there is
// none to ask. A hedge is tried again when the operation is twice as old.
func (p *pursuit) denied(now time.Time, a action) {
	if a == hedge {
		p.hedgeAt = now.Add(max(now.Sub(p.began), time.Millisecond))
		return
	}
	p.retryAt, p.exhausted = time.Time{}, true
}

// refused notes a node's answer that the operation failed, in the given round.
// Chance, from 0 to 1, spreads the back-off.
func (p *pursuit) refused(now time.Time, round int, node string, e *kindred.Error, chance float64) {
	p.last = e
	if p.moved = e.Code == kindred.CodeWrongRing; p.moved {
		p.exhausted = false // the key is elsewhere, whatever was denied while the answer was late
	}
	p.reached = p.reached || !p.moved
	acted := p.write && e.Outcome != kindred.NotApplied
	if acted && e.Dot != "" {
		p.dot = e.Dot
	}
	p.failed(round, Attempt{Node: node, Reason: string(e.Code), Unknown: acted})
	if !p.retryable(e.Code) {
		p.final = true
		return
	}
	if p.inTime > 0 {
		return // a hedge is still in its time
	}
	at := now
	if p.round > 1 || crowded(e.Code) {
		at = now.Add(pause(p.round, chance))
	}
	p.retry(at)
}

// lost notes that a node gave no answer, and whether it may have seen the
// question.
func (p *pursuit) lost(now time.Time, round int, node, reason string, seen bool, chance float64) {
	p.reached, p.moved = p.reached || seen, false
	p.failed(round, Attempt{Node: node, Reason: reason, Unknown: p.write && seen})
	if p.inTime > 0 {
		return
	}
	at := now
	if p.round > 1 {
		at = now.Add(pause(p.round, chance))
	}
	p.retry(at)
}

// costs reports whether to ask a further node spends a retry. To go elsewhere after a node
// that never saw the operation adds no load, nor to go where the key is now.
func (p *pursuit) costs() bool { return p.reached && !p.moved }

// cut notes an attempt that ended with the operation, unanswered.
func (p *pursuit) cut(round int, node string, seen bool) {
	reason := "no answer in time"
	if !seen {
		reason = "not sent in time"
	}
	p.failed(round, Attempt{Node: node, Reason: reason, Unknown: p.write && seen})
}

func (p *pursuit) failed(round int, a Attempt) {
	p.live--
	if round == p.round && p.inTime > 0 {
		p.inTime--
	}
	if p.inTime == 0 {
		p.over()
	}
	p.unknown = p.unknown || a.Unknown
	p.attempts = append(p.attempts, a)
}

// retry wants a further node asked at a moment, if that is still allowed.
func (p *pursuit) retry(at time.Time) {
	if p.exhausted || p.asked >= attemptsMax {
		return
	}
	p.retryAt = at
}

// verdict is what is known at the end. Once one attempt may have acted, the
// whole operation may have, whatever later attempts said.
func (p *pursuit) verdict(cause error) *kindred.Error {
	e := stopped(cause)
	if p.last != nil {
		answer := *p.last
		e = &answer
	} else if cause == nil {
		e.Code, e.Message = kindred.CodeUnavailable, "no node could be reached"
	}
	e.Outcome, e.Dot = kindred.NotApplied, ""
	if p.unknown {
		e.Outcome, e.Dot = kindred.Unknown, p.dot
	}
	return e
}

// retryable reports whether another node, or a later moment, may do better.
func (p *pursuit) retryable(code kindred.Code) bool {
	switch code {
	case kindred.CodeUnavailable, kindred.CodeTimeout, kindred.CodeOverloaded, kindred.CodeWrongRing, kindred.CodeWrongCluster,
		kindred.CodeNoLayout, kindred.CodeStopping, kindred.CodeDiskFull:
		return true
	case kindred.CodeInternal:
		return !p.write
	}
	return false
}

// crowded reports whether asking again at once would make things worse.
func crowded(code kindred.Code) bool {
	return code == kindred.CodeOverloaded || code == kindred.CodeUnavailable || code == kindred.CodeNoLayout
}

// pause is the back-off after a number of rounds: it doubles, and chance takes
// up to half of it away so that callers who failed together do not come back
// together.
func pause(rounds int, chance float64) time.Duration {
	d := pauseMax
	if shift := rounds - 1; shift < 10 {
		d = min(pauseMin<<shift, pauseMax)
	}
	return d - time.Duration(chance*float64(d/2))
}
