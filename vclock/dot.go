package vclock

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ActorSize is the length of an Actor's binary form in bytes.
const ActorSize = 16

// CounterMax is the highest counter that a replica can mint. The one above it
// stands for "without end" in a Span, so that a closed actor is nothing but a
// base that reaches it.
const CounterMax = math.MaxUint64 - 1

// Actor is one incarnation of one replica: the disk's random id and a random
// nonce drawn at each start. No counter is trusted across a start, so a
// restart is a new actor. The zero Actor is nobody.
type Actor struct{ Disk, Nonce uint64 }

// Compare orders actors by disk, then nonce: -1, 0 or 1. The order means
// nothing; it only has to be the same everywhere.
func (a Actor) Compare(b Actor) int {
	if c := cmp.Compare(a.Disk, b.Disk); c != 0 {
		return c
	}
	return cmp.Compare(a.Nonce, b.Nonce)
}

// IsZero reports whether a is nobody.
func (a Actor) IsZero() bool { return a == Actor{} }

// String gives 32 hexadecimal digits, disk first.
func (a Actor) String() string { return string(a.appendText(nil)) }

func (a Actor) appendText(b []byte) []byte {
	var raw [ActorSize]byte
	binary.BigEndian.PutUint64(raw[:8], a.Disk)
	binary.BigEndian.PutUint64(raw[8:], a.Nonce)
	return hex.AppendEncode(b, raw[:])
}

// ParseActor reads what String wrote, and nothing else. The error is a
// *ParseError.
func ParseActor(text string) (Actor, error) {
	bad := func(reason string) (Actor, error) {
		return Actor{}, &ParseError{What: "actor", Text: text, Reason: reason}
	}
	if len(text) != 2*ActorSize {
		return bad(fmt.Sprintf("has %d characters, want %d hexadecimal digits", len(text), 2*ActorSize))
	}
	b, err := hex.DecodeString(text)
	if err != nil || hex.EncodeToString(b) != text {
		return bad("has a character that is not a lower-case hexadecimal digit")
	}
	a := Actor{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
	if a.IsZero() {
		return bad("is the zero actor, which no replica has")
	}
	return a, nil
}

// Dot names one write event: the Counter-th write of Actor in its partition.
// Counters start at 1. A dot is never used twice (I2). The zero Dot is no
// event.
type Dot struct {
	Actor   Actor
	Counter uint64
}

// Compare orders dots by actor, then counter: -1, 0 or 1. It is a sorting
// order, not causality.
func (d Dot) Compare(e Dot) int {
	if c := d.Actor.Compare(e.Actor); c != 0 {
		return c
	}
	return cmp.Compare(d.Counter, e.Counter)
}

// IsZero reports whether d is no event.
func (d Dot) IsZero() bool { return d == Dot{} }

// String gives "actor:counter".
func (d Dot) String() string {
	const digitsMax = 20
	b := append(d.Actor.appendText(make([]byte, 0, 2*ActorSize+1+digitsMax)), ':')
	return string(strconv.AppendUint(b, d.Counter, 10))
}

// ParseDot reads what String wrote, and nothing else. The error is a
// *ParseError.
func ParseDot(text string) (Dot, error) {
	bad := func(reason string) (Dot, error) {
		return Dot{}, &ParseError{What: "dot", Text: text, Reason: reason}
	}
	left, right, found := strings.Cut(text, ":")
	if !found {
		return bad(`has no ":" between actor and counter`)
	}
	actor, err := ParseActor(left)
	if err != nil {
		return bad(err.Error())
	}
	counter, err := strconv.ParseUint(right, 10, 64)
	if err != nil || strconv.FormatUint(counter, 10) != right {
		return bad("the counter is not a plain decimal number")
	}
	d := Dot{actor, counter}
	if flaw := d.flaw(); flaw != "" {
		return bad(flaw)
	}
	return d, nil
}

// flaw says why no replica can have minted d, or "".
func (d Dot) flaw() string {
	switch {
	case d.Actor.IsZero():
		return "belongs to the zero actor"
	case d.Counter == 0:
		return "has counter 0; counters start at 1"
	case d.Counter > CounterMax:
		return "has a counter above the highest that is ever minted"
	default:
		return ""
	}
}

// mustBeMintable panics for a dot that only a bug can have made: the decoders
// let none of them in.
func (d Dot) mustBeMintable() {
	if flaw := d.flaw(); flaw != "" {
		panic("vclock: dot " + d.String() + " " + flaw)
	}
}
