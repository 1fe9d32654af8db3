package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// begin asks all members about incarnations, if all can be reached and the layout is
// settled. If not, it asks again for promises that were left without an outcome: as long
// as two homes have promised different rounds one refuses what the other has, and
// would never be complete by a new layout (R25), which no round can end before that is
// settled.
func (c *closer) begin(p *place, actors []vclock.Actor) {
	running := 0
	for _, other := range c.places {
		if other.attempt != nil {
			running++
		}
	}
	layout := c.s.layout
	if layout == nil || running >= closeAttempts || c.s.full != nil || c.s.stopping {
		return
	}
	var members []string
	away := false
	for _, n := range c.s.phase.Members() {
		away = away || !c.s.reachable(n)
		members = append(members, n)
	}
	last, settled := p.number, c.s.phase.Settled()
	if away || !settled {
		if actors, last = p.left(actors); len(actors) == 0 {
			return
		}
	}
	c.seq++
	c.stats.Attempts++
	p.attempt = antientropy.NewClose(c.s.cfg.Start.Nonce, c.seq, layout.Version(), members, actors)
	if away || !settled {
		p.number = p.attempt.Again(last, settled).Number
		c.stats.Rounds++
	}
	c.askAll(p)
}

// left are those of the actors about which this node has made a promise of which
// it does not know the outcome, and the number of the highest round known here.
func (p *place) left(actors []vclock.Actor) (left []vclock.Actor, last uint64) {
	last = p.number
	for _, a := range actors {
		if r := p.promises.Of(a); r.Promised.Compare(r.Closed) > 0 {
			left = append(left, a)
			last = max(last, r.Promised.Number)
		}
	}
	return left, last
}

// askAll begins an ask, at this node itself first.
func (c *closer) askAll(p *place) {
	p.asks = 0
	c.ask(p, p.attempt.Waiting())
	if p.attempt != nil {
		c.wake(&p.askAt, c.now.Add(closeAsk))
	}
}

func (c *closer) ask(p *place, members []string) {
	attempt := p.attempt
	ask := attempt.Ask(wire.Head{Partition: p.id.Partition, N: p.id.N})
	for _, m := range members {
		if m != c.s.cfg.Node {
			c.s.send(m, ask, false)
		}
	}
	if slices.Contains(members, c.s.cfg.Node) {
		c.heard(p, c.s.cfg.Node, c.report(c.s.cfg.Node, ask))
	}
}

func (c *closer) askAgain(p *place) {
	p.askAt = time.Time{}
	if p.attempt == nil {
		return
	}
	if p.asks++; p.asks > closeAsks || p.attempt.Layout() != c.s.layout.Version() {
		c.giveUp(p)
		return
	}
	c.ask(p, p.attempt.Waiting())
	if p.attempt != nil {
		c.wake(&p.askAt, c.now.Add(closeAsk<<p.asks))
	}
}

func (c *closer) giveUp(p *place) {
	c.stats.Failed++
	p.attempt, p.askAt = nil, time.Time{}
}

// report answers an ask as a member.
//
// The question that promises nothing is also that of a home that is damaged (R20). If it
// can be told by this one only, the pages of a pass that was given up hold nothing from
// it: what came of their dots is told, and of keys that they have not reached the dots
// are lost. Who promises a round answers for them: a version of theirs may live here
// whose dot the clock lacks.
func (c *closer) report(from string, m *wire.CloseAsk) *wire.CloseReply {
	reply := &wire.CloseReply{Head: m.Head, Op: m.Op}
	switch {
	case c.s.layout == nil || c.s.layout.Version() != m.Layout:
		reply.Refused = c.s.cfg.Node + " works by another layout"
		return reply
	case int(m.Partition) >= c.s.layout.Partitions() || int(m.N) != c.s.layout.Replicas():
		reply.Refused = "there is no such partition"
		return reply
	case c.s.full != nil:
		reply.Refused = c.s.full.Message
		return reply
	}
	p, holds := c.place(replica.ID{Partition: m.Partition, N: m.N}), c.holds
	if m.Round.IsZero() && c.s.lastToAsk(p.id, from) {
		holds = c.keeps
	}
	for _, a := range m.Actors {
		report, promised := p.promises.Report(a, m.Round, c.lives(p.id, a), holds(p.id, a))
		if promised {
			c.stats.Promises++
			p.promises.Save(&c.s.out.Rows, p.id.Partition, p.id.N, a)
		}
		reply.Reports = append(reply.Reports, report)
	}
	return reply
}

// lives reports whether an actor is, or may become, one of this process.
func (c *closer) lives(id replica.ID, a vclock.Actor) bool {
	if r := c.s.replicas[id]; r != nil && r.Actor() == a {
		return true
	}
	return replica.New(id, c.s.startOf(id), nil).Actor() == a || c.s.GuestIncarnation(id) == a
}

// holds are the dots of an actor that this node holds in any way: those that it keeps,
// and those in the objects that a rebuild has brought and no log names before its last
// page.
func (c *closer) holds(id replica.ID, a vclock.Actor) vclock.DotSet {
	held := c.keeps(id, a)
	if r := c.s.replicas[id]; r != nil {
		c0, _, _, _ := r.Copying()
		held.Union(only(c0, a))
	}
	return held
}

// keeps are the dots of an actor in a clock or in a hint.
func (c *closer) keeps(id replica.ID, a vclock.Actor) (kept vclock.DotSet) {
	if r := c.s.replicas[id]; r != nil {
		kept = only(r.Clock(), a)
	}
	kept.Union(only(c.s.debts.ledger.Held(wire.Head(id)), a))
	return kept
}

func (c *closer) onAsk(now time.Time, from string, m *wire.CloseAsk) {
	c.now = now
	reply := c.report(from, m)
	if p := c.places[replica.ID{Partition: m.Partition, N: m.N}]; p != nil && !m.Round.IsZero() {
		for _, a := range m.Actors { // somebody else is at it
			if known, noticed := p.suspects[a]; noticed {
				p.suspects[a] = suspect{now, known.vain}
			}
		}
	}
	c.s.send(from, reply, !m.Round.IsZero())
}

func (c *closer) onReply(now time.Time, from string, m *wire.CloseReply) {
	c.now = now
	p := c.places[replica.ID{Partition: m.Partition, N: m.N}]
	if p == nil || p.attempt == nil {
		c.s.stats.Stray++
		return
	}
	c.heard(p, from, m)
}

// heard takes an answer to an attempt of this node.
func (c *closer) heard(p *place, from string, m *wire.CloseReply) {
	complete := p.attempt.Add(from, m)
	switch {
	case p.attempt.Over():
		c.giveUp(p)
	case complete && p.attempt.Promising():
		c.conclude(p)
	case complete:
		c.promise(p)
	}
}

// promise goes on to the second ask. What members know already is news to others
// first.
func (c *closer) promise(p *place) {
	var known []wire.CloseRecord
	for _, v := range p.attempt.Verdicts() {
		if record := v.Record(); !record.Round.IsZero() {
			known = append(known, record)
		}
	}
	c.spread(p, known)
	lacking := c.lacking(p)
	for _, a := range p.attempt.Actors() {
		p.suspects[a] = suspect{c.now, p.suspects[a].vain + 1}
	}
	round := p.attempt.Promise(p.number, func(v antientropy.Verdict) bool {
		gone := lacking.Minus(v.Held).Minus(v.Void)
		return v.Unfinished() || !only(gone, v.Actor).IsEmpty()
	})
	if round.IsZero() {
		p.attempt, p.askAt = nil, time.Time{}
		return
	}
	p.number = round.Number
	c.stats.Rounds++
	c.askAll(p)
}

func only(dots vclock.DotSet, a vclock.Actor) vclock.DotSet {
	var all vclock.DotSet
	all.Close(a)
	return dots.Intersect(all)
}

func (c *closer) conclude(p *place) {
	records := p.attempt.Records()
	p.attempt, p.askAt = nil, time.Time{}
	if len(records) == 0 {
		c.stats.Failed++
	}
	c.stats.Closed += uint64(len(records))
	c.spread(p, records)
}

// spread takes in outcomes and tells the other members.
func (c *closer) spread(p *place, records []wire.CloseRecord) {
	if len(records) == 0 {
		return
	}
	c.learn(p, records)
	tell := &wire.CloseTell{Head: wire.Head{Partition: p.id.Partition, N: p.id.N}, Records: records}
	for _, n := range c.s.layout.Nodes() {
		if n.Name != c.s.cfg.Node && c.s.linked[n.Name] {
			c.s.send(n.Name, tell, true)
		}
	}
}

// digest is of the outcomes that this node has heard of.
func (c *closer) digest(id replica.ID) uint64 {
	if p := c.places[id]; p != nil {
		return p.promises.OutcomesDigest()
	}
	return 0
}

// compare tells a home that has heard of other outcomes those that are known here: it
// was away when they were told, or has lost them since. No gap of its clock need show
// it. Both see the difference, so each gets what it lacks. Who works by an older layout
// gets it later: it may have been removed without having heard of that, so that nobody
// has asked it, and would take a copy for a home's that has to retire.
func (c *closer) compare(now time.Time, peer string, id replica.ID, m *wire.Clock) {
	own, theirs := c.digest(id), m.Outcomes
	c.place(id).alike[peer] = own == theirs
	if own == 0 || own == theirs {
		return
	}
	if m.At.Tip.Compare(c.s.phase.Progress().Tip) < 0 {
		return
	}
	p := c.places[id]
	if last, ok := p.told[peer]; ok && now.Sub(last) < closeTell {
		return
	}
	p.told[peer] = now
	for records := range slices.Chunk(p.promises.Outcomes(), wire.CloseActorsMax) {
		tell := &wire.CloseTell{Head: wire.Head{Partition: id.Partition, N: id.N}, Records: records}
		c.s.send(peer, tell, true)
	}
}

func (c *closer) onTell(now time.Time, m *wire.CloseTell) {
	c.now = now
	if c.s.layout == nil || int(m.Partition) >= c.s.layout.Partitions() || int(m.N) != c.s.layout.Replicas() {
		c.s.stats.Stray++
		return
	}
	c.learn(c.place(replica.ID{Partition: m.Partition, N: m.N}), m.Records)
}

// learn takes in outcomes: the record and the clock in one batch. Objects are
// swept afterwards.
func (c *closer) learn(p *place, records []wire.CloseRecord) {
	r := c.s.replicas[p.id]
	for _, record := range records {
		if c.lives(p.id, record.Actor) {
			continue // nobody can have completed such a round, unless this node is about to come back
		}
		fresh, changed := p.promises.Learn(record)
		if !changed {
			continue
		}
		c.stats.Learned++
		if r == nil {
			p.promises.SetSwept(record.Void)
		} else if err := r.Void(fresh); err != nil {
			continue // not this incarnation, as was seen above
		} else if r.Nameless(fresh) {
			p.promises.SetNameless(record.Actor)
		}
		clear(p.alike)
		p.promises.Save(&c.s.out.Rows, p.id.Partition, p.id.N, record.Actor)
		if r != nil {
			c.s.retire(p.id)
			c.startSweep(r)
		}
	}
}
