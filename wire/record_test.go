package wire

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// The form of a record is that of every value on every disk.
func TestTheBytesOfARecordStandStill(t *testing.T) {
	whole := record()
	for _, c := range []struct {
		name, want string
		record     Record
	}{
		{"nothing but a value", "00" + "026e31" + "00" + "0161", Record{Node: "n1", Value: []byte("a")}},
		{"causes", "04" + "026e31" + "02" + "23" + "00", Record{Node: "n1", WrittenAt: 1, Causes: kindred.CauseBlind | kindred.CauseBeside | kindred.CauseCut}},
		{"causes of a later version", "04" + "00" + "00" + "818002" + "00", Record{Causes: 1<<15 | kindred.CauseBlind}},
		{"an expiry", "10" + "00" + "01" + "07" + "00", Record{WrittenAt: -1, ExpiresAt: 7}},
		{"apart", "08" + "00" + "00" + "808004", Record{Apart: true, ValueBytes: 1 << 16}},
		{"everything", "17" + "01020300000000000000000000000010" + "026e31" + "f6b183c59868" + "21" + "fbb59da48c34" + "0a746578742f706c61696e" + "046d696c6b", whole},
	} {
		b := AppendRecord(nil, c.record)
		require.Equal(t, c.want, hex.EncodeToString(b), c.name)
		got, rest, err := DecodeRecord(b)
		require.NoError(t, err, c.name)
		require.Empty(t, rest)
		require.Equal(t, b, AppendRecord(nil, got), c.name)
	}
}

// What is stored about the origin of a version (flags, time, causes, expiry) costs
// at most 24 bytes beyond the node's name, whatever the clocks show and however
// many causes later versions add. Real ones cost 15.
func TestProvenanceIsSmall(t *testing.T) {
	const most = 24
	name := strings.Repeat("n", 63)
	size := func(rec Record) int {
		rec.Node, rec.Value = name, []byte{}
		return len(AppendRecord(nil, rec)) - len(name) - len("\x00") // the value's length is not provenance
	}
	usual := Record{WrittenAt: when.UnixMilli(), Causes: kindred.CauseBlind, ExpiresAt: ExpiryAt(when.Add(time.Hour))}
	require.Equal(t, 15, size(usual))
	for _, at := range []int64{math.MinInt64, math.MaxInt64, time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), 0} {
		require.LessOrEqual(t, size(Record{WrittenAt: at, Causes: math.MaxUint16}), most)
	}
	// The wildest clock beside the latest expiry that can be asked for.
	require.LessOrEqual(t, size(Record{WrittenAt: math.MinInt64, Causes: math.MaxUint16, ExpiresAt: kindred.ExpiryUnixMax * 1000}), most)
}

func TestARecordThatSaysNothingTwiceIsRefused(t *testing.T) {
	for name, bad := range map[string]string{
		"flags":      "20" + "00" + "00" + "00",
		"causes":     "04" + "00" + "00" + "00" + "00",
		"too many":   "04" + "00" + "00" + "808004" + "00",
		"expiry":     "10" + "00" + "00" + "00" + "00",
		"before all": "10" + "00" + "00" + "ffffffffffffffffff01" + "00",
	} {
		b, err := hex.DecodeString(bad)
		require.NoError(t, err)
		_, _, err = DecodeRecord(b)
		require.Error(t, err, name)
	}
}

func TestExpiry(t *testing.T) {
	require.False(t, Expiry(0).Over(math.MaxInt64), "never is never over")
	require.True(t, Expiry(0).Time().IsZero())
	require.Zero(t, ExpiryAt(time.Time{}))
	require.False(t, Expiry(5).Over(4))
	require.True(t, Expiry(5).Over(5), "over at its very millisecond")
	require.True(t, ExpiryAt(when).Time().Equal(when))
	require.True(t, ExpiryAt(time.Unix(-5, 0)).Over(1), "before 1970 is over, and not never")
}
