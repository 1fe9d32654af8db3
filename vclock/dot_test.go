package vclock

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func anyActor(t *rapid.T) Actor {
	return Actor{rapid.Uint64().Draw(t, "disk"), rapid.Uint64Min(1).Draw(t, "nonce")}
}

func TestTextOfADotIsReadBack(t *testing.T) {
	require.Equal(t, "00000000000000ff0000000000000001:7", Dot{Actor{0xFF, 1}, 7}.String())
	rapid.Check(t, func(t *rapid.T) {
		d := Dot{anyActor(t), rapid.Uint64Range(1, CounterMax).Draw(t, "counter")}
		parsed, err := ParseDot(d.String())
		require.NoError(t, err)
		require.Equal(t, d, parsed)
		actor, err := ParseActor(d.Actor.String())
		require.NoError(t, err)
		require.Equal(t, d.Actor, actor)
	})
}

func TestTextThatIsNotADotIsRefusedWithTheReason(t *testing.T) {
	const a = "000000000000000a0000000000000001"
	for text, reason := range map[string]string{
		"":                                `has no ":"`,
		a:                                 `has no ":"`,
		a[1:] + ":1":                      "has 31 characters",
		strings.ToUpper(a) + ":1":         "lower-case",
		"+" + a[1:] + ":1":                "lower-case",
		strings.Repeat("0", 32) + ":1":    "zero actor",
		a + ":":                           "plain decimal",
		a + ":0":                          "counters start at 1",
		a + ":01":                         "plain decimal",
		a + ":+1":                         "plain decimal",
		a + ":1 ":                         "plain decimal",
		a + ":18446744073709551615":       "above the highest",
		a + ":18446744073709551616":       "plain decimal",
		strings.Repeat("f", 10_000) + ":": "has 10000 characters",
	} {
		_, err := ParseDot(text)
		var refused *ParseError
		require.ErrorAs(t, err, &refused, text)
		require.Equal(t, "dot", refused.What)
		require.ErrorContains(t, err, reason)
		require.Less(t, len(err.Error()), 400, "a long text is not repeated in full")
	}
}

func TestOrderOfDotsIsThatOfTheirBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyActor(t), anyActor(t)
		require.Equal(t, slices.Compare(a.AppendTo(nil), b.AppendTo(nil)), a.Compare(b))
		require.Equal(t, strings.Compare(a.String(), b.String()), a.Compare(b))
		require.Equal(t, -1, Dot{a, 1}.Compare(Dot{a, 2}))
		require.Equal(t, a.Compare(b) == 0, Dot{a, 1}.Compare(Dot{b, 1}) == 0)
	})
	require.Equal(t, -1, Actor{1, 9}.Compare(Actor{2, 1}))
	require.Equal(t, 1, Dot{Actor{2, 1}, 1}.Compare(Dot{Actor{1, 9}, 5}))
}

func TestZeroActorAndZeroDotAreNobodyAndNothing(t *testing.T) {
	require.True(t, Actor{}.IsZero())
	require.True(t, Dot{}.IsZero())
	require.False(t, Actor{Nonce: 1}.IsZero())
	require.False(t, Dot{Counter: 1}.IsZero())
}

func TestOrdersHaveNames(t *testing.T) {
	var none Order
	require.Equal(t, "Order(0)", none.String())
	require.Equal(t, []string{"equal", "before", "after", "concurrent"},
		[]string{Equal.String(), Before.String(), After.String(), Concurrent.String()})
	a, b := NewDotSet(dotA(1)), NewDotSet(dotA(1), dotB(1))
	require.Equal(t, Before, a.Compare(b))
	require.Equal(t, After, b.Compare(a))
	require.Equal(t, Equal, a.Compare(a))
	require.Equal(t, Concurrent, a.Compare(NewDotSet(dotB(1))))
}

func TestSetsAndSpansReadWell(t *testing.T) {
	A, B := actorA.String(), actorB.String()
	require.Equal(t, "{}", DotSet{}.String())
	require.Equal(t, "{"+A+":1-3,5 "+B+":1-}", unionOf(NewDotSet(dotA(1), dotA(2), dotA(3), dotA(5)), closedBut(actorB)).String())
}
