package term

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgressLines(t *testing.T) {
	require.Equal(t, "17,016 of 34,032 cities (50 %), 8,508/s, 2s left", Line("cities", 17016, 34032, 2*time.Second))
	require.Equal(t, "34,032 of 34,032 cities (100 %), 34,032/s", Line("cities", 34032, 34032, time.Second))
	require.Equal(t, "12 records, 3/s", Line("records", 12, 0, 4*time.Second))
	require.Equal(t, "0 of 5 records (0 %), 0/s", Line("records", 0, 5, 0))
}

func TestNumbersHaveCommas(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567"} {
		require.Equal(t, want, Count(n))
	}
}

func TestNoTerminalNoColour(t *testing.T) {
	var b bytes.Buffer
	none := func(string) string { return "" }
	require.Equal(t, "x", StyleFor(&b, none).Bad("x"))
	require.Equal(t, "\x1b[31mx\x1b[0m", Style{on: true}.Bad("x"))
	p := NewProgress(&b, "records")
	p.begin, p.shown = time.Time{}, time.Time{}
	p.Step(1, 2)
	p.End()
	require.Empty(t, b.String(), "a long job says nothing where nobody watches")
}

func TestATerminalLineIsRewritten(t *testing.T) {
	var b bytes.Buffer
	p := &Progress{w: &b, terminal: true, what: "records"}
	p.show("a long line")
	p.show("short")
	require.Equal(t, "\ra long line\rshort      ", b.String())
	p.End()
	require.Equal(t, "\ra long line\rshort      \r     \r", b.String())
}
