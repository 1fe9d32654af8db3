package storage

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	actorA = [16]byte{0xaa, 15: 1}
	actorB = [16]byte{0xbb, 15: 2}
)

// golden are the rows whose bytes are a contract with every disk in use.
func golden() []struct {
	name string
	row  []byte
} {
	const p, n = 0x1234, 3
	entry := LogEntry{Bucket: []byte("carts"), Key: []byte("ann")}
	withID := entry
	withID.RequestID = [16]byte{1, 15: 0xff}
	withChange := entry
	withChange.Change = 0x0102030405060708
	withBoth := withID
	withBoth.Change = withChange.Change
	return []struct {
		name string
		row  []byte
	}{
		{"clock key", ClockKey(nil, p, n)},
		{"rebuild key", RebuildKey(nil, p, n, 2, 0x01020304)},
		{"hash tree key", HashTreeKey(nil, p, n, 0x01020304)},
		{"damage key", DamageKey(nil, p, n)},
		{"log key", LogKey(nil, p, n, actorA, 0x0102030405060708)},
		{"expiry key", ExpiryKey(nil, p, n, 0x0102030405060708, "carts", "ann")},
		{"meta key", MetaKey(nil, "incarnation")},
		{"object key", ObjectKey(nil, p, n, "carts", "ann")},
		{"object key, empty bucket", ObjectKey(nil, p, n, "", "ann")},
		{"object key, highest partition", ObjectKey(nil, PartitionMax, 255, "b", "k")},
		{"hint key", HintKey(nil, p, n, "carts", "ann")},
		{"promise key", PromiseKey(nil, p, n, actorA)},
		{"value key", ValueKey(nil, p, n, actorA, 1)},
		{"log value", AppendLogEntry(nil, entry)},
		{"log value with a request id", AppendLogEntry(nil, withID)},
		{"log value with a change", AppendLogEntry(nil, withChange)},
		{"log value with both", AppendLogEntry(nil, withBoth)},
	}
}

func TestRows_Golden(t *testing.T) {
	const file = "testdata/rows.golden"
	var now strings.Builder
	for _, g := range golden() {
		fmt.Fprintf(&now, "%-30s %s\n", g.name, hex.EncodeToString(g.row))
	}
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(now.String()), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), now.String(),
		"disks in use have the old rows: a change needs a new FormatVersion and a way to read the old one")
}

// dot draws a replica and a dot of it.
type dot struct {
	partition uint32
	n         uint8
	actor     [16]byte
	counter   uint64
}

func drawDot(t *rapid.T) dot {
	return dot{
		partition: rapid.Uint32Range(0, PartitionMax).Draw(t, "partition"),
		n:         rapid.Uint8().Draw(t, "n"),
		actor:     [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "actor")),
		counter:   rapid.Uint64().Draw(t, "counter"),
	}
}

func TestRows_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDot(t)
		bucket := rapid.StringN(0, -1, BucketBytesMax).Draw(t, "bucket")
		key := rapid.String().Draw(t, "key")
		index := rapid.Uint32().Draw(t, "index")

		partition, n, gotBucket, gotKey, err := ParseObjectKey(ObjectKey([]byte{}, d.partition, d.n, bucket, key))
		require.NoError(t, err)
		require.Equal(t, []any{d.partition, d.n, bucket, key}, []any{partition, n, string(gotBucket), string(gotKey)})

		partition, n, gotBucket, gotKey, err = ParseHintKey(HintKey([]byte{}, d.partition, d.n, bucket, key))
		require.NoError(t, err)
		require.Equal(t, []any{d.partition, d.n, bucket, key}, []any{partition, n, string(gotBucket), string(gotKey)})

		for _, codec := range []struct {
			key   func([]byte, uint32, uint8, [16]byte, uint64) []byte
			parse func([]byte) (uint32, uint8, [16]byte, uint64, error)
		}{{LogKey, ParseLogKey}, {ValueKey, ParseValueKey}} {
			partition, n, actor, counter, err := codec.parse(codec.key(nil, d.partition, d.n, d.actor, d.counter))
			require.NoError(t, err)
			require.Equal(t, d, dot{partition, n, actor, counter})
		}

		partition, n, kind, got, err := ParseCheckpointKey(HashTreeKey(nil, d.partition, d.n, index))
		require.NoError(t, err)
		require.Equal(t, []any{d.partition, d.n, CheckpointHashTree, index}, []any{partition, n, kind, got})
		_, _, kind, _, err = ParseCheckpointKey(ClockKey(nil, d.partition, d.n))
		require.NoError(t, err)
		require.Equal(t, CheckpointClock, kind)

		entry := LogEntry{Bucket: []byte(bucket), Key: []byte(key), RequestID: d.actor, Change: d.counter}
		back, err := ParseLogEntry(AppendLogEntry(nil, entry))
		require.NoError(t, err)
		require.Equal(t, [][]byte{entry.Bucket, entry.Key}, [][]byte{back.Bucket, back.Key})
		require.Equal(t, entry.RequestID, back.RequestID)
		require.Equal(t, entry.Change, back.Change)
	})
}

// The order of the bytes is the order of the meaning: dots sort by partition, n,
// actor, counter.
func TestRows_OrderIsMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawDot(t), drawDot(t)
		meaning := slices.Compare(
			[]uint64{uint64(a.partition), uint64(a.n)}, []uint64{uint64(b.partition), uint64(b.n)})
		if meaning == 0 {
			meaning = bytes.Compare(a.actor[:], b.actor[:])
		}
		if meaning == 0 {
			meaning = slices.Compare([]uint64{a.counter}, []uint64{b.counter})
		}
		require.Equal(t, meaning, bytes.Compare(
			LogKey(nil, a.partition, a.n, a.actor, a.counter), LogKey(nil, b.partition, b.n, b.actor, b.counter)))
	})
}

func inRange(row, lo, hi []byte) bool {
	return bytes.Compare(lo, row) <= 0 && bytes.Compare(row, hi) < 0
}

func TestRows_ObjectRangeIsOneBucketAndPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SampledFrom([]string{"", "a", "ab", "b", "\xff", "aa\x00"})
		bucket, prefix := names.Draw(t, "bucket"), names.Draw(t, "prefix")
		otherBucket, key := names.Draw(t, "other bucket"), names.Draw(t, "key")
		partition := rapid.Uint32Range(6, 8).Draw(t, "partition")
		lo, hi := ObjectRange(7, 3, bucket, prefix)
		require.Equal(t, partition == 7 && otherBucket == bucket && strings.HasPrefix(key, prefix),
			inRange(ObjectKey(nil, partition, 3, otherBucket, key), lo, hi))
	})
}

func TestRows_LogRanges(t *testing.T) {
	rows := func(in func() ([]byte, []byte)) (found []string) {
		lo, hi := in()
		for _, partition := range []uint32{6, 7, 8} {
			for _, actor := range [][16]byte{actorA, actorB} {
				for _, counter := range []uint64{1, 2, 300, math.MaxUint64} {
					if inRange(LogKey(nil, partition, 3, actor, counter), lo, hi) {
						found = append(found, fmt.Sprintf("%d/%x/%d", partition, actor[0], counter))
					}
				}
			}
		}
		return found
	}
	const last = "18446744073709551615"
	require.Equal(t, []string{"7/aa/2", "7/aa/300"},
		rows(func() ([]byte, []byte) { return LogActorRange(7, 3, actorA, 2, 300) }), "both ends are included")
	require.Equal(t, []string{"7/bb/" + last},
		rows(func() ([]byte, []byte) { return LogActorRange(7, 3, actorB, math.MaxUint64, math.MaxUint64) }))
	require.Equal(t, []string{"7/aa/300", "7/aa/" + last, "7/bb/1", "7/bb/2", "7/bb/300", "7/bb/" + last},
		rows(func() ([]byte, []byte) { return LogFrom(7, 3, actorA, 3) }))
	require.Equal(t, []string{"7/aa/" + last, "7/bb/1", "7/bb/2", "7/bb/300", "7/bb/" + last},
		rows(func() ([]byte, []byte) { return LogFrom(7, 3, actorA, math.MaxUint64) }), "a skip to the next actor")
	require.Len(t, rows(func() ([]byte, []byte) { return LogRange(7, 3) }), 8)
	require.Len(t, rows(func() ([]byte, []byte) { return TableRange(TableLog) }), 24)
}

func TestRows_ReplicaRangesHoldEveryRowOfTheReplica(t *testing.T) {
	for _, g := range golden() {
		table, partition, n, ok := ParseReplica(g.row)
		if strings.HasPrefix(g.name, "meta") || strings.HasPrefix(g.name, "log value") {
			require.False(t, ok, g.name)
			continue
		}
		if table == TableHint {
			continue // of a guest, not of a replica
		}
		require.True(t, ok, g.name)
		require.Equal(t, g.row[0], table)
		if table == TablePromise {
			lo, hi := PromiseRange(partition, n)
			require.True(t, inRange(g.row, lo, hi))
			continue // promises are the member's
		}
		inside := func(partition uint32, n uint8) bool {
			ranges := ReplicaRanges(partition, n)
			return slices.ContainsFunc(ranges[:], func(r KeyRange) bool { return inRange(g.row, r.Low, r.High) })
		}
		require.True(t, inside(partition, n), g.name)
		require.False(t, inside(partition^1, n), g.name)
		require.False(t, inside(partition, n^1), g.name)
	}
	lo, hi := HashTreeRange(7, 3)
	require.True(t, inRange(HashTreeKey(nil, 7, 3, math.MaxUint32), lo, hi))
	require.False(t, inRange(ClockKey(nil, 7, 3), lo, hi))
	lo, hi = MetaRange("bucket/")
	require.True(t, inRange(MetaKey(nil, "bucket/carts"), lo, hi))
	require.False(t, inRange(MetaKey(nil, "layout"), lo, hi))
}

func TestRows_OwnLawsArePanics(t *testing.T) {
	require.Panics(t, func() { ObjectKey(nil, PartitionMax+1, 3, "b", "k") })
	require.Panics(t, func() { ObjectKey(nil, 0, 3, strings.Repeat("b", BucketBytesMax+1), "k") })
}

func TestRows_ForeignBytesAreErrors(t *testing.T) {
	for name, parse := range map[string]func([]byte) error{
		"object key":     func(b []byte) error { _, _, _, _, err := ParseObjectKey(b); return err },
		"hint key":       func(b []byte) error { _, _, _, _, err := ParseHintKey(b); return err },
		"log key":        func(b []byte) error { _, _, _, _, err := ParseLogKey(b); return err },
		"expiry key":     func(b []byte) error { _, _, _, _, _, err := ParseExpiryKey(b); return err },
		"value key":      func(b []byte) error { _, _, _, _, err := ParseValueKey(b); return err },
		"checkpoint key": func(b []byte) error { _, _, _, _, err := ParseCheckpointKey(b); return err },
		"meta key":       func(b []byte) error { _, err := ParseMetaKey(b); return err },
		"promise key":    func(b []byte) error { _, _, _, err := ParsePromiseKey(b); return err },
		"log value":      func(b []byte) error { _, err := ParseLogEntry(b); return err },
	} {
		for _, foreign := range []string{"", "x", "o\x00\x07\x03\x05cart", "d\x00\x07\x03short", "c\x00\x07\x03x", "\x01\x01b", "\x01\x00" + strings.Repeat("\x00", 16), "\x02\x00short", "\x02\x00" + strings.Repeat("\x00", 8)} {
			var wrong *RowError
			require.ErrorAs(t, parse([]byte(foreign)), &wrong, "%s from %q", name, foreign)
			require.Equal(t, name, wrong.Row)
		}
	}
	require.EqualError(t, &RowError{Row: "log key", Bytes: []byte("d"), Reason: "it is too short"},
		`storage: "d" is not a valid log key: it is too short`)
}

// What a decoder accepts is exactly what the encoder writes.
func FuzzRows(f *testing.F) {
	for _, g := range golden() {
		f.Add(g.row)
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		if p, n, bucket, key, err := ParseObjectKey(row); err == nil {
			require.Equal(t, row, ObjectKey(nil, p, n, string(bucket), string(key)))
		}
		if p, n, bucket, key, err := ParseHintKey(row); err == nil {
			require.Equal(t, row, HintKey(nil, p, n, string(bucket), string(key)))
		}
		if p, n, actor, counter, err := ParseLogKey(row); err == nil {
			require.Equal(t, row, LogKey(nil, p, n, actor, counter))
		}
		if p, n, at, bucket, key, err := ParseExpiryKey(row); err == nil {
			require.Equal(t, row, ExpiryKey(nil, p, n, at, string(bucket), string(key)))
		}
		if p, n, actor, counter, err := ParseValueKey(row); err == nil {
			require.Equal(t, row, ValueKey(nil, p, n, actor, counter))
		}
		if p, n, kind, index, err := ParseCheckpointKey(row); err == nil && kind == CheckpointHashTree {
			require.Equal(t, row, HashTreeKey(nil, p, n, index))
		}
		if p, n, actor, err := ParsePromiseKey(row); err == nil {
			require.Equal(t, row, PromiseKey(nil, p, n, actor))
		}
		if name, err := ParseMetaKey(row); err == nil {
			require.Equal(t, row, MetaKey(nil, string(name)))
		}
		if entry, err := ParseLogEntry(row); err == nil {
			require.Equal(t, row, AppendLogEntry(nil, entry))
		}
	})
}
