package pebblestore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// objects is a store with that many object rows of one replica in tables.
func objects(t *testing.T, rows int) (*Store, func() *Store, func(i int) (key, value []byte)) {
	t.Helper()
	row := func(i int) (key, value []byte) {
		random := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}) // nothing to compress
		value = make([]byte, 100)
		_, _ = random.Read(value)
		return storage.ObjectKey(nil, 7, 3, "carts", string(rowKey(i))), value
	}
	l := &library{t: t, fs: vfs.NewMem()}
	open := func() *Store {
		s, err := Open("node", small(l.fs))
		require.NoError(t, err)
		return s
	}
	s := open()
	var b storage.Batch
	for i := range rows {
		b.Set(row(i))
	}
	require.NoError(t, s.Apply(&b))
	require.NoError(t, s.db.Flush())
	require.NoError(t, s.Close())
	content := contentOf(t, l.fs, l.newest(".sst"))
	_, value := row(rows / 2)
	at := bytes.Index(content, value)
	require.Positive(t, at, "the value lies in the table as it is")
	content[at+50] ^= 0x10
	return open(), open, row
}

// scanAround scans past all damage, and gives what was read and what could not be.
func scanAround(t *testing.T, s *Store) (keys []string, gaps []storage.KeyRange) {
	t.Helper()
	snapshot, err := s.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	objects := storage.ReplicaRanges(7, 3)[2]
	for lo := objects.Low; ; {
		err := snapshot.Scan(lo, objects.High, func(key, _ []byte) bool {
			keys = append(keys, string(key))
			return true
		})
		var damage *storage.CorruptError
		if !errors.As(err, &damage) {
			require.NoError(t, err)
			return keys, gaps
		}
		require.Positive(t, bytes.Compare(damage.Resume, damage.Key))
		gaps = append(gaps, storage.KeyRange{Low: damage.Key, High: damage.Resume})
		lo = damage.Resume
	}
}

// One flipped bit costs the rows of its block and no others: a scan can go on
// behind it, and what is discarded is what could not be read.
func TestDamage_AScanGoesOnBehindADamagedBlock(t *testing.T) {
	const rows = 2000
	s, reopen, row := objects(t, rows)
	keys, gaps := scanAround(t, s)
	require.Len(t, gaps, 1)
	met := s.Metrics().Corruptions
	again, same := scanAround(t, s)
	require.Equal(t, keys, again)
	require.Equal(t, gaps, same)
	require.Less(t, s.Metrics().Corruptions-met, uint64(5), "where the block ends is known now")
	require.Greater(t, len(keys), rows-100, "one block of 4 KiB is lost")
	require.Less(t, len(keys), rows)
	lost := 0
	for i := range rows {
		key, value := row(i)
		got, err := s.Get(key)
		if string(key) >= string(gaps[0].Low) && string(key) < string(gaps[0].High) {
			require.Error(t, err)
			lost++
			continue
		}
		require.NoError(t, err)
		require.Equal(t, value, got)
	}
	require.Equal(t, rows, len(keys)+lost, "every row was read, or lies in the gap")

	require.NoError(t, s.Discard(gaps[0].Low, gaps[0].High))
	after, gaps := scanAround(t, s)
	require.Empty(t, gaps, "the damage is gone")
	require.Equal(t, keys, after, "and no row that could be read")
	require.NoError(t, s.Close())
	s = reopen()
	after, gaps = scanAround(t, s)
	require.Empty(t, gaps)
	require.Equal(t, keys, after)
	require.NoError(t, s.db.Compact(t.Context(), []byte("a"), []byte("z"), false))
	require.NoError(t, s.Close())
}

func TestBetween(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		low, high := make([]byte, random.IntN(20)), make([]byte, random.IntN(20))
		for i := range low {
			low[i] = byte(random.IntN(3))
		}
		for i := range high {
			high[i] = byte(random.IntN(3))
		}
		if bytes.Compare(low, high) > 0 {
			low, high = high, low
		}
		if middle := between(low, high); middle != nil {
			require.Negative(t, bytes.Compare(low, middle), "%x %x %x", low, middle, high)
			require.Negative(t, bytes.Compare(middle, high), "%x %x %x", low, middle, high)
		}
	}
}
