package term

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPiecesAreFitted(t *testing.T) {
	mark := func(s string) string { return "*" + s + "*" }
	line := []Span{{Text: "plain "}, {"größer", mark}, {Text: " end"}}
	require.Equal(t, "plain *größer* end", Fit(80, line...))
	require.Equal(t, "plain *grö*", Fit(9, line...), "letters count, not bytes")
	require.Equal(t, "plain ", Fit(6, line...))
	require.Empty(t, Fit(0, line...))
	require.Equal(t, "ü  ", Pad("ü", 3))
	require.Equal(t, "longer", Pad("longer", 3))
}

func TestAPictureIsDrawnInPlace(t *testing.T) {
	var b bytes.Buffer
	p := Picture{W: &b}
	p.Show([]string{"one", "two"})
	require.Equal(t, "one\x1b[K\ntwo\x1b[K\n\x1b[J", b.String())
	b.Reset()
	p.Show([]string{"three"})
	require.Equal(t, "\x1b[2Athree\x1b[K\n\x1b[J", b.String())
	b.Reset()
	p.Wipe()
	require.Equal(t, "\x1b[1A\x1b[J", b.String())
	b.Reset()
	p.Show(strings.Split(strings.Repeat("x\n", 100), "\n"))
	require.Equal(t, heightDefault-1, strings.Count(b.String(), "\n"), "what has scrolled away could not be drawn again")
}

func TestSizesAreForPeople(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 3 << 20: "3.0 MiB", 1 << 50: "1.0 PiB"} {
		require.Equal(t, want, Bytes(n))
	}
	require.False(t, Redraws(&bytes.Buffer{}, func(string) string { return "" }), "a pipe")
}
