package pebblestore

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
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

// A damaged block can have rows of two replicas. Where one of them has deleted its
// part, nothing reads the block there any more: neither would Pebble notice that it
// cannot find the edge of the other part, and let everything behind or before it go.
func TestDamage_DiscardNextToWhatIsDeleted(t *testing.T) {
	const rows = 2000
	for _, side := range []side{before, behind} {
		t.Run(string(side), func(t *testing.T) {
			s, reopen, row := objects(t, rows)
			keys, gaps := scanAround(t, s)
			require.Len(t, gaps, 1)
			gap := gaps[0]
			middle, _ := row(rows / 2)
			mine, deleted := storage.KeyRange{Low: gap.Low, High: middle}, storage.KeyRange{Low: middle, High: gap.High}
			if side == before {
				mine, deleted = deleted, mine
			}
			var b storage.Batch
			b.DeleteRange(deleted.Low, deleted.High)
			b.Set(deleted.Low, []byte("written since"))
			require.NoError(t, s.Apply(&b))
			keys = append(keys, string(deleted.Low))
			slices.Sort(keys)
			if side == before { // Pebble cannot look back over what is deleted
				require.ErrorContains(t, s.Discard(mine.Low, mine.High), "the rows before the range cannot be read")
				mine = gap
				keys = slices.DeleteFunc(keys, func(key string) bool { return key == string(deleted.Low) })
			}
			require.NoError(t, s.Discard(mine.Low, mine.High))
			_, err := s.options.FS.Stat(s.folder.path(keptName))
			require.ErrorIs(t, err, fs.ErrNotExist, "what was kept is in a table now")
			for range 2 {
				after, gaps := scanAround(t, s)
				require.Empty(t, gaps)
				require.Equal(t, keys, after)
				require.NoError(t, s.db.Compact(t.Context(), []byte("a"), []byte("z"), false))
				require.NoError(t, s.Close())
				s = reopen()
			}
			require.NoError(t, s.Close())
		})
	}
}

// A part whose neighbour in the block has given up nothing is refused, and all stays.
func TestDamage_DiscardOfAPartIsRefused(t *testing.T) {
	s, _, row := objects(t, 2000)
	keys, gaps := scanAround(t, s)
	require.Len(t, gaps, 1)
	middle, _ := row(1000)
	require.ErrorContains(t, s.Discard(gaps[0].Low, middle), "the rows behind the range cannot be read")
	require.ErrorContains(t, s.Discard(middle, gaps[0].High), "the rows before the range cannot be read")
	after, same := scanAround(t, s)
	require.Equal(t, keys, after)
	require.Equal(t, gaps, same)
	require.NoError(t, s.Close())
}

// A table may have nothing but deleted ranges on one side of a cut. There is nothing to
// be read there, and nothing that is damaged.
func TestDamage_DiscardBesideDeletedRanges(t *testing.T) {
	s, _, row := objects(t, 2000)
	keys, gaps := scanAround(t, s)
	require.Len(t, gaps, 1)
	var b storage.Batch
	b.DeleteRange([]byte("d"), []byte("e"))
	inside, _ := row(1000)
	b.Set(inside, []byte("written since"))
	b.DeleteRange([]byte("p"), []byte("q"))
	require.NoError(t, s.Apply(&b))
	require.NoError(t, s.db.Flush())
	require.NoError(t, s.Discard(gaps[0].Low, gaps[0].High))
	after, gaps := scanAround(t, s)
	require.Empty(t, gaps)
	require.Equal(t, keys, after)
	require.NoError(t, s.Close())
}
