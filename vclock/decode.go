package vclock

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// DecodeActor reads the binary form of an actor from the front of b and gives
// what follows it. The error is a *DecodeError.
func DecodeActor(b []byte) (a Actor, rest []byte, err error) {
	r := reader{form: "actor", all: b}
	a = r.actor()
	if r.err != nil {
		return Actor{}, nil, r.err
	}
	return a, r.rest(), nil
}

// DecodeDot reads the binary form of a dot from the front of b and gives what
// follows it. The error is a *DecodeError.
func DecodeDot(b []byte) (d Dot, rest []byte, err error) {
	r := reader{form: "dot", all: b}
	d = r.dot()
	if r.err != nil {
		return Dot{}, nil, r.err
	}
	return d, r.rest(), nil
}

// DecodeDotSet reads the binary form of a dot set from the front of b and gives
// what follows it. What it accepts, AppendTo writes back byte for byte. Its
// memory is a small multiple of len(b), whatever the bytes claim, and it keeps
// none of b. The error is a *DecodeError.
func DecodeDotSet(b []byte) (s DotSet, rest []byte, err error) {
	r := reader{form: "dot set", all: b}
	r.expect(dotSetForm)
	s = r.dotSet()
	if r.err != nil {
		return DotSet{}, nil, r.err
	}
	return s, r.rest(), nil
}

// DecodeSiblings reads the binary form of siblings from the front of b and
// gives what follows it. decodeValue reads one value from the front of the
// bytes it gets and gives what follows it; whether the value refers to those
// bytes or copies them is its own affair. What is accepted, AppendSiblings
// writes back byte for byte if the value's functions do the same. Memory is as
// for DecodeDotSet, apart from the values. The error is a *DecodeError, which
// wraps decodeValue's error if that was the cause.
func DecodeSiblings[V any](b []byte, decodeValue func([]byte) (V, []byte, error)) (s Siblings[V], rest []byte, err error) {
	r := reader{form: "siblings", all: b}
	r.expect(siblingsForm)
	header := r.uvarint("number of versions")
	s.Versions = decodeVersions(&r, header>>1, decodeValue)
	if header&1 == 1 {
		at := r.pos
		if s.Context = r.dotSet(); s.Context.IsEmpty() {
			r.fail("context", at, "is empty, and an empty one is not written")
		}
	}
	if r.err != nil {
		return Siblings[V]{}, nil, r.err
	}
	return s, r.rest(), nil
}

func decodeVersions[V any](r *reader, count uint64, decodeValue func([]byte) (V, []byte, error)) []Version[V] {
	if !r.plausible("number of versions", count, versionBytesMin) || count == 0 {
		return nil
	}
	versions := make([]Version[V], 0, count)
	for range count {
		at := r.pos
		dot := r.dot()
		if n := len(versions); n > 0 && versions[n-1].Dot.Compare(dot) >= 0 {
			r.fail("dot", at, "is not above the dot before it")
		}
		if r.err != nil {
			return nil
		}
		value, rest, err := decodeValue(r.rest())
		if err != nil {
			r.failWith("value of "+dot.String(), r.pos, "the value was refused", err)
			return nil
		}
		r.advanceTo(rest)
		versions = append(versions, Version[V]{dot, value})
	}
	return versions
}

// reader walks through bytes from outside. After its first error it gives
// zeros and moves no more, so that callers may ask for the error once, at the
// end of a piece.
type reader struct {
	form string // what is being decoded, for errors
	all  []byte
	pos  int
	err  *DecodeError
}

func (r *reader) rest() []byte { return r.all[r.pos:] }

func (r *reader) fail(what string, at int, reason string) { r.failWith(what, at, reason, nil) }

func (r *reader) failWith(what string, at int, reason string, cause error) {
	if r.err == nil {
		r.err = &DecodeError{What: r.form + ": " + what, Offset: at, Reason: reason, Err: cause}
	}
}

// advanceTo moves to where a value decoder says that its value ended.
func (r *reader) advanceTo(rest []byte) {
	pos := len(r.all) - len(rest)
	if pos < r.pos {
		panic("vclock: a value decoder gave back more bytes than it got")
	}
	r.pos = pos
}

// expect reads the byte that names kind and version.
func (r *reader) expect(form byte) {
	if len(r.all) == 0 {
		r.fail("form byte", 0, "there are no bytes")
		return
	}
	if r.all[0] != form {
		r.fail("form byte", 0, fmt.Sprintf("0x%02X is not the form known here, 0x%02X: another kind of data or a newer version", r.all[0], form))
		return
	}
	r.pos++
}

// uvarint reads a number in its shortest form.
func (r *reader) uvarint(what string) uint64 {
	if r.err != nil {
		return 0
	}
	value, size := binary.Uvarint(r.rest())
	switch {
	case size == 0:
		r.fail(what, r.pos, "the bytes end within it")
		return 0
	case size < 0:
		r.fail(what, r.pos, "is above 64 bits")
		return 0
	case size > 1 && r.all[r.pos+size-1] == 0:
		r.fail(what, r.pos, "is not in its shortest form")
		return 0
	}
	r.pos += size
	return value
}

// plausible refuses a count of items that the remaining bytes cannot hold,
// before anything is allocated for it.
func (r *reader) plausible(what string, count uint64, bytesMin int) bool {
	if room := uint64(len(r.rest()) / bytesMin); count > room {
		r.fail(what, r.pos, fmt.Sprintf("claims %d where the %d bytes that follow hold at most %d", count, len(r.rest()), room))
	}
	return r.err == nil
}

func (r *reader) actor() Actor {
	if r.err != nil {
		return Actor{}
	}
	b := r.rest()
	if len(b) < ActorSize {
		r.fail("actor", r.pos, "the bytes end within it")
		return Actor{}
	}
	a := Actor{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
	if a.IsZero() {
		r.fail("actor", r.pos, "is the zero actor, which no replica has")
		return Actor{}
	}
	r.pos += ActorSize
	return a
}

func (r *reader) dot() Dot {
	at := r.pos
	d := Dot{r.actor(), r.uvarint("counter")}
	if r.err != nil {
		return Dot{}
	}
	if flaw := d.flaw(); flaw != "" {
		r.fail("dot", at, flaw)
		return Dot{}
	}
	return d
}

// dotSet reads the body of a dot set.
func (r *reader) dotSet() DotSet {
	count := r.uvarint("number of actors")
	if !r.plausible("number of actors", count, actorBytesMin) || count == 0 {
		return DotSet{}
	}
	runs := make([]run, 0, count)
	for range count {
		at := r.pos
		a := r.actor()
		if n := len(runs); n > 0 && runs[n-1].actor.Compare(a) >= 0 {
			r.fail("actor", at, "is not above the actor before it")
		}
		if runs = r.spans(runs, a); r.err != nil {
			return DotSet{}
		}
	}
	return DotSet{runs}
}

// spans reads the spans of one actor and appends them.
func (r *reader) spans(runs []run, a Actor) []run {
	at := r.pos
	header := r.uvarint("number of spans")
	count, endless := header>>1, header&1 == 1
	if r.err == nil && count == 0 {
		r.fail("number of spans", at, "is 0, and an actor without spans is not written")
	}
	if !r.plausible("number of spans", count, spanBytesMin) {
		return nil
	}
	runs = slices.Grow(runs, int(count))
	lowest := uint64(1)
	for ; count > 0 && r.err == nil; count-- {
		span := r.span(lowest, endless && count == 1)
		if span.Hi >= noEnd-1 && count > 1 {
			r.fail("span", r.pos, "leaves no room for the spans that follow")
		}
		runs = append(runs, run{a, span})
		lowest = span.Hi + 2
	}
	return runs
}

// span reads one span that begins at lowest or above. Only the last span of an
// actor can be endless, and is then written without its length.
func (r *reader) span(lowest uint64, endless bool) Span {
	at := r.pos
	lo := lowest + r.uvarint("gap before a span")
	if lo < lowest {
		r.fail("gap before a span", at, "leads beyond 64 bits")
	}
	if endless {
		return Span{lo, noEnd}
	}
	at = r.pos
	hi := lo + r.uvarint("length of a span")
	if hi < lo || hi == noEnd {
		r.fail("length of a span", at, "leads to the end of all counters, which has a form of its own")
	}
	return Span{lo, hi}
}
