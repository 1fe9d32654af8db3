package vclock

import "encoding/binary"

// The first byte of every binary form names its kind and its version, so that
// one form is never taken for the other.
//
//	dot set   0xD1, body
//	body      number of actors, then per actor in ascending order:
//	          16 bytes actor, spans<<1 | endless, then per span:
//	          gap, length (no length for the last span if endless)
//	siblings  0x51, versions<<1 | hasContext, then per version in ascending
//	          order: 16 bytes actor, counter, value; then body if hasContext
//
// Numbers are unsigned varints in their shortest form. A gap counts from the
// lowest counter at which the span could begin without touching the one
// before it, and a length is Hi−Lo; so overlapping, touching, empty and
// unsorted spans cannot be written down at all. There is one way to write each
// set, and the decoders refuse every other.
const (
	dotSetForm   = 0xD1
	siblingsForm = 0x51
)

// The fewest bytes that one item can take. They bound how many items a decoder
// believes to follow in the bytes it was given.
const (
	actorBytesMin   = ActorSize + 2 // spans, gap of one endless span
	spanBytesMin    = 1             // gap of an endless span
	versionBytesMin = ActorSize + 1 // counter, empty value
)

// AppendTo appends the 16 bytes of a's binary form: disk, then nonce, big
// endian, so that bytes sort as actors do.
func (a Actor) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, a.Disk)
	return binary.BigEndian.AppendUint64(b, a.Nonce)
}

// AppendBinary is AppendTo as an encoding.BinaryAppender. The error is nil.
func (a Actor) AppendBinary(b []byte) ([]byte, error) { return a.AppendTo(b), nil }

// AppendTo appends the binary form of d: 16 bytes actor, counter as a varint.
func (d Dot) AppendTo(b []byte) []byte {
	return binary.AppendUvarint(d.Actor.AppendTo(b), d.Counter)
}

// AppendTo appends the binary form of s, which is the same for equal sets.
func (s DotSet) AppendTo(b []byte) []byte { return s.appendBody(append(b, dotSetForm)) }

// AppendBinary is AppendTo as an encoding.BinaryAppender. The error is nil.
func (s DotSet) AppendBinary(b []byte) ([]byte, error) { return s.AppendTo(b), nil }

func (s DotSet) appendBody(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(s.Actors()))
	for rest := s.runs; len(rest) > 0; {
		count := 1
		for count < len(rest) && rest[count].actor == rest[0].actor {
			count++
		}
		b = appendSpans(rest[0].actor.AppendTo(b), rest[:count])
		rest = rest[count:]
	}
	return b
}

// appendSpans appends the runs of one actor.
func appendSpans(b []byte, runs []run) []byte {
	header := uint64(len(runs)) << 1
	if runs[len(runs)-1].Hi == noEnd {
		header |= 1
	}
	b = binary.AppendUvarint(b, header)
	lowest := uint64(1)
	for _, r := range runs {
		b = binary.AppendUvarint(b, r.Lo-lowest)
		if r.Hi != noEnd {
			b = binary.AppendUvarint(b, r.Hi-r.Lo)
			lowest = r.Hi + 2
		}
	}
	return b
}

// AppendSiblings appends the binary form of s. appendValue appends one value in
// a form that tells its own end, and the same for equal values.
func AppendSiblings[V any](b []byte, s Siblings[V], appendValue func([]byte, V) []byte) []byte {
	header := uint64(len(s.Versions)) << 1
	if !s.Context.IsEmpty() {
		header |= 1
	}
	b = binary.AppendUvarint(append(b, siblingsForm), header)
	for _, v := range s.Versions {
		b = appendValue(v.Dot.AppendTo(b), v.Value)
	}
	if !s.Context.IsEmpty() {
		b = s.Context.appendBody(b)
	}
	return b
}
