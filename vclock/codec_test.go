package vclock

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	_ encoding.BinaryAppender = Actor{}
	_ encoding.BinaryAppender = DotSet{}
)

var errNoText = errors.New("a text needs its length and as many bytes")

// A text is written as one byte of length, then its bytes.
func appendText(b []byte, text string) []byte {
	return append(append(b, byte(len(text))), text...)
}

func decodeText(b []byte) (string, []byte, error) {
	if len(b) == 0 || len(b)-1 < int(b[0]) {
		return "", nil, errNoText
	}
	end := 1 + int(b[0]) // 256 is no byte
	return string(b[1:end]), b[end:], nil
}

func closedBut(a Actor, dots ...Dot) DotSet {
	var all DotSet
	all.Close(a)
	return all.Minus(NewDotSet(dots...))
}

func goldenSets() map[string]DotSet {
	return map[string]DotSet{
		"empty-set":       {},
		"one-base":        NewDotSet(dotA(1), dotA(2), dotA(3)),
		"base-and-gaps":   NewDotSet(dotA(1), dotA(2), dotA(4), dotA(300), dotA(301)),
		"no-base":         NewDotSet(dotB(7)),
		"closed":          closedBut(actorA),
		"void-with-holes": closedBut(actorA, dotA(1), dotA(2), dotA(9)),
		"three-actors":    unionOf(NewDotSet(dotC(1), dotA(1), dotA(3)), closedBut(actorB)),
		"highest-counter": NewDotSet(dotA(CounterMax)),
	}
}

func goldenSiblings() map[string]Siblings[string] {
	return map[string]Siblings[string]{
		"gone-key":      {},
		"quiet-key":     New(dotA(5), "milk", DotSet{}),
		"two-siblings":  {Versions: []Version[string]{{dotA(2), "milk"}, {dotB(200), ""}}},
		"with-context":  New(dotA(5), "milk", NewDotSet(dotA(4), dotB(1))),
		"late-deletion": {Context: NewDotSet(dotB(2))},
	}
}

// golden reads testdata/golden.txt: a name and its bytes per line.
func golden(t *testing.T) map[string][]byte {
	text, err := os.ReadFile("testdata/golden.txt")
	require.NoError(t, err)
	forms := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		if name, digits, found := strings.Cut(strings.TrimSpace(line), " "); found && name != "#" {
			form, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
			require.NoError(t, err, name)
			forms[name] = form
		}
	}
	return forms
}

// What is on disks and wires today must be read for ever.
func TestBytesAreThoseOfTheGoldenFile(t *testing.T) {
	forms := golden(t)
	for name, set := range goldenSets() {
		encoded := set.AppendTo(nil)
		require.Equal(t, hex.EncodeToString(forms[name]), hex.EncodeToString(encoded), name)
		decoded, rest, err := DecodeDotSet(append(encoded, "rest"...))
		require.NoError(t, err, name)
		require.Equal(t, set, decoded, name)
		require.Equal(t, "rest", string(rest), name)
		delete(forms, name)
	}
	for name, siblings := range goldenSiblings() {
		encoded := AppendSiblings(nil, siblings, appendText)
		require.Equal(t, hex.EncodeToString(forms[name]), hex.EncodeToString(encoded), name)
		decoded, rest, err := DecodeSiblings(append(encoded, "rest"...), decodeText)
		require.NoError(t, err, name)
		require.Equal(t, siblings, decoded, name)
		require.Equal(t, "rest", string(rest), name)
		delete(forms, name)
	}
	require.Empty(t, forms, "each line of the golden file has a test")
}

func TestQuietKeyCostsOneDotAndTwoBytes(t *testing.T) {
	quiet := New(dotA(1_000_000), "milk", DotSet{})
	const counter, value = 3, 1 + len("milk")
	require.Len(t, AppendSiblings(nil, quiet, appendText), 1+1+ActorSize+counter+value)
}

func TestActorsAndDotsTravelAlone(t *testing.T) {
	d := Dot{Actor{0x0102030405060708, 0x090A0B0C0D0E0F10}, 300}
	encoded := d.AppendTo(nil)
	require.Equal(t, "0102030405060708090a0b0c0d0e0f10ac02", hex.EncodeToString(encoded))
	decoded, rest, err := DecodeDot(append(encoded, 42))
	require.NoError(t, err)
	require.Equal(t, d, decoded)
	require.Equal(t, []byte{42}, rest)
	actor, rest, err := DecodeActor(encoded)
	require.NoError(t, err)
	require.Equal(t, d.Actor, actor)
	require.Equal(t, encoded[ActorSize:], rest)
	appended, err := d.Actor.AppendBinary([]byte("x"))
	require.NoError(t, err)
	require.Equal(t, d.Actor.AppendTo([]byte("x")), appended)
	appended, err = NewDotSet(d).AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, NewDotSet(d).AppendTo(nil), appended)

	_, _, err = DecodeActor(make([]byte, ActorSize))
	require.ErrorContains(t, err, "zero actor")
	_, _, err = DecodeDot(append(actorA.AppendTo(nil), 0))
	require.ErrorContains(t, err, "decode dot: dot at byte 0: has counter 0")
}

// TestBadBytesAreRefusedByName goes through everything that could be written in
// more than one way or not at all, and where the error points.
func TestBadBytesAreRefusedByName(t *testing.T) {
	A, B := actorA.AppendTo(nil), actorB.AppendTo(nil)
	of := func(parts ...any) []byte {
		var b []byte
		for _, part := range parts {
			switch part := part.(type) {
			case []byte:
				b = append(b, part...)
			case int:
				b = append(b, byte(part))
			}
		}
		return b
	}
	top := bytes.Repeat([]byte{0xFF}, 9) // the lower 63 bits of a number
	for name, bad := range map[string]struct {
		bytes  []byte
		offset int
		reason string
	}{
		"nothing":                 {of(), 0, "there are no bytes"},
		"newer version":           {of(0xD2, 0), 0, "0xD2 is not the form known here, 0xD1"},
		"siblings instead":        {of(0x51, 0), 0, "0x51 is not the form known here, 0xD1"},
		"no count":                {of(0xD1), 1, "the bytes end within it"},
		"long zero":               {of(0xD1, 0x80, 0), 1, "is not in its shortest form"},
		"long one":                {of(0xD1, 1, A, 2, 0, 0x81, 0), 20, "is not in its shortest form"},
		"66 bits":                 {of(0xD1, 1, A, 2, 0, top, 0x03), 20, "is above 64 bits"},
		"more actors than bytes":  {of(0xD1, 2, A, 2, 0, 0), 2, "claims 2 where the 19 bytes that follow hold at most 1"},
		"a universe of actors":    {of(0xD1, top, 0x01, A), 11, "hold at most 0"},
		"half an actor":           {of(0xD1, 2, A, 12, make([]byte, 12), B[:8]), 31, "the bytes end within it"},
		"zero actor":              {of(0xD1, 1, make([]byte, 16), 2, 0, 0), 2, "is the zero actor"},
		"actors out of order":     {of(0xD1, 2, B, 2, 0, 0, A, 2, 0, 0), 21, "is not above the actor before it"},
		"the same actor twice":    {of(0xD1, 2, A, 2, 0, 0, A, 2, 9, 0), 21, "is not above the actor before it"},
		"an actor without spans":  {of(0xD1, 1, A, 0, 0, 0), 18, "is 0, and an actor without spans is not written"},
		"endless without spans":   {of(0xD1, 1, A, 1, 0), 18, "is 0, and an actor without spans is not written"},
		"fewer spans than said":   {of(0xD1, 1, A, 4, 0, 0), 21, "the bytes end within it"},
		"more spans than bytes":   {of(0xD1, 1, A, 6, 0, 0), 19, "claims 3 where the 2 bytes that follow hold at most 2"},
		"gap beyond 64 bits":      {of(0xD1, 1, A, 4, 0, 0, top, 0x01, 0), 21, "leads beyond 64 bits"},
		"length beyond 64 bits":   {of(0xD1, 1, A, 2, 1, top, 0x01), 20, "leads to the end of all counters"},
		"closed the long way":     {of(0xD1, 1, A, 2, 0, 0xFE, top[:8], 0x01), 20, "leads to the end of all counters"},
		"no room for a next span": {of(0xD1, 1, A, 5, 0, 0xFD, top[:8], 0x01, 0), 30, "leaves no room"},
	} {
		t.Run("dot set/"+name, func(t *testing.T) {
			_, rest, err := DecodeDotSet(bad.bytes)
			requireRefused(t, err, bad.offset, bad.reason)
			require.Nil(t, rest)
		})
	}

	for name, bad := range map[string]struct {
		bytes  []byte
		offset int
		reason string
	}{
		"newer version":         {of(0x52, 0), 0, "0x52 is not the form known here, 0x51"},
		"dot set instead":       {of(0xD1, 0), 0, "0xD1 is not the form known here, 0x51"},
		"no count":              {of(0x51), 1, "the bytes end within it"},
		"long count":            {of(0x51, 0x80, 0), 1, "is not in its shortest form"},
		"more than bytes":       {of(0x51, 4, A, 1, 0), 2, "claims 2 where the 18 bytes"},
		"counter 0":             {of(0x51, 2, A, 0, 0), 2, "has counter 0"},
		"counter too high":      {of(0x51, 2, A, top, 0x01, 0), 2, "above the highest that is ever minted"},
		"long counter":          {of(0x51, 2, A, 0x81, 0, 0), 18, "is not in its shortest form"},
		"dots out of order":     {of(0x51, 4, B, 1, 0, A, 1, 0), 20, "is not above the dot before it"},
		"the same dot twice":    {of(0x51, 4, A, 1, 0, A, 1, 0), 20, "is not above the dot before it"},
		"bad value":             {of(0x51, 2, A, 1, 9, 'x'), 19, "the value was refused: a text needs its length"},
		"empty context":         {of(0x51, 1, 0), 2, "an empty one is not written"},
		"no context":            {of(0x51, 1), 2, "the bytes end within it"},
		"bad context":           {of(0x51, 1, 1, B, 0, 0), 19, "an actor without spans is not written"},
		"context with own form": {of(0x51, 1, 0xD1, 1, A, 2, 0, 0), 4, "claims 209"},
	} {
		t.Run("siblings/"+name, func(t *testing.T) {
			_, rest, err := DecodeSiblings(bad.bytes, decodeText)
			requireRefused(t, err, bad.offset, bad.reason)
			require.Nil(t, rest)
		})
	}
}

func requireRefused(t *testing.T, err error, offset int, reason string) {
	var refused *DecodeError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, offset, refused.Offset, err)
	require.ErrorContains(t, err, reason)
	require.ErrorContains(t, err, "vclock: decode ")
}

func TestErrorOfTheValueIsKept(t *testing.T) {
	_, _, err := DecodeSiblings(append([]byte{0x51, 2}, append(actorA.AppendTo(nil), 1)...), decodeText)
	require.ErrorIs(t, err, errNoText)
	require.ErrorContains(t, err, actorA.String()+":1")

	greedy := func([]byte) (string, []byte, error) { return "", make([]byte, 100), nil }
	require.Panics(t, func() {
		_, _, _ = DecodeSiblings(AppendSiblings(nil, New(dotA(1), "v", DotSet{}), appendText), greedy)
	}, "such a value decoder is our own bug")
}

func TestEveryTruncationIsRefused(t *testing.T) {
	for name, form := range golden(t) {
		for end := range form {
			_, _, setErr := DecodeDotSet(form[:end])
			_, _, siblingsErr := DecodeSiblings(form[:end], decodeText)
			require.Error(t, setErr, "%s[:%d]", name, end)
			require.Error(t, siblingsErr, "%s[:%d]", name, end)
		}
	}
}

func TestEncodingKeepsEverySetAndEverySibling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		δ := anyDelta(t, "delta")
		decoded, rest, err := DecodeDotSet(δ.Context.AppendTo(nil))
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, δ.Context, decoded)

		siblings, rest, err := DecodeSiblings(AppendSiblings(nil, δ.Siblings, appendText), decodeText)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, δ.Siblings, siblings)
	})
}

// Lengths that a stranger claims cost the stranger's bytes, not our memory.
func TestDecodingAllocatesInProportionToItsBytes(t *testing.T) {
	const timesMax, slack = 40, 64 << 10 // slack: what the runtime allocates meanwhile
	var gaps DotSet                      // two bytes of form for each span of 32 bytes of memory
	for c := uint64(1); c < 20_000; c += 2 {
		gaps.AddSpan(actorA, Span{c, c})
	}
	for name, form := range map[string][]byte{
		"gaps":                gaps.AppendTo(nil),
		"2^60 actors claimed": append([]byte{0xD1}, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F),
		"2^58 spans claimed":  append(append([]byte{0xD1, 1}, actorA.AppendTo(nil)...), 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x07),
		"2^59 versions":       {0x51, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, _ = DecodeDotSet(form)
		_, _, _ = DecodeSiblings(form, decodeText)
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		require.Less(t, allocated, uint64(timesMax*len(form)+slack), name)
	}
}

func FuzzDecodeDotSet(f *testing.F) {
	for _, set := range goldenSets() {
		f.Add(set.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		set, rest, err := DecodeDotSet(b)
		if err != nil {
			requireTyped(t, err, len(b))
			return
		}
		require.NoError(t, set.Check())
		require.True(t, bytes.Equal(b[:len(b)-len(rest)], set.AppendTo(nil)), "%x was accepted and is written %x", b, set.AppendTo(nil))
	})
}

func FuzzDecodeSiblings(f *testing.F) {
	for _, siblings := range goldenSiblings() {
		f.Add(AppendSiblings(nil, siblings, appendText))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		siblings, rest, err := DecodeSiblings(b, decodeText)
		if err != nil {
			requireTyped(t, err, len(b))
			return
		}
		require.NoError(t, siblings.Check())
		again := AppendSiblings(nil, siblings, appendText)
		require.True(t, bytes.Equal(b[:len(b)-len(rest)], again), "%x was accepted and is written %x", b, again)
	})
}

func requireTyped(t *testing.T, err error, size int) {
	var refused *DecodeError
	require.ErrorAs(t, err, &refused)
	require.LessOrEqual(t, refused.Offset, size)
	require.GreaterOrEqual(t, refused.Offset, 0)
	require.NotEmpty(t, refused.Reason)
}

func TestHighestSpansSurviveTheRoundTrip(t *testing.T) {
	for _, spans := range [][]Span{
		{{math.MaxUint64, math.MaxUint64}},
		{{1, math.MaxUint64 - 1}},
		{{1, math.MaxUint64 - 2}, {math.MaxUint64, math.MaxUint64}},
		{{1, 1}, {3, math.MaxUint64 - 3}, {math.MaxUint64 - 1, math.MaxUint64}},
	} {
		var s DotSet
		for _, span := range spans {
			s.AddSpan(actorA, span)
		}
		require.Equal(t, len(spans), len(s.runs))
		decoded, _, err := DecodeDotSet(s.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, s, decoded)
	}
}
