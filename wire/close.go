package wire

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

// CloseActorsMax bounds the incarnations that one message about closing names.
const CloseActorsMax = 256

// Round names one attempt to close an incarnation (R15). Exactly one process
// proposes it: Proposer is the nonce of that process. The zero Round is none.
type Round struct{ Number, Proposer uint64 }

// IsZero reports whether there is no round.
func (r Round) IsZero() bool { return r == Round{} }

// Compare orders rounds totally: by number, then by proposer.
func (r Round) Compare(o Round) int {
	return cmp.Or(cmp.Compare(r.Number, o.Number), cmp.Compare(r.Proposer, o.Proposer))
}

// String is "number-proposer".
func (r Round) String() string { return fmt.Sprintf("%d-%016x", r.Number, r.Proposer) }

// ActorRound is what a member has promised about one incarnation.
type ActorRound struct {
	Actor vclock.Actor
	Round Round
}

// Rounds travel with deltas: what the sender has promised about the actors of
// the dots that it sends, in ascending order of the actors (R14). It is nearly
// always empty. A delta that carries any leaves only when all that its sender
// has applied is durable.
type Rounds []ActorRound

// Of is the round promised about a, zero if none.
func (r Rounds) Of(a vclock.Actor) Round {
	if i, found := r.find(a); found {
		return r[i].Round
	}
	return Round{}
}

func (r Rounds) find(a vclock.Actor) (int, bool) {
	return slices.BinarySearchFunc(r, a, func(e ActorRound, a vclock.Actor) int { return e.Actor.Compare(a) })
}

// With adds or replaces a promise.
func (r Rounds) With(a vclock.Actor, round Round) Rounds {
	i, found := r.find(a)
	if found {
		r[i].Round = round
		return r
	}
	return slices.Insert(r, i, ActorRound{a, round})
}

// Common are the promises that both have made alike (R8).
func (r Rounds) Common(o Rounds) Rounds {
	var both Rounds
	for _, e := range r {
		if o.Of(e.Actor) == e.Round {
			both = append(both, e)
		}
	}
	return both
}

// CloseAsk asks a member about incarnations that may be closed. With a zero
// Round it only asks whether they are dead; otherwise it asks for a promise and
// for the dots that the member holds of them (R15).
type CloseAsk struct {
	Head
	Op OpID
	// Layout is the proposer's: its members are those that are asked.
	Layout ring.Version
	Round  Round
	Actors []vclock.Actor
}

// CloseReply answers a CloseAsk for each of its actors, or says why not.
type CloseReply struct {
	Head
	Op      OpID
	Refused string
	Reports []CloseReport
}

// CloseReport is what a member says about one incarnation.
type CloseReport struct {
	Actor vclock.Actor
	// Live: it is an incarnation of this very process, or may be one.
	Live bool
	// Promised is the highest round that the member has promised. It is the round
	// that was asked for exactly if the member grants it.
	Promised Round
	// Held are the dots of the actor that the member holds, Void those that it
	// knows to be void, by the record of round Closed.
	Held, Void vclock.DotSet
	Closed     Round
}

// CloseTell passes on what rounds have found out.
type CloseTell struct {
	Head
	Records []CloseRecord
}

// CloseRecord is the outcome of a round: the dots of the actor that no member
// holds, which nobody will ever hold.
type CloseRecord struct {
	Actor vclock.Actor
	Round Round
	Void  vclock.DotSet
}

func (*CloseAsk) kind() Kind   { return KindCloseAsk }
func (*CloseReply) kind() Kind { return KindCloseReply }
func (*CloseTell) kind() Kind  { return KindCloseTell }

func (r Round) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, r.Number)
	return binary.BigEndian.AppendUint64(b, r.Proposer)
}

func (r *reader) round(what string) Round {
	number := r.uvarint(what)
	if b := r.fixed(what, 8); b != nil {
		return Round{Number: number, Proposer: binary.BigEndian.Uint64(b)}
	}
	return Round{}
}

// actor reads an actor that must be above the one before it, so that a list of
// them has one form and none twice.
func (r *reader) actor(what string, before vclock.Actor) vclock.Actor {
	if r.err != nil {
		return vclock.Actor{}
	}
	a, rest, err := vclock.DecodeActor(r.rest)
	switch {
	case err != nil:
		r.fail(what, "%v", err)
	case before.Compare(a) >= 0:
		r.fail(what, "is not above the one before it")
	default:
		r.rest = rest
	}
	return a
}

// AppendRounds appends the binary form of r.
func AppendRounds(b []byte, r Rounds) []byte {
	b = binary.AppendUvarint(b, uint64(len(r)))
	for _, e := range r {
		b = e.Round.appendTo(e.Actor.AppendTo(b))
	}
	return b
}

func (r *reader) rounds(what string) Rounds {
	var all Rounds
	var last vclock.Actor
	for range r.count(what) {
		last = r.actor(what, last)
		round := r.round(what)
		if round.IsZero() {
			r.fail(what, "a promise of no round is not written")
		}
		if r.err != nil {
			return nil
		}
		all = append(all, ActorRound{last, round})
	}
	return all
}

// closeCount reads the length of a list of incarnations.
func (r *reader) closeCount(what string) int {
	n := r.count(what)
	if n > CloseActorsMax {
		r.fail(what, "%d incarnations, the limit is %d", n, CloseActorsMax)
		return 0
	}
	return n
}

func (m *CloseAsk) appendBody(b []byte) []byte {
	b = m.Op.appendTo(b)
	b = binary.AppendUvarint(b, m.Layout.Counter)
	b = binary.BigEndian.AppendUint64(b, m.Layout.Hash)
	b = m.Round.appendTo(b)
	b = binary.AppendUvarint(b, uint64(len(m.Actors)))
	for _, a := range m.Actors {
		b = a.AppendTo(b)
	}
	return b
}

func decodeCloseAsk(h Head, r *reader) *CloseAsk {
	m := &CloseAsk{Head: h, Op: r.opID(), Layout: ring.Version{Counter: r.uvarint("layout")}}
	if b := r.fixed("layout", 8); b != nil {
		m.Layout.Hash = binary.BigEndian.Uint64(b)
	}
	m.Round = r.round("round")
	var last vclock.Actor
	for range r.closeCount("actors") {
		if last = r.actor("actor", last); r.err != nil {
			break
		}
		m.Actors = append(m.Actors, last)
	}
	return m
}

func (m *CloseReply) appendBody(b []byte) []byte {
	b = appendString(m.Op.appendTo(b), m.Refused)
	b = binary.AppendUvarint(b, uint64(len(m.Reports)))
	for _, p := range m.Reports {
		b = appendFlag(p.Actor.AppendTo(b), p.Live)
		b = p.Closed.appendTo(p.Promised.appendTo(b))
		b = p.Void.AppendTo(p.Held.AppendTo(b))
	}
	return b
}

func decodeCloseReply(h Head, r *reader) *CloseReply {
	m := &CloseReply{Head: h, Op: r.opID(), Refused: r.string("reason")}
	var last vclock.Actor
	for range r.closeCount("reports") {
		last = r.actor("actor", last)
		p := CloseReport{
			Actor: last, Live: r.flag("live"), Promised: r.round("promised"), Closed: r.round("closed"),
			Held: r.dotsOf("held", last), Void: r.dotsOf("void", last),
		}
		if r.err != nil {
			break
		}
		m.Reports = append(m.Reports, p)
	}
	return m
}

// dotsOf reads a dot set that speaks of one actor only.
func (r *reader) dotsOf(what string, a vclock.Actor) vclock.DotSet {
	s := r.dotSet(what)
	for actor := range s.Spans() {
		if actor != a {
			r.fail(what, "speaks of %v, the report is about %v", actor, a)
		}
	}
	return s
}

func (m *CloseTell) appendBody(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(m.Records)))
	for _, c := range m.Records {
		b = c.Void.AppendTo(c.Round.appendTo(c.Actor.AppendTo(b)))
	}
	return b
}

func decodeCloseTell(h Head, r *reader) *CloseTell {
	m := &CloseTell{Head: h}
	var last vclock.Actor
	for range r.closeCount("records") {
		last = r.actor("actor", last)
		c := CloseRecord{Actor: last, Round: r.round("round"), Void: r.dotsOf("void", last)}
		if r.err != nil {
			break
		}
		m.Records = append(m.Records, c)
	}
	return m
}
