package wire

import (
	"encoding/binary"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

// Clock advertises what a home replica holds for certain (R12, I6): dots that
// are durable at the sender when the message leaves it.
//
// Durable and Common are what was added since the sender last told this peer, or
// everything. Both only grow in the life of an incarnation, so a message that is
// late or comes twice does no harm; Digest tells whether one was lost.
type Clock struct {
	Head
	// Actor is the sender's incarnation, and Seq numbers its advertisements.
	Actor vclock.Actor
	Seq   uint64
	// EchoActor and EchoSeq are the last that the sender has heard of the
	// receiver. What echoes an incarnation was said after that one began.
	EchoActor vclock.Actor
	EchoSeq   uint64
	// Ask wants everything in return.
	Ask bool
	// Lost: the receiver's clock lacks dots that an earlier incarnation of it had
	// advertised as durable: its disk has lost them. Vouch: it lacks none.
	Lost, Vouch     bool
	Durable, Common vclock.DotSet
	// Digest is of the two whole sets as they are at the sender.
	Digest uint64
	// Outcomes is a digest of what the sender knows about closed incarnations (R15),
	// zero if it knows of none.
	Outcomes uint64
	// At is how far the sender is: from then on it takes no writes that are not as
	// far, so that the clock has all that it ever acknowledged to those (R25).
	// Trusted: it has lost nothing, or has it back.
	At      ring.Progress
	Trusted bool
	// Former: it is no home any more, and goes on until the homes have what it has
	// (R27).
	Former bool
}

// PullDotsMax bounds the dots that one pull asks for.
const PullDotsMax = 1000

// Pull asks a home replica for what the named dots did.
type Pull struct {
	Head
	Op   OpID
	Dots vclock.DotSet
	// Bare: nobody else who is left can tell what they did, so that whoever has retired
	// is to give them without what he cannot tell apart from what is void (R27).
	Bare bool
}

// Pieces answers a Pull from one snapshot (R9). A dot that was asked for is in a
// piece, or in Absent, or in Damaged, or is left for another Pull if More is
// set; or it is not in the clock of the sender, who says nothing about it then.
type Pieces struct {
	Head
	Op     OpID
	Failed string
	// Base is what the sender knows of every key (R5) at the moment of the
	// snapshot: the context of each piece is filled with it (R5).
	Base   vclock.DotSet
	Pieces []Piece
	// Absent are in the sender's clock and no longer in its log; Damaged are in
	// its log, and what they did cannot be read.
	Absent, Damaged vclock.DotSet
	// Rounds are the sender's promises about the actors of the dots, at the moment
	// of the snapshot (R14).
	Rounds Rounds
	// More: the answer was cut short at its limit.
	More bool
}

// Piece is one object as it is stored, unfilled; gone if nothing of it is left.
type Piece struct {
	Bucket, Key string
	Object      Object
	// Events are the dots that were asked for and that no live version bears:
	// deletes, and writes superseded since, with their request ids (R19).
	Events []DotRequest
}

// Delta is the piece as it is joined: the filled object, with the dots that were
// asked for and those of its live versions (R9).
func (p *Piece) Delta(base vclock.DotSet) Delta {
	d := Delta{Siblings: p.Object.FillWith(base), Dots: p.Object.Dots()}
	for _, e := range p.Events {
		d.Dots.Add(e.Dot)
	}
	return d
}

func (*Clock) kind() Kind  { return KindClock }
func (*Pull) kind() Kind   { return KindPull }
func (*Pieces) kind() Kind { return KindPieces }

const (
	clockAsk = 1 << iota
	clockVouch
	clockLost
	clockEcho
	clockOutcomes
	clockTrusted
	clockFormer

	clockFlags = 1<<iota - 1
)

func (m *Clock) appendBody(b []byte) []byte {
	flags := byte(0)
	for i, set := range [...]bool{m.Ask, m.Vouch, m.Lost, !m.EchoActor.IsZero(), m.Outcomes != 0, m.Trusted, m.Former} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, flags)
	b = binary.AppendUvarint(m.Actor.AppendTo(b), m.Seq)
	if flags&clockEcho != 0 {
		b = binary.AppendUvarint(m.EchoActor.AppendTo(b), m.EchoSeq)
	}
	b = m.Common.AppendTo(m.Durable.AppendTo(b))
	b = binary.BigEndian.AppendUint64(b, m.Digest)
	if flags&clockOutcomes != 0 {
		b = binary.BigEndian.AppendUint64(b, m.Outcomes)
	}
	return appendProgress(b, m.At)
}

func decodeClock(h Head, r *reader) *Clock {
	m := &Clock{Head: h}
	flags := r.byte("clock flags")
	if flags&^clockFlags != 0 {
		r.fail("clock flags", "unknown flag in %#x", flags)
	}
	m.Ask, m.Vouch, m.Lost = flags&clockAsk != 0, flags&clockVouch != 0, flags&clockLost != 0
	m.Trusted, m.Former = flags&clockTrusted != 0, flags&clockFormer != 0
	m.Actor, m.Seq = r.anActor("actor"), r.uvarint("number")
	if flags&clockEcho != 0 {
		m.EchoActor, m.EchoSeq = r.anActor("echoed actor"), r.uvarint("echoed number")
	}
	m.Durable, m.Common = r.dotSet("durable"), r.dotSet("common")
	if b := r.fixed("digest", 8); b != nil {
		m.Digest = binary.BigEndian.Uint64(b)
	}
	if flags&clockOutcomes != 0 {
		if b := r.fixed("outcomes", 8); b != nil {
			m.Outcomes = binary.BigEndian.Uint64(b)
		}
		if m.Outcomes == 0 {
			r.fail("outcomes", "a digest of nothing")
		}
	}
	m.At = r.progress()
	return m
}

// anActor reads an actor of any place in the order.
func (r *reader) anActor(what string) vclock.Actor {
	b := r.fixed(what, vclock.ActorSize)
	if b == nil {
		return vclock.Actor{}
	}
	a, _, err := vclock.DecodeActor(b)
	if err != nil {
		r.fail(what, "%v", err)
	}
	return a
}

func (m *Pull) appendBody(b []byte) []byte {
	return m.Dots.AppendTo(appendFlag(m.Op.appendTo(b), m.Bare))
}

// The bytes of a batch of pieces are what exchange costs beside the objects
// themselves, so that actors and buckets are named once and dots are differences.
//
//	head of a piece   versions<<2 | has context<<1 | has events
//	bucket            number, from 0; the next unused number is followed by the name
//	key               length and bytes
//	dot               number of the actor, counter as the difference to the dot
//	                  before it in the batch
//	version           dot, record
//	context           number of spans, then per span: dot of its end, length
//	events            number, then per event: dot, 1 and request id, or 0
//
// Actors are numbered: those of Base in order, then those listed after it.

func (m *Pieces) appendBody(b []byte) []byte {
	b = appendString(m.Op.appendTo(b), m.Failed)
	b = m.Damaged.AppendTo(m.Absent.AppendTo(m.Base.AppendTo(b)))
	b = appendFlag(AppendRounds(b, m.Rounds), m.More)
	w := pieceWriter{actors: map[vclock.Actor]uint64{}, buckets: map[string]uint64{}}
	for actor := range m.Base.Spans() {
		w.number(actor)
	}
	known := len(w.actors)
	var body []byte
	for i := range m.Pieces {
		body = w.piece(body, &m.Pieces[i])
	}
	b = binary.AppendUvarint(b, uint64(len(w.order)-known))
	for _, actor := range w.order[known:] {
		b = actor.AppendTo(b)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Pieces)))
	return append(b, body...)
}

type pieceWriter struct {
	actors  map[vclock.Actor]uint64
	order   []vclock.Actor
	buckets map[string]uint64
	last    uint64
}

func (w *pieceWriter) number(a vclock.Actor) uint64 {
	n, ok := w.actors[a]
	if !ok {
		n = uint64(len(w.actors))
		w.actors[a] = n
		w.order = append(w.order, a)
	}
	return n
}

func (w *pieceWriter) dot(b []byte, a vclock.Actor, counter uint64) []byte {
	b = binary.AppendUvarint(b, w.number(a))
	b = binary.AppendVarint(b, int64(counter-w.last))
	w.last = counter
	return b
}

func (w *pieceWriter) piece(b []byte, p *Piece) []byte {
	head := uint64(len(p.Object.Versions)) << 2
	if !p.Object.Context.IsEmpty() {
		head |= 2
	}
	if len(p.Events) > 0 {
		head |= 1
	}
	b = w.bucket(binary.AppendUvarint(b, head), p.Bucket)
	b = appendString(b, p.Key)
	for _, v := range p.Object.Versions {
		b = AppendRecord(w.dot(b, v.Dot.Actor, v.Dot.Counter), v.Value)
	}
	if head&2 != 0 {
		b = w.context(b, p.Object.Context)
	}
	if head&1 != 0 {
		b = binary.AppendUvarint(b, uint64(len(p.Events)))
		for _, e := range p.Events {
			b = appendFlag(w.dot(b, e.Dot.Actor, e.Dot.Counter), !e.ID.IsZero())
			if !e.ID.IsZero() {
				b = append(b, e.ID[:]...)
			}
		}
	}
	return b
}

func (w *pieceWriter) bucket(b []byte, name string) []byte {
	n, ok := w.buckets[name]
	if ok {
		return binary.AppendUvarint(b, n)
	}
	n = uint64(len(w.buckets))
	w.buckets[name] = n
	return appendString(binary.AppendUvarint(b, n), name)
}

func (w *pieceWriter) context(b []byte, context vclock.DotSet) []byte {
	spans := 0
	for range context.Spans() {
		spans++
	}
	b = binary.AppendUvarint(b, uint64(spans))
	for actor, span := range context.Spans() {
		b = binary.AppendUvarint(w.dot(b, actor, span.Hi), span.Hi-span.Lo)
	}
	return b
}

func decodePieces(h Head, r *reader) *Pieces {
	m := &Pieces{Head: h, Op: r.opID(), Failed: r.string("reason")}
	m.Base, m.Absent, m.Damaged = r.dotSet("base"), r.dotSet("absent"), r.dotSet("damaged")
	m.Rounds, m.More = r.rounds("rounds"), r.flag("more")
	p := pieceReader{reader: *r} // a pointer in it would make the readers of all messages escape
	for actor := range m.Base.Spans() {
		if n := len(p.actors); n == 0 || p.actors[n-1] != actor {
			p.actors = append(p.actors, actor)
		}
	}
	p.used = len(p.actors)
	p.list()
	for range p.count("pieces") {
		if p.err != nil {
			break
		}
		m.Pieces = append(m.Pieces, p.piece())
	}
	if p.err == nil && p.used < len(p.actors) {
		p.fail("actors", "%d of them are not used", len(p.actors)-p.used)
	}
	*r = p.reader
	return m
}

// pieceReader reads what pieceWriter has written, and nothing else: there is one
// form of every batch.
type pieceReader struct {
	reader
	actors []vclock.Actor
	// used is how many of the actors have occurred.
	used    int
	buckets []string
	named   map[string]bool
	last    uint64
}

// list reads the actors that the base does not name.
func (r *pieceReader) list() {
	known := map[vclock.Actor]bool{}
	for _, a := range r.actors {
		known[a] = true
	}
	for range r.count("actors") {
		a := r.anActor("actor")
		if r.err == nil && known[a] {
			r.fail("actor", "%v is named twice", a)
		}
		if r.err != nil {
			return
		}
		known[a] = true
		r.actors = append(r.actors, a)
	}
}

func (r *pieceReader) dot(what string) (a vclock.Actor, counter uint64) {
	n := r.uvarint(what)
	if n >= uint64(len(r.actors)) || n > uint64(r.used) {
		r.fail(what, "actor %d of %d", n, r.used)
		return a, 0
	}
	if n == uint64(r.used) {
		r.used++
	}
	r.last += uint64(r.varint(what))
	return r.actors[n], r.last
}

// mintable is a dot that some replica can have minted.
func (r *pieceReader) mintable(what string) vclock.Dot {
	a, counter := r.dot(what)
	if r.err == nil && (counter == 0 || counter > vclock.CounterMax) {
		r.fail(what, "no replica mints the counter %d", counter)
	}
	return vclock.Dot{Actor: a, Counter: counter}
}

func (r *pieceReader) piece() (p Piece) {
	head := r.uvarint("head of a piece")
	if head>>2 > uint64(len(r.rest)) {
		r.fail("head of a piece", "%d versions announced, %d bytes left", head>>2, len(r.rest))
	}
	p.Bucket, p.Key = r.bucketName(), r.key()
	for i := uint64(0); i < head>>2 && r.err == nil; i++ {
		r.version(&p.Object)
	}
	if head&2 != 0 {
		p.Object.Context = r.context()
	}
	if head&1 != 0 {
		p.Events = r.events()
	}
	return p
}

func (r *pieceReader) events() (events []DotRequest) {
	count := r.count("events")
	if count == 0 {
		r.fail("events", "announced and not there")
	}
	for range count {
		e := DotRequest{Dot: r.mintable("event")}
		if r.flag("request id") {
			if e.ID = r.requestID("request id"); e.ID.IsZero() {
				r.fail("request id", "present but zero")
			}
		}
		if r.err != nil {
			return nil
		}
		events = append(events, e)
	}
	return events
}

func (r *pieceReader) bucketName() string {
	n := r.uvarint("bucket")
	switch {
	case n < uint64(len(r.buckets)):
		return r.buckets[n]
	case n > uint64(len(r.buckets)):
		r.fail("bucket", "bucket %d of %d", n, len(r.buckets))
		return ""
	}
	name := r.bucket()
	if r.named == nil {
		r.named = map[string]bool{}
	}
	if r.named[name] {
		r.fail("bucket", "%q is named twice", name)
	}
	r.named[name] = true
	r.buckets = append(r.buckets, name)
	return name
}

func (r *pieceReader) version(o *Object) {
	d := r.mintable("dot of a version")
	if r.err != nil {
		return
	}
	if n := len(o.Versions); n > 0 && o.Versions[n-1].Dot.Compare(d) >= 0 {
		r.fail("dot of a version", "the versions are out of order")
		return
	}
	record, rest, err := decodeSent(r.rest)
	if err != nil {
		r.fail("record", "%v", err)
		return
	}
	r.rest = rest
	o.Versions = append(o.Versions, vclock.Version[Record]{Dot: d, Value: record})
}

func (r *pieceReader) context() (set vclock.DotSet) {
	count := r.count("spans of a context")
	if count == 0 {
		r.fail("context", "announced and not there")
	}
	var before vclock.Actor
	var end uint64
	for range count {
		a, hi := r.dot("span of a context")
		length := r.uvarint("length of a span")
		if r.err == nil && (hi == 0 || length >= hi) {
			r.fail("span of a context", "%d dots end at %d", length, hi)
		}
		if order := before.Compare(a); r.err == nil && (order > 0 || order == 0 && hi-length-1 <= end) {
			r.fail("span of a context", "it is out of order")
		}
		if r.err != nil {
			break
		}
		before, end = a, hi
		set.AddSpan(a, vclock.Span{Lo: hi - length, Hi: hi})
	}
	return set
}

// Bytes is about what a piece takes on the wire.
func (p *Piece) Bytes() int {
	n := len(p.Key) + 8 + len(p.Events)*24
	for _, v := range p.Object.Versions {
		n += len(v.Value.Value) + len(v.Value.Node) + len(v.Value.ContentType) + 40
	}
	for range p.Object.Context.Spans() {
		n += 8
	}
	return n
}
