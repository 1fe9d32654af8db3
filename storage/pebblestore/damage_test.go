package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// library is a disk with rows in a table and in a log, from which each test takes
// a copy to damage.
type library struct {
	t     *testing.T
	fs    *vfs.MemFS
	inLog int // rows from here on are in the log
	rows  int
}

const libraryDir = "node/db"

func rowKey(i int) []byte   { return fmt.Appendf(nil, "o%05d", i) }
func rowValue(i int) []byte { return fmt.Appendf(nil, "value %0100d", i) }

func put(t *testing.T, s *Store, from, to int) {
	t.Helper()
	var b storage.Batch
	for i := from; i < to; i++ {
		b.Reset()
		b.Set(rowKey(i), rowValue(i))
		require.NoError(t, s.Apply(&b))
		if i%10 == 9 {
			require.NoError(t, s.Sync())
		}
	}
}

func newLibrary(t *testing.T, rows int) *library {
	t.Helper()
	l := &library{t: t, fs: vfs.NewCrashableMem(), inLog: rows / 2, rows: rows}
	s, err := Open("node", small(l.fs))
	require.NoError(t, err)
	put(t, s, 0, l.inLog)
	require.NoError(t, s.db.Flush())
	put(t, s, l.inLog, l.rows)
	require.NoError(t, s.Sync())
	synced := l.fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())
	l.fs = synced
	return l
}

func small(fs vfs.FS) Options { return Options{FS: fs, CacheBytes: 1 << 20} }

func (l *library) copy() *vfs.MemFS { return l.fs.CrashClone(vfs.CrashCloneCfg{}) }

// newest returns the name of the newest file of a kind.
func (l *library) newest(kind string) string {
	names, err := l.fs.List(libraryDir)
	require.NoError(l.t, err)
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.Contains(name, kind) || strings.HasPrefix(name, "marker.")
	})
	require.NotEmpty(l.t, names)
	return path.Join(libraryDir, slices.Max(names))
}

func contentOf(t *testing.T, fs *vfs.MemFS, name string) []byte {
	t.Helper()
	content, err := fs.UnsafeGetFileDataBuffer(name)
	require.NoError(t, err)
	require.NotEmpty(t, content)
	return content
}

func truncate(t *testing.T, fs *vfs.MemFS, name string) {
	t.Helper()
	content := slices.Clone(contentOf(t, fs, name))
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = file.Write(content[:len(content)/2])
	require.NoError(t, err)
	require.NoError(t, errors.Join(file.Sync(), file.Close()))
}

// reading is what a store gives for the rows of a library.
type reading struct{ right, corrupt, absent int }

func (l *library) read(s *Store) (seen reading) {
	l.t.Helper()
	for i := range l.rows {
		value, err := s.Get(rowKey(i))
		var corrupt *storage.CorruptError
		switch {
		case errors.As(err, &corrupt):
			require.Equal(l.t, rowKey(i), corrupt.Key)
			require.NotEmpty(l.t, corrupt.File)
			seen.corrupt++
		case errors.Is(err, storage.ErrNotFound):
			seen.absent++
		default:
			require.NoError(l.t, err)
			require.Equal(l.t, rowValue(i), value, "P1: a wrong value")
			seen.right++
		}
	}
	return seen
}

// The reason for FormatNewest: with Pebble's default format a flipped bit in the
// log takes the rest of the log away and nobody is told.
func TestDamage_FlippedBitInTheLog(t *testing.T) {
	t.Run("our format says so", func(t *testing.T) {
		l := newLibrary(t, 2000)
		fs, log := l.copy(), l.newest(".log")
		contentOf(t, fs, log)[1000] ^= 1
		_, err := Open("node", small(fs))
		var damaged *storage.DamagedError
		require.ErrorAs(t, err, &damaged)
		require.Equal(t, log, damaged.File)
		require.ErrorContains(t, err, "move the folder aside")

		contentOf(t, fs, log)[1000] ^= 1
		s, err := Open("node", small(fs))
		require.NoError(t, err, "a refused Open left the folder usable")
		require.Equal(t, reading{right: l.rows}, l.read(s))
		require.NoError(t, s.Close())
	})
	t.Run("the default format does not", func(t *testing.T) {
		fs := vfs.NewCrashableMem()
		options := &pebble.Options{FS: fs, Logger: pebble.DefaultLogger}
		options.Logger = &pebbleLogger{log: Options{}.withDefaults().Logger, health: &health{}}
		db, err := pebble.Open("plain", options)
		require.NoError(t, err)
		for i := range 1000 {
			require.NoError(t, db.Set(rowKey(i), rowValue(i), pebble.Sync))
		}
		after := fs.CrashClone(vfs.CrashCloneCfg{})
		require.NoError(t, db.Close())
		names, err := after.List("plain")
		require.NoError(t, err)
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".log") })
		contentOf(t, after, path.Join("plain", slices.Max(names)))[1000] ^= 1

		options.FS = after
		db, err = pebble.Open("plain", options)
		require.NoError(t, err)
		_, _, err = db.Get(rowKey(999))
		require.ErrorIs(t, err, pebble.ErrNotFound, "a synced row is gone without an error")
		require.NoError(t, db.Close())
	})
}

// What no format can tell: the end of the log. A cut-off log and a flipped bit
// after the last-but-one sync look like writes that were never synced. Nodes live
// with that by a new incarnation at every start (I2).
func TestDamage_EndOfTheLogIsSilent(t *testing.T) {
	l := newLibrary(t, 2000)
	for name, damage := range map[string]func(*vfs.MemFS, string){
		"cut off": func(fs *vfs.MemFS, log string) { truncate(t, fs, log) },
		"flipped": func(fs *vfs.MemFS, log string) {
			content := contentOf(t, fs, log)
			content[len(content)-60] ^= 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := l.copy()
			damage(fs, l.newest(".log"))
			s, err := Open("node", small(fs))
			require.NoError(t, err)
			seen := l.read(s)
			require.Zero(t, seen.corrupt)
			require.Positive(t, seen.absent)
			for i := range seen.right { // what is left is a prefix (S3)
				_, err := s.Get(rowKey(i))
				require.NoError(t, err)
			}
			require.NoError(t, s.Close())
		})
	}
}

// The reason for the DataCorruption listener: without one the first rotten block
// ends the process.
func TestDamage_RottenBlock(t *testing.T) {
	l := newLibrary(t, 2000)
	fs, table := l.copy(), l.newest(".sst")
	content := contentOf(t, fs, table)
	content[len(content)/3] ^= 1
	var reported []*storage.CorruptError
	var logged bytes.Buffer
	options := small(fs)
	options.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	options.OnCorruption = func(damage *storage.CorruptError) { reported = append(reported, damage) }
	s, err := Open("node", options)
	require.NoError(t, err)

	seen := l.read(s)
	require.Contains(t, logged.String(), "data on the disk is damaged")
	require.NotContains(t, logged.String(), "stack trace")
	require.Positive(t, seen.corrupt)
	require.Less(t, seen.corrupt, 100, "one block")
	require.Zero(t, seen.absent, "damage is not absence (S6)")
	require.NotEmpty(t, reported)
	require.Equal(t, table, reported[0].File)
	require.Equal(t, uint64(len(reported)), s.Metrics().Corruptions)

	snapshot, err := s.Snapshot()
	require.NoError(t, err)
	visited := 0
	err = snapshot.Scan(nil, nil, func(key, _ []byte) bool {
		require.Equal(t, rowKey(visited), key)
		visited++
		return true
	})
	var corrupt *storage.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, append(rowKey(visited-1), 0), corrupt.Key, "every row below was visited")
	require.Regexp(t, `^storage: row "[^\n]*" in node/db/\d+\.sst is damaged \(pebble: file \d+: block \d+/\d+: crc32c checksum mismatch \w+ != \w+\): repair it [^\n]*$`, err.Error())
	require.NoError(t, snapshot.Scan(corrupt.High, nil, func([]byte, []byte) bool { visited++; return true }))
	require.GreaterOrEqual(t, visited, l.rows-l.inLog, "the scan goes on behind the damage")

	// Repair: the rows are written again, and reads do not meet the damage.
	put(t, s, 0, l.inLog)
	require.Equal(t, reading{right: l.rows}, l.read(s))
	require.NoError(t, snapshot.Close())
	require.NoError(t, s.Close())
}

// A rotten block in the first level keeps every compaction from ending. Pebble
// alone would try again without a pause (P5) and in the end block all writes.
func TestDamage_CompactionsAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLibrary(t, 2000)
		fs := l.copy()
		content := contentOf(t, fs, l.newest(".sst"))
		content[len(content)/3] ^= 1
		var fatal *storage.FailedError
		options := small(fs)
		options.OnFatal = func(err *storage.FailedError) { fatal = err }
		s, err := Open("node", options)
		require.NoError(t, err)
		flush := func() {
			put(t, s, 0, l.inLog)
			require.NoError(t, s.db.Flush())
		}
		for range 4 {
			flush()
		}
		time.Sleep(time.Hour)
		require.Positive(t, s.Metrics().Corruptions)
		require.Less(t, s.Metrics().BackgroundErrors, uint64(100), "an hour of trying again")

		// Discarding the damaged table cures it.
		require.NoError(t, s.Discard(rowKey(0), rowKey(l.inLog)))
		_, err = s.Get(rowKey(0))
		require.ErrorIs(t, err, storage.ErrNotFound)
		before := s.Metrics().BackgroundErrors
		for range 20 {
			flush()
			time.Sleep(time.Minute)
		}
		require.Equal(t, before, s.Metrics().BackgroundErrors)
		require.Equal(t, reading{right: l.rows}, l.read(s))
		require.Nil(t, fatal)
		require.NoError(t, s.Close())
	})
}

// Without a cure the store fails with a reason before Pebble blocks all writes.
func TestDamage_StuckCompactionsFailTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLibrary(t, 2000)
		fs := l.copy()
		content := contentOf(t, fs, l.newest(".sst"))
		content[len(content)/3] ^= 1
		s, err := Open("node", small(fs))
		require.NoError(t, err)
		var b storage.Batch
		b.Set(rowKey(0), rowValue(0))
		for flushes := 0; s.Failed() == nil; flushes++ {
			require.Less(t, flushes, stopWritesTables)
			require.NoError(t, s.Apply(&b))
			require.NoError(t, s.db.Flush())
			time.Sleep(time.Minute)
		}
		var failed *storage.FailedError
		require.ErrorAs(t, s.Apply(&b), &failed)
		require.ErrorContains(t, failed, "damage")
		value, err := s.Get(rowKey(l.rows - 1))
		require.NoError(t, err, "reads go on")
		require.Equal(t, rowValue(l.rows-1), value)
		require.ErrorIs(t, s.Close(), failed)
	})
}

func TestDamage_FilesThatOpenNeeds(t *testing.T) {
	l := newLibrary(t, 2000)
	cut := func(fs *vfs.MemFS, name string) { truncate(t, fs, name) }
	remove := func(fs *vfs.MemFS, name string) { require.NoError(t, fs.Remove(name)) }
	removeDB := func(fs *vfs.MemFS, _ string) { require.NoError(t, fs.RemoveAll(libraryDir)) }
	garble := func(fs *vfs.MemFS, name string) { copy(contentOf(t, fs, name), "garbage\n") }
	for _, test := range []struct {
		name, file string
		damage     func(*vfs.MemFS, string)
	}{
		{"truncated table", l.newest(".sst"), cut},
		{"table is gone", l.newest(".sst"), remove},
		{"rotten manifest", l.newest("MANIFEST-"), func(fs *vfs.MemFS, name string) { contentOf(t, fs, name)[20] ^= 1 }},
		{"manifest is gone", l.newest("MANIFEST-"), remove},
		{"database is gone", libraryDir, removeDB},
		{"FORMAT is gone", "node/FORMAT", remove},
		{"FORMAT is cut off", "node/FORMAT", cut},
		{"FORMAT is garbage", "node/FORMAT", garble},
	} {
		t.Run(test.name, func(t *testing.T) {
			fs := l.copy()
			test.damage(fs, test.file)
			_, err := Open("node", small(fs))
			var damaged *storage.DamagedError
			require.ErrorAs(t, err, &damaged)
			require.Equal(t, test.file, damaged.File)
			require.ErrorContains(t, err, test.file+" is damaged")
		})
	}
}

// One flipped bit anywhere: what a store then gives is right, or an error that
// names the file. Absence is possible at the end of the log only.
func TestDamage_AnyBit(t *testing.T) {
	l := newLibrary(t, 300)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	names, err := l.fs.List(libraryDir)
	require.NoError(t, err)
	for _, name := range append(names, "../FORMAT") {
		name = path.Join(libraryDir, name)
		if content, err := l.fs.UnsafeGetFileDataBuffer(name); err != nil || len(content) == 0 {
			continue
		}
		for range 8 {
			fs := l.copy()
			content := contentOf(t, fs, name)
			at := random.IntN(len(content))
			content[at] ^= 1 << random.IntN(8)
			l.checkDamaged(fs, fmt.Sprintf("byte %d of %s", at, name), name == l.newest(".log"))
		}
	}
}

func (l *library) checkDamaged(fs *vfs.MemFS, where string, endOfLog bool) {
	l.t.Helper()
	s, err := Open("node", small(fs))
	if err != nil {
		var damaged *storage.DamagedError
		var format *storage.FormatError
		require.True(l.t, errors.As(err, &damaged) || errors.As(err, &format), "%s: %v", where, err)
		return
	}
	if seen := l.read(s); !endOfLog {
		require.Zero(l.t, seen.absent, where)
	}
	require.NoError(l.t, s.Close())
}
