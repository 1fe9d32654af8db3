package antientropy

import (
	"slices"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Close is one attempt of a home to close dead incarnations of its partition
// (R15), as its proposer sees it. It asks every member of a layout twice: first
// whether the incarnations are dead and what is held of them, then for the
// promise. Nothing of it is kept: a proposer that dies leaves promises, and
// somebody else, or its next life, proposes a higher round.
//
// # Why it is safe without consensus
//
// Say a member holds a dot if the dot is in its clock as more than void, alive in
// an object, or in a hint. Say that a round ρ for a is complete if every member m
// of one layout L has answered, each with what it held at a moment t(m) at which
// its promise of ρ was made, after which it is durable. U is the union of the
// answers and void the rest of a.
//
// Claim: a dot outside of U is held by no member m at or after t(m).
//
// Suppose d is, and let m be the first member, in the order of events, to hold it
// after its t(m) although d is not in U. It did not at t(m), so it came.
//
//   - It was not minted: a member never promises for an incarnation of its own
//     process, and a dead incarnation never comes back (I2).
//   - So it came with a delta from some s, news to m, and R14 let it in. At that
//     time m had promised some ρ' ≥ ρ.
//     If ρ' was not closed at m, then s had promised ρ' when the delta left, and
//     both the promise and d were durable there: such deltas leave synced. Since
//     promises only rise and s is a member of L, s had promised ρ before. So s
//     held d at or after t(s), and before m did: m was not the first.
//     If ρ' was closed at m and ρ' = ρ, then d is void there and not news.
//     If ρ' was closed and ρ' > ρ, then every member promised ρ' after its t(m),
//     when nobody held d: d is void by ρ' too, and not news.
//   - Members that are not in L make no difference: what a member sends to one is
//     sent by a layout that is not L, and whoever has a layout that is not L
//     answers no ask of a round of L. So what arrives there was either held by
//     somebody at its t(m) and is in U, or keeps the round from completing.
//
// Hence rounds need no agreement: two of them may run at once, with different
// numbers, and complete in any order, or not at all. Each that completes is true,
// for ever; the later one knows at least as much. A record is therefore taken in
// whatever has been promised since, and records unite.
//
// What the claim needs and where it is kept: the promise and what was held are
// durable before the report leaves (core marks it so); a member that is asked twice
// answers with what it held when it promised, not only with what it holds by then,
// because a hint may have gone in between to somebody who had answered without it
// (exhaustive search found that one); a proposer never uses a
// round twice (the nonce of its process is part of it, the number only rises);
// every member is asked, not only homes, because a guest may hold the only copy
// (C9); reports leave out what is void already, or the second round would take
// the void of the first for held.
//
// A member that loses its disk forgets its promise, and may then take in a dot
// that it would have refused. That can only hurt if the sender lets go of the dot
// because of it, and a hint's holder keeps a dot until every slot has it: it takes
// more lost disks than the fault budget has.
//
// # Why it does not get stuck
//
// Nothing is promised before every member has said that the incarnation is dead,
// which stays true. While a member that was there then is away, the round waits;
// meanwhile dots travel between all who have promised the same round (C11).
// Promises that were left behind by a dead proposer differ, so some replica
// refuses dots; that is a reason to propose (see core), with a higher number, and
// whoever has promised may do so without asking again whether the incarnation is
// dead: see [Close.Again]. That goes on while owners change, when no round may end: an
// owner to be that refuses dots would never have all that the change waits for.
type Close struct {
	process, seq uint64
	layout       ring.Version
	members      []string
	actors       []vclock.Actor
	round        wire.Round
	// answers are those to the present ask.
	answers map[string][]wire.CloseReport
	over    bool
	// barren: it has no outcome, whoever answers.
	barren bool
}

// NewClose begins an attempt: members are all members of that layout. Process and
// seq name it in this process; no two attempts have the same.
func NewClose(process, seq uint64, layout ring.Version, members []string, actors []vclock.Actor) *Close {
	actors = slices.Clone(actors)
	slices.SortFunc(actors, vclock.Actor.Compare)
	actors = slices.Compact(actors)
	return &Close{
		process: process, seq: seq, layout: layout, members: slices.Clone(members),
		actors: actors[:min(len(actors), wire.CloseActorsMax)], answers: map[string][]wire.CloseReport{},
	}
}

// Layout is that of the attempt. It is to be given up when the layout changes.
func (c *Close) Layout() ring.Version { return c.layout }

// Promising reports whether the attempt asks for promises by now.
func (c *Close) Promising() bool { return !c.round.IsZero() }

// Over reports whether nothing more will come of it.
func (c *Close) Over() bool { return c.over }

// Actors are those that the attempt is still about.
func (c *Close) Actors() []vclock.Actor { return c.actors }

// Ask is what to ask those who have not answered.
func (c *Close) Ask(h wire.Head) *wire.CloseAsk {
	return &wire.CloseAsk{Head: h, Op: c.op(), Layout: c.layout, Round: c.round, Actors: c.actors}
}

// op tells the answers of the two asks of an attempt apart, and from others.
func (c *Close) op() wire.OpID {
	id := wire.OpID{Process: c.process, Seq: 2 * c.seq}
	if c.Promising() {
		id.Seq++
	}
	return id
}

// Waiting are the members that have not answered the present ask.
func (c *Close) Waiting() []string {
	var waiting []string
	for _, m := range c.members {
		if _, answered := c.answers[m]; !answered && !c.over {
			waiting = append(waiting, m)
		}
	}
	return waiting
}

// Add takes an answer. It reports whether that was the last one to the present
// ask; one that is not to it is ignored. A member that cannot answer ends the
// attempt.
func (c *Close) Add(member string, m *wire.CloseReply) (complete bool) {
	if c.over || m.Op != c.op() || !slices.Contains(c.members, member) {
		return false
	}
	if m.Refused != "" {
		c.over = true
		return false
	}
	if _, answered := c.answers[member]; answered {
		return false
	}
	c.answers[member] = m.Reports
	return len(c.answers) == len(c.members)
}

// Verdict is what the members know of one actor, all having answered.
type Verdict struct {
	Actor vclock.Actor
	// Live: some member has it, or may have it, as its own incarnation, or did not
	// answer for it.
	Live bool
	// Held and Void unite what the members hold and know to be void.
	Held, Void vclock.DotSet
	// Closed is the highest round of which anybody knows the outcome.
	Closed wire.Round
	// promised is the highest round that anybody has promised; all says that
	// everybody has promised that very one.
	promised wire.Round
	all      bool
}

// Unfinished reports whether a member has promised a round of which nobody knows
// the outcome, so that dots are refused.
func (v *Verdict) Unfinished() bool { return v.promised.Compare(v.Closed) > 0 }

// Record is what the members know already, and is worth knowing if not zero.
func (v *Verdict) Record() wire.CloseRecord {
	return wire.CloseRecord{Actor: v.Actor, Round: v.Closed, Void: v.Void}
}

// Verdicts unite the answers, for each actor.
func (c *Close) Verdicts() []Verdict {
	verdicts := make([]Verdict, len(c.actors))
	for i, a := range c.actors {
		v := &verdicts[i]
		v.Actor, v.all = a, true
		for j, m := range c.members {
			at := slices.IndexFunc(c.answers[m], func(r wire.CloseReport) bool { return r.Actor == a })
			if at < 0 {
				v.Live = true
				continue
			}
			v.add(&c.answers[m][at], j == 0)
		}
	}
	return verdicts
}

func (v *Verdict) add(r *wire.CloseReport, first bool) {
	v.Live = v.Live || r.Live
	v.Held.Union(r.Held)
	v.Void.Union(r.Void)
	v.all = v.all && (first || r.Promised == v.promised)
	if r.Promised.Compare(v.promised) > 0 {
		v.promised = r.Promised
	}
	if r.Closed.Compare(v.Closed) > 0 {
		v.Closed = r.Closed
	}
}

// Promise goes on to the second ask, once the first is complete: for those actors
// that are dead and wanted, with a round above every promise and above last, the
// number of the highest round that this process has proposed here. With none the
// attempt is over.
func (c *Close) Promise(last uint64, wanted func(Verdict) bool) (round wire.Round) {
	number := last
	var actors []vclock.Actor
	for _, v := range c.Verdicts() {
		if !v.Live && wanted(v) {
			actors = append(actors, v.Actor)
			number = max(number, v.promised.Number)
		}
	}
	if len(actors) == 0 {
		c.over = true
		return wire.Round{}
	}
	c.actors, c.answers = actors, map[string][]wire.CloseReport{}
	c.round = wire.Round{Number: number + 1, Proposer: c.process}
	return c.round
}

// Again goes straight to the second ask, for actors about which promises have been
// made: whoever asked for those knew from every member that they are dead, and that
// stays true. It makes promises that a dead proposer has left behind alike again
// among all who can be reached, so that dots travel although some member is away. In a
// layout that is not settled there is no outcome: others than its members may hold dots.
func (c *Close) Again(last uint64, settled bool) wire.Round {
	c.round, c.barren = wire.Round{Number: last + 1, Proposer: c.process}, !settled
	return c.round
}

// Records are the outcome, once the second ask is complete: for each actor that
// every member has promised the round for. The attempt is over.
func (c *Close) Records() []wire.CloseRecord {
	if c.over = true; c.barren {
		return nil
	}
	var records []wire.CloseRecord
	for _, v := range c.Verdicts() {
		if v.Live || !v.all || v.promised != c.round {
			continue // somebody has promised a higher round: whoever proposed it goes on
		}
		records = append(records, wire.CloseRecord{Actor: v.Actor, Round: c.round, Void: voidOf(v.Actor, v.Held, v.Void)})
	}
	return records
}

// voidOf is what nobody holds. What a completed round has found void stays so.
func voidOf(a vclock.Actor, held, void vclock.DotSet) vclock.DotSet {
	var all vclock.DotSet
	all.Close(a)
	all = all.Minus(held)
	all.Union(void)
	return all
}
