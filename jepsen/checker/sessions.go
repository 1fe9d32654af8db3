package checker

import (
	"maps"
	"slices"
)

// judgeSessions is C4: what a process has written or read before, its reads
// know.
//
// With session tokens that holds for everything. Without them it follows from
// strict quorums, and only for acknowledged writes: a write that is still under
// way may be found by one read and missed by the next.
func (c *check) judgeSessions(o *object) {
	sessions := map[int]*session{}
	for _, e := range o.events() {
		p := e.process()
		if sessions[p] == nil {
			sessions[p] = &session{groups: map[quorum]*promise{}}
		}
		s := sessions[p]
		if e.write != nil {
			if e.write.acked() {
				s.had = append(s.had, e.write)
			}
			continue
		}
		c.judgeSession(o, s, e.read)
	}
}

// event is a write or an answered read of an object.
type event struct {
	write *write
	read  *read
}

func (e event) order() int {
	if e.write != nil {
		return e.write.order
	}
	return e.read.order
}

func (e event) process() int {
	if e.write != nil {
		return e.write.op.Process
	}
	return e.read.op.Process
}

// events are all writes and reads in order.
func (o *object) events() []event {
	events := make([]event, 0, len(o.writes)+len(o.reads))
	for _, w := range o.writes {
		events = append(events, event{write: w})
	}
	for _, r := range o.reads {
		events = append(events, event{read: r})
	}
	slices.SortFunc(events, func(a, b event) int { return a.order() - b.order() })
	return events
}

// session is one process at one object.
type session struct {
	// had are the writes that it was acknowledged or has found, in that order,
	// with repetitions.
	had []*write
	// groups hold what reads of a quorum have to know; with tokens there is
	// one, under the zero quorum.
	groups map[quorum]*promise
}

// promise is what the reads of one quorum owe a session.
type promise struct {
	*knowledge
	// read is how much of session.had has been looked at, pending what of it
	// was not acknowledged then.
	read    int
	pending map[*write]bool
}

func (c *check) judgeSession(o *object, s *session, r *read) {
	q, ok := quorumOf(r)
	if c.options.Tokens {
		q, ok = quorum{}, true
	}
	if ok {
		p := s.promise(q)
		p.catchUp(s, func(w *write) bool {
			own := w.op.Process == r.op.Process
			return c.options.Tokens || q.strict(w) && w.acked() && (own || w.op.Complete < r.op.Invoke)
		})
		if len(p.known) > 0 {
			c.verdicts[Sessions].Checked++
			back, lost := p.demand(begunBefore(r)).judge(r.found)
			c.reportStale(Sessions, o, r, back, lost)
		}
		if c.options.Tokens {
			p.forget(r)
		}
	}
	s.had = append(s.had, r.found...)
}

func (s *session) promise(q quorum) *promise {
	p := s.groups[q]
	if p == nil {
		p = &promise{knowledge: newKnowledge(), pending: map[*write]bool{}}
		s.groups[q] = p
	}
	return p
}

// catchUp learns what the session has come to have, as far as it counts.
func (p *promise) catchUp(s *session, counts func(*write) bool) {
	for _, w := range s.had[p.read:] {
		p.pending[w] = true
	}
	p.read = len(s.had)
	due := slices.SortedFunc(maps.Keys(p.pending), func(a, b *write) int { return a.order - b.order })
	for _, w := range due {
		if counts(w) {
			p.learn(w)
			delete(p.pending, w)
		}
	}
}

// forget notes what is not there any more: whatever superseded it is known to
// the session now, so it must not come back.
func (p *promise) forget(r *read) {
	for _, w := range slices.Clone(p.live) {
		if !slices.Contains(r.found, w) {
			p.kill(w, w)
		}
	}
}
