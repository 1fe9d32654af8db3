package antientropy

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// pull is a question that a peer has not answered yet, or whose answer is being
// joined.
type pull struct {
	op      wire.OpID
	dots    vclock.DotSet
	until   time.Time
	joining bool
}

// Pull asks for what is wanted: each dot one linked holder, each holder one
// question at a time, at most room of them and for at most that many dots in all. It
// returns how many it asked, and for how many dots.
func (e *Exchange) Pull(now time.Time, clock vclock.DotSet, room int, most uint64) (asked int, dots uint64) {
	if e.wanted.IsEmpty() {
		return 0, 0
	}
	rest := e.wanted.Minus(clock)
	e.wanted = rest
	rest = rest.Minus(e.refused)
	for _, p := range e.peers {
		if p.pull != nil {
			rest = rest.Minus(p.pull.dots)
		}
	}
	whole, known := e.whole(now)
	for i := range e.peers {
		// Which peer comes first differs from partition to partition.
		p := e.peers[(i+int(e.cfg.Head.Partition))%len(e.peers)]
		if asked >= room || dots >= most || rest.IsEmpty() {
			break
		}
		if !p.linked || p.pull != nil || now.Before(p.retryAt) {
			continue
		}
		mine, bare := rest.Intersect(p.durable).Minus(p.absent), false
		if p.handsOn && known {
			if sole := mine.Minus(whole); !sole.IsEmpty() {
				mine, bare = sole, true
			}
		}
		some := first(mine, min(wire.PullDotsMax, most-dots))
		if some.IsEmpty() {
			continue
		}
		rest = rest.Minus(some)
		e.ops++
		p.pull = &pull{op: wire.OpID{Process: e.cfg.Process, Seq: e.ops}, dots: some, until: now.Add(PullWait)}
		e.out = append(e.out, Send{To: p.name, Msg: &wire.Pull{Head: e.cfg.Head, Op: p.pull.op, Dots: some, Bare: bare}})
		dots += Count(some)
		asked++
	}
	return asked, dots
}

// whole are the dots that some home can give with all that they did: out of its log, or, if
// that does not name them any more, by pages (R13), unless those were asked for in vain. Known
// says whether all homes have told what they have.
func (e *Exchange) whole(now time.Time) (dots vclock.DotSet, known bool) {
	if !slices.ContainsFunc(e.peers, func(p *peer) bool { return p.handsOn }) {
		return dots, false // nobody asks
	}
	for _, p := range e.peers {
		if p.handsOn {
			continue
		}
		if !p.complete {
			return dots, false
		}
		has := p.durable.Minus(p.damaged)
		if p.linked && now.Before(e.unpagedUntil) {
			has = has.Minus(p.absent)
		}
		dots.Union(has)
	}
	return dots, true
}

// Unpaged says that until then no linked home gives pages that hold what the logs do not
// name.
func (e *Exchange) Unpaged(until time.Time) { e.unpagedUntil = until }

// Answered takes the answer to a pull. It reports whether its pieces are to be
// joined; then Joined is to be called once they are.
func (e *Exchange) Answered(now time.Time, name string, m *wire.Pieces) bool {
	p := e.peer(name)
	if p == nil || p.pull == nil || p.pull.op != m.Op || p.pull.joining {
		return false
	}
	p.absent.Union(m.Absent.Intersect(p.pull.dots))
	p.damaged = p.damaged.Minus(p.pull.dots)
	p.damaged.Union(m.Damaged.Intersect(p.pull.dots))
	// Damaged dots are asked for again: whoever cannot read them restores them.
	if m.Failed != "" || len(m.Pieces) == 0 {
		p.pull, p.retryAt = nil, now.Add(retryAfter)
		return false
	}
	p.pull.joining = true
	p.pull.until = now.Add(PullWait)
	return true
}

// Joined says that the pieces of an answer have been joined, but for refused dots,
// which may not be taken now: a promise forbids it, or the replica has lost
// something near their keys. They are left alone for a while, and keep no others
// from being asked for.
func (e *Exchange) Joined(now time.Time, name string, op wire.OpID, refused vclock.DotSet) {
	if p := e.peer(name); p != nil && p.pull != nil && p.pull.op == op {
		p.pull = nil
	}
	if refused.IsEmpty() {
		return
	}
	if e.refused.IsEmpty() {
		e.refusedUntil = now.Add(refusedFor)
	}
	e.refused.Union(refused)
}

// Pulling counts the pulls that are under way.
func (e *Exchange) Pulling() (n int) {
	for _, p := range e.peers {
		if p.pull != nil {
			n++
		}
	}
	return n
}

// Unserved are dots that this home lacks and that no home which has them can
// give any more: they were pruned from every log, or cannot be read. From is a
// linked home that has them; this one has to be rebuilt from it, or from another
// (R13). What a home has is served by nobody who only hands on what he has: he may not
// be able to tell what it did (R27).
func (e *Exchange) Unserved(clock vclock.DotSet) (dots vclock.DotSet, from string) {
	var had vclock.DotSet
	for _, p := range e.peers {
		dots.Union(p.absent)
		if !p.handsOn {
			had.Union(p.durable)
		}
	}
	if dots.IsEmpty() {
		return dots, ""
	}
	dots = dots.Minus(clock)
	for _, p := range e.peers {
		served := p.durable.Minus(p.absent)
		if p.handsOn {
			served = served.Minus(had)
		}
		dots = dots.Minus(served)
	}
	handsOn := true
	for _, p := range e.peers {
		if p.linked && handsOn && (from == "" || !p.handsOn) && !dots.Intersect(p.durable).IsEmpty() {
			from, handsOn = p.name, p.handsOn
		}
	}
	return dots, from
}
