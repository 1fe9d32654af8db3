package antientropy

import (
	"time"

	"github.com/kindredkv/kindred/vclock"
)

const (
	// AnswerWithin is how long a source may take for a page. A longer wait costs
	// time when a source is stuck, a shorter one asks a slow source twice.
	AnswerWithin = 5 * time.Second
	// RefusedFor is how long a source that could not go on is left alone.
	RefusedFor = time.Second
	// GiveUpAfter is how long a pass waits for a source that can go on with it
	// before it begins anew from another one.
	GiveUpAfter = 10 * time.Second
)

// Rebuild decides from whom one replica is rebuilt, and when the next page is
// asked for (R13). Its owner carries out the asking, and the taking over of
// pages.
//
// A pass needs sources whose clocks cover C0, the clock of its first page. It may
// change the source between any two pages, and it outlives every process: what
// binds it to its past is C0 and nothing else. If nobody covers C0 for
// GiveUpAfter, its first source is gone for long, with writes that only it and
// this replica have: the pass is given up and another one begins.
type Rebuild struct {
	sources []*source
	c0      vclock.DotSet
	begun   bool
	// needs are dots of which the pass is to bring some, if not empty.
	needs vclock.DotSet

	asked *source
	// op numbers the asks; an answer to another one is not waited for any more.
	op    uint64
	until time.Time
	// stuck is since when nobody could go on.
	stuck time.Time

	progress Progress
}

// source is another home of the partition.
type source struct {
	name   string
	linked bool
	// not is until when it is left alone.
	not time.Time
}

// Progress is how far a rebuild has come.
type Progress struct {
	Began              time.Time
	Source             string
	Pages, Keys, Bytes uint64
	// Changes counts the times the source was changed, Refused the pages that
	// could not be used, Restarts the passes given up.
	Changes, Refused, Restarts uint64
}

// NewRebuild is the rebuild of a replica whose other homes those are, the best
// source first.
func NewRebuild(now time.Time, homes []string) *Rebuild {
	m := &Rebuild{progress: Progress{Began: now}}
	for _, name := range homes {
		m.sources = append(m.sources, &source{name: name})
	}
	return m
}

// Resume goes on with a pass that began with C0.
func (m *Rebuild) Resume(c0 vclock.DotSet) { m.c0, m.begun = c0, true }

// Need says for which dots the rebuild is made: one that brings none of them would
// be followed by another, without end.
func (m *Rebuild) Need(dots vclock.DotSet) { m.needs = dots }

// Vain reports whether no source that can be asked now has what is needed.
func (m *Rebuild) Vain(now time.Time) bool {
	return !m.begun && !m.needs.IsEmpty() && m.asked == nil && m.next(now) == nil
}

// useful reports whether a pass may begin with, or go on by, a source with that
// clock.
func (m *Rebuild) useful(clock vclock.DotSet) bool {
	if m.begun {
		return clock.Covers(m.c0)
	}
	return m.needs.IsEmpty() || !clock.Intersect(m.needs).IsEmpty()
}

// Progress says how far it is.
func (m *Rebuild) Progress() Progress { return m.progress }

// C0 is the clock of the pass's first page, once there was one.
func (m *Rebuild) C0() (c0 vclock.DotSet, begun bool) { return m.c0, m.begun }

// SetLink notes whether a source can be reached.
func (m *Rebuild) SetLink(now time.Time, peer string, up bool) {
	for _, s := range m.sources {
		if s.name != peer {
			continue
		}
		s.linked, s.not = up, time.Time{}
		if !up && m.asked == s {
			m.asked = nil
		}
	}
}

// Ask says whom to ask for the next page now, under that number; the owner calls
// it when it has room for one. No other question of the process, of an earlier
// rebuild of the replica least of all, may have the number: where a page begins is
// in the question only, and an answer to another one would pass over keys.
func (m *Rebuild) Ask(now time.Time, op uint64) (from string, ok bool) {
	if m.asked != nil && now.Before(m.until) {
		return "", false
	}
	if m.asked != nil {
		m.leave(now, m.asked)
	}
	next := m.next(now)
	if next == nil {
		return "", false
	}
	if m.progress.Source != next.name {
		if m.progress.Source != "" {
			m.progress.Changes++
		}
		m.progress.Source = next.name
	}
	m.asked, m.op, m.until = next, op, now.Add(AnswerWithin)
	return next.name, true
}

// next is the source to ask: the one in use, if it can go on, or the first that
// can.
func (m *Rebuild) next(now time.Time) *source {
	var first *source
	for _, s := range m.sources {
		if !s.linked || now.Before(s.not) {
			continue
		}
		if s.name == m.progress.Source {
			return s
		}
		if first == nil {
			first = s
		}
	}
	if first == nil && m.stuck.IsZero() {
		m.stuck = now
	}
	return first
}

// leave lets a source alone for a while.
func (m *Rebuild) leave(now time.Time, s *source) {
	s.not = now.Add(RefusedFor)
	m.progress.Refused++
	m.asked = nil
	if m.stuck.IsZero() {
		m.stuck = now
	}
}

// Answered takes note of a page and reports whether it can be used: it answers
// what is asked now, and its source's clock covers that of the first page. Failed
// says that it is no page but an excuse.
func (m *Rebuild) Answered(now time.Time, from string, op uint64, clock vclock.DotSet, failed bool) bool {
	if m.asked == nil || m.asked.name != from || m.op != op {
		return false
	}
	if failed || !m.useful(clock) {
		m.leave(now, m.asked)
		return false
	}
	m.asked, m.stuck = nil, time.Time{}
	if !m.begun {
		m.c0, m.begun = clock, true
	}
	m.progress.Pages++
	return true
}

// Useless says that the page just answered was no good after all. If nothing of the
// pass has been taken over it has not begun: what is taken instead may be as of
// another clock, and it is that one which later pages have to cover.
func (m *Rebuild) Useless(now time.Time, first bool) {
	if first {
		m.c0, m.begun = vclock.DotSet{}, false
	}
	for _, s := range m.sources {
		if s.name == m.progress.Source {
			m.leave(now, s)
		}
	}
}

// Took notes that a page was taken over, or a part of one.
func (m *Rebuild) Took(keys, bytes int) {
	m.progress.Keys += uint64(keys)
	m.progress.Bytes += uint64(bytes)
}

// Hopeless reports whether the pass has waited for long enough for somebody who
// can go on with it, and somebody else is there to begin anew with.
func (m *Rebuild) Hopeless(now time.Time) bool {
	return m.begun && !m.stuck.IsZero() && now.Sub(m.stuck) >= GiveUpAfter && m.anyLinked()
}

func (m *Rebuild) anyLinked() bool {
	for _, s := range m.sources {
		if s.linked {
			return true
		}
	}
	return false
}

// Stuck reports whether nobody could go on when it was last asked.
func (m *Rebuild) Stuck() bool { return !m.stuck.IsZero() }

// Restart begins anew, from whoever answers first.
func (m *Rebuild) Restart(now time.Time) {
	m.c0, m.begun, m.asked, m.stuck, m.needs = vclock.DotSet{}, false, nil, time.Time{}, vclock.DotSet{}
	m.progress.Restarts++
	for _, s := range m.sources {
		s.not = time.Time{}
	}
}

// Deadline is when Ask or Hopeless may say something else than now, if by time
// alone.
func (m *Rebuild) Deadline(now time.Time) (at time.Time, ok bool) {
	earlier := func(t time.Time) {
		if t.After(now) && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	if m.asked != nil {
		earlier(m.until)
		return at, ok
	}
	for _, s := range m.sources {
		if s.linked {
			earlier(s.not)
		}
	}
	if !m.stuck.IsZero() && m.begun && m.anyLinked() {
		earlier(m.stuck.Add(GiveUpAfter))
	}
	return at, ok
}
