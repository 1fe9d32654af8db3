package antientropy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// RecordsMax bounds the incarnations of one partition that a member keeps a
// record of. Beyond it a member refuses to promise or learn anything about others; that
// many closed incarnations take decades of restarts.
const RecordsMax = 4096

// Record is what a member has promised and learned about one incarnation.
type Record struct {
	Actor vclock.Actor
	// Promised is the highest round that the member has promised, Closed the
	// highest of which it knows the outcome.
	Promised, Closed wire.Round
	// Reported is what the member held when it promised the round Promised, as long
	// as it does not know the outcome. It is part of every answer to that round: a
	// dot may have left since, to somebody who had answered without it.
	Reported vclock.DotSet
	// Void are the dots of the actor that nobody holds and nobody ever will.
	Void vclock.DotSet
	// Swept: every stored object that remembered a void dot has been looked at.
	Swept bool
	// Nameless: until then any of them may show the effect of some of Void, which was
	// held here, perhaps, and which no log names.
	Nameless bool
}

// Promises are the records of one member about one partition. The zero value
// has none.
type Promises struct {
	records []Record // by actor
	// digest is of what is void, outcomes of all that rounds have found out, if they
	// have been asked for since that changed.
	digest, outcomes uint64
}

func (p *Promises) find(a vclock.Actor) (int, bool) {
	return slices.BinarySearchFunc(p.records, a, func(r Record, a vclock.Actor) int { return r.Actor.Compare(a) })
}

// record gives the record of an actor, a new one if there is none.
func (p *Promises) record(a vclock.Actor) *Record {
	i, found := p.find(a)
	if !found {
		p.records = slices.Insert(p.records, i, Record{Actor: a, Swept: true})
	}
	return &p.records[i]
}

// Of is the record of an actor, an empty one if there is none.
func (p *Promises) Of(a vclock.Actor) Record {
	if i, found := p.find(a); found {
		return p.records[i]
	}
	return Record{Actor: a, Swept: true}
}

// All are the records in the order of their actors; they must not be changed.
func (p *Promises) All() []Record { return p.records }

// Clone goes its own way from here.
func (p *Promises) Clone() *Promises {
	return &Promises{records: slices.Clone(p.records), digest: p.digest, outcomes: p.outcomes}
}

// VoidDigest tells whether two members know the same to be void. It is zero if they
// know of nothing.
func (p *Promises) VoidDigest() uint64 {
	if p.digest != 0 {
		return p.digest
	}
	var void []byte
	for i := range p.records {
		if r := &p.records[i]; !r.Void.IsEmpty() {
			void = r.Void.AppendTo(void)
		}
	}
	p.digest = digestOf(void)
	return p.digest
}

// Outcomes are all that rounds have found out, as far as this member has heard.
func (p *Promises) Outcomes() (all []wire.CloseRecord) {
	for i := range p.records {
		if r := &p.records[i]; !r.Closed.IsZero() {
			all = append(all, wire.CloseRecord{Actor: r.Actor, Round: r.Closed, Void: r.Void})
		}
	}
	return all
}

// OutcomesDigest tells whether two members have heard of the same outcomes. It is
// zero if they have heard of none.
func (p *Promises) OutcomesDigest() uint64 {
	if p.outcomes != 0 {
		return p.outcomes
	}
	var b []byte
	for _, c := range p.Outcomes() {
		b = c.Actor.AppendTo(b)
		b = binary.BigEndian.AppendUint64(b, c.Round.Number)
		b = binary.BigEndian.AppendUint64(b, c.Round.Proposer)
		b = c.Void.AppendTo(b)
	}
	p.outcomes = digestOf(b)
	return p.outcomes
}

// digestOf is zero for nothing and for nothing else.
func digestOf(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	sum := sha256.Sum256(b)
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

// Report answers for one actor of an ask: it promises the round if it may, and
// says what the member holds. Held must be of this very moment. If promised is
// true the record has changed: its row must be durable before the report leaves.
func (p *Promises) Report(a vclock.Actor, round wire.Round, live bool, held vclock.DotSet) (report wire.CloseReport, promised bool) {
	r := p.Of(a)
	if live {
		return wire.CloseReport{Actor: a, Live: true, Promised: r.Promised}, false
	}
	held = only(held, a).Minus(r.Void)
	full := len(p.records) >= RecordsMax && r.Promised.IsZero()
	switch {
	case !full && round.Compare(r.Promised) > 0:
		promised = true
		record := p.record(a)
		record.Promised, record.Reported = round, held.Clone()
		r.Promised = round
	case round == r.Promised:
		held.Union(r.Reported)
	}
	return wire.CloseReport{Actor: a, Promised: r.Promised, Closed: r.Closed, Held: held, Void: r.Void.Clone()}, promised
}

// Learn takes in the outcome of a round. It returns the dots that this member did
// not know to be void. The outcome of a completed round is true for ever,
// whatever has been promised since.
func (p *Promises) Learn(c wire.CloseRecord) (fresh vclock.DotSet, changed bool) {
	before := p.Of(c.Actor)
	fresh = only(c.Void, c.Actor).Minus(before.Void)
	if before.Promised.IsZero() && len(p.records) >= RecordsMax {
		return vclock.DotSet{}, false // nobody completes a round that members do not promise
	}
	if c.Round.IsZero() || fresh.IsEmpty() && c.Round.Compare(before.Closed) <= 0 {
		return vclock.DotSet{}, false
	}
	r := p.record(c.Actor)
	r.Void = r.Void.Clone()
	r.Void.Union(fresh)
	p.digest, p.outcomes = 0, 0
	if c.Round.Compare(r.Closed) > 0 {
		r.Closed = c.Round
	}
	if c.Round.Compare(r.Promised) >= 0 {
		r.Promised, r.Reported = c.Round, vclock.DotSet{}
	}
	r.Swept = r.Swept && fresh.IsEmpty()
	return fresh, true
}

// SetSwept notes that the objects have been looked at for these void dots, and
// says of which actors that settles the record: those have a row to be written.
func (p *Promises) SetSwept(void vclock.DotSet) (settled []vclock.Actor) {
	for i := range p.records {
		if r := &p.records[i]; !r.Swept && void.Covers(r.Void) {
			r.Swept, r.Nameless = true, false
			settled = append(settled, r.Actor)
		}
	}
	return settled
}

// SetNameless notes that any object may show the effect of void dots of an actor. Its row
// is to be written.
func (p *Promises) SetNameless(a vclock.Actor) { p.record(a).Nameless = true }

// Stain notes it of all actors with void dots that were not swept, and says whose records
// that changes.
func (p *Promises) Stain() (changed []vclock.Actor) {
	for i := range p.records {
		if r := &p.records[i]; !r.Swept && !r.Void.IsEmpty() && !r.Nameless {
			r.Nameless = true
			changed = append(changed, r.Actor)
		}
	}
	return changed
}

// Unswept are the void dots for which the objects have not been looked at.
func (p *Promises) Unswept() (void vclock.DotSet) {
	for _, r := range p.records {
		if !r.Swept {
			void.Union(r.Void)
		}
	}
	return void
}

// Refuse is R14: why dots that are news here may not be taken from a sender with
// these promises, or nil.
func (p *Promises) Refuse(unknown vclock.DotSet, sent wire.Rounds) error {
	if len(p.records) == 0 {
		return nil
	}
	for a, span := range unknown.Spans() {
		i, found := p.find(a)
		if !found {
			continue
		}
		r := &p.records[i]
		if shared := r.Void.Intersect(spanOf(a, span)); !shared.IsEmpty() {
			return &PromiseError{Actor: a, Promised: r.Promised, Void: true}
		}
		if r.Promised.IsZero() || r.Promised == r.Closed {
			continue
		}
		if round := sent.Of(a); round != r.Promised {
			return &PromiseError{Actor: a, Promised: r.Promised, Sent: round}
		}
	}
	return nil
}

// PromiseError says why a dot of a dead incarnation was not taken.
type PromiseError struct {
	Actor          vclock.Actor
	Promised, Sent wire.Round
	// Void: the dot is known to be held nowhere.
	Void bool
}

func (e *PromiseError) Error() string {
	if e.Void {
		return fmt.Sprintf("a dot of %v is void: no member held it when the incarnation was closed", e.Actor)
	}
	return fmt.Sprintf("%v is being closed by round %v and the sender has promised round %v: it will be taken once both agree", e.Actor, e.Promised, e.Sent)
}

// Rounds are the promises about the actors of these dots, to be sent with them.
// They must be of the moment at which the dots were read, or older.
func (p *Promises) Rounds(dots vclock.DotSet) wire.Rounds {
	if len(p.records) == 0 {
		return nil
	}
	var rounds wire.Rounds
	for a := range dots.Spans() {
		if i, found := p.find(a); found && !p.records[i].Promised.IsZero() {
			rounds = rounds.With(a, p.records[i].Promised)
		}
	}
	return rounds
}

// only are the dots of one actor.
func only(dots vclock.DotSet, a vclock.Actor) vclock.DotSet {
	var all vclock.DotSet
	all.Close(a)
	return dots.Intersect(all)
}

func spanOf(a vclock.Actor, span vclock.Span) (s vclock.DotSet) {
	s.AddSpan(a, span)
	return s
}

const (
	recordForm     byte = 1
	recordSwept    byte = 1
	recordNameless byte = 2
)

// Save writes the row of one actor's record.
func (p *Promises) Save(rows *storage.Batch, partition uint32, n uint8, a vclock.Actor) {
	r := p.Of(a)
	rows.Set(storage.PromiseKey(nil, partition, n, actorBytes(a)), AppendRecord(nil, r))
}

// AppendRecord appends the value of a record's row: form, flags, the two rounds,
// what was reported, the void dots. The actor is in the row's key.
func AppendRecord(b []byte, r Record) []byte {
	flags := byte(0)
	if r.Swept {
		flags |= recordSwept
	}
	if r.Nameless {
		flags |= recordNameless
	}
	b = append(b, recordForm, flags)
	for _, round := range []wire.Round{r.Promised, r.Closed} {
		b = binary.BigEndian.AppendUint64(b, round.Number)
		b = binary.BigEndian.AppendUint64(b, round.Proposer)
	}
	return r.Void.AppendTo(r.Reported.AppendTo(b))
}

// DecodeRecord reads the value of the row about a.
func DecodeRecord(a vclock.Actor, b []byte) (Record, error) {
	const head = 2 + 4*8
	refuse := func(reason string) (Record, error) {
		return Record{}, &storage.RowError{Row: "promise value", Bytes: b, Reason: reason}
	}
	if len(b) < head || b[0] != recordForm || b[1]&^(recordSwept|recordNameless) != 0 {
		return refuse("it is too short, or of an unknown form")
	}
	word := func(i int) uint64 { return binary.BigEndian.Uint64(b[2+8*i:]) }
	r := Record{
		Actor: a, Swept: b[1]&recordSwept != 0, Nameless: b[1]&recordNameless != 0,
		Promised: wire.Round{Number: word(0), Proposer: word(1)},
		Closed:   wire.Round{Number: word(2), Proposer: word(3)},
	}
	reported, rest, err := vclock.DecodeDotSet(b[head:])
	var void vclock.DotSet
	if err == nil {
		void, rest, err = vclock.DecodeDotSet(rest)
	}
	switch {
	case err != nil:
		return refuse(err.Error())
	case len(rest) > 0:
		return refuse("it has bytes too many")
	case only(void, a).Compare(void) != vclock.Equal || only(reported, a).Compare(reported) != vclock.Equal:
		return refuse("it speaks of other actors")
	case r.Closed.Compare(r.Promised) > 0 || r.Closed.IsZero() && !void.IsEmpty():
		return refuse("its rounds contradict one another")
	}
	r.Void, r.Reported = void, reported
	return r, nil
}

// ReadPromises reads the records about one partition.
func ReadPromises(store storage.Snapshot, partition uint32, n uint8) (*Promises, error) {
	p := &Promises{}
	lo, hi := storage.PromiseRange(partition, n)
	var bad error
	err := store.Scan(lo, hi, func(row, value []byte) bool {
		_, _, raw, err := storage.ParsePromiseKey(row)
		var a vclock.Actor
		if err == nil {
			a, _, err = vclock.DecodeActor(raw[:])
		}
		var r Record
		if err == nil {
			r, err = DecodeRecord(a, value)
		}
		if err == nil {
			p.records = append(p.records, r)
		}
		bad = err
		return err == nil
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, fmt.Errorf("reading the promises about partition %d/%d: %w", partition, n, err)
	}
	return p, nil
}

func actorBytes(a vclock.Actor) (b [16]byte) {
	a.AppendTo(b[:0])
	return b
}
